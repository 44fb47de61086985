package odoo

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// VerifyEvents takes what the connection's own secrets vouch for, in this order:
// a signature (Standard Webhooks v1, X-Signature or X-Odoo-Webhook-Signature) made
// with events_secret; Authorization: Bearer events_key; the key of the secret
// address, which vouches for nudges only.
func (c *Connector) VerifyEvents(h http.Header, body []byte) error {
	secrets := strings.Fields(c.cfg.EventsSecret)
	switch token, bearer := bearerOf(h); {
	case webhook.Signed(h) && len(secrets) > 0:
		return webhook.Verify(secrets, h, body, c.now())
	case webhook.Signed(h):
		return refusedEvent("events_secret", "the request is signed, and this connection has no secret for signatures", "set the connection's events_secret to the secret in Odoo")
	case bearer && c.cfg.EventsKey != "" && sameText(token, c.cfg.EventsKey):
		return nil
	case bearer:
		return refusedEvent("Authorization", "the bearer token is not this connection's", "send the connection's events_key as Authorization: Bearer")
	case h.Get(connectors.HeaderKey) != "" && c.cfg.EventsKey != "" && sameText(h.Get(connectors.HeaderKey), c.addressKey()):
		return nil
	}
	return refusedEvent("webhook-signature", "nothing shows who sent this",
		"sign with the connection's events_secret, send its events_key as Authorization: Bearer, or use the secret address that towpath odoo hooks url prints")
}

func refusedEvent(field, message, resolution string) error {
	return fault.New(fault.Unauthorized, "odoo.event_refused", "%s", message).WithField(field).WithResolution("%s", resolution)
}

func bearerOf(h http.Header) (token string, ok bool) {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// sameText compares in the same time whatever differs, the length included.
func sameText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// addressKey is the key in the address of unsigned nudges. It is made of
// events_key and is not it: addresses end in logs, and whoever reads one can only
// make Towpath look for events.
func (c *Connector) addressKey() string {
	mac := hmac.New(sha256.New, []byte(c.cfg.EventsKey))
	mac.Write([]byte("address of nudges/" + c.system))
	return hex.EncodeToString(mac.Sum(nil)[:20])
}

// EventsAddress is the secret address to which unsigned nudges go; public is where
// this Towpath is reached, https://towpath.example.com.
func (c *Connector) EventsAddress(public string) string {
	return strings.TrimRight(public, "/") + "/webhooks/" + Kind + "/" + url.PathEscape(c.system) + "?key=" + c.addressKey()
}

// pushed is what Odoo's modules send, old and new.
type pushed struct {
	Event     word            `json:"event"`
	Type      word            `json:"type"` // Standard Webhooks' name of it
	Model     word            `json:"model"`
	Timestamp json.RawMessage `json:"timestamp"` // ISO, or unix seconds
	Data      json.RawMessage `json:"data"`
	Changed   json.RawMessage `json:"changed_fields"`

	ActionOf json.RawMessage `json:"_action"` // of Odoo's own webhook action
}

// word is a text; anything else, such as Odoo's false, is none.
type word string

// UnmarshalJSON implements json.Unmarshaler.
func (w *word) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*w = word(text)
	}
	return nil
}

// nudgeEvent is what the module towpath_outbox sends when there is something.
const nudgeEvent = "towpath.nudge"

var modelName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

// ParseEvents reads a verified request:
//
//   - towpath.nudge, and whatever comes to the secret address, is a nudge;
//   - {event: sale.order.created, timestamp, data} is the event (S3);
//   - {event: create|write|unlink, model, timestamp, data, changed_fields} is one
//     event per record in data (S1);
//   - where a header names the event, and the body is no such envelope, it is the
//     data (S0), whatever fields it has: contacts and leads have a type.
//
// An event's id is the webhook-id header, else made of the body, so that the same
// body sent again is the same event: see pushedID.
func (c *Connector) ParseEvents(h http.Header, body []byte) (events []webhook.Event, nudge bool, err error) {
	if _, bearer := bearerOf(h); !bearer && !webhook.Signed(h) {
		return nil, true, nil // the secret address vouches for no content
	}
	var p pushed
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, false, unfit("body", "the body is no JSON object of an event")
	}
	if p.Event == "" {
		p.Event = p.Type
	}
	switch named := word(webhook.ReceivedType(h)); {
	case p.Event == nudgeEvent, len(p.ActionOf) > 0 && p.Event == "":
		return nil, true, nil
	case named != "" && !p.envelope(named):
		p = pushed{Event: named, Model: p.modelFor(named), Data: body}
	case p.Event == "":
		return nil, false, unfit("event", "the body says no event")
	}
	records, err := p.records()
	if err != nil {
		return nil, false, err
	}
	at, err := p.at(c.now())
	if err != nil {
		return nil, false, err
	}
	eventType, model, err := p.kind()
	if err != nil {
		return nil, false, err
	}
	id := h.Get(webhook.HeaderID)
	if !webhook.IsID(id) || len(id) > 56 {
		id = c.pushedID(eventType, body, p.timed())
	}
	for n, data := range records {
		row := webhook.OutboxRow{
			EventID: id, Event: eventType, Action: webhook.ActionOf(eventType), Model: model,
			RecordID: idIn(data), OccurredAt: at, Data: data, ChangedFields: p.Changed,
		}
		if n > 0 {
			row.EventID += "-" + strconv.Itoa(n)
		}
		event, err := row.From(c.system)
		if err != nil {
			f := fault.Of(err)
			return nil, false, unfit(f.Field, f.Message)
		}
		events = append(events, event)
	}
	return events, false, nil
}

