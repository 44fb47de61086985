package outbound

import (
	"context"
	"time"

	"towpath/schema/store"
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
			to.Priority = priority
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
