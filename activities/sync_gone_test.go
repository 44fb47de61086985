package activities

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// TestABrokenLineIsNotGone: a record whose line cannot be read has not left its
// source, and nobody proposes to archive it. Where not even the line's record can
// be told, all that are missing wait until the line is put right.
func TestABrokenLineIsNotGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().Truncate(time.Second)
	f := newFolder(w, "left", 6)
	right := newMemory()
	w.pair(newMemory(), right, archiving, func(_ *jobs.Job, m *mapping.Mapping) { m.Source, m.Fields = "things.csv", m.Fields[:3] })
	f.open(w, "left", nil)
	f.write(now)
	require.Equal(t, counts(6, "created", 6), w.run().Counts)
	lines := f.lines
	put := func(change func(lines []string) []string) {
		t.Helper()
		now = now.Add(time.Second)
		f.lines = change(slices.Clone(lines))
		f.write(now)
	}
	proposed := func(run string) (archived []string, parked map[string]string) {
		t.Helper()
		changes, err := w.store.Changes(t.Context(), run, nil, "", 100)
		require.NoError(t, err)
		for _, c := range changes {
			require.Equal(t, string(jobs.Archive), c.Op)
			archived = append(archived, c.ExternalID)
		}
		list, err := w.store.PlanParked(t.Context(), run, "", 100)
		require.NoError(t, err)
		parked = map[string]string{}
		for _, p := range list {
			parked[p.ExternalID] = p.Code
		}
		return archived, parked
	}

	// Its time of change cannot be read, but whose line it is can: the other one is gone.
	put(func(l []string) []string {
		l[2] = strings.Replace(l[2], "2020-01-01", "first of May", 1)
		return append(l[:4], l[5])
	})
	run, report := w.drift()
	archived, parked := proposed(run)
	assert.Equal(t, []string{sku(5)}, archived)
	assert.Equal(t, map[string]string{"line 4": "sync.unreadable"}, parked)
	assert.Equal(t, map[string]int64{causeGone: 1, causeParked: 1}, report.Causes)
	carried := run

	// A cell too many: it may be anyone's that is missing.
	put(func(l []string) []string {
		l[2] += ",what is this"
		return append(l[:4], l[5])
	})
	run, report = w.drift()
	archived, parked = proposed(run)
	assert.Empty(t, archived)
	assert.Equal(t, map[string]string{"line 4": "sync.unreadable", sku(3): "sync.perhaps_unreadable", sku(5): "sync.perhaps_unreadable"}, parked)
	assert.Equal(t, map[string]int64{causeParked: 1}, report.Causes)

	// A plan that was made while it could be told does not archive what cannot be told now.
	approve := func() store.Approval {
		t.Helper()
		ref := w.begin(func(in *contract.SyncOpen) {
			in.Purpose, in.Base, in.Mode = contract.PurposeApprove, carried, string(jobs.Reconcile)
		})
		require.True(t, w.pages(ref).Finished)
		w.prove(contract.SyncEnding{SyncRef: ref})
		a, err := w.store.Approval(t.Context(), carried)
		require.NoError(t, err)
		return a
	}
	assert.Equal(t, store.Approval{Planned: 1}, approve())
	put(func(l []string) []string { return append(l[:4], l[5]) })
	assert.Equal(t, store.Approval{Planned: 1, Done: 1}, approve(), "put right, it is carried out")
	assert.Equal(t, false, right.of(w.there(sku(5)))["active"])
	assert.NotEqual(t, false, right.of(w.there(sku(3)))["active"])
}

// TestGoneByAnyName: a record whose id holds a line break is counted once by the
// sweep, and is not gone.
func TestGoneByAnyName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().Truncate(time.Second)
	f := newFolder(w, "left", 3)
	right := newMemory()
	w.pair(newMemory(), right, archiving, func(_ *jobs.Job, m *mapping.Mapping) { m.Source, m.Fields = "things.csv", m.Fields[:3] })
	f.open(w, "left", nil)
	f.lines[1] = strings.Replace(f.lines[1], sku(2), "\"T-\n2\"", 1)
	f.write(now)
	require.Equal(t, counts(3, "created", 3), w.run().Counts)

	ref := w.begin()
	w.exec(`UPDATE run SET plan = jsonb_set(plan, '{flows,0,counted}', '4') WHERE id = $1`, ref.Run) // as if one had left meanwhile, so that ids must tell
	require.True(t, w.pages(ref).Finished)
	result := w.prove(contract.SyncEnding{SyncRef: ref})
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Contains(t, result.Sentence, "sweep")
	_, report := w.drift()
	require.Equal(t, jobs.Report{Source: 3, Target: 3, Bound: 3, InStep: 3}, report)
}
