package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// What was chosen in Odoo is listed with what became of it; what is parked can be
// exported again, or given up with a reason.
func TestSyncExports(t *testing.T) {
	d := newDesk(t)
	d.applied()
	out, exit := d.run("sync", "exports", "list")
	require.Zero(t, exit, out)
	assert.Equal(t, "there are none\n", out)

	for i, id := range []string{"first", "second"} {
		content, err := json.Marshal(webhook.Event{ID: id, Type: webhook.ExportRequested, Data: json.RawMessage(`{}`)})
		require.NoError(t, err)
		_, err = d.Record(t.Context(), "supplier", []store.OutboundEvent{{
			ID: id, Connection: "supplier", Type: webhook.ExportRequested, Model: "stock.picking", Content: string(content), OccurredAt: time.Now(),
			Export: &store.ExportRequest{System: "copies", Model: "stock.picking", IDs: []string{"7", "8"}[:i+1], By: "user 2 of supplier"},
		}}, "")
		require.NoError(t, err)
	}
	open, err := d.OpenExports(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 2)
	why := fault.New(fault.Unsupported, "sync.not_implemented", "Export not implemented for model stock.picking in connector copies").WithResolution("add a job")
	require.NoError(t, d.ParkExports(t.Context(), []int64{open[0].ID}, why, ""))

	out, exit = d.run("sync", "exports", "list")
	require.Zero(t, exit, out)
	assert.Regexp(t, `second .*user 2 of supplier +stock.picking +2 +copies +none +waiting`, out)
	assert.Regexp(t, `first .* 1 +copies +none +parked +sync.not_implemented`, out)
	assert.Contains(t, out, "first is parked: Export not implemented for model stock.picking in connector copies\n  what to do: add a job\n")
	out, _ = d.run("sync", "exports", "list", "--state", "parked")
	assert.NotContains(t, out, "second")
	out, _ = d.run("event", "show", "first")
	assert.Contains(t, out, "export                   parked, 1 records to copies: towpath sync exports list first")
	out, exit = d.run("sync", "exports", "list", "--state", "lost")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "one of waiting, running, done, parked, discarded")

	for _, wrong := range [][]string{{"again"}, {"again", "first", "--all"}, {"again", "second"}, {"discard", "first"}, {"discard", "second", "--reason", "no"}} {
		out, exit = d.run(append([]string{"sync", "exports"}, wrong...)...)
		assert.Equal(t, exitInput, exit, out)
	}
	out, exit = d.run("sync", "exports", "again", "--all")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "1 requests are carried out again")
	require.NoError(t, d.ParkExports(t.Context(), []int64{open[0].ID}, why, ""))
	out, exit = d.run("sync", "exports", "discard", "first", "--by", "anna", "--reason", "by mistake")
	require.Zero(t, exit, out)
	out, _ = d.run("sync", "exports", "list", "first")
	assert.Regexp(t, `first .*discarded +anna: by mistake`, out)
}