func unfit(field, message string) error {
	return fault.New(fault.Invalid, "odoo.event_invalid", "%s", message).WithField(field).
		WithResolution(`send {"event": "sale.order.created", "timestamp": "2026-01-31T12:00:00Z", "data": {"id": 1}}, or event create, write or unlink with model; docs/webhooks.md shows all forms`)
}

// envelope reports whether data lies within, under the event's name, where a
// header names the event, too.
func (p pushed) envelope(named word) bool {
	data := bytes.TrimSpace(p.Data)
	return p.Event == named || p.Event != "" && len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// records are the records in data: one, or a list.
func (p pushed) records() (list []json.RawMessage, err error) {
	data := bytes.TrimSpace(p.Data)
	if len(data) > 0 && data[0] == '[' {
		if json.Unmarshal(data, &list) == nil && len(list) > 0 && len(list) <= 1000 {
			return list, nil
		}
		return nil, unfit("data", "data is no list of 1 to 1,000 records")
	}
	return []json.RawMessage{data}, nil // what is no object is told when it is read
}

func (p pushed) time() string { return strings.Trim(strings.TrimSpace(string(p.Timestamp)), `"`) }

// timed reports whether it says when it happened.
func (p pushed) timed() bool { return !slices.Contains([]string{"", "null", "false"}, p.time()) }

// at is when it happened. Odoo's modules write UTC, often without saying so.
func (p pushed) at(now time.Time) (time.Time, error) {
	if !p.timed() {
		return now.UTC(), nil
	}
	text := p.time()
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return at.UTC(), nil
		}
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e11 {
		return time.UnixMicro(int64(seconds * 1e6)).UTC(), nil
	}
	return now, unfit("timestamp", "timestamp is no time in ISO 8601")
}

// verbs are the events of S1, which name no model.
var verbs = map[word]string{"create": "created", "write": "updated", "unlink": "deleted"}

// modelFor is the model of a record that lies there without an envelope: a field
// of that name means something else, unless the event needs it.
func (p pushed) modelFor(event word) word {
	if verbs[event] == "" {
		return ""
	}
	return p.Model
}

// kind gives the dotted type and the model that it is about.
func (p pushed) kind() (eventType, model string, err error) {
	eventType, model = string(p.Event), string(p.Model)
	if verb := verbs[p.Event]; verb != "" {
		if !modelName.MatchString(model) {
			return "", "", unfit("model", "the event "+eventType+" needs the name of a model")
		}
		return model + "." + verb, model, nil
	}
	if known, ok := webhook.Lookup(eventType); ok && known.Model != "" {
		return eventType, known.Model, nil
	}
	if dot := strings.LastIndexByte(eventType, '.'); model == "" && dot > 0 {
		model = eventType[:dot]
	}
	if !modelName.MatchString(model) || !modelName.MatchString(eventType) {
		return "", "", unfit("event", "event is no dotted name such as sale.order.created")
	}
	return eventType, model, nil
}

// idIn is the record's id as data has it; false where it has none.
func idIn(data json.RawMessage) json.RawMessage {
	var o struct {
		ID json.Number `json:"id"`
	}
	if json.Unmarshal(data, &o) != nil {
		return nil
	}
	if _, err := o.ID.Int64(); err != nil {
		return nil
	}
	return json.RawMessage(o.ID)
}

// pushedID is the id of an event that came without one. The same body is the same
// event, but for a change that does not say when it was: a record that is changed
// and changed back looks as before, and nobody may take that for a repetition. Who
// sends such (S0) sends once.
func (c *Connector) pushedID(eventType string, body []byte, timed bool) string {
	parts := []string{"pushed", eventType, string(body)}
	if action := webhook.ActionOf(eventType); !timed && action != webhook.Create && action != webhook.Unlink {
		parts = append(parts, rand.Text())
	}
	return c.eventID(parts...)
}

// eventID is an id that is the same whenever it is made of the same.
func (c *Connector) eventID(parts ...string) string {
	digest := sha256.New()
	for _, part := range append([]string{c.system}, parts...) {
		digest.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return "od_" + hex.EncodeToString(digest.Sum(nil)[:20])
}
