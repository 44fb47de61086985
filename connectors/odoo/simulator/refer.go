package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// refer finds the record that a cell names by database id, external id or
// display name. An empty reference is false.
func (l *loading) refer(f *field, subfield string, value any) (any, []*cellFault, *cellFault) {
	target := l.t.model(f.relation)
	if target == nil {
		return nil, nil, l.unknown(f, subfield, value)
	}
	switch subfield {
	case ".id":
		return l.referByID(f, target, value)
	case "id":
		lowered(value, "lower")
		if no, _ := boolean(value); !no {
			return false, nil, nil
		}
		return l.referByXID(f, target, l.qualified(value.(string)), value)
	}
	return l.referByName(f, target, asText(value))
}

func (l *loading) referByID(f *field, target *model, value any) (any, []*cellFault, *cellFault) {
	text := asText(value)
	if s, ok := value.(string); ok {
		if no, _ := boolean(s); !no {
			return false, nil, nil
		}
	}
	id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return nil, nil, faultf("Invalid database id '%s' for the field '%%(field)s'", text).hint(l.possible(f, ".id"))
	}
	if target.rows[id] == nil {
		return nil, nil, l.unknown(f, ".id", value)
	}
	return id, nil, nil
}

func (l *loading) referByXID(f *field, target *model, name string, value any) (any, []*cellFault, *cellFault) {
	if l.batchXIDs[name] {
		l.flush()
	}
	x, ok := l.t.visible(name)
	if !ok || target.rows[x.id] == nil {
		return nil, nil, l.unknown(f, "id", value)
	}
	if x.model != target.name {
		return nil, nil, &cellFault{text: fmt.Sprintf("Invalid external ID %s: expected model '%s', found '%s'", name, target.name, x.model)}
	}
	return x.id, nil, nil
}

func (l *loading) referByName(f *field, target *model, name string) (any, []*cellFault, *cellFault) {
	if name == "" {
		return false, nil, nil
	}
	if l.creatable[target.name] {
		l.flush()
	}
	found := l.t.nameSearch(target, name, nil, "=", 100)
	if len(found) == 0 {
		return nil, nil, l.unknown(f, "", name)
	}
	var warnings []*cellFault
	if len(found) > 1 {
		warnings = []*cellFault{{warning: true, text: fmt.Sprintf("Found multiple matches for value \"%s\" in field \"%%(field)s\" (%d matches)", name, len(found))}}
	}
	return found[0].id, warnings, nil
}

func (l *loading) unknown(f *field, subfield string, value any) *cellFault {
	kind := map[string]string{"": "name", "id": "external id", ".id": "database id"}[subfield]
	return faultf("No matching record found for %s '%s' in field '%%(field)s'", kind, asText(value)).hint(l.possible(f, subfield))
}

// possible is the window action that Odoo's own import screen offers.
func (l *loading) possible(f *field, subfield string) map[string]any {
	action := map[string]any{
		"name": "Possible Values", "type": "ir.actions.act_window", "target": "new", "view_mode": "list,form",
		"views": []any{[]any{false, "list"}, []any{false, "form"}}, "context": map[string]any{"create": false},
		"help": "See all possible values", "res_model": f.relation,
	}
	if l.t.db.version < 19 {
		action["view_mode"] = "tree,form"
		action["views"] = []any{[]any{false, "list"}, []any{false, "form"}}
	}
	if subfield != "" {
		action["res_model"] = "ir.model.data"
		action["domain"] = []any{[]any{"model", "=", f.relation}}
	}
	return action
}

// decode reads a JSON text, keeping numbers exact.
func decode(raw []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	return d.Decode(into)
}
