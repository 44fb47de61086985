package activities

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// TestSyncFromFile is the plain story: all, nothing, one in a hundred.
func TestSyncFromFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 1200 // two lanes' worth would be possible; a file has one
	f := newFolder(w, "files", n)
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	f.write(at)
	server := odooOf(w, "odoo", simulator.Options{})
	w.intoOdoo()

	result := w.run(mode(jobs.Full))
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(n, "created", n), result.Counts)
	w.likeFile(f)
	require.True(t, w.watermark().Time.Equal(at), "the file's own time, not ours")

	server.Stats.Reset()
	result = w.run(mode(jobs.Full))
	require.Equal(t, "success", result.Status)
	require.Equal(t, counts(n, "unchanged", n), result.Counts)
	require.Zero(t, server.Stats.Calls("product.product", "load"), "a full run with nothing new writes nothing")

	at = at.Add(30 * time.Minute)
	for i := 100; i <= n; i += 100 {
		f.lines[i-1] = csvLine(i, "renamed", at.Add(-time.Minute))
	}
	f.write(at)
	result = w.run()
	require.Equal(t, "success", result.Status)
	require.Equal(t, counts(n/100, "updated", n/100), result.Counts, "only what changed is even read")
	w.likeFile(f)
	require.True(t, w.watermark().Time.Equal(at))

	result = w.run()
	require.Equal(t, counts(n/100, "unchanged", n/100), result.Counts, "the overlap is read again, without effect")
}

// TestSyncWindows follows the windows that incremental runs read, by the
// source's own clock, however far it is from ours.
func TestSyncWindows(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"equal": 0, "ahead": 26 * time.Hour, "behind": -26 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			now := time.Now().Add(skew).Truncate(time.Second)
			left, right := newMemory(), newMemory()
			left.clock = func() time.Time { return now }
			left.fill(4)
			left.stamp("1", now.Add(-31*24*time.Hour))
			left.stamp("2", now.Add(-29*24*time.Hour))
			left.stamp("3", now.Add(-time.Second))
			w.pair(left, right, incremental)
			left.stamp("4", now) // changed in the very second: the next window's

			result := w.run()
			require.Equal(t, "success", result.Status, result.Sentence)
			require.Equal(t, counts(2, "created", 2), result.Counts, "the first window is 30 days")
			require.True(t, w.watermark().Time.Equal(now))

			began := now
			now = now.Add(time.Hour)
			left.edit("3", record.Values{"name": "new"})
			now = now.Add(time.Second)
			result = w.run()
			require.Equal(t, counts(2, "created", 1, "updated", 1), result.Counts)
			require.True(t, w.watermark().Time.Equal(now))
			var since time.Time
			require.NoError(t, w.db.QueryRow(`SELECT since FROM run ORDER BY started_at DESC LIMIT 1`).Scan(&since))
			require.True(t, since.Equal(began.Add(-jobs.Overlap)), "%v", since)

			now = now.Add(time.Minute)
			right.written()
			result = w.run()
			require.Equal(t, counts(1, "unchanged", 1), result.Counts, "the overlap is read again")
			require.Zero(t, right.written())
		})
	}
}

// TestSyncClockSetBack: what is changed after a source's clock was set back
// bears times that lie before the watermark. None of it may be lost.
func TestSyncClockSetBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().Truncate(time.Second)
	left, right := newMemory(), newMemory()
	left.clock = func() time.Time { return now }
	w.pair(left.fill(3), right, incremental)
	now = now.Add(time.Second)
	require.Equal(t, counts(3, "created", 3), w.run().Counts)

	now = now.Add(-24 * time.Hour) // it had run a day ahead, and is put right
	left.edit("1", record.Values{"name": "just after it was set back"})
	now = now.Add(30 * time.Minute)
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, "just after it was set back", right.bySKU(t)[sku(1)]["name"])
	require.True(t, w.watermark().Time.Equal(now), "the source's clock is the truth")

	now = now.Add(time.Second)
	left.edit("2", record.Values{"name": "between two runs"})
	now = now.Add(2 * time.Hour)
	require.Equal(t, "success", w.run().Status)
	require.Equal(t, "between two runs", right.bySKU(t)[sku(2)]["name"])
}

// TestSyncOfAJobThatWasTurned: a job that goes another way since a run of it began
// ends that run, and no watermark moves for a way that it did not read.
func TestSyncOfAJobThatWasTurned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	var job jobs.Job
	var m mapping.Mapping
	w.pair(left, right, bidirectional, func(j *jobs.Job, spec *mapping.Mapping) { job, m = *j, *spec })
	ref := w.begin()
	job.Direction = jobs.Import
	w.put(job, m)
	_, err := w.syncs.SyncPages(t.Context(), ref)
	require.ErrorContains(t, err, "did otherwise when the run began")
	result := w.prove(contract.SyncEnding{SyncRef: ref, Fault: "run.job_changed", Message: "turned"})
	require.Equal(t, "failed", result.Status)
	require.Zero(t, w.number(`SELECT count(*) FROM job WHERE watermark IS NOT NULL OR watermark_back IS NOT NULL`))
	require.Equal(t, "success", w.run().Status)
	require.Zero(t, w.number(`SELECT count(*) FROM job WHERE watermark_back IS NOT NULL`), "the way back was not read")
}

// TestSyncWatermarkStays: a run that cannot prove that it is complete moves
// nothing, and the next one reads what it did not.
func TestSyncWatermarkStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().Truncate(time.Second)
	left, right := newMemory(), newMemory()
	left.clock = func() time.Time { return now }
	left.fill(30)
	w.pair(left, right, incremental)
	now = now.Add(time.Second)
	w.run()
	mark := w.watermark()

	edit := func() {
		now = now.Add(time.Hour)
		left.edit("7", record.Values{"name": now.String()})
		now = now.Add(time.Second)
	}
	for status, end := range map[string]func(contract.SyncRef) contract.SyncResult{
		"failed": func(ref contract.SyncRef) contract.SyncResult {
			return w.prove(contract.SyncEnding{SyncRef: ref, Fault: "odoo.access_denied", Message: "no access"})
		},
		"stopped": func(ref contract.SyncRef) contract.SyncResult {
			w.pages(ref)
			require.NoError(t, w.store.Ask(t.Context(), ref.Run, "abort", "ann", "month end", false))
			return w.prove(contract.SyncEnding{SyncRef: ref, Aborted: true})
		},
	} {
		edit()
		ref := w.begin()
		require.Equal(t, status, end(ref).Status)
		require.Equal(t, mark, w.watermark(), status)
	}
	// incomplete: the source counts more than it gives, and tells no ids.
	edit()
	w.connect("left", listed{left, boastful{left}})
	result := w.run()
	require.Equal(t, "incomplete", result.Status, result.Sentence)
	require.Equal(t, mark, w.watermark())

	w.connect("left", left)
	require.Equal(t, "success", w.run().Status)
	require.True(t, w.watermark().Time.Equal(now))
	sameThings(t, left, right)
}

// boastful counts one record more than it gives.
type boastful struct{ connectors.RecordSource }

func (s boastful) CountRecords(ctx context.Context, q connectors.RecordQuery) (int64, error) {
	n, err := s.RecordSource.CountRecords(ctx, q)
	return n + 1, err
}
