package simulator

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// A cellFault is what the importer says about one cell. text holds the
// placeholder %(field)s for the field's label; more is added to the message.
type cellFault struct {
	text    string
	warning bool
	more    map[string]any
}

// Error makes a fault travel through try; it never leaves the package.
func (w *cellFault) Error() string { return w.text }

// convert turns the cells of one record into values for create or write.
// Faults go to log, field by field; the importer goes on.
func (l *loading) convert(m *model, cells *cellRecord, log func(*field, *cellFault)) map[string]any {
	values := map[string]any{}
	for _, name := range cells.names {
		f := m.fields[name]
		if f == nil || name == "id" {
			continue
		}
		value := cells.cells[name]
		list, relational := value.([]*cellRecord)
		if relational && len(list) == 0 || !relational && !truthy(value) {
			values[name] = false
			continue
		}
		v, warnings, fail := l.cell(f, value)
		for _, w := range warnings {
			log(f, w)
		}
		if fail != nil {
			log(f, fail)
			continue
		}
		values[name] = v
	}
	return values
}

func faultf(format string, args ...any) *cellFault {
	return &cellFault{text: fmt.Sprintf(format, args...), more: map[string]any{}}
}

func (w *cellFault) hint(more any) *cellFault {
	w.more["moreinfo"] = more
	return w
}

func (l *loading) cell(f *field, value any) (any, []*cellFault, *cellFault) {
	switch f.kind {
	case "many2one":
		return l.many2one(f, value.([]*cellRecord))
	case "many2many":
		return l.many2many(f, value.([]*cellRecord))
	case "one2many":
		return l.one2many(f, value.([]*cellRecord))
	case "float", "monetary":
		d, err := decimal.NewFromString(strings.TrimSpace(asText(value)))
		if err != nil {
			return nil, nil, faultf("'%s' does not seem to be a number for field '%%(field)s'", asText(value))
		}
		return d, nil, nil
	case "integer":
		d, err := decimal.NewFromString(strings.TrimSpace(asText(value)))
		if err != nil || !d.IsInteger() {
			return nil, nil, faultf("'%s' does not seem to be an integer for field '%%(field)s'", asText(value))
		}
		return d.IntPart(), nil, nil
	case "boolean":
		b, warning := boolean(value)
		return b, warning, nil
	case "selection":
		return choice(f, value)
	case "date", "datetime":
		return l.point(f, asText(value))
	case "json":
		var v any
		decoder := json.NewDecoder(strings.NewReader(asText(value)))
		decoder.UseNumber()
		if err := decoder.Decode(&v); err != nil {
			return nil, nil, faultf("'%s' does not seem to be a valid JSON for field '%%(field)s'", asText(value))
		}
		return v, nil, nil
	}
	return value, nil, nil
}

// lowered is value.lower(): the importer expects texts, and dies of others.
func lowered(value any, method string) string {
	s, ok := value.(string)
	if !ok {
		class := "int"
		if _, isBool := value.(bool); isBool {
			class = "bool"
		} else if n, isNumber := value.(json.Number); isNumber && strings.Contains(n.String(), ".") {
			class = "float"
		}
		raise(pyError("AttributeError", "'%s' object has no attribute '%s'", class, method))
	}
	return strings.ToLower(s)
}

func boolean(value any) (bool, []*cellFault) {
	switch lowered(value, "lower") {
	case "1", "true", "yes":
		return true, nil
	case "", "0", "false", "no":
		return false, nil
	}
	w := faultf("Unknown value '%s' for boolean field '%%(field)s'", asText(value)).hint("Use '1' for yes and '0' for no")
	w.warning = true
	return true, []*cellFault{w}
}

func choice(f *field, value any) (any, []*cellFault, *cellFault) {
	wanted := lowered(value, "lower")
	labels := make([]any, 0, len(f.selection))
	for _, option := range f.selection {
		if strings.EqualFold(option[0], wanted) || strings.EqualFold(option[1], wanted) {
			return option[0], nil, nil
		}
		labels = append(labels, option[1])
	}
	return nil, nil, faultf("Value '%s' not found in selection field '%%(field)s'", asText(value)).hint(labels)
}

