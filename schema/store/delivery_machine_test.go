package store_test

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/fault"
	"towpath/schema/store"
)

// attempting is a worker's view of a delivery: it may be long out of date.
type attempting struct {
	store.Starting
	attempt *store.Attempt // when it was begun
}

// deliveryMachine does to the store whatever workers, receivers and operators
// may do, in any order, also late and twice.
type deliveryMachine struct {
	*world
	next      int
	events    []store.OutboundEvent
	made      int // deliveries
	workers   []attempting
	delivered map[int64]int // deliveries that were received: their generation then
}

var machineEndpoints = []string{"held", "onward", "loose"} // their streams hold, go on, or are none

// Protocol P5 whatever happens in whatever order: its invariants hold after
// every step, and in the end nothing is left behind.
func TestDeliveriesKeepTheirPromisesInAnyOrder(t *testing.T) {
	w := newWorld(t)
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // each is hundreds of statements
		require.NoError(t, flag.Set("rapid.checks", map[bool]string{true: "5", false: "20"}[testing.Short()]))
		defer func() { _ = flag.Set("rapid.checks", f.DefValue) }()
	}
	rapid.Check(t, func(r *rapid.T) {
		m := &deliveryMachine{world: w, delivered: map[int64]int{}}
		m.begin(t)
		r.Repeat(map[string]func(*rapid.T){
			"record": m.happen, "claim": m.claim, "attempt": m.attempt, "finish": m.finish, "finish more": m.finish, "claim more": m.claim, "attempt more": m.attempt,
			"time passes": m.wait, "give back": m.giveBack, "operate": m.operate, "redeliver": m.redeliver, "retell": m.retell, "discard": m.discard, "receiver says": m.applied,
			"": func(r *rapid.T) { m.check(r) },
		})
		m.drain(r)
	})
}

func (m *deliveryMachine) exec(t require.TestingT, query string, args ...any) {
	_, err := m.db.Exec(query, args...)
	require.NoError(t, err)
}

func (m *deliveryMachine) begin(t *testing.T) {
	m.exec(t, `TRUNCATE delivery_attempt, delivery, outbound_event, endpoint_state, webhook_endpoint`)
	for _, name := range machineEndpoints {
		_, err := m.PutEndpoint(t.Context(), m.ring, name, json.RawMessage(`{"url":"https://`+name+`.example"}`), nil, true)
		require.NoError(t, err)
	}
}

func (m *deliveryMachine) happen(r *rapid.T) {
	var batch []store.OutboundEvent
	for range rapid.IntRange(1, 4).Draw(r, "events") {
		m.next++
		record := fmt.Sprint(rapid.IntRange(1, 2).Draw(r, "record"))
		collapse := rapid.Bool().Draw(r, "collapse")
		e := happened(fmt.Sprintf("e%d", m.next), record)
		if rapid.IntRange(0, 3).Draw(r, "heard") > 0 { // else the endpoints are told later, by a replay
			e.Receivers = []store.Receiver{m.receiver("held", record, collapse), m.receiver("onward", record, collapse), m.receiver("loose", record, false)}
			m.made += len(e.Receivers)
		}
		batch = append(batch, e)
	}
	fresh := len(batch)
	if len(m.events) > 0 && rapid.Bool().Draw(r, "twice") {
		batch = append(batch, rapid.SampledFrom(m.events).Draw(r, "known"))
	}
	m.events = append(m.events, batch[:fresh]...)
	n, err := m.Record(r.Context(), "odoo", batch, "")
	require.NoError(r, err)
	require.Equal(r, fresh, n)
}

func (m *deliveryMachine) receiver(endpoint, record string, collapse bool) store.Receiver {
	if endpoint == "loose" {
		return to(endpoint)
	}
	return store.Receiver{Endpoint: endpoint, Stream: record, Holds: endpoint == "held", Collapse: collapse}
}

