package odoo

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
)

// recordFind is one caller's question for records by a field's values.
type recordFind struct {
	model, field string
	values       []string
}

func (c *Connector) addRecordFinder() {
	c.finds = batch.NewOp(c.scheduler, batch.OpConfig[recordFind, map[string][]string]{
		Name: "find records", Priority: batch.Read, Timeout: readTimeout,
		Group: func(f recordFind) string { return f.model + " " + f.field }, Background: inBulk[recordFind],
		Call: c.callFindRecords,
	})
}

// FindRecords gives the ids of the records whose field holds one of the values,
// by value, in order of id; archived ones where no active one holds the value. Of
// a field that refers to a record, the value is that one's id. A text is found as it
// would be written, too, without the blanks around it, and an e-mail address as Odoo
// itself compares them, whoever typed it in.
func (c *Connector) FindRecords(ctx context.Context, model, field string, values []string) (map[string][]string, error) {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return text(v) == "" })
	if len(values) == 0 {
		return map[string][]string{}, nil
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	return c.finds.Do(ctx, recordFind{model: model, field: field, values: values})
}

// emailField is compared by emailNormalized, where a model has that: written small,
// and without a name around it.
const emailField, emailNormalized = "email", "email_normalized"

// spelling says under which spellings values are looked for.
type spelling struct {
	field, alike string // alike: the field that says the same in one spelling; "": none
	toOne        bool
	of           map[string][]string // the values, by how field may hold them
	ofAlike      map[string][]string // and by how alike does
}

func newSpelling(known map[string]rpc.Field, field string, values []string) (*spelling, error) {
	s := &spelling{field: field, toOne: known[field].Type == many2one, of: map[string][]string{}, ofAlike: map[string][]string{}}
	if field == emailField && known[emailNormalized].Store {
		s.alike = emailNormalized
	}
	for _, v := range values {
		if s.toOne {
			if _, err := dbID(field, v); err != nil {
				return nil, err
			}
		}
		spelt := []string{v}
		if written := text(v); written != v && written != "" {
			spelt = append(spelt, written)
		}
		for _, one := range spelt {
			s.of[one] = append(s.of[one], v)
		}
		if s.alike != "" {
			small := strings.ToLower(text(v))
			s.ofAlike[small] = append(s.ofAlike[small], v)
		}
	}
	return s, nil
}

func (s *spelling) domain() []any {
	texts := slices.Sorted(maps.Keys(s.of))
	wanted := anys(texts)
	if s.toOne {
		for i, one := range texts {
			wanted[i], _ = dbID(s.field, one) // newSpelling has looked
		}
	}
	if s.alike == "" {
		return []any{is(s.field, "in", wanted)}
	}
	return []any{"|", is(s.field, "in", wanted), is(s.alike, "in", anys(slices.Sorted(maps.Keys(s.ofAlike))))}
}

// valuesOf are those of the values that a row holds.
func (s *spelling) valuesOf(row map[string]json.RawMessage) ([]string, error) {
	if s.toOne {
		var to rpc.Many2One
		if err := json.Unmarshal(row[s.field], &to); err != nil {
			return nil, unreadable(s.field, err)
		}
		return s.of[id(to.ID)], nil
	}
	var all []string
	for _, in := range []struct {
		field string
		of    map[string][]string
	}{{s.field, s.of}, {s.alike, s.ofAlike}} {
		if in.field == "" {
			continue
		}
		var v rpc.Text
		if err := v.UnmarshalJSON(row[in.field]); err != nil {
			return nil, unreadable(in.field, err)
		}
		all = append(all, in.of[string(v)]...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (c *Connector) callFindRecords(ctx context.Context, asks []recordFind) ([]batch.Result[map[string][]string], error) {
	var values []string
	for _, a := range asks {
		values = append(values, a.values...)
	}
	slices.Sort(values)
	model, field := asks[0].model, asks[0].field
	ctx = rpc.WithContext(c.scope(ctx), rpc.Context{"active_test": false})
	known, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	spelt, err := newSpelling(known, field, slices.Compact(values))
	if err != nil {
		return nil, err
	}
	ask := []string{field}
	if spelt.alike != "" {
		ask = append(ask, spelt.alike)
	}
	if _, archives := known["active"]; archives && field != "active" {
		ask = append(ask, "active")
	}
	var rows []map[string]json.RawMessage
	if err := c.rpc.SearchRead(ctx, model, spelt.domain(), ask, rpc.Query{Order: "id"}, &rows); err != nil {
		return nil, err
	}
	found, archived := map[string][]string{}, map[string][]string{}
	for _, row := range rows {
		var n int64
		if err := json.Unmarshal(row["id"], &n); err != nil {
			return nil, unreadable("id", err)
		}
		held, err := spelt.valuesOf(row)
		if err != nil {
			return nil, err
		}
		into := found
		if string(row["active"]) == "false" {
			into = archived
		}
		for _, v := range held {
			into[v] = append(into[v], id(n))
		}
	}
	for v, ids := range archived { // beside an active one they are its past: a variant that was made anew
		if len(found[v]) == 0 {
			found[v] = ids
		}
	}
	return results(asks, func(a recordFind) (map[string][]string, error) {
		mine := map[string][]string{}
		for _, v := range a.values {
			if ids := found[v]; len(ids) > 0 {
				mine[v] = ids
			}
		}
		return mine, nil
	}), nil
}
