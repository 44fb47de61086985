package activities

import (
	"context"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

// intoSink gives a page to a system that takes records from beginning to end.
func (p *syncPage) intoSink(ctx context.Context) error {
	var rows []record.Values
	var items []*syncItem
	for _, item := range p.items {
		if item.done == toWrite {
			rows, items = append(rows, item.read), append(items, item)
		}
	}
	refused, err := p.flow.to.sink.SinkPage(ctx, connectors.SinkPage{
		Run: p.run.ID, Model: p.flow.to.model, Columns: p.flow.mapping.TargetFields(), Lane: p.lane.Lane, Page: p.number, Rows: rows,
	})
	if err != nil {
		return err
	}
	for _, r := range refused {
		items[r.Row].park(fault.Of(r.Err))
	}
	return p.settle(ctx, store.Page{})
}

// sinkDone makes the whole appear.
func (r *syncRun) sinkDone(ctx context.Context) (where string, err error) {
	if r.isOrders() {
		return "", nil
	}
	f := r.flows[0]
	if f.to.target != nil || f.to.sink == nil || r.dry() {
		return "", nil
	}
	run := connectors.SinkRun{Run: r.run.ID, Model: f.to.model, Columns: f.mapping.TargetFields()}
	pages, err := r.Store.PageCounts(ctx, r.run.ID, "created")
	if err != nil {
		return "", err
	}
	for _, p := range pages {
		// Records read by their ids are in the file as well: those that a person
		// named, tried again or swept are in no page of the window.
		if p.Lane%lanesPerFlow < extraLanes || p.N > 0 {
			run.Pages = append(run.Pages, connectors.SinkAt{Lane: p.Lane, Page: p.Page})
			run.Rows += p.N
		}
	}
	return f.to.sink.SinkDone(ctx, run)
}

// sinkDrop removes what a run that is given up has left in a sink.
func (r *syncRun) sinkDrop(ctx context.Context) error {
	if r.isOrders() {
		return nil
	}
	f := r.flows[0]
	if f.to.target != nil || f.to.sink == nil || r.dry() {
		return nil
	}
	return f.to.sink.SinkDrop(ctx, connectors.SinkRun{Run: r.run.ID, Model: f.to.model})
}
