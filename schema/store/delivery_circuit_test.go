package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/store"
)

// A worker that was thought dead and one that took over make the same attempt:
// what either of them has delivered is delivered.
func TestASuccessCountsBesideAFailure(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1", to("a")))
	s := w.claimDeliveries(t)[0]
	require.True(t, w.beginAttempt(t, s).Go)
	require.True(t, w.beginAttempt(t, s).Go)
	done, err := w.FinishAttempt(t.Context(), outcome(s, store.DeliveryRetrying))
	require.NoError(t, err)
	require.False(t, done.Stale)
	done, err = w.FinishAttempt(t.Context(), outcome(s, store.DeliveryOK))
	require.NoError(t, err)
	assert.False(t, done.Stale)
	assert.Equal(t, map[string]store.DeliveryState{"e1": store.DeliveryOK}, w.states(t, "a"))
	done, err = w.FinishAttempt(t.Context(), outcome(s, store.DeliveryRetrying))
	require.NoError(t, err)
	assert.True(t, done.Stale, "and stays so")
}

func TestFiveFailuresOpenTheCircuitAndOneProbeClosesIt(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	for i := range 8 {
		w.record(t, happened(fmt.Sprintf("e%d", i), "1", to("a")))
	}
	all := w.claimDeliveries(t)
	var began time.Time
	for i := range 5 {
		began = time.Now()
		assert.Equal(t, i == 4, w.fails(t, all[i]), "attempt %d", i)
	}
	a := w.beginAttempt(t, all[5])
	assert.False(t, a.Go)
	assert.Equal(t, "webhook.circuit_open", a.Why)
	ahead(t, time.Minute, began, a.Wait.Time)
	w.record(t, happened("late", "1", to("a")))
	assert.Empty(t, w.claimDeliveries(t), "nothing is started while it is open")

	// A probe that fails: twice as long. Only one of many may probe.
	w.exec(t, `UPDATE endpoint_state SET probe_at = now()`)
	began = time.Now()
	assert.False(t, w.fails(t, all[5]), "open it was before")
	a = w.beginAttempt(t, all[6])
	assert.False(t, a.Go)
	ahead(t, 2*time.Minute, began, a.Wait.Time)

	w.exec(t, `UPDATE endpoint_state SET probe_at = now()`)
	w.succeeds(t, all[6])
	st, err := w.EndpointState(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "closed", st.Circuit)
	assert.Equal(t, 1, st.Width, "gently")
	assert.Zero(t, st.Failures)
	w.exec(t, `UPDATE delivery SET state = 'ok' WHERE state = 'running'`)
	drained := w.claimDeliveries(t)
	require.Len(t, drained, 1)
	w.succeeds(t, drained[0])
	st, err = w.EndpointState(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, 2, st.Width)
}

// An endpoint is not switched off without a word: the event that tells of it is
// stored with it, or neither is.
func TestAnEndpointIsNotSwitchedOffSilently(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a", "pager")
	_, err := w.DisableEndpoint(t.Context(), "a", store.SwitchOff{Why: "gone", Told: happened("told", "a", to("nobody"))})
	require.Error(t, err)
	st, err := w.EndpointState(t.Context(), "a")
	require.NoError(t, err)
	assert.False(t, st.Disabled.Valid)
	for i, id := range []string{"told", "again"} {
		first, err := w.DisableEndpoint(t.Context(), "a", store.SwitchOff{Why: "gone", Told: happened(id, "a", to("pager"))})
		require.NoError(t, err)
		assert.Equal(t, i == 0, first)
	}
	assert.Equal(t, map[string]store.DeliveryState{"told": "ready"}, w.states(t, "pager"), "once")
	_, err = w.OutboundEvent(t.Context(), "again")
	assert.True(t, fault.Is(err, fault.NotFound))
}

// An attempt that finds its endpoint gone switches it off as it is noted, or is
// not noted: nothing lies between.
func TestAnAttemptSwitchesItsEndpointOffAsItIsNoted(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a", "pager")
	w.record(t, happened("e1", "1", to("a")))
	s := w.claimDeliveries(t)[0]
	require.True(t, w.beginAttempt(t, s).Go)
	o := outcome(s, store.DeliveryRetrying)
	o.Off = &store.SwitchOff{Why: "gone", Told: happened("told", "a", to("nobody"))}
	_, err := w.FinishAttempt(t.Context(), o)
	require.Error(t, err)
	assert.Equal(t, map[string]store.DeliveryState{"e1": "running"}, w.states(t, "a"))
	noted, err := w.Attempts(t.Context(), s.ID)
	require.NoError(t, err)
	assert.Empty(t, noted)

	for i, id := range []string{"told", "again"} {
		o.Off = &store.SwitchOff{Why: "gone", Told: happened(id, "a", to("pager"))}
		done, err := w.FinishAttempt(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, i == 0, done.Off)
	}
	st, err := w.EndpointState(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "gone", st.Disabled.String)
	assert.Equal(t, map[string]store.DeliveryState{"e1": "retrying"}, w.states(t, "a"))
	assert.Equal(t, map[string]store.DeliveryState{"told": "ready"}, w.states(t, "pager"), "once")
}

