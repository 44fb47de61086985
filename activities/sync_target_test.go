package activities

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// TestSyncOneInAThousand: a row that the target refuses is parked, with what a
// person needs to put it right; the rest is in.
func TestSyncOneInAThousand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 2000
	left, right := newMemory(), newMemory()
	now := time.Now().Truncate(time.Second)
	left.clock = func() time.Time { return now }
	left.fill(n)
	now = now.Add(time.Hour) // no overlap reads them again
	w.pair(left, right, incremental)
	bad := map[any]bool{sku(7): true, sku(1007): true}
	right.refuse = func(r record.Row) error {
		if bad[r.Values["sku"]] {
			return fault.New(fault.Invalid, "memory.refused", "the name is taken").WithField("name").WithResolution("choose another name")
		}
		return nil
	}
	result := w.run(mode(jobs.Full))
	require.Equal(t, "partial", result.Status, result.Sentence)
	require.Equal(t, counts(n, "created", n-2, "parked", 2), result.Counts)
	require.True(t, w.watermark().Valid, "what is parked is safe: the watermark moves")
	sameThings(t, left, right, sku(7), sku(1007))
	require.Equal(t, map[string]string{"7": "memory.refused", "1007": "memory.refused"}, w.parked())
	require.Equal(t, 2, w.number(`SELECT count(*) FROM parked WHERE field = 'name' AND resolution = 'choose another name' AND message = 'the name is taken'`))

	require.Equal(t, "success", w.run().Status, "nothing new; what is parked is not due yet")
	delete(bad, sku(7))
	w.due()
	result = w.run()
	require.Equal(t, map[string]string{"1007": "memory.refused"}, w.parked(), "the cause is gone, and so it is closed by itself")
	require.Equal(t, "partial", result.Status)
	bad = nil
	w.due()
	require.Equal(t, "success", w.run().Status)
	require.Empty(t, w.parked())
	sameThings(t, left, right)
}

// TestSyncOdooFails: whatever Odoo does to calls, each record is there once.
func TestSyncOdooFails(t *testing.T) {
	t.Parallel()
	load := simulator.Fault{Model: "product.product", Method: "load"}
	var restart sync.WaitGroup
	for name, hit := range map[string]func(*simulator.Server){
		"lost answers": func(s *simulator.Server) {
			f := load
			f.ResetAfterCommit, f.Skip, f.Times = true, 1, 2
			s.Faults.Add(f)
		},
		"serialisation": func(s *simulator.Server) {
			f := load
			f.Serialization, f.Times = true, 2
			s.Faults.Add(f)
		},
		"a proxy's page": func(s *simulator.Server) {
			f := load
			f.Status, f.Skip, f.Times = 502, 1, 2
			s.Faults.Add(f)
		},
		"cut off": func(s *simulator.Server) {
			f := load
			f.Reset, f.Times = true, 2
			s.Faults.Add(f)
		},
		"restart": func(s *simulator.Server) {
			f := load
			f.Delay, f.Times = 30*time.Millisecond, 3
			s.Faults.Add(f)
			restart.Go(func() { time.Sleep(60 * time.Millisecond); _ = s.Restart() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const n = 300
			f := newFolder(w, "files", n)
			f.write(time.Now())
			server := odooOf(w, "odoo", simulator.Options{})
			w.intoOdoo(func(j *jobs.Job, _ *mapping.Mapping) { j.Mode = jobs.Full })
			before := server.Count("product.product")
			ref := w.begin()
			hit(server)
			for tries := 0; ; tries++ {
				require.Less(t, tries, 20)
				p, err := w.syncs.SyncPages(t.Context(), ref)
				if err == nil && p.Finished {
					break
				}
			}
			if name == "restart" { // however late
				restart.Wait()
			}
			w.prove(contract.SyncEnding{SyncRef: ref})
			server.Faults.Clear()
			for tries := 0; len(w.parked()) > 0; tries++ { // uncertain ones: looked at again
				require.Less(t, tries, 3, "%v", w.parked())
				w.due()
				w.run(mode(jobs.Full))
			}
			w.likeFile(f)
			require.Equal(t, before+n, server.Count("product.product"))
			require.Equal(t, counts(n, "unchanged", n), w.run().Counts)
		})
	}
}

// TestSyncTransient: rows that meet a passing fault are sent again; where all
// do, the page is done again later, and nothing is parked for it.
func TestSyncTransient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(60), newMemory()
	w.pair(left, right)
	var mu sync.Mutex
	failed := map[any]int{}
	busy := func(r record.Row, times int) error {
		mu.Lock()
		defer mu.Unlock()
		if failed[r.Values["sku"]]++; failed[r.Values["sku"]] <= times {
			return fault.New(fault.Transient, "memory.busy", "busy")
		}
		return nil
	}
	right.refuse = func(r record.Row) error { return busy(r, 1) }
	ref := w.begin()
	_, err := w.syncs.SyncPages(t.Context(), ref)
	require.Error(t, err, "all of a page failed: that says nothing about its rows")
	require.Empty(t, w.parked())
	failed = map[any]int{}
	right.refuse = func(r record.Row) error {
		if r.Values["sku"] == sku(3) {
			return busy(r, 2)
		}
		return nil
	}
	require.True(t, w.pages(ref).Finished)
	result := w.prove(contract.SyncEnding{SyncRef: ref})
	require.Equal(t, counts(60, "created", 60), result.Counts)
	sameThings(t, left, right)
}

