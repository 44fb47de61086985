package odoo

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// maxDepth bounds dot paths: order.partner.country is three calls per page.
const maxDepth = 3

// readTree reads records with what dot paths ask of those they refer to: one
// call for the records, and one for each relation that is followed.
func (c *Connector) readTree(ctx context.Context, model string, d []any, limit int, paths []string, depth int) ([]record.Sourced, error) {
	known, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	own, followed, err := split(model, known, paths, depth)
	if err != nil {
		return nil, err
	}
	ask := slices.Clone(own)
	for _, name := range []string{"write_date", "active"} {
		if _, ok := known[name]; ok && !slices.Contains(ask, name) {
			ask = append(ask, name)
		}
	}
	var rows []map[string]json.RawMessage
	if err := c.rpc.SearchRead(ctx, model, d, ask, rpc.Query{Order: "id", Limit: limit}, &rows); err != nil {
		return nil, err
	}
	records := make([]record.Sourced, len(rows))
	for i, row := range rows {
		if records[i], err = sourced(row, known, own); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(followed)) {
		if err := c.follow(ctx, known[name].Relation, name, followed[name], records, depth); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// split parts dot paths into the model's own fields and what is asked of the
// records they refer to.
func split(model string, known map[string]rpc.Field, paths []string, depth int) (own []string, followed map[string][]string, err error) {
	followed = map[string][]string{}
	for _, path := range paths {
		name, rest, deeper := strings.Cut(path, ".")
		f, ok := known[name]
		switch {
		case name == "id" && !deeper:
			continue
		case !ok:
			return nil, nil, fault.New(fault.Invalid, "odoo.unknown_field", "%s has no field %q", model, name).
				WithField(path).WithResolution("correct the field's name, or give the bot user the right to read it")
		case deeper && rest != "id" && (f.Relation == "" || depth <= 1):
			return nil, nil, fault.New(fault.Invalid, "odoo.bad_path", "%q leads nowhere", path).
				WithField(path).WithResolution("follow references only, at most %d deep", maxDepth)
		case deeper && rest != "id":
			followed[name] = append(followed[name], rest)
		}
		if !slices.Contains(own, name) {
			own = append(own, name)
		}
	}
	return own, followed, nil
}

// follow reads the records that a field of others refers to, each once, and
// puts them in.
func (c *Connector) follow(ctx context.Context, model, field string, paths []string, records []record.Sourced, depth int) error {
	var ids []int64
	each := func(visit func(record.Values)) {
		for _, r := range records {
			switch v := r.Values[field].(type) {
			case record.Values:
				visit(v)
			case []any:
				for _, one := range v {
					if ref, ok := one.(record.Values); ok {
						visit(ref)
					}
				}
			}
		}
	}
	each(func(v record.Values) {
		if n, err := strconv.ParseInt(v["id"].(string), 10, 64); err == nil {
			ids = append(ids, n)
		}
	})
	if len(ids) == 0 {
		return nil
	}
	ctx = rpc.WithContext(ctx, rpc.Context{"active_test": false}) // archived ones are referred to as well
	found, err := c.readTree(ctx, model, []any{is("id", "in", unique(ids))}, 0, paths, depth-1)
	if err != nil {
		return err
	}
	byID := make(map[string]record.Values, len(found))
	for _, f := range found {
		byID[f.ID] = f.Values
	}
	each(func(v record.Values) { maps.Copy(v, byID[v["id"].(string)]) })
	return nil
}

// sourced converts a row as read.
func sourced(row map[string]json.RawMessage, known map[string]rpc.Field, own []string) (record.Sourced, error) {
	var n int64
	if err := json.Unmarshal(row["id"], &n); err != nil {
		return record.Sourced{}, unreadable("id", err)
	}
	r := record.Sourced{ID: id(n), Values: record.Values{"id": id(n)}}
	for _, name := range own {
		v, err := value(row[name], known[name].Type)
		if err != nil {
			return r, unreadable(name, err)
		}
		if v != nil {
			r.Values[name] = v
		}
	}
	var changed rpc.Time
	if raw, ok := row["write_date"]; ok {
		if err := changed.UnmarshalJSON(raw); err != nil {
			return r, unreadable("write_date", err)
		}
	}
	r.Changed = changed.Time
	r.Archived = string(row["active"]) == "false" && known["active"].Type == "boolean"
	return r, nil
}

func unreadable(field string, err error) *fault.Fault {
	return fault.New(fault.Transient, "odoo.unreadable", "Odoo's answer cannot be read").WithField(field).
		WithResolution("it is tried again; if it stays, look what answers at the connection's address").WithCause(err)
}

// value reads one value by its field's type. Odoo writes "no value" as false,
// which only a boolean means.
func value(raw json.RawMessage, kind string) (any, error) {
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "false" && kind != "boolean" {
		return nil, nil
	}
	switch fieldTypes[kind] {
	case record.TypeBoolean:
		return string(raw) == "true" || string(raw) == "1", nil
	case record.TypeNumber, record.TypeInteger:
		var d rpc.Decimal
		err := d.UnmarshalJSON(raw)
		return d.Decimal, err
	case record.TypeTime:
		var t rpc.Time
		err := t.UnmarshalJSON(raw)
		return t.Time, err
	case record.TypeDate:
		var s rpc.Text
		err := s.UnmarshalJSON(raw)
		return record.Date(s), err
	case record.TypeReference:
		var m rpc.Many2One
		if err := m.UnmarshalJSON(raw); err != nil || m.ID == 0 {
			return nil, err
		}
		return record.Values{"id": id(m.ID), "display_name": m.Name}, nil
	case record.TypeMany:
		var ids []int64
		if err := json.Unmarshal(raw, &ids); err != nil {
			return nil, err
		}
		many := make([]any, len(ids))
		for i, n := range ids {
			many[i] = record.Values{"id": id(n)}
		}
		return many, nil
	}
	var s rpc.Text
	err := s.UnmarshalJSON(raw)
	return string(s), err
}
