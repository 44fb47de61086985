package activities

import (
	"context"
	"slices"
	"sort"
	"strings"

	"towpath/connectors"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// read fills the page from its lane.
func (p *syncPage) read(ctx context.Context, size int) error {
	switch p.lane.kind() {
	case parkedLane:
		if p.flow.from.target == nil {
			return p.readParkedListed(ctx, size)
		}
		return p.readIDs(ctx, size, func(after string) ([]string, error) {
			return p.due(ctx, after, size)
		})
	case plannedLane:
		if p.run.Purpose == contract.PurposeUndo {
			return p.readWritten(ctx, size)
		}
		if p.flow.from.target == nil {
			return p.readListed(ctx, size)
		}
		return p.readIDs(ctx, size, func(after string) ([]string, error) {
			if len(p.lane.Only) > 0 {
				return behind(p.lane.Only, after, size), nil
			}
			return p.Store.ChangeIDs(ctx, p.run.BaseRun.String, []string{store.ChangePlanned}, after, size)
		})
	case goneLane:
		return p.readGone(ctx, size)
	}
	q := p.query(p.flow)
	q.From, q.To = p.lane.From, p.lane.To
	page, err := p.flow.from.source.ReadRecords(ctx, q, p.after, size)
	if err != nil {
		return err
	}
	p.add(page)
	return nil
}

// readIDs reads records that are named by the book.
func (p *syncPage) readIDs(ctx context.Context, size int, list func(after string) ([]string, error)) error {
	ids, err := list(p.after)
	if err != nil || len(ids) == 0 {
		return err
	}
	if len(ids) == size {
		p.next = ids[len(ids)-1]
	}
	var mine []string
	for _, id := range ids {
		if own, isNew := strings.CutPrefix(id, newKey("")); isNew == p.flow.back && !strings.HasPrefix(id, "line ") {
			mine = append(mine, own)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	records, err := p.flow.from.byID(ctx, mine, p.readFields(p.flow.from))
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(records))
	for _, r := range records {
		there[r.ID] = true
	}
	for _, id := range mine {
		switch {
		case there[id]:
		case p.lane.kind() == plannedLane && len(p.lane.Only) == 0: // planned to be set aside, since it is gone
			records = append(records, record.Sourced{ID: id, Archived: true})
		case p.flow.back:
			p.vanished = append(p.vanished, newKey(id))
		default:
			p.vanished = append(p.vanished, id)
		}
	}
	next := p.next
	p.add(connectors.RecordPage{Records: records})
	p.next = next
	return p.leaveUnselected(ctx)
}

// leaveUnselected skips records that the job's filter does not select (any more),
// though somebody named them, or they are to be tried again: what is not ready to be
// exported, such as a product that is not published, is not. A plan that was approved
// holds what the filter selected.
func (p *syncPage) leaveUnselected(ctx context.Context) error {
	filter := p.query(p.flow).Filter
	selector, ok := p.flow.from.door.(connectors.RecordSelector)
	if !ok || filter == "" || p.run.Purpose == contract.PurposeApprove {
		return nil
	}
	var ids []string
	for _, item := range p.items {
		if !item.rec.Archived { // that is for the job's switches
			ids = append(ids, item.rec.ID)
		}
	}
	selected, err := selector.SelectRecords(ctx, p.flow.from.model, filter, ids)
	if err != nil {
		return err
	}
	for _, item := range p.items {
		if !item.rec.Archived && !slices.Contains(selected, item.rec.ID) {
			item.skip("not_selected")
		}
	}
	return nil
}

// due are records that the window need not hold: parked ones to be tried again,
// and awaited ones that the target may have by now.
func (p *syncPage) due(ctx context.Context, after string, limit int) ([]string, error) {
	if after == "" {
		if err := p.Store.TakeAwaited(ctx, p.run.ID); err != nil {
			return nil, err
		}
	}
	return p.Store.ParkedDue(ctx, p.row, p.run.StartedAt, after, limit)
}

// readParkedListed looks through all of a source that cannot be asked for single
// records, where parked ones are due and the window did not hold them.
func (p *syncPage) readParkedListed(ctx context.Context, size int) error {
	due, err := p.due(ctx, "", connectors.MaxIDs)
	if err != nil {
		return err
	}
	due = slices.DeleteFunc(due, func(id string) bool { return strings.HasPrefix(id, "line ") })
	if len(due) == 0 {
		return nil
	}
	p.lane.Only = due
	return p.readListed(ctx, size)
}

// behind is a page of ids in their order.
func behind(ids []string, after string, size int) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	from := 0
	if after != "" {
		from = sort.SearchStrings(ids, after+"\x00")
	}
	return ids[from:min(from+size, len(ids))]
}
