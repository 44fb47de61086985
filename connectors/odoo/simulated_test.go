package odoo

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/simulator"
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
	deliver := func(t *testing.T, _ *Connector, line int64) {
		require.NoError(t, server.SetDelivered(line, decimal.NewFromInt(1)))
	}
	t.Run("JSON-RPC", func(t *testing.T) { Suite(t, &bench{settings: settings(t, config), deliver: deliver}) })
	config["api_key"] = simulator.BotKey
	t.Run("JSON-2", func(t *testing.T) { Suite(t, &bench{settings: settings(t, config), deliver: deliver}) })
}
