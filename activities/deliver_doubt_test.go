package activities

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/endpoint"
	"towpath/schema/fault"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// opened opens an endpoint's circuit, with its probe due.
func (p *post) opened(name string) {
	_, err := p.db.Exec(`UPDATE endpoint_state SET circuit = 'open', failures = 5, trips = 1, opened_at = now(), probe_at = now() WHERE endpoint = $1`, name)
	require.NoError(p, err)
}

// Only what the endpoint has said closes its circuit.
func TestAProbeThatWasNotMadeProvesNothing(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner"})
	p.endpoint(webhook.Endpoint{Name: "broken", Transform: `{"n": event.data.missing}`})
	p.happens(order("e1", "7", `"zero":0`))
	p.answer = func(int, endpoint.Request) endpoint.Attempt {
		return endpoint.Attempt{Outcome: endpoint.Retry, Fault: fault.New(fault.Transient, "webhook.cancelled", "the attempt was cancelled")}
	}
	p.opened("partner")
	p.opened("broken")
	for _, in := range p.starts() {
		p.tries(in)
	}
	for _, name := range []string{"partner", "broken"} {
		s, err := p.Store.EndpointState(t.Context(), name)
		require.NoError(t, err)
		assert.Equal(t, "half_open", s.Circuit, name)
		assert.False(t, s.FailingSince.Valid, "%s: nothing was sent, so nothing has failed", name)
	}
}

// A backlog that its rate limit, its order or a switch held up for long gets its
// attempts all the same.
func TestABacklogIsSentNotExpired(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner", Retry: webhook.Retry{Profile: webhook.RetryQuick}, Rate: webhook.Rate{Limit: 1, Per: "minute"}})
	p.happens(order("e1", "7", `"a":1`), order("e2", "8", `"a":1`))
	for _, change := range []string{
		`delivery SET began_at = now() - interval '2 hours', created_at = now() - interval '2 hours'`,
		`endpoint_state SET width = 2`, // it has shown that it takes deliveries, and gets more than one at a time
	} {
		_, err := p.db.Exec(`UPDATE ` + change)
		require.NoError(t, err)
	}
	var states []string
	for _, in := range p.starts() {
		p.tries(in)
		states = append(states, string(p.delivery(in).State))
	}
	assert.ElementsMatch(t, []string{"ok", "retrying"}, states, "one has the minute's slot, the other the next")
}

// A backlog that waited for its endpoint to be let go on has its profile's time
// from when it could first be tried.
func TestTheClockOfRetriesRunsFromTheFirstTry(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner", Retry: webhook.Retry{Profile: webhook.RetryQuick}})
	p.happens(order("e1", "7", `"a":1`))
	_, err := p.db.Exec(`UPDATE delivery SET began_at = now() - interval '2 hours'`)
	require.NoError(t, err)
	in := p.starts()[0]
	require.NoError(t, p.Store.Trip(t.Context(), "partner", "anna"))
	p.tries(in)
	assert.Equal(t, store.DeliveryRetrying, p.delivery(in).State)
}

// The latest state of a record is never given up for an older one that is told
// again.
func TestAReplayNeverSupersedesWhatIsNew(t *testing.T) {
	p := newPost(t)
	write := func(id, fields string) webhook.Event {
		e := order(id, "7", fields)
		e.Type, e.Action = "sale.order.updated", webhook.Write
		return e
	}
	p.happens(write("old", `"a":1`))
	p.endpoint(webhook.Endpoint{Name: "late", Ordering: webhook.PerRecord, Collapse: true})
	p.happens(write("new", `"a":2`))
	_, err := p.out.Replay(t.Context(), "late", time.Now().Add(-time.Hour), time.Time{}, nil, false, "anna")
	require.NoError(t, err)
	all, err := p.Store.Deliveries(t.Context(), store.DeliveryFilter{Endpoint: "late", Event: "new"})
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, store.DeliveryReady, all[0].State)
}

