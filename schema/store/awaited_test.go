package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/store"
)

// awaiting is a job of stock that goes the other way than the products', whose
// run has left records alone.
func awaiting(t *testing.T, w *world, ids ...string) store.Job {
	t.Helper()
	products(w, t)
	_, err := w.PutJob(t.Context(), store.Job{Name: "stock", Source: "odoo", Target: "shop", Kind: "inventory", Spec: []byte(`{"mapping": "levels"}`), Active: true})
	require.NoError(t, err)
	j, err := w.Job(t.Context(), "stock")
	require.NoError(t, err)
	look(t, w, "s1", ids...)
	return j
}

// look is a run of the stock job that does not find records.
func look(t *testing.T, w *world, run string, ids ...string) {
	t.Helper()
	w.opened(t, run, "stock")
	page := store.Page{Run: run, Counts: map[string]int64{}}
	for _, id := range ids {
		page.Awaited = append(page.Awaited, store.Awaited{ExternalID: id, Needs: []string{
			store.NeedOf("odoo", "stock.level", id), store.NeedOf("odoo", "product.product", id)}})
	}
	require.NoError(t, w.SettlePage(t.Context(), page))
	w.ended(t, run)
}

func (w *world) opened(t *testing.T, run, job string) {
	t.Helper()
	_, err := w.StartRun(t.Context(), store.Run{ID: run, Job: job, Mode: "incremental", SourceNow: time.Now()})
	require.NoError(t, err)
}

func (w *world) ended(t *testing.T, run string) {
	t.Helper()
	require.NoError(t, w.EndRun(t.Context(), run, store.Ending{Status: "success"}))
}

// taken begins a run and gives the awaited records that it looks for.
func (w *world) taken(t *testing.T, j store.Job, run string) (all []string) {
	t.Helper()
	w.opened(t, run, j.Name)
	for range 2 { // a repeated page takes no more
		require.NoError(t, w.TakeAwaited(t.Context(), run))
	}
	for after := ""; ; {
		ids, err := w.ParkedDue(t.Context(), j, time.Now(), after, 300)
		require.NoError(t, err)
		if len(ids) == 0 {
			return all
		}
		all, after = append(all, ids...), ids[len(ids)-1]
	}
}

// TestAwaitedComesBack: at first after minutes, then ever more seldom, at least
// once a day; until it is found, or parked.
func TestAwaitedComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := awaiting(t, w, "a", "b")
	assert.Empty(t, w.taken(t, j, "s2"))
	w.ended(t, "s2")
	wait := func() (minutes float64) {
		require.NoError(t, w.db.QueryRowContext(t.Context(), `SELECT extract(epoch FROM due_at - now()) / 60 FROM awaited WHERE external_id = 'a'`).Scan(&minutes))
		return minutes
	}
	assert.InDelta(t, 5, wait(), 1)
	for i, age := range []float64{2, 5, 20, 80, 1280, 3000} {
		w.exec(t, `UPDATE awaited SET due_at = now() - interval '1 second', since = now() - $1 * interval '1 minute'`, age)
		run := fmt.Sprintf("again-%d", i)
		require.Equal(t, []string{"a", "b"}, w.taken(t, j, run))
		known, err := w.Known(t.Context(), run, "target", []string{"a", "c"}, time.Minute)
		require.NoError(t, err)
		require.True(t, known["a"].Awaited)
		require.False(t, known["c"].Awaited)
		require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: run, Lane: 900, Counts: map[string]int64{},
			Awaited: []store.Awaited{{ExternalID: "a"}, {ExternalID: "b"}}, Clear: []string{"a", "b"}}))
		assert.InDelta(t, min(max(age, 5), 24*60), wait(), 1)
		assert.Empty(t, must(w.ParkedDue(t.Context(), j, time.Now(), "", 10)), "not twice in one run")
		w.ended(t, run)
	}
	w.opened(t, "found", "stock")
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "found", Counts: map[string]int64{}, Clear: []string{"a"},
		Parked: []store.ParkedRecord{{ExternalID: "b", Fault: fault.New(fault.Invalid, "x.y", "bad")}}}))
	w.ended(t, "found")
	w.exec(t, `UPDATE awaited SET due_at = '-infinity'`)
	assert.Empty(t, w.taken(t, j, "last"))
}

