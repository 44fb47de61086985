package store_test

import (
	"database/sql"
	"encoding/json"
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
	w := newWorld(t).withEndpoints(t, "a", "b")
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
	wg.Go(func() { // whether a parked one holds the stream is changed to and fro, and the endpoint is switched off
		for n := 0; open(done); n++ {
			assert.NoError(t, w.HoldStreams(t.Context(), "a", n%2 == 0))
			_, err := w.DisableEndpoint(t.Context(), "a", store.SwitchOff{Why: "gone", Told: happened(fmt.Sprintf("off%d", n), "a", inOrder("a", "s"), to("b"))})
			assert.NoError(t, err)
			assert.NoError(t, w.SwitchEndpoint(t.Context(), "a", true))
		}
	})
	wg.Go(func() { // what was given up is told again
		states := []store.DeliveryState{store.DeliverySuperseded, store.DeliveryDiscarded}
		for open(done) {
			page, _, err := w.EventsToRetell(t.Context(), "a", time.Time{}, time.Time{}, nil, states, 0, 5)
			if !assert.NoError(t, err) || len(page) == 0 {
				continue
			}
			var again []store.OutboundEvent
			for _, e := range page {
				e.Receivers = []store.Receiver{inOrder("a", "s")}
				again = append(again, e.OutboundEvent)
			}
			_, _, err = w.Retell(t.Context(), "a", again, states, "me")
			assert.NoError(t, err)
		}
	})
	for worker := range 2 {
		wg.Go(func() { // attempts are made and noted; some of them say that they will come back
			for n := 0; open(done); n++ {
				all, err := w.ClaimDeliveries(t.Context(), 10, 10)
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
					if n%5 == 0 { // 410: it goes out when the endpoint is on again
						o.Off = &store.SwitchOff{Why: "gone", Told: happened(fmt.Sprintf("gone%d-%d", worker, n), "a", inOrder("a", "s"), to("b"))}
					}
					_, err = w.FinishAttempt(t.Context(), o)
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, w.SwitchEndpoint(t.Context(), "a", true))
	require.NoError(t, w.Reset(t.Context(), "a"))
	for idle := 0; idle < 20; idle++ { // nothing is left behind
		for _, s := range w.claimDeliveries(t) {
			w.succeeds(t, s)
			idle = 0
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

// A slot of the rate limit that was not used when it came is nobody's: or all
// that waited for a circuit would go out at once when it closes.
func TestSlotsThatWereMissedAreForfeited(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	for i := range 3 {
		w.record(t, happened(fmt.Sprintf("e%d", i), "1", to("a")))
	}
	all := w.claimDeliveries(t)
	require.Len(t, all, 3)
	begin := func(s store.Starting) store.Attempt {
		a, err := w.BeginAttempt(t.Context(), s.ID, s.Generation, 10*time.Second, 1, time.Second)
		require.NoError(t, err)
		return a
	}
	require.True(t, begin(all[0]).Go)
	for _, s := range all[1:] {
		require.Equal(t, "webhook.paced", begin(s).Why)
	}
	_, err := w.db.ExecContext(t.Context(), `UPDATE delivery SET reserved_at = reserved_at - interval '1 hour'`)
	require.NoError(t, err)
	_, err = w.db.ExecContext(t.Context(), `UPDATE endpoint_state SET paced_at = paced_at - interval '1 hour'`)
	require.NoError(t, err)
	assert.True(t, begin(all[1]).Go)
	late := begin(all[2])
	assert.False(t, late.Go)
	assert.Equal(t, "webhook.paced", late.Why)
}

// What a slower rate has promised ahead does not bind a faster one.
func TestAChangedEndpointIsPacedAnew(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	_, err := w.db.ExecContext(t.Context(), `UPDATE endpoint_state SET paced_at = now() + interval '1 day'`)
	require.NoError(t, err)
	w.record(t, happened("e1", "1", to("a")))
	require.Empty(t, w.claimDeliveries(t))
	_, err = w.PutEndpoint(t.Context(), w.ring, "a", json.RawMessage(`{"url":"https://a.example","rate":{"limit":100}}`), nil, true)
	require.NoError(t, err)
	require.Len(t, w.claimDeliveries(t), 1)
}

// Active again by a file, too: what waits for its next attempt is tried now, and
// all secrets of the file sign.
func TestAnEndpointThatIsAppliedAnew(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1", to("a")))
	s := w.claimDeliveries(t)[0]
	require.NoError(t, w.SwitchEndpoint(t.Context(), "a", false))
	require.Equal(t, "webhook.disabled", w.beginAttempt(t, s).Why)
	require.NoError(t, w.PutEndpointSecrets(t.Context(), w.ring, "a", map[string]json.RawMessage{"signing": json.RawMessage(`["one"]`)}, sql.NullTime{Time: time.Now().UTC(), Valid: true}))
	_, err := w.PutEndpoint(t.Context(), w.ring, "a", json.RawMessage(`{"url":"https://a.example"}`), map[string]json.RawMessage{"signing": json.RawMessage(`["two","one"]`)}, true)
	require.NoError(t, err)
	again := w.claimDeliveries(t)
	require.Len(t, again, 1)
	assert.True(t, again[0].Again)
	e, err := w.Endpoint(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, e.OldUntil.Valid)
}

// Many are steered some at a time, none is left out or taken twice, and a limit
// holds.
func TestManyAreSteeredSomeAtATime(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	var events []store.OutboundEvent
	for i := range 2345 {
		events = append(events, happened(fmt.Sprintf("e%d", i), "1", inOrder("a", fmt.Sprint(i%7))))
	}
	w.record(t, events...)
	f := store.DeliveryFilter{Endpoint: "a"}
	n, err := w.Discard(t.Context(), store.DeliveryFilter{Endpoint: "a", Limit: 1001}, "me")
	require.NoError(t, err)
	assert.EqualValues(t, 1001, n)
	n, err = w.Discard(t.Context(), f, "me")
	require.NoError(t, err)
	assert.EqualValues(t, 2345-1001, n)
	n, err = w.Redeliver(t.Context(), f, "me", 5)
	require.NoError(t, err)
	assert.EqualValues(t, 2345, n)
	all, err := w.Deliveries(t.Context(), f)
	require.NoError(t, err)
	ready := 0
	for _, d := range all {
		require.Equal(t, 3, d.Generation)
		if d.State == store.DeliveryReady {
			ready++
		}
	}
	assert.Equal(t, 7, ready, "the head of each stream")
	s, err := w.EndpointState(t.Context(), "a")
	require.NoError(t, err)
	assert.EqualValues(t, 2345, s.Open)
	assert.Zero(t, s.Parked)
}

// An endpoint that fails for some events and works for others goes on getting
// new ones, however many wait for their next attempt.
func TestManyThatFailDoNotStarveTheOthers(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	var events []store.OutboundEvent
	for i := range 1001 {
		events = append(events, happened(fmt.Sprintf("e%d", i), "1", to("a")))
	}
	w.record(t, events...)
	_, err := w.db.ExecContext(t.Context(), `UPDATE delivery SET state = 'retrying', due_at = now() + interval '1 day'`)
	require.NoError(t, err)
	for _, id := range []string{"new1", "new2"} {
		w.record(t, happened(id, "1", to("a")))
	}
	for range 2 {
		all := w.claimDeliveries(t)
		require.Len(t, all, 1, "one at a time")
		require.Empty(t, w.claimDeliveries(t))
		w.succeeds(t, all[0])
	}
}
