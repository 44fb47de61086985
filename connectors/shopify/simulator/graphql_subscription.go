package simulator

import (
	"net/url"
	"slices"
	"strings"

	"towpath/connectors/shopify/simulator/internal/graph"
)

func (s *Shop) subscriptionObject(sub Subscription) *object {
	f := fields{
		"id": gid("WebhookSubscription", sub.ID), "legacyResourceId": itoa(sub.ID),
		"topic": topicEnum(sub.Topic), "uri": sub.URI, "callbackUrl": sub.URI, "format": sub.Format,
		"name": orNull(sub.Name), "filter": orNull(sub.Filter), "includeFields": texts(sub.Include),
		"metafieldNamespaces": []string{}, "metafields": []any{},
		"createdAt": utc(sub.CreatedAt), "updatedAt": utc(sub.UpdatedAt), "apiVersion": versionObject(s.latest()),
		"endpoint": &object{Type: "WebhookHttpEndpoint", Implements: []string{"WebhookSubscriptionEndpoint"},
			Fields: fields{"callbackUrl": sub.URI}},
	}
	return &object{Type: "WebhookSubscription", Implements: []string{"Node", "LegacyInteroperability"}, Fields: f}
}

func (s *Shop) querySubscription(args graph.Args) (any, error) {
	for _, sub := range s.Subscriptions() {
		if gid("WebhookSubscription", sub.ID) == args.Text("id") {
			return s.subscriptionObject(sub), nil
		}
	}
	return nil, nil
}

func (s *Shop) querySubscriptions(args graph.Args) (any, error) {
	topics := args.Texts("topics")
	address := args.Text("uri")
	if address == "" {
		address = args.Text("callbackUrl")
	}
	list := slices.DeleteFunc(s.Subscriptions(), func(sub Subscription) bool {
		return len(topics) > 0 && !slices.Contains(topics, topicEnum(sub.Topic)) || address != "" && sub.URI != address
	})
	return pager("WebhookSubscription", list, func(sub Subscription) int64 { return sub.ID }, s.subscriptionObject)(args)
}

func (s *Shop) createSubscription(args graph.Args) (any, error) {
	input := args.Map("webhookSubscription")
	sub := Subscription{Topic: topicName(args.Text("topic")), Format: "JSON"}
	fill(input)(&sub)
	payload := fields{"webhookSubscription": nil, "userErrors": []any{}}
	if why := s.refusal(sub, 0); why != "" {
		payload["userErrors"] = userErrors("uri", why)
	} else {
		payload["webhookSubscription"] = s.subscriptionObject(s.addSubscription(sub))
	}
	return &object{Type: "WebhookSubscriptionCreatePayload", Fields: payload}, nil
}

func (s *Shop) updateSubscription(args graph.Args) (any, error) {
	payload := fields{"webhookSubscription": nil, "userErrors": []any{}}
	o := &object{Type: "WebhookSubscriptionUpdatePayload", Fields: payload}
	for _, sub := range s.Subscriptions() {
		if gid("WebhookSubscription", sub.ID) != args.Text("id") {
			continue
		}
		fill(args.Map("webhookSubscription"))(&sub)
		if why := s.refusal(sub, sub.ID); why != "" {
			payload["userErrors"] = userErrors("uri", why)
			return o, nil
		}
		sub, ok := s.changeSubscription(sub.ID, fill(args.Map("webhookSubscription")))
		if ok {
			payload["webhookSubscription"] = s.subscriptionObject(sub)
			return o, nil
		}
	}
	payload["userErrors"] = userErrors("id", "Webhook subscription does not exist")
	return o, nil
}

func (s *Shop) deleteSubscription(args graph.Args) (any, error) {
	payload := fields{"deletedWebhookSubscriptionId": nil, "userErrors": []any{}}
	for _, sub := range s.Subscriptions() {
		if gid("WebhookSubscription", sub.ID) == args.Text("id") && s.Unsubscribe(sub.ID) {
			payload["deletedWebhookSubscriptionId"] = args.Text("id")
			return &object{Type: "WebhookSubscriptionDeletePayload", Fields: payload}, nil
		}
	}
	payload["userErrors"] = userErrors("id", "Webhook subscription does not exist")
	return &object{Type: "WebhookSubscriptionDeletePayload", Fields: payload}, nil
}

// fill takes over what an input gives; what it leaves out stays.
func fill(input graph.Args) func(*Subscription) {
	return func(sub *Subscription) {
		for name, field := range map[string]*string{
			"callbackUrl": &sub.URI, "uri": &sub.URI, "format": &sub.Format, "name": &sub.Name, "filter": &sub.Filter,
		} {
			if text, given := input[name].(string); given { // "" unsets
				*field = text
			}
		}
		if _, given := input["includeFields"]; given {
			sub.Include = input.Texts("includeFields")
		}
	}
}

// refusal says why Shopify would not have the subscription: the address must
// be one, and no topic may go to the same address twice. (Shopify wants https;
// here receivers are on the same machine.)
func (s *Shop) refusal(sub Subscription, self int64) string {
	u, err := url.Parse(sub.URI)
	if err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http") {
		return "Address is invalid"
	}
	for _, other := range s.Subscriptions() {
		if other.ID != self && other.Topic == sub.Topic && other.URI == sub.URI && other.Filter == sub.Filter {
			return "Address for this topic has already been taken"
		}
	}
	return ""
}

func userErrors(field, message string) []*object {
	return []*object{{Type: "UserError", Implements: []string{"DisplayableError"}, Fields: fields{
		"field": []string{"webhookSubscription", field}, "message": message,
	}}}
}
