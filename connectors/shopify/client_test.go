package shopify

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
)

func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		status int
		header string // Retry-After
		kind   fault.Kind
		code   string
		after  time.Duration
	}{
		{302, "", fault.Invalid, "shopify.redirected", 0},
		{400, "", fault.Invalid, "shopify.refused", 0},
		{401, "", fault.Unauthorized, "shopify.unauthorized", 0},
		{402, "", fault.Unauthorized, "shopify.shop_frozen", 0},
		{403, "", fault.Unauthorized, "shopify.forbidden", 0},
		{404, "", fault.NotFound, "shopify.shop_not_found", 0},
		{423, "", fault.Unauthorized, "shopify.shop_locked", 0},
		{429, "", fault.RateLimited, "shopify.rate_limited", 2 * time.Second},
		{429, "7", fault.RateLimited, "shopify.rate_limited", 7 * time.Second},
		{430, "", fault.RateLimited, "shopify.security_rejection", time.Minute},
		{500, "", fault.Transient, "shopify.unavailable", 0},
		{502, "", fault.Transient, "shopify.unavailable", 0},
		{503, "9", fault.Transient, "shopify.unavailable", 9 * time.Second},
		{504, "", fault.Transient, "shopify.unavailable", 0},
	} {
		t.Run(fmt.Sprint(c.status, c.header), func(t *testing.T) {
			shop := newFakeShop(t)
			shop.before = func(w http.ResponseWriter, _ string, _ object) bool {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				return true
			}
			_, err := shop.open(nil).ReadOrder(t.Context(), "5001")
			f := fault.Of(err)
			assert.Equal(t, c.kind, f.Kind)
			assert.Equal(t, c.code, f.Code)
			assert.Equal(t, c.after, f.After)
			assert.NotContains(t, err.Error(), "shpat_good")
		})
	}
}

func TestGraphQLErrors(t *testing.T) {
	for _, c := range []struct {
		body string
		kind fault.Kind
		code string
	}{
		{`{"errors":[{"message":"x","path":["order","customer"],"extensions":{"code":"ACCESS_DENIED"}}]}`, fault.Unauthorized, accessDenied},
		{`{"errors":[{"message":"x","extensions":{"code":"SHOP_INACTIVE"}}]}`, fault.Unauthorized, "shopify.shop_inactive"},
		{`{"errors":[{"message":"x","extensions":{"code":"undefinedField"}}]}`, fault.Unsupported, refusedByShop},
		{`{"errors":[{"message":"x","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`, fault.Transient, "shopify.failed"},
		{`{"errors":[{"message":"x"}],"data":{"order":null}}`, fault.Transient, "shopify.failed"},
		{`{"errors":"something"}`, fault.Transient, "shopify.failed"},
		{`{}`, fault.Transient, "shopify.failed"},
		{`<html>`, fault.Transient, answerNotClear},
		{`{"data":{"order":7}}`, fault.Transient, answerNotClear},
		{`{"data":{"order":null}}`, fault.NotFound, "shopify.order_not_found"},
		{`{"data":{"order":{"id":"gid://shopify/Order/5001"}}}`, fault.Invalid, "shopify.bad_body"},
	} {
		t.Run(c.body, func(t *testing.T) {
			shop := newFakeShop(t)
			shop.before = func(w http.ResponseWriter, _ string, _ object) bool { fmt.Fprint(w, c.body); return true }
			_, err := shop.open(nil).ReadOrder(t.Context(), "5001")
			assert.Equal(t, c.kind, fault.Of(err).Kind)
			assert.Equal(t, c.code, fault.Of(err).Code)
		})
	}
}

func throttled(requested, available, restore float64) string {
	return fmt.Sprintf(`{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":%g,
		"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":%g,"restoreRate":%g}}}}`, requested, available, restore)
}

// A throttled query is sent again once the bucket holds what it costs.
func TestThrottledQueriesWait(t *testing.T) {
	shop := newFakeShop(t)
	shop.orders = []object{sampleGraphQL(t, "plain")}
	shop.before = func(w http.ResponseWriter, _ string, _ object) bool {
		if len(shop.asked) == 1 {
			fmt.Fprint(w, throttled(120, 90, 100)) // 30 points are missing: 0.3 s
			return true
		}
		return false
	}
	began := time.Now()
	_, err := shop.open(nil).ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
	assert.Len(t, shop.asked, 2)
}

// A bucket that needs long to fill is told to the caller instead of slept away.
func TestLongThrottlingIsAFault(t *testing.T) {
	shop := newFakeShop(t)
	shop.before = func(w http.ResponseWriter, _ string, _ object) bool {
		fmt.Fprint(w, throttled(900, 0, 10))
		return true
	}
	_, err := shop.open(nil).ReadOrder(t.Context(), "5001")
	f := fault.Of(err)
	assert.Equal(t, fault.RateLimited, f.Kind)
	assert.Equal(t, 90*time.Second, f.After)
	assert.Len(t, shop.asked, 1)
}

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	l := newLimiter(func() time.Time { return now })
	cost, wait := l.reserve("q")
	assert.Zero(t, cost)
	assert.Zero(t, wait, "nothing is known yet")
	l.settle("q", cost, 100, &throttleStatus{Maximum: 1000, Available: 150, Restore: 50})

	cost, wait = l.reserve("q")
	assert.Equal(t, 100.0, cost)
	assert.Zero(t, wait)
	_, wait = l.reserve("q")
	assert.Equal(t, time.Second, wait, "50 points are missing")
	_, wait = l.reserve("q")
	assert.Equal(t, 3*time.Second, wait, "whoever comes later waits for those before")

	// The answer to the first tells what Shopify has left; two are in flight.
	l.settle("q", 100, 100, &throttleStatus{Maximum: 1000, Available: 900, Restore: 50})
	_, wait = l.reserve("q")
	assert.Zero(t, wait)
	now = now.Add(time.Hour)
	l.reserve("q")
	assert.LessOrEqual(t, l.available, 1000.0, "the bucket does not overflow")
}

