package outbound_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/outbound"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/storetest"
	"towpath/schema/webhook"
)

// office is two processes at one PostgreSQL: one that stores events, whose book
// is up to a second old, and one in which an operator works.
type office struct {
	*testing.T
	db               *sql.DB
	store            *store.Store
	events, operator *outbound.Outbound
}

func newOffice(t *testing.T) *office {
	t.Helper()
	dsn := storetest.NewDatabase(t)
	keys, err := seal.ParseRing("k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	require.NoError(t, err)
	st := storetest.OpenAt(t, dsn)
	return &office{T: t, db: storetest.Query(t, dsn), store: st, events: outbound.New(st, keys, zerolog.Nop()), operator: outbound.New(st, keys, zerolog.Nop())}
}

func (o *office) put(e webhook.Endpoint) {
	o.Helper()
	e.URL = "https://" + e.Name + ".example/hook"
	_, _, err := o.operator.Put(o.Context(), e, webhook.Secrets{})
	require.NoError(o, err)
}

// happens stores an event of a record with the book as it is.
func (o *office) happens(id, record string) {
	o.Helper()
	_, err := o.events.Record(o.Context(), "erp", []webhook.Event{order(id, record)}, "")
	require.NoError(o, err)
}

func order(id, record string) webhook.Event {
	return webhook.Event{ID: id, Type: "sale.order.updated", Model: "sale.order", RecordID: record, Action: webhook.Write,
		OccurredAt: time.Now(), Data: json.RawMessage(`{"id":` + record + `}`)}
}

// told are an event's deliveries: by endpoint, whether parked they would hold
// their stream.
func (o *office) told(id string) map[string]bool {
	o.Helper()
	rows, err := o.db.QueryContext(o.Context(), `SELECT endpoint, holds FROM delivery WHERE event = $1`, id)
	require.NoError(o, err)
	defer func() { _ = rows.Close() }()
	told := map[string]bool{}
	for rows.Next() {
		var name string
		var holds bool
		require.NoError(o, rows.Scan(&name, &holds))
		told[name] = holds
	}
	require.NoError(o, rows.Err())
	return told
}

// What an operator has said counts for every event that is stored afterwards,
// in whichever process.
func TestAnEventGoesToTheEndpointsAsTheyAre(t *testing.T) {
	o := newOffice(t)
	ordered := func(onPark webhook.OnPark) webhook.Endpoint {
		return webhook.Endpoint{Name: "a", Ordering: webhook.PerRecord, OnPark: onPark}
	}
	for i, step := range []struct {
		does func()
		told map[string]bool
	}{
		{func() {}, map[string]bool{}},
		{func() { o.put(ordered(webhook.Hold)) }, map[string]bool{"a": true}},
		{func() { o.put(ordered(webhook.GoOn)) }, map[string]bool{"a": false}},
		{func() { o.put(webhook.Endpoint{Name: "b"}) }, map[string]bool{"a": false, "b": true}},
		{func() { require.NoError(t, o.store.SwitchEndpoint(t.Context(), "a", false)) }, map[string]bool{"b": true}},
		{func() { require.NoError(t, o.store.SwitchEndpoint(t.Context(), "a", true)) }, map[string]bool{"a": false, "b": true}},
	} {
		_, err := o.events.Book.All(t.Context()) // fresh for a second
		require.NoError(t, err)
		step.does()
		id := fmt.Sprint("e", i)
		o.happens(id, "1")
		assert.Equal(t, step.told, o.told(id), "step %d", i)
	}
	_, err := o.events.Book.All(t.Context())
	require.NoError(t, err)
	o.put(webhook.Endpoint{Name: "b", Filter: `event.record_id == "2"`})
	o.put(ordered(webhook.Hold))
	r, err := o.events.Replay(t.Context(), "b", time.Time{}, time.Time{}, nil, false, "anna")
	require.NoError(t, err)
	assert.Zero(t, r.Again+r.New, "nor is it told again by what it wanted before")
	r, err = o.events.Replay(t.Context(), "a", time.Time{}, time.Time{}, nil, false, "anna")
	require.NoError(t, err)
	assert.EqualValues(t, 2, r.New, "of e0 and e4; the others wait for their turn")
	assert.Equal(t, true, o.told("e0")["a"])
}

// Delivered again, an event holds its record's later ones as its endpoint says
// now: what was settled when that changed was left out.
func TestWhatIsDeliveredAgainHoldsAsItsEndpointSays(t *testing.T) {
	o := newOffice(t)
	for i, test := range []struct {
		settled, again webhook.Endpoint
		holds          bool
	}{
		{webhook.Endpoint{Ordering: webhook.PerRecord}, webhook.Endpoint{Ordering: webhook.PerRecord, OnPark: webhook.GoOn}, false},
		{webhook.Endpoint{Ordering: webhook.PerRecord, OnPark: webhook.GoOn}, webhook.Endpoint{Ordering: webhook.PerRecord}, true},
		{webhook.Endpoint{Ordering: webhook.PerRecord, OnPark: webhook.GoOn}, webhook.Endpoint{Ordering: webhook.PerRecord, OnPark: webhook.Hold}, true},
		{webhook.Endpoint{Ordering: webhook.PerRecord}, webhook.Endpoint{}, false},
		{webhook.Endpoint{Collapse: true}, webhook.Endpoint{Collapse: true}, true}, // which orders, unsaid
		{webhook.Endpoint{Collapse: true}, webhook.Endpoint{Collapse: true, OnPark: webhook.GoOn}, false},
	} {
		test.settled.Name, test.again.Name = fmt.Sprint("a", i), fmt.Sprint("a", i)
		o.put(test.settled)
		id := fmt.Sprint("e", i)
		o.happens(id, "1")
		only := store.DeliveryFilter{Endpoint: test.again.Name}
		_, err := o.store.Discard(t.Context(), only, "anna")
		require.NoError(t, err)
		o.put(test.again)
		n, err := o.store.Redeliver(t.Context(), only, "anna", 1)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		assert.Equal(t, test.holds, o.told(id)[test.again.Name], "%+v", test)
	}
}

// Ordered twice, a replay happens once: what waits to be told again is not told
// again once more.
func TestAReplayIsOrderedTwice(t *testing.T) {
	o := newOffice(t)
	for i := range 5 {
		o.happens(fmt.Sprint("e", i), fmt.Sprint(i))
	}
	o.put(webhook.Endpoint{Name: "late"})
	var all, again int64
	for range 3 {
		r, err := o.operator.Replay(t.Context(), "late", time.Time{}, time.Time{}, nil, false, "anna")
		require.NoError(t, err)
		all, again = all+r.New, again+r.Again
	}
	assert.EqualValues(t, 5, all)
	assert.Zero(t, again)
	var made, generation int
	require.NoError(t, o.db.QueryRowContext(t.Context(), `SELECT count(*), max(generation) FROM delivery`).Scan(&made, &generation))
	assert.Equal(t, []int{5, 1}, []int{made, generation})
}

// However the two meet, what is parked holds its record's later events as the
// endpoint says at the end.
func TestHoldingIsChangedWhileEventsAreStored(t *testing.T) {
	o := newOffice(t)
	o.put(webhook.Endpoint{Name: "a", Ordering: webhook.PerRecord, OnPark: webhook.Hold})
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer func() { close(done); wg.Wait() }()
	for p := range 2 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				_, err := o.events.Record(t.Context(), "erp", []webhook.Event{order(fmt.Sprintf("e%d-%d", p, n), fmt.Sprint(n%7))}, "")
				if err != nil && !store.EndpointsChanged(err) { // who has read them five times in vain comes again later
					assert.NoError(t, err)
				}
			}
		})
	}
	for n := range 40 {
		o.put(webhook.Endpoint{Name: "a", Ordering: webhook.PerRecord, OnPark: []webhook.OnPark{webhook.GoOn, webhook.Hold}[n%2]})
		o.await(3) // events, of which some were on their way
		var others int
		want := n%2 == 1
		require.NoError(t, o.db.QueryRowContext(t.Context(), `SELECT count(*) FROM delivery WHERE holds <> $1`, want).Scan(&others))
		require.Zero(t, others, "change %d", n)
	}
}

// await returns when so many more events have been stored.
func (o *office) await(more int) {
	o.Helper()
	count := func() (n int) {
		require.NoError(o, o.db.QueryRowContext(o.Context(), `SELECT count(*) FROM outbound_event`).Scan(&n))
		return n
	}
	for before := count(); count() < before+more && o.Context().Err() == nil; {
		time.Sleep(time.Millisecond)
	}
}
