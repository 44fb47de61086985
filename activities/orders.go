package activities

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/activity"

	"towpath/connectors"
	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// Pool opens connections by name.
type Pool interface {
	Get(ctx context.Context, connection string) (connectors.Connector, error)
}

// Deps are what the activities work with.
type Deps struct {
	Store *store.Store
	Pool  Pool
	Log   zerolog.Logger
	Now   func() time.Time
	// Uncertainty is how long a request whose client has gone may still run
	// in the target: Odoo's limit_time_real and a little (protocol P3.4).
	Uncertainty time.Duration
	// HookURL is this installation's public address, for subscriptions; empty
	// leaves subscriptions alone.
	HookURL string
	// Retention of settled events and journal rows.
	Retention Retention
}

// Orders are the activities of the Order workflow.
type Orders struct {
	Deps
	rules sync.Map // "source revision" -> orders.Rules
	guard identityGuard
}

// NewOrders wires the order activities.
func NewOrders(d Deps) *Orders {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Uncertainty == 0 {
		d.Uncertainty = 130 * time.Second
	}
	return &Orders{Deps: d}
}

// hide keeps an object from being dispatched again while a pass runs; longer
// than the activity may take.
const hide = 4 * time.Minute

// pass is one run over one order: what is known so far.
type pass struct {
	*Orders
	*store.Pass
	decision *contract.Decision
	attempt  int
	override json.RawMessage // an operator's correction, new in this pass

	rules  orders.Rules
	target connectors.SalesTarget
	order  record.Order
	bound  *record.OrderState // as it is in the target; nil: not there
	res    orders.Resolved
	terms  record.SalesTerms
	// intended says that an intent was committed; underway that a request of
	// other content than the target's may be running there unanswered.
	intended, underway bool
	// planned says that res and terms are complete: the order was planned.
	planned bool
}

// ApplyOrder is one pass over one order: it brings the target to what the shop
// says, as far as the rules go, or says why not. All that a pass learns rests
// in PostgreSQL; the result carries codes and ids.
func (o *Orders) ApplyOrder(ctx context.Context, in contract.ApplyInput) (contract.ApplyResult, error) {
	began := o.Now()
	defer beat(ctx)()
	p, err := o.begin(ctx, in)
	var result contract.ApplyResult
	if err == nil {
		failpoint.Here("begun")
		result, err = p.run(ctx)
	}
	if err != nil && p != nil {
		result, err = p.fail(ctx, err)
	}
	o.logAttempt(ctx, in, p, result, err, began)
	return result, toTemporal(err)
}

