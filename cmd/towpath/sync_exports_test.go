package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/jobs"
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

func TestExportRouting(t *testing.T) {
	d := newDesk(t)
	fastWatch(t)
	c, _ := d.withTemporal()
	d.applied()
	for name, direction := range map[string]jobs.Direction{"out": jobs.Export, "both": jobs.Bidirectional, "in": jobs.Import, "off": jobs.Export} {
		raw, err := json.Marshal(jobs.Job{Name: name, Source: "supplier", Target: "copies", Kind: jobs.Product, Direction: direction, Mapping: name})
		require.NoError(t, err)
		_, err = d.PutJob(t.Context(), store.Job{Name: name, Source: "supplier", Target: "copies", Kind: jobs.Product, Spec: raw, Active: name != "off"})
		require.NoError(t, err)
		m := `{"source": "shop.product", "target": "product.product", "fields": []}`
		if direction == jobs.Bidirectional {
			m = `{"source": "product.product", "target": "shop.product", "fields": []}`
		}
		_, _, err = d.PutMapping(t.Context(), name, json.RawMessage(m), name)
		require.NoError(t, err)
	}
	out, exit := d.run("sync", "export", "product.product", "--ids", " ,")
	assert.Equal(t, exitProof, exit)
	assert.Contains(t, out, "warning: no records are named, nothing was exported")
	out, exit = d.run("sync", "export", "stock.picking", "--ids", "1", "--to", "copies")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "towpath: Export not implemented for model stock.picking in connector copies\n")
	out, exit = d.run("sync", "export", "product.product", "--ids", "1", "--to", "supplier")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "Export not implemented for model product.product in connector supplier")

	b := d.engine(c, &engine{ending: jobs.Partial})
	out, exit = d.run("sync", "export", "product.product", "--ids", "1,2")
	assert.Equal(t, exitProof, exit, "three records were parked")
	assert.Equal(t, []string{"1", "2"}, b.input.Load().Only)
	for _, job := range []string{"both", "out"} {
		assert.Contains(t, out, "warning: to copies by "+job+": 1190 exported (1000 created), 7 skipped, 3 errors; skipped: 7 no_export\n")
	}
	assert.NotContains(t, out, "by in:")
	assert.NotContains(t, out, "by off:")
	words, warn := jobs.Counts{Fetched: 2, Created: 1, Unchanged: 1}.ExportWords(3)
	assert.Equal(t, "2 exported (1 created), 0 skipped, 1 errors; 1 not found in Odoo", words)
	assert.True(t, warn)
	_, warn = jobs.Counts{Fetched: 3, Created: 1, Unchanged: 1, Skipped: map[string]int64{"no_export": 1}}.ExportWords(3)
	assert.False(t, warn)
}
