package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/store"
)

func TestOneRecordsEventsKeepTheirOrderAndHoldNobodyElse(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("a1", "1", inOrder("a", "1")), happened("a2", "1", inOrder("a", "1")), happened("b1", "2", inOrder("a", "2")))
	w.record(t, happened("a3", "1", inOrder("a", "1")))
	assert.Equal(t, map[string]store.DeliveryState{"a1": "ready", "a2": "waiting", "a3": "waiting", "b1": "ready"}, w.states(t, "a"))
	started := w.claimDeliveries(t)
	require.Len(t, started, 2)
	assert.Equal(t, []string{"a1", "b1"}, []string{started[0].Event, started[1].Event})

	w.fails(t, started[0])
	assert.Equal(t, store.DeliveryWaiting, w.states(t, "a")["a2"], "a1 is retried first")
	w.parks(t, started[0])
	assert.Equal(t, store.DeliveryWaiting, w.states(t, "a")["a2"], "a parked one holds its stream")
	assert.Empty(t, w.claimDeliveries(t))

	n, err := w.Discard(t.Context(), store.DeliveryFilter{Event: "a1"}, "anna")
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	next := w.claimDeliveries(t)
	require.Len(t, next, 1)
	assert.Equal(t, "a2", next[0].Event)
	w.succeeds(t, next[0])
	assert.Equal(t, store.DeliveryReady, w.states(t, "a")["a3"])
}

// Told late, a record's events go in the order in which they happened, whichever
// of them the endpoint had a delivery of; and one that is parked holds those
// after it, not those before.
func TestARecordsEventsAreRetoldInTheirOrder(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1"), happened("e2", "1", inOrder("a", "1")), happened("e3", "1"), happened("e4", "1", inOrder("a", "1")), happened("e5", "1"))
	ends := func(n int, state store.DeliveryState) (order []string) {
		for range n {
			all := w.claimDeliveries(t)
			require.Len(t, all, 1, "one of the stream at a time")
			order = append(order, all[0].Event)
			if state == store.DeliveryOK {
				w.succeeds(t, all[0])
				continue
			}
			w.parks(t, all[0])
		}
		return order
	}
	require.Equal(t, []string{"e2", "e4"}, ends(2, store.DeliveryOK))
	again := func() (again, first int64) {
		states := []store.DeliveryState{store.DeliveryOK, store.DeliveryParked}
		events, next, err := w.EventsToRetell(t.Context(), "a", time.Time{}, time.Time{}, nil, states, 0, 10)
		require.NoError(t, err)
		require.Zero(t, next)
		var told []store.OutboundEvent
		for _, e := range events {
			e.Receivers = []store.Receiver{inOrder("a", "1")}
			told = append(told, e.OutboundEvent)
		}
		again, first, err = w.Retell(t.Context(), "a", told, states, "anna")
		require.NoError(t, err)
		return again, first
	}
	n, first := again()
	assert.Equal(t, []int64{2, 3}, []int64{n, first})
	assert.Equal(t, []string{"e1", "e2", "e3", "e4", "e5"}, ends(5, store.DeliveryOK))

	again()
	require.Equal(t, []string{"e1"}, ends(1, store.DeliveryOK))
	require.Equal(t, []string{"e2"}, ends(1, store.DeliveryParked))
	assert.Empty(t, w.claimDeliveries(t), "it holds what comes after it")
	_, err := w.Redeliver(t.Context(), store.DeliveryFilter{Event: "e1"}, "anna", 1)
	require.NoError(t, err)
	assert.Equal(t, []string{"e1"}, ends(1, store.DeliveryOK), "and not what came before")
	assert.Empty(t, w.claimDeliveries(t))
}

// However many are delivered again at once: a batch that begins goes before none
// that is to come.
func TestARecordsEventsKeepTheirOrderOverBatches(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	events := []store.OutboundEvent{happened("first", "1")}
	for i := range 1000 {
		events = append(events, happened(fmt.Sprint("e", i), "1", inOrder("a", "1")))
	}
	w.record(t, events...)
	told, _, err := w.EventsToRetell(t.Context(), "a", time.Time{}, time.Time{}, nil, nil, 0, 1)
	require.NoError(t, err)
	require.Equal(t, "first", told[0].ID)
	told[0].Receivers = []store.Receiver{inOrder("a", "1")}
	_, made, err := w.Retell(t.Context(), "a", []store.OutboundEvent{told[0].OutboundEvent}, nil, "anna")
	require.NoError(t, err)
	require.EqualValues(t, 1, made, "the latest delivery, of the earliest event")
	n, err := w.Discard(t.Context(), store.DeliveryFilter{Endpoint: "a"}, "anna")
	require.NoError(t, err)
	require.EqualValues(t, 1001, n)
	n, err = w.Redeliver(t.Context(), store.DeliveryFilter{Endpoint: "a"}, "anna", 5)
	require.NoError(t, err)
	require.EqualValues(t, 1001, n)
	for _, want := range []string{"first", "e0", "e1"} {
		all := w.claimDeliveries(t)
		require.Len(t, all, 1)
		assert.Equal(t, want, all[0].Event)
		w.succeeds(t, all[0])
	}
}

