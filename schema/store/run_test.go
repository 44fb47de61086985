package store_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func products(w *world, t *testing.T) store.Job {
	t.Helper()
	j := store.Job{Name: "products", Source: "shop", Target: "odoo", Kind: record.KindProduct, Spec: json.RawMessage(`{"mode": "full"}`), Active: true}
	changed, err := w.PutJob(t.Context(), j)
	require.NoError(t, err)
	require.True(t, changed)
	return j
}

func (w *world) start(t *testing.T, id string, at time.Time) store.Run {
	t.Helper()
	r, err := w.StartRun(t.Context(), store.Run{ID: id, Job: "products", Mode: "full", Mapping: "m", MappingVersion: 1, SourceNow: at, CountedBefore: 30})
	require.NoError(t, err)
	return r
}

func TestJobs(t *testing.T) {
	w := newWorld(t)
	j := products(w, t)
	changed, err := w.PutJob(t.Context(), j)
	require.NoError(t, err)
	require.False(t, changed, "the same file changes nothing")

	w.start(t, "r1", noon)
	require.NoError(t, w.EndRun(t.Context(), "r1", store.Ending{Status: "success", Sentence: "", CountedAfter: 30, Proved: true}))
	j.Spec = json.RawMessage(`{"mode": "incremental"}`)
	changed, err = w.PutJob(t.Context(), j)
	require.NoError(t, err)
	require.True(t, changed)
	stored, err := w.Job(t.Context(), "products")
	require.NoError(t, err)
	require.EqualValues(t, 2, stored.Revision)
	require.True(t, stored.Watermark.Time.Equal(noon), "other settings keep the watermark")

	w.start(t, "r2", noon)
	j.Active = !j.Active
	_, err = w.PutJob(t.Context(), j)
	require.NoError(t, err)
	steering, err := w.Steering(t.Context(), "r2")
	require.NoError(t, err)
	require.Empty(t, steering.Asked, "other settings let a run go on")
	j.Kind = record.KindCustomer
	_, err = w.PutJob(t.Context(), j)
	require.NoError(t, err)
	steering, err = w.Steering(t.Context(), "r2")
	require.NoError(t, err)
	require.Equal(t, "abort", steering.Asked, "it would mix two kinds")
	require.NoError(t, w.EndRun(t.Context(), "r2", store.Ending{Status: "success", Proved: true}))
	stored, err = w.Job(t.Context(), "products")
	require.NoError(t, err)
	require.False(t, stored.Watermark.Valid, "of customers nothing was read yet")

	for _, bad := range []store.Job{{Name: "x", Source: "nowhere", Target: "odoo", Spec: j.Spec}, {Name: "No Slug", Source: "shop", Target: "odoo", Spec: j.Spec}} {
		_, err = w.PutJob(t.Context(), bad)
		require.Equal(t, "job.refused", fault.Of(err).Code)
		require.NotEmpty(t, fault.Of(err).Resolution)
	}
	_, err = w.Job(t.Context(), "none")
	require.Equal(t, "job.unknown", fault.Of(err).Code)
	all, err := w.Jobs(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestMappingVersions(t *testing.T) {
	w := newWorld(t)
	put := func(digest string) (int, bool) {
		version, changed, err := w.PutMapping(t.Context(), "m", json.RawMessage(fmt.Sprintf(`{"d": %q}`, digest)), digest)
		require.NoError(t, err)
		return version, changed
	}
	for _, c := range []struct {
		digest  string
		version int
		changed bool
	}{{"a", 1, true}, {"a", 1, false}, {"b", 2, true}, {"a", 3, true}, {"a", 3, false}} {
		version, changed := put(c.digest)
		require.Equal(t, []any{c.version, c.changed}, []any{version, changed})
	}
	second, err := w.Mapping(t.Context(), "m", 2)
	require.NoError(t, err)
	require.Equal(t, "b", second.Digest)
	newest, err := w.Mapping(t.Context(), "m", 0)
	require.NoError(t, err)
	require.Equal(t, 3, newest.Version)
	_, err = w.Mapping(t.Context(), "m", 9)
	require.Equal(t, "mapping.unknown", fault.Of(err).Code)

	var wg sync.WaitGroup // many at once agree on one version
	for range 8 {
		wg.Go(func() {
			version, _, err := w.PutMapping(t.Context(), "m", json.RawMessage(`{}`), "c")
			assert.NoError(t, err)
			assert.Equal(t, 4, version)
		})
	}
	wg.Wait()
}

func TestOneRunOfAJobAtATime(t *testing.T) {
	w := newWorld(t)
	products(w, t)
	began := w.start(t, "r1", noon)
	again := w.start(t, "r1", noon.Add(time.Hour))
	require.True(t, again.SourceNow.Equal(began.SourceNow), "a repeated start is the same run, with its own window")
	_, err := w.StartRun(t.Context(), store.Run{ID: "r2", Job: "products", Mode: "full", Mapping: "m", SourceNow: noon})
	require.Equal(t, "run.underway", fault.Of(err).Code)

	require.NoError(t, w.EndRun(t.Context(), "r1", store.Ending{Status: "incomplete", Sentence: "two are missing", CountedAfter: 28, Proved: false}))
	j, err := w.Job(t.Context(), "products")
	require.NoError(t, err)
	require.False(t, j.Watermark.Valid, "without proof the watermark stays")
	w.start(t, "r2", noon.Add(time.Hour))
	require.NoError(t, w.EndRun(t.Context(), "r2", store.Ending{Status: "success", Sentence: "", CountedAfter: 30, Proved: true}))
	require.NoError(t, w.EndRun(t.Context(), "r2", store.Ending{Status: "failed", Sentence: "", CountedAfter: 0, Proved: false}), "ended twice")
	r, err := w.Run(t.Context(), "r2")
	require.NoError(t, err)
	require.Equal(t, "success", r.Status)

	w.start(t, "r3", noon) // a source whose clock was set back
	require.NoError(t, w.EndRun(t.Context(), "r3", store.Ending{Status: "success", Sentence: "", CountedAfter: 30, Proved: true}))
	j, err = w.Job(t.Context(), "products")
	require.NoError(t, err)
	require.True(t, j.Watermark.Time.Equal(noon), "the source's clock is the truth")
	runs, err := w.Runs(t.Context(), "products", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"r3", "r2"}, []string{runs[0].ID, runs[1].ID})

	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		wg.Go(func() {
			_, err := w.StartRun(t.Context(), store.Run{ID: fmt.Sprint("race", i), Job: "products", Mode: "full", Mapping: "m", SourceNow: noon})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				assert.Equal(t, "run.underway", fault.Of(err).Code)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, won)
}

func TestAPageDoneTwiceCountsOnce(t *testing.T) {
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	settle := func(lane, number int, next string, counts map[string]int64, synced ...store.Synced) {
		t.Helper()
		require.NoError(t, w.SettlePage(t.Context(), store.Page{
			Run: "r1", Lane: lane, Number: number, After: map[int]string{1: "10"}[number], Next: next, Counts: counts, Synced: synced,
		}))
	}
	resume := func(lane int) []any {
		page, after, done, err := w.Resume(t.Context(), "r1", lane)
		require.NoError(t, err)
		return []any{page, after, done}
	}
	require.Equal(t, []any{0, "", false}, resume(0))
	settle(0, 0, "10", map[string]int64{"fetched": 10, "created": 10}, store.Synced{ExternalID: "1", TargetID: "71", SourceSeen: "a", MappingVersion: 1})
	settle(0, 0, "10", map[string]int64{"fetched": 10, "unchanged": 10}) // its worker died before it could say so
	settle(0, 1, "", map[string]int64{"fetched": 4, "created": 3, "parked": 1},
		store.Synced{ExternalID: "1", TargetID: "71", SourceSeen: "b"}, store.Synced{ExternalID: "1", TargetID: "71", SourceSeen: "c"})
	settle(1, 0, "99", map[string]int64{"fetched": 6, "updated": 6})
	require.Equal(t, []any{2, "", true}, resume(0))
	require.Equal(t, []any{1, "99", false}, resume(1))
	totals, err := w.Totals(t.Context(), "r1", 0, 100)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"fetched": 20, "unchanged": 10, "created": 3, "parked": 1, "updated": 6}, totals)
	known, err := w.Known(t.Context(), "r1", "target", []string{"1", "2"}, time.Minute)
	require.NoError(t, err)
	require.False(t, known["2"].Synced)
	require.Equal(t, "c", known["1"].SourceSeen, "the later of two in one page holds")

	require.NoError(t, w.EndRun(t.Context(), "r1", store.Ending{Status: "stopped", Sentence: "", CountedAfter: 30, Proved: false}))
	err = w.SettlePage(t.Context(), store.Page{Run: "r1", Lane: 1, Number: 1, Counts: map[string]int64{"fetched": 1}})
	require.Equal(t, "run.over", fault.Of(err).Code)
}

