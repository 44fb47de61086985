package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"towpath/connectors"
	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/store"
)

// acceptWithin bounds the wait for the commit: senders give up after about
// five seconds (Shopify), and an answer they no longer read is worth nothing.
const acceptWithin = 4 * time.Second

// receive takes one webhook: cap the body, keep the raw bytes, verify the
// signature here and only here, parse, commit, 202 (promise 1, TestPromise1).
func (d Deps) receive(c echo.Context) error {
	return d.accept(c, func(context.Context) (kind, connection string, err error) {
		return c.Param("kind"), c.Param("connection"), nil
	})
}

// accept takes a webhook for the connection that address names. All that may
// wait for PostgreSQL happens within one bound, after the body has been read:
// before that net/http does not notice that a sender has gone.
func (d Deps) accept(c echo.Context, address func(ctx context.Context) (kind, connection string, err error)) error {
	raw, err := d.readBody(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), acceptWithin)
	defer cancel()
	kind, connection, err := address(ctx)
	if err != nil {
		return err
	}
	door, err := d.Pool.Get(ctx, connection)
	if err != nil {
		return hideUnknown(err)
	}
	if k, ok := d.Pool.(kinds); ok {
		known, err := k.Kind(ctx, connection)
		if err != nil {
			return hideUnknown(err)
		}
		if known != kind {
			return unknownConnection()
		}
	}
	if events, ok := door.(connectors.EventReceiver); ok {
		return d.receiveEvents(ctx, c, connection, events, raw)
	}
	hooks, ok := door.(connectors.HookReceiver)
	if !ok {
		return unknownConnection()
	}
	h := c.Request().Header
	if err := hooks.VerifyHook(h, raw); err != nil {
		hooksReceived.WithLabelValues(connection, "refused").Inc()
		return err
	}
	events, err := hooks.ParseHook(h, raw)
	if err != nil {
		hooksReceived.WithLabelValues(connection, "invalid").Inc()
		return err
	}
	if len(events) == 0 {
		hooksReceived.WithLabelValues(connection, "ignored").Inc()
		return answer(c, http.StatusAccepted, map[string]any{"status": "ignored", "events": 0})
	}
	batch := make([]store.Inbound, len(events))
	for i, e := range events {
		batch[i] = store.Inbound{Connection: connection, Event: e, Format: store.FormatHook, Body: raw}
	}
	fresh, err := d.Inbox.Accept(ctx, batch)
	if err != nil {
		if fault.Is(err, fault.Invalid) { // a value that PostgreSQL can never store
			hooksReceived.WithLabelValues(connection, "invalid").Inc()
			return err
		}
		hooksReceived.WithLabelValues(connection, "unavailable").Inc()
		return unavailable(err)
	}
	failpoint.Here("accepted")
	status := "accepted"
	if fresh == 0 {
		status = "duplicate"
	}
	hooksReceived.WithLabelValues(connection, status).Inc()
	return answer(c, http.StatusAccepted, map[string]any{"status": status, "events": fresh})
}

// readBody keeps the exact bytes that were sent: the signature is over them.
func (d Deps) readBody(c echo.Context) ([]byte, error) {
	tooLarge := fault.New(fault.Invalid, "api.too_large", "the body is larger than %d bytes", d.MaxBody).
		WithField("body").WithResolution("send less per request, or raise TOWPATH_MAX_BODY")
	r := c.Request()
	if r.ContentLength > d.MaxBody {
		return nil, tooLarge
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r.Body, d.MaxBody+1))
	switch {
	case err != nil:
		return nil, unread(err)
	case n > d.MaxBody:
		return nil, tooLarge
	case n == 0:
		return nil, fault.New(fault.Invalid, "api.empty", "the body is empty").WithField("body").WithResolution("send the event as JSON")
	}
	return buf.Bytes(), nil
}

func unread(err error) error {
	return fault.New(fault.Invalid, "api.body_unread", "the body could not be read to its end").
		WithField("body").WithResolution("send it again").WithCause(err)
}

// receiveByShop serves the addresses of older integrations, which name the
// shop in a header: exact match, never a pattern (requirements X20).
func (d Deps) receiveByShop(c echo.Context) error {
	shop := c.Request().Header.Get("X-Shopify-Shop-Domain")
	return d.accept(c, func(ctx context.Context) (kind, connection string, err error) {
		all, err := d.Connections(ctx)
		if err != nil {
			return "", "", unavailable(err)
		}
		for _, conn := range all {
			var config struct {
				Shop string `json:"shop"`
			}
			if conn.Kind == "shopify" && shop != "" && json.Unmarshal(conn.Config, &config) == nil && strings.EqualFold(config.Shop, shop) {
				return conn.Kind, conn.Name, nil
			}
		}
		return "", "", unknownConnection()
	})
}

func unknownConnection() error {
	return fault.New(fault.NotFound, "api.unknown_connection", "there is no such webhook address").
		WithResolution("the address is /webhooks/KIND/CONNECTION; towpath connection list prints them")
}

// hideUnknown tells strangers nothing but that the address does not exist;
// what is merely down says so.
func hideUnknown(err error) error {
	if fault.Retryable(err) {
		return unavailable(err)
	}
	return errors.Join(unknownConnection(), err)
}

func unavailable(err error) error {
	f := *fault.Of(err)
	f.Kind = fault.Transient
	return &f
}
