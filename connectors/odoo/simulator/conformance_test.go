package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// An exchange is one JSON-RPC call to object.execute_kw. Strings such as "$o"
// in the arguments stand for the ids that an exchange with save "o" answered,
// "$o.0" for the first of them. "@" in texts is the prefix of this run's
// external ids, "@@" the same without the module.
type exchange struct {
	name, user, model, method string
	args                      []any
	kwargs                    map[string]any
	save                      string
}

// A side is one of the two servers and what is known of its ids.
type side struct {
	url, db string
	users   map[string][2]string // who -> login, password
	uids    map[string]int64
	prefix  string
	saved   map[string][]int64
	seen    map[string]map[string]int // model -> id -> ordinal of its first appearance
}

func newSide(t *testing.T, url, db, login, password string) *side {
	s := &side{url: url, db: db, users: map[string][2]string{"": {login, password}, "admin": {"admin", "admin"}},
		uids: map[string]int64{}, saved: map[string][]int64{}, seen: map[string]map[string]int{},
		prefix: fmt.Sprintf("__conformance__.r%d.", time.Now().UnixNano())}
	for who, u := range s.users {
		answer := s.rpc(t, "common", "authenticate", db, u[0], u[1], map[string]any{})
		id, ok := asInt(answer["result"])
		require.True(t, ok, "%s: %s cannot log in: %v", url, u[0], answer)
		s.uids[who] = id
	}
	return s
}

func (s *side) rpc(t *testing.T, service, method string, args ...any) map[string]any {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "call",
		"params": map[string]any{"service": service, "method": method, "args": args}})
	require.NoError(t, err)
	answer, err := http.Post(s.url+"/jsonrpc", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer answer.Body.Close()
	var out map[string]any
	d := json.NewDecoder(answer.Body)
	d.UseNumber()
	require.NoError(t, d.Decode(&out))
	return out
}

func (s *side) call(t *testing.T, e exchange) map[string]any {
	args := s.resolve(e.args).([]any)
	kwargs := map[string]any{}
	if e.kwargs != nil {
		kwargs = s.resolve(e.kwargs).(map[string]any)
	}
	answer := s.rpc(t, "object", "execute_kw", s.db, s.uids[e.user], s.users[e.user][1], e.model, e.method, args, kwargs)
	if e.save != "" {
		result := answer["result"]
		if m, ok := result.(map[string]any); ok {
			result = m["ids"]
		}
		s.saved[e.save] = asIDs(result)
	}
	return answer
}

// resolve replaces the stand-ins in arguments.
func (s *side) resolve(v any) any {
	switch v := v.(type) {
	case string:
		if name, ok := strings.CutPrefix(v, "$"); ok {
			name, index, one := strings.Cut(name, ".")
			if !one {
				return s.saved[name]
			}
			var i int
			_, _ = fmt.Sscan(index, &i)
			if i < len(s.saved[name]) {
				return s.saved[name][i]
			}
			return -1
		}
		if rest, ok := strings.CutPrefix(v, "#"); ok { // as text, for cells
			return fmt.Sprint(s.resolve("$" + rest))
		}
		local := strings.TrimPrefix(s.prefix, "__conformance__.") // the part after the module
		return strings.ReplaceAll(strings.ReplaceAll(v, "@@", local), "@", s.prefix)
	case []any:
		list := []any{}
		for _, x := range v {
			list = append(list, s.resolve(x))
		}
		return list
	case map[string]any:
		m := map[string]any{}
		for k, x := range v {
			m[k] = s.resolve(x)
		}
		return m
	}
	return v
}

// owners are the models whose ids appear under a name in answers.
var owners = map[string]string{
	"order_line": "sale.order.line", "order_id": "sale.order", "partner_id": "res.partner", "partner_invoice_id": "res.partner",
	"partner_shipping_id": "res.partner", "parent_id": "res.partner", "child_ids": "res.partner", "commercial_partner_id": "res.partner",
	"product_template_attribute_value_ids": "product.template.attribute.value", "attribute_line_ids": "product.template.attribute.line",
	"attribute_line_id": "product.template.attribute.line", "attribute_id": "product.attribute", "value_ids": "product.attribute.value",
	"product_tmpl_id": "product.template", "product_variant_id": "product.product", "product_variant_ids": "product.product",
}

// volatile fields differ from run to run.
var volatile = []string{"write_date", "create_date", "__domain"}

var (
	orderName   = regexp.MustCompile(`\bS\d{5}\b`)
	trailingID  = regexp.MustCompile(`(model [a-z.]+) \(\d+\)`)
	sqlDetail   = regexp.MustCompile(`(?s)DETAIL:.*$`)
	userInError = regexp.MustCompile(`User: \d+`)
	databaseID  = regexp.MustCompile(`\b(sale\.order|res\.partner|sale\.order\.line)\(\d+,?\)`)
)

