package activities

import (
	"context"
	"slices"
	"strings"

	"towpath/schema/jobs"
	"towpath/schema/record"
)

// toSource turns what goes back into the source's words: fields of the mapping
// back that read something of it, and those that only the way back has.
func (p *syncPage) toSource(item *syncItem, back record.Values) record.Values {
	if !p.bidirectional() {
		return nil
	}
	out := record.Values{}
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
		case linked && !goes, !linked && had && record.Equal(v, was):
		case !record.Equal(v, item.leftNow[name]):
			out[name] = v
		}
	}
	return out
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
				item.exported = back.mapping.Apply(*right).Values
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
