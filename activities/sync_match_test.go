package activities

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

// TestSyncMatching: what is there is found, and nothing becomes two records or
// two records one.
func TestSyncMatching(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(10), newMemory()
	right.add(thing(1))                                                                    // the same: adopted, not written
	right.add(record.Values{"sku": sku(2), "name": "another", "price": decimal.New(7, 0)}) // adopted and updated
	right.add(thing(3))
	right.add(thing(3)) // two for one key
	left.add(record.Values{"sku": sku(4), "name": "second with this key"})
	w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.Limits.MaxErrorPercent = 100 })
	result := w.run()
	require.Equal(t, "partial", result.Status)
	require.Equal(t, counts(11, "created", 7, "updated", 1, "unchanged", 1, "parked", 2), result.Counts)
	require.Equal(t, map[string]string{"3": "sync.ambiguous", "11": "sync.key_taken"}, w.parked())
	require.Equal(t, 11, right.size())

	right.drop("4")
	left.edit("11", record.Values{"sku": "own"})
	require.Equal(t, "success", w.run().Status)
	require.Empty(t, w.parked())
	sameThings(t, left, right)

	// Bound, it is found whatever its key is.
	left.edit("5", record.Values{"sku": "other key"})
	require.Equal(t, counts(11, "updated", 1, "unchanged", 10), w.run().Counts)
	sameThings(t, left, right)
	require.Equal(t, 11, right.size())
}

// TestSyncKeysAcrossLanes: two records of two lanes have one key.
func TestSyncKeysAcrossLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1200), newMemory()
	left.edit("1150", record.Values{"sku": sku(10)})
	w.pair(left, right)
	result := w.run()
	require.Equal(t, counts(1200, "created", 1199, "parked", 1), result.Counts)
	require.Len(t, right.bySKU(t), 1199)
}

// finding lets a test look on when records are looked for.
type finding struct {
	*memory
	found func(values []string)
}

func (f *finding) FindRecords(ctx context.Context, model, field string, values []string) (map[string][]string, error) {
	found, err := f.memory.FindRecords(ctx, model, field, values)
	f.found(values)
	return found, err
}

// TestSyncKeyMadeMeanwhile: two lanes look for one key at the same time and find
// nothing; the one has made its record and settled before the other claims the key.
func TestSyncKeyMadeMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1200), newMemory()
	left.edit("605", record.Values{"sku": sku(10)})
	w.pair(left, right)
	looked, first := make(chan struct{}), atomic.Bool{}
	right.refuse = func(r record.Row) error {
		if r.Values["sku"] == sku(10) {
			<-looked
		}
		return nil
	}
	w.connect("right", &finding{right, func(values []string) {
		if !slices.Contains(values, sku(10)) || !slices.Contains(values, sku(606)) || !first.CompareAndSwap(false, true) {
			return
		}
		close(looked)
		assert.Eventually(t, func() bool {
			return w.number(`SELECT count(*) FROM claim WHERE match_key LIKE 'key:%/' || $1 AND target_id IS NOT NULL`, sku(10)) == 1
		}, time.Minute, 5*time.Millisecond)
	}})
	result := w.run()
	require.Equal(t, counts(1200, "created", 1199, "parked", 1), result.Counts)
	require.Equal(t, map[string]string{"605": "sync.key_taken"}, w.parked())
	require.Len(t, right.bySKU(t), 1199)
}

