package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/webhook"
)

// The demo's partner counts what is signed, and sees what comes twice or is not.
func TestThePartnerOfTheDemo(t *testing.T) {
	p, err := newPartner()
	require.NoError(t, err)
	defer p.close()
	send := func(secret, id, body string) int {
		header, err := webhook.Sign(webhook.Standard, webhook.Secrets{Signing: []string{secret}}, id, time.Now(), []byte(body), webhook.Event{})
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url, strings.NewReader(body))
		require.NoError(t, err)
		r.Header = header
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	for _, id := range []string{"e1", "e2", "e1"} {
		assert.Equal(t, http.StatusNoContent, send(p.secret, id, `{"type":"sale.order.state.changed","data":{"id":7}}`))
	}
	assert.Equal(t, http.StatusUnauthorized, send(webhook.GenerateSecret(webhook.Standard), "e3", `{"data":{"id":8}}`))
	assert.Equal(t, map[string]int{"e1": 2, "e2": 1}, p.came)
	assert.Equal(t, map[string]bool{"7": true}, p.orders)
	assert.Equal(t, 1, p.forged)
	raw, err := json.Marshal(p.endpoint())
	require.NoError(t, err)
	_, err = webhook.Parse(raw)
	require.NoError(t, err)
}
