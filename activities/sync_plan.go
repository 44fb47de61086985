package activities

import (
	"context"
	"slices"
	"time"

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
			if ok && was.Op == w.change.Op && was.Digest == w.change.Digest && fromWhatWasSeen(w.change, was.Before) {
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

// fromWhatWasSeen says that a change writes over nothing but what its plan showed.
// What holds the new value already, as after a worker died, is written over by none.
func fromWhatWasSeen(c store.Change, planned record.Values) bool {
	for field, is := range c.Before {
		if !record.Equal(is, planned[field]) && !record.Equal(is, c.After[field]) {
			return false
		}
	}
	return true
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
