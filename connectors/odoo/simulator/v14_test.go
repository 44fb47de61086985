package simulator

import (
	"fmt"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What odoo-facts.md measured on a real Odoo 14, where it differs from 19. No
// Odoo 14 runs beside these tests.

var oldColumns = l{"id", "partner_id/.id", "pricelist_id/.id", "order_line/id", "order_line/product_id/.id", "order_line/name",
	"order_line/product_uom_qty", "order_line/price_unit", "order_line/tax_id/.id"}

func oldOrder(t *testing.T, side *side, price string) {
	side.call(t, exchange{model: "res.partner", method: "load", args: l{l{"id", "name"}, l{l{"@p1", "Ann"}}}, save: "p"})
	answer := side.call(t, exchange{model: "sale.order", method: "load", save: "o",
		args: l{oldColumns, l{l{"@o1", "#p.0", "3", "@l1", "5", "Thing", "2", price, "6"}}}})
	require.Len(t, side.saved["o"], 1, "%v", answer)
}

func (s *side) act(t *testing.T, method string) any {
	answer := s.call(t, exchange{model: "sale.order", method: method, args: l{"$o"}})
	if failure, ok := answer["error"].(map[string]any); ok {
		return failure["data"].(map[string]any)["message"]
	}
	return answer["result"]
}

func (s *side) state(t *testing.T) string {
	answer := s.call(t, exchange{model: "sale.order", method: "read", args: l{"$o", l{"state"}}})
	return answer["result"].([]any)[0].(map[string]any)["state"].(string)
}

func TestOldStates(t *testing.T) {
	_, side := start(t, Options{Version: 14})
	oldOrder(t, side, "10")
	assert.Equal(t, true, side.act(t, "action_confirm"))
	assert.Equal(t, true, side.act(t, "action_confirm"), "again is no error")
	assert.Equal(t, true, side.act(t, "action_done"))
	assert.Equal(t, "done", side.state(t))
	locked := side.call(t, exchange{model: "sale.order", method: "load", args: l{l{"id", "order_line/id", "order_line/product_uom_qty"}, l{l{"@o1", "@l1", "2"}}}})
	assert.Contains(t, fmt.Sprint(locked["result"]), "Unknown error during import: <class 'odoo.exceptions.UserError'>: It is forbidden to modify the following fields in a locked order:\nQuantity")
	assert.Equal(t, true, side.act(t, "action_cancel"), "a locked order cancels")
	assert.Equal(t, "It is not allowed to confirm an order in the following states: cancel, done", side.act(t, "action_confirm"))
	assert.Equal(t, true, side.act(t, "action_unlock"))
	assert.Equal(t, "sale", side.state(t), "unlocking a cancelled order makes it sold again")
	assert.Equal(t, "The method 'sale.order.action_lock' does not exist", side.act(t, "action_lock"))
}

func TestOldCancelAsksBackAfterDelivery(t *testing.T) {
	s, side := start(t, Options{Version: 14})
	oldOrder(t, side, "10")
	side.act(t, "action_confirm")
	require.NoError(t, s.SetDelivered(s.Orders()[0].Lines[0].ID, decimal.NewFromInt(1)))
	dict, ok := side.act(t, "action_cancel").(map[string]any)
	require.True(t, ok, "a dict means: not done")
	require.Equal(t, "sale.order.cancel", dict["res_model"])
	require.Equal(t, "sale", side.state(t))
	side.call(t, exchange{model: "sale.order", method: "action_cancel", args: l{"$o"}, kwargs: d{"context": d{"disable_cancel_warning": true}}})
	require.Equal(t, "cancel", side.state(t))
}

func TestOldMoney(t *testing.T) {
	s, side := start(t, Options{Version: 14})
	oldOrder(t, side, "10.005")
	o := s.Orders()[0]
	require.Equal(t, "10.01", o.Lines[0].UnitPrice.String(), "14 rounds to the digits of Product Price")
	require.Equal(t, "24.02", o.Total.String())
	side.call(t, exchange{model: "sale.order", method: "load", args: l{l{"id", "order_line/id", "order_line/product_uom_qty"}, l{l{"@o1", "@l1", "3"}}}})
	require.Equal(t, "10.01", s.Orders()[0].Lines[0].UnitPrice.String(), "14 keeps a price when the quantity changes")
}

func TestOldFields(t *testing.T) {
	_, side := start(t, Options{Version: 14})
	answer := side.call(t, call1("", "sale.order.line", "fields_get", l{}))
	fields := answer["result"].(map[string]any)
	require.Contains(t, fields, "tax_id")
	for _, gone := range []string{"tax_ids", "extra_tax_data", "technical_price_unit"} {
		require.NotContains(t, fields, gone)
	}
	require.Equal(t, "[16 2]", fmt.Sprint(fields["price_unit"].(map[string]any)["digits"]))
	answer = side.call(t, load("", "sale.order", l{"id", "nofield"}, l{"@o1", "x"}))
	require.Equal(t, "builtins.KeyError", answer["error"].(map[string]any)["data"].(map[string]any)["name"])
	answer = side.call(t, call1("", "ir.model.data", "check_access_rights", "read", false))
	require.Equal(t, true, answer["result"])
}

// The most dangerous fact of all: an external id of another model is taken
// for a record of this one.
func TestOldOverwritesAForeignRecord(t *testing.T) {
	s, side := start(t, Options{Version: 14})
	side.call(t, load("", "product.product", l{"id", "name"}, l{"@x", "Mine"}))
	id, ok := s.ID("product.product", side.prefix+"x")
	require.True(t, ok)
	for s.Count("res.partner") < int(id) {
		_, err := s.Create("res.partner", map[string]any{"name": "Victim"})
		require.NoError(t, err)
	}
	side.call(t, load("", "res.partner", l{"id", "name"}, l{"@x", "Overwritten"}))
	answer := side.call(t, call1("", "res.partner", "read", l{id}, l{"name"}))
	require.Equal(t, "Overwritten", answer["result"].([]any)[0].(map[string]any)["name"])
}