// beat tells Temporal now and then that a long pass lives, so that a dead
// worker's passes are taken over soon. A pass under ten seconds sends nothing.
func beat(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	every := activity.GetInfo(ctx).HeartbeatTimeout / 3
	if every == 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

func (o *Orders) begin(ctx context.Context, in contract.ApplyInput) (*pass, error) {
	row, err := o.Store.Begin(ctx, keyOf(in.Ref), hide)
	if err != nil {
		return nil, err
	}
	p := &pass{Orders: o, Pass: row, decision: in.Decision, attempt: int(activity.GetInfo(ctx).Attempt)}
	if p.rules, err = o.rulesOf(row); err != nil {
		return p, err
	}
	door, err := o.Pool.Get(ctx, row.Target)
	if err != nil {
		return p, err
	}
	target, ok := door.(connectors.SalesTarget)
	if !ok {
		return p, fault.New(fault.Unsupported, "order.no_sales_target", "connection %q cannot take orders", row.Target).
			WithResolution("let the flow go to an Odoo connection")
	}
	p.target = target
	return p, o.guardIdentity(ctx, &o.guard, row.Target, door)
}

// run is the story of a pass.
func (p *pass) run(ctx context.Context) (contract.ApplyResult, error) {
	if skip, err := p.decide(ctx); skip || err != nil {
		if err != nil {
			return contract.ApplyResult{}, err
		}
		return p.settle(ctx, store.Settlement{Outcome: string(contract.Skipped), Code: "by_operator", SkipAll: true})
	}
	complete, err := p.readContent(ctx)
	if err != nil || !complete {
		return contract.ApplyResult{Outcome: contract.NeedFetch}, err
	}
	if p.SkipVersion.String != "" && p.SkipVersion.String == p.Version.String && p.decision == nil {
		return p.settle(ctx, store.Settlement{Outcome: string(contract.Skipped), Code: "by_operator"})
	}
	if unchanged, err := p.unchanged(ctx); err != nil || unchanged {
		if err != nil {
			return contract.ApplyResult{}, err
		}
		return p.settle(ctx, store.Settlement{Outcome: string(contract.Unchanged), Version: p.Version.String})
	}
	if err := p.lookInTarget(ctx); err != nil {
		return contract.ApplyResult{}, err
	}
	if f := orders.Validate(p.order); f != nil && !p.order.Deleted {
		return contract.ApplyResult{}, f
	}
	d := orders.Decide(p.rules, p.order, p.bound, p.Now())
	if d.Action == orders.Wait || d.Action == orders.Skip {
		// Not there, and not to be there; unless an earlier pass's order lands yet.
		if until, err := p.quarantined(ctx, "absent"); until != nil || err != nil {
			return p.uncertain(ctx, until, err)
		}
	}
	switch d.Action {
	case orders.Import, orders.Edit:
		return p.write(ctx, d)
	case orders.Cancel:
		return p.cancel(ctx, d)
	case orders.Nothing:
		return p.nothing(ctx, d)
	case orders.Wait:
		return p.settle(ctx, store.Settlement{Outcome: string(contract.Waiting), Code: d.Reason, Version: p.Version.String, WakeAt: at(d.WakeAt)})
	case orders.Skip:
		return p.settle(ctx, store.Settlement{Outcome: string(contract.Skipped), Code: d.Reason, Version: p.Version.String, WakeAt: at(d.WakeAt)})
	default:
		return contract.ApplyResult{}, d.Fault
	}
}

// decide carries out what an operator wants before anything else is looked at.
func (p *pass) decide(ctx context.Context) (skip bool, err error) {
	if p.decision == nil {
		return false, nil
	}
	switch p.decision.Verb {
	case contract.VerbSkip:
		return true, nil
	case contract.VerbEdit:
		patch, err := p.Store.Edit(ctx, p.Key, p.decision.EditID)
		if err != nil {
			return false, err
		}
		p.override, p.Override = patch, patch
	}
	return false, nil
}

// unchanged asks PostgreSQL only: an order whose content, policy, references
// and stage are those last written needs no call to the target.
func (p *pass) unchanged(ctx context.Context) (bool, error) {
	if p.AppliedDigest == "" || !p.BoundID.Valid || p.Attempts > 0 || p.decision != nil || p.order.Deleted || p.order.CancelledAt != nil {
		return false, nil
	}
	if err := p.resolveKnown(ctx); err != nil {
		if fault.Retryable(err) {
			return false, err
		}
		return false, nil // something new is needed: the whole pass tells what
	}
	return p.digest(record.Stage(p.Stage.String)) == p.AppliedDigest, nil
}

func (p *pass) ref() contract.Ref {
	return contract.Ref{Connection: p.Connection, Kind: p.Kind, ExternalID: p.ExternalID}
}

func keyOf(r contract.Ref) store.Key {
	return store.Key{Connection: r.Connection, Kind: r.Kind, ExternalID: r.ExternalID}
}

func (o *Orders) rulesOf(p *store.Pass) (orders.Rules, error) {
	type key struct {
		source   string
		revision int64
	}
	k := key{p.Connection, p.Revision}
	if r, ok := o.rules.Load(k); ok {
		return r.(orders.Rules), nil
	}
	var r orders.Rules
	if err := json.Unmarshal(p.Rules, &r); err != nil {
		return r, fault.New(fault.Invalid, "order.bad_rules", "the stored rules of the flow cannot be read").
			WithResolution("apply towpath.yaml again").WithCause(err)
	}
	r = r.WithDefaults()
	o.rules.Store(k, r)
	return r, nil
}

// logAttempt writes one wide line per attempt: ids, codes and times only.
func (o *Orders) logAttempt(ctx context.Context, in contract.ApplyInput, p *pass, r contract.ApplyResult, err error, began time.Time) {
	e := o.Log.Info()
	if err != nil {
		e = o.Log.Warn().Str("fault", fault.Of(err).Code)
	}
	if p != nil {
		e = e.Int64("epoch", p.Epoch).Int64("fence", p.Fence).Int("events", len(p.Events))
	}
	e.Str("ref", in.Ref.String()).Str("target", in.Target).Int32("attempt", activity.GetInfo(ctx).Attempt).
		Str("outcome", string(r.Outcome)).Str("code", r.Code).Str("target_id", r.TargetID).Str("stage", r.Stage).
		Dur("took", o.Now().Sub(began)).Msg("order pass")
}

func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
