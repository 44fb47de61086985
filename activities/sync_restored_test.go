package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// TestSyncRestoredWithChanges: what was changed in a record while it was archived
// comes along when it is taken back.
func TestSyncRestoredWithChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right, archiving)
	w.run()
	left.edit("2", record.Values{"active": false})
	require.Equal(t, counts(3, "archived", 1, "unchanged", 2), w.run().Counts)
	left.edit("2", record.Values{"active": true, "name": "changed meanwhile"})
	require.Equal(t, counts(3, "updated", 1, "unchanged", 2), w.run().Counts)
	require.Equal(t, true, right.of(w.there("2"))["active"])
	sameThings(t, left, right)

	// A plan says so, too, and what is approved is that.
	left.edit("3", record.Values{"active": false})
	w.run()
	left.edit("3", record.Values{"active": true, "note": "again"})
	plan := w.begin(func(in *contract.SyncOpen) { in.Purpose = contract.PurposePlan })
	require.True(t, w.pages(plan).Finished)
	w.prove(contract.SyncEnding{SyncRef: plan})
	changes, err := w.store.Changes(t.Context(), plan.Run, nil, "", 10)
	require.NoError(t, err)
	require.Len(t, changes, 1)
	require.Equal(t, record.Values{"active": true, "note": "again"}, changes[0].After)
	require.Equal(t, "restored_in_source", changes[0].Cause)
	approved := w.run(func(in *contract.SyncOpen) { in.Purpose, in.Base = contract.PurposeApprove, plan.Run })
	require.Equal(t, counts(1, "updated", 1), approved.Counts)
	sameThings(t, left, right)
}

// TestSyncRestoredInConflict: a record is taken back though a person has to decide
// about one of its fields.
func TestSyncRestoredInConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right, archiving, func(j *jobs.Job, _ *mapping.Mapping) { j.Conflict = jobs.Manual })
	w.run()
	left.edit("2", record.Values{"active": false})
	w.run()
	there := w.there("2")
	right.edit(there, record.Values{"name": "right's"})
	left.edit("2", record.Values{"active": true, "name": "left's", "note": "flows"})
	require.Len(t, w.run().Conflicts, 1)
	now := right.of(there)
	require.Equal(t, []any{true, "right's", "flows"}, []any{now["active"], now["name"], now["note"]})
	require.Equal(t, 1, w.number(`SELECT count(*) FROM conflict WHERE field = 'name'`))
}
