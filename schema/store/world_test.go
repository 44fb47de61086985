package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/record"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/storetest"
)

// world is a store with one shop, one Odoo and the flow between them; db sees
// the same tables behind the store's back.
type world struct {
	*store.Store
	dsn  string
	db   *sql.DB
	ring *seal.Ring
}

const keys = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func newWorld(t testing.TB) *world {
	t.Helper()
	dsn := storetest.NewDatabase(t)
	ring, err := seal.ParseRing(keys)
	require.NoError(t, err)
	w := &world{Store: storetest.OpenAt(t, dsn), dsn: dsn, db: storetest.Query(t, dsn), ring: ring}
	for name, kind := range map[string]string{"shop": "shopify", "odoo": "odoo"} {
		_, err := w.PutConnection(t.Context(), ring, name, kind, json.RawMessage(`{}`), nil)
		require.NoError(t, err)
	}
	_, _, err = w.PutFlow(t.Context(), store.Flow{Source: "shop", Kind: record.KindOrder, Target: "odoo", Rules: json.RawMessage(`{}`), Active: true})
	require.NoError(t, err)
	return w
}

func order(id string) store.Key {
	return store.Key{Connection: "shop", Kind: record.KindOrder, ExternalID: id}
}

// event is a complete webhook of an order; its version grows with at.
func event(id, delivery string, at int) store.Inbound {
	return store.Inbound{
		Connection: "shop", Format: store.FormatHook, Body: fmt.Appendf(nil, `{"id":%q,"at":%d}`, id, at),
		Event: record.Event{
			Kind: record.KindOrder, ExternalID: id, Topic: "orders/updated", DeliveryID: delivery,
			Version: version(at), Complete: true,
		},
	}
}

func version(at int) string {
	return record.NewVersion(time.Date(2026, 1, 1, 0, 0, at, 0, time.UTC), time.Time{})
}

// accept commits events through an inbox of its own.
func (w *world) accept(t testing.TB, events ...store.Inbound) int {
	t.Helper()
	in := w.NewInbox(nil)
	defer in.Close()
	fresh, err := in.Accept(t.Context(), events)
	require.NoError(t, err)
	return fresh
}

func (w *world) begin(t testing.TB, id string) *store.Pass {
	t.Helper()
	p, err := w.Begin(t.Context(), order(id), time.Minute)
	require.NoError(t, err)
	return p
}

// settle ends a pass that must be current.
func (w *world) settle(t testing.TB, p *store.Pass, st store.Settlement) (again bool, parked int64) {
	t.Helper()
	again, parked, err := w.Settle(t.Context(), p, st)
	require.NoError(t, err)
	return again, parked
}

// exec changes rows as no code of ours does: age them, break them.
func (w *world) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	_, err := w.db.Exec(query, args...)
	require.NoError(t, err)
}

// one reads a single value.
func one[T any](t interface {
	require.TestingT
	Helper()
}, w *world, query string, args ...any) (v T) {
	t.Helper()
	require.NoError(t, w.db.QueryRow(query, args...).Scan(&v))
	return v
}

func (w *world) dueAt(t testing.TB, id string) sql.NullTime {
	t.Helper()
	return one[sql.NullTime](t, w, `SELECT due_at FROM object WHERE external_id = $1`, id)
}

// ahead says that a moment, which was set after began, lies so far after the one
// at which it was set; however long the machine stood still meanwhile.
func ahead(t testing.TB, span time.Duration, began, moment time.Time) {
	t.Helper()
	const slack = 2 * time.Second
	require.WithinRange(t, moment, began.Add(span-slack), time.Now().Add(span+slack))
}

// whole says that invariant (i) holds: no pending event rests on an object
// that is not due.
func (w *world) whole(t testing.TB) {
	t.Helper()
	n, err := w.Broken(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "pending events whose object is not due")
}
