package mapping

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/schema/record"
)

func TestExpressions(t *testing.T) {
	for expr, want := range map[string]any{
		`record.name`:                                                      "Große Tasse",
		`record.list_price`:                                                dec("19.99"),
		`record.list_price * dec("1.2")`:                                   dec("23.988"),
		`round(record.list_price * dec("1.2"), 2)`:                         dec("23.99"),
		`round(dec("-0.125"), 2)`:                                          dec("-0.13"),
		`record.list_price + record.list_price`:                            dec("39.98"),
		`record.list_price - 20`:                                           dec("-0.01"),
		`-record.list_price`:                                               dec("-19.99"),
		`div(record.list_price, 3, 2)`:                                     dec("6.66"),
		`div(record.qty, record.list_price, 4)`:                            dec("0.5003"),
		`record.qty * 3 == 30`:                                             true,
		`record.qty == 10`:                                                 true,
		`record.qty != 10`:                                                 false,
		`record.qty in [dec(10), dec(11)]`:                                 true,
		`record.list_price > 9`:                                            true,
		`record.list_price > record.qty`:                                   true,
		`dec(9) < record.qty`:                                              true,
		`dec("0.1") + dec("0.2") == dec("0.3")`:                            true,
		`dec(record.number_text) + 1`:                                      dec("8.1"),
		`string(record.qty)`:                                               "10",
		`string(record.qty * 2) + " pcs"`:                                  "20 pcs",
		`record.name.upper()`:                                              "GROßE TASSE",
		`record.name.lower().replace(" ", "-")`:                            "große-tasse",
		`"  x ".trim()`:                                                    "x",
		`record.name.left(5)`:                                              "Große",
		`record.name.left(99)`:                                             "Große Tasse",
		`record.default_code.split("-")[1]`:                                "1",
		`record.tags.map(g, g.name).join(", ")`:                            "new, hot",
		`record.tags.filter(g, g.name != "new").map(g, g.name)`:            []any{"hot"},
		`record.tags.exists(g, g.name == "hot") ? "y" : "n"`:               "y",
		`record.tags.exists_one(g, g.name == "hot")`:                       true,
		`record.tags.all(g, has(g.id))`:                                    true,
		`record.tags[0].name`:                                              "new",
		`record.categ_id.parent_id.name`:                                   "All",
		`record.categ_id`:                                                  record.Values{"id": "5"},
		`record.parent_id.name`:                                            nil,
		`has(record.parent_id.name) ? record.parent_id.name : record.name`: "Große Tasse",
		`has(record.categ_id) && has(record.categ_id.name)`:                true,
		`has(record.parent_id) || has(record.nowhere)`:                     false,
		`record.empty == null`:                                             true,
		`record.sale_ok ? record.qty : dec(0)`:                             dec("0"),
		`record["Unit Price"]`:                                             "12.50",
		`record.active ? "on" : "off"`:                                     "on",
		`record.day + "!"`:                                                 "2026-01-31!",
		`day(record.at, "Pacific/Auckland")`:                               "2026-02-01",
		`record.at`:                                                        noon.UTC(),
		`record.id + "/" + record._odoo_id`:                                "42/42",
		`timestamp(record.day + "T11:00:00Z") == record.at`:                true,
		`[1, 2].map(n, n * 2)`:                                             []any{dec("2"), dec("4")},
		`size(record.name) > 3`:                                            true,
		`record.price`:                                                     nil,
	} {
		res := one(t, Field{Expr: expr, Target: "x"}).Apply(product())
		if len(res.Faults) > 0 {
			t.Errorf("%s: %v: %s", expr, res.Faults[0], res.Faults[0].Detail)
			continue
		}
		diff(t, record.Values{"x": want}, res.Values, expr)
	}
}

func TestExpressionsThatDoNotFitTheRecord(t *testing.T) {
	for expr, code := range map[string]string{
		`record.empty.upper()`:          "mapping.expr_failed",
		`record.list_price == "19.99"`:  "mapping.expr_failed",
		`record.list_price > "5"`:       "mapping.expr_failed",
		`record.list_price + "5"`:       "mapping.expr_failed",
		`dec(record.name)`:              "mapping.expr_failed",
		`dec("1e999999999")`:            "mapping.expr_failed",
		`div(record.qty, 0, 2)`:         "mapping.expr_failed",
		`round(record.qty, 999)`:        "mapping.expr_failed",
		`day(record.at, "Mars/Crater")`: "mapping.expr_failed",
		`record.name.name`:              "mapping.wrong_type",
		`record.tags[7].name`:           "mapping.expr_failed",
		`record.tags.join(",")`:         "mapping.expr_failed",
		`duration("1s")`:                "mapping.expr_failed",
		`record.name.replace("", "x")`:  "mapping.expr_failed",
	} {
		res := one(t, Field{Expr: expr, Target: "x"}).Apply(product())
		require.Len(t, res.Faults, 1, expr)
		require.Equal(t, code, res.Faults[0].Code, expr)
		require.NotContains(t, res.Faults[0].Error()+res.Faults[0].Resolution, "19.99")
		require.NotEmpty(t, res.Faults[0].Resolution)
	}
}

