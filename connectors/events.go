package connectors

import (
	"context"
	"net/http"

	"towpath/schema/webhook"
)

// EventSource is a system that tells what happens in it, so that endpoints can
// be told. Events of one record come in the order in which they happened.
type EventSource interface {
	// PullEvents gives the next events, at most limit. cursor is what the last
	// batch that was stored gave, empty at first; a system that keeps an outbox of
	// its own needs none. What was given and not acknowledged is given again.
	//
	// Faults: Unsupported where the connection is not set up to tell events.
	PullEvents(ctx context.Context, cursor string, limit int) (EventBatch, error)
	// TellsEvents reports whether this connection is set up to, without asking
	// the system.
	TellsEvents() bool
}

// EventPoller is an EventSource that remembers records between two looks, see
// PolledRecords.
type EventPoller interface {
	// PolledModels are the models whose records this connection remembers as it is
	// set up; none: it is not polled, and what it remembered is of no use.
	PolledModels() []string
}

// EventBatch is what PullEvents gives.
type EventBatch struct {
	Events []webhook.Event
	Cursor string // where to go on, stored with the events; empty: as it was
	// Ack tells the system that the events are stored; nil: there is nothing to
	// tell. It may fail, or be told twice: the events then come again, and are
	// known by their ids.
	Ack  func(ctx context.Context) error
	More bool // there are more events already
}

// EventReceiver is a system that sends its events, or a nudge to pull them, to
// a webhook address of ours.
type EventReceiver interface {
	// VerifyEvents checks who sent the request, over the raw body.
	//
	// Faults: Unauthorized.
	VerifyEvents(h http.Header, body []byte) error
	// ParseEvents reads a verified request. A nudge holds no events: there is
	// something to pull.
	//
	// Faults: Invalid, with the field.
	ParseEvents(h http.Header, body []byte) (events []webhook.Event, nudge bool, err error)
}

// PolledRecords remembers which records a system that is polled for events has:
// what is gone from there was deleted, and a state that changed is a business
// step. Methods may be told the same twice.
type PolledRecords interface {
	// PolledStates gives the states of those of the records that are known; empty
	// where none was told yet.
	PolledStates(ctx context.Context, connection, model string, ids []int64) (map[int64]string, error)
	// NotePolled remembers records with their states, where they are not known.
	NotePolled(ctx context.Context, connection, model string, states map[int64]string) error
	// KeepPolled remembers records with their states, known ones, too.
	KeepPolled(ctx context.Context, connection, model string, states map[int64]string) error
	// PolledAfter gives known records in the order of their ids, at most limit.
	PolledAfter(ctx context.Context, connection, model string, after int64, limit int) ([]int64, error)
	CountPolled(ctx context.Context, connection, model string) (int64, error)
	ForgetPolled(ctx context.Context, connection, model string, ids []int64) error
}

// HeaderKey carries the key of a secret address, ?key=, to VerifyEvents: senders
// such as Odoo's automation rules can sign nothing and set no header.
const HeaderKey = "X-Towpath-Key"
