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
	run := func(t *testing.T) {
		b := &bench{settings: settings(t, config), deliver: func(t *testing.T, _ *Connector, line int64) {
			require.NoError(t, server.SetDelivered(line, decimal.NewFromInt(1)))
		}}
		b.cannot = missingMethods(t, b)
		Suite(t, b)
	}
	t.Run("JSON-RPC", run)
	config["api_key"] = simulator.BotKey
	t.Run("JSON-2", run)
}

// missingMethods names the cases that need methods which the simulator does not
// have; none, once it has them.
func missingMethods(t *testing.T, b *bench) map[string]string {
	c := b.open(t, nil)
	cannot := map[string]string{}
	needs := func(err error, method string, cases ...string) {
		if code(err) == "odoo.method_missing" {
			for _, name := range cases {
				cannot[name] = "the simulator has no " + method
			}
		}
	}
	err := c.rpc.Call(t.Context(), "ir.model.data", "check_object_reference", nil, nil,
		map[string]any{"module": "base", "xml_id": "us"}, nil)
	needs(err, "check_object_reference", "same order twice", "lost answer", "edit draft and confirmed", "confirm")
	err = c.rpc.Call(t.Context(), "sale.order", "get_metadata", []int64{}, nil, nil, nil)
	needs(err, "get_metadata", "same order twice", "same order at once", "lost answer", "adopted order takes no new id")
	return cannot
}
