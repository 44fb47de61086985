package activities

import (
	"context"
	"encoding/json"
	"time"

	"go.temporal.io/sdk/activity"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// Maintenance are the activities of the Maintenance workflow and of backfills.
type Maintenance struct{ Deps }

// Inbox accepts what was read as if it had been sent.
type Inbox interface {
	Accept(ctx context.Context, batch []store.Inbound) (fresh int, err error)
}

// NewMaintenance wires the maintenance activities.
func NewMaintenance(d Deps) *Maintenance {
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Maintenance{Deps: d}
}

// overlap is how far a catch-up reads back behind its watermark: a change may
// become visible later than its own time says (design section 4).
const overlap = 10 * time.Minute

// CatchUp reads what a source changed since it was last read and puts what the
// webhooks did not bring into the inbox. After any outage, ours or theirs, the
// missed window is read by itself.
func (m *Maintenance) CatchUp(ctx context.Context, connection string) (contract.MaintenanceResult, error) {
	ctx, done := untilStop(ctx)
	defer done()
	r, err := m.catchUp(ctx, connection)
	return r, toTemporal(err)
}

// untilStop ends long work as soon as its worker is asked to stop: another
// worker begins it again, and nobody waits for a rate limit to shut down.
func untilStop(ctx context.Context) (context.Context, func()) {
	if !activity.IsActivity(ctx) {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-activity.GetWorkerStopChannel(ctx):
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (m *Maintenance) catchUp(ctx context.Context, connection string) (contract.MaintenanceResult, error) {
	var r contract.MaintenanceResult
	c, err := m.Store.Connection(ctx, connection)
	if err != nil {
		return r, err
	}
	since := c.CaughtUpTo.Time
	if !c.CaughtUpTo.Valid {
		// First contact: history is a person's decision (towpath backfill).
		since = m.Now().Add(-overlap)
	}
	b := Backfill{Store: m.Store, Pool: m.Pool, Priority: 4, Progress: func(read int) {
		if activity.IsActivity(ctx) {
			activity.RecordHeartbeat(ctx, read)
		}
	}}
	done, err := b.Run(ctx, connection, since.Add(-overlap))
	r.Read, r.Queued = done.Read, done.Queued
	if err != nil {
		return r, err
	}
	return r, m.Store.CaughtUp(ctx, connection, done.SourceNow)
}

// Backfill reads a source's orders since a time into the inbox. Each order
// enters once per version, however often it is read.
type Backfill struct {
	Store    *store.Store
	Pool     Pool
	Priority int
	Progress func(read int) // may be nil
}

// BackfillResult is what a backfill read.
type BackfillResult struct {
	Read, Queued int
	SourceNow    time.Time // the source's clock when the reading began
	// Horizon is the oldest order that the credentials can see, when that is
	// later than what was asked for: the result is not complete.
	Horizon time.Time
}

// Run reads page by page. The watermark it returns is the source's own time at
// the first page.
func (b Backfill) Run(ctx context.Context, connection string, since time.Time) (BackfillResult, error) {
	var r BackfillResult
	door, err := b.Pool.Get(ctx, connection)
	if err != nil {
		return r, err
	}
	lister, ok := door.(connectors.OrderLister)
	if !ok {
		return r, fault.New(fault.Unsupported, "backfill.no_lister", "connection %q cannot list orders", connection)
	}
	inbox := b.Store.NewInbox(nil)
	defer inbox.Close()
	for cursor := ""; ; {
		page, err := lister.ListOrders(ctx, since, cursor)
		if err != nil {
			return r, err
		}
		if r.SourceNow.IsZero() {
			r.SourceNow = page.SourceNow
		}
		if page.Horizon.After(since) {
			r.Horizon = page.Horizon
		}
		fresh, err := b.accept(ctx, inbox, connection, page.Orders)
		if err != nil {
			return r, err
		}
		r.Read += len(page.Orders)
		r.Queued += fresh
		if b.Progress != nil {
			b.Progress(r.Read)
		}
		if page.Next == "" {
			return r, nil
		}
		cursor = page.Next
	}
}

func (b Backfill) accept(ctx context.Context, inbox Inbox, connection string, list []record.Order) (int, error) {
	unseen, err := b.unseen(ctx, connection, list)
	if err != nil || len(unseen) == 0 {
		return 0, err
	}
	batch := make([]store.Inbound, 0, len(unseen))
	for _, o := range unseen {
		body, err := json.Marshal(o)
		if err != nil {
			return 0, err
		}
		batch = append(batch, store.Inbound{
			Connection: connection, Format: store.FormatRecord, Body: body, Priority: b.Priority,
			Event: record.Event{
				Kind: record.KindOrder, ExternalID: o.ExternalID, Topic: "read", Complete: true,
				// One entry per order and change, however often it is read.
				DeliveryID: "read:" + o.ExternalID + ":" + record.NewVersion(o.UpdatedAt, time.Time{}), Version: o.Version, OccurredAt: o.UpdatedAt,
			},
		})
	}
	return inbox.Accept(ctx, batch)
}

// unseen drops orders of which the inbox already holds this change or a newer
// one: a webhook that arrived needs no second pass.
func (b Backfill) unseen(ctx context.Context, connection string, list []record.Order) ([]record.Order, error) {
	changed := make(map[string]string, len(list))
	for _, o := range list {
		changed[o.ExternalID] = record.NewVersion(o.UpdatedAt, o.UpdatedAt)
	}
	missing, err := b.Store.OlderThan(ctx, connection, record.KindOrder, changed)
	if err != nil {
		return nil, err
	}
	var out []record.Order
	for _, o := range list {
		if missing[o.ExternalID] {
			out = append(out, o)
		}
	}
	return out, nil
}

// CheckHooks makes sure that a source still sends to us, and repairs what it
// dropped.
func (m *Maintenance) CheckHooks(ctx context.Context, connection string) (contract.MaintenanceResult, error) {
	var r contract.MaintenanceResult
	if m.HookURL == "" {
		return r, nil
	}
	door, err := m.Pool.Get(ctx, connection)
	if err != nil {
		return r, toTemporal(err)
	}
	installer, ok := door.(connectors.HookInstaller)
	if !ok {
		return r, nil
	}
	c, err := m.Store.Connection(ctx, connection)
	if err != nil {
		return r, toTemporal(err)
	}
	changed, err := installer.EnsureHooks(ctx, m.HookURL+"/webhooks/"+c.Kind+"/"+c.Name)
	r.Repaired = len(changed)
	if err != nil {
		return r, toTemporal(err)
	}
	if len(changed) > 0 {
		m.Log.Warn().Str("connection", connection).Strs("topics", changed).Msg("subscriptions repaired")
	}
	return r, toTemporal(m.Store.HooksChecked(ctx, connection))
}
