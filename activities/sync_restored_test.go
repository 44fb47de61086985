package activities

import (
	"testing"

	"github.com/shopspring/decimal"
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

// TestSyncRestored: what was changed in a record while it was set aside, or
// together with that, comes over when it is taken back.
func TestSyncRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right, archiving)
	require.Equal(t, counts(3, "created", 3), w.run().Counts)

	left.edit("1", record.Values{"active": false, "price": decimal.New(100, 0)}) // at once
	left.edit("2", record.Values{"active": false})
	require.Equal(t, counts(3, "archived", 2, "unchanged", 1), w.run().Counts)
	left.edit("2", record.Values{"price": decimal.New(200, 0)}) // while it is away
	require.Equal(t, counts(3, "unchanged", 3), w.run().Counts)
	left.edit("1", record.Values{"active": true})
	left.edit("2", record.Values{"active": true, "name": "back again"})
	require.Equal(t, counts(3, "updated", 2, "unchanged", 1), w.run().Counts)
	require.Equal(t, true, right.bySKU(t)[sku(1)]["active"])
	sameThings(t, left, right)
	require.Equal(t, counts(3, "unchanged", 3), w.run().Counts)
}

// TestSyncRestoredInTarget: so it is on the way back.
func TestSyncRestoredInTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right, bidirectional, archiving)
	w.run()
	left.edit("1", record.Values{"active": false})
	require.Equal(t, "success", w.run().Status)
	id := w.there("1")
	require.Equal(t, false, right.of(id)["active"])
	right.edit(id, record.Values{"active": true, "name": "taken back there"})
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, true, left.of("1")["active"])
	require.Equal(t, "taken back there", left.of("1")["name"])
	sameThings(t, left, right)
	w.quietly(left, right)
}

// TestSyncRestoredAfterBothChanged: what the target had changed when the record was
// set aside comes back with it.
func TestSyncRestoredAfterBothChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right, bidirectional, archiving)
	w.run()
	id := w.there("1")
	left.edit("1", record.Values{"active": false})
	right.edit(id, record.Values{"note": "of the target"})
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, false, right.of(id)["active"])
	left.edit("1", record.Values{"active": true, "name": "back"})
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, "of the target", left.of("1")["note"])
	sameThings(t, left, right)
	w.quietly(left, right)
}

// shelved archives by a field that holds more than a yes or no.
type shelved struct{ *memory }

func (shelved) ArchiveField(string) (field string, archived, active any) {
	return "note", "ARCHIVED", "ACTIVE"
}

// TestSyncRestoredAsItWas: what was a draft before it was set aside is one again, and not
// for sale.
func TestSyncRestoredAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right, archiving, func(_ *jobs.Job, m *mapping.Mapping) { m.Fields = m.Fields[:3] })
	w.connect("right", shelved{right})
	w.run()
	notes := func() []any { return []any{right.of(w.there("1"))["note"], right.of(w.there("2"))["note"]} }
	right.edit(w.there("1"), record.Values{"note": "DRAFT"})
	for _, id := range []string{"1", "2"} {
		left.edit(id, record.Values{"active": false})
	}
	ref := w.begin()
	require.True(t, w.pages(ref).Finished)
	require.Equal(t, "success", w.prove(contract.SyncEnding{SyncRef: ref}).Status)
	require.Equal(t, []any{"ARCHIVED", "ARCHIVED"}, notes())
	w.undone(ref.Run)
	require.Equal(t, []any{"DRAFT", "ACTIVE"}, notes())
	for _, id := range []string{"1", "2"} {
		left.edit(id, record.Values{"active": true, "name": "again"})
	}
	w.run()
	for _, id := range []string{"1", "2"} {
		left.edit(id, record.Values{"active": false, "name": "and again"})
	}
	w.run()
	require.Equal(t, []any{"ARCHIVED", "ARCHIVED"}, notes())
	w.quietly(left, right)
	for _, id := range []string{"1", "2"} {
		left.edit(id, record.Values{"active": true})
	}
	w.run()
	require.Equal(t, []any{"DRAFT", "ACTIVE"}, notes())
}
