package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// linear is search without indexes: the meaning that they must not change.
func (t *tx) linear(m *model, domain []any, order string, offset, limit int64) []*record {
	wanted := t.compile(m, domain)
	hide := m.fields["active"] != nil && t.context["active_test"] != false && !mentions(domain, "active")
	var found []*record
	for r := range maps.Values(m.rows) {
		if (!hide || t.get(r, "active") == true) && wanted.matches(r) {
			found = append(found, r)
		}
	}
	t.sort(m, found, order)
	found = found[min(int(offset), len(found)):]
	if limit > 0 {
		found = found[:min(int(limit), len(found))]
	}
	return found
}

// A table that the property is tried on: few values, so that they meet.
type tried struct {
	model  string
	text   []string
	refers string
	load   []string
}

var triedTables = []tried{
	{model: "product.product", text: []string{"default_code", "barcode", "name"}, refers: "product_tmpl_id", load: []string{"id", "name", "default_code", "barcode"}},
	{model: "res.partner", text: []string{"ref", "email", "email_normalized", "name"}, refers: "parent_id", load: []string{"id", "name", "ref", "email"}},
}

// someLeaf is a condition of any form on an indexed field or another one.
func someLeaf(t *rapid.T, table tried, stamps []string, highest int64) []any {
	list := func(one func() any) any {
		values := make([]any, rapid.IntRange(0, 4).Draw(t, "values"))
		for i := range values {
			values[i] = one()
		}
		return values
	}
	id := func() any {
		if rapid.IntRange(0, 5).Draw(t, "empty") == 0 {
			return false
		}
		return rapid.Int64Range(1, highest+1).Draw(t, "id")
	}
	text := func() any {
		return rapid.SampledFrom([]any{"A", "b", "a@x.at", "Ab <A@x.at>", "A%", "", false, nil}).Draw(t, "text")
	}
	compare := rapid.SampledFrom([]string{"=", "!=", ">", ">=", "<", "<="})
	choose := rapid.SampledFrom([]string{"=", "!=", "in", "not in", "=ilike", "ilike", "=?"})
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return []any{"id", compare.Draw(t, "op"), rapid.Int64Range(0, highest+1).Draw(t, "id")}
	case 1:
		return []any{"id", rapid.SampledFrom([]string{"in", "not in"}).Draw(t, "op"), list(id)}
	case 2:
		return []any{"write_date", compare.Draw(t, "op"), rapid.SampledFrom(stamps).Draw(t, "at")}
	case 3:
		if rapid.Bool().Draw(t, "several") {
			return []any{table.refers, rapid.SampledFrom([]string{"in", "not in"}).Draw(t, "op"), list(id)}
		}
		return []any{table.refers, rapid.SampledFrom([]string{"=", "!="}).Draw(t, "op"), id()}
	}
	op := choose.Draw(t, "op")
	name := rapid.SampledFrom(table.text).Draw(t, "field")
	if op == "in" || op == "not in" {
		return []any{name, op, list(text)}
	}
	return []any{name, op, text()}
}

func someDomain(t *rapid.T, leaf func() []any, depth int) []any {
	switch join := rapid.IntRange(0, 5).Draw(t, "join"); {
	case depth == 0 || join < 2:
		return []any{leaf()}
	case join == 2:
		return append([]any{"!"}, someDomain(t, leaf, depth-1)...)
	default:
		op := rapid.SampledFrom([]string{"&", "|"}).Draw(t, "operator")
		return append(append([]any{op}, someDomain(t, leaf, depth-1)...), someDomain(t, leaf, depth-1)...)
	}
}

// TestIndexesChangeNothing: after any writes, archivings, deletions, loads and
// rollbacks, a search along the indexes finds what one through all rows does,
// in the same order, and every row has one place in each index.
func TestIndexesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		version := rapid.SampledFrom([]int{14, 19}).Draw(t, "version")
		s, err := New(Options{Version: version, Now: func() time.Time { return now }})
		require.NoError(t, err)
		stamps := []string{now.Format(datetimeLayout)}
		table := rapid.SampledFrom(triedTables).Draw(t, "table")
		m := s.db.models[table.model]
		text := func() any {
			return rapid.SampledFrom([]any{"A", "b", "a@x.at", "Ab <A@x.at>", "", false}).Draw(t, "text")
		}
		row := func() *record {
			return m.rows[rapid.SampledFrom(slices.Sorted(maps.Keys(m.rows))).Draw(t, "record")]
		}
		act := func(x *tx) {
			switch rapid.IntRange(0, 5).Draw(t, "act") {
			case 0, 1:
				values := map[string]any{"name": "N"}
				values[table.text[rapid.IntRange(0, 1).Draw(t, "which")]] = text()
				if rapid.Bool().Draw(t, "refers") {
					values[table.refers] = x.integer(row(), table.refers)
				}
				x.create(m, values)
			case 2:
				x.write(row(), map[string]any{table.text[rapid.IntRange(0, 1).Draw(t, "which")]: text()})
			case 3:
				x.write(row(), map[string]any{"active": rapid.Bool().Draw(t, "active")})
			case 4:
				x.unlink(row())
			case 5: // a load whose last row may be refused
				rows := [][]any{}
				for range rapid.IntRange(1, 3).Draw(t, "rows") {
					x := fmt.Sprintf("__t__.%d", rapid.IntRange(0, 5).Draw(t, "xid"))
					rows = append(rows, []any{x, rapid.SampledFrom([]string{"N", ""}).Draw(t, "name"), text(), text()})
				}
				x.load(m, table.load, rows)
			}
		}
		for range rapid.IntRange(1, 12).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "pause")) * time.Millisecond)
			stamps = append(stamps, now.Format(datetimeLayout))
			_ = s.as(func(x *tx) {
				for range rapid.IntRange(1, 4).Draw(t, "acts") {
					_ = x.savepoint(func() { act(x) })
				}
				if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
					raise(userError("all of it is rolled back"))
				}
			})
			x := s.db.begin(s.db.users["admin"], map[string]any{"active_test": rapid.Bool().Draw(t, "active test")}, s.db.clock)
			domain := someDomain(t, func() []any { return someLeaf(t, table, stamps, m.nextID) }, 3)
			order := rapid.SampledFrom([]string{"", "id", "id asc", "id desc", "write_date, id", "write_date desc, id", "create_date, name"}).Draw(t, "order")
			offset, limit := rapid.Int64Range(0, 3).Draw(t, "offset"), rapid.Int64Range(0, 5).Draw(t, "limit")
			require.Equal(t, recordIDs(x.linear(m, domain, order, offset, limit)), recordIDs(x.search(m, domain, order, offset, limit)), "%v %s", domain, order)
		}
		requireWholeIndexes(t, s.db)
	})
}

