package activities

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"towpath/connectors/endpoint"
	"towpath/schema/fault"
	"towpath/schema/outbound"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/storetest"
	"towpath/schema/webhook"
	"towpath/workflows/contract"
)

// post is an installation that tells events: a real PostgreSQL, and a receiver
// that answers as a test says. The test plays Temporal's part.
type post struct {
	testing.TB
	*Deliveries
	db  *sql.DB
	out *outbound.Outbound

	mu     sync.Mutex
	answer func(n int, r endpoint.Request) endpoint.Attempt
	got    []endpoint.Request
}

func (p *post) Send(_ context.Context, r endpoint.Request) endpoint.Attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, r)
	return p.answer(len(p.got), r)
}

func newPost(t testing.TB) *post {
	t.Helper()
	dsn := storetest.NewDatabase(t)
	p := &post{TB: t, db: storetest.Query(t, dsn), answer: func(int, endpoint.Request) endpoint.Attempt { return answered(200) }}
	keys, err := seal.ParseRing("k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	require.NoError(t, err)
	st := storetest.OpenAt(t, dsn)
	p.out = outbound.New(st, keys, zerolog.Nop())
	p.Deliveries = NewDeliveries(Deps{Store: st, Log: zerolog.Nop(), HookURL: "https://towpath.example"}, DeliveryDeps{Out: p.out, Sender: p})
	for name, kind := range map[string]string{"erp": "odoo"} {
		_, err := st.PutConnection(t.Context(), keys, name, kind, json.RawMessage(`{}`), nil)
		require.NoError(t, err)
	}
	return p
}

// answered is an attempt as the sender judges a status.
func answered(status int) endpoint.Attempt {
	a := endpoint.Attempt{Status: status, StartedAt: time.Now(), Took: 5 * time.Millisecond, Body: "body"}
	switch {
	case status < 300 && status > 0:
		a.Outcome = endpoint.Delivered
		return a
	case status == http.StatusGone:
		a.Outcome = endpoint.Disable
	case status == 0 || status == 429 || status >= 500:
		a.Outcome = endpoint.Retry
	default:
		a.Outcome = endpoint.Park
	}
	a.Fault = fault.New(fault.Transient, fmt.Sprintf("webhook.status_%d", status), "answered %d", status).WithResolution("look")
	return a
}

func (p *post) endpoint(e webhook.Endpoint) string {
	p.Helper()
	if e.URL == "" {
		e.URL = "https://" + e.Name + ".example/hook"
	}
	_, _, err := p.out.Put(p.Context(), e, webhook.Secrets{})
	require.NoError(p, err)
	p.reread()
	return e.Name
}

// reread makes the next look into the book a fresh one.
func (p *post) reread() { p.out.Book = outbound.NewBook(p.out.Store, p.out.Keys) }

func (p *post) happens(events ...webhook.Event) {
	p.Helper()
	_, err := p.out.Record(p.Context(), "erp", events, "")
	require.NoError(p, err)
}

func order(id, record string, fields string) webhook.Event {
	return webhook.Event{
		ID: id, Type: "sale.order.updated", Model: "sale.order", RecordID: record, Action: webhook.Write, OccurredAt: time.Now(),
		Data: json.RawMessage(`{"id":` + record + `,` + fields + `}`),
	}
}

// starts claims what is due, as the starter does.
func (p *post) starts() (all []contract.DeliverInput) {
	p.Helper()
	claimed, err := p.Store.ClaimDeliveries(p.Context(), 100, 100)
	require.NoError(p, err)
	for _, s := range claimed {
		all = append(all, contract.DeliverInput{Delivery: s.ID, Endpoint: s.Endpoint, Event: s.Event, Generation: s.Generation})
	}
	return all
}

// tries makes an attempt; wait is when the next one is to be made.
func (p *post) tries(in contract.DeliverInput) (r contract.DeliverResult, wait time.Duration) {
	p.Helper()
	r, err := p.Deliver(p.Context(), in)
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		require.False(p, app.NonRetryable())
		return r, app.NextRetryDelay()
	}
	require.NoError(p, err)
	return r, 0
}

// triesAgainIn makes an attempt after which the next one is to come so much later;
// the time that the attempt took is part of it.
func (p *post) triesAgainIn(in contract.DeliverInput, want, spread time.Duration) {
	p.Helper()
	began := time.Now()
	_, wait := p.tries(in)
	assert.GreaterOrEqual(p, wait, want-spread-time.Since(began))
	assert.LessOrEqual(p, wait, want+spread)
}

func (p *post) delivery(in contract.DeliverInput) store.Delivery {
	p.Helper()
	all, err := p.Store.Deliveries(p.Context(), store.DeliveryFilter{IDs: []int64{in.Delivery}})
	require.NoError(p, err)
	require.Len(p, all, 1)
	return all[0]
}

