package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/store"
)

const month = 30 * 24 * time.Hour

func TestPurgeKeepsWhatIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := fault.New(fault.Invalid, "x.y", "no")
	for id, st := range map[string]store.Settlement{
		"settled": {Outcome: "applied"}, "parked": {Outcome: "parked", Fault: bad}, "again": {Outcome: "applied"}, "young": {Outcome: "applied"},
	} {
		w.accept(t, event(id, "", 1))
		p := w.begin(t, id)
		if id == "again" {
			w.accept(t, event(id, "", 2))
		}
		w.settle(t, p, st)
	}
	w.accept(t, event("new", "", 1))
	w.exec(t, `UPDATE inbound_event SET settled_at = settled_at - interval '40 days', received_at = received_at - interval '40 days' WHERE external_id <> 'young'`)
	n, err := w.PurgeInbound(t.Context(), month)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM inbound_event WHERE external_id = 'settled'`))
	require.Equal(t, 5, one[int](t, w, `SELECT count(*) FROM inbound_event`))
	require.Equal(t, 5, one[int](t, w, `SELECT count(*) FROM inbound_body`))
	w.whole(t)
}

func TestPurgeTakesManyBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, `INSERT INTO object (connection, kind, external_id) VALUES ('shop', 'order', '1')`)
	w.exec(t, `INSERT INTO inbound_event (connection, kind, external_id, topic, version, complete, state, settled_at)
		SELECT 'shop', 'order', '1', 't', i, true, 'done', now() - interval '40 days' FROM generate_series(1, 2500) i`)
	n, err := w.PurgeInbound(t.Context(), month)
	require.NoError(t, err)
	require.EqualValues(t, 2500, n)
}

func TestPurgeJournalAndParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := fault.New(fault.Invalid, "x.y", "no")
	w.accept(t, event("1", "", 1), event("2", "", 1))
	for range 3 {
		w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked", Fault: bad})
		w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied"})
	}
	w.settle(t, w.begin(t, "2"), store.Settlement{Outcome: "parked", Fault: bad})
	p := w.begin(t, "1")
	_, err := w.Intent(t.Context(), p, 1, "d", nil)
	require.NoError(t, err)
	w.exec(t, `UPDATE journal SET at = at - interval '40 days'`)
	w.exec(t, `UPDATE parked SET since = since - interval '40 days', last_at = last_at - interval '40 days', resolved_at = resolved_at - interval '40 days'`)
	n, err := w.PurgeJournal(t.Context(), month)
	require.NoError(t, err)
	require.EqualValues(t, 6, n)
	require.Equal(t, "intent,settled", one[string](t, w, `SELECT string_agg(state, ',' ORDER BY state) FROM journal`), "open intents and each object's last row stay")
	n, err = w.PurgeParked(t.Context(), month)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	require.Equal(t, "2/open", one[string](t, w, `SELECT external_id || '/' || state FROM parked`))
}

func TestTrailTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tax := fault.New(fault.Invalid, "tax.unmatched", "no tax of 20 %%").WithFamily("20").WithResolution("map it")
	for i := range 3 {
		id := fmt.Sprint(i)
		w.accept(t, event(id, "d"+id, 1))
		w.settle(t, w.begin(t, id), store.Settlement{Outcome: "parked", Code: tax.Code, Fault: tax, Stage: "draft",
			Bind: &store.Bind{TargetID: "7", Name: "S0007"}, Needs: needs("A")})
	}
	w.accept(t, event("0", "late", 2))
	trail, err := w.Trail(t.Context(), order("0"))
	require.NoError(t, err)
	require.Equal(t, order("0"), trail.Key)
	require.Equal(t, "parked/tax.unmatched/draft/odoo/7/S0007", fmt.Sprintf("%s/%s/%s/%s/%s/%s", trail.Outcome.String, trail.Code.String,
		trail.Stage.String, trail.Target.String, trail.TargetID.String, trail.TargetName.String))
	require.Equal(t, tax.Message, trail.Message.String)
	require.Equal(t, "map it", trail.Resolution.String)
	require.Equal(t, 2, trail.Siblings)
	require.Equal(t, needs("A"), trail.Waits)
	require.True(t, trail.DueAt.Valid)
	require.Len(t, trail.Events, 2)
	require.Equal(t, "done/parked/d0", trail.Events[0].State+"/"+trail.Events[0].Outcome.String+"/"+trail.Events[0].DeliveryID.String)
	require.Equal(t, "pending", trail.Events[1].State)
	require.Len(t, trail.Steps, 1)
	require.Equal(t, "null", string(trail.Steps[0].Before))
	_, err = w.Trail(t.Context(), order("nope"))
	require.Equal(t, "object.unknown", fault.Of(err).Code)

	families, err := w.Families(t.Context())
	require.NoError(t, err)
	require.Len(t, families, 1, "one cause, one family")
	require.Equal(t, 3, families[0].N)
	require.Equal(t, tax.Fingerprint(), families[0].Fingerprint)
	require.Equal(t, "order/shop/0", families[0].Example)
}

func TestTalliesAndBacklogCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, st := range []store.Settlement{{Outcome: "applied", Stage: "confirmed"}, {Outcome: "applied", Stage: "confirmed"},
		{Outcome: "parked", Code: "x.y", Fault: fault.New(fault.Invalid, "x.y", "no")}} {
		id := fmt.Sprint(i)
		w.accept(t, event(id, "", 1))
		w.settle(t, w.begin(t, id), st)
	}
	w.accept(t, event("0", "", 2), event("new", "", 1))
	w.exec(t, `UPDATE object SET due_at = now() - interval '90 minutes' WHERE external_id = 'new'`)
	want := []store.Tally{
		{N: 1, Due: 1}, {Outcome: "applied", Stage: "confirmed", N: 2, Due: 1}, {Outcome: "parked", Code: "x.y", N: 1},
	}
	for _, connection := range []string{"", "shop"} {
		got, err := w.Tallies(t.Context(), connection)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	none, err := w.Tallies(t.Context(), "other")
	require.NoError(t, err)
	require.Empty(t, none)

	b, err := w.Backlog(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 90, b.Oldest.Minutes(), 3)
	b.Oldest, b.OldestSec = 0, 0
	require.Equal(t, store.Backlog{Pending: 2, Due: 2, Overdue: 1, Parked: 1}, b)
	w.exec(t, `UPDATE object SET due_at = NULL WHERE external_id = 'new'`)
	b, err = w.Backlog(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, b.Broken, "the alarm rings when the invariant is broken")
	w.exec(t, `DELETE FROM object WHERE external_id = 'new'`)
	n, err := w.Broken(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n, "also when there is no object at all")
}

func TestEditsWaitForTheirPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, err := w.SaveEdit(t.Context(), order("1"), json.RawMessage(`{"note":"größe"}`), "ann", "typo")
	require.NoError(t, err)
	patch, err := w.Edit(t.Context(), order("1"), id)
	require.NoError(t, err)
	require.JSONEq(t, `{"note":"größe"}`, string(patch))
	_, err = w.Edit(t.Context(), order("2"), id)
	require.True(t, fault.Is(err, fault.NotFound), "an edit belongs to its object")
	_, err = w.SaveEdit(t.Context(), order("1"), json.RawMessage(`{broken`), "ann", "")
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
}

func TestBusyCountsWhatIsNotYetDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"done", "again", "later"} {
		w.accept(t, event(id, "", 1))
	}
	at := time.Now().Add(time.Hour)
	w.settle(t, w.begin(t, "done"), store.Settlement{Outcome: "applied"})
	w.settle(t, w.begin(t, "later"), store.Settlement{Outcome: "waiting", WakeAt: &at})
	w.settle(t, w.begin(t, "again"), store.Settlement{Outcome: "applied"})
	w.accept(t, event("again", "", 2), event("new", "", 1))
	w.claim(t, 10) // hidden, but still to be done
	busy, done, err := w.Busy(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, 2, busy)
	require.Equal(t, 3, done)
}
