package simulator

import (
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
)

// A route is a way to what a domain selects: stretches of indexes in which all
// of it lies, among other rows. Which is the shortest is found by trying.
type route []span

// allRoutes are those of a domain, and those that lead to every row: in the
// order of ids, and in the wanted order if an index has it.
func (m *model) allRoutes(routes []route, order string) []route {
	ids := m.indexes["id"]
	all := []route{{ids.between(math.MinInt64, math.MaxInt64)}}
	if ix := m.orderedBy(order); ix != nil && ix != ids {
		all = append(all, route{ix.within("", noValue)})
	}
	return bothRoutes(all, routes)
}

// routesFor gives the routes to what a condition selects; none when no index
// helps.
func (m *model) routesFor(name, op string, value any) []route {
	f, ix := m.fields[name], m.indexes[name]
	switch {
	case ix == nil:
		return nil
	case name == "id":
		return idRoutes(ix, op, value)
	case f.kind == "datetime":
		return timeRoutes(ix, op, value)
	case op != "=" && op != "in":
		return nil
	case f.kind == "many2one":
		return referenceRoutes(f, ix, op, value)
	}
	var p route
	for key := range keysOf(f, op, value) {
		p = append(p, ix.within(key, key))
	}
	return []route{p}
}

// keysOf are the places of the values that a condition asks for, each once.
func keysOf(f *field, op string, value any) iter.Seq[string] {
	keys := map[string]bool{}
	list, ok := value.([]any)
	if !ok || op == "=" {
		list = []any{value}
	}
	for _, v := range list {
		keys[orNoValue(f.key(v))] = true
	}
	return maps.Keys(keys)
}

func idRoutes(ix *index, op string, value any) []route {
	if op == "in" {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		var p route
		for _, v := range list {
			id := number(v).IntPart()
			p = append(p, ix.between(id, id))
		}
		return []route{p}
	}
	at := func() int64 { return number(value).IntPart() }
	switch op {
	case "=":
		return []route{{ix.between(at(), at())}}
	case ">", ">=":
		return []route{{ix.between(at(), math.MaxInt64)}}
	case "<", "<=":
		return []route{{ix.between(math.MinInt64, at())}}
	}
	return nil
}

// timeRoutes includes the whole second of a bound: Odoo 19 compares seconds,
// older ones microseconds.
func timeRoutes(ix *index, op string, value any) []route {
	if !truthy(value) {
		return nil
	}
	at := asText(parseTime("datetime", asText(value)))
	switch op {
	case "=":
		return []route{{ix.within(at, at+"~")}}
	case ">", ">=":
		return []route{{ix.within(at, noValue)}}
	case "<", "<=":
		return []route{{ix.within("", at+"~")}}
	}
	return nil
}

// referenceRoutes serves conditions that name ids; a name leads anywhere.
func referenceRoutes(f *field, ix *index, op string, value any) []route {
	list, isList := value.([]any)
	if _, isText := value.(string); isText || slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return ok }) {
		return nil
	}
	keys := map[string]bool{}
	for _, id := range asIDs(value) {
		keys[f.indexKey(id)] = true
	}
	if op == "=" && !truthy(value) || isList && slices.ContainsFunc(list, func(v any) bool { return v == false || v == nil }) {
		keys[noValue] = true
	}
	var p route
	for key := range keys {
		p = append(p, ix.within(key, key))
	}
	return []route{p}
}

// bothRoutes lead to what two conditions select together: those of either, and
// the common stretch of two in one index.
func bothRoutes(a, b []route) []route {
	var all []route
	for _, p := range a {
		for i, q := range b {
			if len(p) == 1 && len(q) == 1 && p[0].index == q[0].index {
				p = route{p[0].common(q[0])}
				b = slices.Delete(slices.Clone(b), i, i+1)
				break
			}
		}
		all = append(all, p)
	}
	return append(all, b...)
}

// eitherRoutes lead to what one of two conditions selects: along both, in one
// index if that can be.
func eitherRoutes(a, b []route) []route {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	for _, p := range a {
		for _, q := range b {
			if len(p) == 1 && len(q) == 1 && p[0].index == q[0].index && p[0].meets(q[0]) {
				return []route{{p[0].joined(q[0])}}
			}
		}
	}
	return []route{append(slices.Clone(a[0]), b[0]...)}
}

func (s span) common(other span) span {
	if s.from.before(other.from) {
		s.from = other.from
	}
	if other.to.before(s.to) {
		s.to = other.to
	}
	return s
}

func (s span) meets(other span) bool {
	return !s.to.before(other.from) && !other.to.before(s.from)
}

func (s span) joined(other span) span {
	if other.from.before(s.from) {
		s.from = other.from
	}
	if s.to.before(other.to) {
		s.to = other.to
	}
	return s
}

// along gives the rows of a route, each once.
func (m *model) along(p route) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		seen := map[int64]bool{}
		for _, s := range p {
			for id := range s.ids() {
				if seen[id] {
					continue
				}
				if len(p) > 1 {
					seen[id] = true
				}
				if !yield(m.rows[id]) {
					return
				}
			}
		}
	}
}

// race follows all routes step by step, and gives what was found on the first
// that came to an end. Its cost is that of the shortest, times their number;
// PostgreSQL needs statistics to know it beforehand. A route in the wanted order
// is at its end with the last row that is wanted.
func (m *model) race(routes []route, order string, wanted int, matches predicate) []*record {
	type runner struct {
		next    func() (*record, bool)
		inOrder bool
		found   []*record
	}
	runners := make([]runner, len(routes))
	for i, p := range routes {
		next, stop := iter.Pull(m.along(p))
		defer stop() //nolint:revive,gocritic // all run until the race ends
		runners[i] = runner{next: next, inOrder: len(p) == 1 && p[0].index == m.orderedBy(order)}
	}
	for {
		for i := range runners {
			to := &runners[i]
			r, ok := to.next()
			if !ok {
				return to.found
			}
			if !matches(r) {
				continue
			}
			to.found = append(to.found, r)
			if to.inOrder && len(to.found) == wanted {
				return to.found
			}
		}
	}
}

// orderedBy gives the index whose order is the wanted one, if there is one.
func (m *model) orderedBy(order string) *index {
	if order == "" {
		order = m.order
	}
	var names []string
	for part := range strings.SplitSeq(strings.ToLower(order), ",") {
		names = append(names, strings.TrimSuffix(strings.Join(strings.Fields(part), " "), " asc"))
	}
	if len(names) == 2 && names[1] == "id" {
		names = names[:1]
	}
	if len(names) > 1 || names[0] != "id" && (m.fields[names[0]] == nil || m.fields[names[0]].kind != "datetime") {
		return nil
	}
	return m.indexes[names[0]]
}
