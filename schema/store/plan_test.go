package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// plan stores a plan of one create, three updates and an archive.
func plan(t *testing.T, w *world, run string) {
	t.Helper()
	change := func(id, op, cause string, before, after record.Values) store.Change {
		return store.Change{Side: "target", ExternalID: id, Op: op, Cause: cause, Label: "SKU " + id, Before: before, After: after, Digest: "d-" + id, State: store.ChangePlanned}
	}
	require.NoError(t, w.Plan(t.Context(), run, []store.Change{
		change("a", "create", "missing_in_target", nil, record.Values{"name": "Bolt", "price": amount("1.10"), "qty": amount("5")}),
		change("b", "update", "changed_in_source", record.Values{"price": amount("9.99")}, record.Values{"price": amount("8.88")}),
		change("c", "update", "changed_in_source", record.Values{"price": nil, "name": "Nut"}, record.Values{"price": amount("2"), "name": "Nuts"}),
		change("d", "update", "changed_on_both_sides", record.Values{"price": amount("3.5")}, record.Values{"price": nil}),
		change("e", "archive", "gone_in_source", record.Values{"active": true}, record.Values{"active": false}),
	}))
}

func TestAPlanIsSummedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	plan(t, w, "r1")
	sum, err := w.PlanSummary(t.Context(), "r1")
	require.NoError(t, err)
	assert.Equal(t, []store.PlanTotal{
		{Side: "target", Op: "update", Cause: "changed_in_source", State: "planned", N: 2},
		{Side: "target", Op: "archive", Cause: "gone_in_source", State: "planned", N: 1},
		{Side: "target", Op: "create", Cause: "missing_in_target", State: "planned", N: 1},
		{Side: "target", Op: "update", Cause: "changed_on_both_sides", State: "planned", N: 1},
	}, sum.Totals)
	got := map[string]string{}
	for _, f := range sum.Fields {
		got[f.Field] = fmt.Sprintf("%d of %d", f.Updates, f.All)
		if f.Number {
			got[f.Field] += fmt.Sprintf(", %s to %s: %s", f.Before, f.After, f.Swing())
		}
	}
	assert.Equal(t, map[string]string{
		"price": "3 of 4, 13.49 to 11.98: -1.51", "name": "1 of 2", "qty": "0 of 1, 0 to 5: 5", "active": "0 of 1",
	}, got)
	assert.Equal(t, "price", sum.Fields[0].Field, "what changes most comes first")

	var ids []string
	for at := (store.ChangeAt{}); ; {
		page, err := w.ChangesIn(t.Context(), "r1", []string{store.ChangePlanned}, at, 2)
		require.NoError(t, err)
		for _, c := range page {
			ids = append(ids, c.ExternalID)
			at = c.Place()
		}
		if len(page) < 2 {
			break
		}
	}
	assert.Equal(t, []string{"a", "b", "c", "d", "e"}, ids)
	none, err := w.ChangesIn(t.Context(), "r1", []string{store.ChangeDone}, store.ChangeAt{}, 10)
	require.NoError(t, err)
	assert.Empty(t, none)
}

