package activities

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// orderSource is the source of a job of orders. Such a run maps and writes
// nothing by itself: it puts the orders of its window into the inbox, from where
// the order workflow takes them by the rules of their flow, and counts how that
// ended. So an order comes into the target by one way only, whoever brought it.
type orderSource struct {
	lister  connectors.OrderLister
	counter connectors.OrderCounter // nil: the source does not count
	reader  connectors.OrderReader  // nil: it gives no single orders
	oldest  time.Time               // that the flow's rules import; zero: all
}

// isOrders says that the run is one of orders: it has no flows of records.
func (r *syncRun) isOrders() bool { return r.orders != nil }

// assembleOrders makes a run of orders ready.
func (r *syncRun) assembleOrders(ctx context.Context) error {
	if err := r.onlyImport(ctx, "sale.order"); err != nil {
		return err
	}
	if r.run.Purpose != contract.PurposeSync {
		return fault.New(fault.Unsupported, "sync.orders_planned", "a job of orders can only be run: the rules of their flow decide about each order as it comes").
			WithField("mode").WithResolution("use mode full or incremental; what became of an order and why: towpath explain order/%s/ID", r.row.Source)
	}
	if r.job.Filter != "" {
		return fault.New(fault.Unsupported, "sync.orders_filtered", "orders are not filtered by a job").WithField("filter").
			WithResolution("say which orders come in by the rules of their flow: import, import_from, import_test_orders")
	}
	door, err := r.Pool.Get(ctx, r.row.Source)
	if err != nil {
		return err
	}
	o := &orderSource{}
	if o.lister, _ = door.(connectors.OrderLister); o.lister == nil {
		return fault.New(fault.Unsupported, "sync.no_order_list", "connection %q cannot list orders", r.row.Source).WithField("source").
			WithResolution("choose a connection to a shop")
	}
	o.counter, _ = door.(connectors.OrderCounter)
	o.reader, _ = door.(connectors.OrderReader)
	o.oldest, err = r.orderFlow(ctx)
	r.orders = o
	return err
}

// orderFlow finds the rules by which the job's orders come in.
func (r *syncRun) orderFlow(ctx context.Context) (oldest time.Time, err error) {
	flows, err := r.Store.Flows(ctx)
	if err != nil {
		return oldest, err
	}
	for _, f := range flows {
		if f.Source != r.row.Source || f.Kind != record.KindOrder || f.Target != r.row.Target || !f.Active {
			continue
		}
		var rules orders.Rules
		if err := json.Unmarshal(f.Rules, &rules); err != nil {
			return oldest, fault.New(fault.Invalid, "order.bad_rules", "the stored rules of the flow cannot be read").
				WithResolution("apply towpath.yaml again").WithCause(err)
		}
		return rules.Oldest(), nil
	}
	return oldest, fault.New(fault.Invalid, "job.no_flow", "nothing says by which rules orders of %q come into %q", r.row.Source, r.row.Target).
		WithField("target").WithResolution("add it to towpath.yaml and apply the file: orders: [{from: %s, to: %s}]", r.row.Source, r.row.Target)
}

// onlyImport refuses ways that a kind of record does not go.
func (r *syncRun) onlyImport(ctx context.Context, model string) error {
	if r.job.Direction == jobs.Import {
		return nil
	}
	to, err := r.Store.Connection(ctx, r.row.Target)
	if err != nil {
		return err
	}
	return fault.New(fault.Unsupported, "sync.not_implemented", "export not implemented for model %s in connector %s", model, to.Kind).
		WithField("direction").WithResolution("use direction: import, from the shop to Odoo")
}

// epoch is before all orders; earlier times are none that every system reads.
var epoch = time.Unix(0, 0).UTC()

// orderWindow fixes which orders are read: those last changed at since or later
// and before until, by the source's own clock, in whole seconds as shops have it.
func (r *syncRun) orderWindow(ctx context.Context) error {
	now, _, err := r.orderClock(ctx)
	if err != nil {
		return err
	}
	r.run.SourceNow = now
	if len(r.only) > 0 {
		r.plan.Flows = []flowPlan{{Until: now}}
		r.plan.Lanes = []lanePlan{{Lane: plannedLane, Only: r.only}}
		return nil
	}
	mark := r.row.Watermark.Time
	if mark.After(now) { // the clock was set back
		mark = time.Time{}
	}
	since, until := jobs.Window(jobs.Mode(r.run.Mode), mark, now, 0)
	for _, bound := range []time.Time{epoch, r.orders.oldest} { // nothing is changed before it is created
		if since.Before(bound) {
			since = bound
		}
	}
	since = since.Truncate(time.Second)
	w := flowPlan{Since: &since, Until: until}
	if w.Counted, _, err = r.countOrders(ctx, w); err != nil {
		return err
	}
	r.run.CountedBefore = w.Counted
	r.run.Since, r.run.Until = sql.NullTime{Time: since, Valid: true}, sql.NullTime{Time: until, Valid: true}
	r.plan.Flows, r.plan.Lanes = []flowPlan{w}, []lanePlan{{Lane: 0}}
	return nil
}

