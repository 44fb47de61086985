package odoo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

const (
	testSecret = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	testKey    = "0123456789abcdef-key"
)

// telling opens a connection that tells events of a simulated Odoo.
func telling(t *testing.T, more map[string]any) (*simulator.Server, *Connector) {
	t.Helper()
	server, err := simulator.Start(simulator.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server, door(t, server, more)
}

func door(t *testing.T, server *simulator.Server, more map[string]any) *Connector {
	t.Helper()
	config := map[string]any{"url": server.URL(), "database": server.Database(), "login": "towpath", "password": "towpath"}
	maps.Copy(config, more)
	c, err := Open(settings(t, config))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func pull(t *testing.T, c *Connector, cursor string, limit int) connectors.EventBatch {
	t.Helper()
	b, err := c.PullEvents(t.Context(), cursor, limit)
	require.NoError(t, err)
	return b
}

func types(events []webhook.Event) (names []string) {
	for _, e := range events {
		names = append(names, e.Type+" "+e.RecordID)
	}
	return names
}

func TestOutbox(t *testing.T) {
	server, c := telling(t, map[string]any{"events": "outbox"})
	require.True(t, c.TellsEvents())

	_, err := c.PullEvents(t.Context(), "", 10)
	wantCode(t, err, fault.Unsupported, "odoo.outbox_missing")
	require.Contains(t, fault.Of(err).Resolution, "towpath_outbox")

	server.Watch("res.partner", "sale.order")
	_, err = door(t, server, map[string]any{"events": "outbox", "login": "office", "password": "office"}).PullEvents(t.Context(), "", 10)
	wantCode(t, err, fault.Unauthorized, "odoo.outbox_forbidden")
	require.Contains(t, fault.Of(err).Resolution, "Towpath bot")

	require.Empty(t, pull(t, c, "", 10).Events)
	for name, config := range map[string]map[string]any{
		"JSON-RPC": {"transport": "jsonrpc"}, "XML-RPC": {"transport": "xmlrpc"}, "JSON-2": {"transport": "json2", "api_key": simulator.BotKey},
	} {
		t.Run(name, func(t *testing.T) {
			config["events"] = "outbox"
			c := door(t, server, config)
			made, err := server.Create("res.partner", map[string]any{"name": "Ada", "city": "Lyon"})
			require.NoError(t, err)
			require.NoError(t, server.Edit("res.partner", made, map[string]any{"city": "Paris"}))
			require.NoError(t, server.Delete("res.partner", made))
			record := strconv.FormatInt(made, 10)

			got := pull(t, c, "", 2)
			require.Equal(t, []string{"res.partner.created " + record, "res.partner.updated " + record}, types(got.Events))
			require.True(t, got.More)
			updated := got.Events[1]
			require.Equal(t, []string{"city"}, updated.Changed)
			require.JSONEq(t, `{"city": "Lyon"}`, string(updated.Old))
			require.NoError(t, got.Events[0].Check())
			var data map[string]any
			require.NoError(t, json.Unmarshal(got.Events[0].Data, &data))
			require.Equal(t, "Ada", data["name"])
			require.Contains(t, data, "vat")
			require.Nil(t, data["vat"], "empty is null in a named event")

			// Killed between claim and ack: a successor gets the same rows first.
			again := pull(t, door(t, server, config), "", 10)
			require.Equal(t, append(types(got.Events), "res.partner.deleted "+record), types(again.Events))
			require.Equal(t, got.Events[0].ID, again.Events[0].ID)
			require.False(t, again.More)

			require.NoError(t, got.Ack(t.Context()))
			require.NoError(t, again.Ack(t.Context()), "said twice")
			require.Empty(t, pull(t, c, "", 10).Events)
			require.Zero(t, server.Waiting())
		})
	}

	t.Run("a lost answer costs nothing", func(t *testing.T) {
		made, err := server.Create("res.partner", map[string]any{"name": "Lost"})
		require.NoError(t, err)
		server.Faults.Add(simulator.Fault{Model: "towpath.outbox", Method: "claim", Times: 1, ResetAfterCommit: true})
		var got connectors.EventBatch
		require.Eventually(t, func() bool { got, err = c.PullEvents(t.Context(), "", 10); return err == nil }, time.Minute, 10*time.Millisecond)
		require.Equal(t, []string{"res.partner.created " + strconv.FormatInt(made, 10)}, types(got.Events))
		require.NoError(t, got.Ack(t.Context()))
	})

	t.Run("an order, step by step", func(t *testing.T) {
		made, err := server.Create("sale.order", map[string]any{"partner_id": int64(1)})
		require.NoError(t, err)
		got := pull(t, c, "", 10)
		require.NoError(t, got.Ack(t.Context()))
		require.NoError(t, c.rpc.Call(t.Context(), "sale.order", "action_confirm", []int64{made}, nil, nil, nil))
		got = pull(t, c, "", 10)
		id := strconv.FormatInt(made, 10)
		require.Equal(t, []string{"sale.order.state.changed " + id, "sale.order.updated " + id}, types(got.Events))
		require.Equal(t, webhook.Acted, got.Events[0].Action)
	})

	t.Run("a row that cannot be read stops what comes after it", func(t *testing.T) {
		row := func(id int, event string) string {
			return fmt.Sprintf(`{"id": %d, "event_id": "e%d", "event": %q, "action": "create", "model": "m", "res_id": 9007199254740993, "occurred_at": "2026-11-23T02:38:56.123456Z", "data": {"n": 12345678901234567890.10}, "old_values": false, "changed_fields": false, "thin": false}`, id, id, event)
		}
		answers := func(rows string) {
			server.Faults.Add(simulator.Fault{Model: "towpath.outbox", Method: "claim", Times: 1, Status: 200, Body: `{"jsonrpc": "2.0", "id": 1, "result": [` + rows + `]}`})
		}
		answers(row(1, "m.created") + "," + row(2, "No Type") + "," + row(3, "m.created"))
		got := pull(t, c, "", 10)
		require.Equal(t, []string{"m.created 9007199254740993"}, types(got.Events), "and digits stay")
		require.JSONEq(t, `{"n": 12345678901234567890.10}`, string(got.Events[0].Data))
		require.Contains(t, string(got.Events[0].Data), "12345678901234567890.10")
		require.True(t, got.More)
		answers(row(2, "No Type") + "," + row(3, "m.created"))
		_, err := c.PullEvents(t.Context(), "", 10)
		wantCode(t, err, fault.Invalid, "webhook.event_invalid")
		require.Contains(t, fault.Of(err).Resolution, "number 2")
	})

	t.Run("the canary order is not told", func(t *testing.T) {
		require.NoError(t, pull(t, c, "", 100).Ack(t.Context()))
		_, err := door(t, server, map[string]any{"events": "outbox"}).SalesTerms(t.Context(), true)
		require.NoError(t, err)
		require.NotZero(t, server.Waiting())
		require.Empty(t, pull(t, c, "", 100).Events)
		require.Zero(t, server.Waiting())
	})

	t.Run("check tells what is missing", func(t *testing.T) {
		report := c.Check(t.Context())
		require.True(t, report.OK(), "%+v", report.Probes)
		report = door(t, server, map[string]any{"events": "outbox", "login": "office", "password": "office"}).Check(t.Context())
		last := report.Probes[len(report.Probes)-1]
		require.False(t, last.OK)
		require.Contains(t, last.Fix, "Towpath bot")
	})
}

// heavy answers more than may come in one answer wherever more than some rows are
// asked for, as an outbox does that is full of texts with pictures in them.
type heavy struct {
	method string
	most   int
	asked  []int
}

func (h *heavy) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if limit := regexp.MustCompile(`"limit": ?([0-9]+)`).FindSubmatch(body); limit != nil && bytes.Contains(body, []byte(`"`+h.method+`"`)) {
		n, _ := strconv.Atoi(string(limit[1]))
		if h.asked = append(h.asked, n); n > h.most {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(io.LimitReader(blanks{}, 65<<20))}, nil
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// What is too much for one answer comes in smaller ones: it would be asked for in
// vain for ever, and all events behind it would wait.
func TestEventsThatAreTooLargeTogether(t *testing.T) {
	server, _ := telling(t, nil)
	server.Watch("res.partner")
	const all = 5
	for n := range all {
		_, err := server.Create("res.partner", map[string]any{"name": fmt.Sprint("partner ", n)})
		require.NoError(t, err)
	}
	net := &heavy{method: "claim", most: 3}
	raw := settings(t, map[string]any{"url": server.URL(), "database": server.Database(), "login": "towpath", "password": "towpath", "events": "outbox", "transport": "jsonrpc"})
	raw.Runtime.Transport = net
	c, err := Open(raw)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	var told []string
	for more := true; more; {
		b := pull(t, c, "", 6)
		require.NoError(t, b.Ack(t.Context()))
		told, more = append(told, types(b.Events)...), b.More
	}
	require.Len(t, told, all)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(told))), all, "each once")
	require.Zero(t, server.Waiting())
	require.Equal(t, []int{6, 3}, net.asked[:2], "and it is not tried with all of them again and again: %v", net.asked)

	net.most = 0
	_, err = server.Create("res.partner", map[string]any{"name": "one that is too large by itself"})
	require.NoError(t, err)
	_, err = c.PullEvents(t.Context(), "", 1)
	wantCode(t, err, fault.Unsupported, "odoo.event_too_large")
}

