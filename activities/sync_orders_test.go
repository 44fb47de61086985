package activities

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// orderWorld is a shop and an Odoo that have the same goods.
func orderWorld(t *testing.T, o shop.Options) (*world, *shop.Shop, *simulator.Server) {
	t.Helper()
	w := newWorld(t)
	server := odooOf(w, "odoo", simulator.Options{})
	o.Currency = "EUR"
	return w, shopOf(w, "shop", o), server
}

// old makes the shop's clock, which the test moves on.
func clockFrom(at time.Time) (now func() time.Time, pass func(time.Duration)) {
	at = at.Truncate(time.Second)
	return func() time.Time { return at }, func(d time.Duration) { at = at.Add(d) }
}

// TestSyncOrders: a job of orders reads a window, and every order of it is
// counted by what became of it.
func TestSyncOrders(t *testing.T) {
	t.Parallel()
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, server := orderWorld(t, shop.Options{Now: now})
	goods := shop.Catalog(3)
	w.flow(orders.Rules{})
	w.orderJob()

	var placed []*shop.Order
	for i := range 3 {
		placed = append(placed, s.Ledger.Place(draft(goods[i], buyer(int64(i)))))
		s.Put(placed[i])
	}
	unpaid := draft(goods[0], buyer(4))
	unpaid.Unpaid = true
	s.Put(s.Ledger.Place(unpaid))
	unknown := goods[0]
	unknown.ID, unknown.SKU = 1, "NOT-IN-ODOO"
	s.Put(s.Ledger.Place(draft(unknown, buyer(5))))
	test := draft(goods[1], buyer(1))
	test.Test = true
	s.Put(s.Ledger.Place(test))
	pass(time.Minute)

	w.orderly()
	result := w.run()
	require.Equal(t, "partial", result.Status, result.Sentence)
	c := jobs.CountsOf(result.Counts)
	require.EqualValues(t, 6, c.Fetched)
	require.EqualValues(t, 3, c.Created)
	require.EqualValues(t, 1, c.Parked)
	require.Len(t, c.Skipped, 2, "%v", c.Skipped)
	require.Contains(t, c.Skipped, "waiting_not_paid")
	require.Equal(t, 3, shopOrders(server))
	require.True(t, w.watermark().Time.Equal(now()), "the shop's own clock")
	require.NotContains(t, result.Sentence, "second listing", "the shop counts")

	// Nothing new: the overlap is read again, without effect.
	pass(time.Minute)
	c = jobs.CountsOf(w.run().Counts)
	require.EqualValues(t, 6, c.Fetched)
	require.EqualValues(t, 3, c.Unchanged)
	require.Zero(t, c.Applied())

	// One changes, one is new.
	s.Put(s.Ledger.Edit(placed[0], shop.Edit{Quantities: map[int]int{0: 2}}))
	s.Put(s.Ledger.Place(draft(goods[2], buyer(2))))
	pass(time.Minute)
	c = jobs.CountsOf(w.run().Counts)
	require.EqualValues(t, 7, c.Fetched)
	require.EqualValues(t, 1, c.Created)
	require.EqualValues(t, 1, c.Updated)
	require.EqualValues(t, 2, c.Unchanged)
	require.Equal(t, 4, shopOrders(server))

	// Named ones.
	id := fmt.Sprint(placed[1].ID)
	result = w.run(func(in *contract.SyncOpen) { in.Only = []string{id, "999999"} })
	require.Equal(t, "success", result.Status)
	require.Equal(t, counts(2, "unchanged", 1, "skipped.not_in_source", 1), result.Counts)
}

// TestSyncOrdersProof: without a count of the shop's, a second listing proves
// it; an order that moved out of the window is the next run's.
func TestSyncOrdersProof(t *testing.T) {
	t.Parallel()
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, _ := orderWorld(t, shop.Options{Now: now})
	goods := shop.Catalog(3)
	w.flow(orders.Rules{})
	w.orderJob()
	for i := range 3 {
		s.Put(s.Ledger.Place(draft(goods[i], buyer(int64(i)))))
	}
	pass(time.Minute)
	w.orderly()

	full := w.doors["shop"]
	lister := full.(connectors.OrderLister)
	w.doors["shop"] = uncounted{full, lister}
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(3, "created", 3), result.Counts)
	require.Contains(t, result.Sentence, "second listing")

	// An order is hidden from the first listing, and shown by the second.
	pass(time.Minute)
	late := s.Ledger.Place(draft(goods[0], buyer(1)))
	s.Put(late)
	pass(time.Minute)
	w.doors["shop"] = forgetful{uncounted{full, lister}, fmt.Sprint(late.ID), new(int)}
	result = w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(4, "created", 1, "unchanged", 3), result.Counts)
	w.doors["shop"] = full
}

// TestSyncOrdersInProgress: orders that do not settle in time are safe in the
// inbox; the run says so and does not wait for ever.
func TestSyncOrdersInProgress(t *testing.T) {
	before := orderPatience
	orderPatience = 300 * time.Millisecond
	t.Cleanup(func() { orderPatience = before })
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, server := orderWorld(t, shop.Options{Now: now})
	w.flow(orders.Rules{})
	w.orderJob()
	s.Put(s.Ledger.Place(draft(shop.Catalog(1)[0], buyer(1))))
	pass(time.Minute)
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(1, "skipped.in_progress", 1), result.Counts)
	w.passes() // the worker is back
	require.Equal(t, 1, shopOrders(server))
}

