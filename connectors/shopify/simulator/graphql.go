package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"towpath/connectors/shopify/shopifyschema"
	"towpath/connectors/shopify/simulator/internal/graph"
)

const maxQueryBytes = 1 << 20

func (s *Shop) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	version := s.served(r.PathValue("version"))
	w.Header().Set("X-Shopify-API-Version", version)
	if !s.tokens.valid(r.Header.Get("X-Shopify-Access-Token")) {
		answer(w, http.StatusUnauthorized, fields{
			"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)",
		})
		return
	}
	var req graph.Request
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQueryBytes))
	decoder.UseNumber()
	if err := decoder.Decode(&req); err != nil {
		answer(w, http.StatusBadRequest, fields{"errors": fields{"query": "Required parameter missing or invalid"}})
		return
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: req.Query})
	if err != nil {
		refuse(w, gqlerror.List{gqlerror.Wrap(err)})
		return
	}
	op, err := graph.Operation(doc, req.OperationName)
	if err != nil {
		refuse(w, gqlerror.List{gqlerror.Wrap(err)})
		return
	}
	if schema := s.schema(version); schema != nil {
		if errs := graph.Judge(schema, doc, op, req.Variables); len(errs) > 0 {
			refuse(w, errs)
			return
		}
	}
	s.execute(w, doc, op, req.Variables)
}

// Stats counts what the Admin API was asked.
type Stats struct {
	Requests  int // that were understood
	Throttled int // of these
}

// Stats gives the counts so far.
func (s *Shop) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stats
}

func (s *Shop) count(throttled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests++
	if throttled {
		s.stats.Throttled++
	}
}

func (s *Shop) execute(w http.ResponseWriter, doc *ast.QueryDocument, op *ast.OperationDefinition, vars map[string]any) {
	cost := queryCost(doc, op, vars)
	if cost > s.opts.MaxQueryCost {
		answer(w, http.StatusOK, fields{"errors": []any{fields{
			"message": fmt.Sprintf("Query cost is %.0f, which exceeds the single query max cost limit (%.0f).", cost, s.opts.MaxQueryCost),
			"extensions": fields{"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": s.opts.MaxQueryCost,
				"documentation": "https://shopify.dev/api/usage/limits"},
		}}})
		return
	}
	taken := s.bucket.take(cost)
	s.count(!taken)
	if !taken {
		s.answerThrottled(w, cost)
		return
	}
	release := s.goods.hold(op)
	data, errs := graph.Execute(doc, op, vars, s.roots())
	release()
	actual := min(cost, actualCost(doc, op, data))
	s.bucket.refund(cost - actual)
	body := fields{"data": data, "extensions": fields{"cost": fields{
		"requestedQueryCost": cost, "actualQueryCost": actual, "throttleStatus": s.bucket.status(),
	}}}
	if len(errs) > 0 {
		body["errors"] = errs
	}
	answer(w, http.StatusOK, body)
}

// refuse answers a request that was not executed. GraphQL errors travel with
// HTTP 200.
func refuse(w http.ResponseWriter, errs gqlerror.List) {
	answer(w, http.StatusOK, fields{"errors": errs})
}

// schema is Shopify's published schema of the version, nil where requests are
// not judged or it cannot be had.
func (s *Shop) schema(version string) *ast.Schema {
	if !s.opts.CheckRequests {
		return nil
	}
	if missing.known(version) {
		return nil
	}
	schema, err := shopifyschema.Load(version)
	if err != nil {
		missing.add(version)
		return nil
	}
	return schema
}

// missing remembers which schemas could not be had, so that a machine without
// npm does not look for them on every request.
var missing versions

type versions struct {
	mu   sync.Mutex
	list map[string]bool
}

func (v *versions) known(version string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.list[version]
}

func (v *versions) add(version string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.list == nil {
		v.list = map[string]bool{}
	}
	v.list[version] = true
}

