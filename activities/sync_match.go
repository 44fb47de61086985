package activities

import (
	"context"
	"slices"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// match finds the counterparts of records that have no binding yet: by their
// key fields, and never two records for one.
func (p *syncPage) match(ctx context.Context) error {
	if p.flow.to.target == nil {
		return nil // in a file nothing can be found
	}
	var loose []*syncItem
	for _, item := range open(p.items) {
		if item.there(p.flow) == "" && item.known.Made == "" {
			loose = append(loose, item)
		}
	}
	if len(loose) == 0 {
		return nil
	}
	found, err := p.find(ctx, loose)
	if err != nil {
		return err
	}
	if err := p.adopt(ctx, loose, found); err != nil {
		return err
	}
	return p.claim(ctx, slices.DeleteFunc(open(loose), func(i *syncItem) bool { return i.heirOf != "" })) // whose counterpart is known
}

// find looks for records by each key field, one call for each.
func (p *syncPage) find(ctx context.Context, loose []*syncItem) (map[*syncItem]string, error) {
	found := map[*syncItem]string{}
	hits := map[*syncItem][]string{}
	switch p.flow.mapping.Match() {
	case mapping.ByBinding:
		return found, nil
	case mapping.ByKeys:
		err := p.findTogether(ctx, loose, hits)
		return p.only(hits, found), err
	}
	for _, field := range p.flow.mapping.KeyFields() {
		var values []string
		for _, item := range loose {
			if v := p.keyOf(item, field); v != "" {
				values = append(values, v)
			}
		}
		if len(values) == 0 {
			continue
		}
		slices.Sort(values)
		byValue, err := p.flow.to.target.FindRecords(ctx, p.flow.to.model, field, slices.Compact(values))
		if err != nil {
			return nil, err
		}
		for _, item := range loose {
			for _, id := range byValue[p.keyOf(item, field)] {
				if !slices.Contains(hits[item], id) {
					hits[item] = append(hits[item], id)
				}
			}
		}
	}
	return p.only(hits, found), nil
}

// only takes the hits of records that have one.
func (p *syncPage) only(hits map[*syncItem][]string, found map[*syncItem]string) map[*syncItem]string {
	for item, ids := range hits {
		if len(ids) > 1 {
			item.park(fault.New(fault.Conflict, "sync.ambiguous", "%d records of the target have the same key fields", len(ids)).
				WithField(p.flow.mapping.KeyFields()[0]).WithResolution("merge them or change their keys in the target; then it is tried again by itself"))
			continue
		}
		found[item] = ids[0]
	}
	return found
}

// adopt takes found records that belong to nobody yet.
func (p *syncPage) adopt(ctx context.Context, loose []*syncItem, found map[*syncItem]string) error {
	var ids []string
	for _, id := range found {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	var taken map[string]string
	var err error
	if p.flow.back {
		taken, err = p.Store.References(ctx, p.row.Source, p.row.Target, p.row.BoundAs(), ids, false)
	} else {
		taken, err = p.Store.ExternalIDs(ctx, p.row, ids)
	}
	if err != nil {
		return err
	}
	if err := p.heirs(ctx, loose, found, taken); err != nil {
		return err
	}
	for _, item := range loose {
		id, ok := found[item]
		switch {
		case !ok || item.done != undecided:
		case item.heirOf != "":
		case taken[id] != "" && taken[id] != item.ext:
			item.park(p.keyHeld(taken[id]))
		case p.flow.back:
			item.ext, item.known.ExternalID, item.known.TargetID = id, id, item.rec.ID
		default:
			item.known.TargetID = id
		}
	}
	return nil
}

func keyTaken(field string) *fault.Fault {
	return fault.New(fault.Conflict, "sync.key_taken", "another record of the source has the same key, and the target's record").
		WithField(field).WithResolution("make the key unique in the source; then it is tried again by itself")
}

// keyHeld names who holds a counterpart, where nobody can ask whether that record is
// still there.
func (p *syncPage) keyHeld(holder string) *fault.Fault {
	f := keyTaken(p.flow.mapping.KeyFields()[0])
	if p.flow.from.target == nil {
		return f.WithResolution("make the key unique in the source; then it is tried again by itself. If the other record is not there any more: towpath sync untie %s %s", p.row.Name, holder)
	}
	return f
}

// claim agrees with all who write to the target now on who makes what: an
// order that needs the same product, a page beside this one, a second record
// with the same key (protocol P2).
func (p *syncPage) claim(ctx context.Context, loose []*syncItem) error {
	if p.dry() {
		return nil
	}
	from := p.flow.from.name
	wanted := make([]store.Wanted, len(loose))
	for i, item := range loose {
		wanted[i] = store.Wanted{ExternalID: item.ext, XID: p.xid(item), Keys: []string{from + "/" + item.rec.ID}}
		if id := item.there(p.flow); id != "" {
			wanted[i].Keys = append(wanted[i].Keys, "record:"+from+"/"+id)
		}
		wanted[i].Keys = append(wanted[i].Keys, p.keyClaims(item)...)
	}
	claims, err := p.Store.Claims(ctx, p.flow.to.name, p.row.BoundAs(), wanted)
	if err != nil {
		return err
	}
	for i, w := range wanted {
		item, own := loose[i], claims[w.Keys[0]]
		if own.TargetID != "" && item.there(p.flow) == "" && !p.flow.back {
			item.known.TargetID = own.TargetID // an order made it
		}
		item.known.Made = own.XID
	}
	if err := p.lookAgain(ctx, loose, wanted, claims); err != nil {
		return err
	}
	for i, w := range wanted {
		item, own := loose[i], claims[w.Keys[0]]
		for _, key := range w.Keys[1:] {
			c := claims[key]
			if c.XID == own.XID || c.XID == w.XID || item.done != undecided || item.heirOf != "" {
				continue
			}
			if p.elsewhere(c, item) {
				// Whoever had the key has another one by now: its record was not found by it.
				if c, err = p.Store.TakeKey(ctx, p.flow.to.name, p.row.BoundAs(), key, c, own.XID); err != nil {
					return err
				}
				claims[key] = c
			}
			if c.XID != own.XID {
				item.park(keyTaken(p.flow.mapping.KeyFields()[0]))
			}
		}
	}
	return nil
}

// alone parks records whose counterpart another record of the source is in step with
// already: orders may have taken two customers for one. Each would write over what
// the other says, and no run would ever show it.
func (p *syncPage) alone(ctx context.Context) error {
	if p.flow.back || p.flow.to.target == nil {
		return nil
	}
	first := map[string]*syncItem{} // by counterpart
	var ids []string
	for _, item := range open(p.items) {
		if id := item.there(p.flow); id != "" && !item.known.Synced {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	holders, err := p.Store.InStepWith(ctx, p.job.Name, ids)
	if err != nil {
		return err
	}
	for _, item := range open(p.items) {
		id := item.there(p.flow)
		if id == "" || item.known.Synced {
			continue
		}
		holder := holders[id]
		if other := first[id]; holder == "" && other != nil {
			holder = other.ext
		}
		if holder != "" && holder != item.ext {
			item.park(fault.New(fault.Conflict, "sync.target_shared", "another record of the source is in step with the same record of the target").
				WithField("id").WithResolution("let one of the two be left out (towpath sync skip %s %s), or untie one from it, so that it is matched anew: towpath sync untie %s %s", p.row.Name, item.ext, p.row.Name, item.ext))
			continue
		}
		first[id] = item
	}
	return nil
}

// elsewhere says that a claim was carried out, with another record than the item's.
func (p *syncPage) elsewhere(c store.Claim, item *syncItem) bool {
	return c.TargetID != "" && c.TargetID != item.there(p.flow)
}

// lookAgain finds records whose key is claimed by somebody who has a record by
// now: it may have been made since they were looked for. Then it is seen now, as
// claims are closed when their records are there.
func (p *syncPage) lookAgain(ctx context.Context, loose []*syncItem, wanted []store.Wanted, claims map[string]store.Claim) error {
	var late []*syncItem
	for i, w := range wanted {
		own := claims[w.Keys[0]]
		if slices.ContainsFunc(w.Keys[1:], func(key string) bool {
			c := claims[key]
			return c.XID != own.XID && c.XID != w.XID && p.elsewhere(c, loose[i])
		}) {
			late = append(late, loose[i])
		}
	}
	if len(late) == 0 {
		return nil
	}
	found, err := p.find(ctx, late)
	if err != nil {
		return err
	}
	return p.adopt(ctx, late, found)
}

// xid is the external id that a record is made under.
func (p *syncPage) xid(item *syncItem) string {
	return record.XID(p.flow.from.name, string(p.row.BoundAs()), item.rec.ID)
}

// refer puts the ids of the target's records in the place of references: found
// by a field, or bound to the source's.
func (p *syncPage) refer(ctx context.Context) error {
	if p.flow.to.target == nil {
		return nil
	}
	return p.resolve(ctx, p.flow, open(p.items), func(i *syncItem) record.Values { return i.read })
}

func (r *syncRun) resolve(ctx context.Context, f *syncFlow, items []*syncItem, of func(*syncItem) record.Values) error {
	rows := make([]record.Values, len(items))
	for i, item := range items {
		rows[i] = of(item)
	}
	by := Referrer{Book: r.Store, Target: f.to.target, From: f.from.name, To: f.to.name, Binds: r.row.BoundAs(), Back: f.back}
	faults, err := by.Resolve(ctx, f.mapping.References(), rows)
	for i, wrong := range faults {
		if wrong != nil {
			items[i].park(wrong)
		}
	}
	return err
}

// dry says that the run writes nothing.
func (r *syncRun) dry() bool { return r.run.Purpose == contract.PurposePlan }

// may asks the job's switches.
func (r *syncRun) may(do jobs.Operation) bool { return r.job.May(do, r.job.Kind) }