// TestExpressionsThatCELWouldAnswerWrongly holds what a person would write in
// good faith.
func TestExpressionsThatCELWouldAnswerWrongly(t *testing.T) {
	for expr, hint := range map[string]string{
		`record.list_price * 1.2`:                               `dec("1.2")`,
		`double(record.list_price)`:                             "dec(",
		`record.list_price / 3`:                                 "div(",
		`record.qty % 2`:                                        "div(",
		`2 * record.list_price`:                                 "on the left",
		`10 == record.qty`:                                      "on the left",
		`record.qty in [10, 11]`:                                "dec(1)",
		`(record.active ? record.qty : 0) == record.min`:        "dec(0)",
		`(record.active ? 3 : record.qty) / 2`:                  "dec(0)",
		`[1, record.qty].exists(x, x == record.min)`:            "dec(0)",
		`dyn(10) == record.qty`:                                 "dec(",
		`{"a": 1}.map(k, k)`:                                    "a ? b : c",
		`record.map(k, k)`:                                      "name its fields",
		`record[record.name]`:                                   "name fields",
		`record.parent_id == null ? "" : record.parent_id.name`: "has(record.parent_id)",
	} {
		_, err := Compile(Mapping{Name: "m", Source: "a", Target: "b", Match: ByBinding, Fields: []Field{{Expr: expr, Target: "x"}}}, Import)
		require.Error(t, err, expr)
		problems := Problems(err)
		require.NotEmpty(t, problems, expr)
		require.Equal(t, "fields[0].expr", problems[0].Field, expr)
		require.Contains(t, problems[0].Message+": "+problems[0].Resolution, hint, expr)
	}
}

func TestExpressionsAreBounded(t *testing.T) {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 20), ",") + "]"
	nested := list
	for range 6 {
		nested = list + ".map(a, " + nested + ")"
	}
	_, err := Compile(Mapping{Name: "m", Source: "a", Target: "b", Match: ByBinding, Fields: []Field{{Expr: nested, Target: "x"}}}, Import)
	require.ErrorContains(t, err, "costs at least")

	c := one(t, Field{Expr: `record.l.map(a, record.l.map(b, record.l.map(c, record.l.map(d, "x")))).size()`, Target: "x"})
	many := make([]any, 100)
	for i := range many {
		many[i] = "x"
	}
	res := c.Apply(record.Sourced{Values: record.Values{"l": many}})
	require.Len(t, res.Faults, 1)
	require.Equal(t, "mapping.expr_cost", res.Faults[0].Code)

	c = one(t, Field{Expr: `record.s.replace("x", record.s).replace("x", record.s)`, Target: "x"})
	res = c.Apply(record.Sourced{Values: record.Values{"s": strings.Repeat("x", 1000)}})
	require.Len(t, res.Faults, 1, "a text of a kilobyte would become one of a gigabyte")
}

func TestExpressionsTellWhatTheyRead(t *testing.T) {
	for expr, want := range map[string]string{
		`record.partner_id.name + record.name`:                 "name partner_id.name",
		`record.lines.map(l, l.product_id.name)`:               "lines lines.product_id.name",
		`record.lines.filter(l, l.qty > 1).map(l, l.tax.name)`: "lines lines.qty lines.tax.name",
		`record.lines.map(l, l.product_id).map(p, p.name)`:     "lines lines.product_id lines.product_id.name",
		`[1, 2].exists(record, record == 1) ? record.a : "x"`:  "a",
		`has(record.a.b) && record["c d"] == "x"`:              "a.b c d",
		`record.lines[record.index_text == "" ? 0 : 1].name`:   "index_text lines.name",
		`["a"].map(x, x + record.name)`:                        "name",
	} {
		e, problems := newExpression(expr)
		require.Empty(t, problems, expr)
		require.Equal(t, want, strings.Join(e.paths, " "), expr)
	}
}
