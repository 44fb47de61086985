package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/workflows/contract"
)

func TestSyncIsClearWithoutTemporal(t *testing.T) {
	d := newDesk(t)
	out, exit := d.run("sync", "list")
	require.Zero(t, exit)
	assert.Contains(t, out, "there are no jobs")
	d.applied()
	out, exit = d.run("sync", "list")
	require.Zero(t, exit)
	assert.Regexp(t, `04:30 Europe/Paris +none +never yet +\?`, out)
	assert.Contains(t, out, "Temporal does not answer at 127.0.0.1:1, so what is paused or comes next is not known")
	for _, args := range [][]string{
		{"sync", "run", "products"}, {"sync", "resume-schedule", "products"}, {"sync", "pause-schedule", "products"}, {"sync", "backfill", "products", "--from", "2026-01-01"},
	} {
		out, exit = d.run(args...)
		assert.Equal(t, exitFailed, exit, args)
		assert.Contains(t, out, "Temporal does not answer at 127.0.0.1:1", args)
		assert.Contains(t, out, "what to do: check that the server runs", args)
	}
	for _, args := range [][]string{
		{"sync", "run", "none"}, {"sync", "watch", "none"}, {"sync", "runs", "none"}, {"sync", "show", "none"}, {"sync", "pause", "none"}, {"sync", "resume-schedule", "none"},
	} {
		out, exit = d.run(args...)
		assert.Equal(t, exitInput, exit, args)
		assert.Contains(t, out, `there is no job "none"`, args)
	}
	out, exit = d.run("sync", "run", "products", "--mode", "some")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "use full, incremental or reconcile")
	out, exit = d.run("sync", "show", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "run it: towpath sync run products")
	out, exit = d.run("sync", "export", "stock.picking", "--ids", "1")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "no active job exports stock.picking, to whichever connection")
	assert.Contains(t, out, "add a job with direction: export whose mapping reads stock.picking to towpath.yaml; --to CONNECTION asks about one connection only")
	out, _ = d.run("sync", "export", "stock.picking", "--ids", "1", "--to", "copies")
	assert.Contains(t, out, "Export not implemented for model stock.picking in connector copies")
	out, exit = d.run("sync", "show", "sync/products-x")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "towpath sync runs JOB")
	require.NoError(t, d.openRun(t.Context(), "sync/products-1", contract.SyncInput{Job: "products"}))
	out, exit = d.run("sync", "abort", "products", "--reason", "why")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, "Temporal does not answer")
}