// claim checks the window: what is claimed does not widen it, and an endpoint
// that is not well gets one at most.
func (m *deliveryMachine) claim(r *rapid.T) {
	type window struct {
		width, running int
		circuit        string
		on             bool
		opens          time.Time
		silent         sql.NullTime // until when it may say nothing
	}
	before := map[string]window{}
	for _, name := range machineEndpoints {
		var w window
		require.NoError(r, m.db.QueryRow(`
SELECT s.width, s.circuit, e.active AND e.disabled IS NULL,
    greatest(s.cool_until, CASE WHEN s.circuit <> 'closed' THEN coalesce(s.probe_at, now() + interval '1 year') ELSE 'epoch' END),
    (SELECT count(*) FROM delivery d WHERE d.endpoint = s.endpoint AND d.state = 'running'),
    (SELECT min(due_at) FROM delivery d WHERE d.endpoint = s.endpoint AND d.state IN ('running', 'retrying'))
FROM endpoint_state s JOIN webhook_endpoint e ON e.name = s.endpoint WHERE s.endpoint = $1`, name).Scan(&w.width, &w.circuit, &w.on, &w.opens, &w.running, &w.silent))
		before[name] = w
	}
	limit := rapid.IntRange(1, 8).Draw(r, "limit")
	all, err := m.ClaimDeliveries(r.Context(), limit, limit)
	require.NoError(r, err)
	require.LessOrEqual(r, len(all), limit)
	now := one[time.Time](r, m.world, `SELECT now()`) // a wait may have ended since the window was looked at
	fresh := map[string]int{}
	for _, s := range all {
		w := before[s.Endpoint]
		require.True(r, w.on && !w.opens.After(now), "%s may not be started for: %+v", s.Endpoint, w)
		if fresh[s.Endpoint]++; !w.silent.Valid || w.silent.Time.After(now) {
			require.LessOrEqual(r, w.running+fresh[s.Endpoint], w.width, s.Endpoint)
			if w.circuit != "closed" {
				require.LessOrEqual(r, fresh[s.Endpoint], 1, s.Endpoint)
			}
		}
		m.workers = append(m.workers, attempting{Starting: s})
	}
}

func (m *deliveryMachine) worker(r *rapid.T) *attempting {
	if len(m.workers) == 0 {
		r.Skip("nobody works")
	}
	return &m.workers[rapid.IntRange(0, len(m.workers)-1).Draw(r, "worker")]
}

// attempt checks that an endpoint whose circuit is not closed sees its probe
// only, and one that is off, or cools down, nothing.
func (m *deliveryMachine) attempt(r *rapid.T) {
	w := m.worker(r)
	var circuit string
	var off bool
	var probe sql.NullTime
	require.NoError(r, m.db.QueryRow(`SELECT s.circuit, NOT e.active OR e.disabled IS NOT NULL, s.probe_at
FROM endpoint_state s JOIN webhook_endpoint e ON e.name = s.endpoint WHERE s.endpoint = $1`, w.Endpoint).Scan(&circuit, &off, &probe))
	var generation int
	var state store.DeliveryState
	require.NoError(r, m.db.QueryRow(`SELECT generation, state FROM delivery WHERE id = $1`, w.ID).Scan(&generation, &state))
	a, err := m.BeginAttempt(r.Context(), w.ID, w.Generation, 0, 1, 15*time.Second)
	require.NoError(r, err)
	// By the moment at which it was decided: a wait may end between two questions.
	cools := one[bool](r, m.world, `SELECT cool_until > $2 FROM endpoint_state WHERE endpoint = $1`, w.Endpoint, a.Now)
	may := probe.Valid && !probe.Time.After(a.Now)
	current := generation == w.Generation && (state == store.DeliveryRunning || state == store.DeliveryRetrying)
	require.Equal(r, !current, a.Stale)
	if a.Why == "webhook.draining" { // it comes back to an endpoint that has no room
		require.True(r, circuit == "closed" && state == store.DeliveryRetrying && !off && !cools && !a.Go)
		return
	}
	require.Equal(r, current && !off && !cools && (circuit == "closed" || may), a.Go, "circuit %s, off %t, cools down %t, probe may go %t: %s", circuit, off, cools, may, a.Why)
	require.Equal(r, a.Go && circuit != "closed", a.Probe)
	if a.Go {
		require.True(r, a.Content.Valid)
		w.attempt = &a
	} else if !a.Stale {
		require.True(r, a.Wait.Valid && a.Wait.Time.After(a.Now), "it says when to come back")
	}
}

