package activities

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

func withParents(j *jobs.Job, m *mapping.Mapping) {
	j.BatchSize = 10
	m.Fields = append(m.Fields, mapping.Field{Source: "parent", Target: "parent"})
}

// TestSyncReferences: a record that refers to one of a later page is in step
// when the run ends, and nobody was bothered.
func TestSyncReferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory(), newMemory()
	right.next = 700 // other ids than the source's
	left.fill(100)
	for i := 1; i <= 10; i++ { // a tenth of all refer to what comes last
		left.edit(fmt.Sprint(i), record.Values{"parent": fmt.Sprint(90 + i)})
	}
	w.pair(left, right, withParents)
	w.connect("left", wholeShort{short{left, 10}})
	result := w.run()
	require.Empty(t, w.parked())
	require.Equal(t, counts(110, "created", 100, "skipped.deferred", 10), result.Counts)
	require.Equal(t, "success", result.Status, "%s %v", result.Sentence, result.Counts)
	sameThings(t, left, right)
	got := right.bySKU(t)
	for i := 1; i <= 10; i++ {
		parent, _ := got[sku(i)]["parent"].(string)
		require.Equal(t, sku(90+i), right.of(parent)["sku"])
	}

	left.edit("50", record.Values{"parent": "4711"})
	result = w.run()
	require.Equal(t, "partial", result.Status)
	require.Equal(t, map[string]string{"50": codeUnknownReference}, w.parked())
	left.edit("50", record.Values{"parent": nil})
	require.Equal(t, "success", w.run().Status)
	require.Empty(t, w.parked())
}

// wholeShort is short, and everything else that a memory is.
type wholeShort struct{ short }

// TestSyncLookups: references are found by a field of the target's records.
func TestSyncLookups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(20), newMemory()
	w.pair(left, right, func(_ *jobs.Job, m *mapping.Mapping) {
		m.Fields = append(m.Fields, mapping.Field{Source: "note", Target: "parent", Lookup: "name"})
		m.Fields[3] = m.Fields[4]
		m.Fields = m.Fields[:4]
	})
	root := right.add(record.Values{"sku": "root", "name": "Root"})
	left.edit("4", record.Values{"note": "Root"})
	left.edit("5", record.Values{"note": "Nobody"})
	result := w.run()
	require.Equal(t, "partial", result.Status)
	require.Equal(t, counts(21, "created", 19, "skipped.deferred", 1, "parked", 1), result.Counts)
	require.Equal(t, root, right.bySKU(t)[sku(4)]["parent"])
	right.add(record.Values{"sku": "nobody", "name": "Nobody"})
	w.due()
	require.Equal(t, "success", w.run().Status)
	require.Empty(t, w.parked())
	require.NotEmpty(t, right.bySKU(t)[sku(5)]["parent"])
}

// TestSyncNewMapping: a changed mapping rewrites what it makes different, and
// nothing else.
func TestSyncNewMapping(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(20), newMemory()
	w.pair(left, right)
	w.run()
	right.written()
	left.edit("3", record.Values{"name": "ALREADY"})
	w.pair(left, right, func(_ *jobs.Job, m *mapping.Mapping) { m.Fields[1].Transform = "uppercase" })
	result := w.run()
	require.Equal(t, "success", result.Status)
	require.Equal(t, counts(20, "updated", 20), result.Counts)
	require.Equal(t, "THING 7 ☃", right.bySKU(t)[sku(7)]["name"])
	require.Equal(t, 20, right.written())
	w.pair(left, right, func(_ *jobs.Job, m *mapping.Mapping) {
		m.Fields[1] = mapping.Field{Expr: `record.price > dec("0.1") ? record.name.upper() : record.name`, Target: "name"}
	})
	left.edit("20", record.Values{"price": decimal.New(1, -2)})
	result = w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.EqualValues(t, 10, result.Counts["unchanged"], "%v", result.Counts)
	require.Equal(t, 3, w.number(`SELECT max(mapping_version) FROM run`))
	sane := w.run()
	require.Equal(t, counts(20, "unchanged", 20), sane.Counts)
}

// TestSyncParkedOfAFile: a record that was parked is tried again though its line
// did not change; one that left the file is nobody's business any more.
func TestSyncParkedOfAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFolder(w, "files", 30)
	w.connect("odoo", newMemory())
	w.put(jobs.Job{Name: "things", Source: "files", Target: "odoo", Kind: jobs.Product, Mapping: "things", Mode: jobs.Incremental},
		mapping.Mapping{Name: "things", Source: "things.csv", Target: "thing", Fields: []mapping.Field{
			{Source: "sku", Target: "sku", Key: true}, {Source: "name", Target: "name"}, {Source: "name", Target: "parent", Lookup: "note"},
		}})
	target := w.doors["odoo"].(*memory)
	for i := 1; i <= 30; i++ {
		if i != 7 && i != 9 {
			target.add(record.Values{"sku": fmt.Sprintf("root-%d", i), "note": fmt.Sprintf("Thing %d ☃", i)})
		}
	}
	now := time.Now()
	f.write(now.Add(-time.Hour))
	w.run(mode(jobs.Full))
	require.Equal(t, map[string]string{sku(7): codeUnknownReference, sku(9): codeUnknownReference}, w.parked())

	target.add(record.Values{"sku": "root-7", "note": "Thing 7 ☃"})
	w.due()
	result := w.run()
	require.EqualValues(t, 1, result.Counts["created"], "%s %v", result.Sentence, result.Counts)
	require.Equal(t, map[string]string{sku(9): codeUnknownReference}, w.parked())

	f.lines = append(f.lines, "broken;line")
	f.write(now.Add(-time.Minute))
	w.run()
	require.Contains(t, w.parked(), "line 32")
	f.lines = f.lines[:30]
	f.write(now.Add(-time.Second))
	require.Equal(t, "success", w.run().Status)
	require.NotContains(t, w.parked(), "line 32", "corrected")

	f.lines = append(f.lines[:8], f.lines[9:]...)
	f.write(now)
	require.Equal(t, "success", w.run(mode(jobs.Full)).Status)
	require.Empty(t, w.parked())
}