func TestLaterStatesSupersedeWhatHasNotBeenSent(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	latest := func(id, record string) store.OutboundEvent {
		return happened(id, record, store.Receiver{Endpoint: "a", Stream: record, Collapse: true})
	}
	w.record(t, latest("a1", "1"))
	sent := w.claimDeliveries(t)[0]
	w.record(t, latest("a2", "1"), latest("b1", "2"))
	created := happened("a3", "1", inOrder("a", "1"))
	created.Type = "sale.order.state.changed"
	w.record(t, created, latest("a4", "1"), latest("a5", "1"))
	assert.Equal(t, map[string]store.DeliveryState{
		"a1": "running", "a2": "superseded", "a3": "waiting", "a4": "superseded", "a5": "waiting", "b1": "ready",
	}, w.states(t, "a"), "what is on its way, and what is of another kind, stays")
	w.succeeds(t, sent)
	assert.Equal(t, store.DeliveryReady, w.states(t, "a")["a3"])
}

func TestRedeliveryBeginsAnewWithTheSameEvent(t *testing.T) {
	w := newWorld(t).withEndpoints(t, "a")
	w.record(t, happened("e1", "1", to("a")), happened("e2", "2", to("a")))
	all := w.claimDeliveries(t)
	w.succeeds(t, all[0])
	n, err := w.Redeliver(t.Context(), store.DeliveryFilter{Endpoint: "a"}, "anna", 1)
	require.NoError(t, err)
	assert.EqualValues(t, 1, n, "what is under way is left alone")
	again := w.claimDeliveries(t)
	require.Len(t, again, 1)
	assert.Equal(t, store.Starting{ID: all[0].ID, Endpoint: "a", Event: "e1", Type: "sale.order.updated", Generation: 2, Priority: 1, Again: true}, again[0])
	a := w.beginAttempt(t, again[0])
	assert.Equal(t, 1, a.Number)
	assert.Equal(t, 2, a.Tried)
	assert.True(t, w.beginAttempt(t, all[0]).Stale, "the old generation has nothing to say")
	done, err := w.FinishAttempt(t.Context(), outcome(all[0], store.DeliveryParked))
	require.NoError(t, err)
	assert.True(t, done.Stale)
	log, err := w.Attempts(t.Context(), all[0].ID)
	require.NoError(t, err)
	assert.Len(t, log, 2, "noted all the same")
}

// Types are chosen as endpoints write them.
func TestTypesAreChosenByPattern(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withEndpoints(t, "a")
	for i, name := range []string{"sale.order.created", "sale.order.state.changed", "res.partner.created", "salexorder.created"} {
		e := happened(fmt.Sprintf("e%d", i), "1", to("a"))
		e.Type = name
		w.record(t, e)
	}
	for pattern, want := range map[string][]string{
		"*": {"e0", "e1", "e2", "e3"}, "*.created": {"e0", "e2", "e3"}, "sale.order.*": {"e0", "e1"}, "sale.*.changed": {"e1"},
		"sale.order.created": {"e0"}, "sale.order": nil, "created": nil,
	} {
		types := []string{pattern}
		listed, err := w.OutboundEvents(t.Context(), store.EventFilter{Types: types})
		require.NoError(t, err)
		chosen, err := w.Deliveries(t.Context(), store.DeliveryFilter{Types: types})
		require.NoError(t, err)
		again, _, err := w.EventsToRetell(t.Context(), "b", time.Time{}, time.Time{}, types, nil, 0, 10)
		require.NoError(t, err)
		var events, deliveries, retold []string
		for _, e := range listed {
			events = append(events, e.ID)
		}
		for _, d := range chosen {
			deliveries = append(deliveries, d.Event)
		}
		for _, e := range again {
			retold = append(retold, e.ID)
		}
		for _, got := range [][]string{events, deliveries, retold} {
			assert.ElementsMatch(t, want, got, pattern)
		}
	}
}
