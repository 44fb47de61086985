package activities

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"towpath/connectors"
	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// termsTrust is how old cached sales terms may be before a miss asks anew.
const termsTrust = 15 * time.Second

// write brings header and lines into the target, proves the total to the cent,
// and only then confirms (promise 3, TestPromise3).
func (p *pass) write(ctx context.Context, d orders.Decision) (contract.ApplyResult, error) {
	if err := p.resolve(ctx); err != nil {
		return contract.ApplyResult{}, err
	}
	row, f := orders.Plan(p.rules, p.terms, p.order, p.res)
	if f != nil {
		return contract.ApplyResult{}, f
	}
	p.planned = true
	row.Write = p.writeRef()
	digest := p.digest("")
	if until, err := p.quarantined(ctx, digest); until != nil || err != nil {
		return p.uncertain(ctx, until, err)
	}
	if p.bound != nil {
		d = orders.DecideEdit(p.rules, p.terms, d, row, *p.bound)
		switch d.Action {
		case orders.Park:
			return contract.ApplyResult{}, d.Fault
		case orders.Nothing:
			return p.nothing(ctx, d)
		}
	}
	for _, l := range row.Lines {
		p.Writing = append(p.Writing, l.XID)
	}
	if err := p.intend(ctx, digest); err != nil {
		return contract.ApplyResult{}, err
	}
	failpoint.Here("intent")
	state, err := p.load(ctx, row, digest)
	if err != nil {
		return contract.ApplyResult{}, err
	}
	return p.finish(ctx, d, state, row)
}

// load writes the row, proves it, and closes a gap of cents with a rounding
// line when the rules allow one.
func (p *pass) load(ctx context.Context, row record.OrderRow, digest string) (record.OrderState, error) {
	state, err := p.upsert(ctx, row, digest)
	if err != nil {
		return state, err
	}
	failpoint.Here("loaded")
	proof := orders.Prove(p.rules, p.terms, p.order, p.res, state)
	if proof.RoundingLine != nil {
		if state, err = p.upsert(ctx, proof.Corrected(row), digest); err != nil {
			return state, err
		}
		proof = orders.Prove(p.rules, p.terms, p.order, p.res, state)
	}
	if !proof.Equal {
		return state, &unproved{Fault: differs(proof), bind: p.bind(state, row), stage: state.Stage}
	}
	p.bound = &state
	failpoint.Here("proved")
	return state, nil
}

// differs is the fault of a proof that does not hold.
func differs(proof orders.Proof) *fault.Fault {
	if proof.Fault != nil {
		return proof.Fault
	}
	return fault.New(fault.Conflict, "order.total_differs", "the total in the target is not the shop's: %s", proof.Reason).
		WithResolution("compare the taxes of the order in both systems")
}

// unproved is the fault of an order that is in the target with a total that is
// not the shop's. The binding is kept: the next try writes it again.
type unproved struct {
	*fault.Fault
	bind  *store.Bind
	stage record.Stage
}

func (u *unproved) Unwrap() error { return u.Fault }

// upsert sends the row. An uncertain end starts the quarantine: the same
// content may go again at once, since its external id makes it one record;
// other content waits until the lost request cannot be running any more.
func (p *pass) upsert(ctx context.Context, row record.OrderRow, digest string) (record.OrderState, error) {
	p.underway = true
	state, err := p.target.UpsertOrder(ctx, row)
	until := state.Quarantine // an earlier, unanswered send of it may still land
	if p.underway = fault.Is(err, fault.Uncertain); p.underway {
		until = p.Now().Add(p.lingers())
	}
	if fault.Is(err, fault.Invalid) {
		if ferr := p.forgetVanished(ctx, []string{p.res.CustomerID, p.res.InvoiceID, p.res.DeliveryID}, slices.Collect(maps.Values(p.res.Products))); ferr != nil {
			return state, ferr
		}
	}
	if !until.IsZero() {
		if qerr := p.Store.Quarantine(ctx, p.Pass, digest, until); qerr != nil {
			return state, qerr
		}
	}
	return state, err
}

// intend commits what the pass is going to write.
func (p *pass) intend(ctx context.Context, digest string) error {
	_, err := p.Store.Intent(ctx, p.Pass, p.attempt, digest, p.before())
	p.intended = err == nil
	return err
}

// quarantined gives the time until which this content must wait: what an
// earlier pass sent may still be running in the target, and would overwrite it.
// A pass that died without a word counts as one that sent (protocol P3.4,
// TestZombieWithOldContent).
func (p *pass) quarantined(ctx context.Context, digest string) (until *time.Time, err error) {
	if p.Attempts > 0 {
		if err := p.Store.Presume(ctx, p.Pass, p.Now().Add(p.lingers())); err != nil {
			return nil, err
		}
	}
	if p.QuarantineUntil.Valid && p.QuarantineUntil.Time.After(p.Now()) && p.QuarantineDig != digest {
		return &p.QuarantineUntil.Time, nil
	}
	return nil, nil
}

// uncertain waits for the end of the quarantine. The events stay pending:
// nothing of them has been dealt with.
func (p *pass) uncertain(ctx context.Context, until *time.Time, err error) (contract.ApplyResult, error) {
	if err != nil {
		return contract.ApplyResult{}, err
	}
	p.Events = nil
	return p.settle(ctx, store.Settlement{Outcome: string(contract.Waiting), Code: "uncertain_write", WakeAt: until})
}

// lingers is how long an unanswered write may still land.
func (p *pass) lingers() time.Duration {
	if l, ok := p.target.(connectors.Lingering); ok {
		return l.Lingers()
	}
	return p.Uncertainty
}