func (m *deliveryMachine) finish(r *rapid.T) {
	w := m.worker(r)
	if w.attempt == nil {
		r.Skip("it has not begun")
	}
	o := outcome(w.Starting, rapid.SampledFrom([]store.DeliveryState{
		store.DeliveryOK, store.DeliveryOK, store.DeliveryAccepted, store.DeliveryRetrying, store.DeliveryRetrying, store.DeliveryParked}).Draw(r, "outcome"))
	o.Attempt, o.Probe, o.Ordered, o.Threshold = w.attempt.Tried, w.attempt.Probe, w.attempt.Ordered, 2
	switch {
	case o.State == store.DeliveryAccepted:
		o.DueAt = time.Now().Add(time.Hour)
	case o.State == store.DeliveryRetrying && rapid.Bool().Draw(r, "busy"):
		o.Status, o.Cooldown = 429, time.Minute
	case o.State == store.DeliveryRetrying:
		o.Broken = true
	}
	w.attempt = nil
	done, err := m.FinishAttempt(r.Context(), o)
	require.NoError(r, err)
	if o.Success && !done.Stale && o.State == store.DeliveryOK {
		m.delivered[w.ID] = w.Generation
	}
	noted := one[int](r, m.world, `SELECT count(*) FROM delivery_attempt WHERE delivery = $1 AND generation = $2 AND attempt = $3`, w.ID, w.Generation, o.Attempt)
	require.Positive(r, noted, "every attempt is noted, whatever became of its delivery")
}

// wait lets time pass: for one delivery, whose workflow is lost then, or for
// everything.
func (m *deliveryMachine) wait(r *rapid.T) {
	by := rapid.SampledFrom([]string{"5 seconds", "2 minutes", "20 minutes", "2 hours"}).Draw(r, "time")
	m.exec(r, `UPDATE delivery SET due_at = due_at - $1::interval WHERE due_at IS NOT NULL`, by)
	m.exec(r, `UPDATE endpoint_state SET probe_at = probe_at - $1::interval, cool_until = cool_until - $1::interval, paced_at = paced_at - $1::interval`, by)
	_, err := m.ParkUnapplied(r.Context())
	require.NoError(r, err)
}

func (m *deliveryMachine) giveBack(r *rapid.T) {
	w := m.worker(r)
	if w.attempt != nil {
		r.Skip("only what was not started is given back")
	}
	if rapid.Bool().Draw(r, "unfit") {
		_, err := m.ParkDelivery(r.Context(), w.ID, w.Generation, fault.New(fault.Invalid, "webhook.endpoint_unusable", "no"))
		require.NoError(r, err)
		return
	}
	begun := one[bool](r, m.world, `SELECT attempts > 0 FROM delivery WHERE id = $1`, w.ID)
	before := one[string](r, m.world, `SELECT state FROM delivery WHERE id = $1`, w.ID)
	require.NoError(r, m.ReleaseDeliveries(r.Context(), []store.Starting{w.Starting}, 0))
	if begun && !w.Again {
		require.Equal(r, before, one[string](r, m.world, `SELECT state FROM delivery WHERE id = $1`, w.ID), "an attempt that has begun is not taken back")
	}
}

func (m *deliveryMachine) operate(r *rapid.T) {
	name := rapid.SampledFrom(machineEndpoints).Draw(r, "endpoint")
	var err error
	switch rapid.SampledFrom([]string{"trip", "reset", "reset", "off", "on", "on", "disable"}).Draw(r, "what") {
	case "trip":
		err = m.Trip(r.Context(), name, "anna")
	case "reset":
		err = m.Reset(r.Context(), name)
	case "off":
		err = m.SwitchEndpoint(r.Context(), name, false)
	case "on":
		err = m.SwitchEndpoint(r.Context(), name, true)
	case "disable":
		m.next++
		_, err = m.DisableEndpoint(r.Context(), name, store.SwitchOff{Why: "gone", Told: happened(fmt.Sprintf("e%d", m.next), "1")})
	}
	require.NoError(r, err)
}

