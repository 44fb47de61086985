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
	"strings"
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

func TestVerifyEvents(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	open := func(config map[string]any) *Connector {
		maps.Copy(config, map[string]any{"url": "http://127.0.0.1:1", "database": "d", "login": "bot", "password": "bot"})
		s := settings(t, config)
		s.Runtime.Now = func() time.Time { return now }
		c, err := Open(s)
		require.NoError(t, err)
		return c
	}
	c := open(map[string]any{"events_secret": testSecret + " another-plain-secret", "events_key": testKey})
	body := []byte(`{"event":"towpath.nudge"}`)
	sign := func(p webhook.Profile, secret string, at time.Time) http.Header {
		h, err := webhook.Sign(p, webhook.Secrets{Signing: []string{secret}}, "msg_1", at, body, webhook.Event{})
		require.NoError(t, err)
		return h
	}
	with := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		if h == nil {
			h = http.Header{}
		}
		h.Set(name, value)
		return h
	}
	for name, tc := range map[string]struct {
		header http.Header
		field  string // of the refusal; empty: accepted
	}{
		"standard":                             {sign(webhook.Standard, testSecret, now), ""},
		"standard, 5 minutes ago":              {sign(webhook.Standard, testSecret, now.Add(-5*time.Minute)), ""},
		"standard, too old":                    {sign(webhook.Standard, testSecret, now.Add(-5*time.Minute-time.Second)), "webhook-signature"},
		"standard, future":                     {sign(webhook.Standard, testSecret, now.Add(6*time.Minute)), "webhook-signature"},
		"standard, other secret":               {sign(webhook.Standard, webhook.GenerateSecret(webhook.Standard), now), "webhook-signature"},
		"standard, other id":                   {with(sign(webhook.Standard, testSecret, now), "webhook-id", "msg_2"), "webhook-signature"},
		"standard, no time":                    {with(sign(webhook.Standard, testSecret, now), "webhook-timestamp", ""), "webhook-signature"},
		"standard, time as +5":                 {with(sign(webhook.Standard, testSecret, now), "webhook-timestamp", "+1763899200"), "webhook-signature"},
		"standard, two, one fits":              {with(sign(webhook.Standard, testSecret, now), "webhook-signature", "v1,AAAA v1a,BBBB "+sign(webhook.Standard, testSecret, now).Get("webhook-signature")), ""},
		"s0":                                   {sign(webhook.OdooS0, "another-plain-secret", now), ""},
		"s0, the whole secret text":            {sign(webhook.OdooS0, testSecret, now), ""},
		"s0, wrong":                            {sign(webhook.OdooS0, "another-plain-secreT", now), "X-Odoo-Webhook-Signature"},
		"s1":                                   {sign(webhook.OdooS1, "another-plain-secret", now), ""},
		"s1, too old":                          {sign(webhook.OdooS1, "another-plain-secret", now.Add(-time.Hour)), "X-Signature"},
		"s1, time changed":                     {with(sign(webhook.OdooS1, "another-plain-secret", now), "X-Timestamp", strconv.FormatInt(now.Unix()+1, 10)), "X-Signature"},
		"bearer":                               {http.Header{"Authorization": {"Bearer " + testKey}}, ""},
		"bearer, wrong":                        {http.Header{"Authorization": {"Bearer " + testKey + "x"}}, "Authorization"},
		"bearer, empty":                        {http.Header{"Authorization": {"Bearer "}}, "Authorization"},
		"address":                              {http.Header{connectors.HeaderKey: {c.addressKey()}}, ""},
		"address, events_key itself":           {http.Header{connectors.HeaderKey: {testKey}}, "webhook-signature"},
		"a bad signature beside a good bearer": {with(with(nil, "Authorization", "Bearer "+testKey), "webhook-signature", "v1,AAAA"), "webhook-signature"},
		"nothing":                              {http.Header{}, "webhook-signature"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.VerifyEvents(tc.header, body)
			if tc.field == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, fault.Is(err, fault.Unauthorized), "%v", err)
			require.Equal(t, tc.field, fault.Of(err).Field)
			require.NotEmpty(t, fault.Of(err).Resolution)
		})
	}
	t.Run("a connection without secrets takes nothing", func(t *testing.T) {
		bare := open(map[string]any{})
		for _, h := range []http.Header{sign(webhook.Standard, testSecret, now), {"Authorization": {"Bearer "}}, {connectors.HeaderKey: {bare.addressKey()}}, {}} {
			require.True(t, fault.Is(bare.VerifyEvents(h, body), fault.Unauthorized))
		}
	})
}

