package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/store"
)

// Whoever changes deliveries of a stream takes the stream's lock first: else an
// attempt that was made could not be noted, and would be made again.
func TestNobodyWaitsForEachOther(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	latest := inOrder("a", "s")
	latest.Collapse = true
	const rounds = 150
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() { // events come in, and supersede those that wait
		defer close(done)
		for i := range rounds {
			_, err := w.Record(t.Context(), "odoo", []store.OutboundEvent{happened(fmt.Sprintf("e%d", i), "1", latest)}, "")
			assert.NoError(t, err)
		}
	})
	wg.Go(func() { // somebody gives up what waits
		for open(done) {
			_, err := w.Discard(t.Context(), store.DeliveryFilter{Endpoint: "a", States: []store.DeliveryState{store.DeliveryWaiting}}, "me")
			assert.NoError(t, err)
		}
	})
	wg.Go(func() { // the circuit is reset again and again
		for open(done) {
			assert.NoError(t, w.Reset(t.Context(), "a"))
		}
	})
	for range 2 {
		wg.Go(func() { // attempts are made and noted; some of them say that they will come back
			for n := 0; open(done); n++ {
				all, err := w.ClaimDeliveries(t.Context(), 10)
				assert.NoError(t, err)
				for _, s := range all {
					a, err := w.BeginAttempt(t.Context(), s.ID, s.Generation, time.Microsecond, 1000, time.Second)
					if !assert.NoError(t, err) || !a.Go {
						continue
					}
					o := outcome(s, store.DeliveryOK)
					if n%3 == 0 {
						o = outcome(s, store.DeliveryRetrying)
						o.DueAt = time.Now().Add(-time.Hour)
						o.Broken = true
					}
					o.Ordered = a.Ordered
					_, _, err = w.FinishAttempt(t.Context(), o)
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	for range 20 { // nothing is left behind
		for _, s := range w.claimDeliveries(t) {
			w.succeeds(t, s)
		}
	}
	for id, state := range w.states(t, "a") {
		require.NotContains(t, []store.DeliveryState{store.DeliveryWaiting, store.DeliveryReady}, state, id)
	}
}

func open(done chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}
