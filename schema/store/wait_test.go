package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"towpath/schema/store"
	"towpath/schema/storetest"
)

func needs(sku string) []string {
	return []string{store.Need("shop", store.BindProduct, "sku:"+sku)}
}

func product(sku string) store.NewBinding {
	return store.NewBinding{Connection: "shop", Kind: store.BindProduct, ExternalID: "sku:" + sku, Target: "odoo", TargetID: "42", SKU: sku, By: "ann"}
}

func TestBindWakesWhoWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		id := fmt.Sprint(i)
		w.accept(t, event(id, "", 1))
		n := needs("A:b") // keys may hold colons
		if i == 4 {
			n = needs("other")
		}
		w.settle(t, w.begin(t, id), store.Settlement{Outcome: "parked", Needs: n})
		require.False(t, w.dueAt(t, id).Valid)
	}
	woken, err := w.Bind(t.Context(), product("A:b"))
	require.NoError(t, err)
	require.Equal(t, 4, woken)
	require.False(t, w.dueAt(t, "4").Valid)
	first, last := w.dueAt(t, "0").Time, w.dueAt(t, "3").Time
	require.Equal(t, 60*time.Millisecond, last.Sub(first), "spread out")
	woken, err = w.Bind(t.Context(), product("A:b"))
	require.NoError(t, err)
	require.Zero(t, woken, "each is woken once")
}

// Whoever settled without a need waits for nothing any more.
func TestSettlingEndsOldWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked", Needs: append(needs("A"), needs("B")...)})
	trail, err := w.Trail(t.Context(), order("1"))
	require.NoError(t, err)
	require.Equal(t, append(needs("A"), needs("B")...), trail.Waits)
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked", Needs: needs("B")})
	require.Equal(t, 1, one[int](t, w, `SELECT count(*) FROM wait`))
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied"})
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM wait`))
	woken, err := w.Bind(t.Context(), product("A"))
	require.NoError(t, err)
	require.Zero(t, woken)
}

// A mapping that came while the pass ran is seen at settling, and only when it
// is for this target and active.
func TestSettleLooksOnceMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	p := w.begin(t, "1")
	elsewhere := product("A")
	elsewhere.Target = "odoo2"
	_, err := w.Bind(t.Context(), elsewhere)
	require.NoError(t, err)
	w.settle(t, p, store.Settlement{Outcome: "parked", Needs: needs("A")})
	require.False(t, w.dueAt(t, "1").Valid)
	require.Equal(t, 1, one[int](t, w, `SELECT count(*) FROM wait`))

	p = w.begin(t, "1")
	_, err = w.Bind(t.Context(), product("A"))
	require.NoError(t, err)
	p2 := w.begin(t, "1")
	_, _, err = w.Settle(t.Context(), p, store.Settlement{Outcome: "parked", Needs: needs("A")})
	superseded(t, err)
	began := time.Now()
	w.settle(t, p2, store.Settlement{Outcome: "parked", Needs: needs("A")})
	ahead(t, 0, began, w.dueAt(t, "1").Time) // mapped: go again at once
}

// The race of protocol P1.6, 1,500 times: a pass settles with a need at the
// very moment in which somebody binds it. No wake-up is lost.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := storetest.OpenAt(t, w.dsn)
	const rounds = 1500
	var all []store.Inbound
	for i := range rounds {
		all = append(all, event(fmt.Sprint(i), "", 1))
	}
	w.accept(t, all...)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range rounds {
		g.Go(func() error {
			sku := fmt.Sprint("S", i)
			p, err := w.Begin(t.Context(), order(fmt.Sprint(i)), time.Minute)
			if err != nil {
				return err
			}
			start := make(chan struct{})
			var race errgroup.Group
			race.Go(func() error {
				<-start
				_, _, err := w.Settle(t.Context(), p, store.Settlement{Outcome: "parked", Needs: needs(sku)})
				return err
			})
			race.Go(func() error { <-start; _, err := other.Bind(t.Context(), product(sku)); return err })
			close(start)
			return race.Wait()
		})
	}
	require.NoError(t, g.Wait())
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM object WHERE due_at IS NULL`), "orders that sleep though their product is mapped")
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM wait`))
}

// Orders that need the same products in different orders do not deadlock.
func TestManyNeedsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var g errgroup.Group
	for i := range 40 {
		w.accept(t, event(fmt.Sprint(i), "", 1))
		p := w.begin(t, fmt.Sprint(i))
		n := append(needs("A"), needs("B")...)
		if i%2 == 0 {
			n = append(needs("B"), needs("A")...)
		}
		g.Go(func() error {
			_, _, err := w.Settle(t.Context(), p, store.Settlement{Outcome: "parked", Needs: n})
			return err
		})
		if i%10 == 5 {
			g.Go(func() error { _, err := w.Bind(t.Context(), product([]string{"A", "B"}[i/10%2])); return err })
		}
	}
	require.NoError(t, g.Wait())
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM object WHERE due_at IS NULL AND NOT EXISTS (SELECT FROM wait WHERE wait.external_id = object.external_id)`))
}

func TestWakeAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, outcome := range map[string]string{"1": "parked", "2": "applied", "3": "waiting"} {
		w.accept(t, event(id, "", 1))
		w.settle(t, w.begin(t, id), store.Settlement{Outcome: outcome})
	}
	n, err := w.WakeAll(t.Context(), "shop", "order", true)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.False(t, w.dueAt(t, "2").Valid)
	n, err = w.WakeAll(t.Context(), "shop", "order", false)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
}

func TestProductFoundByAPassWakesWhoWaitsForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	need := store.Need("shop", store.BindProduct, "sku:A-1")
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked", Code: "orders.product_unmapped", Needs: []string{need}})
	require.Equal(t, 0, one[int](t, w, `SELECT count(*) FROM object WHERE due_at <= now()`))
	require.NoError(t, w.Remember(t.Context(), store.NewBinding{Connection: "shop", Kind: store.BindProduct, ExternalID: "sku:A-1", Target: "odoo", TargetID: "7"}))
	require.Equal(t, 1, one[int](t, w, `SELECT count(*) FROM object WHERE due_at <= now()`))
	require.Equal(t, 0, one[int](t, w, `SELECT count(*) FROM wait`))
}
