package shopify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// The topics that carry orders.
const (
	topicCreate             = "orders/create"
	topicUpdated            = "orders/updated"
	topicPaid               = "orders/paid"
	topicCancelled          = "orders/cancelled"
	topicEdited             = "orders/edited"
	topicDelete             = "orders/delete"
	topicFulfilled          = "orders/fulfilled"
	topicPartiallyFulfilled = "orders/partially_fulfilled"
)

// wantedTopics are the subscriptions that orders need, by the names of
// GraphQL's WebhookSubscriptionTopic.
var wantedTopics = []string{
	"ORDERS_CREATE", "ORDERS_UPDATED", "ORDERS_PAID", "ORDERS_CANCELLED",
	"ORDERS_EDITED", "ORDERS_DELETE", "ORDERS_FULFILLED", "ORDERS_PARTIALLY_FULFILLED",
}

// wholeOrder tells the topics whose body is the whole order.
func wholeOrder(topic string) bool {
	switch topic {
	case topicCreate, topicUpdated, topicPaid, topicCancelled, topicFulfilled, topicPartiallyFulfilled:
		return true
	}
	return false
}

// VerifyHook checks that a webhook is Shopify's and meant for this shop. Every
// failure is Unauthorized: shopify.shop_mismatch, shopify.signature_missing or
// shopify.signature_wrong.
func (c *Connector) VerifyHook(h http.Header, raw []byte) error {
	head := ReadHeaders(h)
	if head.Signature == "" {
		return fault.New(fault.Unauthorized, "shopify.signature_missing", "the webhook carries no signature")
	}
	given, err := base64.StdEncoding.DecodeString(head.Signature)
	if err != nil || !c.signed(given, raw) {
		return fault.New(fault.Unauthorized, "shopify.signature_wrong", "the webhook's signature does not fit its body").
			WithResolution("set webhook_secrets to the client secret of the app that owns the subscription; keep the old one beside it for an hour after a rotation")
	}
	// After the signature, so that nobody can probe which shop this is.
	if !strings.EqualFold(head.Shop, c.config.Shop) {
		return fault.New(fault.Unauthorized, "shopify.shop_mismatch", "the webhook is of another shop than this connection's").
			WithResolution("point the subscription at the connection of its own shop")
	}
	return nil
}

// signed tries every secret, always all of them, each in constant time.
func (c *Connector) signed(given, raw []byte) bool {
	ok := false
	for _, secret := range c.config.WebhookSecrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(raw)
		ok = hmac.Equal(given, mac.Sum(nil)) || ok
	}
	return ok
}

// hookBody is all that ParseHook needs of any body.
type hookBody struct {
	ID        scalar  `json:"id"`
	UpdatedAt scalar  `json:"updated_at"`
	Lines     present `json:"line_items"`
	Total     present `json:"current_total_price_set"`
	Edit      *struct {
		OrderID     scalar `json:"order_id"`
		CommittedAt scalar `json:"committed_at"`
	} `json:"order_edit"`
}

// ParseHook reads the event off a webhook. Topics that nobody handles and the
// admin's test notifications, whose order does not exist, give no events. A
// body that cannot be read gives a fault shopify.bad_body of kind Invalid.
func (c *Connector) ParseHook(h http.Header, raw []byte) ([]record.Event, error) {
	head := ReadHeaders(h)
	handled := wholeOrder(head.Topic) || head.Topic == topicEdited || head.Topic == topicDelete
	if !handled || head.Test {
		return nil, nil
	}
	var body hookBody
	if err := decodeJSON(raw, &body); err != nil {
		return nil, err
	}
	var r reader
	event := record.Event{
		Kind:       record.KindOrder,
		Topic:      head.Topic,
		DeliveryID: head.DeliveryID,
		OccurredAt: head.TriggeredAt,
	}
	var changed time.Time
	switch {
	case head.Topic == topicEdited && body.Edit == nil:
		r.fail("order_edit", "is missing")
	case head.Topic == topicEdited:
		event.ExternalID = r.id("order_edit.order_id", body.Edit.OrderID)
		changed = r.optionalTime("order_edit.committed_at", body.Edit.CommittedAt)
	case head.Topic == topicDelete:
		event.ExternalID = r.id("id", body.ID)
	default:
		event.ExternalID = r.id("id", body.ID)
		changed = r.time("updated_at", body.UpdatedAt)
		event.Complete = c.trusts(head) && bool(body.Lines) && bool(body.Total)
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, fallback := range []time.Time{head.TriggeredAt, c.now().UTC()} {
		if changed.IsZero() {
			changed = fallback
		}
	}
	if event.OccurredAt.IsZero() {
		event.OccurredAt = changed
	}
	event.Version = record.NewVersion(changed, head.TriggeredAt)
	return []record.Event{event}, nil
}

// trusts says whether the body may stand for the whole order. Not when its API
// version is one we have not proved (subscriptions have versions of their own),
// nor when barcodes are wanted, which no webhook holds.
func (c *Connector) trusts(head Headers) bool {
	known := head.APIVersion == "" || slices.Contains(Versions, head.APIVersion)
	return known && !c.config.Barcodes
}

// decodeJSON reads a body into v. encoding/json bounds the nesting, and turns
// broken text into replacement characters in silence, hence the check.
func decodeJSON(raw []byte, v any) error {
	if !utf8.Valid(raw) {
		return badBody("", "is not valid UTF-8", nil)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		field := ""
		if wrong, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // never wrapped
			field = wrong.Field
		}
		return badBody(field, "is not the JSON that Shopify documents", err)
	}
	return nil
}

func badBody(field, what string, err error) *fault.Fault {
	f := fault.New(fault.Invalid, "shopify.bad_body", "the order's data %s", what).WithField(field).WithFamily(what).
		WithResolution("look at the stored body; if Shopify really sends this, report it, and retry after an update")
	if err != nil {
		f = f.WithDetail(err.Error()).WithCause(err)
	}
	return f
}