// Shopify does not publish all its prices: a page that is too costly shrinks,
// and stays small.
func TestTooCostlyPagesShrink(t *testing.T) {
	shop := newFakeShop(t)
	for i := range 30 {
		o := sampleGraphQL(t, "plain")
		o["id"] = gid("Order", fmt.Sprint(6000+i))
		shop.orders = append(shop.orders, o)
	}
	shop.before = func(w http.ResponseWriter, op string, vars object) bool {
		if op != "Orders" {
			return false
		}
		cost := vars["orders"].(float64) * vars["lines"].(float64) * 12
		if cost <= 1000 {
			return false
		}
		fmt.Fprintf(w, `{"errors":[{"message":"too much","extensions":{"code":"MAX_COST_EXCEEDED","cost":%g,"maxCost":1000}}]}`, cost)
		return true
	}
	c := shop.open(nil)
	var ids []string
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, err := c.ListOrders(t.Context(), time.Time{}, cursor)
		require.NoError(t, err)
		for _, o := range page.Orders {
			ids = append(ids, o.ExternalID)
		}
		cursor = page.Next
	}
	assert.Len(t, ids, 30)
	assert.Equal(t, "6000", ids[0])
	assert.Equal(t, "6029", ids[29])
	refusals := 0
	for i, op := range shop.asked {
		if op == "Orders" && shop.vars[i]["orders"].(float64)*shop.vars[i]["lines"].(float64)*12 > 1000 {
			refusals++
		}
	}
	assert.Equal(t, 1, refusals, "learned at once, and kept")
}

func TestClientCredentials(t *testing.T) {
	shop := newFakeShop(t)
	shop.orders = []object{sampleGraphQL(t, "plain")}
	grant := object{"access_token": "", "client_id": "id", "client_secret": "secret"}
	c := shop.open(grant)

	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := c.ReadOrder(context.Background(), "5001")
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.Equal(t, 1, shop.grants, "one caller fetches for all")

	shop.token = "rotated elsewhere"
	_, err := c.ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	assert.Equal(t, 2, shop.grants, "a refused token is fetched anew, once")

	shop.date = shop.date.Add(24 * time.Hour)
	_, err = c.ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	assert.Equal(t, 3, shop.grants, "and before its 24 hours end")

	grant["client_secret"] = "wrong"
	_, err = shop.open(grant).ReadOrder(t.Context(), "5001")
	assert.Equal(t, "shopify.unauthorized", fault.Of(err).Code)
}

func TestAPermanentTokenIsNotTriedTwice(t *testing.T) {
	shop := newFakeShop(t)
	_, err := shop.open(object{"access_token": "old"}).ReadOrder(t.Context(), "5001")
	assert.Equal(t, "shopify.unauthorized", fault.Of(err).Code)
}

func TestUnreachableIsTransient(t *testing.T) {
	shop := newFakeShop(t)
	c := shop.open(nil)
	shop.Close()
	_, err := c.ReadOrder(t.Context(), "5001")
	assert.Equal(t, fault.Transient, fault.Of(err).Kind)
	assert.False(t, c.Check(t.Context()).OK())
}

func TestConfig(t *testing.T) {
	for _, c := range []struct{ name, config, field string }{
		{"token", `{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["s"]}`, ""},
		{"grant; its secret signs the webhooks", `{"shop":"ACME.myshopify.com","client_id":"i","client_secret":"s"}`, ""},
		{"older version", `{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["s","t"],"api_version":"2026-01"}`, ""},
		{"no shop", `{"access_token":"x","webhook_secrets":["s"]}`, "shop"},
		{"a shop that is not Shopify's", `{"shop":"acme.myshopify.com.evil.example","access_token":"x","webhook_secrets":["s"]}`, "shop"},
		{"a shop with a path", `{"shop":"a/../x.myshopify.com","access_token":"x","webhook_secrets":["s"]}`, "shop"},
		{"no credentials", `{"shop":"acme.myshopify.com","webhook_secrets":["s"]}`, "access_token"},
		{"both kinds", `{"shop":"acme.myshopify.com","access_token":"x","client_id":"i","client_secret":"s"}`, "client_id"},
		{"no secret", `{"shop":"acme.myshopify.com","access_token":"x"}`, "webhook_secrets"},
		{"an empty secret", `{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":[""]}`, "webhook_secrets"},
		{"three secrets", `{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["a","b","c"]}`, "webhook_secrets"},
		{"a dead version", `{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["s"],"api_version":"2024-01"}`, "api_version"},
		{"money", `{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["s"],"money":"gold"}`, "money"},
		{"api_url", `{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["s"],"api_url":"file:///etc"}`, "api_url"},
		{"not JSON", `{`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			opened, err := Definition.Open(connectors.Settings{Config: []byte(c.config)})
			if c.field == "" && c.config != "{" {
				require.NoError(t, err)
				assert.NotNil(t, opened)
				return
			}
			assert.Equal(t, "shopify.config", fault.Of(err).Code)
			assert.Equal(t, fault.Invalid, fault.Of(err).Kind)
			assert.Equal(t, c.field, fault.Of(err).Field)
		})
	}
}
