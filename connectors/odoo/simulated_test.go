package odoo

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// TestSimulatedOdoo runs the suite of the real Odoo against the simulator, so
// that what is built on the simulator holds on the real one.
func TestSimulatedOdoo(t *testing.T) {
	server, err := simulator.Start(simulator.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	config := map[string]any{
		"url": server.URL(), "database": server.Database(), "login": "towpath", "password": "towpath", "calls": 2,
	}
	run := func(t *testing.T) {
		Suite(t, &bench{
			settings: settings(t, config),
			deliver: func(t *testing.T, _ *Connector, line int64) {
				require.NoError(t, server.SetDelivered(line, decimal.NewFromInt(1)))
			},
			shelf: func(t *testing.T, name string, below int64) int64 {
				made, err := server.AddLocation(name, below)
				require.NoError(t, err)
				return made
			},
			stock: func(t *testing.T, product, location int64, quantity string) {
				require.NoError(t, server.SetStock(product, location, dec(quantity), decimal.Zero))
			},
		})
	}
	t.Run("JSON-RPC", run)
	config["api_key"] = simulator.BotKey
	t.Run("JSON-2", run)
}

// TestSimulatedOdoo14 tries the oldest version's columns and answers: tax_id,
// no forced tax, locked as a state. Totals that need the forced tax, and texts
// of 19, are not its business.
func TestSimulatedOdoo14(t *testing.T) {
	server, err := simulator.Start(simulator.Options{Version: 14})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	b := &bench{run: "v14", settings: settings(t, map[string]any{
		"url": server.URL(), "database": server.Database(), "login": "towpath", "password": "towpath",
	})}
	c := b.open(t, nil)
	terms := termsOf(t, c)
	require.False(t, terms.ForcedTax)
	require.True(t, terms.DeliveriesStay)
	for range 2 {
		row := b.order(t, c, 2)
		state := upsert(t, c, row)
		require.Equal(t, "24", state.Total.String())
		require.Equal(t, state.ID, upsert(t, c, row).ID)
		confirmed, err := c.ConfirmOrder(t.Context(), record.Write{ID: state.ID})
		require.NoError(t, err)
		require.Equal(t, record.StageConfirmed, confirmed.Stage)
		row.ID, row.Gone, row.Lines = state.ID, []string{row.Lines[1].XID}, row.Lines[:1]
		require.Equal(t, "12", upsert(t, c, row).Total.String())
		require.NoError(t, server.Lock(number(t, state.ID), true))
		_, err = c.UpsertOrder(t.Context(), row)
		wantCode(t, err, fault.Conflict, "odoo.order_locked")
		require.NoError(t, server.Lock(number(t, state.ID), false))
		cancelled, err := c.CancelOrder(t.Context(), record.Write{ID: state.ID})
		require.NoError(t, err)
		require.Equal(t, record.StageCancelled, cancelled.Stage)
	}
	stocked, err := c.CountRecords(t.Context(), connectors.RecordQuery{Model: StockLevel}) // type "product" there
	require.NoError(t, err)
	require.EqualValues(t, 100, stocked)
	report := c.Check(t.Context())
	require.True(t, report.OK(), "%+v", report.Probes)
}

func TestNoStock(t *testing.T) {
	server, err := simulator.Start(simulator.Options{WithoutStock: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	b := &bench{settings: settings(t, map[string]any{
		"url": server.URL(), "database": server.Database(), "login": "towpath", "password": "towpath",
	})}
	c := b.open(t, nil)
	_, err = c.RecordFields(t.Context(), StockLevel)
	wantCode(t, err, fault.Unsupported, "odoo.no_stock")
	_, err = c.ReadRecords(t.Context(), connectors.RecordQuery{Model: StockLevel}, "", 10)
	wantCode(t, err, fault.Unsupported, "odoo.no_stock")
	require.NotEmpty(t, fault.Of(err).Resolution)
	_, err = c.RecordsByID(t.Context(), StockLevel, []string{"1@2"}, nil)
	wantCode(t, err, fault.Unsupported, "odoo.no_stock")
}
