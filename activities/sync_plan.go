package activities

import (
	"context"
	"slices"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// asPlanned lets only those writes through that the approved plan holds, value
// by value. What has become another change since is planned anew.
func (p *syncPage) asPlanned(ctx context.Context) error {
	planned, err := p.changesOf(ctx)
	if err != nil {
		return err
	}
	for _, item := range p.items {
		if item.done != toWrite {
			continue
		}
		for _, w := range item.writes {
			was, ok := planned[changeKey{w.change.Side, w.change.ExternalID}]
			if ok && was.Op == w.change.Op && was.Digest == w.change.Digest {
				continue
			}
			for _, stale := range item.writes {
				stale.change.State = store.ChangePlanned
				p.noted = append(p.noted, stale.change)
			}
			item.writes = nil
			item.skip("stale")
			break
		}
	}
	return nil
}

// readListed reads named records of a source that cannot be asked for single
// ones: all of it, of which the others are left.
func (p *syncPage) readListed(ctx context.Context, size int) error {
	q := p.query(p.flow)
	q.Since, q.Until = time.Time{}, time.Time{}
	page, err := p.flow.from.source.ReadRecords(ctx, q, p.after, max(size, maxPageRecords))
	if err != nil {
		return err
	}
	ids := make([]string, len(page.Records))
	for i, rec := range page.Records {
		ids[i] = rec.ID
	}
	named, err := p.namedAmong(ctx, ids)
	if err != nil {
		return err
	}
	page.Bad = nil // they have no id by which they could be named
	page.Records = slices.DeleteFunc(page.Records, func(rec record.Sourced) bool { return !named[rec.ID] })
	if page.Next == "" && len(p.lane.Only) == 0 {
		gone, err := p.plannedGone(ctx, q)
		if err != nil {
			return err
		}
		page.Records = append(page.Records, gone...)
	}
	p.add(page)
	return nil
}

func (p *syncPage) namedAmong(ctx context.Context, ids []string) (map[string]bool, error) {
	named := map[string]bool{}
	for _, id := range p.lane.Only {
		named[id] = true
	}
	if len(p.lane.Only) > 0 || len(ids) == 0 {
		return named, nil
	}
	planned, err := p.Store.Changes(ctx, p.run.BaseRun.String, ids, "", 2*len(ids)+1)
	for _, c := range planned {
		named[c.ExternalID] = named[c.ExternalID] || c.State == store.ChangePlanned
	}
	return named, err
}

type changeKey struct{ side, externalID string }

// changesOf gives the changes of the base run to the page's records.
func (p *syncPage) changesOf(ctx context.Context) (map[changeKey]store.Change, error) {
	ids := make([]string, len(p.items))
	for i, item := range p.items {
		ids[i] = item.ext
	}
	list, err := p.Store.Changes(ctx, p.run.BaseRun.String, ids, "", 2*len(ids)+1)
	of := make(map[changeKey]store.Change, len(list))
	for _, c := range list {
		of[changeKey{c.Side, c.ExternalID}] = c
	}
	return of, err
}

// readWritten fills a page with what the base run wrote.
func (p *syncPage) readWritten(ctx context.Context, size int) error {
	ids, err := p.Store.ChangeIDs(ctx, p.run.BaseRun.String, []string{store.ChangeDone}, p.after, size)
	if err != nil {
		return err
	}
	for _, id := range ids {
		p.items = append(p.items, &syncItem{rec: record.Sourced{ID: id}, ext: id})
	}
	if len(ids) == size {
		p.next = ids[len(ids)-1]
	}
	return nil
}

// takeBack puts back what the base run wrote, field by field, where the record
// still holds it. What somebody changed since is left, and listed.
func (p *syncPage) takeBack(ctx context.Context) error {
	written, err := p.changesOf(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{jobs.TargetSide, jobs.SourceSide} {
		side := p.sides[name]
		now, err := p.asTheyAre(ctx, side, name, written)
		if err != nil {
			return err
		}
		for _, item := range p.items {
			if c, ok := written[changeKey{name, item.ext}]; ok && c.State == store.ChangeDone {
				p.undo(item, side, c, now[c.RecordID])
			}
		}
	}
	for _, item := range p.items {
		if item.done == undecided {
			item.skip("changed_since")
		}
	}
	return nil
}

func (p *syncPage) asTheyAre(ctx context.Context, side *syncSide, name string, written map[changeKey]store.Change) (map[string]*record.Sourced, error) {
	var ids, fields []string
	for key, c := range written {
		if key.side != name || c.State != store.ChangeDone {
			continue
		}
		ids = append(ids, c.RecordID)
		for _, values := range []record.Values{c.Before, c.After} {
			for field := range values {
				fields = append(fields, field)
			}
		}
	}
	now := map[string]*record.Sourced{}
	if len(ids) == 0 {
		return now, nil
	}
	slices.Sort(ids)
	slices.Sort(fields)
	list, err := side.byID(ctx, slices.Compact(ids), slices.Compact(fields))
	for i := range list {
		now[list[i].ID] = &list[i]
	}
	return now, err
}

func (p *syncPage) undo(item *syncItem, side *syncSide, c store.Change, now *record.Sourced) {
	back := store.Change{Side: c.Side, Op: string(jobs.Update), RecordID: c.RecordID, Label: c.Label, Before: record.Values{}, After: record.Values{}}
	var left []string
	if now != nil {
		is := plain(now.Values, side.fields, fieldsOf(c.After))
		wrote := plain(c.After, side.fields, fieldsOf(c.After))
		for field := range c.After {
			switch {
			case !record.Equal(is[field], wrote[field]):
				left = append(left, field)
			case c.Op == string(jobs.Create):
			default:
				if was, known := c.Before[field]; known {
					back.Before[field], back.After[field] = is[field], was
				} else {
					left = append(left, field) // nobody knows what it held
				}
			}
		}
	}
	if c.Op == string(jobs.Create) && now != nil && len(left) == 0 { // nobody has touched it since
		if archiver, ok := side.door.(connectors.RecordArchiver); ok {
			if field, gone, active := archiver.ArchiveField(side.model); field != "" && !now.Archived {
				back.Op = string(jobs.Archive)
				back.Before[field], back.After[field] = active, gone
			}
		}
	}
	if len(back.After) > 0 {
		item.write(side, back)
	}
	if len(left) > 0 || len(back.After) == 0 {
		slices.Sort(left)
		p.leave(item, c, left, now == nil)
	}
}

// leave notes what is not put back, and why.
func (p *syncPage) leave(item *syncItem, c store.Change, fields []string, gone bool) {
	c.State, c.Fence = store.ChangeLeft, 0
	switch {
	case gone:
		c.Note = "the record is not there any more"
	case len(fields) == 0:
		c.Note = "it was made by the run, and cannot be archived by Towpath"
	default:
		c.Note = "changed since: " + strings.Join(fields, ", ")
	}
	if item.done == toWrite { // one row per record: the note goes with what is written
		for _, w := range item.writes {
			if w.change.Side == c.Side {
				w.change.Note = c.Note
			}
		}
		return
	}
	p.noted = append(p.noted, c)
}

func fieldsOf(values record.Values) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
