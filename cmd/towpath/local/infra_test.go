package local_test

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	shopsim "towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/scenario"
)

const received = `SELECT count(*) FROM inbound_event`

// TestTemporalRestartedUnderLoad kills Temporal with -9 again and again while
// orders come in, and starts it again: everything arrives, nothing twice.
func TestTemporalRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	d := rush(400, 300)
	wait := w.begin(d)
	for life := range 3 {
		w.taken(60 * (life + 1))
		require.NoError(t, w.Temporal.Kill())
		require.NoError(t, w.Temporal.Start(w.ctx))
	}
	wait()
	w.noneRefused(d.Deliveries)
	w.settleHurried()
	w.holds()
}

// TestWebhooksAreTakenWhileTemporalIsDown: for more than twenty seconds there
// is no Temporal, and every webhook is answered 202 at its first attempt.
func TestWebhooksAreTakenWhileTemporalIsDown(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	before, meanwhile := rush(410, 60), rush(411, 160)
	w.expect = slices.Concat(before.Expect, meanwhile.Expect)
	w.sendAll(before.Deliveries)
	require.NoError(t, w.Temporal.Kill())
	var took []time.Duration
	w.evenly(meanwhile.Deliveries, 22*time.Second, func(r shopsim.Result) {
		assert.Equal(t, http.StatusAccepted, r.Status)
		took = append(took, r.Took)
	})
	assert.Less(t, percentile(took, 50), 2*time.Second, "a sender waits for nothing but the commit, though a busy machine may hold up many")
	waiting := w.count(`SELECT count(*) FROM inbound_event WHERE state = 'pending'`)
	assert.GreaterOrEqual(t, waiting, len(meanwhile.Deliveries), "nobody could work on them")
	require.NoError(t, w.Temporal.Start(w.ctx))
	w.settleHurried()
	w.noneRefused(slices.Concat(before.Deliveries, meanwhile.Deliveries))
	w.holds()
}

// TestTemporalsDatabaseLost: all workflows are gone in the middle of their
// work. The dispatch table brings every order back.
func TestTemporalsDatabaseLost(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	d := day(420, 150)
	w.expect = d.Expect
	for n, phase := range d.Phases() {
		wait := w.during(phase)
		before := w.count(received)
		w.taken(before + len(phase)/3)
		require.NoError(t, w.Temporal.Wipe(w.ctx))
		wait()
		w.settleHurried() // the bells that were lost are rung again
		if n == 0 {
			w.mapProducts(d.Mappings)
			w.settle(patience)
		}
	}
	w.holds()
}

// TestPostgresRestartedUnderLoad kills PostgreSQL with -9 while orders come
// in: no 202 is false, and what got none is sent again by its sender.
func TestPostgresRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	w := watched(t, local.Options{})
	wait := w.begin(rush(430, 300))
	for life := range 3 {
		w.taken(80 * (life + 1))
		require.NoError(t, w.PG.Kill())
		require.NoError(t, w.PG.Start(w.ctx))
	}
	wait()
	again := 0
	for _, r := range w.sent {
		assert.True(t, r.OK(), "given up after %d attempts: %d %v", r.Attempts, r.Status, r.Err)
		if r.Attempts > 1 {
			again++
		}
	}
	assert.NotZero(t, again, "PostgreSQL was never away from a sender's view")
	w.settleHurried()
	w.holds()
}

// taken waits until the inbox holds so many events.
func (w *world) taken(n int) {
	w.t.Helper()
	w.eventually(patience, "webhooks are taken", func() bool { return w.count(received) >= n })
}

// evenly sends deliveries, spread over a time; each again only while the machine
// is too slow for a commit in time.
func (w *world) evenly(list []scenario.Delivery, over time.Duration, check func(shopsim.Result)) {
	w.t.Helper()
	tick := time.NewTicker(over / time.Duration(len(list)))
	defer tick.Stop()
	for _, d := range list {
		late, attempts := w.tooLate(), 1
		r, err := w.Shop.Send(w.ctx, d.Delivery)
		for ; w.tooLate() > late; attempts++ {
			late = w.tooLate()
			r, err = w.Shop.Send(w.ctx, d.Delivery)
		}
		require.NoError(w.t, err)
		r.Attempts = attempts
		check(r)
		w.mu.Lock()
		w.sent = append(w.sent, r)
		w.mu.Unlock()
		<-tick.C
	}
}

// tooLate counts the webhooks that were refused for no other reason than that
// their commit took seconds, which a machine that stands still brings about.
func (w *world) tooLate() int {
	w.t.Helper()
	text, err := os.ReadFile(w.API.LogPath())
	require.NoError(w.t, err)
	return bytes.Count(text, []byte(`"fault":"inbox.timeout"`))
}

// noneRefused says that each delivery was taken at its first attempt, but for
// those that were too late.
func (w *world) noneRefused(list []scenario.Delivery) {
	w.t.Helper()
	again := 0
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.Len(w.t, w.sent, len(list))
	for _, r := range w.sent {
		assert.Equal(w.t, http.StatusAccepted, r.Status)
		again += r.Attempts - 1
	}
	assert.LessOrEqual(w.t, again, w.tooLate(), "webhooks that were sent again")
}
