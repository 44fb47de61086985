package webhook

import (
	"encoding/json"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sale is the event that most tests tell.
func sale() Event {
	return Event{
		ID: "7d9f5a3e-0f7e-4a2b-9d2f-1a2b3c4d5e6f", Type: "sale.order.updated", Connection: "erp", Model: "sale.order",
		RecordID: "42", Action: Write, OccurredAt: time.Date(2026, 11, 23, 2, 38, 56, 123456000, time.UTC), Sequence: 7,
		Data: json.RawMessage(`{"id": 42, "name": "S00042 <é>", "state": "sale", "amount_total": 120.50, "partner_id": 7,
			"order_lines": [{"product_id": 1, "quantity": 2.0, "price_unit": 10.00}, {"product_id": 2, "quantity": 1, "price_unit": 100.5}]}`),
		Old: json.RawMessage(`{"state": "draft", "amount_total": 99.90}`), Changed: []string{"state", "amount_total"},
	}
}

func endpoint() Endpoint { return Endpoint{Name: "partner", URL: "https://example.com/hooks"} }

func compiled(t testing.TB, e Endpoint) *Compiled {
	t.Helper()
	c, err := Compile(e)
	require.NoError(t, err)
	return c
}

func TestStandardWebhooksOwnLibraryTakesOurSignatures(t *testing.T) {
	older, newer := GenerateSecret(Standard), GenerateSecret(Standard)
	c, e := compiled(t, endpoint()), sale()
	body, err := c.Body(e)
	require.NoError(t, err)
	h, err := c.Header(Secrets{Signing: []string{newer, older}}, time.Now(), body, e)
	require.NoError(t, err)
	for _, secret := range []string{older, newer} {
		judge, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, judge.Verify(body, h))
		assert.Error(t, judge.Verify(append(body, ' '), h))
	}
	stranger, err := standardwebhooks.NewWebhook(GenerateSecret(Standard))
	require.NoError(t, err)
	assert.Error(t, stranger.Verify(body, h))
}
