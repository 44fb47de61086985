package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo"
)

// Another user logs in by password, and the secret address stays the connection's.
func TestOdooAsAnotherUser(t *testing.T) {
	given := json.RawMessage(`{"url": "https://erp.example.com", "database": "d", "login": "bot", "api_key": "k", "transport": "json2",
		"events": "automation", "events_models": "res.partner", "events_key": "0123456789abcdef"}`)
	as, err := withUser(given, "admin", "it's \"secret\"")
	require.NoError(t, err)
	var got odoo.Config
	require.NoError(t, json.Unmarshal(as, &got))
	require.Equal(t, "admin", got.Login)
	require.Equal(t, `it's "secret"`, got.Password)
	require.Empty(t, got.APIKey)
	require.Equal(t, "jsonrpc", got.Transport)
	address := func(settings json.RawMessage) string {
		c, err := odoo.Open(connectors.Settings{Name: "erp", Config: settings})
		require.NoError(t, err)
		return c.EventsAddress("https://hooks.example.com/")
	}
	require.Equal(t, address(given), address(as))
	require.Regexp(t, `^https://hooks\.example\.com/webhooks/odoo/erp\?key=[0-9a-f]{40}$`, address(given))
	require.NotContains(t, address(given), "0123456789abcdef")
}
