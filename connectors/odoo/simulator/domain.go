package simulator

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// A predicate is a compiled search domain.
type predicate func(*record) bool

// A condition is a compiled domain or a part of one: what it says of a record,
// and the routes to the records of which it is true.
type condition struct {
	matches predicate
	routes  []route
}

// compile turns a domain in Odoo's prefix notation into a condition.
func (t *tx) compile(m *model, domain []any) condition {
	var stack []condition
	pop := func() condition {
		if len(stack) == 0 {
			raise(valueError("Domain() malformed domain %s", python(domain)))
		}
		last := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		return last
	}
	for _, node := range slices.Backward(domain) {
		switch node := node.(type) {
		case string:
			switch node {
			case "&":
				stack = append(stack, both(pop(), pop()))
			case "|":
				a, b := pop(), pop()
				stack = append(stack, condition{func(r *record) bool { return a.matches(r) || b.matches(r) }, eitherRoutes(a.routes, b.routes)})
			case "!":
				a := pop()
				stack = append(stack, condition{matches: func(r *record) bool { return !a.matches(r) }})
			default:
				raise(valueError("Domain() invalid item in domain: '%s'", node))
			}
		case []any:
			leaf := condition{matches: t.leaf(m, node)}
			if name, ok := node[0].(string); ok {
				op, _ := node[1].(string)
				leaf.routes = m.routesFor(name, op, node[2])
			}
			stack = append(stack, leaf)
		default:
			raise(valueError("Domain() invalid item in domain: %s", python(node)))
		}
	}
	all := condition{matches: func(*record) bool { return true }}
	for _, c := range slices.Backward(stack) {
		all = both(c, all)
	}
	return all
}

func both(a, b condition) condition {
	return condition{func(r *record) bool { return a.matches(r) && b.matches(r) }, bothRoutes(a.routes, b.routes)}
}

func (t *tx) leaf(m *model, leaf []any) predicate {
	if len(leaf) != 3 {
		raise(valueError("Domain() invalid item in domain: %s", python(leaf)))
	}
	name, ok := leaf[0].(string)
	if !ok { // [1, "=", 1] and [0, "=", 1]
		same := python(leaf[0]) == python(leaf[2])
		return func(*record) bool { return same }
	}
	op, _ := leaf[1].(string)
	head, rest, dotted := strings.Cut(name, ".")
	f := m.fields[head]
	if f == nil {
		raise(valueError("Invalid field %s.%s in condition %s", m.name, head, pythonTuple(leaf)))
	}
	if dotted {
		return t.dotted(f, []any{rest, leaf[1], leaf[2]})
	}
	if !slices.Contains(operators, op) {
		raise(valueError("Invalid operator in condition %s", pythonTuple(leaf)))
	}
	if negative, ok := strings.CutPrefix(op, "not "); ok {
		inner := t.compareWith(f, negative, leaf[2])
		return func(r *record) bool { return !inner(r) }
	}
	if op == "!=" || op == "<>" {
		inner := t.compareWith(f, "=", leaf[2])
		return func(r *record) bool { return !inner(r) }
	}
	return t.compareWith(f, op, leaf[2])
}

var operators = []string{"=", "!=", "<>", "in", "not in", "like", "ilike", "not like", "not ilike",
	"=like", "=ilike", "not =like", "not =ilike", ">", ">=", "<", "<=", "=?", "child_of"}

func (t *tx) dotted(f *field, leaf []any) predicate {
	target := t.model(f.relation)
	if target == nil {
		return func(*record) bool { return false }
	}
	inner := t.leaf(target, leaf)
	return func(r *record) bool {
		return slices.ContainsFunc(t.pointedAt(f, r), inner)
	}
}

// pointedAt gives the records that a relational field holds.
func (t *tx) pointedAt(f *field, r *record) []*record {
	switch v := t.get(r, f.name).(type) {
	case int64:
		return t.records(t.model(f.relation), ids(v))
	case []int64:
		return t.records(t.model(f.relation), v)
	}
	return nil
}

func (t *tx) compareWith(f *field, op string, value any) predicate {
	if f.relational() {
		return t.relationCondition(f, op, value)
	}
	switch op {
	case "in":
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		wanted := map[string]bool{}
		for _, v := range list {
			wanted[f.key(v)] = true
		}
		return func(r *record) bool { return wanted[f.key(t.get(r, f.name))] }
	case "=", "=?":
		if op == "=?" && !truthy(value) {
			return func(*record) bool { return true }
		}
		if f.kind == "datetime" && truthy(value) {
			return t.compare(f, "=", value)
		}
		wanted := f.key(value)
		return func(r *record) bool { return f.key(t.get(r, f.name)) == wanted }
	case "like", "ilike", "=like", "=ilike":
		matches := likeness(op, asText(value))
		return func(r *record) bool { return matches(asText(t.get(r, f.name))) }
	}
	return t.compare(f, op, value)
}

