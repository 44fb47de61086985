package activities

import (
	"context"
	"maps"
	"slices"
	"strings"

	"towpath/schema/jobs"
	"towpath/schema/record"
)

// withoutWayBack are those of the target's fields that no field of the source is
// made from.
func (p *syncPage) withoutWayBack(fields record.Values) record.Values {
	stay := maps.Clone(fields)
	if !p.bidirectional() {
		return stay
	}
	back := p.flows[1].mapping
	for _, name := range back.TargetFields() {
		for _, path := range back.Reads(name) {
			root, _, _ := strings.Cut(path, ".")
			delete(stay, root)
		}
	}
	return stay
}

// toSource turns what goes back into the source's words: fields of the mapping
// back that read something of it, and those that only the way back has. stuck says
// that the source cannot hold something of what goes back.
func (p *syncPage) toSource(item *syncItem, back record.Values) (out record.Values, stuck bool) {
	if !p.bidirectional() {
		return nil, false
	}
	out = record.Values{}
	ours := p.flows[0].mapping.TargetFields()
	m := p.flows[1].mapping
	for _, name := range m.TargetFields() {
		linked, goes := false, false
		for _, path := range m.Reads(name) {
			root, _, _ := strings.Cut(path, ".")
			linked = linked || slices.Contains(ours, root)
			_, changed := back[root]
			goes = goes || changed
		}
		v, mapped := item.exported[name]
		was, had := item.snapshot.Exported[name]
		switch {
		case !mapped:
			stuck = stuck || linked && goes && len(item.unexported) > 0
		case linked && !goes, !linked && had && record.Equal(v, was):
		case !record.Equal(v, item.leftNow[name]):
			out[name] = v
		}
	}
	return out, stuck
}

// mapOthers maps what bidirectional jobs need of both sides, whichever was
// read: the source's record in the target's words, and the other way.
func (p *syncPage) mapOthers(ctx context.Context) error {
	if !p.bidirectional() {
		return nil
	}
	items := open(p.items)
	there, back := p.flows[0], p.flows[1]
	for _, item := range items {
		left, right := &item.rec, item.other
		if p.flow.back {
			left, right = item.other, &item.rec
		}
		if left != nil {
			item.leftNow = plain(left.Values, p.sides[jobs.SourceSide].fields, back.mapping.TargetFields())
			if p.flow.back {
				result := there.mapping.Apply(*left)
				item.mappedLeft = result.Values
				if len(result.Faults) > 0 {
					item.park(together(result.Faults))
				}
			} else {
				item.mappedLeft = item.read
			}
		}
		if right != nil {
			if p.flow.back {
				item.exported = item.read
			} else {
				result := back.mapping.Apply(*right)
				item.exported, item.unexported = result.Values, result.Faults
			}
		}
	}
	other, of := back, func(i *syncItem) record.Values { return i.exported }
	if p.flow.back {
		other, of = there, func(i *syncItem) record.Values { return i.mappedLeft }
	}
	if other.to.target == nil {
		return nil
	}
	return p.resolve(ctx, other, open(items), of)
}
