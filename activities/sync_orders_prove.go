package activities

import (
	"context"
	"fmt"
	"time"

	"towpath/schema/jobs"
)

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
		expected, twice, err := r.sweepOrders(ctx)
		if err != nil {
			return p, after, err
		}
		if counts, err = r.flowCounts(ctx, &syncFlow{}); err != nil {
			return p, after, err
		}
		p = jobs.Prove(counts, w.Counted, after, expected+twice)
		if twice > 0 {
			p.Sentence += fmt.Sprintf(" (%d of them shown twice by %q)", twice, r.row.Source)
		}
		if !known {
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
// gives how many orders should have been read, and how many readings were of an
// order that had been read before.
func (r *syncRun) sweepOrders(ctx context.Context) (expected, twice int64, err error) {
	known, readings := &idSet{}, int64(0)
	if err := r.Store.PageIDs(ctx, r.run.ID, 0, lastLane, func(id string) { known.add(id); readings++ }); err != nil {
		return 0, 0, err
	}
	known.sort()
	expected, twice = known.size(), readings-known.size()
	reading, closing := r.readOrders()
	defer closing()
	reading.known = known
	number, _, _, err := r.Store.Resume(ctx, r.run.ID, sweptLane)
	if err != nil {
		return 0, 0, err
	}
	w := &laneWork{syncRun: r, began: r.Now(), lifted: true}
	for after := ""; ; {
		page := reading.page(ctx, lanePlan{Lane: sweptLane}, number, after)
		if page.err != nil {
			return 0, 0, page.err
		}
		after = page.next
		if page.after, page.next = "", ""; len(page.ids) > 0 {
			if err := w.settleOrders(ctx, page); err != nil {
				return 0, 0, err
			}
			expected += int64(len(page.ids))
			number++
		}
		if after == "" {
			return expected, twice, nil
		}
	}
}
