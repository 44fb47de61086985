package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/seal"
	"towpath/schema/store"
)

const secret = "shpat_planted_secret"

func (w *world) put(t *testing.T, ring *seal.Ring, config string, secrets map[string]json.RawMessage) bool {
	t.Helper()
	changed, err := w.PutConnection(t.Context(), ring, "shop3", "shopify", json.RawMessage(config), secrets)
	require.NoError(t, err)
	return changed
}

func (w *world) connection(t *testing.T, name string) store.Connection {
	t.Helper()
	c, err := w.Connection(t.Context(), name)
	require.NoError(t, err)
	return c
}

func TestPutConnectionTwiceDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := map[string]json.RawMessage{"token": json.RawMessage(`"` + secret + `"`), "list": json.RawMessage(`["a","b"]`)}
	require.True(t, w.put(t, w.ring, `{"shop": "a.example", "n": 1}`, tokens))
	require.False(t, w.put(t, w.ring, `{"n":1.0,"shop":"a.example"}`, tokens))
	require.EqualValues(t, 1, w.connection(t, "shop3").Revision)
	require.True(t, w.put(t, w.ring, `{"shop": "b.example"}`, tokens))
	require.EqualValues(t, 2, w.connection(t, "shop3").Revision)
	tokens["token"] = json.RawMessage(`"new"`)
	require.True(t, w.put(t, w.ring, `{"shop": "b.example"}`, tokens))
	delete(tokens, "list")
	require.True(t, w.put(t, w.ring, `{"shop": "b.example"}`, tokens))
	merged, err := w.connection(t, "shop3").Merged(w.ring)
	require.NoError(t, err)
	require.JSONEq(t, `{"shop":"b.example","token":"new"}`, string(merged))
}

func TestSecretsRestSealedInTheirPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, w.ring, `{}`, map[string]json.RawMessage{"token": json.RawMessage(`"` + secret + `"`)})
	row := one[string](t, w, `SELECT connection::text FROM connection WHERE name = 'shop3'`)
	require.NotContains(t, row, secret)

	// An envelope that is moved to another row or field does not open.
	w.exec(t, `UPDATE connection SET secrets = (SELECT secrets FROM connection WHERE name = 'shop3') WHERE name = 'shop'`)
	_, err := w.connection(t, "shop").Merged(w.ring)
	require.Equal(t, "seal.broken", fault.Of(err).Code)
	w.exec(t, `UPDATE connection SET secrets = jsonb_build_object('other', secrets->'token') WHERE name = 'shop3'`)
	_, err = w.connection(t, "shop3").Merged(w.ring)
	require.Equal(t, "seal.broken", fault.Of(err).Code)
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := map[string]json.RawMessage{"token": json.RawMessage(`"` + secret + `"`)}
	w.put(t, w.ring, `{}`, tokens)
	fresh := "k2:" + strings.Repeat("ab", 32)
	both, err := seal.ParseRing(fresh + "," + keys)
	require.NoError(t, err)
	only, err := seal.ParseRing(fresh)
	require.NoError(t, err)

	_, err = w.connection(t, "shop3").Merged(only)
	require.Equal(t, "seal.unknown_key", fault.Of(err).Code)
	n, err := w.Reseal(t.Context(), both)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = w.Reseal(t.Context(), both)
	require.NoError(t, err)
	require.Zero(t, n)
	merged, err := w.connection(t, "shop3").Merged(only)
	require.NoError(t, err)
	require.JSONEq(t, `{"token":"`+secret+`"}`, string(merged))
	require.False(t, w.put(t, only, `{}`, tokens))
}

func TestNameAndKindOfAConnectionNeverChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.PutConnection(t.Context(), w.ring, "shop", "odoo", json.RawMessage(`{}`), nil)
	require.Equal(t, "connection.kind_changed", fault.Of(err).Code)
	for _, query := range []string{`UPDATE connection SET name = 'shop9' WHERE name = 'odoo'`, `UPDATE connection SET kind = 'x' WHERE name = 'odoo'`} {
		_, err := w.db.Exec(query)
		var refused *pq.Error
		require.True(t, errors.As(err, &refused))
		require.Contains(t, refused.Message, "never change")
	}
	_, err = w.PutConnection(t.Context(), w.ring, "Not A Slug", "odoo", json.RawMessage(`{}`), nil)
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	_, err = w.Connection(t.Context(), "nope")
	require.True(t, fault.Is(err, fault.NotFound))
	all, err := w.Connections(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
}

func TestPutFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "parked"})
	f := store.Flow{Source: "shop", Kind: record.KindOrder, Target: "odoo", Rules: json.RawMessage(`{ }`), Active: true}
	changed, woken, err := w.PutFlow(t.Context(), f)
	require.NoError(t, err)
	require.False(t, changed)
	require.Zero(t, woken)
	f.Rules = json.RawMessage(`{"a":1}`)
	changed, woken, err = w.PutFlow(t.Context(), f)
	require.NoError(t, err)
	require.True(t, changed)
	require.EqualValues(t, 1, woken, "what is parked under the old rules is tried under the new")
	require.EqualValues(t, 2, w.begin(t, "1").Revision)
	f.Active = false
	changed, _, err = w.PutFlow(t.Context(), f)
	require.NoError(t, err)
	require.True(t, changed)
	f.Target = "shop"
	_, _, err = w.PutFlow(t.Context(), f)
	require.Equal(t, "flow.target_changed", fault.Of(err).Code)
	_, _, err = w.PutFlow(t.Context(), store.Flow{Source: "nope", Kind: "order", Target: "odoo", Rules: json.RawMessage(`{}`)})
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	flows, err := w.Flows(t.Context())
	require.NoError(t, err)
	require.Len(t, flows, 1)
	require.JSONEq(t, `{"a":1}`, string(flows[0].Rules))
}

func TestPinStopsAClone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pin := func(identity string) string {
		stopped, err := w.Pin(t.Context(), "odoo", identity)
		require.NoError(t, err)
		return stopped
	}
	require.Empty(t, pin("u1"))
	require.Empty(t, pin("u1"))
	require.Contains(t, pin("u2"), "identity u2, was u1")
	require.NotEmpty(t, pin("u1"), "a person decides, not the next look")
	w.accept(t, event("1", "", 1))
	require.Empty(t, w.claim(t, 10))
	require.NoError(t, w.AcceptIdentity(t.Context(), "odoo", "u2"))
	require.Empty(t, pin("u2"))
	require.Len(t, w.claim(t, 10), 1)
	_, err := w.Pin(t.Context(), "nope", "u")
	require.True(t, fault.Is(err, fault.NotFound))
}

func TestWatermarkNeverGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, to := range []time.Time{late, late.Add(-time.Hour)} {
		require.NoError(t, w.CaughtUp(t.Context(), "shop", to))
	}
	began := time.Now()
	require.NoError(t, w.HooksChecked(t.Context(), "shop"))
	c := w.connection(t, "shop")
	require.True(t, late.Equal(c.CaughtUpTo.Time))
	ahead(t, 0, began, c.HooksChecked.Time)
}
