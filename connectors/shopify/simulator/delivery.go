package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// The topics that the simulator sends.
const (
	TopicCreate    = "orders/create"
	TopicUpdated   = "orders/updated"
	TopicPaid      = "orders/paid"
	TopicCancelled = "orders/cancelled"
	TopicEdited    = "orders/edited"
	TopicDelete    = "orders/delete"
)

// Delivery is one webhook to one subscriber, as often as it is attempted.
type Delivery struct {
	Topic       string
	WebhookID   string // stable over retries
	EventID     string // shared by all subscriptions that the event hit
	TriggeredAt time.Time
	APIVersion  string
	Body        []byte
	// Forged is sent with a signature by somebody who does not know the secret.
	Forged bool
	// Test is what the admin's "send test notification" sends: its order does
	// not exist.
	Test bool
	// Order is the order as the event left it. Shop.Send makes it known to the
	// shop first, so that a receiver that asks back finds it. Nil: unchanged.
	Order *Order
	// Secret signs instead of the shop's own, e.g. the old one after a rotation.
	Secret string
}

// Header are the headers that Shopify sends. The names are those which
// @shopify/shopify-api 15 reads.
func (d Delivery) Header(domain, secret string) http.Header {
	if d.Secret != "" {
		secret = d.Secret
	}
	if d.Forged {
		secret = "not-" + secret
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Shopify-Captain-Hook")
	h.Set("X-Shopify-Topic", d.Topic)
	h.Set("X-Shopify-Hmac-Sha256", Sign(secret, d.Body))
	h.Set("X-Shopify-Shop-Domain", domain)
	h.Set("X-Shopify-API-Version", d.APIVersion)
	h.Set("X-Shopify-Webhook-Id", d.WebhookID)
	h.Set("X-Shopify-Event-Id", d.EventID)
	h.Set("X-Shopify-Triggered-At", d.TriggeredAt.UTC().Format(time.RFC3339Nano))
	if d.Test {
		h.Set("X-Shopify-Test", "true")
	}
	return h
}

// Sign is base64 of the HMAC-SHA256 of the raw body under the app's secret.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Event makes the delivery that tells of an order's snapshot. For
// TopicEdited use Edited, whose body is of another shape.
func (l *Ledger) Event(topic string, o *Order) Delivery {
	var body any
	if topic == TopicDelete {
		body = map[string]any{"id": o.ID}
	} else {
		body = l.orderPayload(o)
	}
	return l.delivery(topic, o, body)
}

// Edited makes the orders/edited delivery between two snapshots. It tells the
// changed quantities only: a receiver has to read the order.
func (l *Ledger) Edited(before, after *Order) Delivery {
	return l.delivery(TopicEdited, after, l.editPayload(before, after))
}

// Message makes a delivery of any topic and body that changes nothing in the
// shop, for what a receiver does not know or cannot read.
func (l *Ledger) Message(topic string, body []byte) Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Delivery{
		Topic: topic, Body: body, APIVersion: l.version,
		WebhookID: l.uuid(), EventID: l.uuid(), TriggeredAt: l.tick(),
	}
}

// Resend makes the delivery that another subscription to the same event gets:
// same event and content, new webhook id.
func (l *Ledger) Resend(d Delivery) Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.WebhookID = l.uuid()
	return d
}

func (l *Ledger) delivery(topic string, o *Order, body any) Delivery {
	raw := encode(body)
	l.mu.Lock()
	defer l.mu.Unlock()
	return Delivery{
		Topic: topic, Body: raw, APIVersion: l.version, Order: o,
		WebhookID: l.uuid(), EventID: l.uuid(), TriggeredAt: o.ChangedAt,
	}
}