func requireWholeIndexes(t require.TestingT, db *database) {
	for _, m := range db.models {
		for name, ix := range m.indexes {
			require.Equal(t, len(m.rows), ix.tree.Len(), "%s.%s", m.name, name)
			for _, r := range m.rows {
				_, there := ix.tree.Get(entry{ix.key(r), r.id})
				require.True(t, there, "%s.%s of %d", m.name, name, r.id)
			}
		}
	}
	for at, names := range db.named {
		for name := range names {
			require.Equal(t, at, place{db.xids[name].model, db.xids[name].id})
		}
	}
}

// An index is of what is stored; what is computed has another value.
func TestIndexesAreOfStoredFields(t *testing.T) {
	for _, version := range []int{14, 19} {
		s, err := New(Options{Version: version})
		require.NoError(t, err)
		for _, m := range s.db.models {
			for source := range m.indexesOf {
				require.Nil(t, m.computed[source], "%s.%s", m.name, source)
				require.True(t, m.parent == "" || m.own[source], "%s.%s is its parent's", m.name, source)
			}
		}
	}
}

// What a search looks at does not grow with its table.
func TestSearchesLookAtFewRows(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := New(Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	now = now.Add(time.Hour)
	const many = 3000
	var first, last int64
	require.NoError(t, s.as(func(x *tx) {
		for i := range many {
			p := x.create(s.db.models["product.product"], map[string]any{"name": "N", "default_code": fmt.Sprintf("F-%d", i), "barcode": fmt.Sprintf("B%d", i)})
			x.create(s.db.models["res.partner"], map[string]any{"name": "N", "email": fmt.Sprintf("C%d@x.at", i)})
			first, last = cmp.Or(first, p.id), p.id
		}
	}))
	now = now.Add(time.Hour)
	require.NoError(t, s.Edit("product.product", last-7, map[string]any{"weight": json.Number("2")}))
	for name, c := range map[string]struct {
		model, order string
		domain       []any
		limit        int
		finds        int
	}{
		"by reference":          {"product.product", "", l{l{"default_code", "in", l{"F-8", "F-2999", "none"}}}, 0, 2},
		"by reference and more": {"product.product", "id", l{l{"barcode", "=", "B77"}, l{"sale_ok", "=", true}, l{"company_id", "in", l{false, int64(1)}}}, 0, 1},
		"by e-mail":             {"res.partner", "id", l{l{"email_normalized", "in", l{"c5@x.at"}}, l{"type", "not in", l{"invoice"}}}, 0, 1},
		"either":                {"product.product", "id", l{"|", l{"default_code", "=", "F-1"}, l{"barcode", "=", "B2"}}, 0, 2},
		"a page by id":          {"product.product", "id", l{l{"write_date", "<", "2027-01-01 00:00:00"}, l{"id", ">", first + 1500}}, 10, 10},
		"the last page":         {"product.product", "id", l{l{"id", ">", last - 3}, l{"id", "<=", last}}, 100, 3},
		"what was changed":      {"product.product", "id", l{l{"write_date", ">=", "2026-03-01 13:30:00"}, l{"id", ">", int64(0)}}, 10, 1},
		"in the order of time":  {"product.product", "write_date, id", l{"|", l{"write_date", ">", "2026-03-01 13:00:00"}, "&", l{"write_date", "=", "2026-03-01 13:00:00"}, l{"id", ">", first + 10}}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s.see(func(x *tx) {
				m, looked := s.db.models[c.model], 0
				wanted := x.compile(m, c.domain)
				most := c.limit
				if most == 0 {
					most = math.MaxInt
				}
				found := m.race(m.allRoutes(wanted.routes, c.order), c.order, most, func(r *record) bool { looked++; return wanted.matches(r) })
				require.Len(t, found, c.finds)
				require.Less(t, looked, 200)
			})
		})
	}
}
