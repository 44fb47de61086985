package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"towpath/api"
	"towpath/connectors"
	"towpath/connectors/odoo"
	"towpath/connectors/pool"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// told is where events go; ids that came before are not new.
type told struct {
	ids    map[string]string // with their types
	nudges []string
}

func (b *told) Record(_ context.Context, _ string, events []webhook.Event, _ string) (fresh int, err error) {
	for _, e := range events {
		if b.ids[e.ID] == "" {
			fresh++
		}
		b.ids[e.ID] = e.Type
	}
	return fresh, nil
}

func (b *told) Nudge(_ context.Context, connection string) error {
	b.nudges = append(b.nudges, connection)
	return nil
}

func (b *told) Applied(context.Context, string, string, bool, string) error { return nil }
func (b *told) CheckAck(string, string, string) bool                        { return false }

// TestEventsOfOdoo: what Odoo's modules push, and nudges to the secret address.
func TestEventsOfOdoo(t *testing.T) {
	const key = "planted-events-key-4711"
	config := json.RawMessage(`{"url": "http://127.0.0.1:1", "database": "d", "login": "l", "password": "p",
		"events": "automation", "events_models": "res.partner", "events_key": "` + key + `"}`)
	doors := pool.New(func(_ context.Context, name string) (pool.Stored, error) {
		return pool.Stored{Name: name, Kind: odoo.Kind, Active: true, Settings: func() (json.RawMessage, error) { return config, nil }}, nil
	}, []connectors.Definition{odoo.Definition}, connectors.Runtime{})
	book, log := &told{ids: map[string]string{}}, &lines{}
	server := httptest.NewServer(api.New(api.Deps{
		Pool: doors, Events: book, Log: zerolog.New(log),
		Connections: func(context.Context) ([]store.Connection, error) {
			return []store.Connection{{Name: "asleep", Kind: odoo.Kind}, {Name: "erp", Kind: odoo.Kind, Active: true}}, nil
		},
	}))
	t.Cleanup(server.Close)
	door, err := doors.Get(t.Context(), "erp")
	require.NoError(t, err)
	address := door.(*odoo.Connector).EventsAddress(server.URL)

	post := func(url, body string, header ...string) (status int, answer map[string]any) {
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		return resp.StatusCode, answer
	}
	done := map[string]any{"status": "success", "message": "Webhook traité"}

	status, answer := post(address, `{"_id": 7, "_model": "res.partner", "_action": "x"}`)
	require.Equal(t, 200, status)
	require.Equal(t, done, answer)
	require.Equal(t, []string{"erp"}, book.nudges)
	require.Empty(t, book.ids)

	for _, url := range []string{server.URL + "/webhooks/odoo/erp", address + "x", server.URL + "/webhooks/odoo/erp?key=" + key, server.URL + "/webhooks/odoo/partner?key=wrong"} {
		status, _ = post(url, `{"_id": 7}`)
		require.Equal(t, 401, status)
	}
	const pushed = `{"event": "res.partner.created", "timestamp": "2026-11-23T10:00:00Z", "data": {"id": 7, "name": "Ada"}}`
	for range 2 { // the second time it is known
		for _, url := range []string{server.URL + "/webhooks/odoo/erp", server.URL + "/webhooks/odoo/partner"} {
			status, answer = post(url, pushed, "Authorization", "Bearer "+key)
			require.Equal(t, 200, status)
			require.Equal(t, done, answer)
		}
	}
	require.Len(t, book.ids, 1)
	status, _ = post(server.URL+"/webhooks/odoo/erp", `{"event": "res.partner.created"}`, "Authorization", "Bearer "+key)
	require.Equal(t, 400, status)
	require.Len(t, book.nudges, 1)
	require.NotContains(t, log.String(), "key=", "the secret address is in no log")
	require.NotContains(t, log.String(), key)
}