// some are deliveries by id, endpoint or state.
func (m *deliveryMachine) some(r *rapid.T) store.DeliveryFilter {
	f := store.DeliveryFilter{Endpoint: rapid.SampledFrom(machineEndpoints).Draw(r, "of")}
	switch rapid.IntRange(0, 2).Draw(r, "by") {
	case 0:
		if len(m.events) > 0 {
			f.Event = rapid.SampledFrom(m.events).Draw(r, "event").ID
		}
	case 1:
		f.States = []store.DeliveryState{store.DeliveryParked}
	}
	return f
}

func (m *deliveryMachine) redeliver(r *rapid.T) {
	_, err := m.Redeliver(r.Context(), m.some(r), "anna", 3)
	require.NoError(r, err)
}

// retell tells an endpoint what it has not heard of, and what it has, again.
func (m *deliveryMachine) retell(r *rapid.T) {
	endpoint := rapid.SampledFrom(machineEndpoints).Draw(r, "whom")
	states := []store.DeliveryState{store.DeliveryOK, store.DeliveryParked, store.DeliveryDiscarded, store.DeliverySuperseded, store.DeliveryAccepted}
	known, unknown := 0, 0
	var events []store.OutboundEvent
	for after := int64(0); ; {
		page, next, err := m.EventsToRetell(r.Context(), endpoint, time.Time{}, time.Time{}, nil, states, after, 3)
		require.NoError(r, err)
		for _, e := range page {
			require.Greater(r, e.Seq, after)
			after = e.Seq
			if e.State == "" {
				unknown++
			} else {
				known++
			}
			e.Receivers = []store.Receiver{m.receiver(endpoint, e.RecordID, false)}
			events = append(events, e.OutboundEvent)
		}
		if next == 0 {
			break
		}
	}
	if len(events) == 0 {
		return
	}
	again, first, err := m.Retell(r.Context(), endpoint, events, states, "anna")
	require.NoError(r, err)
	require.EqualValues(r, known, again)
	require.EqualValues(r, unknown, first)
	m.made += unknown
}

func (m *deliveryMachine) discard(r *rapid.T) {
	_, err := m.Discard(r.Context(), m.some(r), "anna")
	require.NoError(r, err)
}

func (m *deliveryMachine) applied(r *rapid.T) {
	if len(m.events) == 0 {
		r.Skip("nothing happened")
	}
	e, name := rapid.SampledFrom(m.events).Draw(r, "event"), rapid.SampledFrom(machineEndpoints).Draw(r, "by")
	ok := rapid.Bool().Draw(r, "well")
	err := m.Applied(r.Context(), e.ID, name, ok, "no")
	if fault.Is(err, fault.NotFound) {
		return
	}
	require.NoError(r, err)
	if !ok {
		delete(m.delivered, one[int64](r, m.world, `SELECT id FROM delivery WHERE (endpoint, event) = ($1, $2)`, name, e.ID))
	}
}