// normal makes an answer comparable: ids become ordinals, by model, in the
// order in which they first appeared.
func (s *side) normal(e exchange, answer map[string]any) any {
	if failure, ok := answer["error"].(map[string]any); ok {
		data := failure["data"].(map[string]any)
		return map[string]any{"error": data["name"], "message": s.text(data["message"].(string)), "code": fmt.Sprint(failure["code"])}
	}
	result, ok := answer["result"]
	if !ok {
		return "no result"
	}
	switch e.method {
	case "create", "search", "exists":
		return s.ids(e.model, result)
	case "check_object_reference":
		pair := result.([]any)
		return []any{pair[0], s.ids(pair[0].(string), pair[1])}
	case "name_search":
		for _, row := range result.([]any) {
			pair := row.([]any)
			pair[0] = s.ids(e.model, pair[0])
		}
		return result
	}
	return s.walk(e.model, "", result)
}

func (s *side) text(v string) string {
	v = strings.ReplaceAll(v, s.prefix, "@")
	v = orderName.ReplaceAllString(v, "S#")
	v = trailingID.ReplaceAllString(v, "$1 (#)")
	v = sqlDetail.ReplaceAllString(v, "DETAIL:")
	v = databaseID.ReplaceAllString(v, "$1(#)")
	return userInError.ReplaceAllString(v, "User: #")
}

func (s *side) ids(model string, v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = s.ids(model, x)
		}
		return list
	case json.Number:
		if s.seen[model] == nil {
			s.seen[model] = map[string]int{}
		}
		n, ok := s.seen[model][v.String()]
		if !ok {
			n = len(s.seen[model]) + 1
			s.seen[model][v.String()] = n
		}
		return fmt.Sprintf("%s #%d", model, n)
	case string:
		return s.text(v)
	}
	return v
}

func (s *side) walk(model, key string, v any) any {
	if slices.Contains(volatile, key) {
		return "*"
	}
	switch {
	case key == "ids" || key == "id":
		return s.ids(model, v)
	case owners[key] != "":
		return s.ids(owners[key], v)
	}
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for _, k := range slices.Sorted(keys(v)) {
			m[k] = s.walk(model, k, v[k])
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = s.walk(model, "", x)
		}
		return list
	case string:
		return s.text(v)
	case json.Number:
		// Odoo computes with binary floats: 25.2 - 21 is 4.199999999999999.
		return decimal.RequireFromString(v.String()).Round(8).String()
	}
	return v
}

func keys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// realSide is a real Odoo 19 on a copy of the template database, named by the
// environment; without it the comparison cannot be made.
func realSide(t *testing.T) *side {
	url := os.Getenv("TOWPATH_TEST_ODOO_URL")
	if url == "" {
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			t.Fatal("a real Odoo is required: set TOWPATH_TEST_ODOO_URL, _DB, _LOGIN, _PASSWORD")
		}
		t.Skip("SKIPPED, NOTHING WAS COMPARED: no real Odoo; set TOWPATH_TEST_ODOO_URL, _DB, _LOGIN, _PASSWORD (tools/odoo19 makes one)")
	}
	return newSide(t, url, os.Getenv("TOWPATH_TEST_ODOO_DB"), os.Getenv("TOWPATH_TEST_ODOO_LOGIN"), os.Getenv("TOWPATH_TEST_ODOO_PASSWORD"))
}

func simulatedSide(t *testing.T) *side {
	s, err := Start(Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return newSide(t, s.URL(), s.Database(), "towpath", "towpath")
}

func simplify(t *testing.T, v any) any {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(raw, &plain))
	return plain
}

const recorded = "testdata/answers.json"

// TestConformance sends the same exchanges to a real Odoo and to the
// simulator. With TOWPATH_RECORD=1 it keeps the real answers.
func TestConformance(t *testing.T) {
	real := realSide(t)
	simulated := simulatedSide(t)
	answers := map[string]any{}
	for _, e := range exchanges() {
		t.Run(e.name, func(t *testing.T) {
			want := simplify(t, real.normal(e, real.call(t, e)))
			answers[e.name] = want
			got := simplify(t, simulated.normal(e, simulated.call(t, e)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the simulator differs from Odoo (-real +simulated):\n%s", diff)
			}
		})
	}
	if os.Getenv("TOWPATH_RECORD") == "1" {
		raw, err := json.MarshalIndent(answers, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(recorded, append(raw, '\n'), 0o644))
	}
}

// TestRecorded compares the simulator with what a real Odoo 19 answered when
// it was last asked, so that no machine goes without a judge.
func TestRecorded(t *testing.T) {
	raw, err := os.ReadFile(recorded)
	require.NoError(t, err)
	var answers map[string]any
	require.NoError(t, json.Unmarshal(raw, &answers))
	simulated := simulatedSide(t)
	list := exchanges()
	require.True(t, len(answers) == len(list), "the exchanges changed: record them anew, with TOWPATH_RECORD=1 and a real Odoo")
	for _, e := range list {
		t.Run(e.name, func(t *testing.T) {
			if diff := cmp.Diff(answers[e.name], simplify(t, simulated.normal(e, simulated.call(t, e)))); diff != "" {
				t.Errorf("the simulator differs from the recorded Odoo (-real +simulated):\n%s", diff)
			}
		})
	}
}