// TestAwaitedIsReleased: what a record waits for is bound by another job between
// the same systems, whichever way that one goes.
func TestAwaitedIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := awaiting(t, w, "7", "8", "9")
	w.exec(t, `INSERT INTO connection (name, kind, config, secrets) SELECT 'shop2', kind, config, secrets FROM connection WHERE name = 'shop'`)
	for name, ends := range map[string][2]string{"there": {"odoo", "shop"}, "elsewhere": {"odoo", "shop2"}} {
		_, err := w.PutJob(t.Context(), store.Job{Name: name, Source: ends[0], Target: ends[1], Kind: "product", Spec: []byte(`{}`), Active: true})
		require.NoError(t, err)
	}
	bind := func(run, job string, p store.Page) {
		t.Helper()
		w.opened(t, run, job)
		p.Run, p.Counts = run, map[string]int64{}
		require.NoError(t, w.SettlePage(t.Context(), p))
		w.ended(t, run)
	}
	bind("p1", "there", store.Page{SourceModel: "product.product", TargetModel: "ProductVariant", Bindings: []store.NewBinding{{ExternalID: "8", TargetID: "9"}}})
	bind("p2", "products", store.Page{SourceModel: "ProductVariant", TargetModel: "product.product", Bindings: []store.NewBinding{{ExternalID: "1", TargetID: "9"}}})
	bind("p3", "elsewhere", store.Page{SourceModel: "product.product", TargetModel: "ProductVariant", Bindings: []store.NewBinding{{ExternalID: "7", TargetID: "1"}}})
	bind("p4", "there", store.Page{SourceModel: "product.template", TargetModel: "Product", Bindings: []store.NewBinding{{ExternalID: "7", TargetID: "2"}}})
	assert.Equal(t, []string{"8", "9"}, w.taken(t, j, "s2"))
	w.ended(t, "s2")

	// What the job says now may find them all.
	_, err := w.PutJob(t.Context(), store.Job{Name: "stock", Source: "odoo", Target: "shop", Kind: "inventory", Spec: []byte(`{"mapping": "levels", "batch_size": 7}`), Active: true})
	require.NoError(t, err)
	assert.Equal(t, []string{"7", "8", "9"}, w.taken(t, j, "s3"))
	w.ended(t, "s3")
	w.exec(t, `UPDATE awaited SET due_at = 'infinity'`)
	_, _, err = w.PutMapping(t.Context(), "levels", []byte(`{}`), "new")
	require.NoError(t, err)
	assert.Equal(t, []string{"7", "8", "9"}, w.taken(t, j, "s4"))
}

// TestReferrersAreLookedAt: another record of the target stands in the place of one
// that records of other jobs refer to.
func TestReferrersAreLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	products(w, t)
	_, err := w.PutJob(t.Context(), store.Job{Name: "prices", Source: "shop", Target: "odoo", Kind: "price", Spec: []byte(`{}`), Active: true})
	require.NoError(t, err)
	j, err := w.Job(t.Context(), "prices")
	require.NoError(t, err)
	synced := func(id, snapshot string) store.Synced {
		return store.Synced{ExternalID: id, TargetID: "r" + id, SourceSeen: "seen", Snapshot: []byte(snapshot)}
	}
	w.opened(t, "prices1", "prices")
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "prices1", Counts: map[string]int64{}, Synced: []store.Synced{
		synced("A", `{"t": {"product_id": "10", "fixed_price": 5}}`), synced("B", `{"t": {"product_id": "11", "fixed_price": 10}}`), synced("C", `{}`)}}))
	w.ended(t, "prices1")
	w.opened(t, "products1", "products")
	require.NoError(t, w.SettlePage(t.Context(), store.Page{Run: "products1", Counts: map[string]int64{}, SourceModel: "ProductVariant", TargetModel: "product.product",
		Synced: []store.Synced{synced("own", `{"t": {"product_id": "10"}}`)}, Bindings: []store.NewBinding{{ExternalID: "own", TargetID: "12", Was: "10"}}}))
	w.ended(t, "products1")
	assert.Equal(t, []string{"A"}, w.taken(t, j, "prices2"), "though nothing has changed in the source")
	known, err := w.Known(t.Context(), "prices2", "target", []string{"A", "B"}, 0)
	require.NoError(t, err)
	assert.Equal(t, []string{"", "seen"}, []string{known["A"].SourceSeen, known["B"].SourceSeen})
}

// TestAwaitedIsBounded: a run looks for a thousand, those first whose cause is
// gone; the others have their turn.
func TestAwaitedIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := awaiting(t, w)
	w.exec(t, `INSERT INTO awaited (job, external_id, due_at) SELECT 'stock', 'e' || n, now() - interval '1 hour' + n * interval '1 millisecond' FROM generate_series(1, 5000) n`)
	w.exec(t, `UPDATE awaited SET due_at = '-infinity' WHERE external_id = 'e4999'`)
	seen := map[string]bool{}
	for i := range 5 {
		run := fmt.Sprintf("r%d", i)
		ids := w.taken(t, j, run)
		require.Len(t, ids, 1000)
		require.True(t, slices.IsSorted(ids))
		require.Equal(t, i == 0, slices.Contains(ids, "e4999"))
		for _, id := range ids {
			require.False(t, seen[id], id)
			seen[id] = true
		}
		w.exec(t, `UPDATE awaited SET due_at = now() + interval '1 day' WHERE external_id = ANY($1)`, pq.Array(ids))
		w.ended(t, run)
	}
	require.Len(t, seen, 5000)
	require.Empty(t, w.taken(t, j, "idle"))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
