package odoo

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
)

// TestRealOdoo runs the suite against the Odoo of tools/odoo19 that the
// environment names, over both of its transports.
func TestRealOdoo(t *testing.T) {
	url := os.Getenv("TOWPATH_TEST_ODOO_URL")
	if url == "" {
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			t.Fatal("TOWPATH_TEST_ODOO_URL is not set, and TOWPATH_REQUIRE_REAL=1 wants a real Odoo")
		}
		t.Skip("SKIPPED: no real Odoo. Set TOWPATH_TEST_ODOO_URL, _DB, _LOGIN, _PASSWORD, _API_KEY (see tools/odoo19)")
	}
	config := map[string]any{
		"url": url, "database": os.Getenv("TOWPATH_TEST_ODOO_DB"), "login": os.Getenv("TOWPATH_TEST_ODOO_LOGIN"),
		"password": os.Getenv("TOWPATH_TEST_ODOO_PASSWORD"), "transport": "jsonrpc", "currencies": "USD, eur", "calls": 2,
	}
	t.Run("JSON-RPC", func(t *testing.T) { Suite(t, settings(t, config)) })

	key := os.Getenv("TOWPATH_TEST_ODOO_API_KEY")
	if key == "" {
		t.Skip("SKIPPED: JSON-2 needs TOWPATH_TEST_ODOO_API_KEY")
	}
	config["api_key"], config["transport"] = key, "auto"
	t.Run("JSON-2", func(t *testing.T) { Suite(t, settings(t, config)) })
}

func settings(t *testing.T, config map[string]any) connectors.Settings {
	t.Helper()
	raw, err := json.Marshal(config)
	require.NoError(t, err)
	return connectors.Settings{Name: "test", Config: raw}
}
