package activities

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// TestSyncTies: ten thousand rows of the same second lie on the edge of a
// window, and two lanes read them.
func TestSyncTies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 10_000
	now := time.Now().Truncate(time.Second)
	left, right := newMemory(), newMemory()
	left.clock = func() time.Time { return now }
	w.pair(left, right, incremental)
	left.fill(n)
	require.Equal(t, "success", w.run().Status)
	require.Zero(t, right.size(), "the second that goes on is the next window's")

	now = now.Add(time.Second)
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(n, "created", n), result.Counts)
	sameThings(t, left, right)
	require.Equal(t, 2, w.number(`SELECT count(DISTINCT lane) FROM run_page WHERE lane < 900 AND run = (SELECT id FROM run ORDER BY started_at DESC LIMIT 1)`))
	require.Equal(t, n, right.written(), "each was written once")
}

// TestSyncMovingSource: records change, come and go while they are read, also
// behind the reader's back. What was there all the time, or came, is found.
func TestSyncMovingSource(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			rnd := rand.New(rand.NewPCG(seed, 1))
			now := time.Now().Truncate(time.Second)
			var mu sync.Mutex
			left, right := newMemory(), newMemory()
			left.clock = func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return now
			}
			left.fill(600)
			for i := 3; i <= 600; i += 3 { // hidden, and taken out of the drawer while the run goes on
				left.edit(fmt.Sprint(i), record.Values{"active": false})
			}
			w.pair(left, right, incremental, func(j *jobs.Job, _ *mapping.Mapping) { j.BatchSize = 10 })
			left.reading = func(string) error {
				mu.Lock()
				defer mu.Unlock()
				now = now.Add(time.Second)
				for range 5 {
					id := fmt.Sprint(1 + rnd.IntN(600))
					switch values := left.of(id); {
					case values == nil:
					case rnd.IntN(6) == 0:
						left.drop(id)
					default:
						left.scribble(id, now, record.Values{"active": true, "price": decimal.New(rnd.Int64N(9999), -2)})
					}
				}
				left.appear(thing(1000+rnd.IntN(1_000_000)), now)
				return nil
			}
			result := w.run(mode(jobs.Full))
			require.Equal(t, "success", result.Status, result.Sentence)
			left.reading = nil
			for sku, values := range left.bySKU(t) {
				if values["active"] == true {
					require.Contains(t, right.bySKU(t), sku, "it was in the source when the run ended")
				}
			}
			mu.Lock()
			now = now.Add(time.Second)
			mu.Unlock()
			require.Equal(t, "success", w.run().Status)
			got := right.bySKU(t)
			for sku, values := range left.bySKU(t) {
				if values["active"] == true {
					require.True(t, record.Equal(values["price"], got[sku]["price"]), sku)
				}
			}
		})
	}
}

// scribble and appear change records where the clock's lock is held.
func (m *memory) scribble(id string, at time.Time, values record.Values) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row := m.rows[number(id)]
	for name, v := range values {
		row.values[name] = v
	}
	row.changed = at
}

func (m *memory) appear(values record.Values, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	values["active"] = true
	n := m.next
	m.next++
	m.rows[n], m.order = &memoryRow{values: values, changed: at}, append(m.order, n)
}

// TestSyncUnprovable: where a source cannot tell ids, a difference of counts
// cannot be explained, and nothing is claimed.
func TestSyncUnprovable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(50), newMemory()
	left.edit("1", record.Values{"active": false})
	w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.BatchSize = 10 })
	w.connect("left", listed{left, left})
	left.reading = func(after string) error {
		if after == "21" {
			left.edit("1", record.Values{"active": true})
		}
		return nil
	}
	result := w.run()
	require.Equal(t, "incomplete", result.Status, result.Sentence)
	require.False(t, w.watermark().Valid)
	require.Equal(t, 49, right.size())
	require.Equal(t, "success", w.run().Status)
	sameThings(t, left, right)
}

// short gives few records a page, whatever it is asked for.
type short struct {
	*memory
	most int
}

func (s short) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (connectors.RecordPage, error) {
	return s.memory.ReadRecords(ctx, q, after, min(limit, s.most))
}

// TestSyncPagesCostTheSame: what a page reads of Towpath's own tables does not
// grow with them. They are as on the first day: PostgreSQL has no statistics.
func TestSyncPagesCostTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tables := []string{"object", "binding", "synced", "change", "claim", "parked", "run_page"}
	for _, table := range tables {
		w.exec(`ALTER TABLE ` + table + ` SET (autovacuum_enabled = off)`)
	}
	const n = 5000
	left, right := newMemory().fill(n), newMemory()
	w.pair(left, right)
	for _, outcome := range []string{"created", "unchanged", "updated"} {
		if outcome == "updated" {
			for i := range n {
				left.edit(fmt.Sprint(i+1), record.Values{"name": "changed"})
			}
		}
		require.Equal(t, counts(n, outcome, n), w.run().Counts)
	}
	w.exec(`SELECT pg_stat_force_next_flush()`)
	for _, table := range tables {
		read := w.number(`
SELECT seq_tup_read + (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
FROM pg_stat_user_tables t WHERE schemaname = current_schema() AND relname = $1`, table)
		require.Less(t, read, 10*n, "rows of %s", table)
	}
}