// TestSyncQuarantine: a write whose answer was lost may land late. Other
// content waits until it has, or it would end as the older one.
func TestSyncQuarantine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	right.linger = time.Second
	w.pair(left, right)
	w.run()
	left.edit("2", record.Values{"name": "older"})
	var sent time.Time
	var older record.Row
	landed := false
	right.refuse = func(r record.Row) error {
		switch {
		case sent.IsZero():
			sent, older = time.Now(), r
			return fault.New(fault.Uncertain, "memory.lost", "the answer was lost")
		case r.Values["name"] == "newer" && !landed: // at the last moment at which it may
			landed = true
			assert.GreaterOrEqual(t, time.Since(sent), right.linger-clocksDiffer, "other content is sent before that")
			_, err := right.land(older)
			assert.NoError(t, err)
		}
		return nil
	}
	ref := w.begin()
	_, err := w.syncs.SyncPages(t.Context(), ref)
	for tries := 0; err != nil && tries < 3; tries++ {
		left.edit("2", record.Values{"name": "newer"})
		_, err = w.syncs.SyncPages(t.Context(), ref)
	}
	require.NoError(t, err)
	w.prove(contract.SyncEnding{SyncRef: ref})
	left.edit("2", record.Values{"name": "newer"})
	w.due()
	w.run()
	require.True(t, landed)
	require.Equal(t, "newer", right.bySKU(t)[sku(2)]["name"])
	require.Equal(t, "success", w.run().Status)
	require.Empty(t, w.parked())
	sameThings(t, left, right)
}

// TestSyncZombie: a worker that was thought dead works on beside its successor,
// in pages of another size. Every record is written as once and counted once.
func TestSyncZombie(t *testing.T) {
	t.Parallel()
	for _, second := range []int{4, 10} {
		t.Run(fmt.Sprint(second), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const n = 400
			left, right := newMemory().fill(n), newMemory()
			right.fences = w.store
			w.pair(left, right)
			w.connect("left", short{left, 10})
			zombie := w.worker()
			zombie.Pool = doors{"left": short{left, second}, "right": right}
			ref := w.begin()
			var both sync.WaitGroup
			for _, worker := range []*Syncs{w.syncs, zombie} {
				both.Go(func() {
					for range 400 {
						p, err := worker.SyncPages(t.Context(), ref)
						if err == nil && p.Finished {
							return
						}
					}
					assert.Fail(t, "it does not end")
				})
			}
			both.Wait()
			result := w.prove(contract.SyncEnding{SyncRef: ref})
			require.Equal(t, "success", result.Status, result.Sentence)
			require.EqualValues(t, n, result.Counts["fetched"])
			require.Equal(t, n, w.number(`SELECT sum((counts->>'fetched')::int) FROM run_page WHERE lane = 0`))
			sameThings(t, left, right)
		})
	}
}