// Who says that a parked event holds its record no more means those that wait,
// too.
func TestWhatIsHeldGoesOnAtOnce(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(400) }
	spec := webhook.Endpoint{Name: "partner", Ordering: webhook.PerRecord}
	p.endpoint(spec)
	p.happens(order("e1", "7", `"a":1`), order("e2", "7", `"a":2`), order("e3", "7", `"a":3`))
	p.tries(p.starts()[0])
	require.Empty(t, p.starts(), "held")
	p.endpoint(spec)
	require.Empty(t, p.starts(), "unchanged is unchanged")
	spec.OnPark = webhook.GoOn
	p.endpoint(spec)
	for _, want := range []string{"e2", "e3"} { // both are refused, and hold nobody
		next := p.starts()
		require.Len(t, next, 1)
		require.Equal(t, want, next[0].Event)
		p.tries(next[0])
	}
	spec.OnPark = webhook.Hold
	p.endpoint(spec)
	p.happens(order("e4", "7", `"a":4`))
	require.Empty(t, p.starts(), "and the other way round")
	spec.Ordering = webhook.Unordered
	p.endpoint(spec)
	require.Len(t, p.starts(), 1, "without an order nothing is held")
}

// Whatever parks a delivery is one line in the log, and says the same.
func TestWhateverParksIsInTheLog(t *testing.T) {
	p := newPost(t)
	var log bytes.Buffer
	p.Deliveries.Log = zerolog.New(&log)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(400) }
	ended := 0
	p.Ended = func() { ended++ }
	p.endpoint(webhook.Endpoint{Name: "partner", Retry: webhook.Retry{Profile: webhook.RetryQuick}})
	for i, park := range []struct{ before, code string }{
		{``, "webhook.status_400"},
		{`UPDATE delivery SET began_at = now() - interval '2 hours'; UPDATE endpoint_state SET circuit = 'open', opened_at = now(), probe_at = now() + interval '1 hour'`, "webhook.expired"},
		{`UPDATE webhook_endpoint SET spec = '{"name":"partner","url":"nonsense"}', revision = revision + 1`, "webhook.endpoint_unusable"},
	} {
		require.NoError(t, p.Store.Reset(t.Context(), "partner"))
		p.happens(order(fmt.Sprintf("e%d", i), "7", `"a":1`))
		in := p.starts()[0]
		_, err := p.db.Exec(park.before)
		require.NoError(t, err)
		p.reread()
		log.Reset()
		r, _ := p.tries(in)
		require.Equal(t, park.code, r.Code)
		var line struct {
			Level, Endpoint, Event, Type, Outcome, State, Fault string
			Delivery                                            int64
		}
		require.NoError(t, json.Unmarshal(log.Bytes(), &line), log.String())
		assert.Equal(t, []any{"error", "partner", in.Event, "sale.order.updated", "park", "parked", park.code, in.Delivery},
			[]any{line.Level, line.Endpoint, line.Event, line.Type, line.Outcome, line.State, line.Fault, line.Delivery})
		assert.Equal(t, i+1, ended, "it made room")
		r, _ = p.tries(in)
		assert.Equal(t, i+1, ended)
		assert.NotEqual(t, "retrying", r.State)
	}
}

// An endpoint that says "at once" for ever is not asked for ever.
func TestAskingForPatienceIsBoundedToo(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return withRetryAfter(answered(429), time.Second) }
	p.endpoint(webhook.Endpoint{Name: "partner", Retry: webhook.Retry{Profile: webhook.RetryQuick}})
	p.happens(order("e1", "7", `"a":1`))
	in := p.starts()[0]
	var wait time.Duration
	for range 6 { // quick has 4 attempts
		_, err := p.db.Exec(`UPDATE endpoint_state SET cool_until = '-infinity'`)
		require.NoError(t, err)
		_, wait = p.tries(in)
	}
	assert.Greater(t, wait, time.Minute)
}

