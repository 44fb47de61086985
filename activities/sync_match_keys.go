package activities

import (
	"context"
	"slices"
	"strings"

	"towpath/schema/mapping"
	"towpath/schema/record"
)

// keyOf is what a key field of a record holds in the target: of a reference the
// id that it was resolved to.
func (p *syncPage) keyOf(item *syncItem, field string) string {
	if info := fieldOf(p.flow.to.fields, field); info != nil && info.Type == record.TypeReference {
		id, _ := refID(item.read[field]).(string)
		return id
	}
	return item.keys[field]
}

// keyClaims are what no two records may have in common: each key field, or all
// of them together.
func (p *syncPage) keyClaims(item *syncItem) (keys []string) {
	prefix := "key:" + p.flow.from.name + "/" + p.flow.to.model + "/"
	fields := p.flow.mapping.KeyFields()
	if p.flow.mapping.Match() != mapping.ByKeys {
		for _, field := range fields {
			if v := p.keyOf(item, field); v != "" {
				keys = append(keys, prefix+field+"/"+alike(field, v))
			}
		}
		return keys
	}
	var values []string
	for _, field := range fields {
		values = append(values, alike(field, p.keyOf(item, field)))
	}
	return []string{prefix + strings.Join(fields, "+") + "/" + strings.Join(values, "+")}
}

// alike is a key in the spelling in which two that systems take for one are equal:
// blanks around a text do not count, nor does the case of an e-mail address.
func alike(field, key string) string {
	key = strings.TrimSpace(key)
	if field == "email" {
		return strings.ToLower(key)
	}
	return key
}

// findTogether finds records that hold all key fields: by the first, and
// compares the others.
func (p *syncPage) findTogether(ctx context.Context, loose []*syncItem, hits map[*syncItem][]string) error {
	fields := p.flow.mapping.KeyFields()
	var values, ids []string
	for _, item := range loose {
		if v := p.keyOf(item, fields[0]); v != "" && item.done == undecided {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	to := p.flow.to
	found, err := to.target.FindRecords(ctx, to.model, fields[0], slices.Compact(values))
	if err != nil {
		return err
	}
	for _, list := range found {
		ids = append(ids, list...)
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	there := map[string]*syncItem{} // what the target's records hold
	for chunk := range slices.Chunk(slices.Compact(ids), maxPageRecords) {
		list, err := to.byID(ctx, chunk, fields)
		if err != nil {
			return err
		}
		for _, rec := range list {
			held := &syncItem{read: plain(rec.Values, to.fields, fields), keys: map[string]string{}}
			for _, field := range fields {
				held.keys[field] = keyText(held.read[field])
			}
			there[rec.ID] = held
		}
	}
	for _, item := range loose {
		for _, id := range found[p.keyOf(item, fields[0])] {
			held, ok := there[id]
			if ok && !slices.ContainsFunc(fields, func(f string) bool { return alike(f, p.keyOf(held, f)) != alike(f, p.keyOf(item, f)) }) {
				hits[item] = append(hits[item], id)
			}
		}
	}
	return nil
}

// keyText is a value as mappings write keys.
func keyText(value any) string {
	text, _ := mapping.KeyText(value)
	return text
}
