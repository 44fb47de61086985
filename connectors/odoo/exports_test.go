package odoo

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// What can be exported to is offered in Odoo, and what people choose comes as
// events. An older module has no such list, which costs nothing else.
func TestExportsAreOfferedAndChosen(t *testing.T) {
	server, c := telling(t, map[string]any{"events": "outbox"})
	require.True(t, c.TakesExports())
	assert.False(t, door(t, server, map[string]any{"events": "off"}).TakesExports())
	assert.Equal(t, "odoo.exports_missing", fault.Of(c.OfferExports(t.Context(), nil)).Code, "the module is not there")

	server.Watch()
	systems := []connectors.ExportSystem{
		{Connection: "shop", Models: []string{"product.product", "res.partner"}}, {Connection: "files", Models: []string{"product.product"}},
	}
	for range 2 {
		require.NoError(t, c.OfferExports(t.Context(), systems))
		assert.Equal(t, map[string][]string{"shop": {"product.product", "res.partner"}, "files": {"product.product"}}, server.Offered())
	}
	server.Faults.Add(simulator.Fault{Model: "towpath.system", Method: "set_systems", Times: 1, ResetAfterCommit: true})
	err := c.OfferExports(t.Context(), systems[:1])
	assert.True(t, err == nil || fault.Retryable(err), "it may be told again")
	assert.Equal(t, map[string][]string{"shop": {"product.product", "res.partner"}}, server.Offered())

	ids := make([]int64, 120)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	chosen := server.Export("shop", "res.partner", ids...)
	require.Len(t, chosen, 3)
	b := pull(t, c, "", 100)
	require.Len(t, b.Events, 3)
	for i, e := range b.Events {
		assert.Equal(t, chosen[i], e.ID)
		assert.Equal(t, webhook.ExportRequested, e.Type)
		assert.Equal(t, webhook.Export, e.Action)
	}
	assert.Contains(t, string(b.Events[2].Data), `"ids":[101,102,`)
	require.NoError(t, b.Ack(t.Context()))

	require.NoError(t, c.ReportExports(t.Context(), []connectors.ExportReport{
		{Connection: "shop", Model: "res.partner", Asker: "6", Exported: 3, Created: 2, Skipped: 1}, {Connection: "shop", Model: "stock.picking", Errors: 1, Cause: "no"},
	}))
	assert.Equal(t, []simulator.Report{
		{Code: "shop", Model: "res.partner", User: 6, Exported: 3, Created: 2, Skipped: 1}, {Code: "shop", Model: "stock.picking", Errors: 1, Cause: "no"},
	}, server.Reported())

	require.NoError(t, c.OfferExports(t.Context(), nil))
	assert.Empty(t, server.Offered())
}
