package activities

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"towpath/schema/failpoint"
	"towpath/schema/jobs"
	"towpath/schema/store"
)

// orderPatience is how long a page of orders is waited for. Those that need
// longer, since the target is away or slow, are safe in the inbox.
var orderPatience = 10 * time.Minute

// Waits between two looks at orders that have not settled.
const (
	firstLook = 100 * time.Millisecond
	laterLook = 2 * time.Second
)

// orderPages works through the orders of a run: while a page of them settles,
// the next is read into the inbox.
func (w *laneWork) orderPages(ctx context.Context) error {
	lane := w.plan.Lanes[0]
	number, after, done, err := w.Store.Resume(ctx, w.run.ID, lane.Lane)
	if err != nil || done {
		return err
	}
	if number == 0 {
		after = ""
	}
	reading, closing, err := w.readOrders(ctx)
	if err != nil {
		return err
	}
	defer closing()
	ahead := orderAhead(ctx, reading, lane, number, after)
	for {
		var page *orderPage
		select {
		case page = <-ahead:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if page.err != nil {
			return page.err
		}
		if page.next != "" {
			ahead = orderAhead(ctx, reading, lane, page.number+1, page.next)
		}
		if err := w.settleOrders(ctx, page); err != nil || page.next == "" {
			return err
		}
		// Orders that are in the inbox come in whatever a limit says: it keeps
		// further ones out.
		if reason, stop := w.reserve(jobs.Counts{}, 0); stop {
			return &stopped{asked: askedLimit, reason: reason}
		}
		if w.Now().Sub(w.began) > stretch {
			return errEnough
		}
	}
}

// readOrders begins to read, knowing what the run has read before.
func (r *syncRun) readOrders(ctx context.Context) (*orderReading, func(), error) {
	inbox := r.Store.NewInbox(nil)
	o := &orderReading{syncRun: r, seen: map[string]bool{}, inbox: inbox}
	err := r.Store.PageIDs(ctx, r.run.ID, 0, lastLane, func(id string) { o.seen[id] = true })
	if err != nil {
		inbox.Close()
		return nil, nil, err
	}
	return o, inbox.Close, nil
}

func orderAhead(ctx context.Context, o *orderReading, lane lanePlan, number int, after string) <-chan *orderPage {
	ready := make(chan *orderPage, 1)
	go func() { ready <- o.page(ctx, lane, number, after) }()
	return ready
}

// settleOrders waits until the page's orders have settled, and counts how.
func (w *laneWork) settleOrders(ctx context.Context, p *orderPage) error {
	stands, err := w.awaitOrders(ctx, p.ids)
	if err != nil {
		return err
	}
	c := jobs.Counts{Fetched: int64(len(p.ids) + p.missing)}
	for _, id := range p.ids {
		stand, known := stands[id]
		countOrder(&c, stand, known)
	}
	if p.missing > 0 {
		c.Skip("not_in_source", int64(p.missing))
	}
	if err := w.Store.SettlePage(ctx, store.Page{
		Run: w.run.ID, Lane: p.lane.Lane, Number: p.number, After: p.after, Next: p.next, Counts: c.Named(), IDs: p.ids,
	}); err != nil {
		return err
	}
	failpoint.Here("sync.settled")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled, w.counts = w.settled.Add(c), w.counts.Add(c)
	return nil
}

// awaitOrders looks until all orders have settled, or patience ends.
func (r *syncRun) awaitOrders(ctx context.Context, ids []string) (map[string]store.OrderOutcome, error) {
	until := time.Now().Add(orderPatience)
	for wait := firstLook; ; wait = min(2*wait, laterLook) {
		stands, err := r.Store.OrderOutcomes(ctx, r.run.ID, ids)
		if err != nil {
			return nil, err
		}
		settled := true
		for _, stand := range stands {
			settled = settled && !stand.Pending
		}
		if settled || !time.Now().Before(until) {
			return stands, nil
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// countOrder counts an order by how it stands. One that was applied before the
// run began is unchanged: nothing had to be done about it.
func countOrder(c *jobs.Counts, o store.OrderOutcome, known bool) {
	switch {
	case !known: // forgotten meanwhile
		c.Failed++
	case o.Pending:
		c.Skip("in_progress", 1)
	case o.Outcome == "applied" && o.Fresh && o.Made:
		c.Created++
	case o.Outcome == "applied" && o.Fresh:
		c.Updated++
	case o.Outcome == "applied", o.Outcome == "unchanged":
		c.Unchanged++
	case o.Outcome == "waiting":
		c.Skip("waiting_"+cmp.Or(o.Code, "its_time"), 1)
	case o.Outcome == "parked":
		c.Parked++
	default:
		c.Skip(cmp.Or(o.Code, o.Outcome), 1)
	}
}

// proveOrders compares the orders that were read with those that the source
// says it has.
func (r *syncRun) proveOrders(ctx context.Context) (p jobs.Proof, after int64, err error) {
	counts, err := r.flowCounts(ctx, &syncFlow{})
	if err != nil {
		return p, 0, err
	}
	if r.named() {
		return jobs.Prove(counts, counts.Fetched, counts.Fetched, jobs.NoSweep), counts.Fetched, nil
	}
	w := r.plan.Flows[0]
	after, known, err := r.countOrders(ctx, w)
	if err != nil {
		return p, 0, err
	}
	if p = jobs.Prove(counts, w.Counted, after, jobs.NoSweep); p.NeedsSweep || !known {
		expected, err := r.sweepOrders(ctx)
		if err != nil {
			return p, after, err
		}
		if counts, err = r.flowCounts(ctx, &syncFlow{}); err != nil {
			return p, after, err
		}
		if p = jobs.Prove(counts, w.Counted, after, expected); !known {
			after = expected
			p.Sentence += fmt.Sprintf(" (by a second listing of their ids, since %q does not count)", r.row.Source)
		}
	}
	_, horizon, err := r.orderClock(ctx)
	if err == nil && horizon.After(*w.Since) {
		p.Complete = false
		p.Sentence += fmt.Sprintf("; %q shows no orders from before %s, so this is not all: give the app the right to read all orders, or set import_from in the rules of the flow",
			r.row.Source, horizon.UTC().Format(time.DateOnly))
	}
	return p, after, err
}

// sweepOrders lists the window once more, and takes in what was missed. It
// gives how many orders should have been read.
func (r *syncRun) sweepOrders(ctx context.Context) (expected int64, err error) {
	reading, closing, err := r.readOrders(ctx)
	if err != nil {
		return 0, err
	}
	defer closing()
	number, _, _, err := r.Store.Resume(ctx, r.run.ID, sweptLane)
	if err != nil {
		return 0, err
	}
	w := &laneWork{syncRun: r, began: r.Now(), lifted: true}
	for after := ""; ; {
		page := reading.page(ctx, lanePlan{Lane: sweptLane}, number, after)
		if page.err != nil {
			return 0, page.err
		}
		after = page.next
		if page.after, page.next = "", ""; len(page.ids) > 0 {
			if err := w.settleOrders(ctx, page); err != nil {
				return 0, err
			}
			number++
		}
		if after == "" {
			return int64(len(reading.seen)), nil
		}
	}
}
