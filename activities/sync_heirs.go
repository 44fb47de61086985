package activities

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// heirs lets records of the source take over counterparts that are held by others
// which the source does not have any more: deleted, or archived while these are
// active. Odoo makes variants anew when the attributes of their template change,
// and others type a product in once more. What the book knows of the former record
// is handed on, so that only what differs is written. What a person left out stays
// so, and what may still be on its way is waited for.
//
// It is done once the lanes have read everything: a page beside this one may still
// be writing what the former record said.
func (p *syncPage) heirs(ctx context.Context, loose []*syncItem, found map[*syncItem]string, taken map[string]string) error {
	if p.flow.back || p.flow.from.target == nil {
		return nil
	}
	heir := map[string]*syncItem{} // by the record that holds its counterpart
	for _, item := range loose {
		holder := taken[found[item]]
		if item.done == undecided && !item.rec.Archived && holder != "" && holder != item.ext && heir[holder] == nil {
			heir[holder] = item
		}
	}
	if len(heir) == 0 {
		return nil
	}
	holders := slices.Sorted(maps.Keys(heir))
	still, err := p.flow.from.byID(ctx, holders, []string{"id"})
	if err != nil {
		return err
	}
	for _, rec := range still {
		if !rec.Archived {
			delete(heir, rec.ID)
		}
	}
	known, err := p.Store.Known(ctx, p.run.ID, p.writtenSide(), holders, p.linger())
	if err != nil {
		return err
	}
	var bequests []store.Heir
	for _, holder := range holders {
		item, was := heir[holder], known[holder]
		switch {
		case item == nil || !was.Synced || was.NoExport || was.Unheard.Valid: // of what others brought, nobody knows whether it is there
		case !p.dry() && p.lane.kind() < extraLanes:
			item.park(standsIn())
		default:
			if err := item.inherit(holder, was); err != nil {
				return err
			}
			bequests = append(bequests, store.Heir{ExternalID: item.ext, From: holder, TargetID: was.TargetID})
		}
	}
	if p.dry() {
		p.noteHeirs(bequests)
		return nil
	}
	return p.Store.Bequeath(ctx, p.row, p.flow.from.model, bequests)
}

// inherit has a record known by what is known of the one in whose place it stands.
func (i *syncItem) inherit(from string, was store.Known) error {
	own := i.known
	i.heirOf, i.known = from, was
	i.known.ExternalID, i.known.Parked, i.known.Awaited, i.known.Made = i.ext, own.Parked, own.Awaited, ""
	if len(was.Snapshot) == 0 {
		return nil
	}
	return json.Unmarshal(was.Snapshot, &i.snapshot)
}

// noteHeirs keeps with a plan whose counterparts would be another's: to that plan
// they are not gone.
func (p *syncPage) noteHeirs(heirs []store.Heir) {
	for _, h := range heirs {
		p.noted = append(p.noted, store.Change{
			Side: jobs.TargetSide, ExternalID: h.From, Op: string(jobs.Update), RecordID: h.TargetID, Before: record.Values{}, After: record.Values{},
			State: store.ChangeLeft, Cause: causeSucceeded, Note: "its counterpart becomes that of " + h.ExternalID,
		})
	}
}

// withoutHeirs drops those of a plan's gone records whose counterparts are another's.
func (p *syncPage) withoutHeirs(ctx context.Context, gone []string) ([]string, error) {
	if !p.dry() || len(gone) == 0 {
		return gone, nil
	}
	noted, err := p.Store.Changes(ctx, p.run.ID, gone, "", 2*len(gone)+1)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(gone, func(id string) bool {
		return slices.ContainsFunc(noted, func(c store.Change) bool { return c.ExternalID == id && c.Cause == causeSucceeded })
	}), nil
}

// codeStandsIn is settled within the same run, at its end.
const codeStandsIn = "sync.stands_in"

func standsIn() *fault.Fault {
	return fault.New(fault.Conflict, codeStandsIn, "the record stands in the place of another one, which the source does not have any more").
		WithResolution("nothing: at the end of the run it takes over that one's counterpart")
}