func TestDeliveredAsSigned(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner", Events: []string{"sale.order.*"}, Filter: `event.data.amount_total > 100`, Fields: []string{"amount_total"}})
	p.endpoint(webhook.Endpoint{Name: "other", Events: []string{"res.partner.*"}})
	p.happens(order("e1", "7", `"amount_total":100.50,"note":"x"`), order("e2", "8", `"amount_total":99.99`))
	all := p.starts()
	require.Len(t, all, 1, "one event, one endpoint")
	r, _ := p.tries(all[0])
	assert.Equal(t, contract.DeliverResult{State: "ok", Status: 200, Attempts: 1}, r)
	sent := p.got[0]
	assert.JSONEq(t, `{"id":7,"amount_total":100.50}`, string(dataOf(t, sent.Body)))
	assert.Contains(t, string(sent.Body), "100.50", "numbers as they came")
	secret, err := p.out.Secret(t.Context(), "partner")
	require.NoError(t, err)
	assert.NotContains(t, string(sent.Body)+fmt.Sprint(sent.Header), secret)
	assert.Equal(t, "e1", sent.Header.Get(webhook.HeaderID))
	r, _ = p.tries(all[0])
	assert.Equal(t, "ok", r.State, "settled is settled")
	assert.Len(t, p.got, 1)
}

func dataOf(t *testing.T, body []byte) json.RawMessage {
	t.Helper()
	var b struct{ Data json.RawMessage }
	require.NoError(t, json.Unmarshal(body, &b))
	return b.Data
}

func TestRetriesFollowTheProfileThenPark(t *testing.T) {
	for profile, want := range map[webhook.RetryProfile][]time.Duration{
		webhook.RetryQuick:  {2 * time.Second, 4 * time.Second},
		webhook.RetryErrors: {10 * time.Minute, 20 * time.Minute, 40 * time.Minute},
	} {
		t.Run(string(profile), func(t *testing.T) {
			p := newPost(t)
			p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(503) }
			p.endpoint(webhook.Endpoint{Name: "partner", Retry: webhook.Retry{Profile: profile}})
			p.happens(order("e1", "7", `"a":1`))
			in := p.starts()[0]
			for _, w := range want {
				p.triesAgainIn(in, w, time.Second)
			}
			r, _ := p.tries(in)
			assert.Equal(t, "parked", r.State)
			d := p.delivery(in)
			assert.Contains(t, d.Resolution, "redeliver")
			assert.Equal(t, len(want)+1, d.Attempts)
			log, err := p.Store.Attempts(t.Context(), in.Delivery)
			require.NoError(t, err)
			assert.Len(t, log, len(want)+1)
			for _, sent := range p.got {
				assert.Equal(t, p.got[0].Header.Get(webhook.HeaderID), sent.Header.Get(webhook.HeaderID))
				assert.Equal(t, p.got[0].Body, sent.Body, "the same bytes each time")
			}
		})
	}
}

func TestWhatAReceiverAnswersDecides(t *testing.T) {
	tests := map[string]struct {
		answer endpoint.Attempt
		state  store.DeliveryState
		wait   time.Duration // of the delivery; 0: none
	}{
		"400 parks":                 {answered(400), store.DeliveryParked, 0},
		"302 parks":                 {answered(302), store.DeliveryParked, 0},
		"429 comes back as asked":   {withRetryAfter(answered(429), 90*time.Second), store.DeliveryRetrying, 90 * time.Second},
		"503 with Retry-After":      {withRetryAfter(answered(503), time.Minute), store.DeliveryRetrying, time.Minute},
		"no answer":                 {answered(0), store.DeliveryRetrying, 5 * time.Second},
		"410 disables the endpoint": {answered(410), store.DeliveryRetrying, time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.answer = func(int, endpoint.Request) endpoint.Attempt { return test.answer }
			p.endpoint(webhook.Endpoint{Name: "partner"})
			p.happens(order("e1", "7", `"a":1`))
			in := p.starts()[0]
			p.triesAgainIn(in, test.wait, 4*time.Second)
			d := p.delivery(in)
			assert.Equal(t, test.state, d.State)
			assert.Equal(t, test.answer.Fault.Code, d.Code)
			assert.NotEmpty(t, d.Resolution)
		})
	}
}

func withRetryAfter(a endpoint.Attempt, d time.Duration) endpoint.Attempt {
	a.RetryAfter = d
	return a
}

func TestAcceptedNowAppliedLater(t *testing.T) {
	p := newPost(t)
	p.answer = func(int, endpoint.Request) endpoint.Attempt { return answered(202) }
	p.endpoint(webhook.Endpoint{Name: "partner", Acknowledge: webhook.Acknowledge{Within: webhook.Duration(time.Hour)}})
	p.happens(order("e1", "7", `"a":1`))
	in := p.starts()[0]
	r, _ := p.tries(in)
	assert.Equal(t, "accepted", r.State)
	address := p.got[0].Header.Get(outbound.HeaderAck)
	assert.Contains(t, address, "https://towpath.example/deliveries/partner/e1/applied?token=")
	token := address[len("https://towpath.example/deliveries/partner/e1/applied?token="):]
	assert.True(t, p.out.CheckAck("partner", "e1", token))
	assert.False(t, p.out.CheckAck("partner", "e2", token))
	require.NoError(t, p.out.Applied(t.Context(), "e1", "partner", true, ""))
	assert.Equal(t, store.DeliveryOK, p.delivery(in).State)
}

