package shopify

import (
	"net/http"
	"time"
)

// headerNames says how Shopify calls what it sends along with a webhook. It is
// data, because the successor product ("Events", in preview) drops the prefix:
// each value is looked up under the names in turn.
var headerNames = struct {
	Signature, Topic, Shop, APIVersion, DeliveryID, EventID, TriggeredAt, Test []string
}{
	Signature:   []string{"X-Shopify-Hmac-Sha256", "Shopify-Hmac-Sha256"},
	Topic:       []string{"X-Shopify-Topic", "Shopify-Topic"},
	Shop:        []string{"X-Shopify-Shop-Domain", "Shopify-Shop-Domain"},
	APIVersion:  []string{"X-Shopify-Api-Version", "Shopify-Api-Version"},
	DeliveryID:  []string{"X-Shopify-Webhook-Id", "Shopify-Webhook-Id"},
	EventID:     []string{"X-Shopify-Event-Id", "Shopify-Event-Id"},
	TriggeredAt: []string{"X-Shopify-Triggered-At", "Shopify-Triggered-At"},
	Test:        []string{"X-Shopify-Test", "Shopify-Test"},
}

// Headers are what Shopify says about one webhook outside its body.
type Headers struct {
	Signature  string // base64 of the HMAC-SHA256 of the raw body
	Topic      string // "orders/updated"
	Shop       string // "acme.myshopify.com"
	APIVersion string // of the subscription, which may differ from ours
	// DeliveryID is the same over all retries of one delivery, and so what
	// de-duplicates; EventID is shared by all subscriptions that one event hit.
	DeliveryID  string
	EventID     string
	TriggeredAt time.Time // zero when missing or unreadable
	Test        bool      // sent by the admin's "send test notification": its order does not exist
}

// ReadHeaders reads what Shopify says about a webhook outside its body.
func ReadHeaders(h http.Header) Headers {
	triggered, _ := time.Parse(time.RFC3339Nano, first(h, headerNames.TriggeredAt))
	return Headers{
		Signature:   first(h, headerNames.Signature),
		Topic:       first(h, headerNames.Topic),
		Shop:        first(h, headerNames.Shop),
		APIVersion:  first(h, headerNames.APIVersion),
		DeliveryID:  first(h, headerNames.DeliveryID),
		EventID:     first(h, headerNames.EventID),
		TriggeredAt: triggered.UTC(),
		Test:        first(h, headerNames.Test) == "true",
	}
}

func first(h http.Header, names []string) string {
	for _, n := range names {
		if v := h.Get(n); v != "" {
			return v
		}
	}
	return ""
}
