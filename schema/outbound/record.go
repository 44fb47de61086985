package outbound

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"towpath/schema/fault"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Outbound is what all verbs work with.
type Outbound struct {
	Store *store.Store
	Keys  *seal.Ring
	Book  *Book
	Log   zerolog.Logger
}

// New wires the verbs.
func New(s *store.Store, keys *seal.Ring, log zerolog.Logger) *Outbound {
	return &Outbound{Store: s, Keys: keys, Book: NewBook(s, keys), Log: log}
}

// Nudge tells the workers that a connection has events to pull.
func (o *Outbound) Nudge(ctx context.Context, connection string) error {
	return o.Store.NotifyEvents(ctx, connection)
}

// Applied notes what a receiver says of an event that it took before.
func (o *Outbound) Applied(ctx context.Context, event, endpoint string, ok bool, message string) error {
	message = strings.ReplaceAll(strings.ToValidUTF8(message, "\uFFFD"), "\x00", "\uFFFD") // PostgreSQL has no NUL in texts
	return o.Store.Applied(ctx, event, endpoint, ok, message)
}

// Record stores events, each with a delivery for every endpoint that wants it,
// in one transaction, and reports how many were new. When it returns nil they
// are durable, and where they come from may forget them (promise 4,
// TestPromise4). cursor, where it is not empty, says how far the connection has
// been read with them.
//
// An endpoint that cannot be compiled, or whose filter fails, gets the event:
// its delivery is parked with the cause when it is rendered, and not lost.
//
// Faults: webhook.event_invalid (Invalid): nothing is stored; what made the
// event has a defect. webhook.event_taken (Conflict).
func (o *Outbound) Record(ctx context.Context, connection string, events []webhook.Event, cursor string) (fresh int, err error) {
	if len(events) == 0 && cursor == "" {
		return 0, nil
	}
	events = slices.Clone(events)
	rows := make([]store.OutboundEvent, len(events))
	for i := range events {
		events[i].Connection = connection
		if rows[i], err = row(events[i]); err != nil {
			return 0, err
		}
		rows[i].Export = exportOf(events[i])
	}
	err = o.Book.current(ctx, func(p page) error {
		for i, e := range events {
			rows[i].Receivers, rows[i].AsOf = o.receivers(p, e), p.asOf
		}
		fresh, err = o.Store.Record(ctx, connection, rows, cursor)
		return err
	})
	return fresh, err
}

// receivers are the active endpoints that want the event.
func (o *Outbound) receivers(p page, e webhook.Event) (wanted []store.Receiver) {
	for _, name := range slices.Sorted(maps.Keys(p.entries)) {
		entry := p.entries[name]
		if !entry.Active {
			continue
		}
		if entry.Endpoint == nil { // it cannot be used as it is
			wanted = append(wanted, store.Receiver{Endpoint: name})
			continue
		}
		matches, _, err := entry.Matches(e)
		if err != nil {
			o.Log.Warn().Str("endpoint", name).Str("event", e.ID).Str("fault", fault.Of(err).Code).Msg("an endpoint's filter fails; the event is kept for it")
		}
		if matches || err != nil {
			wanted = append(wanted, receiver(entry.Endpoint, e))
		}
	}
	return wanted
}

func receiver(e *Endpoint, event webhook.Event) store.Receiver {
	r := store.Receiver{Endpoint: e.Spec.Name, Holds: e.Spec.OnPark == webhook.Hold}
	if e.Spec.Ordering == webhook.PerRecord {
		r.Stream = e.StreamKey(event)
		// A deletion, or a business step, is no mere later state.
		r.Collapse = e.Spec.Collapse && event.Action == webhook.Write
	}
	return r
}

// row is an event as it is stored.
func row(e webhook.Event) (store.OutboundEvent, error) {
	if err := e.Check(); err != nil {
		return store.OutboundEvent{}, err
	}
	content, err := json.Marshal(e)
	if err != nil {
		return store.OutboundEvent{}, err
	}
	return store.OutboundEvent{
		ID: e.ID, Connection: e.Connection, Type: e.Type, Model: e.Model, RecordID: e.RecordID,
		Content: string(content), Test: e.Test, OccurredAt: e.OccurredAt,
	}, nil
}

// Event reads a stored event.
func Event(content string) (e webhook.Event, err error) {
	if err := json.Unmarshal([]byte(content), &e); err != nil {
		return e, fault.New(fault.Invalid, "webhook.event_unreadable", "the stored event cannot be read").
			WithResolution("discard the delivery; the record can be sent again from Odoo").WithCause(err)
	}
	if string(e.Old) == "null" {
		e.Old = nil
	}
	return e, nil
}