func TestABiteLearns(t *testing.T) {
	var b bite
	require.Equal(t, 200, b.of(200))
	require.False(t, b.after(200, fault.New(fault.Transient, "odoo.unreachable", "away")))
	require.Equal(t, 200, b.of(200), "that it is away says nothing")
	require.False(t, b.after(200, fault.New(fault.Transient, "odoo.timeout", "slow")), "later, and then fewer")
	require.Equal(t, 100, b.of(200))
	for range 20 {
		require.False(t, b.after(b.of(200), nil))
	}
	require.Equal(t, 200, b.of(200))
	require.False(t, b.after(1, fault.New(fault.Unsupported, "odoo.answer_too_large", "one")), "there is nothing less than one")
}

func TestNudgeOfTheModule(t *testing.T) {
	server, c := telling(t, map[string]any{"events": "outbox", "events_secret": testSecret})
	nudges := make(chan bool, 10)
	towpath := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.NoError(t, c.VerifyEvents(r.Header, body))
		events, nudge, err := c.ParseEvents(r.Header, body)
		assert.NoError(t, err)
		assert.Empty(t, events)
		nudges <- nudge
	}))
	t.Cleanup(towpath.Close)
	server.Watch("res.partner")
	server.NudgeTo(towpath.URL, testSecret)
	_, err := server.Create("res.partner", map[string]any{"name": "Ada"})
	require.NoError(t, err)
	select {
	case nudge := <-nudges:
		require.True(t, nudge)
	case <-time.After(time.Minute):
		t.Fatal("no nudge came")
	}
	require.Len(t, pull(t, c, "", 10).Events, 1)
}

func TestEventSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		config map[string]any
		field  string
	}{
		"off":                    {map[string]any{}, ""},
		"outbox":                 {map[string]any{"events": "outbox"}, ""},
		"unknown":                {map[string]any{"events": "often"}, "events"},
		"polling without models": {map[string]any{"events": "polling"}, "events_models"},
		"automation without key": {map[string]any{"events": "automation", "events_models": "res.partner"}, "events_key"},
		"short key":              {map[string]any{"events_key": "short"}, "events_key"},
		"short secret":           {map[string]any{"events_secret": testSecret + " short"}, "events_secret"},
	} {
		t.Run(name, func(t *testing.T) {
			maps.Copy(tc.config, map[string]any{"url": "http://127.0.0.1:1", "database": "d", "login": "bot", "password": "bot"})
			c, err := Open(settings(t, tc.config))
			if tc.field == "" {
				require.NoError(t, err)
				require.Equal(t, tc.config["events"] != nil, c.TellsEvents())
				return
			}
			wantCode(t, err, fault.Invalid, "odoo.config")
			require.Equal(t, tc.field, fault.Of(err).Field)
		})
	}
}

func TestHooksBeforeOdoo17(t *testing.T) {
	server, err := simulator.Start(simulator.Options{Version: 14})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	c := door(t, server, map[string]any{"events": "automation", "events_models": "res.partner", "events_key": testKey})
	_, err = c.InstallHooks(t.Context(), "https://towpath.example.com")
	wantCode(t, err, fault.Unsupported, "odoo.no_webhook_actions")
	require.Contains(t, fault.Of(err).Resolution, "polling")
	_, err = door(t, server, nil).InstallHooks(t.Context(), "https://towpath.example.com")
	wantCode(t, err, fault.Invalid, "odoo.hooks_unwanted")
}
