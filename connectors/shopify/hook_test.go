package shopify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func sign(secret string, raw []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(raw)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// hookHeader is what Shopify sends along with a webhook.
func hookHeader(topic, secret string, raw []byte) http.Header {
	h := http.Header{}
	h.Set("X-Shopify-Topic", topic)
	h.Set("X-Shopify-Hmac-Sha256", sign(secret, raw))
	h.Set("X-Shopify-Shop-Domain", "acme.myshopify.com")
	h.Set("X-Shopify-API-Version", "2026-10")
	h.Set("X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
	h.Set("X-Shopify-Event-Id", "98880550-7158-44d4-b7cd-2c97c8a091b5")
	h.Set("X-Shopify-Triggered-At", "2026-11-02T11:30:06.123456789Z")
	return h
}

func TestVerifyHook(t *testing.T) {
	raw := []byte(`{"id":5001}`)
	for _, c := range []struct {
		name   string
		change func(http.Header)
		code   string
	}{
		{"the first secret", func(h http.Header) {}, ""},
		{"the second secret, during rotation", func(h http.Header) { h.Set("X-Shopify-Hmac-Sha256", sign("new", raw)) }, ""},
		{"names without the prefix", func(h http.Header) {
			h.Set("Shopify-Hmac-Sha256", h.Get("X-Shopify-Hmac-Sha256"))
			h.Del("X-Shopify-Hmac-Sha256")
		}, ""},
		{"the shop in capitals", func(h http.Header) { h.Set("X-Shopify-Shop-Domain", "ACME.myshopify.com") }, ""},
		{"no signature", func(h http.Header) { h.Del("X-Shopify-Hmac-Sha256") }, "shopify.signature_missing"},
		{"another secret", func(h http.Header) { h.Set("X-Shopify-Hmac-Sha256", sign("guess", raw)) }, "shopify.signature_wrong"},
		{"another body", func(h http.Header) { h.Set("X-Shopify-Hmac-Sha256", sign("hush", []byte("{}"))) }, "shopify.signature_wrong"},
		{"hex instead of base64", func(h http.Header) { h.Set("X-Shopify-Hmac-Sha256", "zz$$") }, "shopify.signature_wrong"},
		{"a signature cut short", func(h http.Header) { h.Set("X-Shopify-Hmac-Sha256", "AAAA") }, "shopify.signature_wrong"},
		{"another shop", func(h http.Header) { h.Set("X-Shopify-Shop-Domain", "evil.myshopify.com") }, "shopify.shop_mismatch"},
		{"a shop whose name only ends so", func(h http.Header) { h.Set("X-Shopify-Shop-Domain", "not-acme.myshopify.com") }, "shopify.shop_mismatch"},
		{"no shop", func(h http.Header) { h.Del("X-Shopify-Shop-Domain") }, "shopify.shop_mismatch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hookHeader(topicCreate, "hush", raw)
			c.change(h)
			err := newFakeShop(t).open(object{"webhook_secrets": []string{"hush", "new"}}).VerifyHook(h, raw)
			if c.code == "" {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, c.code, fault.Of(err).Code)
			assert.Equal(t, fault.Unauthorized, fault.Of(err).Kind)
		})
	}
}

func TestReadHeaders(t *testing.T) {
	h := hookHeader(topicPaid, "hush", nil)
	h.Set("X-Shopify-Test", "true")
	assert.Equal(t, Headers{
		Signature: sign("hush", nil), Topic: topicPaid, Shop: "acme.myshopify.com", APIVersion: "2026-10",
		DeliveryID: "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", EventID: "98880550-7158-44d4-b7cd-2c97c8a091b5",
		TriggeredAt: time.Date(2026, 11, 2, 11, 30, 6, 123456789, time.UTC), Test: true,
	}, ReadHeaders(h))
}

func TestParseHook(t *testing.T) {
	triggered := time.Date(2026, 11, 2, 11, 30, 6, 123456789, time.UTC)
	updated := time.Date(2026, 11, 2, 11, 30, 5, 0, time.UTC)
	whole := string(sample(t, "plain"))
	event := func(topic string, changed time.Time, complete bool) []record.Event {
		return []record.Event{{
			Kind: record.KindOrder, ExternalID: "5001", Topic: topic, DeliveryID: "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
			Version: record.NewVersion(changed, triggered), OccurredAt: triggered, Complete: complete,
		}}
	}
	for _, c := range []struct {
		name, topic, body string
		config            object
		change            func(http.Header)
		want              []record.Event
	}{
		{name: "create", topic: topicCreate, body: whole, want: event(topicCreate, updated, true)},
		{name: "updated", topic: topicUpdated, body: whole, want: event(topicUpdated, updated, true)},
		{name: "paid", topic: topicPaid, body: whole, want: event(topicPaid, updated, true)},
		{name: "cancelled", topic: topicCancelled, body: whole, want: event(topicCancelled, updated, true)},
		{name: "fulfilled", topic: topicFulfilled, body: whole, want: event(topicFulfilled, updated, true)},
		{name: "partially fulfilled", topic: topicPartiallyFulfilled, body: whole, want: event(topicPartiallyFulfilled, updated, true)},
		{name: "edited: to be read", topic: topicEdited, body: `{"order_edit":{"id":1,"order_id":5001,"committed_at":"2026-11-02T06:30:05-05:00"}}`, want: event(topicEdited, updated, false)},
		{name: "deleted: only the id", topic: topicDelete, body: `{"id":5001}`, want: event(topicDelete, triggered, false)},
		{name: "narrowed by include_fields", topic: topicUpdated, body: `{"id":5001,"updated_at":"2026-11-02T11:30:05Z"}`, want: event(topicUpdated, updated, false)},
		{name: "a version not proved", topic: topicUpdated, body: whole, change: func(h http.Header) { h.Set("X-Shopify-API-Version", "2031-01") }, want: event(topicUpdated, updated, false)},
		{name: "barcodes wanted", topic: topicUpdated, body: whole, config: object{"barcodes": true}, want: event(topicUpdated, updated, false)},
		{name: "another topic", topic: "products/create", body: `not even JSON`},
		{name: "no topic", topic: "", body: whole},
		{name: "the admin's test notification", topic: topicCreate, body: whole, change: func(h http.Header) { h.Set("X-Shopify-Test", "true") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hookHeader(c.topic, "hush", []byte(c.body))
			if c.change != nil {
				c.change(h)
			}
			got, err := newFakeShop(t).open(c.config).ParseHook(h, []byte(c.body))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

// Two changes within one second of updated_at are told apart by when their
// webhooks were triggered.
func TestVersionsOfOneSecond(t *testing.T) {
	c := newFakeShop(t).open(nil)
	version := func(triggered string) string {
		h := hookHeader(topicUpdated, "hush", nil)
		h.Set("X-Shopify-Triggered-At", triggered)
		events, err := c.ParseHook(h, sample(t, "plain"))
		require.NoError(t, err)
		return events[0].Version
	}
	assert.Less(t, version("2026-11-02T11:30:05.2Z"), version("2026-11-02T11:30:05.25Z"))
	assert.NotEmpty(t, version("nonsense"), "an unreadable header only loses the tie-break")
}

func TestParseHookRefusesBadBodies(t *testing.T) {
	for _, c := range []struct{ name, topic, body, field string }{
		{"empty", topicCreate, ``, ""},
		{"cut off", topicCreate, `{"id":5001,`, ""},
		{"an array", topicCreate, `[]`, ""},
		{"too deep", topicCreate, `{"id":5001,"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, ""},
		{"invalid UTF-8", topicCreate, "{\"id\":5001,\"name\":\"\xff\"}", ""},
		{"a raw NUL", topicCreate, "{\"id\":5001\x00}", ""},
		{"NUL in the id", topicCreate, `{"id":"50\u000001"}`, "id"},
		{"no id", topicCreate, `{"updated_at":"2026-11-02T11:30:05Z"}`, "id"},
		{"a null id", topicCreate, `{"id":null,"updated_at":"2026-11-02T11:30:05Z"}`, "id"},
		{"a negative id", topicCreate, `{"id":-1,"updated_at":"2026-11-02T11:30:05Z"}`, "id"},
		{"a huge id", topicCreate, `{"id":1e400,"updated_at":"2026-11-02T11:30:05Z"}`, "id"},
		{"an id with a path", topicCreate, `{"id":"../7","updated_at":"2026-11-02T11:30:05Z"}`, "id"},
		{"no time", topicCreate, `{"id":5001}`, "updated_at"},
		{"a time that is a number", topicCreate, `{"id":5001,"updated_at":17}`, "updated_at"},
		{"an edit without its order", topicEdited, `{"order_edit":{}}`, "order_edit.order_id"},
		{"no edit", topicEdited, `{"id":5001}`, "order_edit"},
		{"an edit of a wrong type", topicEdited, `{"order_edit":7}`, "order_edit"},
		{"a deletion of nothing", topicDelete, `{}`, "id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, err := newFakeShop(t).open(nil).ParseHook(hookHeader(c.topic, "hush", nil), []byte(c.body))
			assert.Empty(t, events)
			require.Error(t, err)
			assert.Equal(t, fault.Invalid, fault.Of(err).Kind)
			assert.Equal(t, c.field, fault.Of(err).Field)
		})
	}
}

var fuzzTopics = []string{
	topicCreate, topicUpdated, topicPaid, topicCancelled, topicEdited, topicDelete, topicFulfilled, topicPartiallyFulfilled, "x",
}

// Whatever arrives, parsing and decoding give a value or an Invalid (or
// Unsupported) fault, never a panic, and a parsed event names an order.
func FuzzHook(f *testing.F) {
	for _, name := range sampleNames(f) {
		f.Add(0, sample(f, name))
	}
	f.Add(4, []byte(`{"order_edit":{"order_id":5001,"committed_at":"2026-11-02T06:30:05-05:00"}}`))
	f.Add(5, []byte(`{"id":5001}`))
	f.Add(0, []byte(`{"id":1,"line_items":{"nodes":[{"duties":[{"shop_money":{"amount":"1"}}]}]},"tags":["a"]}`))
	config := []byte(`{"shop":"acme.myshopify.com","access_token":"x","webhook_secrets":["hush"]}`)
	c := &Connector{now: time.Now}
	var err error
	if c.config, err = readConfig(config); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which int, raw []byte) {
		topic := fuzzTopics[uint(which)%uint(len(fuzzTopics))]
		events, err := c.ParseHook(hookHeader(topic, "hush", raw), raw)
		if err != nil && fault.Of(err).Kind != fault.Invalid {
			t.Fatalf("parse: %v", err)
		}
		for _, e := range events {
			if !idForm.MatchString(e.ExternalID) || e.Version == "" || e.OccurredAt.IsZero() {
				t.Fatalf("an event without an identity: %+v", e)
			}
		}
		order, err := c.DecodeOrder(topic, raw)
		if err != nil {
			if kind := fault.Of(err).Kind; kind != fault.Invalid && kind != fault.Unsupported {
				t.Fatalf("decode: %v", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, l := range order.Lines {
			if l.Quantity.IsNegative() || l.UnitPrice.IsNegative() || l.Discount.IsNegative() {
				t.Fatalf("a negative line: %+v", l)
			}
			if seen[l.ExternalID] {
				t.Fatalf("two lines called %s", l.ExternalID)
			}
			seen[l.ExternalID] = true
		}
		_ = lineSum(order).String()
	})
}

func BenchmarkParseHook(b *testing.B) {
	raw := sample(b, "plain")
	c := &Connector{now: time.Now}
	h := hookHeader(topicUpdated, "hush", raw)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := c.ParseHook(h, raw); err != nil {
			b.Fatal(err)
		}
	}
}
