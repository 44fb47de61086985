package activities

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// undone undoes a run and gives the undoing run with what it notes, by record.
func (w *world) undone(run string) (by string, result contract.SyncResult, notes map[string]string) {
	w.Helper()
	ref := w.begin(func(in *contract.SyncOpen) {
		in.Purpose, in.Base, in.Mode = contract.PurposeUndo, run, string(jobs.Full)
	})
	require.True(w, w.pages(ref).Finished)
	result = w.prove(contract.SyncEnding{SyncRef: ref})
	noted, err := w.store.Noted(w.Context(), ref.Run, 100)
	require.NoError(w, err)
	notes = map[string]string{}
	for _, c := range noted {
		notes[c.ExternalID] = c.Note
	}
	return ref.Run, result, notes
}

// states are those of a run's changes, by record.
func (w *world) states(run string) map[string]string {
	w.Helper()
	list, err := w.store.Changes(w.Context(), run, nil, "", 100)
	require.NoError(w, err)
	all := map[string]string{}
	for _, c := range list {
		all[c.ExternalID] = c.State
	}
	return all
}

// lostRun begins a run whose worker dies over its first page: of its writes
// those of the records named have landed, and nothing was settled. The next run
// takes it over.
func (w *world) lostRun(right *memory, landed ...string) (run string) {
	w.Helper()
	ref := w.begin(mode(jobs.Full))
	lands := map[any]bool{}
	for _, id := range landed {
		lands[id] = true
	}
	lost := fault.New(fault.Uncertain, "memory.lost", "the answer was lost")
	right.refuse = func(r record.Row) error {
		if lands[r.Fence.ExternalID] {
			return nil
		}
		return lost
	}
	right.lose = func(record.Row) error { return lost }
	_, err := w.syncs.SyncPages(w.Context(), ref)
	require.Error(w, err)
	right.refuse, right.lose = nil, nil
	w.syncs.Alive = func(context.Context, string) (bool, error) { return false, nil }
	return ref.Run
}

// TestUndoOfALostRun: a run was lost with its workflow while a page was being
// written. Undoing it finds out by the records which of its writes landed, puts
// these back, leaves the others, and lists what somebody changed since.
func TestUndoOfALostRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(4), newMemory()
	w.pair(left, right)
	require.Equal(t, "success", w.run().Status)
	for _, id := range []string{"1", "2", "3", "4"} {
		left.edit(id, record.Values{"price": decimal.NewFromInt(1000), "name": "dear"})
	}
	left.add(thing(5)) // 5: lands
	left.add(thing(6)) // 6: does not
	lost := w.lostRun(right, "1", "3", "5")
	require.Equal(t, map[string]string{"1": "intent", "2": "intent", "3": "intent", "4": "intent", "5": "intent", "6": "intent"}, w.states(lost))
	right.edit(w.there("3"), record.Values{"name": "a person's"})
	right.edit(w.there("4"), record.Values{"name": "another person's"})

	by, _, notes := w.undone(lost)
	assert.Equal(t, map[string]string{"1": "done", "2": "refused", "3": "done", "4": "done", "5": "done", "6": "refused"}, w.states(lost), "no intent stays open")
	assert.Equal(t, map[string]string{"3": "changed since: name", "4": "changed since: name, price"}, notes)
	assert.Equal(t, map[string]string{"1": "done", "3": "done", "4": "left", "5": "done"}, w.states(by))
	for _, id := range []string{"1", "2", "3", "4"} {
		assert.True(t, record.Equal(right.of(w.there(id))["price"], thing(number(id))["price"]), "the price of %s is what it was", id)
	}
	assert.Equal(t, thing(1)["name"], right.of(w.there("1"))["name"])
	assert.Equal(t, "a person's", right.of(w.there("3"))["name"])
	found, err := right.FindRecords(t.Context(), things, "sku", []string{sku(5), sku(6)})
	require.NoError(t, err)
	require.Len(t, found[sku(5)], 1)
	assert.Empty(t, found[sku(6)])
	assert.Equal(t, false, right.of(found[sku(5)][0])["active"], "what it made is set aside")
	status, err := w.store.Run(t.Context(), lost)
	require.NoError(t, err)
	assert.Equal(t, "run.lost", status.Code)
}

// TestUndoKnowsWhoWroteLater: what a later run wrote, since the lost one had
// not, is the later one's to undo.
func TestUndoKnowsWhoWroteLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right)
	require.Equal(t, "success", w.run().Status)
	left.edit("1", record.Values{"name": "landed"})
	left.edit("2", record.Values{"name": "did not land"})
	left.add(thing(3))
	lost := w.lostRun(right, "1")
	ref := w.begin(mode(jobs.Full))
	w.pages(ref)
	require.Equal(t, "success", w.prove(contract.SyncEnding{SyncRef: ref}).Status)
	require.Equal(t, map[string]string{"2": "done", "3": "done"}, w.states(ref.Run), "1 was there already")

	by, result, notes := w.undone(lost)
	assert.Equal(t, map[string]string{"3": "made, or made once more, by " + ref.Run + ": undo that"}, notes)
	assert.Equal(t, map[string]string{"1": "done", "3": "left"}, w.states(by))
	assert.Equal(t, thing(1)["name"], right.of(w.there("1"))["name"])
	assert.Equal(t, "did not land", right.of(w.there("2"))["name"], "written by the later run")
	assert.Equal(t, counts(2, "updated", 1, "skipped.changed_since", 1), result.Counts)
}