// TestSyncOrdersInterrupted: a pause takes effect while orders are waited for,
// and a page that is read again counts once, as it would have at first.
func TestSyncOrdersInterrupted(t *testing.T) {
	t.Parallel()
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, server := orderWorld(t, shop.Options{Now: now})
	w.flow(orders.Rules{})
	w.orderJob()
	const n = 5
	for i := range n {
		s.Put(s.Ledger.Place(draft(shop.Catalog(n)[i], buyer(int64(i)))))
	}
	pass(time.Minute)

	ref := w.begin()
	require.NoError(t, w.store.Ask(t.Context(), ref.Run, "pause", "ann", "lunch", false))
	require.Equal(t, "pause", w.pages(ref).Asked)
	require.Zero(t, w.number(`SELECT count(*) FROM object WHERE kind = 'order'`), "not an order is read after a pause")
	require.NoError(t, w.store.Ask(t.Context(), ref.Run, "resume", "ann", "", false))

	waiting := make(chan contract.SyncProgress)
	go func() {
		p, err := w.syncs.SyncPages(t.Context(), ref) // nobody works on the orders: it waits
		assert.NoError(t, err)
		waiting <- p
	}()
	require.Eventually(t, func() bool { return w.number(`SELECT count(*) FROM object WHERE kind = 'order'`) == n }, time.Minute, 10*time.Millisecond)
	began := time.Now()
	require.NoError(t, w.store.Ask(t.Context(), ref.Run, "pause", "ann", "", false))
	require.Equal(t, "pause", (<-waiting).Asked)
	require.Less(t, time.Since(began), orderPatience/4, "it did not wait for the orders")
	w.passes() // the orders come in meanwhile
	require.Equal(t, n, shopOrders(server))

	require.NoError(t, w.store.Ask(t.Context(), ref.Run, "resume", "ann", "", false))
	w.syncs = w.worker() // another process
	require.True(t, w.pages(ref).Finished)
	result := w.prove(contract.SyncEnding{SyncRef: ref})
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(n, "created", n), result.Counts)
}

// TestSyncOrdersHorizon: a shop that hides old orders lets no run say that it
// is complete.
func TestSyncOrdersHorizon(t *testing.T) {
	t.Parallel()
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, _ := orderWorld(t, shop.Options{Now: now, Scopes: []string{"read_orders", "read_products", "read_customers"}})
	w.flow(orders.Rules{})
	w.orderJob(func(j *jobs.Job) { j.Mode = jobs.Full })
	s.Put(s.Ledger.Place(draft(shop.Catalog(1)[0], buyer(1))))
	pass(time.Minute)
	w.orderly()
	result := w.run()
	require.Equal(t, "incomplete", result.Status, result.Sentence)
	require.Contains(t, result.Sentence, "shows no orders from before")
	require.Equal(t, counts(1, "created", 1), result.Counts)
	require.False(t, w.watermark().Valid)

	w.flow(orders.Rules{ImportFrom: now().AddDate(0, 0, -20).Format(time.DateOnly)})
	result = w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(1, "unchanged", 1), result.Counts)
}

// TestSyncOrdersAskedWrongly: what a job of orders cannot do is said before
// anything is read.
func TestSyncOrdersAskedWrongly(t *testing.T) {
	t.Parallel()
	w, _, _ := orderWorld(t, shop.Options{})
	odoo := w.doors["odoo"]
	open := func(in contract.SyncOpen) *fault.Fault {
		in.Job, in.Run = "things", "sync/things-wrong"
		_, err := w.syncs.open(t.Context(), in)
		require.Error(t, err)
		f := fault.Of(err)
		require.NotEmpty(t, f.Resolution)
		return f
	}
	w.orderJob()
	require.Equal(t, "job.no_flow", open(contract.SyncOpen{}).Code)
	w.flow(orders.Rules{})
	require.Equal(t, "sync.orders_undone", open(contract.SyncOpen{SyncInput: contract.SyncInput{Purpose: contract.PurposeUndo}}).Code)
	w.doors["odoo"] = struct{ connectors.Connector }{odoo}
	require.Equal(t, "sync.no_order_states", open(contract.SyncOpen{SyncInput: contract.SyncInput{Mode: string(jobs.Reconcile)}}).Code)
	w.doors["odoo"] = odoo
	w.orderJob(func(j *jobs.Job) { j.Filter = "status:open" })
	require.Equal(t, "sync.orders_filtered", open(contract.SyncOpen{}).Code)
	w.orderJob(func(j *jobs.Job) { j.Source, j.Target, j.Direction = "odoo", "shop", jobs.Export })
	f := open(contract.SyncOpen{})
	require.Equal(t, "Export not implemented for model sale.order in connector shopify", f.Message)
	w.orderJob(func(j *jobs.Job) { j.Source = "odoo"; j.Target = "shop" })
	require.Equal(t, "sync.no_order_list", open(contract.SyncOpen{}).Code)
}

// shopOrders counts the orders in Odoo that came from the shop.
func shopOrders(server *simulator.Server) (n int) {
	for _, o := range server.Orders() {
		if strings.HasPrefix(o.XID, "__towpath__.shop.") {
			n++
		}
	}
	return n
}

// uncounted is a shop that lists and does not count.
type uncounted struct {
	connectors.Connector
	connectors.OrderLister
}

// forgetful leaves an order out of one listing.
type forgetful struct {
	uncounted
	id    string
	times *int
}

func (f forgetful) ListOrders(ctx context.Context, since time.Time, cursor string) (connectors.OrderPage, error) {
	page, err := f.uncounted.ListOrders(ctx, since, cursor)
	var kept []record.Order
	for _, o := range page.Orders {
		if o.ExternalID == f.id {
			if *f.times++; *f.times == 1 {
				continue
			}
		}
		kept = append(kept, o)
	}
	page.Orders = kept
	return page, err
}
