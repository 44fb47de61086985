package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/store"
)

// withEndpoints adds endpoints to a world that have worked for a while.
func (w *world) withEndpoints(t testing.TB, names ...string) *world {
	t.Helper()
	for _, name := range names {
		_, err := w.PutEndpoint(t.Context(), w.ring, name, json.RawMessage(`{"url":"https://`+name+`.example"}`), nil, true)
		require.NoError(t, err)
		_, err = w.db.ExecContext(t.Context(), `UPDATE endpoint_state SET width = 20 WHERE endpoint = $1`, name)
		require.NoError(t, err)
	}
	return w
}

// happened is an event of a record, for endpoints.
func happened(id, recordID string, to ...store.Receiver) store.OutboundEvent {
	return store.OutboundEvent{
		ID: id, Connection: "odoo", Type: "sale.order.updated", Model: "sale.order", RecordID: recordID, Content: `{"ID":"` + id + `"}`,
		OccurredAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Receivers: to,
	}
}

func to(endpoint string) store.Receiver { return store.Receiver{Endpoint: endpoint} }

func inOrder(endpoint, stream string) store.Receiver {
	return store.Receiver{Endpoint: endpoint, Stream: stream, Holds: true}
}

func (w *world) record(t testing.TB, events ...store.OutboundEvent) int {
	t.Helper()
	fresh, err := w.Record(t.Context(), "odoo", events, "")
	require.NoError(t, err)
	return fresh
}

func (w *world) claimDeliveries(t testing.TB) []store.Starting {
	t.Helper()
	all, err := w.ClaimDeliveries(t.Context(), 1000, 1000)
	require.NoError(t, err)
	return all
}

func (w *world) beginAttempt(t testing.TB, s store.Starting) store.Attempt {
	t.Helper()
	a, err := w.BeginAttempt(t.Context(), s.ID, s.Generation, 0, 1, 15*time.Second)
	require.NoError(t, err)
	return a
}

// outcome is how an attempt went, with the circuit of requirements A16.
func outcome(s store.Starting, state store.DeliveryState) store.Outcome {
	o := store.Outcome{
		Delivery: s.ID, Generation: s.Generation, Endpoint: s.Endpoint, Type: s.Type, Attempt: 1, State: state, Took: 30 * time.Millisecond,
		Outcome: "delivered", Status: 200, Success: true, Threshold: 5, Recovery: time.Minute, RecoverMax: 15 * time.Minute,
	}
	if state != store.DeliveryOK && state != store.DeliveryAccepted {
		o.Outcome, o.Status, o.Success, o.Failed, o.Code, o.DueAt = "retry", 500, false, true, "webhook.status", time.Now().Add(time.Minute)
	}
	return o
}

// fails makes one attempt that finds the endpoint broken.
func (w *world) fails(t testing.TB, s store.Starting) (tripped bool) {
	t.Helper()
	a := w.beginAttempt(t, s)
	require.True(t, a.Go, a.Why)
	o := outcome(s, store.DeliveryRetrying)
	o.Broken, o.Probe, o.Ordered = true, a.Probe, a.Ordered
	done, err := w.FinishAttempt(t.Context(), o)
	require.NoError(t, err)
	require.False(t, done.Stale)
	return done.Tripped
}

func (w *world) succeeds(t testing.TB, s store.Starting) {
	t.Helper()
	a := w.beginAttempt(t, s)
	require.True(t, a.Go, a.Why)
	o := outcome(s, store.DeliveryOK)
	o.Probe, o.Ordered = a.Probe, a.Ordered
	done, err := w.FinishAttempt(t.Context(), o)
	require.NoError(t, err)
	require.False(t, done.Stale)
}

func (w *world) parks(t testing.TB, s store.Starting) {
	t.Helper()
	parked, err := w.ParkDelivery(t.Context(), s.ID, s.Generation, fault.New(fault.Invalid, "webhook.x", "x"))
	require.NoError(t, err)
	require.Equal(t, s.Type, parked.Type)
}

func (w *world) states(t testing.TB, endpoint string) map[string]store.DeliveryState {
	t.Helper()
	all, err := w.Deliveries(t.Context(), store.DeliveryFilter{Endpoint: endpoint})
	require.NoError(t, err)
	states := map[string]store.DeliveryState{}
	for _, d := range all {
		states[d.Event] = d.State
	}
	return states
}

