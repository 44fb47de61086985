package activities

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"towpath/schema/jobs"
)

// mostDays is how many days that differ a report lists.
const mostDays = 1000

// orderReport tells what a reconcile of orders found out: how many differ, and
// the money of both sides per day and currency, by what makes it differ.
func (r *syncRun) orderReport(ctx context.Context, named map[string]int64) (any, error) {
	sums, err := r.Store.Sums(ctx, r.run.ID)
	if err != nil {
		return nil, err
	}
	counts, err := r.flowCounts(ctx, &syncFlow{})
	if err != nil {
		return nil, err
	}
	rep := &jobs.Report{
		Source: counts.Fetched, InStep: counts.Unchanged, Causes: map[string]int64{},
		Target: named[countHeld], Bound: named[countBound], Matched: named[countHeld] - named[countBound],
	}
	var days []*jobs.Money
	totals := map[string]*jobs.Money{}
	for _, s := range sums { // by day, then by currency
		if n := len(days); n == 0 || days[n-1].Day != s.Group || days[n-1].Currency != s.Unit {
			days = append(days, &jobs.Money{Day: s.Group, Currency: s.Unit})
		}
		if totals[s.Unit] == nil {
			totals[s.Unit] = &jobs.Money{Currency: s.Unit}
		}
		days[len(days)-1].Add(s.Cause, s.N, s.Source, s.Target)
		totals[s.Unit].Add(s.Cause, s.N, s.Source, s.Target)
		if s.Cause != "" && s.N > 0 {
			rep.Causes[s.Cause] += s.N
		}
	}
	rep.Vanished = rep.Causes[causeDeletedThere]
	left := 0
	for _, d := range days {
		switch {
		case len(d.Causes) == 0:
		case len(rep.Days) == mostDays:
			left++
		default:
			rep.Days = append(rep.Days, *d)
		}
	}
	if left > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%d more days that differ, which are left out here; they are in the sums of all days", left))
	}
	for _, currency := range slices.Sorted(maps.Keys(totals)) {
		rep.Totals = append(rep.Totals, *totals[currency])
	}
	return rep, nil
}
