package store_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

func intend(t *testing.T, w *world, run string, ids ...string) []store.Change {
	t.Helper()
	var changes []store.Change
	for _, id := range ids {
		changes = append(changes, store.Change{
			Side: "target", ExternalID: id, Op: "create", XID: record.XID("shop", "product", id), State: store.ChangeIntent,
			After: record.Values{"list_price": decimal.RequireFromString("9.990")}, Digest: "d-" + id,
		})
	}
	require.NoError(t, w.Intend(t.Context(), run, changes))
	return changes
}

// A page whose records another worker has taken over counts nothing.
func TestAZombiesPageIsNotSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	old := intend(t, w, "r1", "a", "b")
	fresh := intend(t, w, "r1", "b")
	assert.Greater(t, fresh[0].Fence, old[1].Fence)

	page := func(c ...store.Change) store.Page {
		p := store.Page{Run: "r1", Counts: map[string]int64{"fetched": int64(len(c))}}
		for _, one := range c {
			p.Wrote = append(p.Wrote, store.Wrote{Side: "target", ExternalID: one.ExternalID, Fence: one.Fence, State: store.ChangeDone, RecordID: "7"})
		}
		return p
	}
	err := w.SettlePage(t.Context(), page(old...))
	require.Equal(t, "object.superseded", fault.Of(err).Code)
	totals, err := w.Totals(t.Context(), "r1", 0, 999)
	require.NoError(t, err)
	assert.Empty(t, totals, "nothing of the page was kept")

	require.NoError(t, w.SettlePage(t.Context(), page(old[0], fresh[0])))
	done, err := w.Changes(t.Context(), "r1", nil, "", 10)
	require.NoError(t, err)
	require.Len(t, done, 2)
	assert.Equal(t, store.ChangeDone, done[0].State)
	assert.Equal(t, "7", done[0].RecordID)
	assert.Equal(t, "9.99", done[0].After["list_price"].(decimal.Decimal).String())
}

// What is known of records before they are written: what a dead worker was
// making, and what it sent that may still land.
func TestKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := products(w, t)
	w.start(t, "r1", noon)
	intend(t, w, "r1", "a")
	require.NoError(t, w.SettlePage(t.Context(), store.Page{
		Run: "r1", Lane: 1, IDs: []string{"b", "c"}, Counts: map[string]int64{"fetched": 2},
		Synced:   []store.Synced{{ExternalID: "b", TargetID: "9", SourceSeen: "s", TargetSeen: "t", MappingVersion: 2}},
		Bindings: []store.NewBinding{{ExternalID: "b", TargetID: "9"}},
		Parked:   []store.ParkedRecord{{ExternalID: "c", Fault: fault.New(fault.Invalid, "x.y", "bad").WithField("sku")}},
	}))
	known, err := w.Known(t.Context(), "r1", "target", []string{"a", "b", "c", "d"}, time.Minute)
	require.NoError(t, err)
	require.Len(t, known, 4)
	assert.Equal(t, record.XID("shop", "product", "a"), known["a"].Made)
	assert.True(t, known["a"].Unheard.Valid)
	assert.Equal(t, "d-a", known["a"].Sent)
	assert.True(t, known["b"].Synced)
	assert.Equal(t, "9", known["b"].TargetID)
	assert.False(t, known["b"].Unheard.Valid)
	assert.True(t, known["c"].Parked)
	assert.False(t, known["d"].Synced)

	back, err := w.ExternalIDs(t.Context(), j, []string{"9", "10"})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"9": "b"}, back)

	due, err := w.ParkedDue(t.Context(), j, time.Now(), "", 10)
	require.NoError(t, err)
	assert.Empty(t, due, "parked just now")
	w.exec(t, `UPDATE parked SET last_at = now() - interval '2 minutes'`)
	due, err = w.ParkedDue(t.Context(), j, time.Now(), "", 10)
	require.NoError(t, err)
	assert.Equal(t, []string{"c"}, due)
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "r1", Lane: 900, Counts: map[string]int64{"fetched": 1}, Clear: []string{"c"}}))
	known, err = w.Known(t.Context(), "r1", "target", []string{"c"}, time.Minute)
	require.NoError(t, err)
	assert.False(t, known["c"].Parked)

	var ids []string
	require.NoError(t, w.PageIDs(t.Context(), "r1", 0, 899, func(id string) { ids = append(ids, id) }))
	assert.ElementsMatch(t, []string{"b", "c"}, ids)
}

// Two records of one page, or of two pages at once, that need the same key in
// the target get one claim; so does an order that makes the same record.
func TestClaimsOfAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.Claim(t.Context(), "odoo", record.KindProduct, []string{"shop/variant:1"}, "xid-of-an-order")
	require.NoError(t, err)
	claims, err := w.Claims(t.Context(), "odoo", record.KindProduct, []store.Wanted{
		{ExternalID: "variant:1", XID: "x1", Keys: []string{"shop/variant:1", "sku:A"}},
		{ExternalID: "variant:2", XID: "x2", Keys: []string{"shop/variant:2", "sku:A"}},
	})
	require.NoError(t, err)
	assert.Equal(t, first.XID, claims["shop/variant:1"].XID)
	assert.Equal(t, "x2", claims["shop/variant:2"].XID)
	assert.Equal(t, "x1", claims["sku:A"].XID, "the first of the page")
}

