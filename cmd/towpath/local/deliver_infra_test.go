package local_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
)

// TestDeliveriesWhileTemporalIsDown: for a minute there is no Temporal, and
// then its database is lost. Events are kept meanwhile, and told after it.
func TestDeliveriesWhileTemporalIsDown(t *testing.T) {
	lengthy(t)
	ordered, orders := usual(t)
	w := telling(t, local.Options{}, ordered, orders)
	w.happen(60, 12)
	w.awaitTaken(ordered, 20)
	require.NoError(t, w.Temporal.Kill())
	w.happen(120, 12)
	time.Sleep(time.Minute) // the outage itself
	require.NoError(t, w.Temporal.Start(w.ctx))
	w.awaitTaken(ordered, 100)
	wait := w.happening(120, 12)
	require.NoError(t, w.Temporal.Wipe(w.ctx))
	wait()
	for w.count(undelivered) > 0 { // five minutes of silence pass, again and again
		w.hurryDeliveries()
		time.Sleep(3 * time.Second)
		require.NoError(t, w.ctx.Err(), w.waiting())
	}
	w.allTold()
	ordered.eachWaited()
}

// TestDeliveriesWhilePostgresRestarts kills PostgreSQL with -9 again and again.
// What was sent and could not be noted is sent again.
func TestDeliveriesWhilePostgresRestarts(t *testing.T) {
	lengthy(t)
	ordered, orders := usual(t)
	w := telling(t, local.Options{}, ordered, orders)
	wait := w.happening(300, 25)
	for life := range 3 {
		w.awaitTaken(ordered, 50*(life+1))
		require.NoError(t, w.PG.Kill())
		require.NoError(t, w.PG.Start(w.ctx))
	}
	wait()
	w.delivered(patience)
	w.allTold()
	ordered.eachWaited()
}

// TestTwoWorkersDeliver: both tell, one is killed, the other is replaced as by a
// deployment, and nothing is lost or out of order. Being stopped is no failure of
// the receivers.
func TestTwoWorkersDeliver(t *testing.T) {
	lengthy(t)
	ordered, orders := usual(t)
	w := telling(t, local.Options{Workers: 2}, ordered, orders)
	wait := w.happening(400, 20)
	for life, end := range []func() error{w.Worker[0].Kill, w.Worker[1].Stop} {
		w.awaitTaken(ordered, 60*(life+1))
		require.NoError(t, end())
		require.NoError(t, w.Worker[life].Start(w.ctx))
	}
	wait()
	w.delivered(patience)
	w.allTold()
	ordered.eachWaited()
	assert.Zero(t, w.count(`SELECT count(*) FROM endpoint_state WHERE circuit <> 'closed' OR failures > 0`))
	for _, worker := range w.Worker {
		assert.True(t, logged(worker.LogPath(), "delivery attempt"), "%s did nothing", worker.Name())
	}
}
