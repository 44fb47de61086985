package outbound

import (
	"context"
	"encoding/json"
	"time"

	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Disable stops delivering to an endpoint and tells those that asked for
// towpath.* of it, in one transaction. first is false when it was disabled
// already.
func (o *Outbound) Disable(ctx context.Context, name, why string, now time.Time) (first bool, err error) {
	err = o.Book.current(ctx, func(p page) error {
		off, err := o.switchOff(p, name, why, now)
		if err == nil {
			first, err = o.Store.DisableEndpoint(ctx, name, off)
		}
		return err
	})
	return first, err
}

// FinishAttempt notes an attempt and its delivery's state; where gone is not
// empty, it is why the endpoint is disabled with it, as by Disable: in one
// transaction, so that what stops between the two leaves no endpoint on that
// asked to be left alone.
func (o *Outbound) FinishAttempt(ctx context.Context, out store.Outcome, gone string, now time.Time) (f store.Finished, err error) {
	if gone == "" {
		return o.Store.FinishAttempt(ctx, out)
	}
	err = o.Book.current(ctx, func(p page) error {
		off, err := o.switchOff(p, out.Endpoint, gone, now)
		if err == nil {
			out.Off = &off
			f, err = o.Store.FinishAttempt(ctx, out)
		}
		return err
	})
	return f, err
}

// switchOff is the disabling of an endpoint, with the event that tells of it.
func (o *Outbound) switchOff(p page, name, why string, now time.Time) (off store.SwitchOff, err error) {
	data, err := json.Marshal(map[string]string{"endpoint": name, "reason": why})
	if err != nil {
		return off, err
	}
	event := webhook.Event{
		ID: NewEventID(), Type: webhook.EndpointDisabled, Connection: "towpath", Action: webhook.Acted,
		Model: "towpath.endpoint", RecordID: name, OccurredAt: now.UTC(), Data: data,
	}
	told, err := row(event)
	told.Receivers, told.AsOf = o.receivers(p, event), p.asOf
	return store.SwitchOff{Why: why, Told: told}, err
}