// What cannot be rendered, or whose endpoint cannot be used, is parked with the
// cause; the event is kept and goes out when the endpoint is mended.
func TestWhatCannotBeRenderedIsParked(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner", Filter: `event.data.amount.total > 1`})
	p.happens(order("e1", "7", `"amount":"none"`))
	all := p.starts()
	require.Len(t, all, 1, "a filter that fails loses nothing")
	r, _ := p.tries(all[0])
	assert.Equal(t, "ok", r.State, "the body does not need the filter")

	p.endpoint(webhook.Endpoint{Name: "partner", Transform: `{"x": event.data.a * 2}`})
	p.happens(order("e2", "7", `"a":"text"`))
	in := p.starts()[0]
	r, _ = p.tries(in)
	assert.Equal(t, "parked", r.State)
	assert.Equal(t, "webhook.transform_failed", p.delivery(in).Code)

	_, err := p.db.Exec(`UPDATE webhook_endpoint SET spec = '{"name":"partner","url":"nonsense"}', revision = revision + 1`)
	require.NoError(t, err)
	p.reread()
	p.happens(order("e3", "7", `"a":1`))
	in = p.starts()[0]
	r, _ = p.tries(in)
	assert.Equal(t, "webhook.endpoint_unusable", r.Code)

	p.endpoint(webhook.Endpoint{Name: "partner"})
	n, err := p.Store.Redeliver(t.Context(), store.DeliveryFilter{Endpoint: "partner", States: []store.DeliveryState{store.DeliveryParked}}, "anna", 1)
	require.NoError(t, err)
	assert.EqualValues(t, 2, n)
	for _, in := range p.starts() {
		r, _ := p.tries(in)
		assert.Equal(t, "ok", r.State)
	}
}

// What waits for a circuit for longer than its profile tries is parked, not
// tried for ever.
func TestNothingIsTriedForEver(t *testing.T) {
	p := newPost(t)
	p.endpoint(webhook.Endpoint{Name: "partner", Retry: webhook.Retry{Profile: webhook.RetryQuick}})
	p.happens(order("e1", "7", `"a":1`))
	in := p.starts()[0]
	require.NoError(t, p.Store.Trip(t.Context(), "partner", "anna"))
	_, wait := p.tries(in)
	assert.Positive(t, wait)
	_, err := p.db.Exec(`UPDATE delivery SET began_at = now() - interval '2 hours'`)
	require.NoError(t, err)
	r, _ := p.tries(in)
	assert.Equal(t, "parked", r.State)
	assert.Equal(t, "webhook.expired", r.Code)
}

func TestAReplayTellsWhatWasMissed(t *testing.T) {
	p := newPost(t)
	p.happens(order("e1", "7", `"a":1`), order("e2", "8", `"a":1`))
	p.endpoint(webhook.Endpoint{Name: "late", Filter: `event.data.id == 8`})
	p.happens(order("e3", "8", `"a":2`))
	for _, in := range p.starts() {
		p.tries(in)
	}
	since := time.Now().Add(-time.Hour)
	r, err := p.out.Replay(t.Context(), "late", since, time.Time{}, nil, false, "anna")
	require.NoError(t, err)
	assert.Equal(t, outbound.Replayed{Again: 1, New: 1}, r)
	for _, in := range p.starts() {
		p.tries(in)
	}
	var ids []string
	for _, sent := range p.got {
		ids = append(ids, sent.Header.Get(webhook.HeaderID))
	}
	assert.ElementsMatch(t, []string{"e3", "e2", "e3"}, ids)

	// Nothing of what it does not want any more, and no test event.
	_, err = p.out.Try(t.Context(), "late", "", time.Now())
	require.NoError(t, err)
	for _, in := range p.starts() {
		p.tries(in)
	}
	p.endpoint(webhook.Endpoint{Name: "late", Filter: `event.data.a == 2`})
	r, err = p.out.Replay(t.Context(), "late", since, time.Time{}, nil, false, "anna")
	require.NoError(t, err)
	assert.Equal(t, outbound.Replayed{Again: 1, LeftOut: 2}, r, "e3; not e2, and not the test event")
	again := p.starts()
	require.Len(t, again, 1)
	assert.Equal(t, "e3", again[0].Event)
	lines, err := p.out.Tell(t.Context(), "e1")
	require.NoError(t, err)
	assert.Equal(t, []string{fmt.Sprintf("%-24s not told: %s", "late", webhook.NotFiltered)}, lines)
}