// What an approving run wrote exactly as planned counts as carried out; what
// it found changed does not.
func TestHowFarAPlanWasCarriedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "plan", noon)
	plan(t, w, "plan")
	require.NoError(t, w.EndRun(t.Context(), "plan", store.Ending{Status: "success"}))
	a, err := w.Approval(t.Context(), "plan")
	require.NoError(t, err)
	assert.Equal(t, store.Approval{Planned: 5}, a)

	r := store.Run{ID: "carry", Job: "products", Mode: "full", Mapping: "m", MappingVersion: 1, SourceNow: noon, Purpose: "approve"}
	r.BaseRun.String, r.BaseRun.Valid = "plan", true
	_, err = w.StartRun(t.Context(), r)
	require.NoError(t, err)
	changes := []store.Change{
		{Side: "target", ExternalID: "a", Op: "create", XID: "x", After: record.Values{"price": amount("1.10")}, Digest: "d-a", State: store.ChangeIntent},
		{Side: "target", ExternalID: "b", Op: "update", After: record.Values{"price": amount("8.88")}, Digest: "d-b", State: store.ChangeIntent},
		{Side: "target", ExternalID: "c", Op: "update", After: record.Values{"price": amount("2")}, Digest: "another", State: store.ChangeIntent},
	}
	require.NoError(t, w.Intend(t.Context(), "carry", changes))
	page := store.Page{Run: "carry", Counts: map[string]int64{"fetched": 3}}
	for _, c := range changes {
		page.Wrote = append(page.Wrote, store.Wrote{Side: c.Side, ExternalID: c.ExternalID, Fence: c.Fence, State: store.ChangeDone, RecordID: "7" + c.ExternalID})
	}
	page.Wrote[1].State, page.Wrote[1].Note = store.ChangeRefused, "odoo.bad_value"
	require.NoError(t, w.SettlePage(t.Context(), page))
	a, err = w.Approval(t.Context(), "plan")
	require.NoError(t, err)
	assert.Equal(t, store.Approval{Planned: 5, Done: 1}, a)

	noted, err := w.Noted(t.Context(), "carry", 10)
	require.NoError(t, err)
	require.Len(t, noted, 1)
	assert.Equal(t, "b", noted[0].ExternalID)
	assert.Equal(t, "odoo.bad_value", noted[0].Note)

	trail, err := w.ChangesOf(t.Context(), "products", "b", 10)
	require.NoError(t, err)
	require.Len(t, trail, 2)
	assert.Equal(t, "carry", trail[0].Run, "newest first")
	assert.Equal(t, "approve", trail[0].Purpose)
	assert.Equal(t, "9.99", trail[1].Before["price"].(decimal.Decimal).String())
}

// conflicted puts records of the job into step whose field both sides changed.
func conflicted(t *testing.T, w *world, field string, ids ...string) {
	t.Helper()
	page := store.Page{Run: "r1", Counts: map[string]int64{"fetched": int64(len(ids))}}
	for _, id := range ids {
		page.Synced = append(page.Synced, store.Synced{ExternalID: id, TargetID: "7" + id, MappingVersion: 1})
		page.Bindings = append(page.Bindings, store.NewBinding{ExternalID: id, TargetID: "7" + id, XID: "x-" + id})
		page.Conflicts = append(page.Conflicts, store.Conflict{
			ExternalID: id, Field: field, RecordID: "7" + id, Base: []byte(`1`), Source: []byte(`2`), Target: []byte(`3`),
		})
	}
	require.NoError(t, w.SettlePage(t.Context(), page))
}

func TestConflictsWaitForADecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := products(w, t)
	w.start(t, "r1", noon)
	conflicted(t, w, "price", "a", "b")
	conflicted(t, w, "name", "a")
	open, err := w.Conflicts(t.Context(), "products", "", 10)
	require.NoError(t, err)
	require.Len(t, open, 3)
	assert.False(t, open[0].DueAt.Valid, "nobody has looked after it yet")
	due, err := w.ParkedDue(t.Context(), j, time.Now(), "", 10)
	require.NoError(t, err)
	assert.Empty(t, due)

	fields, err := w.Decide(t.Context(), "products", "a", store.Decision{Field: "price", Side: "target", By: "anna", Reason: "agreed with the supplier"})
	require.NoError(t, err)
	assert.Equal(t, []string{"price"}, fields)
	due, err = w.ParkedDue(t.Context(), j, time.Now(), "", 10)
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, due, "the next run carries it out though nothing changed")
	open, err = w.Conflicts(t.Context(), "products", "a", 10)
	require.NoError(t, err)
	require.Len(t, open, 2)
	assert.Equal(t, "name", open[1].Field)
	assert.False(t, open[1].Decision.Valid, "each field for itself")
	assert.Equal(t, []string{"target", "anna", "agreed with the supplier"}, []string{open[0].Decision.String, open[0].DecidedBy.String, open[0].Reason.String})
	assert.Equal(t, "products: price: target (agreed with the supplier)", one[string](t, w, `SELECT note FROM journal WHERE by = 'anna' AND outcome = 'decided'`))

	_, err = w.Decide(t.Context(), "products", "a", store.Decision{Field: "colour", Side: "target", By: "anna", Reason: "r"})
	assert.Equal(t, "conflict.none", fault.Of(err).Code)
	fields, err = w.Decide(t.Context(), "products", "a", store.Decision{Side: "source", By: "ben", Reason: "r"})
	require.NoError(t, err)
	assert.Equal(t, []string{"name"}, fields, "all that wait; what is decided stays so")
	fields, err = w.Decide(t.Context(), "products", "a", store.Decision{Field: "price", Side: "source", By: "ben", Reason: "no"})
	require.NoError(t, err)
	assert.Equal(t, []string{"price"}, fields, "until it is carried out, a decision may be changed")

	// The run that carries it out lets go of the conflict.
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "r1", Lane: 900, Counts: map[string]int64{}, Settled: []store.Conflict{{ExternalID: "a"}}}))
	due, err = w.ParkedDue(t.Context(), j, time.Now(), "", 10)
	require.NoError(t, err)
	assert.Empty(t, due)
}

func TestConflictsHaveDeadlines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	conflicted(t, w, "price", "a", "b", "c")
	watch := func(limit int, d store.Deadline) []string {
		ids, err := w.WatchConflicts(t.Context(), "products", d, limit)
		require.NoError(t, err)
		return ids
	}
	assert.Equal(t, []string{"a", "b"}, watch(2, store.Deadline{Remind: time.Hour}))
	assert.Equal(t, []string{"a", "c"}, watch(2, store.Deadline{Remind: time.Hour, Decide: 48 * time.Hour}), "those first that nobody looks after yet")
	open, err := w.Conflicts(t.Context(), "products", "a", 10)
	require.NoError(t, err)
	assert.Equal(t, time.Hour, open[0].RemindAt.Time.Sub(open[0].Since.Time))
	assert.Equal(t, 48*time.Hour, open[0].DueAt.Time.Sub(open[0].Since.Time))

	by := store.Decision{Side: "source", By: "towpath: deadline", Reason: "nobody decided within 48h"}
	fields, err := w.DecideDue(t.Context(), "products", "a", by)
	require.NoError(t, err)
	assert.Empty(t, fields, "its time has not come")
	n, err := w.Reminded(t.Context(), "products", "a", 24*time.Hour)
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	w.exec(t, `UPDATE conflict SET due_at = now() - interval '1 second' WHERE external_id = 'a'`)
	fields, err = w.DecideDue(t.Context(), "products", "a", by)
	require.NoError(t, err)
	assert.Equal(t, []string{"price"}, fields)
	assert.Equal(t, []string{"b", "c"}, watch(5, store.Deadline{}), "what is decided waits for nobody")
	assert.Zero(t, one[int](t, w, `SELECT count(*) FROM conflict WHERE decision IS NULL AND due_at IS NOT NULL`), "a job without a deadline waits for ever")
}

// Other values are another conflict: a decision about the former is none.
func TestOtherValuesAreAnotherConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	conflicted(t, w, "price", "a")
	_, err := w.Decide(t.Context(), "products", "a", store.Decision{Field: "price", Side: "target", By: "anna", Reason: "r"})
	require.NoError(t, err)
	conflicted(t, w, "price", "a")
	ids, err := w.WatchConflicts(t.Context(), "products", store.Deadline{}, 5)
	require.NoError(t, err)
	assert.Empty(t, ids, "the same conflict stays decided")
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "r1", Lane: 1, Counts: map[string]int64{}, Conflicts: []store.Conflict{
		{ExternalID: "a", Field: "price", Base: []byte(`1`), Source: []byte(`22`), Target: []byte(`3`)},
	}}))
	ids, err = w.WatchConflicts(t.Context(), "products", store.Deadline{}, 5)
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, ids)
}

