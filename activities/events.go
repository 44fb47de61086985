package activities

import (
	"context"
	"slices"
	"time"

	"towpath/connectors"
	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/outbound"
	"towpath/schema/webhook"
)

// Events brings what happens in systems to where it is told from.
type Events struct {
	Deps
	Out *outbound.Outbound
}

// pullSize is how many events one call asks for: their payloads fit into one
// answer, and into one transaction that others need not wait for.
const pullSize = 200

// Sources names the active connections that tell events.
func (e *Events) Sources(ctx context.Context) (names []string, err error) {
	all, err := e.Store.Connections(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if !c.Active {
			continue
		}
		door, err := e.Pool.Get(ctx, c.Name)
		if err != nil {
			continue // told by whoever uses it
		}
		if source, ok := door.(connectors.EventSource); ok && source.TellsEvents() {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// Pulled is what a pull brought.
type Pulled struct {
	Fresh   int      // events that were new
	Models  []string // what they are about
	Exports bool     // somebody wants records to be exported
	Busy    bool     // another process pulls
}

// Pull takes all events that a connection has, and reports how many were new. An
// event is acknowledged only after it is stored (promise 4). One process at a
// time pulls from a connection, or the order of a record's events would break.
func (e *Events) Pull(ctx context.Context, connection string) (p Pulled, err error) {
	lock, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	release, err := e.Store.Slots().Acquire(lock, "events "+connection, 1)
	cancel()
	if err != nil {
		p.Busy = fault.Of(err).Code == "store.no_slot"
		return p, err
	}
	defer release()
	door, err := e.Pool.Get(ctx, connection)
	if err != nil {
		return p, err
	}
	source, ok := door.(connectors.EventSource)
	if !ok {
		return p, fault.New(fault.Unsupported, "events.unsupported", "%s does not tell events", connection)
	}
	for ctx.Err() == nil {
		more, err := e.pull(ctx, connection, source, &p)
		if err != nil || !more {
			return p, err
		}
	}
	return p, ctx.Err()
}

func (e *Events) pull(ctx context.Context, connection string, source connectors.EventSource, p *Pulled) (more bool, err error) {
	cursor, err := e.Store.EventCursor(ctx, connection)
	if err != nil {
		return false, err
	}
	batch, err := source.PullEvents(ctx, cursor, pullSize)
	if err != nil {
		return false, err
	}
	failpoint.Here("events pulled")
	if batch.Cursor == cursor {
		batch.Cursor = ""
	}
	fresh, err := e.Out.Record(ctx, connection, batch.Events, batch.Cursor)
	if err != nil {
		return false, err
	}
	p.Fresh += fresh
	for _, event := range batch.Events {
		if event.Action == webhook.Export { // nothing happened to a record
			p.Exports = true
			continue
		}
		if event.Model != "" && !slices.Contains(p.Models, event.Model) {
			p.Models = append(p.Models, event.Model)
		}
	}
	failpoint.Here("events recorded")
	eventsRead.WithLabelValues(connection).Add(float64(fresh))
	if batch.Ack != nil && len(batch.Events) > 0 {
		if err := batch.Ack(ctx); err != nil {
			return false, err
		}
	}
	return batch.More, nil
}
