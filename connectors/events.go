package connectors

import (
	"context"

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

// NudgeReceiver is a system whose webhooks say no more than that there is
// something to pull.
type NudgeReceiver interface {
	// IsNudge reports whether a verified webhook is one.
	IsNudge(body []byte) bool
}
