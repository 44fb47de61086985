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
	return p.claim(ctx, open(loose))
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
	for _, item := range loose {
		id, ok := found[item]
		switch {
		case !ok || item.done != undecided:
		case taken[id] != "" && taken[id] != item.ext:
			item.park(keyTaken(p.flow.mapping.KeyFields()[0]))
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
		item := loose[i]
		own := claims[w.Keys[0]]
		if own.TargetID != "" && item.there(p.flow) == "" && !p.flow.back {
			item.known.TargetID = own.TargetID // an order made it
		}
		item.known.Made = own.XID
		for _, key := range w.Keys[1:] {
			c := claims[key]
			if c.XID == own.XID || c.XID == w.XID {
				continue
			}
			if c.TargetID != "" && c.TargetID != item.there(p.flow) {
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
	for _, ref := range f.mapping.References() {
		wanted := map[string]bool{}
		for _, item := range items {
			for _, v := range refTexts(of(item)[ref.Field]) {
				wanted[v] = true
			}
		}
		if len(wanted) == 0 {
			continue
		}
		ids, err := r.referred(ctx, f, ref, wanted)
		if err != nil {
			return err
		}
		near, err := r.narrow(ctx, f, ref, ids)
		if err != nil {
			return err
		}
		for _, item := range items {
			point(item, of(item), ref, near(of(item)))
		}
	}
	return nil
}

// referred gives the target's ids by what a reference says.
func (r *syncRun) referred(ctx context.Context, f *syncFlow, ref mapping.Reference, wanted map[string]bool) (map[string][]string, error) {
	var values []string
	for v := range wanted {
		values = append(values, v)
	}
	slices.Sort(values)
	if ref.Lookup != "" {
		return f.to.target.FindRecords(ctx, ref.Model, ref.Lookup, values)
	}
	kind := r.row.BoundAs()
	if ref.Refers != "" {
		kind = record.Kind(ref.Refers)
	}
	bound, err := r.Store.References(ctx, f.from.name, f.to.name, kind, values, f.back)
	ids := make(map[string][]string, len(bound))
	for v, id := range bound {
		ids[v] = []string{id}
	}
	return ids, err
}

func point(item *syncItem, values record.Values, ref mapping.Reference, ids map[string][]string) {
	texts := refTexts(values[ref.Field])
	if len(texts) == 0 {
		if _, there := values[ref.Field]; there {
			values[ref.Field] = nil
		}
		return
	}
	var all []any
	for _, text := range texts {
		switch hits := ids[text]; len(hits) {
		case 1:
			all = append(all, hits[0])
		case 0:
			item.park(unknownReference(ref))
			return
		default:
			item.park(fault.New(fault.Conflict, "sync.ambiguous_reference", "%d records of %s are called the same", len(hits), ref.Model).
				WithField(ref.Field).WithResolution("make %s unique there, or look up by another field", ref.Lookup))
			return
		}
	}
	if ref.Many {
		values[ref.Field] = refIDs(all)
	} else {
		values[ref.Field] = all[0]
	}
}

// codeUnknownReference is retried within the same run: the record that is
// referred to may come on a later page.
const codeUnknownReference = "sync.unknown_reference"

func unknownReference(ref mapping.Reference) *fault.Fault {
	f := fault.New(fault.Invalid, codeUnknownReference, "the record that %s refers to is not in the target", ref.Field).
		WithField(ref.Field).WithFamily(ref.Model)
	if ref.Lookup != "" {
		return f.WithResolution("add it to %s there, or correct what it is looked up by (%s); then it is tried again by itself", ref.Model, ref.Lookup)
	}
	return f.WithResolution("sync what it refers to first; then it is tried again by itself")
}

func refTexts(value any) []string {
	switch v := value.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, refTexts(one)...)
		}
		return all
	case record.Values:
		return refTexts(v["id"])
	}
	return nil
}

// dry says that the run writes nothing.
func (r *syncRun) dry() bool { return r.run.Purpose == contract.PurposePlan }

// may asks the job's switches.
func (r *syncRun) may(do jobs.Operation) bool { return r.job.May(do, r.job.Kind) }
