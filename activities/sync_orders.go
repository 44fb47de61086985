package activities

import (
	"context"
	"database/sql"
	"encoding/json"
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
// A plan puts nothing into the inbox: it compares both sides, by the same rules.
type orderSource struct {
	lister  connectors.OrderLister
	counter connectors.OrderCounter // nil: the source does not count
	reader  connectors.OrderReader  // nil: it gives no single orders
	rules   orders.Rules            // of the flow
	// Of a plan: where the orders go to.
	target connectors.SalesTarget
	states connectors.OrderStates
}

// isOrders says that the run is one of orders: it has no flows of records.
func (r *syncRun) isOrders() bool { return r.orders != nil }

// assembleOrders makes a run of orders ready.
func (r *syncRun) assembleOrders(ctx context.Context) error {
	if err := r.onlyImport(ctx, "sale.order"); err != nil {
		return err
	}
	if r.run.Purpose == contract.PurposeUndo {
		return fault.New(fault.Unsupported, "sync.orders_undone", "a run of orders is not undone: the rules of their flow decide about each order").
			WithResolution("correct or cancel the order in the shop; what became of it and why: towpath explain order/%s/ID", r.row.Source)
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
	if o.rules, err = r.orderFlow(ctx); err != nil {
		return err
	}
	r.orders = o
	if !r.dry() {
		return nil
	}
	if door, err = r.Pool.Get(ctx, r.row.Target); err != nil {
		return err
	}
	o.target, _ = door.(connectors.SalesTarget)
	if o.states, _ = door.(connectors.OrderStates); o.target == nil || o.states == nil {
		return fault.New(fault.Unsupported, "sync.no_order_states", "connection %q cannot tell of many orders at once", r.row.Target).
			WithField("target").WithResolution("compare orders with an Odoo connection; else run the job without --dry-run")
	}
	return nil
}

// orderFlow finds the rules by which the job's orders come in.
func (r *syncRun) orderFlow(ctx context.Context) (rules orders.Rules, err error) {
	flows, err := r.Store.Flows(ctx)
	if err != nil {
		return rules, err
	}
	for _, f := range flows {
		if f.Source != r.row.Source || f.Kind != record.KindOrder || f.Target != r.row.Target || !f.Active {
			continue
		}
		if err := json.Unmarshal(f.Rules, &rules); err != nil {
			return rules, fault.New(fault.Invalid, "order.bad_rules", "the stored rules of the flow cannot be read").
				WithResolution("apply towpath.yaml again").WithCause(err)
		}
		return rules.WithDefaults(), nil
	}
	return rules, fault.New(fault.Invalid, "job.no_flow", "nothing says by which rules orders of %q come into %q", r.row.Source, r.row.Target).
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
	return jobs.NotImplemented(jobs.Export, model, to.Kind).
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
	if len(r.only) > 0 || r.run.Purpose == contract.PurposeApprove {
		r.plan.Flows = []flowPlan{{Until: now}}
		r.plan.Lanes = []lanePlan{{Lane: plannedLane, Only: r.only}}
		return nil
	}
	mark := r.row.Watermark.Time
	if mark.After(now) { // the clock was set back
		mark = time.Time{}
	}
	since, until := jobs.Window(jobs.Mode(r.run.Mode), mark, now, 0)
	for _, bound := range []time.Time{epoch, r.orders.rules.Oldest()} { // nothing is changed before it is created
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
