package activities

import (
	"context"
	"maps"
	"slices"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// readGone finds records that are in step by the book and were not among those
// that the run has read.
func (p *syncPage) readGone(ctx context.Context, size int) error {
	if p.after == "" {
		if err := p.Store.FindGone(ctx, p.run.ID, p.flow.n*lanesPerFlow, p.flow.n*lanesPerFlow+extraLanes-1); err != nil {
			return err
		}
	}
	gone, err := p.Store.GoneIDs(ctx, p.run.ID, p.after, size)
	if err != nil {
		return err
	}
	if len(gone) == size {
		p.next = gone[size-1]
	}
	if gone, err = p.withoutHeirs(ctx, gone); err != nil {
		return err
	}
	if err := p.confirmGone(ctx, gone); err != nil || len(gone) == 0 {
		return err
	}
	named, err := p.Store.Totals(ctx, p.run.ID, p.flow.n*lanesPerFlow, p.flow.n*lanesPerFlow+extraLanes-1)
	if n := named[countNameless]; err == nil && n > 0 {
		for _, item := range p.items {
			item.park(perhapsUnreadable(n))
		}
	}
	return err
}

// countNameless is the name under which pages count lines that cannot be read, not
// even whose they are: whoever is missing may be in one of them.
const countNameless = "nameless"

func perhapsUnreadable(lines int64) *fault.Fault {
	return fault.New(fault.Conflict, "sync.perhaps_unreadable", "the source does not name the record any more, and may have it in one of %d lines that cannot be read", lines).
		WithField("id").WithResolution("correct those lines, which are parked, and run it again; then it is known which records are gone")
}

// confirmGone asks the source once more: what has left the filter is not gone.
func (p *syncPage) confirmGone(ctx context.Context, ids []string) error {
	still := map[string]bool{}
	var page connectors.RecordPage
	if p.flow.from.target != nil && len(ids) > 0 {
		records, err := p.flow.from.byID(ctx, ids, []string{"id"})
		if err != nil {
			return err
		}
		for _, r := range records {
			still[r.ID] = true
			if r.Archived && !p.may(jobs.Archive) { // the window holds it where the job archives
				page.Records = append(page.Records, r)
			}
		}
	}
	next := p.next
	for _, id := range ids {
		if !still[id] {
			page.Records = append(page.Records, record.Sourced{ID: id, Archived: true})
		}
	}
	p.add(page)
	p.next = next
	return nil
}

// Causes under which a reconcile counts what the source has no more, or set aside, and
// the job may not archive in the target. Nothing is proposed about it.
const (
	causeGoneLeft     = "gone_in_source_left"
	causeArchivedLeft = "archived_in_source_left"
)

func (p *syncPage) countLeft(counts map[string]int64) {
	for _, item := range p.items {
		switch {
		case p.lane.kind() != goneLane || item.done != skipped || item.other == nil || item.other.Archived:
		case item.rec.Values == nil:
			counts[causeGoneLeft]++
		default:
			counts[causeArchivedLeft]++
		}
	}
}

// plannedGone are records that the plan sets aside because they had left the
// source, and that have not come back to it, not even in a
// line that cannot be read.
func (p *syncPage) plannedGone(ctx context.Context, q connectors.RecordQuery) (all []record.Sourced, err error) {
	gone := map[string]bool{}
	for at := (store.ChangeAt{}); ; {
		page, err := p.Store.ChangesIn(ctx, p.run.BaseRun.String, []string{store.ChangePlanned}, at, maxPageRecords)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			at = c.Place()
			if c.Op == string(jobs.Archive) {
				gone[c.ExternalID] = true
			}
		}
		if len(page) < maxPageRecords {
			break
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	nameless := 0
	if err := eachPage(ctx, p.flow.from.source, q, func(page connectors.RecordPage) error {
		for _, rec := range page.Records {
			delete(gone, rec.ID)
		}
		for _, bad := range page.Bad {
			if delete(gone, bad.ID); bad.ID == "" {
				nameless++
			}
		}
		return nil
	}); err != nil || nameless > 0 { // one of those lines may be it: the plan waits
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(gone)) {
		all = append(all, record.Sourced{ID: id, Archived: true})
	}
	return all, nil
}
