package activities

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// TestSyncLimits: a run stops before the page that would go too far, and goes
// on when a person lets it, or the limit is raised.
func TestSyncLimits(t *testing.T) {
	t.Parallel()
	for name, lift := range map[string]func(*world, contract.SyncRef, *memory, *memory){
		"beyond": func(w *world, ref contract.SyncRef, _, _ *memory) {
			require.NoError(w, w.syncs.AskSync(w.Context(), contract.SyncAsk{SyncRef: ref, What: "resume", By: "ann", Beyond: true}))
		},
		"raised": func(w *world, _ contract.SyncRef, left, right *memory) {
			w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.BatchSize, j.Limits.MaxCreates = 10, 100 })
			w.connect("left", short{left, 10})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left, right := newMemory().fill(100), newMemory()
			w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.BatchSize, j.Limits.MaxCreates = 10, 35 })
			w.connect("left", short{left, 10})
			ref := w.begin()
			for range 2 {
				p := w.pages(ref)
				require.Equal(t, "limit", p.Asked)
				require.Contains(t, p.Reason, "limits.max_creates")
				require.Equal(t, 30, right.size(), "the page that would go beyond was not begun")
				run, err := w.store.Run(t.Context(), ref.Run)
				require.NoError(t, err)
				require.Equal(t, p.Reason, run.Halted, "who lists runs sees that it waits for a person")
			}
			lift(w, ref, left, right)
			require.True(t, w.pages(ref).Finished)
			run, err := w.store.Run(t.Context(), ref.Run)
			require.NoError(t, err)
			require.Empty(t, run.Halted, "it goes on")
			require.Equal(t, counts(100, "created", 100), w.prove(contract.SyncEnding{SyncRef: ref}).Counts)
			sameThings(t, left, right)
		})
	}
}

// hiding is a source whose pages end too early.
type hiding struct {
	*memory
	gives int
}

func (h hiding) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (connectors.RecordPage, error) {
	page, err := h.memory.ReadRecords(ctx, q, after, min(limit, h.gives))
	page.Next = ""
	return page, err
}

// TestSyncLimitsOfTheSweep: what only the sweep of ids finds is written within the
// limits, too; beyond them the run is incomplete.
func TestSyncLimitsOfTheSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(700), newMemory()
	limited := func(most int64) {
		w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) { j.Mode, j.Limits.MaxCreates = jobs.Incremental, most })
		w.connect("left", hiding{left, 10})
	}
	left.clock = func() time.Time { return time.Now().Add(time.Hour).Truncate(time.Second) }
	limited(20)
	result := w.run()
	require.Equal(t, "incomplete", result.Status)
	require.Contains(t, result.Sentence, "limits.max_creates")
	require.Equal(t, 10, right.size())
	require.False(t, w.watermark().Valid)

	limited(600)
	require.Equal(t, "incomplete", w.run().Status)
	require.Equal(t, 500, right.size()-10, "as far as whole pages go")

	limited(0)
	result = w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	sameThings(t, left, right)
}

// TestSyncErrorRate: too many refused rows stop a run, and it keeps its place.
func TestSyncErrorRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(400), newMemory()
	w.pair(left, right)
	w.connect("left", short{left, 20})
	right.refuse = func(r record.Row) error {
		if n := number(r.Values["sku"].(string)[2:]); n%10 == 0 {
			return fault.New(fault.Invalid, "memory.refused", "no")
		}
		return nil
	}
	ref := w.begin()
	p := w.pages(ref)
	require.Equal(t, "limit", p.Asked)
	require.Contains(t, p.Reason, "max_error_percent")
	require.Less(t, right.size(), 200)
	require.NoError(t, w.store.Ask(t.Context(), ref.Run, "abort", "ann", "", false))
	require.Equal(t, "stopped", w.prove(contract.SyncEnding{SyncRef: ref, Aborted: true}).Status)
	require.Zero(t, w.number(`SELECT count(*) FROM run WHERE halted <> ''`), "it does not wait any more")
	require.False(t, w.watermark().Valid)
	right.refuse = nil
	w.due()
	require.Equal(t, "success", w.run().Status)
	sameThings(t, left, right)
	require.Empty(t, w.parked())
}

// TestSyncIntoFile: an export file holds the source's records, each once, also
// when its run was cut off between pages; a second run replaces it.
func TestSyncIntoFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left := newMemory().fill(300)
	f := newFolder(w, "right", 0)
	w.connect("left", left)
	w.put(jobs.Job{Name: "things", Source: "left", Target: "right", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full, Direction: jobs.Import},
		mapping.Mapping{Name: "things", Source: things, Target: "things.csv", Match: mapping.ByBinding, Fields: []mapping.Field{
			{Source: "sku", Target: "sku"}, {Source: "name", Target: "name"}, {Source: "price", Target: "price"},
		}})
	w.connect("left", short{left, 25})
	for range 2 {
		ref := w.begin()
		failed := false
		left.reading = func(after string) error {
			if after == "150" && !failed {
				failed = true
				return fault.New(fault.Transient, "memory.busy", "busy")
			}
			return nil
		}
		_, err := w.syncs.SyncPages(t.Context(), ref)
		require.Error(t, err)
		require.True(t, w.pages(ref).Finished)
		result := w.prove(contract.SyncEnding{SyncRef: ref})
		require.Equal(t, "success", result.Status, result.Sentence)
		require.Equal(t, counts(300, "created", 300), result.Counts)
		f.holds(left)
		left.edit("7", record.Values{"name": time.Now().String()})
	}
}

// TestSyncBacklog: what earlier runs have parked does not stop later ones.
func TestSyncBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(1000), newMemory()
	w.pair(left, right)
	right.refuse = func(r record.Row) error {
		if number(r.Values["sku"].(string)[2:])%25 == 0 { // 4 %, allowed
			return fault.New(fault.Invalid, "memory.refused", "no")
		}
		return nil
	}
	require.EqualValues(t, 40, w.run().Counts["parked"])
	w.pair(left, right, incremental, func(j *jobs.Job, _ *mapping.Mapping) { j.Limits.MaxErrors = 10 })
	w.due()
	p := w.pages(w.begin())
	require.Empty(t, p.Asked, p.Reason)
	require.True(t, p.Finished)
}
