package shopify

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"towpath/connectors"
)

type object = map[string]any

// fakeShop answers this package's GraphQL documents from objects in Shopify's
// own field names, by executing the selection sets: what a document does not
// ask for it does not get, under the alias it asks by.
type fakeShop struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	orders   []object // oldest change first
	scopes   []string
	hooks    []object
	versions object
	served   string // X-Shopify-API-Version
	token    string // what is accepted
	grants   int    // tokens given out
	date     time.Time
	asked    []string // operations, in order
	vars     []object
	// before may answer a request itself; it is told the operation's name.
	before func(w http.ResponseWriter, op string, vars object) bool
	cost   object
}

func newFakeShop(t *testing.T) *fakeShop {
	s := &fakeShop{
		t: t, token: "shpat_good", served: "2026-10", date: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		scopes: []string{"read_orders", "read_customers", "read_all_orders"},
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeShop) config(more object) json.RawMessage {
	config := object{"shop": "acme.myshopify.com", "api_url": s.URL, "access_token": "shpat_good", "webhook_secrets": []string{"hush"}}
	maps.Copy(config, more)
	raw, err := json.Marshal(config)
	require.NoError(s.t, err)
	return raw
}

func (s *fakeShop) open(more object) *Connector {
	opened, err := Definition.Open(connectors.Settings{Name: "shop", Config: s.config(more), Runtime: connectors.Runtime{
		Now: func() time.Time { return s.date },
	}})
	require.NoError(s.t, err)
	return opened.(*Connector)
}

func (s *fakeShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Date", s.date.Format(http.TimeFormat))
	w.Header().Set("X-Shopify-API-Version", s.served)
	if r.URL.Path == "/admin/oauth/access_token" {
		s.grant(w, r)
		return
	}
	if r.Header.Get("X-Shopify-Access-Token") != s.token {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":"[API] Invalid API key or access token"}`)
		return
	}
	var q struct {
		Query         string
		OperationName string
		Variables     object
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.asked, s.vars = append(s.asked, q.OperationName), append(s.vars, q.Variables)
	if s.before != nil && s.before(w, q.OperationName, q.Variables) {
		return
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: q.Query})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e := executor{doc, q.Variables}
	data := object{}
	for _, sel := range doc.Operations[0].SelectionSet {
		f := sel.(*ast.Field)
		data[f.Alias] = e.value(f, s.resolve(f, e))
	}
	answer := object{"data": data}
	if s.cost != nil {
		answer["extensions"] = object{"cost": s.cost}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *fakeShop) grant(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != "id" || r.FormValue("client_secret") != "secret" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.grants++
	s.token = "granted-" + strconv.Itoa(s.grants)
	fmt.Fprintf(w, `{"access_token":%q,"scope":"read_orders","expires_in":86399}`, s.token)
}

func (s *fakeShop) resolve(f *ast.Field, e executor) any {
	switch f.Name {
	case "order":
		return s.find(e.arg(f, "id").(string), func(o object) []object { return []object{o} })
	case "refund":
		return s.find(e.arg(f, "id").(string), func(o object) []object { return objects(o["refunds"]) })
	case "orders":
		since := strings.Trim(strings.TrimPrefix(e.arg(f, "query").(string), "updated_at:>="), "'")
		var found []any
		for _, o := range s.orders {
			if o["updatedAt"].(string) >= since {
				found = append(found, o)
			}
		}
		return found
	case "shop":
		return object{
			"id": "gid://shopify/Shop/42", "name": "Acme", "myshopifyDomain": "acme.myshopify.com", "currencyCode": "EUR",
			"taxesIncluded": true, "taxShipping": true, "ianaTimezone": "Europe/Berlin",
			"plan": object{"publicDisplayName": "Basic", "partnerDevelopment": false},
		}
	case "publicApiVersions":
		var all []any
		for _, v := range Versions {
			all = append(all, object{"handle": v, "supported": s.versions[v] != false})
		}
		return all
	case "currentAppInstallation":
		var all []any
		for _, scope := range s.scopes {
			all = append(all, object{"handle": scope})
		}
		return object{"accessScopes": all}
	case "webhookSubscriptions":
		var all []any
		for _, h := range s.hooks {
			all = append(all, h)
		}
		return all
	case "webhookSubscriptionCreate", "webhookSubscriptionUpdate":
		return s.saveHook(f, e)
	}
	s.t.Errorf("the fake shop does not know %s", f.Name)
	return nil
}

func (s *fakeShop) saveHook(f *ast.Field, e executor) any {
	input := e.arg(f, "webhookSubscription").(object)
	hook := object{"format": input["format"], "uri": input["uri"], "filter": nil, "includeFields": []any{}}
	if id, is := e.arg(f, "id").(string); is {
		for _, h := range s.hooks {
			if h["id"] == id {
				maps.Copy(h, hook)
			}
		}
		return object{"userErrors": []any{}}
	}
	hook["id"] = gid("WebhookSubscription", strconv.Itoa(1000+len(s.hooks)))
	hook["topic"] = e.arg(f, "topic")
	s.hooks = append(s.hooks, hook)
	return object{"userErrors": []any{}}
}

func (s *fakeShop) find(id string, of func(object) []object) any {
	for _, o := range s.orders {
		for _, candidate := range of(o) {
			if candidate["id"] == id {
				return candidate
			}
		}
	}
	return nil
}

func objects(v any) (out []object) {
	list, _ := v.([]any)
	for _, item := range list {
		out = append(out, item.(object))
	}
	return out
}

// executor applies selection sets to values.
type executor struct {
	doc  *ast.QueryDocument
	vars object
}

func (e executor) arg(f *ast.Field, name string) any {
	a := f.Arguments.ForName(name)
	if a == nil {
		return nil
	}
	v, err := a.Value.Value(e.vars)
	if err != nil {
		panic(err)
	}
	return v
}

func (e executor) value(f *ast.Field, v any) any {
	switch v := v.(type) {
	case []any:
		if selects(f.SelectionSet, "nodes") {
			return e.connection(f, v)
		}
		out := []any{}
		for _, item := range v {
			out = append(out, e.value(f, item))
		}
		return out
	case object:
		out := object{}
		e.into(out, f.SelectionSet, v)
		return out
	}
	return v
}

// connection pages by offset; the cursor is the index of the last one given.
func (e executor) connection(f *ast.Field, all []any) any {
	begin := 0
	if after, is := e.arg(f, "after").(string); is {
		at, err := strconv.Atoi(after)
		if err != nil {
			panic(err)
		}
		begin = at + 1
	}
	size, _ := strconv.Atoi(fmt.Sprint(e.arg(f, "first")))
	end := min(len(all), begin+size)
	out := object{}
	e.into(out, f.SelectionSet, object{
		"nodes":    append([]any{}, all[begin:end]...),
		"pageInfo": object{"hasNextPage": end < len(all), "endCursor": strconv.Itoa(end - 1)},
	})
	return out
}

func (e executor) into(out object, set ast.SelectionSet, from object) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if include := sel.Directives.ForName("include"); include != nil {
				if yes, _ := include.Arguments.ForName("if").Value.Value(e.vars); yes != true {
					continue
				}
			}
			out[sel.Alias] = e.value(sel, from[sel.Name])
		case *ast.FragmentSpread:
			e.into(out, e.doc.Fragments.ForName(sel.Name).SelectionSet, from)
		case *ast.InlineFragment:
			if from["__typename"] == sel.TypeCondition {
				e.into(out, sel.SelectionSet, from)
			}
		}
	}
}

func selects(set ast.SelectionSet, name string) bool {
	for _, sel := range set {
		if f, is := sel.(*ast.Field); is && f.Name == name {
			return true
		}
	}
	return false
}

// sample reads one order of testdata as a webhook's body.
func sample(t testing.TB, name string) []byte {
	raw, err := os.ReadFile(filepath.Join("testdata", "orders", name+".webhook.json"))
	require.NoError(t, err)
	return raw
}

// sampleGraphQL reads the same order as Shopify's GraphQL objects.
func sampleGraphQL(t testing.TB, name string) object {
	raw, err := os.ReadFile(filepath.Join("testdata", "orders", name+".graphql.json"))
	require.NoError(t, err)
	var o object
	require.NoError(t, json.Unmarshal(raw, &o))
	return o
}

func sampleNames(t testing.TB) (names []string) {
	files, err := filepath.Glob("testdata/orders/*.webhook.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".webhook.json"))
	}
	return names
}