// Whoever switches an endpoint on again gives it all the time that it had; and
// one that nothing was sent to has not failed all the time.
func TestTimeWithoutAttemptsIsNoFailure(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(500) }
	p.endpoint(webhook.Endpoint{Name: "partner", DisableAfter: webhook.Duration(48 * time.Hour)})
	p.happens(order("e1", "7", `"a":1`))
	in := p.starts()[0]
	p.tries(in)
	for _, table := range []string{`endpoint_state SET failing_since = failing_since - interval '49 hours'`, `delivery_attempt SET at = at - interval '49 hours'`} {
		_, err := p.db.Exec(`UPDATE ` + table)
		require.NoError(t, err)
	}
	off := func() bool {
		_, err := p.CheckEndpoints(t.Context())
		require.NoError(t, err)
		state, err := p.Store.EndpointState(t.Context(), "partner")
		require.NoError(t, err)
		return state.Disabled.Valid
	}
	assert.False(t, off(), "one failure two days ago")
	p.tries(in)
	assert.True(t, off(), "and one now, with none that succeeded between")
	require.NoError(t, p.Store.SwitchEndpoint(t.Context(), "partner", true))
	p.tries(in)
	assert.False(t, off(), "it was switched on just now")
}

// Whatever a receiver says of an event can be stored.
func TestAnythingMayBeSaidOfAnEvent(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(202) }
	p.endpoint(webhook.Endpoint{Name: "partner", Acknowledge: webhook.Acknowledge{Within: webhook.Duration(time.Hour)}})
	p.happens(order("e1", "7", `"a":1`))
	in := p.starts()[0]
	r, _ := p.tries(in)
	require.Equal(t, "accepted", r.State)
	require.NoError(t, p.out.Applied(t.Context(), "e1", "partner", false, "no\x00stock\xff"))
	d := p.delivery(in)
	assert.Equal(t, store.DeliveryParked, d.State)
	assert.Equal(t, "no\uFFFDstock\uFFFD", d.Message)
}

// A worker that was started with other keys spoils nothing: what it cannot sign
// waits for one that can, in its order.
func TestAWorkerWithOtherKeysParksNothing(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner", Ordering: webhook.PerRecord, Filter: `event.data.a > 0`})
	right := p.out.Keys
	other, err := seal.ParseRing("k2:1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100")
	require.NoError(t, err)
	p.out.Keys = other
	p.reread()
	p.happens(order("e1", "7", `"a":1`), order("e2", "7", `"a":2`), order("e3", "8", `"a":0`))
	all := p.starts()
	require.Len(t, all, 1, "the first of the record, and not what the filter keeps back")
	p.tries(all[0])
	assert.Equal(t, store.DeliveryRunning, p.delivery(all[0]).State)
	assert.Empty(t, p.got)

	p.out.Keys = right
	p.reread()
	r, _ := p.tries(all[0])
	assert.Equal(t, "ok", r.State)
	assert.Equal(t, "e2", p.starts()[0].Event)
}

// An acknowledgement that could never come is not waited for.
func TestNobodyIsAskedToAnswerNowhere(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(202) }
	p.HookURL = ""
	p.endpoint(webhook.Endpoint{Name: "partner", Acknowledge: webhook.Acknowledge{Within: webhook.Duration(time.Hour)}})
	p.happens(order("e1", "7", `"a":1`))
	in := p.starts()[0]
	r, _ := p.tries(in)
	assert.Equal(t, "parked", r.State)
	assert.Equal(t, "webhook.no_public_url", r.Code)
	assert.Contains(t, p.delivery(in).Resolution, "TOWPATH_PUBLIC_URL")
	assert.Empty(t, p.got)
	_, err := p.out.Try(t.Context(), "partner", "", time.Now())
	require.NoError(t, err)
	r, _ = p.tries(p.starts()[0])
	assert.Equal(t, "ok", r.State, "a test event is not to be acknowledged")
}
