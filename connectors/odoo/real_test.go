package odoo

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/rpc"
)

// patience is how long a call to a real Odoo may take in tests: a process that
// has just been started first reads its registry.
const patience = 10 * time.Minute

func init() {
	if os.Getenv("TOWPATH_TEST_ODOO_URL") != "" {
		readTimeout, writeTimeout = patience, patience
	}
}

// TestRealOdoo runs the suite against the Odoo of tools/odoo19 that the
// environment names, in full over the transport of Odoo 19, and over the older
// ones what differs by them.
func TestRealOdoo(t *testing.T) {
	url := os.Getenv("TOWPATH_TEST_ODOO_URL")
	if url == "" {
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			t.Fatal("TOWPATH_TEST_ODOO_URL is not set, and TOWPATH_REQUIRE_REAL=1 wants a real Odoo")
		}
		t.Skip("SKIPPED: no real Odoo. Set TOWPATH_TEST_ODOO_URL, _DB, _LOGIN, _PASSWORD, _API_KEY (see tools/odoo19)")
	}
	t.Parallel()
	config := map[string]any{
		"url": url, "database": os.Getenv("TOWPATH_TEST_ODOO_DB"), "login": os.Getenv("TOWPATH_TEST_ODOO_LOGIN"),
		"password": os.Getenv("TOWPATH_TEST_ODOO_PASSWORD"), "currencies": "USD, eur", "calls": 2,
	}
	transports := []transport{
		{"JSON-RPC", map[string]any{"transport": "jsonrpc"}},
		{"XML-RPC", map[string]any{"transport": "xmlrpc", "tz": "Europe/Berlin", "company": "Towpath Test Company"}},
	}
	key := os.Getenv("TOWPATH_TEST_ODOO_API_KEY")
	if key != "" {
		transports = append(transports, transport{"JSON-2", map[string]any{"transport": "auto", "api_key": key, "company": "Towpath Test Company"}})
	}
	for i, over := range transports {
		t.Run(over.name, func(t *testing.T) {
			own := maps.Clone(config)
			maps.Copy(own, over.config)
			b := realBench(t, own)
			b.thin, b.number, b.benches = i < len(transports)-1, i, len(transports)
			Suite(t, b)
		})
	}
	if key == "" {
		t.Skip("SKIPPED: JSON-2 needs TOWPATH_TEST_ODOO_API_KEY")
	}
}

// transport is a way to one and the same Odoo, the usual one last.
type transport struct {
	name   string
	config map[string]any
}

func realBench(t *testing.T, config map[string]any) *bench {
	b := &bench{settings: settings(t, config), post: postInvoice, deliver: deliverByHand}
	// The bot may count stock, but makes no locations.
	admin, err := rpc.New(rpc.Config{URL: config["url"].(string), Database: config["database"].(string), Login: "admin", Password: "admin", Transport: rpc.JSONRPC, Private: true, Timeout: patience})
	require.NoError(t, err)
	b.shelf = func(t *testing.T, name string, below int64) int64 {
		made, err := admin.Create(t.Context(), "stock.location", map[string]any{"name": name, "location_id": below, "usage": "internal"})
		require.NoError(t, err)
		return made[0]
	}
	b.stock = func(t *testing.T, product, location int64, quantity string) {
		ctx := rpc.WithContext(t.Context(), rpc.Context{"inventory_mode": true})
		quants, err := admin.Create(ctx, "stock.quant", map[string]any{"product_id": product, "location_id": location, "inventory_quantity": json.Number(quantity)})
		require.NoError(t, err)
		require.NoError(t, admin.Call(ctx, "stock.quant", "action_apply_inventory", quants, nil, nil, nil))
	}
	return b
}

func postInvoice(t *testing.T, c *Connector, order int64) {
	active := map[string]any{"active_model": "sale.order", "active_ids": []int64{order}, "active_id": order}
	ctx := rpc.WithContext(t.Context(), active)
	wizard, err := c.rpc.Create(ctx, "sale.advance.payment.inv", map[string]any{
		"advance_payment_method": "delivered", "sale_order_ids": []int64{order},
	})
	require.NoError(t, err)
	require.NoError(t, c.rpc.Call(ctx, "sale.advance.payment.inv", "create_invoices", wizard, nil, nil, nil))
	var orders []struct {
		Invoices []int64 `json:"invoice_ids"`
	}
	require.NoError(t, c.rpc.Read(t.Context(), "sale.order", []int64{order}, []string{"invoice_ids"}, &orders))
	require.NoError(t, c.rpc.Call(t.Context(), "account.move", "action_post", orders[0].Invoices, nil, nil, nil))
}

// deliverByHand works for services, whose delivered quantity people enter.
func deliverByHand(t *testing.T, c *Connector, line int64) {
	require.NoError(t, c.rpc.Write(t.Context(), "sale.order.line", []int64{line}, map[string]any{"qty_delivered": 1}))
}

func settings(t *testing.T, config map[string]any) connectors.Settings {
	t.Helper()
	raw, err := json.Marshal(config)
	require.NoError(t, err)
	return connectors.Settings{Name: "test", Config: raw}
}