func TestParseEvents(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := settings(t, map[string]any{"url": "http://127.0.0.1:1", "database": "d", "login": "bot", "password": "bot", "events_key": testKey})
	s.Runtime.Now = func() time.Time { return now }
	c, err := Open(s)
	require.NoError(t, err)
	bearer := http.Header{"Authorization": {"Bearer " + testKey}}
	parse := func(t *testing.T, h http.Header, body string) ([]webhook.Event, bool) {
		events, nudge, err := c.ParseEvents(h, []byte(body))
		require.NoError(t, err)
		for _, e := range events {
			require.NoError(t, e.Check())
		}
		return events, nudge
	}
	t.Run("nudges", func(t *testing.T) {
		for _, body := range []string{`{"event":"towpath.nudge","data":{}}`, `{"_action":"x","_id":7,"_model":"res.partner"}`} {
			events, nudge := parse(t, bearer, body)
			require.True(t, nudge)
			require.Empty(t, events)
		}
		// The secret address vouches for no content, whatever the body says.
		events, nudge := parse(t, http.Header{connectors.HeaderKey: {c.addressKey()}}, `{"event":"sale.order.created","data":{"id":1}}`)
		require.True(t, nudge)
		require.Empty(t, events)
	})
	t.Run("S3", func(t *testing.T) {
		body := `{"event":"sale.order.created","timestamp":"2026-11-23T10:00:00.5Z","data":{"id":42,"name":"S00042","partner_id":false,"amount_total":1234567890.10}}`
		events, nudge := parse(t, bearer, body)
		require.False(t, nudge)
		require.Len(t, events, 1)
		e := events[0]
		require.Equal(t, "sale.order.created sale.order 42 create", e.Type+" "+e.Model+" "+e.RecordID+" "+string(e.Action))
		require.Equal(t, now.Add(-2*time.Hour).Add(500*time.Millisecond), e.OccurredAt)
		require.Contains(t, string(e.Data), "1234567890.10", "digits stay")
		again, _ := parse(t, bearer, body)
		require.Equal(t, e.ID, again[0].ID, "the same body is the same event")
		other, _ := parse(t, bearer, `{"event":"sale.order.created","data":{"id":43}}`)
		require.NotEqual(t, e.ID, other[0].ID)
		require.Equal(t, now, other[0].OccurredAt)
		named := bearer.Clone()
		named.Set("webhook-id", "msg_given")
		events, _ = parse(t, named, body)
		require.Equal(t, "msg_given", events[0].ID)
	})
	t.Run("business steps", func(t *testing.T) {
		events, _ := parse(t, bearer, `{"event":"account.move.validated","timestamp":"2026-11-23 10:00:00","data":{"id":5}}`)
		require.Equal(t, webhook.Acted, events[0].Action)
		require.Equal(t, "account.move", events[0].Model)
	})
	t.Run("S1", func(t *testing.T) {
		events, _ := parse(t, bearer, `{"event":"write","model":"x_my.model","timestamp":1763892000,"data":[{"id":1},{"id":2}],"changed_fields":["name"]}`)
		require.Equal(t, []string{"x_my.model.updated 1", "x_my.model.updated 2"}, types(events))
		require.NotEqual(t, events[0].ID, events[1].ID)
		require.Equal(t, []string{"name"}, events[1].Changed)
		events, _ = parse(t, bearer, `{"event":"unlink","model":"res.partner","data":{"id":9}}`)
		require.Equal(t, []string{"res.partner.deleted 9"}, types(events))
		require.Equal(t, webhook.Unlink, events[0].Action)
	})
	t.Run("S0", func(t *testing.T) {
		h := bearer.Clone()
		h.Set("X-Odoo-Webhook-Event", "res.partner.updated")
		events, _ := parse(t, h, `{"id":3,"name":"Ada"}`)
		require.Equal(t, []string{"res.partner.updated 3"}, types(events))
		require.JSONEq(t, `{"id":3,"name":"Ada"}`, string(events[0].Data))
		// A record's own fields are no envelope, whatever they are called.
		for _, own := range []string{
			`{"id":3,"name":"Ada","type":"contact"}`, `{"id":3,"type":false,"event":false,"model":false}`, `{"id":3,"model":"golf"}`,
			`{"id":3,"event":"wedding","timestamp":"noon","data":false}`, `{"id":3,"type":"sale.order.created","_action":"x"}`,
		} {
			events, nudge := parse(t, h, own)
			require.False(t, nudge)
			require.Equal(t, []string{"res.partner.updated 3"}, types(events), own)
			require.Equal(t, "res.partner", events[0].Model)
			require.JSONEq(t, strings.Replace(own, `"type":false`, `"type":null`, 1), string(events[0].Data))
		}
		// Changed and changed back: the same body again, and no repetition.
		first, _ := parse(t, h, `{"id":3,"name":"Ada"}`)
		back, _ := parse(t, h, `{"id":3,"name":"Ada"}`)
		require.NotEqual(t, first[0].ID, back[0].ID)
		for _, once := range []string{"res.partner.created", "res.partner.deleted"} {
			h := h.Clone()
			h.Set("X-Odoo-Webhook-Event", once)
			first, _ := parse(t, h, `{"id":3}`)
			again, _ := parse(t, h, `{"id":3}`)
			require.Equal(t, first[0].ID, again[0].ID, "happens once")
		}
		// Who sends an envelope beside the header means the envelope.
		events, _ = parse(t, h, `{"event":"crm.lead.won","data":{"id":4}}`)
		require.Equal(t, []string{"crm.lead.won 4"}, types(events))
	})
	for body, field := range map[string]string{
		`nothing`: "body", `[]`: "body", `{}`: "event", `{"event":"create","data":{}}`: "model",
		`{"event":"Bestellung!","data":{}}`: "event", `{"event":"sale.order.created"}`: "data",
		`{"event":"sale.order.created","data":7}`: "data", `{"event":"sale.order.created","data":[]}`: "data",
		`{"event":"sale.order.created","data":[1]}`: "data", `{"event":"sale.order.created","data":{},"timestamp":"soon"}`: "timestamp",
		`{"event":"sale.order.created","data":{},"changed_fields":7}`: "changed_fields",
	} {
		t.Run(body, func(t *testing.T) {
			_, _, err := c.ParseEvents(bearer, []byte(body))
			wantCode(t, err, fault.Invalid, "odoo.event_invalid")
			require.Equal(t, field, fault.Of(err).Field)
		})
	}
}

func FuzzParseEvents(f *testing.F) {
	raw, err := json.Marshal(map[string]any{"url": "http://127.0.0.1:1", "database": "d", "login": "bot", "password": "bot", "events_key": testKey})
	require.NoError(f, err)
	c, err := Open(connectors.Settings{Name: "test", Config: raw})
	require.NoError(f, err)
	f.Add([]byte(`{"event":"write","model":"res.partner","timestamp":1763892000,"data":[{"id":1}]}`), "")
	f.Add([]byte(`{"id":1}`), "sale.order.created")
	f.Fuzz(func(t *testing.T, body []byte, event string) {
		h := http.Header{"Authorization": {"Bearer " + testKey}, "X-Odoo-Webhook-Event": {event}}
		events, _, err := c.ParseEvents(h, body)
		if err != nil {
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			return
		}
		for _, e := range events {
			require.NoError(t, e.Check())
		}
	})
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