// TestSyncSwitches: what a job may not do, it skips, and says so.
func TestSyncSwitches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(6), newMemory()
	right.add(record.Values{"sku": sku(1), "name": "as it was"})
	off := new(false)
	switches := func(s jobs.Switch) func(*jobs.Job, *mapping.Mapping) {
		return func(j *jobs.Job, _ *mapping.Mapping) { j.Switches = map[jobs.Kind]jobs.Switch{jobs.Product: s} }
	}
	w.pair(left, right, switches(jobs.Switch{Create: off, Update: off}))
	result := w.run()
	require.Equal(t, "success", result.Status)
	require.Equal(t, counts(6, "skipped.create_off", 5, "skipped.update_off", 1), result.Counts)
	require.Zero(t, right.written())
	w.pair(left, right, switches(jobs.Switch{Update: off}))
	require.Equal(t, counts(6, "created", 5, "skipped.update_off", 1), w.run().Counts)
	w.pair(left, right)
	require.Equal(t, counts(6, "updated", 1, "unchanged", 5), w.run().Counts, "skipped is not forgotten")
	sameThings(t, left, right)

	w.exec(`UPDATE binding SET no_export = true WHERE external_id = '2'`)
	left.edit("2", record.Values{"name": "stays at home"})
	left.edit("3", record.Values{"name": "goes"})
	require.Equal(t, counts(6, "skipped.no_export", 1, "updated", 1, "unchanged", 4), w.run().Counts)
	w.exec(`UPDATE binding SET no_export = false WHERE external_id = '2'`)
	require.Equal(t, counts(6, "updated", 1, "unchanged", 5), w.run().Counts)

	// Archived at the source: only where the job may.
	left.edit("4", record.Values{"active": false})
	require.Equal(t, counts(5, "unchanged", 5), w.run().Counts)
	w.pair(left, right, switches(jobs.Switch{Archive: new(true)}))
	require.Equal(t, counts(6, "archived", 1, "unchanged", 5), w.run().Counts)
	require.Equal(t, false, right.bySKU(t)[sku(4)]["active"])
	require.Equal(t, counts(6, "unchanged", 6), w.run().Counts)
	left.edit("4", record.Values{"active": true})
	require.Equal(t, counts(6, "updated", 1, "unchanged", 5), w.run().Counts)
	require.Equal(t, true, right.bySKU(t)[sku(4)]["active"])
}

// TestSyncDeletedInTarget: what a person deleted is not made again unasked.
func TestSyncDeletedInTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(5), newMemory()
	w.pair(left, right)
	w.run()
	found, err := right.FindRecords(t.Context(), things, "sku", []string{sku(2)})
	require.NoError(t, err)
	right.drop(found[sku(2)][0])
	require.Equal(t, counts(5, "unchanged", 5), w.run().Counts, "nothing changed in the source")
	left.edit("2", record.Values{"name": "changed"})
	require.Equal(t, counts(5, "unchanged", 4, "parked", 1), w.run().Counts)
	require.Equal(t, map[string]string{"2": "sync.deleted_in_target"}, w.parked())
	require.Equal(t, 4, right.size())
}

// TestSyncOrdersProduct: an order has made the product that the job brings.
func TestSyncOrdersProduct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right)
	xid := record.XID("left", "product", "2")
	id, err := right.land(record.Row{Write: record.Write{XID: xid}, Values: record.Values{"sku": "placeholder"}})
	require.NoError(t, err)
	_, err = w.store.Claim(t.Context(), "right", record.KindProduct, []string{"left/2"}, xid)
	require.NoError(t, err)
	_, err = w.store.Claimed(t.Context(), "right", record.KindProduct, xid, id, false)
	require.NoError(t, err)
	require.Equal(t, counts(3, "created", 2, "updated", 1), w.run().Counts)
	sameThings(t, left, right)
}

// TestSyncKeyHandedOn: a key that one record gave up belongs to the next.
func TestSyncKeyHandedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(5), newMemory()
	w.pair(left, right)
	w.run()
	left.edit("3", record.Values{"sku": "another"})
	require.Equal(t, counts(5, "updated", 1, "unchanged", 4), w.run().Counts)
	left.add(record.Values{"sku": sku(3), "name": "Successor"})
	left.add(record.Values{"sku": sku(3), "name": "Pretender"})
	result := w.run()
	require.Equal(t, counts(7, "created", 1, "parked", 1, "unchanged", 5), result.Counts, "%v", w.parked())
	require.Equal(t, "Successor", right.bySKU(t)[sku(3)]["name"])
}

