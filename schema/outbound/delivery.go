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
	Again int64 // deliveries that are made again
	New   int64 // events that the endpoint had no delivery of
}

// Replay tells an endpoint again what happened in a window of time: every event
// that it wants now, with the id that it always had, whether it was delivered
// before or not. failedOnly leaves out what was received. Replays go behind
// everything new.
func (o *Outbound) Replay(ctx context.Context, endpoint string, since, until time.Time, types []string, failedOnly bool, by string) (r Replayed, err error) {
	e, err := o.Book.Get(ctx, endpoint)
	if err != nil {
		return r, err
	}
	const priority, page = 5, 500
	states := []store.DeliveryState{store.DeliveryParked, store.DeliveryDiscarded, store.DeliverySuperseded, store.DeliveryAccepted, store.DeliveryOK}
	if failedOnly {
		states = states[:2]
	}
	if r.Again, err = o.Store.Redeliver(ctx, store.DeliveryFilter{Endpoint: endpoint, Since: since, Until: until, Types: types, States: states}, by, priority); err != nil {
		return r, err
	}
	for after := int64(0); ; {
		events, next, err := o.Store.EventsWithout(ctx, endpoint, since, until, types, after, page)
		if err != nil {
			return r, err
		}
		var wanted []store.OutboundEvent
		for _, stored := range events {
			event, err := Event(stored.Content)
			if err != nil {
				return r, err
			}
			if matches, _, err := e.Matches(event); !matches && err == nil {
				continue
			}
			to := receiver(e, event)
			to.Priority, to.Collapse = priority, false // it is older than what waits
			stored.Receivers = []store.Receiver{to}
			wanted = append(wanted, stored)
		}
		if err := o.Store.AddReceivers(ctx, wanted); err != nil {
			return r, err
		}
		r.New += int64(len(wanted))
		if after = next; next == 0 {
			return r, nil
		}
	}
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
