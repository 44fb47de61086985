package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/store"
)

// gone goes through what a run did not read, as its lane does.
func (w *world) gone(t *testing.T, run string, size int) (all []string) {
	t.Helper()
	for after := ""; ; {
		ids, err := w.GoneIDs(t.Context(), run, after, size)
		require.NoError(t, err)
		all = append(all, ids...)
		if len(ids) < size {
			return all
		}
		after = ids[len(ids)-1]
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	w.exec(t, `INSERT INTO synced (job, external_id, target_id, snapshot, mapping_version, run) SELECT 'products', 'e' || n, n, '{}', 1, 'r0' FROM generate_series(1, 10) n`)
	for i, ids := range [][]string{{"e1", "e2", "other"}, {"e3"}, {}} {
		require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "r1", Lane: i, IDs: ids, Counts: map[string]int64{}}))
	}
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "r1", Lane: 900, IDs: []string{"e4"}, Counts: map[string]int64{}}))
	for range 2 { // by a worker, and by the one after it
		require.NoError(t, w.FindGone(t.Context(), "r1", 0, 899))
		assert.Equal(t, []string{"e10", "e4", "e5", "e6", "e7", "e8", "e9"}, w.gone(t, "r1", 3))
	}
	require.NoError(t, w.EndRun(t.Context(), "r1", store.Ending{Status: "success"}))
	assert.Empty(t, w.gone(t, "r1", 3), "nothing of it is kept")
}

// Ids hold what people typed into a cell, line breaks too.
func TestGoneWhateverIdsHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	w.start(t, "r1", noon)
	read := []string{"one\ntwo", "\n", "a\x1bb", "\x1b1", "\x1b0\x1b", "\r\n\x1b\n1", `back\nslash`}
	for _, id := range append(read, "one", "two") {
		w.exec(t, `INSERT INTO synced (job, external_id, target_id, snapshot, mapping_version, run) VALUES ('products', $1, $1, '{}', 1, 'r0')`, id)
	}
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "r1", IDs: read, Counts: map[string]int64{}}))
	require.NoError(t, w.FindGone(t.Context(), "r1", 0, 899))
	assert.Equal(t, []string{"one", "two"}, w.gone(t, "r1", 3))
	var ids []string
	require.NoError(t, w.PageIDs(t.Context(), "r1", 0, 899, func(id string) { ids = append(ids, id) }))
	assert.ElementsMatch(t, read, ids)
}

// TestGoneIsLinear: ten times the records cost about ten times the time, pages
// included; the quickest of three times counts, since a machine may stand still
// in one. Before, each page of the lane read the ids of all others.
func TestGoneIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("a benchmark of a kind")
	}
	w := newWorld(t)
	products(w, t)
	took := map[int]time.Duration{}
	for try := range 3 {
		if try > 0 && took[200_000] < 40*took[20_000] {
			break
		}
		for _, n := range []int{20_000, 200_000} {
			w.goneTakes(t, fmt.Sprintf("r%d-%d", n, try), n, took)
		}
	}
	t.Logf("20,000: %v, 200,000: %v", took[20_000], took[200_000])
	require.Less(t, took[200_000], 40*took[20_000]+time.Second, "a quadratic way takes a hundred times as long")
}

// goneTakes notes the shortest time that it has taken to find half of n records gone.
func (w *world) goneTakes(t *testing.T, run string, n int, took map[int]time.Duration) {
	t.Helper()
	w.start(t, run, noon)
	w.exec(t, `DELETE FROM synced`)
	w.exec(t, `INSERT INTO synced (job, external_id, target_id, snapshot, mapping_version, run) SELECT 'products', 'e' || n, n, '{}', 1, 'r0' FROM generate_series(1, $1::int) n`, n)
	w.exec(t, `INSERT INTO run_page (run, lane, page, after, next, counts, ids)
SELECT $1, 0, n / 500, n / 500, n / 500 + 1, '{}', string_agg('e' || n, E'\n') FROM generate_series(0, $2::int) n WHERE n % 2 = 0 GROUP BY n / 500`, run, n)
	began := time.Now()
	require.NoError(t, w.FindGone(t.Context(), run, 0, 899))
	require.Len(t, w.gone(t, run, 500), n/2)
	span := time.Since(began)
	if before, ok := took[n]; !ok || span < before {
		took[n] = span
	}
	require.NoError(t, w.EndRun(t.Context(), run, store.Ending{Status: "success"}))
}