func TestAskOfARun(t *testing.T) {
	w := newWorld(t)
	products(w, t)
	require.Equal(t, "run.none", fault.Of(w.Ask(t.Context(), "r1", "pause", "ann", "", false)).Code)
	w.start(t, "r1", noon)
	for what, stored := range map[string]string{"pause": "pause", "resume": "", "abort": "abort"} {
		require.NoError(t, w.Ask(t.Context(), "r1", what, "ann", "month end", false))
		r, err := w.Run(t.Context(), "r1")
		require.NoError(t, err)
		require.Equal(t, []string{stored, "ann", "month end"}, []string{r.Asked.String, r.AskedBy.String, r.AskedWhy.String})
	}
}

// A run that could not begin is in the log all the same, with who wanted it,
// why, and what for.
func TestARunThatDidNotBeginIsLogged(t *testing.T) {
	w := newWorld(t)
	products(w, t)
	begun := store.Run{ID: "r1", Job: "products", Mode: "reconcile", Purpose: "plan", By: "anna", Reason: "month end", Code: "odoo.unreachable", Sentence: "it did not begin"}
	require.NoError(t, w.LogUnopened(t.Context(), begun))
	begun.Sentence = "said twice"
	require.NoError(t, w.LogUnopened(t.Context(), begun))
	require.NoError(t, w.LogUnopened(t.Context(), store.Run{ID: "r2", Job: "nothing", Code: "job.unknown"}))
	require.NoError(t, w.LogUnopened(t.Context(), store.Run{ID: "r0", Job: "products", Sentence: "by its schedule"}))
	runs, err := w.Runs(t.Context(), "products", 10)
	require.NoError(t, err)
	require.Len(t, runs, 2)
	bySchedule, asked := runs[0], runs[1]
	require.Equal(t, []string{"failed", "full", "sync", "", "", "by its schedule"},
		[]string{bySchedule.Status, bySchedule.Mode, bySchedule.Purpose, bySchedule.By, bySchedule.Reason, bySchedule.Sentence})
	require.Equal(t, []string{"failed", "reconcile", "plan", "anna", "month end", "odoo.unreachable", "it did not begin"},
		[]string{asked.Status, asked.Mode, asked.Purpose, asked.By, asked.Reason, asked.Code, asked.Sentence})
	w.start(t, "r3", noon) // the lease is free
}
