package activities

import (
	"context"
	"time"

	"towpath/schema/webhook"
	"towpath/workflows/contract"
)

// LookAtEndpoint tells how an endpoint does, for its EndpointMonitor.
func (d *Deliveries) LookAtEndpoint(ctx context.Context, name string) (contract.EndpointLook, error) {
	s, err := d.Store.EndpointState(ctx, name)
	if err != nil {
		return contract.EndpointLook{}, toTemporal(err)
	}
	look := contract.EndpointLook{Circuit: s.Circuit, Failures: s.Failures, Waiting: s.Open, Parked: s.Parked, Disabled: s.Disabled.String, HeldBy: s.HeldBy.String,
		Idle: !s.Active || !s.Disabled.Valid && s.Open == 0}
	if s.FailingSince.Valid {
		look.Since = &s.FailingSince.Time
	}
	if s.ProbeAt.Valid {
		look.ProbeAt = &s.ProbeAt.Time
	}
	return look, nil
}

// CheckEndpoints switches off those that have only failed for as long as their
// disable_after says: from the first failure to the last one. Time in which
// nothing was sent says nothing. Attempts look at it themselves; this is for one
// that was stopped before it could, and for a spec that allows less now.
func (d *Deliveries) CheckEndpoints(ctx context.Context) (r contract.MaintenanceResult, err error) {
	failing, err := d.Store.Failing(ctx)
	if err != nil {
		return r, toTemporal(err)
	}
	for _, s := range failing {
		after := webhook.DefaultDisableAfter
		if e, err := d.Out.Book.Get(ctx, s.Endpoint); err == nil {
			after = time.Duration(e.Spec.DisableAfter)
		}
		if s.LastAttempt.Time.Sub(s.FailingSince.Time) >= after {
			if err := d.disable(ctx, s.Endpoint, failingSince(s.FailingSince.Time)); err != nil {
				return r, toTemporal(err)
			}
			r.Repaired++
		}
	}
	return r, nil
}
