package store_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

func superseded(t *testing.T, err error) {
	t.Helper()
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	require.Equal(t, "object.superseded", fault.Of(err).Code)
}

// A pass that was overtaken changes nothing at all, whatever it wants.
func TestZombieSettlesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	zombie := w.begin(t, "1")
	_, err := w.Intent(t.Context(), zombie, 1, "dig", nil)
	require.NoError(t, err)
	current := w.begin(t, "1")
	require.Equal(t, 1, current.Attempts, "an earlier pass may have written")

	before := w.snapshot(t)
	_, _, err = w.Settle(t.Context(), zombie, store.Settlement{
		Outcome: "parked", Code: "x", Stage: "confirmed", Version: version(9), Digest: "z", Needs: []string{store.Need("shop", "product", "sku:A")},
		Bind: &store.Bind{TargetID: "1"}, Fault: fault.New(fault.Invalid, "x.y", "no"), SkipAll: true, Override: json.RawMessage(`{}`),
	})
	superseded(t, err)
	_, err = w.Intent(t.Context(), zombie, 2, "dig", nil)
	superseded(t, err)
	require.Equal(t, before, w.snapshot(t))

	w.settle(t, current, store.Settlement{Outcome: "applied"})
	_, _, err = w.Settle(t.Context(), zombie, store.Settlement{Outcome: "applied"})
	superseded(t, err)
	w.whole(t)
}

// snapshot is all that a pass could change, as text.
func (w *world) snapshot(t *testing.T) string {
	return one[string](t, w, `SELECT json_build_array(
		(SELECT json_agg(o) FROM object o), (SELECT json_agg(e) FROM inbound_event e), (SELECT json_agg(b) FROM binding b),
		(SELECT json_agg(j) FROM journal j), (SELECT json_agg(p) FROM parked p), (SELECT json_agg(x) FROM wait x))::text`)
}

func TestSettleGoesAgainWhenSomethingCameIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "a", 1))
	p := w.begin(t, "1")
	w.accept(t, event("1", "b", 2))
	again, _ := w.settle(t, p, store.Settlement{Outcome: "applied"})
	require.True(t, again)
	require.True(t, w.dueAt(t, "1").Valid, "if the next pass never comes, the dispatcher does")
	require.Equal(t, "done", one[string](t, w, `SELECT state FROM inbound_event WHERE delivery_id = 'a'`))
	require.Equal(t, "pending", one[string](t, w, `SELECT state FROM inbound_event WHERE delivery_id = 'b'`))
	w.whole(t)

	p = w.begin(t, "1")
	require.Len(t, p.Events, 1, "what is done is not read again")
	again, _ = w.settle(t, p, store.Settlement{Outcome: "applied"})
	require.False(t, again)
	require.False(t, w.dueAt(t, "1").Valid)
}

// TestAnOrderThatIsToBeLookedAtWhileItsPassRunsHasNotSettled: what a pass wrote
// that had begun before keeps neither its next pass from looking into the target
// nor a run from waiting for that.
func TestAnOrderThatIsToBeLookedAtWhileItsPassRunsHasNotSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "a", 1))
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied", Digest: "written"})
	w.accept(t, event("1", "b", 2))
	p := w.begin(t, "1")
	require.Equal(t, "written", p.AppliedDigest)
	require.NoError(t, w.LookAgain(t.Context(), p.Connection, p.Kind, []string{"1"}))
	again, _ := w.settle(t, p, store.Settlement{Outcome: "applied", Digest: "written"})
	require.True(t, again)
	require.False(t, one[bool](t, w, `SELECT settled_at IS NOT NULL FROM object`))
	p = w.begin(t, "1")
	require.Empty(t, p.AppliedDigest, "so the target is asked")
	again, _ = w.settle(t, p, store.Settlement{Outcome: "unchanged", Digest: "written"})
	require.False(t, again)
	require.True(t, one[bool](t, w, `SELECT settled_at IS NOT NULL FROM object`))
}

func TestSettleWakeAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	at := time.Now().Add(3 * time.Hour).Truncate(time.Microsecond)
	p := w.begin(t, "1")
	again, _ := w.settle(t, p, store.Settlement{Outcome: "waiting", Code: "order.unpaid", WakeAt: &at, Slow: true})
	require.False(t, again)
	require.True(t, at.Equal(w.dueAt(t, "1").Time))
	p = w.begin(t, "1")
	require.Equal(t, 1, p.SlowTries)
	w.settle(t, p, store.Settlement{Outcome: "applied"})
	require.False(t, w.dueAt(t, "1").Valid)
	require.Zero(t, w.begin(t, "1").SlowTries)
}

func TestSettleKeepsWhatItDoesNotSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 5))
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied", Stage: "confirmed", Version: version(5), Digest: "d5", Override: json.RawMessage(`{"a":1}`)})
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "unchanged", Version: version(3)})
	p := w.begin(t, "1")
	require.Equal(t, "confirmed", p.Stage.String)
	require.Equal(t, version(5), p.AppliedVersion, "a version never goes back")
	require.Equal(t, "d5", p.AppliedDigest)
	require.JSONEq(t, `{"a":1}`, string(p.Override))
	require.False(t, p.SkipVersion.Valid)
	w.settle(t, p, store.Settlement{Outcome: "skipped", SkipAll: true})
	require.Equal(t, version(5), w.begin(t, "1").SkipVersion.String, "the version that the operator saw")
}

func TestParkedOpensRefreshesResolves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	f := fault.New(fault.Invalid, "tax.unmatched", "no tax of 20 %%").WithField("lines[0]").WithFamily("20").WithResolution("map it").WithDetail("private")
	_, first := w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked", Code: f.Code, Fault: f})
	require.NotZero(t, first)
	other := fault.New(fault.Invalid, "sku.unknown", "no product")
	_, second := w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked", Code: other.Code, Fault: other})
	require.Equal(t, first, second, "one open row per object")
	require.Equal(t, "sku.unknown/2/open", one[string](t, w, `SELECT code || '/' || times || '/' || state FROM parked`))
	_, id := w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied"})
	require.Zero(t, id)
	require.Equal(t, "resolved/towpath", one[string](t, w, `SELECT state || '/' || resolved_by FROM parked`))
	_, third := w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked", Code: f.Code, Fault: f})
	require.NotEqual(t, first, third)
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "skipped", SkipAll: true, By: "ann"})
	require.Equal(t, "ignored/ann", one[string](t, w, `SELECT state || '/' || resolved_by FROM parked WHERE id = $1`, third))
}

func TestJournalTellsEveryPassThatMeantToWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	p := w.begin(t, "1")
	id, err := w.Intent(t.Context(), p, 2, "dig", json.RawMessage(`{"state":"draft"}`))
	require.NoError(t, err)
	until := time.Now().Add(130 * time.Second)
	require.NoError(t, w.Quarantine(t.Context(), p, "dig", until))
	require.Equal(t, "uncertain", one[string](t, w, `SELECT state FROM journal WHERE id = $1`, id))

	p = w.begin(t, "1") // the pass after a crash
	require.Equal(t, 1, p.Attempts)
	require.Equal(t, "dig", p.QuarantineDig)
	require.WithinDuration(t, until, p.QuarantineUntil.Time, time.Second)
	w.settle(t, p, store.Settlement{Outcome: "waiting"})
	p = w.begin(t, "1")
	require.True(t, p.QuarantineUntil.Valid)
	require.Equal(t, 1, p.Attempts, "waiting proves nothing: the write may have landed")
	w.settle(t, p, store.Settlement{Outcome: "applied", After: json.RawMessage(`{"state":"sale"}`), By: "ann", Note: "edit: typo"})
	p = w.begin(t, "1")
	require.Zero(t, p.Attempts)
	require.True(t, p.QuarantineUntil.Valid, "the unanswered request may still be running, whatever was proved")
	w.settle(t, p, store.Settlement{Outcome: "unchanged"})

	trail, err := w.Trail(t.Context(), order("1"))
	require.NoError(t, err)
	require.Len(t, trail.Steps, 2, "the intent, open until the target was read back; the wait in between; and no row for a pass that changed nothing")
	require.Equal(t, "settled", trail.Steps[0].State)
	require.Equal(t, "applied", trail.Steps[0].Outcome.String)
	require.Equal(t, 2, trail.Steps[0].Attempt)
	require.JSONEq(t, `{"state":"draft"}`, string(trail.Steps[0].Before))
	require.Equal(t, "ann", trail.Steps[0].By)
	require.Equal(t, "edit: typo", trail.Steps[0].Note.String)
	require.Equal(t, "waiting", trail.Steps[1].Outcome.String)
}

func TestIntentKeepsBeforeAndAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	p := w.begin(t, "1")
	_, err := w.Intent(t.Context(), p, 1, "dig", json.RawMessage(`{"a":1}`))
	require.NoError(t, err)
	w.settle(t, p, store.Settlement{Outcome: "applied", After: json.RawMessage(`{"a":2}`), Bind: &store.Bind{TargetID: "5"}})
	require.Equal(t, `{"a": 1}{"a": 2}`, one[string](t, w, `SELECT before::text || after::text FROM journal`))
	require.Equal(t, 0, one[int](t, w, `SELECT cardinality(line_xids) FROM binding`), "a binding without lines is one, too")
	require.True(t, one[bool](t, w, `SELECT xid IS NULL FROM binding`), "adopted")
}

