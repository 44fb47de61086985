package simulator

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// search gives the records that a domain selects, in order. Archived ones
// stay hidden unless the domain or the context asks for them.
func (t *tx) search(m *model, domain []any, order string, offset, limit int64) []*record {
	wanted := t.compile(m, domain)
	matches := wanted.matches
	if m.fields["active"] != nil && t.context["active_test"] != false && !mentions(domain, "active") {
		matches = func(r *record) bool { return t.get(r, "active") == true && wanted.matches(r) }
	}
	most := math.MaxInt
	if limit > 0 {
		most = int(offset + limit)
	}
	found := m.race(m.allRoutes(wanted.routes, order), order, most, matches)
	t.sort(m, found, order)
	found = found[min(int(offset), len(found)):]
	if limit > 0 {
		found = found[:min(int(limit), len(found))]
	}
	return found
}

func mentions(domain []any, name string) bool {
	for _, node := range domain {
		if leaf, ok := node.([]any); ok && len(leaf) == 3 && leaf[0] == name {
			return true
		}
	}
	return false
}

var orderPattern = regexp.MustCompile(`^(\s*([a-z0-9_.:]+|"[a-z0-9_.:]+")(\s+(asc|desc))?(\s+nulls\s+(first|last))?\s*(,|$))+$`)

// sort orders records as SQL does, empty values last when ascending. The id
// breaks ties, so that results are the same every time.
func (t *tx) sort(m *model, records []*record, order string) {
	if order == "" {
		order = m.order
	}
	if !orderPattern.MatchString(strings.ToLower(order)) || strings.HasSuffix(strings.TrimSpace(order), ",") {
		raise(userError(`Invalid "order" specified (%s). A valid "order" specification is a comma-separated list of valid field names (optionally followed by asc/desc for the direction)`, order))
	}
	type key struct {
		name string
		sign int
	}
	var keys []key
	for part := range strings.SplitSeq(order, ",") {
		words := strings.Fields(strings.ToLower(part))
		name := strings.Trim(words[0], `"`)
		if m.fields[name] == nil {
			raise(valueError("Invalid field '%s' on model '%s'", name, m.name))
		}
		sign := 1
		if len(words) > 1 && words[1] == "desc" {
			sign = -1
		}
		keys = append(keys, key{name, sign})
	}
	slices.SortFunc(records, func(a, b *record) int {
		for _, k := range keys {
			if c := k.sign * compareValues(t.get(a, k.name), t.get(b, k.name)); c != 0 {
				return c
			}
		}
		return cmp.Compare(a.id, b.id)
	})
}

func compareValues(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	switch a := a.(type) {
	case int64:
		n, _ := b.(int64)
		return cmp.Compare(a, n)
	case decimal.Decimal:
		d, _ := b.(decimal.Decimal)
		return a.Cmp(d)
	case bool:
		x, _ := b.(bool)
		return cmp.Compare(btoi(a), btoi(x))
	}
	return cmp.Compare(asText(a), asText(b))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// read answers rows of the named fields; none means all. Vanished records are
// left out, without a word.
func (t *tx) read(m *model, records []*record, fields []string, classic bool) []any {
	if len(fields) == 0 {
		fields = slices.Sorted(maps.Keys(m.fields))
	}
	for _, name := range fields {
		if m.fields[name] == nil {
			raise(valueError("Invalid field '%s' on '%s'", name, m.name))
		}
	}
	rows := make([]any, 0, len(records))
	for _, r := range records {
		row := map[string]any{"id": r.id}
		for _, name := range fields {
			row[name] = t.answer(m.fields[name], t.get(r, name), classic)
		}
		rows = append(rows, row)
	}
	return rows
}

// nameSearch finds records by what people call them.
func (t *tx) nameSearch(m *model, name string, domain []any, op string, limit int64) []*record {
	if name == "" {
		return t.search(m, domain, "", 0, limit)
	}
	var found []*record
	if m.name == "res.country" && len(name) == 2 || m.name == "res.country.state" {
		found = t.search(m, append(slices.Clone(domain), []any{"code", codeOperator(m), name}), "", 0, limit)
	}
	if m.name == "product.product" {
		for _, by := range []string{"default_code", "barcode"} {
			found = append(found, t.search(m, append(slices.Clone(domain), []any{by, "=", name}), "", 0, limit)...)
		}
		if len(found) > 0 {
			return found
		}
	}
	for _, r := range t.search(m, append(slices.Clone(domain), nameDomain(m, name, op)...), "", 0, limit) {
		if !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	if limit > 0 {
		found = found[:min(int(limit), len(found))]
	}
	return found
}

func codeOperator(m *model) string {
	if m.name == "res.country.state" {
		return "=like"
	}
	return "=ilike"
}

// nameDomain looks at the fields that make up a model's name.
func nameDomain(m *model, name, op string) []any {
	by := []string{m.recName}
	switch m.name {
	case "res.partner":
		by = []string{"complete_name", "email", "ref", "vat", "company_registry"}
	case "res.country", "res.country.state":
		by = []string{"name", "code"}
	case "sale.order":
		by = []string{"name", "partner_id.name"}
	case "product.product", "product.template":
		by = []string{"name", "default_code"}
	}
	domain := make([]any, 0, 2*len(by))
	for range by[1:] {
		domain = append(domain, "|")
	}
	for _, f := range by {
		domain = append(domain, []any{f, op, name})
	}
	return domain
}
