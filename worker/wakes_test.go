package worker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"towpath/schema/jobs"
	"towpath/schema/seal"
	"towpath/schema/storetest"
)

// What Odoo tells starts the jobs that carry it, soon and not too often, and
// never against an operator's pause.
func TestEventsStartTheJobsThatCarryThem(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	st := storetest.Open(t)
	ring, err := seal.ParseRing("k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	require.NoError(t, err)
	for name, kind := range map[string]string{"files": "csv", "main-odoo": "odoo"} {
		_, err := st.PutConnection(t.Context(), ring, name, kind, json.RawMessage(`{}`), nil)
		require.NoError(t, err)
	}
	_, _, err = st.PutMapping(t.Context(), "m", json.RawMessage(`{"name":"m","source":"products.csv","target":"product.product"}`), "d")
	require.NoError(t, err)
	for name, on := range map[string]bool{"told": true, "paused": true, "by-clock": false} {
		j := jobs.Job{Name: name, Source: "main-odoo", Target: "files", Kind: jobs.Product, Direction: jobs.Export, Mapping: "m", OnEvent: on}
		stored := storedJob(t, j, true)
		_, err := st.PutJob(t.Context(), stored)
		require.NoError(t, err)
		ensureJobs(t, c, opt, stored)
		if name != "paused" {
			require.NoError(t, c.ScheduleClient().GetHandle(t.Context(), "sync/"+name).Unpause(t.Context(), client.ScheduleUnpauseOptions{}))
		}
	}
	w := wakes{process: &process{Deps: Deps{Temporal: c, Options: opt, Store: st, Log: zerolog.Nop()}}, connection: "main-odoo"}
	runs := func(job string) int {
		return describe(t, c.ScheduleClient().GetHandle(t.Context(), "sync/"+job)).Info.NumActions
	}
	assert.Zero(t, w.wake(t.Context()), "nothing was told: who pulls waits as long as it likes")
	w.note([]string{"res.partner"})
	assert.Zero(t, w.wake(t.Context()))
	assert.Zero(t, runs("told"), "no job carries partners")

	w.last = time.Time{}
	w.note([]string{"product.product", "sale.order"})
	w.wake(t.Context())
	require.Eventually(t, func() bool { return runs("told") == 1 }, patience, 50*time.Millisecond)
	assert.Zero(t, runs("paused"))
	assert.Zero(t, runs("by-clock"))

	w.note([]string{"product.product"})
	wait := w.wake(t.Context())
	assert.Positive(t, wait)
	assert.LessOrEqual(t, wait, wakeEvery, "what happens at once is one run, a little later")
	assert.NotEmpty(t, w.models)

	w.connection, w.last = "another", time.Time{}
	w.wake(t.Context())
	assert.Empty(t, w.models)
}