// TestUndoOfWritesThatHaveNoKey: a record without key fields cannot be looked
// for; whether it was made is for a person to say.
func TestUndoOfWritesThatHaveNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1), newMemory()
	w.pair(left, right, func(_ *jobs.Job, m *mapping.Mapping) { m.Match, m.Fields[0].Key = mapping.ByBinding, false })
	lost := w.lostRun(right, "1")
	_, _, notes := w.undone(lost)
	assert.Contains(t, notes["1"], "whether it was made is not known")
	assert.Equal(t, map[string]string{"1": "intent"}, w.states(lost))
}

// landing is a system in which something lands just before records are looked
// up for the first time.
type landing struct {
	*memory
	once sync.Once
	late func()
}

func (l *landing) RecordsByID(ctx context.Context, model string, ids, fields []string) ([]record.Sourced, error) {
	l.once.Do(l.late)
	return l.memory.RecordsByID(ctx, model, ids, fields)
}

// clocksDiffer is how much less of the time may have passed by our clock than
// by PostgreSQL's, from whose the end of a wait is reckoned.
const clocksDiffer = 100 * time.Millisecond

// TestUndoWaitsForWhatIsOnItsWay: a write that was sent just now may land yet.
func TestUndoWaitsForWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1), newMemory()
	w.pair(left, right)
	require.Equal(t, "success", w.run().Status)
	was := right.of(w.there("1"))["name"]
	left.edit("1", record.Values{"name": "late"})
	lost := w.lostRun(right)
	right.linger = time.Second
	sent := time.Now()
	w.exec(`UPDATE change SET at = now() WHERE run = $1`, lost)
	id := w.there("1")
	w.connect("right", &landing{memory: right, late: func() { // at the last moment at which it may
		assert.GreaterOrEqual(t, time.Since(sent), right.linger-clocksDiffer, "it looks before that")
		right.edit(id, record.Values{"name": "late"})
	}})
	_, _, notes := w.undone(lost)
	assert.Empty(t, notes)
	assert.Equal(t, was, right.of(id)["name"])
}

// TestSecondUndo: what an earlier undo put back is told as that, by run; what
// somebody has put right in between is put back now.
func TestSecondUndo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right)
	require.Equal(t, "success", w.run().Status)
	for _, id := range []string{"1", "2", "3"} {
		left.edit(id, record.Values{"price": decimal.NewFromInt(1000), "name": "dear"})
	}
	left.add(thing(4))
	ref := w.begin(mode(jobs.Full))
	w.pages(ref)
	w.prove(contract.SyncEnding{SyncRef: ref})
	right.edit(w.there("2"), record.Values{"name": "a person's"})
	right.edit(w.there("3"), record.Values{"name": "a person's", "price": decimal.NewFromInt(7)})

	first, _, notes := w.undone(ref.Run)
	assert.Equal(t, map[string]string{"2": "changed since: name", "3": "changed since: name, price"}, notes)
	right.edit(w.there("3"), record.Values{"name": "dear"}) // the person thought better of it

	second, result, notes := w.undone(ref.Run)
	assert.Equal(t, map[string]string{
		"1": "put back by " + first + " already: name, price",
		"2": "put back by " + first + " already: price; changed since: name",
		"3": "changed since: price",
		"4": "put back by " + first + " already: active",
	}, notes)
	assert.Equal(t, map[string]string{"1": "left", "2": "left", "3": "done", "4": "left"}, w.states(second))
	assert.Equal(t, counts(4, "updated", 1, "skipped.changed_since", 1, "skipped.undone_before", 2), result.Counts)
	assert.Equal(t, thing(3)["name"], right.of(w.there("3"))["name"])
}

// TestUndoOfAnArchiving: a run that archived what its source archived is undone by
// taking the record back.
func TestUndoOfAnArchiving(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1), newMemory()
	w.pair(left, right, archiving)
	require.Equal(t, "success", w.run().Status)
	left.edit("1", record.Values{"active": false})
	ref := w.begin(mode(jobs.Full))
	w.pages(ref)
	w.prove(contract.SyncEnding{SyncRef: ref})
	require.Equal(t, false, right.of(w.there("1"))["active"])
	_, _, notes := w.undone(ref.Run)
	assert.Empty(t, notes)
	assert.Equal(t, true, right.of(w.there("1"))["active"])
}

// TestUndoOfBothWays: what a run wrote to its target and to its source is put back on
// either side, and what it made there is set aside.
func TestUndoOfBothWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right, bidirectional)
	require.Equal(t, "success", w.run().Status)
	one, two := w.there("1"), w.there("2")
	left.edit("1", record.Values{"name": "from the left"})
	right.edit(one, record.Values{"note": "from the right"}) // both sides of one record
	right.edit(two, record.Values{"price": decimal.NewFromInt(77)})
	left.add(thing(8))
	right.add(thing(9))
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	run := "sync/things-0002"
	require.Equal(t, []any{"from the left", "from the right"}, []any{right.of(one)["name"], left.of("1")["note"]})
	made, err := left.FindRecords(t.Context(), things, "sku", []string{sku(9)})
	require.NoError(t, err)
	require.Len(t, made[sku(9)], 1)
	right.edit(w.there("4"), record.Values{"name": "touched"})

	_, result, notes := w.undone(run)
	require.Equal(t, "success", result.Status, "%s %v", result.Sentence, notes)
	assert.Equal(t, map[string]string{"4": "changed since: name"}, notes)
	assert.Equal(t, thing(1)["name"], right.of(one)["name"])
	assert.Nil(t, left.of("1")["note"])
	assert.Equal(t, []any{"from the left", "from the right"}, []any{left.of("1")["name"], right.of(one)["note"]}, "what persons wrote stays")
	assert.True(t, record.Equal(left.of("2")["price"], thing(2)["price"]))
	assert.Equal(t, false, left.of(made[sku(9)][0])["active"], "made in the source")
	assert.Equal(t, true, right.of(w.there("4"))["active"])
}