// deliveryRules are what must never be: each gives the rows that break it.
var deliveryRules = map[string]string{
	"two of a stream are on their way":   `SELECT min(id) FROM delivery WHERE stream <> '' AND state IN ('ready', 'running', 'retrying', 'accepted') GROUP BY endpoint, stream HAVING count(*) > 1`,
	"it is open, and nobody looks again": `SELECT id FROM delivery WHERE state IN ('ready', 'running', 'retrying', 'accepted') AND due_at IS NULL`,
	"it has ended, and is due":           `SELECT id FROM delivery WHERE state IN ('ok', 'parked', 'superseded', 'discarded') AND (due_at IS NOT NULL OR settled_at IS NULL)`,
	"it is open, and has ended":          `SELECT id FROM delivery WHERE state IN ('waiting', 'ready', 'running', 'retrying', 'accepted') AND settled_at IS NOT NULL`,
	"it waits for nothing": `
SELECT w.id FROM delivery w WHERE w.state = 'waiting' AND NOT EXISTS (
    SELECT 1 FROM delivery o WHERE o.endpoint = w.endpoint AND o.stream = w.stream
      AND (o.state IN ('ready', 'running', 'retrying', 'accepted') OR o.state = 'parked' AND o.holds AND o.seq < w.seq))`,
	"it waits without a stream":        `SELECT id FROM delivery WHERE state = 'waiting' AND stream = ''`,
	"it overtakes one that holds":      `SELECT d.id FROM delivery d WHERE d.state = 'ready' AND d.attempts = 0 AND d.generation = 1 AND EXISTS (SELECT 1 FROM delivery o WHERE (o.endpoint, o.stream) = (d.endpoint, d.stream) AND o.state = 'waiting' AND o.generation = 1 AND o.id < d.id AND o.seq < d.seq)`,
	"a circuit is closed with a probe": `SELECT 1 FROM endpoint_state WHERE circuit = 'closed' AND probe_at IS NOT NULL`,
	"a circuit nobody will close":      `SELECT 1 FROM endpoint_state WHERE circuit <> 'closed' AND probe_at IS NULL AND held_by IS NULL`,
	"a window is none":                 `SELECT 1 FROM endpoint_state WHERE width NOT BETWEEN 1 AND 20`,
}

func (m *deliveryMachine) check(r *rapid.T) {
	for what, query := range deliveryRules {
		require.False(r, one[bool](r, m.world, `SELECT EXISTS (`+query+`)`), "%s:\n%s", what, m.picture(r))
	}
	require.Equal(r, m.made, one[int](r, m.world, `SELECT count(*) FROM delivery`), "a delivery per event and endpoint that was told")
	for id, generation := range m.delivered {
		require.True(r, one[bool](r, m.world, `SELECT state = 'ok' OR generation > $2 FROM delivery WHERE id = $1`, id, generation), "%d was received and is not settled so:\n%s", id, m.picture(r))
	}
}

func (m *deliveryMachine) picture(r *rapid.T) string {
	return one[string](r, m.world, `SELECT (SELECT coalesce(string_agg(format('%s %s/%s %s g%s a%s due %s holds %s', id, endpoint, stream, state, generation, attempts, due_at - now(), holds), E'\n' ORDER BY id), '') FROM delivery)
|| E'\n' || (SELECT string_agg(s::text, E'\n') FROM endpoint_state s)`)
}

// drain lets everything work again: then every delivery ends, in some rounds.
func (m *deliveryMachine) drain(r *rapid.T) {
	for _, name := range machineEndpoints {
		require.NoError(r, m.SwitchEndpoint(r.Context(), name, true))
		require.NoError(r, m.Reset(r.Context(), name))
	}
	const open = `SELECT count(*) FROM delivery WHERE state NOT IN ('ok', 'superseded', 'discarded')`
	for round := 0; one[int](r, m.world, open) > 0; round++ {
		require.Less(r, round, 20+2*len(m.events), "it does not end:\n%s", m.picture(r))
		_, err := m.Redeliver(r.Context(), store.DeliveryFilter{States: []store.DeliveryState{store.DeliveryParked, store.DeliveryAccepted}}, "anna", 3)
		require.NoError(r, err)
		m.exec(r, `UPDATE delivery SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL`)
		all, err := m.ClaimDeliveries(r.Context(), 100, 100)
		require.NoError(r, err)
		slices.SortFunc(all, func(a, b store.Starting) int { return int(a.ID - b.ID) })
		for _, s := range all {
			a, err := m.BeginAttempt(r.Context(), s.ID, s.Generation, 0, 1, time.Second)
			require.NoError(r, err)
			require.True(r, a.Go, a.Why)
			o := outcome(s, store.DeliveryOK)
			o.Probe, o.Attempt, o.Ordered = a.Probe, a.Tried, a.Ordered
			done, err := m.FinishAttempt(r.Context(), o)
			require.NoError(r, err)
			require.False(r, done.Stale)
		}
		m.check(r)
	}
}
