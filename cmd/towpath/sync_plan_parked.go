package main

import (
	"context"
	"fmt"
	"io"

	"towpath/schema/store"
)

// showPlanParked says why records of a plan would be parked, cause by cause.
func (p *process) showPlanParked(ctx context.Context, out io.Writer, r store.Run, n int64) error {
	families, err := p.store.PlanParkedOf(ctx, r.ID, mostCauses)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s would be parked", counted(int(n), "record"))
	if len(families) == 0 { // of a plan that is older than the table
		fmt.Fprintf(out, "; to see why, plan anew: towpath sync run %s --dry-run --watch\n", r.Job)
		return nil
	}
	fmt.Fprintln(out, ", the others synced. By cause:")
	showFamilies(out, families)
	return nil
}

// listPlanParked shows records that would be parked one by one.
func (p *process) listPlanParked(ctx context.Context, out io.Writer, r store.Run, limit int) error {
	shown := 0
	err := p.eachPlanParked(ctx, r.ID, limit, func(one store.PlanParked) {
		if shown++; shown == 1 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "park %s: %s%s\n", one.ExternalID, one.Message, fieldWords(one.Field))
		if one.Detail != "" {
			fmt.Fprintf(out, "  it holds: %q\n", one.Detail)
		}
	})
	if err == nil && shown == limit && limit > 0 {
		fmt.Fprintf(out, "… all that the plan keeps: towpath sync plan %s --all\n", r.ID)
	}
	return err
}

// eachPlanParked walks through what a plan keeps of records that would be
// parked, page by page; limit < 0 is all.
func (p *process) eachPlanParked(ctx context.Context, run string, limit int, do func(store.PlanParked)) error {
	const page = 500
	for after, shown := "", 0; limit < 0 || shown < limit; {
		n := page
		if limit >= 0 {
			n = min(page, limit-shown)
		}
		list, err := p.store.PlanParked(ctx, run, after, n)
		if err != nil {
			return err
		}
		for _, one := range list {
			do(one)
			after = one.ExternalID
			shown++
		}
		if len(list) < n {
			break
		}
	}
	return nil
}