// point reads a date or a datetime in the time zone of the context or, failing
// that, of the user.
func (l *loading) point(f *field, s string) (any, []*cellFault, *cellFault) {
	var text string
	if e := try(func() { text = asText(parseTime(f.kind, s)) }); e != nil {
		example := "Use the format '2012-12-31 23:59:59'"
		if f.kind == "date" {
			example = "Use the format '2012-12-31'"
		}
		return nil, nil, faultf("'%s' does not seem to be a valid %s for field '%%(field)s'", s, f.kind).hint(example)
	}
	if f.kind == "date" {
		return text, nil, nil
	}
	zone, _ := l.t.context["tz"].(string)
	if zone == "" {
		zone = l.t.user.TZ
	}
	if where, err := time.LoadLocation(zone); err == nil && zone != "" {
		if at, err := time.ParseInLocation(datetimeLayout, text, where); err == nil {
			text = at.UTC().Format(datetimeLayout)
		}
	}
	return text, nil, nil
}

func (l *loading) many2one(f *field, list []*cellRecord) (any, []*cellFault, *cellFault) {
	subfield, fail := referencing(list[0])
	if fail != nil {
		return nil, nil, fail
	}
	return l.refer(f, subfield, list[0].cells[subfield])
}

// referencing gives the one subfield by which a relational cell refers.
func referencing(c *cellRecord) (string, *cellFault) {
	var found []string
	for _, name := range c.names {
		if name != "" && name != "id" && name != ".id" {
			return "", &cellFault{text: "Can not create Many-To-One records indirectly, import the field separately"}
		}
		found = append(found, name)
	}
	if len(found) != 1 {
		return "", &cellFault{text: "Ambiguous specification for field '%(field)s', only provide one of name, external id or database id"}
	}
	return found[0], nil
}

func (l *loading) many2many(f *field, list []*cellRecord) (any, []*cellFault, *cellFault) {
	subfield, fail := referencing(list[0])
	if fail != nil {
		return nil, nil, fail
	}
	value := list[0].cells[subfield]
	lowered(value, "split")
	var all []any
	var warnings []*cellFault
	for part := range strings.SplitSeq(value.(string), ",") {
		id, more, fail := l.refer(f, subfield, part)
		if fail != nil {
			return nil, warnings, fail
		}
		warnings = append(warnings, more...)
		all = append(all, id)
	}
	return []any{[]any{int64(6), int64(0), all}}, warnings, nil
}

func (l *loading) one2many(f *field, list []*cellRecord) (commands any, warnings []*cellFault, fail *cellFault) {
	child := l.t.model(f.relation)
	if child == nil {
		return nil, nil, faultf("the simulator has no %s", f.relation)
	}
	var out []any
	for _, c := range list {
		values := l.convert(child, c, func(sub *field, w *cellFault) {
			if w.warning {
				warnings = append(warnings, w)
			} else if fail == nil {
				fail = &cellFault{text: strings.ReplaceAll(w.text, "%(field)s", "%(field)s/"+sub.label), more: w.more}
			}
		})
		if fail != nil {
			return nil, warnings, fail
		}
		id, w := l.line(f, c, values)
		if w != nil {
			return nil, warnings, w
		}
		if id != 0 {
			out = append(out, []any{int64(4), id}, []any{int64(1), id, values})
		} else {
			out = append(out, []any{int64(0), int64(0), values})
		}
	}
	return out, warnings, nil
}

// line finds the record that a row of a one2many names. A new external id is
// kept in the values, and create binds it.
func (l *loading) line(f *field, c *cellRecord, values map[string]any) (int64, *cellFault) {
	for _, subfield := range []string{"id", ".id"} {
		value, ok := c.cells[subfield]
		if !ok {
			continue
		}
		id, _, fail := l.refer(f, subfield, value)
		if fail != nil && subfield == ".id" {
			return 0, fail
		}
		if fail != nil {
			values["id"] = l.qualified(asText(value))
		}
		n, _ := id.(int64)
		return n, nil
	}
	return 0, nil
}

func (l *loading) qualified(x string) string {
	if strings.Contains(x, ".") {
		return x
	}
	return l.module + "." + x
}
