package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/connectors"
	"towpath/schema/jobs"
	"towpath/schema/record"
)

// countMatched is the name under which pages of a reconcile count the records
// whose counterpart was found by its key and is not bound yet.
const countMatched = "matched"

// countKept is the name under which pages of a reconcile count the records that
// differ by policy in some fields and in nothing else; with a field's name behind
// it, all that differ so in that field.
const countKept = "kept"

// Bounds of what a report lists.
const (
	mostExtraIDs = 20
	mostSums     = 500
)

// Records that differ and for which nothing can be proposed.
const (
	causeConflict = "in_conflict"
	causeParked   = "parked"
)

// report tells what a reconcile found out about both sides; nil of other runs.
// What would put them in step is the run's plan: nothing is overwritten by
// itself.
func (r *syncRun) report(ctx context.Context, named map[string]int64) (any, error) {
	if !r.reconciling() || !r.dry() || r.named() {
		return nil, nil
	}
	if r.isOrders() {
		return r.orderReport(ctx, named)
	}
	f := r.flows[0]
	rep := &jobs.Report{Causes: map[string]int64{}, Fields: map[string]int64{}, Matched: named[countMatched], Source: r.plan.Flows[0].Counted}
	if err := r.reportChanges(ctx, rep, jobs.CountsOf(named)); err != nil {
		return nil, err
	}
	counts, err := r.flowCounts(ctx, f)
	if err != nil {
		return nil, err
	}
	rep.InStep = counts.Unchanged - named[countKept]
	reportKept(rep, named)
	if err := r.reportTarget(ctx, rep, f); err != nil {
		return nil, err
	}
	if r.job.Kind == jobs.Inventory {
		err = r.reportSums(ctx, rep, f)
	}
	return rep, err
}

// reportChanges counts what differs, by cause and by field.
func (r *syncRun) reportChanges(ctx context.Context, rep *jobs.Report, counts jobs.Counts) error {
	sum, err := r.Store.PlanSummary(ctx, r.run.ID)
	if err != nil {
		return err
	}
	for _, t := range sum.Totals {
		rep.Causes[cmp.Or(t.Cause, t.Op)] += t.N
	}
	for cause, n := range map[string]int64{causeConflict: counts.Skipped["conflict"], causeParked: counts.Parked} {
		if n > 0 {
			rep.Causes[cause] += n
		}
	}
	for _, f := range sum.Fields {
		if f.Updates > 0 {
			rep.Fields[f.Field] += f.Updates
		}
	}
	return nil
}

// reportKept counts what differs and is to stay so.
func reportKept(rep *jobs.Report, named map[string]int64) {
	for _, cause := range []string{causeGoneLeft, causeArchivedLeft} {
		if n := named[cause]; n > 0 {
			rep.Causes[cause] = n
		}
	}
	if n := named[countKept]; n > 0 {
		rep.Causes[causeKept] = n
	}
	for name, n := range named {
		if field, is := strings.CutPrefix(name, countKept+"."); is {
			if rep.Kept == nil {
				rep.Kept = map[string]int64{}
			}
			rep.Kept[field] = n
		}
	}
}

// countKept adds to the counts of a reconcile's page what differs by policy.
func (p *syncPage) countKept(counts map[string]int64) {
	for _, item := range p.items {
		if len(item.kept) > 0 && item.done == unchanged {
			counts[countKept]++
		}
		for _, field := range item.kept {
			counts[countKept+"."+field]++
		}
	}
}

// reportTarget counts the target's records, and which of them the job knows.
func (r *syncRun) reportTarget(ctx context.Context, rep *jobs.Report, f *syncFlow) (err error) {
	if f.to.source == nil || f.to.target == nil {
		rep.Notes = append(rep.Notes, fmt.Sprintf("the records of %q, which cannot be listed", f.to.name))
		return nil
	}
	q := r.targetQuery(f)
	if rep.Target, err = f.to.source.CountRecords(ctx, q); err != nil {
		return err
	}
	bound := idSet{}
	if err := r.Store.SyncedTargets(ctx, r.job.Name, bound.add); err != nil {
		return err
	}
	bound.sort()
	lister, ok := f.to.door.(connectors.RecordIDs)
	if !ok {
		rep.Bound = bound.size()
		rep.Extra = max(0, rep.Target-rep.Bound-rep.Matched)
		rep.Notes = append(rep.Notes, fmt.Sprintf("which records of %q are the extra ones: it cannot list their ids", f.to.name))
		return nil
	}
	unbound := int64(0)
	for after := ""; ; {
		ids, next, err := lister.ReadIDs(ctx, q, after, connectors.MaxIDs)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if bound.has(id) {
				rep.Bound++
				continue
			}
			if unbound++; rep.Matched == 0 && len(rep.ExtraIDs) < mostExtraIDs { // else it may be one that was matched
				rep.ExtraIDs = append(rep.ExtraIDs, id)
			}
		}
		if next == "" {
			break
		}
		after = next
	}
	rep.Vanished = max(0, bound.size()-rep.Bound)
	rep.Extra = max(0, unbound-rep.Matched)
	return nil
}