// finish confirms what is proved and settles.
func (p *pass) finish(ctx context.Context, d orders.Decision, state record.OrderState, row record.OrderRow) (contract.ApplyResult, error) {
	if d.Confirm && state.Stage == record.StageDraft {
		confirmed, err := p.confirm(ctx, state)
		if err != nil {
			return contract.ApplyResult{}, err
		}
		state = confirmed
	}
	return p.applied(ctx, d, state, row)
}

func (p *pass) confirm(ctx context.Context, state record.OrderState) (record.OrderState, error) {
	w := p.writeRef()
	w.ID = state.ID
	confirmed, err := p.target.ConfirmOrder(ctx, w)
	if err != nil {
		return state, err
	}
	failpoint.Here("confirmed")
	if confirmed.Stage != record.StageConfirmed {
		return state, fault.New(fault.Conflict, "order.not_confirmed", "the target did not confirm the order").
			WithResolution("open the order in the target and confirm it by hand; it says why it cannot")
	}
	// Confirming must not move the money: compare once more.
	if !confirmed.Total.IsZero() && !confirmed.Total.Equal(state.Total) {
		return confirmed, fault.New(fault.Conflict, "order.total_moved", "confirming changed the total from %s to %s %s", state.Total, confirmed.Total, state.Currency).
			WithResolution("look for an automation in the target that changes confirmed orders")
	}
	return confirmed, nil
}

// applied settles a pass that got through. The digest is kept only when there
// is no further stage to reach.
func (p *pass) applied(ctx context.Context, d orders.Decision, state record.OrderState, row record.OrderRow) (contract.ApplyResult, error) {
	st := store.Settlement{
		Outcome: string(contract.Applied), Code: d.Reason, Stage: string(state.Stage), Version: p.Version.String,
		WakeAt: at(d.WakeAt), Bind: p.bind(state, row), After: after(state), Override: p.override,
	}
	if d.WakeAt.IsZero() {
		st.Digest = p.digest(state.Stage)
	}
	return p.settle(ctx, st)
}

// nothing confirms what only lacked that, and settles.
func (p *pass) nothing(ctx context.Context, d orders.Decision) (contract.ApplyResult, error) {
	state := *p.bound
	row := record.OrderRow{Write: p.writeRef()}
	for _, xid := range p.LineXIDs {
		row.Lines = append(row.Lines, record.OrderLine{XID: xid})
	}
	if !p.planned && d.Confirm && state.Stage == record.StageDraft {
		// An order is confirmed only with its total proved, so it is planned first.
		return p.write(ctx, orders.Decision{Action: orders.Edit, Reason: d.Reason, Confirm: true, WakeAt: d.WakeAt})
	}
	if d.Confirm && state.Stage == record.StageDraft {
		proof := orders.Prove(p.rules, p.terms, p.order, p.res, state)
		if !proof.Equal {
			return contract.ApplyResult{}, differs(proof)
		}
		return p.finish(ctx, d, state, row)
	}
	if p.res.AdoptedID != "" || !p.BoundID.Valid {
		return p.applied(ctx, d, state, row)
	}
	st := store.Settlement{Outcome: string(contract.Unchanged), Code: d.Reason, Stage: string(state.Stage), Version: p.Version.String, WakeAt: at(d.WakeAt), Bind: p.bind(state, row)}
	if d.WakeAt.IsZero() && p.planned {
		st.Digest = p.digest(state.Stage)
	}
	return p.settle(ctx, st)
}

// cancel cancels the order in the target because the shop did.
func (p *pass) cancel(ctx context.Context, d orders.Decision) (contract.ApplyResult, error) {
	if err := p.intend(ctx, "cancel"); err != nil {
		return contract.ApplyResult{}, err
	}
	w := p.writeRef()
	w.ID = p.bound.ID
	state, err := p.target.CancelOrder(ctx, w)
	if err != nil {
		return contract.ApplyResult{}, err
	}
	failpoint.Here("cancelled")
	row := record.OrderRow{Write: w}
	for _, xid := range p.LineXIDs {
		row.Lines = append(row.Lines, record.OrderLine{XID: xid})
	}
	return p.settle(ctx, store.Settlement{
		Outcome: string(contract.Applied), Code: d.Reason, Stage: string(state.Stage), Version: p.Version.String,
		Bind: p.bind(state, row), After: after(state),
	})
}

// writeRef addresses the order for a write under this pass's fence.
func (p *pass) writeRef() record.Write {
	ref := p.orderRef()
	w := record.Write{XID: ref.XID, ID: ref.ID, Fence: p.FenceKey()}
	if p.res.AdoptedID != "" {
		w.XID, w.ID = "", p.res.AdoptedID
	}
	return w
}

func (p *pass) bind(state record.OrderState, row record.OrderRow) *store.Bind {
	lines := make([]string, 0, len(row.Lines)+len(row.Gone))
	for _, l := range row.Lines {
		lines = append(lines, l.XID)
	}
	b := &store.Bind{TargetID: state.ID, XID: p.writeRef().XID, Name: state.Name, LineXIDs: append(lines, row.Gone...)}
	return b
}

func (p *pass) digest(stage record.Stage) string {
	return orders.Digest(p.order, p.rules.Revision(), p.res, stage)
}

// before is the before-image of an intent: what the target held.
func (p *pass) before() json.RawMessage {
	if p.bound == nil {
		return nil
	}
	return after(*p.bound)
}

// after is the part of a state that a trail keeps: numbers and stage.
func after(s record.OrderState) json.RawMessage {
	out, err := json.Marshal(map[string]any{
		"id": s.ID, "name": s.Name, "stage": s.Stage, "total": s.Total, "tax": s.Tax, "currency": s.Currency,
		"locked": s.Locked, "write_date": s.WriteDate, "lines": s.Lines,
	})
	if err != nil {
		return nil
	}
	return out
}