// Whoever is down is unwell; who is down and has something waiting is watched.
func TestEndpointsAreWatchedForWhatWaits(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "well", "idle", "down", "off")
	w.record(t, happened("e1", "1", to("well"), to("down")), happened("e2", "1", to("idle")))
	require.NoError(t, w.Trip(t.Context(), "idle", "anna"))
	require.NoError(t, w.Trip(t.Context(), "down", "anna"))
	_, err := w.Discard(t.Context(), store.DeliveryFilter{Endpoint: "idle"}, "anna")
	require.NoError(t, err)
	_, err = w.DisableEndpoint(t.Context(), "off", store.SwitchOff{Why: "gone", Told: happened("e3", "off")})
	require.NoError(t, err)
	unwell, err := w.UnwellEndpoints(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"down", "idle", "off"}, unwell)
	watched, err := w.EndpointsToWatch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"down", "off"}, watched)
}

// When an endpoint comes back, those whose workflows wait for it go out a few at
// a time, as those do that were never started.
func TestWhatWaitedForAnEndpointComesBackGently(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	for i := range 10 {
		w.record(t, happened(fmt.Sprint("e", i), fmt.Sprint(i), to("a")))
	}
	waiting := w.claimDeliveries(t)
	require.Len(t, waiting, 10)
	for _, s := range waiting[:5] {
		w.fails(t, s)
	}
	for _, s := range waiting[5:] {
		assert.Equal(t, "webhook.circuit_open", w.beginAttempt(t, s).Why)
	}
	w.exec(t, `UPDATE endpoint_state SET probe_at = now()`)
	w.succeeds(t, waiting[0])
	first := w.beginAttempt(t, waiting[1])
	require.True(t, first.Go)
	assert.Equal(t, "webhook.draining", w.beginAttempt(t, waiting[2]).Why, "one at a time")
	_, err := w.FinishAttempt(t.Context(), outcome(waiting[1], store.DeliveryOK))
	require.NoError(t, err)
	assert.True(t, w.beginAttempt(t, waiting[2]).Go)
	assert.True(t, w.beginAttempt(t, waiting[3]).Go, "then two")
	assert.False(t, w.beginAttempt(t, waiting[4]).Go)

	require.NoError(t, w.Reset(t.Context(), "a")) // all are due now
	assert.Empty(t, w.claimDeliveries(t), "two are under way, and one may be")
	_, err = w.FinishAttempt(t.Context(), outcome(waiting[2], store.DeliveryOK))
	require.NoError(t, err)
	_, err = w.FinishAttempt(t.Context(), outcome(waiting[3], store.DeliveryOK))
	require.NoError(t, err)
	told := w.claimDeliveries(t)
	require.NotEmpty(t, told)
	assert.LessOrEqual(t, len(told), 4)
}

func TestACircuitIsHeldByHandUntilReset(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1", to("a")), happened("e2", "2", to("a")))
	s := w.claimDeliveries(t)
	require.NoError(t, w.Trip(t.Context(), "a", "anna"))
	assert.False(t, w.beginAttempt(t, s[0]).Go)
	assert.False(t, w.beginAttempt(t, s[1]).Go)
	require.NoError(t, w.Reset(t.Context(), "a"))
	again := w.claimDeliveries(t)
	require.Len(t, again, 1, "what waited is tried now, gently")
	assert.True(t, again[0].Again)
	w.succeeds(t, again[0])
	assert.True(t, fault.Is(w.Reset(t.Context(), "nobody"), fault.NotFound))
}

func TestRateLimitGivesSlotsInAdvance(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	for i := range 5 {
		w.record(t, happened(fmt.Sprintf("e%d", i), "1", to("a")))
	}
	all := w.claimDeliveries(t)
	begin := func(s store.Starting) store.Attempt {
		a, err := w.BeginAttempt(t.Context(), s.ID, 1, time.Hour, 2, time.Second)
		require.NoError(t, err)
		return a
	}
	began := time.Now()
	assert.True(t, begin(all[0]).Go)
	assert.True(t, begin(all[1]).Go, "a burst of two")
	for i := 2; i < 5; i++ {
		a := begin(all[i])
		assert.False(t, a.Go)
		assert.Equal(t, "webhook.paced", a.Why)
		ahead(t, time.Duration(i-1)*time.Hour, began, a.Wait.Time) // each its own slot
	}
	w.exec(t, `UPDATE delivery SET reserved_at = now() WHERE id = $1`, all[2].ID)
	assert.True(t, begin(all[2]).Go, "whose slot has come goes")
	assert.False(t, begin(all[3]).Go)
}

func TestRetryAfterHoldsTheEndpointNotItsDeliveriesForEver(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1", to("a")), happened("e2", "2", to("a")), happened("e3", "3", to("a")))
	all := w.claimDeliveries(t)
	require.True(t, w.beginAttempt(t, all[0]).Go)
	o := outcome(all[0], store.DeliveryRetrying)
	o.Cooldown, o.Status = 10*time.Minute, 429
	began := time.Now()
	_, err := w.FinishAttempt(t.Context(), o)
	require.NoError(t, err)
	a := w.beginAttempt(t, all[1])
	assert.Equal(t, "webhook.retry_after", a.Why)
	ahead(t, 10*time.Minute, began, a.Wait.Time)
	w.exec(t, `UPDATE endpoint_state SET cool_until = now()`)
	w.succeeds(t, all[1])
}