// Content that was read is the newest of its object, and never lies about.
func TestPutContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put := func(at int) {
		require.NoError(t, w.PutContent(t.Context(), order("1"), version(at), record.Order{ExternalID: "1", Version: version(at)}))
	}
	bare := event("1", "", 7)
	bare.Event.Complete = false
	w.accept(t, bare)
	w.claim(t, 1)
	hidden := w.dueAt(t, "1")
	put(4)
	require.Equal(t, hidden, w.dueAt(t, "1"), "the pass that asked for it follows: nobody else is called")
	p := w.begin(t, "1")
	require.Equal(t, store.FormatRecord, p.Format.String)
	require.Equal(t, version(7), p.Version.String, "read after the event, so at least as new")
	var o record.Order
	require.NoError(t, json.Unmarshal(p.Body, &o))
	require.Equal(t, "1", o.ExternalID)
	again, _ := w.settle(t, p, store.Settlement{Outcome: "applied"})
	require.False(t, again, "one pass deals with event and content")

	put(9) // a reading that comes after its pass has settled
	w.whole(t)
	require.True(t, w.dueAt(t, "1").Valid)
	p = w.begin(t, "1")
	put(10) // and one in the middle of a pass
	again, _ = w.settle(t, p, store.Settlement{Outcome: "applied"})
	require.True(t, again)
	w.whole(t)
	require.NoError(t, w.PutContent(t.Context(), order("new"), version(1), record.Order{}))
	w.whole(t)
}

func TestOlderThan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("inbox", "", 5))
	w.accept(t, event("applied", "", 5))
	w.settle(t, w.begin(t, "applied"), store.Settlement{Outcome: "applied", Version: version(5)})
	w.exec(t, `DELETE FROM inbound_event WHERE external_id = 'applied'`) // long purged
	ask := func(at int) map[string]bool {
		older, err := w.OlderThan(t.Context(), "shop", "order", map[string]string{"inbox": version(at), "applied": version(at), "unknown": version(at)})
		require.NoError(t, err)
		return older
	}
	require.Equal(t, map[string]bool{"unknown": true}, ask(5))
	require.Equal(t, map[string]bool{"unknown": true}, ask(4))
	require.Equal(t, map[string]bool{"unknown": true, "inbox": true, "applied": true}, ask(6))
	none, err := w.OlderThan(t.Context(), "shop", "order", nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestUnbindMakesDueAndForgetsTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied", Stage: "confirmed", Digest: "d", Bind: &store.Bind{TargetID: "7", XID: "x"}})
	running := w.begin(t, "1")
	require.NoError(t, w.Unbind(t.Context(), order("1"), "ann"))
	again, _ := w.settle(t, running, store.Settlement{Outcome: "unchanged"})
	require.True(t, again, "a pass under way does not swallow it")
	p := w.begin(t, "1")
	require.False(t, p.BoundID.Valid)
	require.Empty(t, p.AppliedDigest)
	require.Equal(t, "untied", one[string](t, w, `SELECT outcome FROM journal WHERE by = 'ann'`))
	require.True(t, fault.Is(w.Unbind(t.Context(), order("nope"), "ann"), fault.NotFound))
}

func TestWake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	p := w.begin(t, "1")
	found, err := w.Wake(t.Context(), order("1"), time.Now())
	require.NoError(t, err)
	require.True(t, found)
	again, _ := w.settle(t, p, store.Settlement{Outcome: "applied"})
	require.True(t, again)
	found, err = w.Wake(t.Context(), order("nope"), time.Now())
	require.NoError(t, err)
	require.False(t, found)
}

func TestBeginOfAManyTimesChangedObjectStillEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 4)
	for range 4 { // four passes fight for one object
		go func() {
			for ctx.Err() == nil {
				p, err := w.Begin(context.Background(), order("1"), time.Minute)
				if err == nil {
					_, _, err = w.Settle(context.Background(), p, store.Settlement{Outcome: "applied"})
				}
				if err != nil && !fault.Is(err, fault.Conflict) {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for i := range 50 {
		w.accept(t, event("1", "", i))
	}
	cancel()
	for range 4 {
		require.NoError(t, <-done)
	}
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied"})
	w.whole(t)
	require.False(t, w.dueAt(t, "1").Valid)
}