func TestAnEventIsStoredOnceWithItsDeliveries(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a", "b")
	assert.Equal(t, 2, w.record(t, happened("e1", "1", to("a"), to("b")), happened("e2", "2", to("a")), happened("e1", "1", to("a"))))
	assert.Equal(t, 1, w.record(t, happened("e2", "2", to("a"), to("b")), happened("e3", "3")), "e2 is known; nothing is added to it")
	assert.Equal(t, map[string]store.DeliveryState{"e1": "ready", "e2": "ready"}, w.states(t, "a"))
	assert.Equal(t, map[string]store.DeliveryState{"e1": "ready"}, w.states(t, "b"))

	copied := happened("e1", "1", to("a"))
	copied.Connection = "shop"
	_, err := w.Record(t.Context(), "shop", []store.OutboundEvent{copied, happened("e9", "1")}, "")
	assert.Equal(t, "webhook.event_taken", fault.Of(err).Code)
	_, err = w.OutboundEvent(t.Context(), "e9")
	assert.True(t, fault.Is(err, fault.NotFound), "nothing of the batch was stored")
}

// Receivers are chosen from what was read of the endpoints before: where one has
// come or changed since, they are to be chosen anew.
func TestReceiversAreThoseOfTheEndpointsAsTheyStand(t *testing.T) {
	w := newWorld(t)
	stood := func() int64 {
		all, err := w.Endpoints(t.Context())
		require.NoError(t, err)
		return store.EndpointsAsOf(all)
	}
	put := func(name string) {
		_, err := w.PutEndpoint(t.Context(), w.ring, name, json.RawMessage(`{"url":"https://`+name+`.example"}`), nil, true)
		require.NoError(t, err)
	}
	n := 0
	for _, change := range []struct {
		what string
		does func()
	}{
		{"the first endpoint", func() { put("a") }},
		{"another one", func() { put("b") }},
		{"a secret", func() {
			require.NoError(t, w.PutEndpointSecrets(t.Context(), w.ring, "a", map[string]json.RawMessage{"signing": json.RawMessage(`["x"]`)}, sql.NullTime{}))
		}},
		{"off", func() { require.NoError(t, w.SwitchEndpoint(t.Context(), "a", false)) }},
		{"on", func() { require.NoError(t, w.SwitchEndpoint(t.Context(), "a", true)) }},
	} {
		n++
		e := happened(fmt.Sprint("e", n), "1")
		e.AsOf = stood()
		if n > 1 {
			e.Receivers = []store.Receiver{inOrder("a", "s")}
		}
		change.does()
		_, err := w.Record(t.Context(), "odoo", []store.OutboundEvent{e}, fmt.Sprint("c", n))
		require.True(t, store.EndpointsChanged(err), change.what)
		assert.True(t, fault.Is(err, fault.Transient))
		cursor, err := w.EventCursor(t.Context(), "odoo")
		require.NoError(t, err)
		assert.NotEqual(t, fmt.Sprint("c", n), cursor, "%s: nothing was stored", change.what)
		e.AsOf = stood()
		_, err = w.Record(t.Context(), "odoo", []store.OutboundEvent{e}, fmt.Sprint("c", n))
		require.NoError(t, err, change.what)
		e.AsOf--
		fresh, err := w.Record(t.Context(), "odoo", []store.OutboundEvent{e}, "")
		require.NoError(t, err, "it is there already")
		assert.Zero(t, fresh)
	}
	told := happened("told", "b", inOrder("b", "s"))
	told.AsOf = stood()
	first, err := w.DisableEndpoint(t.Context(), "a", store.SwitchOff{Why: "gone", Told: told})
	require.NoError(t, err, "its own change is none")
	assert.True(t, first)
	told.ID, told.AsOf = "told again", stood()-1
	_, err = w.DisableEndpoint(t.Context(), "b", store.SwitchOff{Why: "gone", Told: told})
	assert.True(t, store.EndpointsChanged(err))
}