// TestSyncPlanKeepsWhatItWouldPark: a dry run parks nothing, and keeps with the
// plan which records it would have parked, why, and the way out.
func TestSyncPlanKeepsWhatItWouldPark(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFolder(w, "files", 30)
	f.lines = append(f.lines, "broken;line")
	w.connect("odoo", newMemory())
	w.put(jobs.Job{Name: "things", Source: "files", Target: "odoo", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full},
		mapping.Mapping{Name: "things", Source: "things.csv", Target: "thing", Fields: []mapping.Field{
			{Source: "sku", Target: "sku", Key: true}, {Source: "name", Target: "name"}, {Source: "name", Target: "parent", Lookup: "note"},
		}})
	for i := 1; i <= 28; i++ {
		w.doors["odoo"].(*memory).add(record.Values{"sku": fmt.Sprintf("root-%d", i), "note": fmt.Sprintf("Thing %d ☃", i)})
	}
	f.write(time.Now().Add(-time.Hour))
	result := w.run(func(in *contract.SyncOpen) { in.Purpose = contract.PurposePlan })
	require.Equal(t, counts(31, "created", 28, "parked", 3), result.Counts, result.Sentence)
	require.Empty(t, w.parked(), "a plan parks nothing")

	kept, err := w.store.PlanParked(t.Context(), "sync/things-0001", "", 10)
	require.NoError(t, err)
	require.Len(t, kept, 3)
	codes := map[string]string{}
	for _, one := range kept {
		codes[one.ExternalID] = one.Code
		require.NotEmpty(t, one.Message)
		require.NotEmpty(t, one.Resolution)
	}
	require.Equal(t, map[string]string{"line 32": "sync.unreadable", sku(29): codeUnknownReference, sku(30): codeUnknownReference}, codes)
}

// TestSyncBadNumberCostsItsOwnRecord: of a column that is told to hold numbers
// one bad cell parks its own record, by line and column; corrected, it is synced.
func TestSyncBadNumberCostsItsOwnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFolder(w, "files", 30)
	f.open(w, "files", map[string]any{"number_columns": []string{"price"}, "decimal": "auto"})
	w.connect("odoo", newMemory())
	w.put(jobs.Job{Name: "things", Source: "files", Target: "odoo", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full},
		mapping.Mapping{Name: "things", Source: "things.csv", Target: "thing", Fields: []mapping.Field{
			{Source: "sku", Target: "sku", Key: true}, {Source: "name", Target: "name"}, {Expr: `record.price * dec("2")`, Target: "price"},
		}})
	good := f.lines[6]
	f.lines[6] = strings.Replace(good, "0.07", "on request", 1)
	f.write(time.Now().Add(-time.Hour))
	result := w.run()
	require.Equal(t, counts(30, "created", 29, "parked", 1), result.Counts, result.Sentence)
	require.Equal(t, map[string]string{sku(7): "mapping.unreadable_value"}, w.parked())
	families, err := w.store.ParkedOf(t.Context(), "things", 10)
	require.NoError(t, err)
	require.Equal(t, `line 8: column "price" holds no number there`, families[0].Message)
	require.Equal(t, "price", families[0].Field)
	require.Contains(t, families[0].Resolution, "correct the cell in the file")

	f.lines[6] = good
	f.write(time.Now())
	require.Equal(t, "success", w.run().Status)
	require.Empty(t, w.parked())
	require.Equal(t, "0.14", w.doors["odoo"].(*memory).bySKU(t)[sku(7)]["price"].(decimal.Decimal).String())
}

// TestSyncParkedTwiceInAPage: a source that names a record twice does not make it
// pass for mended.
func TestSyncParkedTwiceInAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFolder(w, "left", 6)
	right := newMemory()
	w.pair(newMemory(), right, func(j *jobs.Job, m *mapping.Mapping) {
		m.Source, m.Fields, j.Limits.MaxErrorPercent = "things.csv", m.Fields[:3], 100
	})
	right.refuse = func(r record.Row) error {
		if r.Values["sku"] == sku(3) {
			return fault.New(fault.Invalid, "memory.refused", "no")
		}
		return nil
	}
	f.open(w, "left", nil)
	f.lines = append(f.lines, f.lines[2])
	f.write(time.Now())
	for range 3 {
		require.Equal(t, "partial", w.run().Status)
		require.Equal(t, map[string]string{sku(3): "memory.refused"}, w.parked())
		w.due()
	}
}
