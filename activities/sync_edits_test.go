package activities

import (
	"strings"
	"sync"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// What has no way back stays where a person wrote it, until the source itself
// says something else.
func TestBothWaysLeavesWhatHasNoWayBack(t *testing.T) {
	t.Parallel()
	w, left, right, id := inStep(t, func(_ *jobs.Job, m *mapping.Mapping) {
		for i := range m.Fields {
			if m.Fields[i].Target == "note" {
				m.Fields[i].Direction = mapping.Import
			}
		}
	})
	right.edit(id, record.Values{"note": "of the right"})
	require.Equal(t, "success", w.run().Status)
	left.edit("2", record.Values{"name": "other"})
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, "other", right.of(id)["name"])
	require.Equal(t, "of the right", right.of(id)["note"], "the source said nothing about it")
	w.quietly(left, right)
	left.edit("2", record.Values{"note": "of the left"})
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, "of the left", right.of(id)["note"], "source wins")
	w.quietly(left, right)
}

// What the source cannot hold is told, and not taken for carried over.
func TestBothWaysTellsWhatCannotGoBack(t *testing.T) {
	t.Parallel()
	w, left, right, id := inStep(t)
	long := strings.Repeat("x", 41) // a SKU has 40 characters in the source
	right.fields = append([]record.FieldInfo{{Name: "sku", Type: record.TypeText}}, right.fields[1:]...)
	left.edit("2", record.Values{"name": "of the left"})
	right.edit(id, record.Values{"sku": long})
	result := w.run()
	require.Equal(t, "partial", result.Status, "%v", result.Counts)
	require.Equal(t, map[string]string{"2": "mapping.too_long"}, w.parked())
	left.edit("2", record.Values{"name": "of the left again"})
	w.run()
	require.Equal(t, long, right.of(id)["sku"], "the edit stays")
	right.edit(id, record.Values{"sku": "short"})
	w.due()
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, "short", left.of("2")["sku"])
	require.Equal(t, "of the left again", right.of(id)["name"])
	w.quietly(left, right)
}

// A plan says from what a field goes to what: another value there is another
// change, and nobody has approved that.
func TestApprovalLeavesWhatWasEditedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(2), newMemory()
	w.pair(left, right)
	w.run()
	left.edit("1", record.Values{"price": decimal.NewFromInt(12)})
	left.edit("2", record.Values{"price": decimal.NewFromInt(13)})
	plan := w.begin(func(in *contract.SyncOpen) { in.Purpose = contract.PurposePlan })
	require.True(t, w.pages(plan).Finished)
	w.prove(contract.SyncEnding{SyncRef: plan})

	right.edit(w.there("1"), record.Values{"price": decimal.NewFromInt(99)})
	result := w.run(func(in *contract.SyncOpen) { in.Purpose, in.Base = contract.PurposeApprove, plan.Run })
	require.Equal(t, counts(2, "updated", 1, "skipped.stale", 1), result.Counts)
	require.Equal(t, "99", right.of(w.there("1"))["price"].(decimal.Decimal).String(), "nobody approved that it is overwritten")
	require.Equal(t, "13", right.of(w.there("2"))["price"].(decimal.Decimal).String())
}

// A record that a run made belongs to whoever has filled something in since: an undo
// leaves it, and says why. What the target filled in by itself is nobody's work.
func TestUndoLeavesWhatWasFilledIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	right.defaults = record.Values{"note": "by default"}
	left.edit("3", record.Values{"price": nil})
	w.pair(left, right)
	ref := w.begin()
	require.True(t, w.pages(ref).Finished)
	require.Equal(t, "success", w.prove(contract.SyncEnding{SyncRef: ref}).Status)
	right.edit(w.there("2"), record.Values{"note": "a person's"})
	right.edit(w.there("3"), record.Values{"price": decimal.NewFromInt(5)})

	_, _, notes := w.undone(ref.Run)
	require.Equal(t, map[string]string{"2": "changed since: note", "3": "changed since: price"}, notes)
	require.Equal(t, []any{false, true, true}, []any{right.of(w.there("1"))["active"], right.of(w.there("2"))["active"], right.of(w.there("3"))["active"]})
}

// What a person changes on either side while the same record is being written is seen
// by the next run: it is not taken for what the write came to.
func TestEditsDuringTheWrite(t *testing.T) {
	t.Parallel()
	w, left, right, id := inStep(t)
	once := func(edit func()) func(record.Row) error {
		var one sync.Once
		return func(record.Row) error {
			one.Do(edit)
			return nil
		}
	}
	left.edit("2", record.Values{"name": "of the left"})
	right.edit(id, record.Values{"price": decimal.NewFromInt(7)})
	right.refuse = once(func() { right.edit(id, record.Values{"note": "a person's"}) })
	left.refuse = once(func() { left.edit("2", record.Values{"sku": "T-new"}) })
	for range 2 {
		require.Equal(t, "success", w.run().Status)
	}
	for _, values := range []record.Values{left.of("2"), right.of(id)} {
		require.Equal(t, []any{"of the left", "a person's", "T-new"}, []any{values["name"], values["note"], values["sku"]})
		require.Equal(t, "7", values["price"].(decimal.Decimal).String())
	}
	w.quietly(left, right)
	sameThings(t, left, right)
}

// Two names that lead to one record are one reference, as the target holds it: else
// every run would find a difference, and write.
func TestReferencesAreCountedOnce(t *testing.T) {
	t.Parallel()
	infos := []record.FieldInfo{{Name: "tags", Type: record.TypeMany}}
	given := record.Values{"tags": []any{"7", record.Values{"id": "5"}, "7"}}
	held := record.Values{"tags": []any{record.Values{"id": "5"}, record.Values{"id": "7"}}}
	require.True(t, record.Equal(plain(given, infos, []string{"tags"}), plain(held, infos, []string{"tags"})))
}