func TestTheCursorMovesWithItsEvents(t *testing.T) {
	w := newWorld(t)
	_, err := w.Record(t.Context(), "odoo", []store.OutboundEvent{happened("e1", "1")}, "c1")
	require.NoError(t, err)
	_, err = w.Record(t.Context(), "odoo", []store.OutboundEvent{happened("e2", "1", to("nobody"))}, "c2")
	require.Error(t, err)
	cursor, err := w.EventCursor(t.Context(), "odoo")
	require.NoError(t, err)
	assert.Equal(t, "c1", cursor)
}

// Each endpoint gets its turn, and no more than its width; a dead one's backlog
// is no reason for another to wait.
func TestEndpointsTakeTurns(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "dead", "well")
	var events []store.OutboundEvent
	for i := range 100 {
		events = append(events, happened(fmt.Sprintf("e%03d", i), "1", to("dead")))
	}
	w.record(t, append(events, happened("last", "2", to("well")))...)
	first := w.claimDeliveries(t)
	per := map[string]int{}
	for _, s := range first {
		per[s.Endpoint]++
		assert.False(t, s.Again)
	}
	assert.Equal(t, map[string]int{"dead": 20, "well": 1}, per)
	assert.Empty(t, w.claimDeliveries(t), "the window of the dead one is full")
	for _, s := range first[:3] {
		if s.Endpoint == "dead" {
			w.succeeds(t, s)
		}
	}
	assert.NotEmpty(t, w.claimDeliveries(t), "who ends makes room")
}

// Endpoints that have yet to show that they take deliveries share what is allowed
// for such; one that works has nothing to do with it.
func TestEndpointsOnTrial(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "well", "failing", "dead-1", "dead-2")
	w.exec(t, `UPDATE endpoint_state SET width = 1 WHERE endpoint LIKE 'dead-%'`)
	w.exec(t, `UPDATE endpoint_state SET failures = 1 WHERE endpoint = 'failing'`)
	var events []store.OutboundEvent
	for i := range 30 {
		events = append(events, happened(fmt.Sprintf("e%02d", i), "1", to("well"), to("failing"), to("dead-1"), to("dead-2")))
	}
	w.record(t, events...)
	claim := func(trials int) (trying, works int) {
		all, err := w.ClaimDeliveries(t.Context(), 4, trials)
		require.NoError(t, err)
		for _, s := range all {
			assert.Equal(t, s.Endpoint != "well", s.Trial, s.Endpoint)
			if s.Trial {
				trying++
			} else {
				works++
			}
		}
		return trying, works
	}
	trying, works := claim(0)
	assert.Equal(t, []int{0, 4}, []int{trying, works}, "it gets what the others do not")
	trying, works = claim(2)
	assert.Equal(t, 2, trying)
	assert.NotZero(t, works)
	seen := map[string]bool{}
	for range 50 {
		w.exec(t, `UPDATE delivery SET state = 'ready', due_at = now()`)
		all, err := w.ClaimDeliveries(t.Context(), 1000, 1)
		require.NoError(t, err)
		for _, s := range all {
			seen[s.Endpoint] = true
		}
	}
	assert.Len(t, seen, 4, "nobody's backlog keeps another from trying: %v", seen)
}

func TestALostWorkflowIsStartedAgain(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1", to("a")))
	s := w.claimDeliveries(t)[0]
	assert.True(t, w.beginAttempt(t, s).Go)
	assert.Empty(t, w.claimDeliveries(t))
	w.exec(t, `UPDATE delivery SET due_at = now() - interval '1 second'`)
	again := w.claimDeliveries(t)
	require.Len(t, again, 1)
	assert.False(t, again[0].Again, "if it is there after all, its attempt goes on")
	assert.Equal(t, 2, w.beginAttempt(t, again[0]).Number, "the attempt of the dead worker counts")
}

// Who was claimed by a process that died before it could start anything does not
// wait for long; and a run that waits for hours is told, whoever has to.
func TestAClaimThatCameToNothing(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1", to("a")))
	s := w.claimDeliveries(t)[0]
	all, err := w.Deliveries(t.Context(), store.DeliveryFilter{})
	require.NoError(t, err)
	assert.Less(t, time.Until(all[0].DueAt.Time), time.Minute)
	w.fails(t, s) // it waits for its next attempt
	require.NoError(t, w.Reset(t.Context(), "a"))
	told := w.claimDeliveries(t)
	require.Len(t, told, 1)
	require.True(t, told[0].Again, "it is tried now")
	require.NoError(t, w.ReleaseDeliveries(t.Context(), told, 0)) // Temporal was away
	told = w.claimDeliveries(t)
	require.Len(t, told, 1)
	assert.True(t, told[0].Again, "and still to be told")
}

