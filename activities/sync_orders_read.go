package activities

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// orderPage is one page of orders on its way: read, and to settle.
type orderPage struct {
	lane        lanePlan
	number      int
	after, next string
	ids         []string
	orders      []record.Order // of a plan: as read
	missing     int            // of those that were named: not in the source
	err         error
}

// orderReading reads orders, into the inbox or, of a plan, to be compared.
type orderReading struct {
	*syncRun
	inbox Inbox
	// A listing may show an order again: at a page's edge, or because it changed
	// meanwhile. Those of this page and of the one before are known; what is read
	// twice beyond that, the proof finds.
	recent, before map[string]bool
	// known are, of a sweep, the orders that the run has read.
	known *idSet
}

// ordersPerPage is how many orders settle together: while they do, the next
// are read.
const ordersPerPage = 200

// fetchesAtOnce is how many single orders are read from the source at once.
const fetchesAtOnce = 8

// page reads on from a cursor of the listing.
func (o *orderReading) page(ctx context.Context, lane lanePlan, number int, after string) *orderPage {
	p := &orderPage{lane: lane, number: number, after: after}
	o.recent, o.before = map[string]bool{}, o.recent
	switch {
	case len(lane.Only) > 0:
		p.err = o.named(ctx, p)
		return p
	case o.run.Purpose == contract.PurposeApprove:
		p.err = o.approved(ctx, p)
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
func (o *orderReading) fresh(list []record.Order, w flowPlan) (in []record.Order) {
	for _, order := range list {
		id := order.ExternalID
		switch {
		case o.recent[id] || o.before[id] || o.known != nil && o.known.has(id):
		case order.UpdatedAt.Before(*w.Since) || !order.UpdatedAt.Before(w.Until):
		default:
			o.recent[id] = true
			in = append(in, order)
		}
	}
	return in
}

// named reads the orders that somebody named.
func (o *orderReading) named(ctx context.Context, p *orderPage) error {
	if err := o.readsSingly(); err != nil {
		return err
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

func (o *orderReading) readsSingly() error {
	if o.orders.reader == nil {
		return fault.New(fault.Unsupported, "order.no_reader", "connection %q cannot read orders", o.row.Source)
	}
	return nil
}

// approved makes the orders of the plan due: as they are in the source by now,
// and so that their passes look into the target. Nothing else is done; what is
// written, if anything, the order workflow decides.
func (o *orderReading) approved(ctx context.Context, p *orderPage) (err error) {
	if err := o.readsSingly(); err != nil {
		return err
	}
	if p.ids, err = o.Store.ChangeIDs(ctx, o.run.BaseRun.String, []string{store.ChangePlanned}, p.after, ordersPerPage); err != nil {
		return err
	}
	if len(p.ids) == ordersPerPage {
		p.next = p.ids[len(p.ids)-1]
	}
	fetcher := &Orders{Deps: o.Deps}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchesAtOnce)
	for _, id := range p.ids {
		g.Go(func() error {
			return fetcher.fetchOrder(gctx, contract.Ref{Connection: o.row.Source, Kind: record.KindOrder, ExternalID: id})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return o.Store.LookAgain(ctx, o.row.Source, record.KindOrder, p.ids)
}

// take makes orders durable: from here on they come into the target even if the
// run does not. A plan only keeps them to be compared.
func (o *orderReading) take(ctx context.Context, p *orderPage, list []record.Order) error {
	if o.dry() {
		p.orders = slices.Concat(p.orders, list)
	} else if _, err := (Backfill{Store: o.Store, Priority: 4}).accept(ctx, o.inbox, o.row.Source, list); err != nil {
		return err
	}
	for _, order := range list {
		p.ids = append(p.ids, order.ExternalID)
	}
	return nil
}