func (s *Shop) roots() graph.Roots {
	roots := graph.Roots{
		Query: &graph.Object{Type: "QueryRoot", Fields: fields{
			"shop":                   s.shopObject(),
			"currentAppInstallation": s.installationObject(),
			"order":                  graph.Resolver(s.queryOrder),
			"refund":                 graph.Resolver(s.queryRefund),
			"orders":                 graph.Resolver(s.queryOrders),
			"ordersCount":            graph.Resolver(s.queryOrdersCount),
			"webhookSubscription":    graph.Resolver(s.querySubscription),
			"webhookSubscriptions":   graph.Resolver(s.querySubscriptions),
			"publicApiVersions":      s.versionObjects(),
		}},
		Mutation: &graph.Object{Type: "Mutation", Fields: fields{
			"webhookSubscriptionCreate": graph.Resolver(s.createSubscription),
			"webhookSubscriptionUpdate": graph.Resolver(s.updateSubscription),
			"webhookSubscriptionDelete": graph.Resolver(s.deleteSubscription),
		}},
	}
	s.goodsRoots(roots)
	return roots
}

func (s *Shop) shopObject() *graph.Object {
	return &graph.Object{Type: "Shop", Implements: []string{"Node"}, Fields: fields{
		"id": gid("Shop", 548380009), "name": "Towpath Demo Shop", "email": "owner@shop.example",
		"contactEmail": "owner@shop.example", "myshopifyDomain": s.opts.Domain, "url": "https://" + s.opts.Domain,
		"currencyCode": s.opts.Currency, "taxesIncluded": false, "taxShipping": true,
		"ianaTimezone": "America/New_York", "timezoneOffset": "-0500", "timezoneOffsetMinutes": -300, "timezoneAbbreviation": "EST",
		"createdAt": utc(s.opts.Now().AddDate(-3, 0, 0)), "updatedAt": utc(s.opts.Now()),
		"enabledPresentmentCurrencies": []string{s.opts.Currency}, "setupRequired": false,
		"plan": &graph.Object{Type: "ShopPlan", Fields: fields{
			"displayName": "Development", "partnerDevelopment": true, "publicDisplayName": "Development", "shopifyPlus": false,
		}},
		"primaryDomain": &graph.Object{Type: "Domain", Implements: []string{"Node"}, Fields: fields{
			"id": gid("Domain", 1), "host": s.opts.Domain, "url": "https://" + s.opts.Domain, "sslEnabled": true,
		}},
	}}
}

func (s *Shop) installationObject() *graph.Object {
	scopes := make([]*graph.Object, len(s.opts.Scopes))
	for i, scope := range s.opts.Scopes {
		scopes[i] = &graph.Object{Type: "AccessScope", Fields: fields{"handle": scope, "description": scope}}
	}
	return &graph.Object{Type: "AppInstallation", Implements: []string{"Node"}, Fields: fields{
		"id": gid("AppInstallation", 1), "accessScopes": scopes,
		"launchUrl": "https://" + s.opts.Domain + "/admin/apps/towpath", "uninstallUrl": nil,
		"app": &graph.Object{Type: "App", Implements: []string{"Node"}, Fields: fields{
			"id": gid("App", 1), "title": "Towpath", "apiKey": s.opts.ClientID, "handle": "towpath", "embedded": false,
			"webhookApiVersion": s.latest(),
		}},
	}}
}

func (s *Shop) versionObjects() []*graph.Object {
	list := make([]*graph.Object, len(s.opts.Versions))
	for i, v := range s.opts.Versions {
		list[i] = versionObject(v)
	}
	return list
}

func versionObject(v string) *graph.Object {
	return &graph.Object{Type: "ApiVersion", Fields: fields{"handle": v, "displayName": v, "supported": true}}
}

func (s *Shop) latest() string { return s.opts.Versions[len(s.opts.Versions)-1] }

var errAccessOrders = &graph.CodedError{Code: "ACCESS_DENIED", Message: "Access denied for orders field. Required access: `read_orders` access scope."}