func TestReceiversSayLaterThatTheyApplied(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	for i := range 3 {
		w.record(t, happened(fmt.Sprintf("e%d", i), "1", to("a")))
	}
	for _, s := range w.claimDeliveries(t) {
		require.True(t, w.beginAttempt(t, s).Go)
		o := outcome(s, store.DeliveryAccepted)
		o.DueAt = time.Now().Add(time.Hour)
		_, err := w.FinishAttempt(t.Context(), o)
		require.NoError(t, err)
	}
	require.NoError(t, w.Applied(t.Context(), "e0", "a", true, ""))
	require.NoError(t, w.Applied(t.Context(), "e0", "a", true, ""), "twice is once")
	require.NoError(t, w.Applied(t.Context(), "e1", "a", false, "no stock"))
	n, err := w.ParkUnapplied(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
	w.exec(t, `UPDATE delivery SET due_at = now() WHERE state = 'accepted'`)
	n, err = w.ParkUnapplied(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	assert.Equal(t, map[string]store.DeliveryState{"e0": "ok", "e1": "parked", "e2": "parked"}, w.states(t, "a"))
	require.NoError(t, w.Applied(t.Context(), "e2", "a", true, ""), "late is better than never")
	assert.Equal(t, store.DeliveryOK, w.states(t, "a")["e2"])
	assert.True(t, fault.Is(w.Applied(t.Context(), "e7", "a", true, ""), fault.NotFound))
}

func TestNumbersOutliveWhatTheyWereCountedFrom(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a", "b")
	w.record(t, happened("e1", "1", to("a"), to("b")), happened("e2", "2", to("a")))
	for _, s := range w.claimDeliveries(t) {
		if s.Event == "e2" {
			w.fails(t, s)
			continue
		}
		w.succeeds(t, s)
	}
	w.exec(t, `UPDATE delivery_attempt SET at = date_trunc('hour', now(), 'UTC')`) // or they might lie on both sides of a full hour
	stats := func(by string) []store.DeliveryStat {
		all, err := w.DeliveryStats(t.Context(), by, "", time.Now().Add(-24*time.Hour), time.Now().Add(time.Hour))
		require.NoError(t, err)
		return all
	}
	before := stats("")
	require.Len(t, before, 1)
	assert.EqualValues(t, 3, before[0].Attempts)
	assert.EqualValues(t, 2, before[0].Delivered)
	assert.InDelta(t, 2./3, before[0].SuccessRate(), .001)
	assert.InDelta(t, 30, before[0].MeanMS, .1)
	assert.InDelta(t, 30, before[0].P95MS, .1)
	assert.Len(t, stats("endpoint"), 2)
	assert.Equal(t, "webhook.status", stats("error")[0].Key)
	assert.Len(t, stats("hour"), 1)
	assert.Len(t, stats("day"), 1)
	assert.Equal(t, "sale.order.updated", stats("type")[0].Key)

	w.exec(t, `UPDATE delivery SET settled_at = now() - interval '31 days' WHERE state = 'ok'; UPDATE outbound_event SET received_at = now() - interval '31 days'`)
	n, err := w.PurgeDeliveries(t.Context(), 30*24*time.Hour)
	require.NoError(t, err)
	assert.EqualValues(t, 3, n, "two deliveries and the event that has none left")
	assert.Equal(t, map[string]store.DeliveryState{"e2": "retrying"}, w.states(t, "a"))
	after := stats("")
	assert.EqualValues(t, 3, after[0].Attempts)
	assert.EqualValues(t, 2, after[0].Delivered)

	n, err = w.PurgeDeliveryHours(t.Context(), 24*time.Hour)
	require.NoError(t, err)
	assert.Zero(t, n, "sums are kept for longer")
	w.exec(t, `UPDATE delivery_hour SET hour = hour - interval '2 days'`)
	n, err = w.PurgeDeliveryHours(t.Context(), 24*time.Hour)
	require.NoError(t, err)
	assert.EqualValues(t, 2, n, "and not for ever")
}
