package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/outbound"
	"towpath/schema/webhook"
)

// Events is where events are told from.
type Events interface {
	// Record stores events with the deliveries of all endpoints that want them.
	Record(ctx context.Context, connection string, events []webhook.Event, cursor string) (fresh int, err error)
	// Nudge tells the workers that a connection has events to pull.
	Nudge(ctx context.Context, connection string) error
	// Applied notes what a receiver says of an event that it took before.
	Applied(ctx context.Context, event, endpoint string, ok bool, message string) error
	// CheckAck tells whether the token was given out for the delivery.
	CheckAck(endpoint, event, token string) bool
}

var _ Events = (*outbound.Outbound)(nil)

// receiveEvents takes what Odoo sends: events, or a nudge to pull them. The
// answer is the one that older Odoo modules expect (requirements A8).
func (d Deps) receiveEvents(ctx context.Context, c echo.Context, connection string, door connectors.EventReceiver, raw []byte) error {
	h := withKey(c)
	if err := door.VerifyEvents(h, raw); err != nil {
		hooksReceived.WithLabelValues(connection, "refused").Inc()
		return err
	}
	return d.takeEvents(ctx, c, connection, door, raw)
}

// withKey gives the header with the key of a secret address in it.
func withKey(c echo.Context) http.Header {
	h := c.Request().Header
	h.Del(connectors.HeaderKey)
	if key := c.QueryParam("key"); key != "" {
		h.Set(connectors.HeaderKey, key)
	}
	return h
}

func (d Deps) takeEvents(ctx context.Context, c echo.Context, connection string, door connectors.EventReceiver, raw []byte) error {
	events, nudge, err := door.ParseEvents(c.Request().Header, raw)
	if err != nil {
		hooksReceived.WithLabelValues(connection, "invalid").Inc()
		return err
	}
	status := "accepted"
	if nudge {
		status = "nudge"
		if err := d.Events.Nudge(ctx, connection); err != nil {
			return unavailable(err)
		}
	}
	if len(events) > 0 {
		fresh, err := d.Events.Record(ctx, connection, events, "")
		switch {
		case fault.Is(err, fault.Invalid) || fault.Is(err, fault.Conflict):
			hooksReceived.WithLabelValues(connection, "invalid").Inc()
			return err
		case err != nil:
			hooksReceived.WithLabelValues(connection, "unavailable").Inc()
			return unavailable(err)
		case fresh == 0:
			status = "duplicate"
		}
	}
	hooksReceived.WithLabelValues(connection, status).Inc()
	return c.JSON(http.StatusOK, map[string]string{"status": "success", "message": "Webhook traité"})
}

// receiveByKey serves the addresses of older Odoo modules, which name no
// connection: it is the one whose key or signature fits.
func (d Deps) receiveByKey(c echo.Context) error {
	raw, err := d.readBody(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), acceptWithin)
	defer cancel()
	all, err := d.Connections(ctx)
	if err != nil {
		return unavailable(err)
	}
	h := withKey(c)
	for _, conn := range all {
		if !conn.Active {
			continue
		}
		door, err := d.Pool.Get(ctx, conn.Name)
		if err != nil {
			continue
		}
		if r, ok := door.(connectors.EventReceiver); ok && r.VerifyEvents(h, raw) == nil {
			return d.takeEvents(ctx, c, conn.Name, r, raw)
		}
	}
	hooksReceived.WithLabelValues("", "refused").Inc()
	return fault.New(fault.Unauthorized, "api.no_connection_fits", "no connection has this key or signature").
		WithField("Authorization").WithResolution("send the connection's events_key as Authorization: Bearer, or sign with its events_secret; or use /webhooks/odoo/CONNECTION")
}

// applied takes what a receiver says of an event that it answered 202 for: an
// empty body or {"status": "applied"}, or {"status": "failed", "message": why}.
func (d Deps) applied(c echo.Context) error {
	endpoint, event := c.Param("endpoint"), c.Param("event")
	if !d.Events.CheckAck(endpoint, event, c.QueryParam("token")) {
		return fault.New(fault.Unauthorized, "api.bad_ack_token", "this address was not given out for this event").
			WithField("token").WithResolution("use the webhook-ack-url header of the delivery as it is")
	}
	said, err := readAck(c.Request().Body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), acceptWithin)
	defer cancel()
	if r := []rune(said.Message); len(r) > 500 {
		said.Message = string(r[:500])
	}
	if err := d.Events.Applied(ctx, event, endpoint, said.Status != "failed", said.Message); err != nil {
		return err
	}
	return answer(c, http.StatusOK, map[string]string{"status": "noted"})
}

// acknowledgement is what a receiver says of an event.
type acknowledgement struct{ Status, Message string }

// maxAck is more than any receiver has to say.
const maxAck = 64 << 10

// readAck reads it as JSON, whatever content type stands above it: curl calls it a
// form. Only an empty body needs no word for "applied", or whoever says that it has
// failed in words of its own would be understood to have applied it.
func readAck(body io.Reader) (said acknowledgement, err error) {
	raw, err := io.ReadAll(io.LimitReader(body, maxAck))
	switch {
	case err != nil:
		return said, unread(err)
	case len(bytes.TrimSpace(raw)) == 0:
		return said, nil
	}
	var members map[string]json.RawMessage
	wrong := json.Unmarshal(raw, &members) != nil || json.Unmarshal(raw, &said) != nil
	if wrong || said.Status != "applied" && said.Status != "failed" && len(members) > 0 {
		return said, fault.New(fault.Invalid, "api.bad_ack", "the body is no JSON object whose status is applied or failed").WithField("body").
			WithResolution(`send {"status": "applied"}, or {"status": "failed", "message": "why"}`)
	}
	return said, nil
}

// eventType serves the schema and an example of one type of the catalogue.
func eventType(c echo.Context) error {
	t, ok := webhook.Lookup(c.Param("type"))
	if !ok {
		return fault.New(fault.NotFound, "api.unknown_type", "there is no such event type").WithField("type").WithResolution("GET /event-types lists them")
	}
	return answer(c, http.StatusOK, t)
}
