package activities

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// runNamed is a run of the job, and its id.
func (w *world) runNamed(change ...func(*contract.SyncOpen)) (run string, result contract.SyncResult) {
	w.Helper()
	ref := w.begin(change...)
	require.True(w, w.pages(ref).Finished)
	return ref.Run, w.prove(contract.SyncEnding{SyncRef: ref})
}

// TestUndoneComesAgain: what was put back stays so, also when the overlap reads the
// record again, until the source changes it, or a full run is asked for.
func TestUndoneComesAgain(t *testing.T) {
	t.Parallel()
	for name, bring := range map[string]func(*world, *memory) contract.SyncResult{
		"full run": func(w *world, _ *memory) contract.SyncResult { return w.run(mode(jobs.Full)) },
		"named": func(w *world, _ *memory) contract.SyncResult {
			return w.run(func(in *contract.SyncOpen) { in.Only = []string{"1"} })
		},
		"changed": func(w *world, left *memory) contract.SyncResult {
			left.edit("1", record.Values{"price": decimal.New(7, 0)})
			return w.run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left, right := newMemory().fill(2), newMemory()
			w.pair(left, right, incremental)
			w.run(mode(jobs.Full))
			left.edit("1", record.Values{"name": "new name", "note": nil})
			right.edit(w.there("1"), record.Values{"note": "of the target"})
			run, result := w.runNamed(mode(jobs.Full))
			require.EqualValues(t, 1, result.Counts["updated"])
			w.undone(run)
			was := right.of(w.there("1"))
			require.Equal(t, thing(1)["name"], was["name"])
			require.Zero(t, jobs.CountsOf(w.run().Counts).Applied())
			require.Equal(t, was, right.of(w.there("1")))

			require.EqualValues(t, 1, bring(w, left).Counts["updated"])
			require.Equal(t, "new name", right.of(w.there("1"))["name"])
			require.Equal(t, "of the target", right.of(w.there("1"))["note"])
			require.Zero(t, jobs.CountsOf(w.run(mode(jobs.Full)).Counts).Applied())
		})
	}
}

// inStepBothWays is inStep with a job that reads what changed.
func inStepBothWays(t *testing.T) (w *world, left, right *memory, id string) {
	t.Helper()
	w, left, right, id = inStep(t)
	w.pair(left, right, incremental, bidirectional)
	return w, left, right, id
}

// TestUndoneBothWays: what is put back on one side is no change that the other has
// to follow.
func TestUndoneBothWays(t *testing.T) {
	t.Parallel()
	w, left, right, id := inStepBothWays(t)
	left.edit("2", record.Values{"name": "edited left"})
	run, _ := w.runNamed()
	w.undone(run)
	w.quietly(left, right)
	assert.Equal(t, "edited left", left.of("2")["name"], "the source still says what it said")
	assert.Equal(t, thing(2)["name"], right.of(id)["name"])

	right.edit(id, record.Values{"note": "edited right"})
	require.Equal(t, "success", w.run().Status)
	assert.Equal(t, "edited right", left.of("2")["note"])
	assert.Equal(t, "edited left", left.of("2")["name"])
	w.run()
	sameThings(t, left, right)
	w.quietly(left, right)

	// And on the way back.
	right.edit(id, record.Values{"name": "edited right"})
	run, _ = w.runNamed()
	require.Equal(t, "edited right", left.of("2")["name"])
	w.undone(run)
	w.quietly(left, right)
	assert.Equal(t, "edited left", left.of("2")["name"])
	assert.Equal(t, "edited right", right.of(id)["name"])
	right.edit(id, record.Values{"price": decimal.New(3, 0)})
	w.run()
	assert.Equal(t, "edited right", left.of("2")["name"])
	w.run()
	sameThings(t, left, right)
}

// TestUndoneChangesThatNobodySaw: what the target changed before the undo still
// goes to the source.
func TestUndoneChangesThatNobodySaw(t *testing.T) {
	t.Parallel()
	w, left, right, id := inStepBothWays(t)
	left.edit("2", record.Values{"name": "edited left"})
	run, _ := w.runNamed()
	right.edit(id, record.Values{"note": "edited right"})
	w.undone(run)
	require.Equal(t, "success", w.run().Status)
	assert.Equal(t, "edited left", left.of("2")["name"])
	assert.Equal(t, "edited right", left.of("2")["note"])
}

// TestUndoneArchiving: neither is a record of the source set aside, or taken back,
// because an undo did that to its counterpart.
func TestUndoneArchiving(t *testing.T) {
	t.Parallel()
	both := func(j *jobs.Job, m *mapping.Mapping) {
		incremental(j, m)
		bidirectional(j, m)
		archiving(j, m)
	}
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right, both)
	made, _ := w.runNamed(mode(jobs.Full))
	w.undone(made)
	require.Equal(t, false, right.of(w.there("1"))["active"])
	w.quietly(left, right)
	require.Equal(t, true, left.of("1")["active"])
	require.EqualValues(t, 2, w.run(mode(jobs.Full)).Counts["updated"])
	require.Equal(t, true, right.of(w.there("1"))["active"])
	w.quietly(left, right)

	left.edit("1", record.Values{"active": false})
	archived, _ := w.runNamed()
	require.Equal(t, false, right.of(w.there("1"))["active"])
	w.undone(archived)
	require.Equal(t, true, right.of(w.there("1"))["active"])
	w.quietly(left, right)
	require.Equal(t, false, left.of("1")["active"])
	require.EqualValues(t, 1, w.run(mode(jobs.Full)).Counts["archived"])
	require.Equal(t, false, right.of(w.there("1"))["active"])

	// Made in the source, by the way back.
	right.add(thing(9))
	back, _ := w.runNamed()
	require.Equal(t, 3, left.size())
	w.undone(back)
	require.Equal(t, false, left.bySKU(t)[sku(9)]["active"])
	w.quietly(left, right)
	require.Equal(t, true, right.bySKU(t)[sku(9)]["active"])
}