// A key that its record does not have any more goes to one that does, and to
// one only.
func TestAKeyIsTakenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Claim(t.Context(), "odoo", record.KindProduct, []string{"key:A"}, "x1")
	require.NoError(t, err)
	old, err := w.Claimed(t.Context(), "odoo", record.KindProduct, "x1", "7", false)
	require.NoError(t, err)
	for _, who := range []string{"x2", "x3"} {
		got, err := w.TakeKey(t.Context(), "odoo", record.KindProduct, "key:A", old, who)
		require.NoError(t, err)
		assert.Equal(t, store.Claim{XID: "x2"}, got, "asked by %s", who)
	}
}

// A key of a record that was never made, and is not tried any more, goes to the
// next one. Who tries again keeps it.
func TestAKeyOfNobodyIsGivenOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	holder := func(id string) string {
		t.Helper()
		claims, err := w.Claims(t.Context(), "odoo", record.KindProduct, []store.Wanted{{ExternalID: id, XID: "x" + id, Keys: []string{"shop/" + id, "key:A"}}})
		require.NoError(t, err)
		require.Equal(t, "x"+id, claims["shop/"+id].XID)
		return claims["key:A"].XID
	}
	age := func(by string) { w.exec(t, `UPDATE claim SET created_at = created_at - $1::interval`, by) }
	require.Equal(t, "x1", holder("1"))
	age("50 minutes")
	require.Equal(t, "x1", holder("1"), "tried again")
	age("50 minutes")
	require.Equal(t, "x1", holder("2"))
	age("20 minutes")
	require.Equal(t, "x2", holder("2"))
	require.Equal(t, "x2", holder("1"), "it comes too late")
	_, err := w.Claimed(t.Context(), "odoo", record.KindProduct, "x2", "7", false)
	require.NoError(t, err)
	age("1 year")
	require.Equal(t, "x2", holder("1"), "made: whether it still has the key is looked up in the target")
}

// A record that a run writes twice keeps of each field what it held before.
func TestARecordIsWrittenTwiceInARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	write := func(number int, state string, before, after record.Values) {
		t.Helper()
		changes := []store.Change{{Side: "target", ExternalID: "a", Op: "update", State: store.ChangeIntent, Before: before, After: after, Digest: "d"}}
		require.NoError(t, w.Intend(t.Context(), "r1", changes))
		require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "r1", Lane: number, Counts: map[string]int64{}, Wrote: []store.Wrote{
			{Side: "target", ExternalID: "a", Fence: changes[0].Fence, State: state, RecordID: "7", After: after},
		}}))
	}
	write(0, store.ChangeRefused, record.Values{"colour": "red"}, record.Values{"colour": "none such"})
	write(1, store.ChangeDone, record.Values{"price": amount("1"), "name": "Bolt"}, record.Values{"price": amount("2"), "name": "Nut"})
	write(2, store.ChangeDone, record.Values{"price": amount("2"), "stock": amount("5")}, record.Values{"price": amount("3"), "stock": amount("6")})
	all, err := w.Changes(t.Context(), "r1", []string{"a"}, "", 10)
	require.NoError(t, err)
	require.Len(t, all, 1)
	text := func(v record.Values) string { return string(record.ValueJSON(v)) }
	assert.JSONEq(t, `{"price": 1, "name": "Bolt", "stock": 5}`, text(all[0].Before))
	assert.JSONEq(t, `{"price": 3, "name": "Nut", "stock": 6}`, text(all[0].After))
}

// What a run has parked waits for the next one: it would be counted twice, and
// twice as many errors stop it. A person's word is heard at once.
func TestParkedIsNotTriedAgainByItsOwnRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	j, err := w.Job(t.Context(), "products")
	require.NoError(t, err)
	w.start(t, "r1", noon)
	park := func(code string, ids ...string) {
		t.Helper()
		page := store.Page{Run: "r1", Lane: len(code), Counts: map[string]int64{}}
		for _, id := range ids {
			page.Parked = append(page.Parked, store.ParkedRecord{ExternalID: id, Fault: fault.New(fault.Invalid, code, "no")})
		}
		require.NoError(t, w.SettlePage(t.Context(), page))
	}
	park("odoo.refused", "a", "b")
	park("sync.unknown_reference", "c")
	w.exec(t, `UPDATE parked SET last_at = last_at - interval '2 hours'`)
	due := func(began time.Duration) []string {
		t.Helper()
		ids, err := w.ParkedDue(t.Context(), j, time.Now().Add(-began), "", 10)
		require.NoError(t, err)
		return ids
	}
	assert.Equal(t, []string{"c"}, due(3*time.Hour), "of the run that parked them")
	assert.Equal(t, []string{"a", "b", "c"}, due(time.Hour), "of the next")
	_, err = w.LeaveOut(t.Context(), j, "b", true, "anna", "")
	require.NoError(t, err)
	_, err = w.LeaveOut(t.Context(), j, "b", false, "anna", "")
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "c"}, due(3*time.Hour))
	w.exec(t, `DELETE FROM parked WHERE external_id = 'b'`)
	_, err = w.LeaveOut(t.Context(), j, "b", true, "anna", "")
	require.NoError(t, err)
	_, err = w.LeaveOut(t.Context(), j, "b", false, "anna", "")
	require.NoError(t, err)
	w.exec(t, `UPDATE run SET started_at = now() - interval '1 hour'`)
	w.exec(t, `UPDATE parked SET since = since - interval '2 hours' WHERE external_id <> 'b'`)
	require.NoError(t, w.ClearVanished(t.Context(), j, "r1", false))
	assert.Equal(t, []string{"b"}, due(0), "said while the run went on: kept")
}
