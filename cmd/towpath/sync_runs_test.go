package main

import (
	"database/sql"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func TestSyncLogIsTold(t *testing.T) {
	d := newDesk(t)
	d.applied()
	out, exit := d.run("sync", "runs", "products")
	require.Zero(t, exit)
	assert.Contains(t, out, "products has never run")
	ctx := t.Context()
	require.NoError(t, d.openRun(ctx, "sync/products-1", contract.SyncInput{Job: "products", Purpose: contract.PurposePlan, By: "anna", Reason: "first look"}))
	require.NoError(t, d.endRun(ctx, "sync/products-1", "partial"))
	require.NoError(t, d.openRun(ctx, "sync/products-2", contract.SyncInput{Job: "products"}))
	require.NoError(t, d.Ask(ctx, "sync/products-2", "pause", "ben", "stock-taking", false))

	out, exit = d.run("sync", "runs", "products")
	require.Zero(t, exit)
	assert.Regexp(t, `(?m)^20\S+ \S+ +\d\d:\d\d:\d\d +\d+s +incremental, plan +partial +1200 +1190 +3 +7 +1,197 of 1,200 records are in step$`, out)
	assert.Regexp(t, `(?m)^20\S+ \S+ +\d+s +incremental +running +1200 +1190 +3 +7`, out)
	assert.Less(t, strings.Index(out, "running"), strings.Index(out, "partial"), "newest first")
	out, _ = d.run("sync", "runs", "products", "--limit", "1")
	assert.NotContains(t, out, "partial")

	out, exit = d.run("sync", "show", "sync/products-1")
	require.Zero(t, exit)
	for _, line := range []string{
		"run         sync/products-1\n", "job         products, revision 1: product, supplier → copies\n", "asked by    anna: first look\n",
		"mode        incremental, plan: nothing is written, what would be is kept as a plan\n", "mapping     products, version 1\n",
		"window      changed since ", "status      partial\n            1,197 of 1,200 records are in step\n",
		"source has  2,000 records in the window when the run began, 2,001 when it ended\n",
		"records     1,200 fetched, 1,000 created, 190 unchanged, 7 skipped, 3 parked\n", "skipped     7 no_export\n",
		"3 records would be parked, the others synced. By cause:\n",
		"     1 × a required field is empty (field Name)\n         what to do: fill it in at the source\n         for example A-3 (mapping.empty_required)\n",
	} {
		assert.Contains(t, out, line)
	}
	out, exit = d.run("sync", "show", "products")
	require.Zero(t, exit)
	assert.Contains(t, out, "run         sync/products-2\n", "the newest")
	assert.Contains(t, out, "asked by    its schedule\n")
	assert.Contains(t, out, "steered     ben asked to pause: stock-taking\n")
	assert.Contains(t, out, "parked of products at this moment, by cause:\n     1 × a required field is empty (field Name)\n")
	out, exit = d.run("sync", "list")
	require.Zero(t, exit)
	assert.Regexp(t, `running for \d+s, pause asked for`, out)
	assert.Contains(t, out, "until ", "the proved run has moved the watermark")

	require.NoError(t, d.endRun(ctx, "sync/products-2", "stopped"))
	out, _ = d.run("sync", "show", "sync/products-2")
	assert.NotContains(t, out, "when it ended", "it did not come to count again")
	require.NoError(t, d.LogUnopened(ctx, store.Run{
		ID: "sync/products-3", Job: "products", Purpose: contract.PurposePlan, By: "carl", Reason: "month end",
		Code: "odoo.key_refused", Sentence: "it did not begin: Odoo refuses the API key",
	}))
	out, _ = d.run("sync", "show", "sync/products-3")
	for _, line := range []string{"fault       odoo.key_refused\n", "asked by    carl: month end\n", "mode        full, plan: nothing is written"} {
		assert.Contains(t, out, line)
	}
	for _, unknown := range []string{"mapping", "window", "source has"} {
		assert.NotContains(t, out, unknown, "nothing is known of it")
	}
	out, _ = d.run("sync", "plan", "products")
	assert.Contains(t, out, "the plan of sync/products-1", "what did not begin made no plan")
}

// A run that a limit has stopped does nothing until a person decides: lists and
// details say so, and how.
func TestRunsThatALimitStoppedWaitForAPerson(t *testing.T) {
	d := newDesk(t)
	d.applied()
	require.NoError(t, d.openRun(t.Context(), "sync/products-1", contract.SyncInput{Job: "products"}))
	const limit = "2,001 records would be created, the limit is 2000 (limits.max_creates)"
	require.NoError(t, d.Halt(t.Context(), "sync/products-1", limit))
	const waits = "is stopped by a limit: " + limit + "\n"
	out, _ := d.run("sync", "list")
	assert.Contains(t, out, "stopped by a limit, waits for you  ")
	assert.Contains(t, out, "products "+waits+"  waiting for you: raise it and towpath sync resume products; or resume --beyond-limits; or towpath sync abort products --reason WHY\n")
	assert.NotContains(t, out, "running")
	out, _ = d.run("sync", "show", "products")
	assert.Contains(t, out, "status      running\n            "+waits+"              waiting for you: ")
	out, _ = d.run("sync", "runs", "products")
	assert.Regexp(t, `(?m) waits for you +1200 .* `+regexp.QuoteMeta(limit)+`$`, out)

	require.NoError(t, d.Ask(t.Context(), "sync/products-1", "pause", "ben", "", false))
	out, _ = d.run("sync", "show", "products")
	assert.Contains(t, out, waits, "a pause decides nothing")
	require.NoError(t, d.Ask(t.Context(), "sync/products-1", "resume", "ben", "", true))
	out, _ = d.run("sync", "show", "products")
	assert.NotContains(t, out, "limit:")
	out, _ = d.run("sync", "list")
	assert.Contains(t, out, "running for")
}

func TestInStepIsTheOlderWatermark(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	mark := func(age time.Duration) sql.NullTime { return sql.NullTime{Time: now.Add(-age), Valid: true} }
	both := jobs.Job{Direction: jobs.Bidirectional}
	assert.Equal(t, "never yet", inStep(store.Job{}, jobs.Job{}, now))
	assert.Equal(t, "until 2m ago", inStep(store.Job{Watermark: mark(2 * time.Minute)}, jobs.Job{}, now))
	assert.Equal(t, "never yet", inStep(store.Job{Watermark: mark(2 * time.Minute)}, both, now), "the way back was never made")
	assert.Equal(t, "until 5m ago", inStep(store.Job{Watermark: mark(2 * time.Minute), WatermarkBack: mark(5 * time.Minute)}, both, now))
}
