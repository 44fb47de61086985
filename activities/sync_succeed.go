package activities

import (
	"context"
	"maps"
	"slices"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// succeed looks after records whose counterpart is gone, or was archived by the
// target itself: where the target has exactly one active record that stands for
// the same, they are tied to that one, as if for the first time. Those that went with
// what they referred to are made anew. Others whose counterpart is gone are parked.
func (p *syncPage) succeed(ctx context.Context, lost []*syncItem) error {
	if len(lost) == 0 {
		return nil
	}
	heirs, err := p.successors(ctx, lost)
	if err != nil {
		return err
	}
	orphaned, err := p.orphaned(ctx, lost)
	if err != nil {
		return err
	}
	var found []string
	var anew []*syncItem
	heir := map[*syncItem]string{}
	for i, item := range lost {
		switch {
		case len(heirs[i]) == 1 && heirs[i][0] != item.there(p.flow):
			heir[item] = heirs[i][0]
			found = append(found, heirs[i][0])
		case item.other != nil: // archived, and nothing stands in its place
		case len(heirs[i]) > 1:
			item.park(fault.New(fault.Conflict, "sync.several_successors", "the record was deleted in the target, and %d others stand for the same there", len(heirs[i])).
				WithField("id").WithResolution("archive all but one of them in the target; then it is tried again by itself"))
		case orphaned[item]:
			anew = append(anew, item)
		default:
			item.park(deletedInTarget(p.row, item.ext))
		}
	}
	if err := p.makeAnew(ctx, anew); err != nil || len(heir) == 0 {
		return err
	}
	slices.Sort(found)
	now, err := p.asFound(ctx, slices.Compact(found))
	if err != nil {
		return err
	}
	taken, err := p.Store.ExternalIDs(ctx, p.row, found)
	if err != nil {
		return err
	}
	var tied []*syncItem
	for _, item := range lost {
		id := heir[item]
		switch {
		case id == "":
		case now[id] == nil: // it went while we looked
			item.park(deletedInTarget(p.row, item.ext))
		case taken[id] != "" && taken[id] != item.ext:
			item.park(fault.New(fault.Conflict, "sync.successor_taken", "the record that stands for the same in the target belongs to another record of the source").
				WithField("id").WithResolution("look which of the two records of the source is right, and untie or remove the other: towpath sync untie %s %s", p.row.Name, taken[id]))
		default:
			item.tieTo(id, now[id])
			tied = append(tied, item)
		}
	}
	return p.claim(ctx, tied)
}

// successors asks the target who stands in the place of records; of those of the
// way back, and of other systems, nobody does.
func (p *syncPage) successors(ctx context.Context, lost []*syncItem) ([][]string, error) {
	line, ok := p.flow.to.door.(connectors.RecordSuccession)
	if !ok || p.flow.back {
		return make([][]string, len(lost)), nil
	}
	wanted := make([]record.Values, len(lost))
	for i, item := range lost {
		wanted[i] = item.read
	}
	return line.Successors(ctx, p.flow.to.model, wanted)
}

// tieTo gives a record another counterpart. The two have never been in step: what
// the former one held says nothing of this one.
func (i *syncItem) tieTo(id string, now *record.Sourced) {
	i.was, i.other = i.known.TargetID, now
	i.known.TargetID, i.known.XID, i.known.Synced = id, "", false
	i.snapshot = snapshot{}
}

// orphaned names those of lost records that the target deleted itself, together with
// what they referred to: a price of a variant goes with the variant. By now they refer
// to another record.
func (p *syncPage) orphaned(ctx context.Context, lost []*syncItem) (map[*syncItem]bool, error) {
	orphans := map[*syncItem]bool{}
	if p.flow.back {
		return orphans, nil
	}
	for _, ref := range p.flow.mapping.References() {
		former := map[string][]*syncItem{}
		for _, item := range lost {
			was, _ := item.snapshot.Target[ref.Field].(string)
			now, _ := refID(item.read[ref.Field]).(string)
			if item.other == nil && item.known.Synced && was != "" && now != "" && was != now {
				former[was] = append(former[was], item)
			}
		}
		if len(former) == 0 {
			continue
		}
		there, err := p.flow.to.target.RecordsByID(ctx, ref.Model, slices.Sorted(maps.Keys(former)), []string{"id"})
		if err != nil {
			return nil, err
		}
		for _, rec := range there {
			delete(former, rec.ID)
		}
		for _, items := range former {
			for _, item := range items {
				orphans[item] = true
			}
		}
	}
	return orphans, nil
}

// makeAnew lets go of what is known of counterparts that are gone.
func (p *syncPage) makeAnew(ctx context.Context, items []*syncItem) error {
	for _, item := range items {
		if !p.dry() {
			if err := p.Store.Forget(ctx, p.flow.to.name, p.row.BoundAs(), item.known.TargetID); err != nil {
				return err
			}
		}
		item.known.TargetID, item.known.XID, item.known.Synced = "", "", false
		item.snapshot = snapshot{}
	}
	return p.claim(ctx, items)
}

// asFound reads records of the side that the flow writes to, by id.
func (p *syncPage) asFound(ctx context.Context, ids []string) (map[string]*record.Sourced, error) {
	list, err := p.flow.to.byID(ctx, ids, p.readFields(p.flow.to))
	found := make(map[string]*record.Sourced, len(list))
	for i := range list {
		found[list[i].ID] = &list[i]
	}
	return found, err
}

// outlived says that the target itself archived the counterpart of a record that
// the source still has.
func (i *syncItem) outlived() bool {
	return i.other != nil && i.other.Archived && !i.rec.Archived && !i.snapshot.Archived
}