// TestSyncManyPages: a source gives one record a page, ten thousand pages, and
// the worker dies in the middle. The ledger has each page once, in one chain.
func TestSyncManyPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n, newOnes, every = 10_000, 50, 100
	left, right := newMemory().fill(n), newMemory()
	w.pair(left, right)
	require.Equal(t, counts(n, "created", n), w.run().Counts, "in pages of the usual size")
	for i := every; i <= n; i += every {
		left.edit(fmt.Sprint(i), record.Values{"name": "changed"})
	}
	for i := range newOnes {
		left.add(thing(n + 1 + i))
	}
	right.written()
	w.connect("left", short{left, 1})

	// The minute after which the workflow hears of the pages does not pass, how
	// ever slow the machine is: the worker is to die before it, and half-way.
	began := time.Now()
	slowly := func() time.Time { return began.Add(time.Since(began) / 100) }
	w.syncs.Now = slowly

	ref := w.begin()
	dying, die := context.WithCancel(t.Context())
	var deaths, reads atomic.Int64
	left.reading = func(after string) error {
		// In the middle of the first of two lanes, whose page at hand holds nothing to be written.
		if reads.Add(1); number(after) == n/4+every/2 && deaths.Add(1) == 1 {
			die()
		}
		return nil
	}
	_, err := w.syncs.SyncPages(dying, ref)
	require.Error(t, err)
	settled := w.number(`SELECT count(*) FROM run_page WHERE run = $1`, ref.Run)
	require.Greater(t, settled, n/4)
	require.Less(t, settled, n)

	w.syncs = w.worker()
	w.syncs.Now = slowly
	require.True(t, w.pages(ref).Finished)
	result := w.prove(contract.SyncEnding{SyncRef: ref})
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(n+newOnes, "created", newOnes, "updated", n/every, "unchanged", n-n/every), result.Counts)
	// The page that the other lane may have been writing when the worker died is written again.
	written := right.written()
	require.GreaterOrEqual(t, written, newOnes+n/every)
	require.LessOrEqual(t, written, newOnes+n/every+1, "each was written once")
	sameThings(t, left, right)
	require.LessOrEqual(t, reads.Load(), int64(n+newOnes+4), "of each lane the page at hand and the one read ahead are read again")
	require.Equal(t, n+newOnes, w.number(`SELECT count(*) FROM run_page WHERE lane < 900 AND run = $1`, ref.Run))
	require.Equal(t, n+newOnes, w.number(`SELECT sum(pages) FROM (SELECT max(page) + 1 AS pages FROM run_page WHERE lane < 900 AND run = $1 GROUP BY lane) l`, ref.Run))
}

// TestSyncSourceFails: what was read before a source failed is not read again.
func TestSyncSourceFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(500), newMemory()
	w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.BatchSize = 20 })
	var asked []int
	failed := map[string]int{}
	left.reading = func(after string) error {
		if failed[after]++; failed[after] <= 2 && number(after) > 100 {
			return errors.New("connection reset by peer")
		}
		asked = append(asked, number(after))
		return nil
	}
	ref := w.begin()
	tries := 0
	for ; ; tries++ {
		require.Less(t, tries, 50)
		p, err := w.syncs.SyncPages(t.Context(), ref)
		if err == nil {
			require.True(t, p.Finished)
			break
		}
		require.EqualValues(t, w.number(`SELECT coalesce(sum((counts->>'fetched')::int), 0) FROM run_page`), p.Done)
	}
	require.Greater(t, tries, 3)
	require.IsIncreasing(t, asked, "each page was read once, and none before it again")
	result := w.prove(contract.SyncEnding{SyncRef: ref})
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(500, "created", 500), result.Counts)
	require.Equal(t, 500, right.written())
	sameThings(t, left, right)
}

// TestSyncInterrupted: a run is cut off hundreds of times, wherever it may be;
// writes land or do not, and some answer is lost. It ends as one that was not.
func TestSyncInterrupted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			rnd := rand.New(rand.NewPCG(seed, 2))
			var mu sync.Mutex
			chance := func(n int) bool {
				mu.Lock()
				defer mu.Unlock()
				return rnd.IntN(n) == 0
			}
			const n, cuts = 300, 100
			left, right := newMemory().fill(n), newMemory()
			right.fill(100) // some are there, and look alike
			right.next = 5000
			w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.BatchSize = 5 })
			w.connect("left", short{left, 10})
			right.fences = w.store
			right.refuse = func(record.Row) error {
				if chance(300) {
					return fault.New(fault.Transient, "memory.busy", "busy")
				}
				return nil
			}
			right.lose = func(record.Row) error {
				if chance(300) {
					return fault.New(fault.Uncertain, "memory.lost", "the answer was lost")
				}
				return nil
			}
			ref := w.begin()
			cut := 0
			for {
				patience := time.Duration(3+rnd.IntN(60)) * time.Millisecond
				if cut > cuts { // it has to come to an end on a slow machine as well
					patience = time.Minute
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				p, err := w.syncs.SyncPages(ctx, ref)
				cancel()
				if err == nil && p.Finished {
					break
				}
				cut++
				require.Less(t, cut, 2*cuts)
			}
			t.Log("cut off", cut)
			result := w.prove(contract.SyncEnding{SyncRef: ref})
			w.due()
			c := jobs.CountsOf(result.Counts)
			require.EqualValues(t, n, w.number(`SELECT sum((counts->>'fetched')::int) FROM run_page WHERE lane < 900`))
			for range 5 {
				if len(w.parked()) == 0 {
					break
				}
				w.due()
				w.run()
			}
			require.Empty(t, w.parked())
			sameThings(t, left, right)
			require.LessOrEqual(t, c.Created, int64(n-100))
			require.Equal(t, counts(n, "unchanged", n), w.run().Counts)
		})
	}
}