// key gives values of one field a form in which equal ones are equal; false,
// null and the empty text are the same to Odoo, and so are false and zero.
func (f *field) key(v any) string {
	switch {
	case f.number(), f.kind == "integer":
		return number(v).String()
	case f.kind == "boolean":
		return asText(truthy(v))
	case !truthy(v):
		return ""
	}
	return asText(v)
}

// likeness compiles LIKE's % and _ to a matcher.
func likeness(op, pattern string) func(string) bool {
	exact := strings.HasPrefix(op, "=")
	if !exact {
		pattern = "%" + pattern + "%"
	}
	var b strings.Builder
	b.WriteString("(?s)^")
	if strings.HasSuffix(op, "ilike") {
		b.Reset()
		b.WriteString("(?is)^")
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case c == '%':
			b.WriteString(".*")
		case c == '_':
			b.WriteString(".")
		default:
			j := i + 1
			for j < len(pattern) && pattern[j] != '%' && pattern[j] != '_' && pattern[j] != '\\' {
				j++
			}
			b.WriteString(regexp.QuoteMeta(pattern[i:j]))
			i = j - 1
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String()).MatchString
}

func (t *tx) relationCondition(f *field, op string, value any) predicate {
	held := func(r *record) []int64 {
		switch v := t.get(r, f.name).(type) {
		case int64:
			return ids(v)
		case []int64:
			return v
		}
		return nil
	}
	text, isText := value.(string)
	list, isList := value.([]any)
	isText = isText || isList && slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return ok })
	switch {
	case isText && isList:
		return func(r *record) bool {
			return slices.ContainsFunc(t.pointedAt(f, r), func(to *record) bool { return slices.Contains(list, any(asText(t.get(to, "display_name")))) })
		}
	case isText:
		if op == "=" {
			op = "=ilike"
		}
		matches := likeness(op, text)
		return func(r *record) bool {
			return slices.ContainsFunc(t.pointedAt(f, r), func(to *record) bool { return matches(asText(t.get(to, "display_name"))) })
		}
	case op == "=" && !truthy(value):
		return func(r *record) bool { return len(held(r)) == 0 }
	}
	wanted := asIDs(value)
	empty := isList && slices.ContainsFunc(list, func(v any) bool { return v == false || v == nil })
	return func(r *record) bool {
		has := held(r)
		if len(has) == 0 {
			return empty
		}
		return slices.ContainsFunc(has, func(id int64) bool {
			return slices.Contains(wanted, id) || op == "child_of" && t.isBelow(f.relation, id, wanted)
		})
	}
}

func (t *tx) isBelow(modelName string, id int64, roots []int64) bool {
	parent := "parent_id"
	if modelName == "stock.location" {
		parent = "location_id"
	}
	for m := t.model(modelName); id != 0 && m.rows[id] != nil && m.fields[parent] != nil; {
		if id, _ = m.rows[id].values[parent].(int64); slices.Contains(roots, id) {
			return true
		}
	}
	return false
}

// compare orders numbers, dates and texts. Odoo 19 compares datetimes in
// whole seconds, older ones in microseconds (apis.md 1.7).
func (t *tx) compare(f *field, op string, value any) predicate {
	decide := func(c int) bool {
		switch op {
		case ">":
			return c > 0
		case ">=":
			return c >= 0
		case "<":
			return c < 0
		case "<=":
			return c <= 0
		}
		return c == 0
	}
	if f.number() || f.kind == "integer" || f.kind == "boolean" {
		limit := number(value)
		return func(r *record) bool {
			switch v := t.get(r, f.name).(type) {
			case decimal.Decimal:
				return decide(v.Cmp(limit))
			case int64:
				return decide(dec(v).Cmp(limit))
			}
			return decide(decimal.Zero.Cmp(limit))
		}
	}
	limit := asText(value)
	if f.kind == "datetime" {
		limit = asText(parseTime(f.kind, limit))
	}
	return func(r *record) bool {
		s := asText(t.get(r, f.name))
		if s == "" {
			return false
		}
		if f.kind == "datetime" && t.db.version >= 19 {
			s = s[:min(len(s), len(datetimeLayout))]
		}
		if f.kind == "datetime" && t.db.version < 19 {
			return decide(strings.Compare(padded(s), padded(limit)))
		}
		return decide(strings.Compare(s, limit))
	}
}

func padded(s string) string {
	if at, err := time.Parse("2006-01-02 15:04:05.999999", s); err == nil {
		return stamp(at)
	}
	return s
}

// python prints a value as Python's repr does, for error texts.
func python(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return "'" + v + "'"
	case json.Number:
		return v.String()
	case []any:
		return "[" + pythonList(v) + "]"
	}
	return asText(v)
}

func pythonTuple(v []any) string { return "(" + pythonList(v) + ")" }

func pythonList(v []any) string {
	parts := make([]string, len(v))
	for i, x := range v {
		parts[i] = python(x)
	}
	return strings.Join(parts, ", ")
}
