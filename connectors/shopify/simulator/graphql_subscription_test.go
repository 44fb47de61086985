package simulator

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors/shopify/shopifyschema"
)

func TestSubscriptionsOverGraphQL(t *testing.T) {
	s := startShop(t, Options{})
	create := `mutation M($topic: WebhookSubscriptionTopic!, $uri: String!) { saved: webhookSubscriptionCreate(topic: $topic, webhookSubscription: {uri: $uri, format: JSON, filter: "a:b", includeFields: ["id"]}) { webhookSubscription { id topic uri filter includeFields } userErrors { field message } } }`
	vars := map[string]any{"topic": "ORDERS_PAID", "uri": "http://127.0.0.1:9/hook"}
	r := ask(t, s, "2026-10", create, vars)
	require.Empty(t, r.Errors)
	if schema, err := shopifyschema.Load("2026-10"); err == nil {
		require.Empty(t, breaches(t, schema, create, r.Data))
	}
	made := r.Data["saved"].(map[string]any)["webhookSubscription"].(map[string]any)
	require.Equal(t, TopicPaid, s.Subscriptions()[0].Topic)
	require.Equal(t, "ORDERS_PAID", made["topic"])

	again := ask(t, s, "2026-10", create, vars).Data["saved"].(map[string]any)
	require.Nil(t, again["webhookSubscription"])
	require.Contains(t, fmt.Sprint(again["userErrors"]), "already been taken")

	update := `mutation M($id: ID!, $uri: String!) { webhookSubscriptionUpdate(id: $id, webhookSubscription: {uri: $uri, filter: "", includeFields: []}) { webhookSubscription { uri filter includeFields } userErrors { message } } }`
	r = ask(t, s, "2026-10", update, map[string]any{"id": made["id"], "uri": "http://127.0.0.1:9/new"})
	require.Empty(t, r.Errors)
	sub := s.Subscriptions()[0]
	require.Equal(t, "http://127.0.0.1:9/new", sub.URI)
	require.Empty(t, sub.Filter)
	require.Empty(t, sub.Include)

	remove := `mutation M($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { message } } }`
	r = ask(t, s, "2026-10", remove, map[string]any{"id": made["id"]})
	require.Equal(t, made["id"], r.Data["webhookSubscriptionDelete"].(map[string]any)["deletedWebhookSubscriptionId"])
	require.Empty(t, s.Subscriptions())
}
