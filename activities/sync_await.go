package activities

import (
	"slices"

	"towpath/schema/record"
	"towpath/schema/store"
)

// Reasons to leave a record alone that end when somebody else puts its
// counterpart into the target: the next runs look for it, whatever their window
// (store.Awaited).
const (
	notInTarget = "not_in_target"
	createOff   = "create_off"
)

func (i *syncItem) awaits() bool {
	return i.done == skipped && (i.reason == notInTarget || i.reason == createOff)
}

// needs names the records of which one that is bound may be what the item waits
// for: itself, and all that it refers to, as stock refers to its product.
func (p *syncPage) needs(item *syncItem) []string {
	from := p.flow.from
	needs := []string{store.NeedOf(from.name, from.model, item.rec.ID)}
	for _, field := range from.fields {
		if field.Type != record.TypeReference {
			continue
		}
		if id, ok := refID(item.rec.Values[field.Name]).(string); ok {
			needs = append(needs, store.NeedOf(from.name, field.Relation, id))
		}
	}
	slices.Sort(needs)
	return slices.Compact(needs)
}