func TestUntie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	j, err := w.Job(t.Context(), "products")
	require.NoError(t, err)
	w.start(t, "r1", noon)
	claims, err := w.Claims(t.Context(), "odoo", record.KindProduct, []store.Wanted{{ExternalID: "a", XID: "x-a", Keys: []string{"shop/a", "key:shop/product.product/default_code/A"}}})
	require.NoError(t, err)
	require.Len(t, claims, 2)
	_, err = w.Claims(t.Context(), "odoo", record.KindProduct, []store.Wanted{{XID: record.XID("shop", "product", "a"), Keys: []string{"record:shop/7a", "key:A"}}})
	require.NoError(t, err, "adopted: of an external id that is not in the binding")
	conflicted(t, w, "price", "a", "b")

	id, known, err := w.Untie(t.Context(), j, "a", "anna", "tied to the wrong one")
	require.NoError(t, err)
	assert.True(t, known)
	assert.Equal(t, "7a", id)
	for table, n := range map[string]int{
		"binding WHERE external_id = 'a'": 0, "synced WHERE external_id = 'a'": 0, "conflict WHERE external_id = 'a'": 0, "claim": 0,
		"binding WHERE external_id = 'b'": 1, "synced WHERE external_id = 'b'": 1, "conflict WHERE external_id = 'b'": 1,
		"journal WHERE by = 'anna' AND note LIKE '%tied to the wrong one%'": 1,
	} {
		assert.Equal(t, n, one[int](t, w, `SELECT count(*) FROM `+table), table)
	}
	due, err := w.ParkedDue(t.Context(), j, time.Now(), "", 10)
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, due, "the next run looks at it")
	_, known, err = w.Untie(t.Context(), j, "a", "anna", "again")
	require.NoError(t, err)
	assert.False(t, known)
}

func TestLeaveOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	j, err := w.Job(t.Context(), "products")
	require.NoError(t, err)
	w.start(t, "r1", noon)
	conflicted(t, w, "price", "b")
	left := func(id string, out bool) (changed bool) {
		changed, err := w.LeaveOut(t.Context(), j, id, out, "anna", "why")
		require.NoError(t, err)
		return changed
	}
	known := func(id string) store.Known {
		all, err := w.Known(t.Context(), "r1", "target", []string{id}, time.Minute)
		require.NoError(t, err)
		return all[id]
	}
	for _, id := range []string{"a", "b"} {
		was := known(id)
		assert.True(t, left(id, true))
		assert.False(t, left(id, true), "it is so already")
		k := known(id)
		assert.True(t, k.NoExport)
		assert.Equal(t, was.TargetID, k.TargetID)
		in, noted, err := w.SyncedIn(t.Context(), j, id)
		require.NoError(t, err)
		assert.True(t, noted)
		assert.True(t, in.NoExport)
	}
	back, err := w.ExternalIDs(t.Context(), j, []string{"", "7b"})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"7b": "b"}, back, "what is left out and nowhere is no counterpart of anything")

	_, untied, err := w.Untie(t.Context(), j, "b", "anna", "why")
	require.NoError(t, err)
	assert.True(t, untied)
	assert.True(t, known("b").NoExport, "what is left out stays so")
	for _, id := range []string{"a", "b"} {
		assert.True(t, left(id, false))
		assert.False(t, left(id, false))
		assert.False(t, known(id).NoExport)
	}
	due, err := w.ParkedDue(t.Context(), j, time.Now(), "", 10)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, due)
	_, noted, err := w.SyncedIn(t.Context(), j, "zzz")
	require.NoError(t, err)
	assert.False(t, noted)
}