func (r *syncRun) targetQuery(f *syncFlow) connectors.RecordQuery {
	return connectors.RecordQuery{Model: f.to.model, Archived: r.job.May(jobs.Archive, r.job.Kind)}
}

// reportSums adds up what both sides hold: stock per location.
func (r *syncRun) reportSums(ctx context.Context, rep *jobs.Report, f *syncFlow) error {
	group, numbers := r.sumFields(f)
	switch {
	case f.to.source == nil || f.to.target == nil:
		return nil // said already
	case group == "" || len(numbers) == 0:
		rep.Notes = append(rep.Notes, "stock per location: the mapping writes no location, or no number")
		return nil
	}
	sums := map[[2]string]*jobs.Sum{}
	add := func(values record.Values, side func(*jobs.Sum) *decimal.Decimal) {
		for _, field := range numbers {
			n, ok := values[field].(decimal.Decimal)
			if !ok {
				continue
			}
			key := [2]string{field, groupOf(values[group])}
			if sums[key] == nil {
				sums[key] = &jobs.Sum{Field: key[0], Group: key[1]}
			}
			total := side(sums[key])
			*total = total.Add(n)
		}
	}
	if err := r.eachMapped(ctx, f, func(v record.Values) { add(v, func(s *jobs.Sum) *decimal.Decimal { return &s.Source }) }); err != nil {
		return err
	}
	q := r.targetQuery(f)
	q.Fields = append(slices.Clone(numbers), group)
	if err := eachRecord(ctx, f.to.source, q, func(list []record.Sourced) error {
		for _, rec := range list {
			add(plain(rec.Values, f.to.fields, q.Fields), func(s *jobs.Sum) *decimal.Decimal { return &s.Target })
		}
		return nil
	}); err != nil {
		return err
	}
	for _, s := range sums {
		rep.Sums = append(rep.Sums, *s)
	}
	slices.SortFunc(rep.Sums, func(a, b jobs.Sum) int { return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Group, b.Group)) })
	if len(rep.Sums) > mostSums {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%d more sums, which are left out here", len(rep.Sums)-mostSums))
		rep.Sums = rep.Sums[:mostSums]
	}
	return nil
}

// sumFields are the mapped field that tells the location, and those of numbers.
func (r *syncRun) sumFields(f *syncFlow) (group string, numbers []string) {
	for _, name := range f.mapping.TargetFields() {
		info := fieldOf(f.to.fields, name)
		if info == nil {
			continue
		}
		place := strings.Contains(strings.ToLower(name), "location") || strings.Contains(strings.ToLower(name), "warehouse")
		switch {
		case group == "" && place:
			group = name
		case info.Type == record.TypeNumber || info.Type == record.TypeInteger:
			numbers = append(numbers, name)
		}
	}
	return group, numbers
}

// groupOf names a location.
func groupOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return string(record.ValueJSON(value))
}

// eachMapped reads the flow's source again, in the target's words.
func (r *syncRun) eachMapped(ctx context.Context, f *syncFlow, do func(record.Values)) error {
	return eachRecord(ctx, f.from.source, r.query(f), func(list []record.Sourced) error {
		var items []*syncItem
		for _, rec := range list {
			if result := f.mapping.Apply(rec); len(result.Faults) == 0 {
				items = append(items, &syncItem{rec: rec, ext: rec.ID, read: result.Values})
			}
		}
		if err := r.resolve(ctx, f, items, func(i *syncItem) record.Values { return i.read }); err != nil {
			return err
		}
		for _, item := range open(items) { // what is parked differs, and is told as that
			do(plain(item.read, f.to.fields, f.mapping.TargetFields()))
		}
		return nil
	})
}

func eachRecord(ctx context.Context, source connectors.RecordSource, q connectors.RecordQuery, do func([]record.Sourced) error) error {
	return eachPage(ctx, source, q, func(page connectors.RecordPage) error { return do(page.Records) })
}

func eachPage(ctx context.Context, source connectors.RecordSource, q connectors.RecordQuery, do func(connectors.RecordPage) error) error {
	for after := ""; ; {
		page, err := source.ReadRecords(ctx, q, after, maxPageRecords)
		if err != nil {
			return err
		}
		if err := do(page); err != nil {
			return err
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// matched counts the records of a reconcile's page whose counterpart was found
// by its key: the report must not call it an extra one.
func (p *syncPage) matched() (n int64) {
	if !p.reconciling() || p.flow.back {
		return 0
	}
	for _, item := range p.items {
		if item.known.TargetID != "" && !item.known.Synced && item.done != parked {
			n++
		}
	}
	return n
}