// TestSyncRepeated: of a record that stands twice in one page, the later line holds.
func TestSyncRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFolder(w, "files", 20)
	f.lines = append(f.lines, csvLine(3, "Later", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)))
	odooOf(w, "odoo", simulator.Options{})
	w.intoOdoo()
	f.write(time.Now().Add(-time.Hour))
	require.Equal(t, counts(21, "created", 20, "skipped.repeated", 1), w.run(mode(jobs.Full)).Counts)
	require.Equal(t, "Later", w.odooThings()[sku(3)]["name"])
}

// TestSyncRepeatedOnAnotherPage: of lines that name the same record the last one holds,
// wherever pages end, and the run tells.
func TestSyncRepeatedOnAnotherPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFolder(w, "left", 12)
	right := newMemory()
	w.pair(newMemory(), right, func(j *jobs.Job, m *mapping.Mapping) {
		m.Source, m.Fields, j.BatchSize = "things.csv", m.Fields[:3], 5
	})
	f.open(w, "left", nil)
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	f.lines[7], f.lines[11] = csvLine(3, "on the next page", old), csvLine(4, "later", old)
	f.write(time.Now().Add(-time.Hour))
	for range 3 {
		result := w.run()
		require.Equal(t, "success", result.Status)
		require.Contains(t, result.Sentence, "2 records of the source came again under an id that it had given already: the last one holds")
		require.Equal(t, "on the next page", right.of(w.there(sku(3)))["name"])
		require.Equal(t, "later", right.of(w.there(sku(4)))["name"])
		require.Equal(t, 10, right.size())
	}
	f.lines[7], f.lines[11] = csvLine(8, "eight", old), csvLine(12, "twelve", old)
	f.write(time.Now())
	result := w.run()
	require.Equal(t, counts(12, "created", 2, "updated", 2, "unchanged", 8), result.Counts)
	require.NotContains(t, result.Sentence, "came again")
}

// TestSyncReconcileBothWays: ids of one side say nothing about the other's.
func TestSyncReconcileBothWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(5), newMemory()
	right.next = 3 // ids that both have, of other records
	w.pair(left, right, bidirectional)
	w.run()
	right.drop(fmt.Sprint(w.number(`SELECT min(target_id::int) FROM binding`)))
	w.run(mode(jobs.Reconcile))
	require.Zero(t, w.number(`SELECT count(*) FROM change WHERE state = 'planned' AND op = 'archive'`))
}

// TestSyncTwoForOne: two records of the source that orders took for one record of
// the target do not write over each other.
func TestSyncTwoForOne(t *testing.T) {
	t.Parallel()
	for name, tied := range map[string]string{
		"claimed": `INSERT INTO claim (target, kind, match_key, xid, target_id, matched) SELECT 'right', 'product', 'left/' || n, 'x', $1, true FROM generate_series(1, 2) n`,
		"bound":   `INSERT INTO binding (connection, kind, external_id, target, target_id) SELECT 'left', 'product', n::text, 'right', $1 FROM generate_series(1, 2) n`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left, right := newMemory().fill(3), newMemory()
			id := right.add(record.Values{"sku": "other", "name": "other"})
			w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.Limits.MaxErrorPercent = 100 })
			w.exec(tied, id)
			require.Equal(t, counts(3, "created", 1, "updated", 1, "parked", 1), w.run().Counts)
			require.Equal(t, map[string]string{"2": "sync.target_shared"}, w.parked())
			require.Equal(t, sku(1), right.of(id)["sku"])
			w.due()
			require.Equal(t, counts(3, "unchanged", 2, "parked", 1), w.run().Counts)

			job, err := w.store.Job(t.Context(), "things")
			require.NoError(t, err)
			if name == "bound" {
				_, known, err := w.store.Untie(t.Context(), job, "2", "ann", "its own")
				require.NoError(t, err)
				require.True(t, known)
				require.Equal(t, "success", w.run().Status, w.parked())
				sameThings(t, left, right)
				return
			}
			_, err = w.store.LeaveOut(t.Context(), job, "2", true, "ann", "the same")
			require.NoError(t, err)
			require.Equal(t, "success", w.run().Status, w.parked())
			sameThings(t, left, right, sku(2))
		})
	}
}
