package outbound

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Replayed says what a replay did.
type Replayed struct {
	Again   int64 // deliveries that are made again
	New     int64 // events that the endpoint had no delivery of
	LeftOut int64 // deliveries that it had: of test events, and of what it does not want any more
}

// Replay tells an endpoint again what happened in a window of time: every event
// that it wants now, with the id that it always had, whether it was delivered
// before or not, each record's in their order. failedOnly leaves out what was
// received. Replays go behind everything new.
func (o *Outbound) Replay(ctx context.Context, endpoint string, since, until time.Time, types []string, failedOnly bool, by string) (r Replayed, err error) {
	if _, err := o.Book.Get(ctx, endpoint); err != nil {
		return r, err
	}
	const page = 500
	states := []store.DeliveryState{store.DeliveryParked, store.DeliveryDiscarded, store.DeliverySuperseded, store.DeliveryAccepted, store.DeliveryOK}
	if failedOnly {
		states = states[:2]
	}
	for after := int64(0); ; {
		events, next, err := o.Store.EventsToRetell(ctx, endpoint, since, until, types, states, after, page)
		if err != nil {
			return r, err
		}
		some, err := o.retell(ctx, endpoint, events, states, by)
		if err != nil {
			return r, err
		}
		r.Again, r.New, r.LeftOut = r.Again+some.Again, r.New+some.New, r.LeftOut+some.LeftOut
		if after = next; next == 0 {
			return r, nil
		}
	}
}

// retell is Replay for some events.
func (o *Outbound) retell(ctx context.Context, endpoint string, events []store.Retold, states []store.DeliveryState, by string) (r Replayed, err error) {
	err = o.Book.current(ctx, func(p page) error {
		e, err := p.endpoint(endpoint)
		if err != nil {
			return err
		}
		wanted, leftOut, err := toRetell(e, events)
		r = Replayed{LeftOut: leftOut}
		if err != nil || len(wanted) == 0 {
			return err
		}
		for i := range wanted {
			wanted[i].AsOf = p.asOf
		}
		r.Again, r.New, err = o.Store.Retell(ctx, endpoint, wanted, states, by)
		return err
	})
	return r, err
}

// replayPriority is behind everything new.
const replayPriority = 5

// toRetell are those of the events that the endpoint wants as it is; leftOut of
// the others have a delivery there.
func toRetell(e *Endpoint, events []store.Retold) (wanted []store.OutboundEvent, leftOut int64, err error) {
	for _, stored := range events {
		event, err := Event(stored.Content)
		if err != nil {
			return nil, 0, err
		}
		if matches, _, err := e.Matches(event); !matches && err == nil {
			if stored.State != "" {
				leftOut++
			}
			continue
		}
		to := receiver(e, event)
		to.Priority, to.Collapse = replayPriority, false // it is older than what waits
		stored.Receivers = []store.Receiver{to}
		wanted = append(wanted, stored.OutboundEvent)
	}
	return wanted, leftOut, nil
}

// Tell says of an event where it was told, and why not.
func (o *Outbound) Tell(ctx context.Context, id string) (lines []string, err error) {
	stored, err := o.Store.OutboundEvent(ctx, id)
	if err != nil {
		return nil, err
	}
	event, err := Event(stored.Content)
	if err != nil {
		return nil, err
	}
	told, err := o.Store.Deliveries(ctx, store.DeliveryFilter{Event: id})
	if err != nil {
		return nil, err
	}
	asked, err := o.Store.Exports(ctx, store.ExportFilter{Event: id})
	if err != nil {
		return nil, err
	}
	for _, x := range asked {
		lines = append(lines, fmt.Sprintf("%-24s %s, %d records to %s: towpath sync exports list %s", "export", x.State, len(x.IDs), x.System, id))
	}
	known := map[string]bool{}
	for _, d := range told {
		known[d.Endpoint] = true
		lines = append(lines, fmt.Sprintf("%-24s %s, delivery %d", d.Endpoint, d.State, d.ID))
	}
	all, err := o.Book.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		entry := all[name]
		if known[name] {
			continue
		}
		reason := "it was not there, or not active, when the event came; towpath delivery replay tells it"
		switch {
		case entry.Err != nil:
			reason = "it cannot be used as it is"
		case !entry.Active:
			reason = webhook.NotActive
		default:
			if matches, why, err := entry.Matches(event); err == nil && !matches {
				reason = why
			}
		}
		lines = append(lines, fmt.Sprintf("%-24s not told: %s", name, reason))
	}
	return lines, nil
}
