package shopify

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
)

const callback = "https://hooks.example/webhooks/shopify/acme"

func hook(id, topic, uri string) object {
	return object{"id": gid("WebhookSubscription", id), "topic": topic, "uri": uri, "format": "JSON", "filter": nil, "includeFields": []any{}}
}

func TestEnsureHooks(t *testing.T) {
	shop := newFakeShop(t)
	narrowed := hook("3", "ORDERS_PAID", callback)
	narrowed["includeFields"] = []any{"id"}
	shop.hooks = []object{
		hook("1", "ORDERS_CREATE", callback),                                     // right
		hook("2", "ORDERS_UPDATED", "https://old.example/webhooks/shopify/acme"), // ours, moved
		narrowed,
		hook("4", "ORDERS_CANCELLED", "https://hooks.example/webhooks/shopify/other"), // another connection's
		hook("5", "ORDERS_EDITED", "arn:aws:events:eu-1::event-source/x"),             // somebody's
		hook("6", "PRODUCTS_CREATE", callback),                                        // not ours to judge
	}
	c := shop.open(nil)
	changed, err := c.EnsureHooks(t.Context(), callback)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"repaired ORDERS_UPDATED", "repaired ORDERS_PAID", "created ORDERS_CANCELLED", "created ORDERS_EDITED",
		"created ORDERS_DELETE", "created ORDERS_FULFILLED", "created ORDERS_PARTIALLY_FULFILLED",
	}, changed)
	assert.Equal(t, callback, shop.hooks[1]["uri"])
	assert.Empty(t, shop.hooks[2]["includeFields"])
	assert.Equal(t, "https://hooks.example/webhooks/shopify/other", shop.hooks[3]["uri"])
	assert.Equal(t, "arn:aws:events:eu-1::event-source/x", shop.hooks[4]["uri"])

	changed, err = c.EnsureHooks(t.Context(), callback)
	require.NoError(t, err)
	assert.Empty(t, changed, "a second time there is nothing to do")
}

func TestEnsureHooksTellsRefusals(t *testing.T) {
	for _, c := range []struct{ message, code string }{
		{"Address for this topic has already been taken", ""},
		{"You do not have permission", "shopify.hook_refused"},
	} {
		shop := newFakeShop(t)
		shop.before = func(w http.ResponseWriter, op string, _ object) bool {
			if op == "CreateHook" {
				fmt.Fprintf(w, `{"data":{"saved":{"userErrors":[{"field":null,"message":%q}]}}}`, c.message)
			}
			return op == "CreateHook"
		}
		_, err := shop.open(nil).EnsureHooks(t.Context(), callback)
		if c.code == "" {
			assert.NoError(t, err)
			continue
		}
		assert.Equal(t, c.code, fault.Of(err).Code)
		assert.NotContains(t, err.Error(), "permission", "Shopify's own words stay private")
	}
}

func TestEnsureHooksRefusesBadCallbacks(t *testing.T) {
	public, err := Definition.Open(connectors.Settings{Config: []byte(`{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["s"]}`)})
	require.NoError(t, err)
	for _, url := range []string{"", "hooks", "https://hooks.example", "https://hooks.example/", "http://hooks.example/webhooks/shopify/acme"} {
		_, err := public.(*Connector).EnsureHooks(t.Context(), url)
		assert.Equal(t, "callback_url", fault.Of(err).Field, url)
	}
}

func probe(t *testing.T, r connectors.Report, name string) connectors.Probe {
	for _, p := range r.Probes {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no probe %q in %+v", name, r.Probes)
	return connectors.Probe{}
}

func TestCheckPasses(t *testing.T) {
	shop := newFakeShop(t)
	c := shop.open(nil)
	_, err := c.EnsureHooks(t.Context(), callback)
	require.NoError(t, err)
	r := c.Check(t.Context())
	assert.True(t, r.OK(), "%+v", r.Probes)
	assert.Equal(t, "42", r.Identity)
	assert.Equal(t, "2026-10", r.Version)
	for _, p := range r.Probes {
		assert.False(t, p.Warn, "%+v", p)
		assert.NotEmpty(t, p.Text)
	}
}

func TestCheckFinds(t *testing.T) {
	for _, c := range []struct {
		name, probe string
		change      func(*fakeShop)
		config      object
		warn        bool
		code        string
	}{
		{name: "wrong token", probe: "credentials", config: object{"access_token": "bad"}, code: "shopify.unauthorized"},
		{name: "another shop's token", probe: "identity", config: object{"shop": "other.myshopify.com"}, code: "shopify.shop_mismatch"},
		{name: "missing scopes", probe: "rights", change: func(s *fakeShop) { s.scopes = []string{"write_customers"} }, code: accessDenied},
		{name: "60 days only", probe: "rights", change: func(s *fakeShop) { s.scopes = []string{"write_orders", "read_customers"} }, warn: true},
		{name: "another version served", probe: "version", change: func(s *fakeShop) { s.served = "2027-01" }, code: "shopify.version_not_served"},
		{name: "version unsupported", probe: "version", change: func(s *fakeShop) { s.versions = object{"2026-10": false} }, code: "shopify.version_unsupported"},
		{name: "version ends soon", probe: "version", config: object{"api_version": "2026-01"}, change: func(s *fakeShop) { s.served = "2026-01" }, warn: true},
		{name: "no webhooks", probe: "webhooks", warn: true},
		{name: "presentment", probe: "money", config: object{"money": "presentment"}, warn: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			shop := newFakeShop(t)
			if c.change != nil {
				c.change(shop)
			}
			r := shop.open(c.config).Check(t.Context())
			p := probe(t, r, c.probe)
			assert.NotEmpty(t, p.Fix)
			assert.Equal(t, c.warn, p.Warn)
			assert.Equal(t, c.code == "", p.OK)
			if c.code != "" {
				assert.Equal(t, c.code, fault.Of(p.Fault).Code)
				assert.False(t, r.OK())
			}
		})
	}
}

func TestCheckClock(t *testing.T) {
	c := newFakeShop(t).open(nil)
	for _, apart := range []struct {
		by       time.Duration
		ok, warn bool
	}{{0, true, false}, {20 * time.Second, true, false}, {-time.Minute, true, true}, {10 * time.Minute, false, true}} {
		p := c.checkClock(c.now().Add(apart.by))
		assert.Equal(t, apart.ok, p.OK, apart.by)
		assert.Equal(t, apart.warn, p.Warn, apart.by)
	}
	assert.True(t, c.checkClock(time.Time{}).Warn)
}
