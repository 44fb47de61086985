package activities

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"towpath/schema/failpoint"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
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
	reading, closing := w.readOrders()
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

// readOrders begins to read.
func (r *syncRun) readOrders() (*orderReading, func()) {
	inbox := r.Store.NewInbox(nil)
	return &orderReading{syncRun: r, inbox: inbox}, inbox.Close
}

func orderAhead(ctx context.Context, o *orderReading, lane lanePlan, number int, after string) <-chan *orderPage {
	ready := make(chan *orderPage, 1)
	go func() { ready <- o.page(ctx, lane, number, after) }()
	return ready
}

// settleOrders waits until the page's orders have settled, or of a plan compares
// them, and counts how.
func (w *laneWork) settleOrders(ctx context.Context, p *orderPage) error {
	page := store.Page{Run: w.run.ID, Lane: p.lane.Lane, Number: p.number, After: p.after, Next: p.next, IDs: p.ids, Counts: map[string]int64{}}
	c := jobs.Counts{Fetched: int64(len(p.ids) + p.missing)}
	if p.missing > 0 {
		c.Skip("not_in_source", int64(p.missing))
	}
	do := w.awaitPage
	if w.dry() {
		do = w.comparePage
	}
	if err := do(ctx, p, &c, &page); err != nil {
		return err
	}
	maps.Copy(page.Counts, c.Named())
	if err := w.Store.SettlePage(ctx, page); err != nil {
		return err
	}
	failpoint.Here("sync.settled")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled, w.counts = w.settled.Add(c), w.counts.Add(c)
	return nil
}

// awaitPage counts the orders of a page by how they have settled.
func (r *syncRun) awaitPage(ctx context.Context, p *orderPage, c *jobs.Counts, _ *store.Page) error {
	stands, err := r.awaitOrders(ctx, p.ids)
	if err != nil {
		return err
	}
	for _, id := range p.ids {
		stand, known := stands[id]
		countOrder(c, stand, known)
	}
	if r.run.Purpose != contract.PurposeApprove {
		return nil
	}
	return r.noteApproved(ctx, p.ids, stands)
}

// noteApproved keeps what became of the orders that a plan made due.
func (r *syncRun) noteApproved(ctx context.Context, ids []string, stands map[string]store.OrderOutcome) error {
	changes, err := r.Store.Changes(ctx, r.run.BaseRun.String, ids, "", len(ids)+1)
	if err != nil {
		return err
	}
	for i := range changes {
		c := &changes[i]
		switch stand := stands[c.ExternalID]; {
		case stand.Pending:
			c.State, c.Note = store.ChangeLeft, "it goes on without the run"
		case stand.Outcome == "applied" || stand.Outcome == "unchanged":
			c.State = store.ChangeDone
		case stand.Outcome == "parked":
			c.State, c.Note = store.ChangeRefused, fmt.Sprintf("%s, see: towpath explain order/%s/%s", stand.Code, r.row.Source, c.ExternalID)
		default:
			c.State, c.Note = store.ChangeLeft, strings.TrimSuffix(stand.Outcome+": "+stand.Code, ": ")
		}
	}
	return r.Store.Plan(ctx, r.run.ID, changes)
}

// Names under which pages of a plan count the orders that the target has, and
// of them those that are bound.
const (
	countHeld  = "held"
	countBound = "bound"
)

// comparePage compares the orders of a page with the target, and keeps what is
// proposed, what it comes to, and why.
func (r *syncRun) comparePage(ctx context.Context, p *orderPage, c *jobs.Counts, page *store.Page) error {
	views, err := r.viewed(ctx, p.orders)
	if err != nil {
		return err
	}
	sums := map[[3]string]*store.Sum{}
	var changes []store.Change
	for _, v := range views {
		verdict := v.judge(r.orders.rules, r.Now())
		verdict.count(c)
		if v.state != nil {
			page.Counts[countHeld]++
			if v.stand.TargetID != "" {
				page.Counts[countBound]++
			}
		}
		if verdict.parked != nil {
			page.WouldPark = append(page.WouldPark, store.ParkedRecord{ExternalID: v.order.ExternalID, Fault: verdict.parked})
		}
		if change, ok := v.change(verdict); ok {
			changes = append(changes, change)
		}
		v.sums(verdict, func(s store.Sum) {
			key := [3]string{s.Group, s.Unit, s.Cause}
			if sums[key] == nil {
				sums[key] = &store.Sum{Group: s.Group, Unit: s.Unit, Cause: s.Cause}
			}
			sums[key].Add(s)
		})
	}
	for _, s := range sums {
		page.Sums = append(page.Sums, *s)
	}
	return r.Store.Plan(ctx, r.run.ID, changes)
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
