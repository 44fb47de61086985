package activities

import (
	"context"
	"time"

	"towpath/connectors"
	"towpath/workflows/contract"
)

// Retention says how long settled rows are kept. What is open is kept for ever.
type Retention struct {
	Inbound time.Duration // events and bodies, default 30 days
	Journal time.Duration // passes, sync runs and sums of deliveries, default 180 days; the last of each object and job stays
	Parked  time.Duration // resolved and ignored faults, default 180 days
}

// WithDefaults fills in what is not set.
func (r Retention) WithDefaults() Retention {
	day := 24 * time.Hour
	if r.Inbound == 0 {
		r.Inbound = 30 * day
	}
	if r.Journal == 0 {
		r.Journal = 180 * day
	}
	if r.Parked == 0 {
		r.Parked = 180 * day
	}
	return r
}

// Retain deletes what is past its retention.
func (m *Maintenance) Retain(ctx context.Context) (contract.MaintenanceResult, error) {
	keep := m.Retention.WithDefaults()
	var r contract.MaintenanceResult
	for _, purge := range []struct {
		run  func(context.Context, time.Duration) (int64, error)
		keep time.Duration
	}{
		{m.Store.PurgeInbound, keep.Inbound}, {m.Store.PurgeJournal, keep.Journal}, {m.Store.PurgeParked, keep.Parked}, {m.Store.PurgeRuns, keep.Journal},
		{m.Store.PurgeDeliveries, keep.Inbound}, {m.Store.PurgeDeliveryHours, keep.Journal}, {m.Store.PurgeExports, keep.Inbound},
	} {
		n, err := purge.run(ctx, purge.keep)
		r.Purged += n
		if err != nil {
			return r, toTemporal(err)
		}
	}
	n, err := m.forgetUnpolled(ctx)
	r.Purged += n
	return r, toTemporal(err)
}

// forgetUnpolled forgets what connections were known to have that are polled no
// more, or not for those models. One that is switched off, or cannot be opened
// now, is left as it is.
func (m *Maintenance) forgetUnpolled(ctx context.Context) (total int64, err error) {
	all, err := m.Store.Connections(ctx)
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		if !c.Active {
			continue
		}
		door, err := m.Pool.Get(ctx, c.Name)
		if err != nil {
			continue // told by whoever uses it
		}
		poller, ok := door.(connectors.EventPoller)
		if !ok {
			continue
		}
		n, err := m.Store.ForgetUnpolled(ctx, c.Name, poller.PolledModels())
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// Sources names the active connections that orders come from.
func (m *Maintenance) Sources(ctx context.Context) ([]string, error) {
	flows, err := m.Store.Flows(ctx)
	if err != nil {
		return nil, toTemporal(err)
	}
	var names []string
	for _, f := range flows {
		if !f.Active {
			continue
		}
		door, err := m.Pool.Get(ctx, f.Source)
		if err != nil {
			m.Log.Warn().Err(err).Str("connection", f.Source).Msg("source cannot be opened")
			continue
		}
		if _, ok := door.(connectors.OrderLister); ok {
			names = append(names, f.Source)
		}
	}
	return names, nil
}