// orderClock asks the source for its time, and how far back it shows orders.
func (r *syncRun) orderClock(ctx context.Context) (now, horizon time.Time, err error) {
	page, err := r.orders.lister.ListOrders(ctx, r.Now().Add(-time.Second), "")
	if err != nil {
		return now, horizon, err
	}
	if page.SourceNow.IsZero() {
		return now, horizon, fault.New(fault.Unsupported, "sync.no_clock", "connection %q does not tell its time, by which changes are followed", r.row.Source).
			WithResolution("let the proxy before it pass the Date header on")
	}
	return page.SourceNow.Truncate(time.Second), page.Horizon, nil
}

// countOrders asks the source how many orders a window holds; known is false
// where it cannot say.
func (r *syncRun) countOrders(ctx context.Context, w flowPlan) (n int64, known bool, err error) {
	if r.orders.counter == nil {
		return 0, false, nil
	}
	return r.orders.counter.CountOrders(ctx, *w.Since, w.Until)
}

// orderPage is one page of orders on its way: put into the inbox, and to settle.
type orderPage struct {
	lane        lanePlan
	number      int
	after, next string
	ids         []string
	missing     int // of those that were named: not in the source
	err         error
}

// orderReading reads orders into the inbox, each id once.
type orderReading struct {
	*syncRun
	seen  map[string]bool // a listing may show an order again that changed meanwhile
	inbox Inbox
}

// ordersPerPage is how many orders settle together: while they do, the next
// are read.
const ordersPerPage = 200

// page reads on from a cursor of the listing.
func (o *orderReading) page(ctx context.Context, lane lanePlan, number int, after string) *orderPage {
	p := &orderPage{lane: lane, number: number, after: after}
	if len(lane.Only) > 0 {
		p.err = o.named(ctx, p)
		return p
	}
	w := o.plan.Flows[0]
	for cursor := after; len(p.ids) < ordersPerPage; cursor = p.next {
		listed, err := o.orders.lister.ListOrders(ctx, *w.Since, cursor)
		if err != nil {
			p.err = err
			return p
		}
		p.next = listed.Next
		in := o.fresh(listed.Orders, w)
		if p.err = o.take(ctx, p, in); p.err != nil {
			return p
		}
		if n := len(listed.Orders); n > 0 && !listed.Orders[n-1].UpdatedAt.Before(w.Until) {
			p.next = "" // oldest change first: the rest is the next run's
		}
		if p.next == "" {
			return p
		}
	}
	return p
}

// fresh are the orders of a window that were not read yet.
func (o *orderReading) fresh(list []record.Order, w flowPlan) []record.Order {
	return slices.DeleteFunc(slices.Clone(list), func(order record.Order) bool {
		return o.seen[order.ExternalID] || order.UpdatedAt.Before(*w.Since) || !order.UpdatedAt.Before(w.Until)
	})
}

// named reads the orders that somebody named.
func (o *orderReading) named(ctx context.Context, p *orderPage) error {
	if o.orders.reader == nil {
		return fault.New(fault.Unsupported, "order.no_reader", "connection %q cannot read orders", o.row.Source)
	}
	ids := behind(p.lane.Only, p.after, ordersPerPage)
	if len(ids) == ordersPerPage {
		p.next = ids[len(ids)-1]
	}
	var list []record.Order
	for _, id := range ids {
		order, err := o.orders.reader.ReadOrder(ctx, id)
		switch {
		case fault.Is(err, fault.NotFound):
			p.missing++
		case err != nil:
			return err
		default:
			list = append(list, order)
		}
	}
	return o.take(ctx, p, list)
}

// take makes orders durable: from here on they come into the target even if the
// run does not.
func (o *orderReading) take(ctx context.Context, p *orderPage, list []record.Order) error {
	if _, err := (Backfill{Store: o.Store, Priority: 4}).accept(ctx, o.inbox, o.row.Source, list); err != nil {
		return err
	}
	for _, order := range list {
		o.seen[order.ExternalID] = true
		p.ids = append(p.ids, order.ExternalID)
	}
	return nil
}
