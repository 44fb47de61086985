package odoo

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

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
