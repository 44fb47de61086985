package activities

import (
	"context"
	"errors"
	"time"

	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// settle ends the pass in PostgreSQL and reports it.
func (p *pass) settle(ctx context.Context, st store.Settlement) (contract.ApplyResult, error) {
	if p.decision != nil {
		st.By, st.Note = p.decision.By, string(p.decision.Verb)+": "+p.decision.Reason
	}
	if st.Override == nil {
		st.Override = p.override
	}
	failpoint.Here("settling")
	again, parked, err := p.Store.Settle(ctx, p.Pass, st)
	if err != nil {
		return contract.ApplyResult{}, err
	}
	failpoint.Here("settled")
	r := contract.ApplyResult{Outcome: contract.Outcome(st.Outcome), Code: st.Code, Stage: st.Stage, ParkedID: parked, WakeAt: st.WakeAt, Again: again}
	if r.Stage == "" {
		r.Stage = p.Stage.String
	}
	if st.Bind != nil {
		r.TargetID = st.Bind.TargetID
	} else {
		r.TargetID = p.BoundID.String
	}
	return r, nil
}

// fail turns a fault into the pass's outcome. Only what a retry can help stays
// an error; the rest is parked with its cause and what to do about it.
func (p *pass) fail(ctx context.Context, err error) (contract.ApplyResult, error) {
	f := fault.Of(err)
	switch {
	case f.Code == "object.superseded" || f.Code == "batch.superseded":
		return contract.ApplyResult{Outcome: contract.Stale}, nil
	case p == nil:
		return contract.ApplyResult{}, err
	case f.Code == "target.stopped":
		now := p.Now() // dispatched again when a person lets the target write
		return p.settleOr(ctx, err, store.Settlement{Outcome: string(contract.Waiting), Code: f.Code, WakeAt: &now})
	case fault.Retryable(f):
		p.guard.doubt(p.Target)        // it may come back as another one
		if p.intended && !p.underway { // unheard of, the next pass would have to wait for it
			err = errors.Join(err, p.Store.Answered(ctx, p.Pass))
		}
		return contract.ApplyResult{}, err
	}
	st := store.Settlement{Outcome: string(contract.Parked), Code: f.Code, Version: p.Version.String, Fault: f, Slow: true, WakeAt: p.recheck()}
	if f.Kind == fault.Unauthorized { // not the order's fault: patience as with an outage
		st.WakeAt = slowRetry(p.Now(), p.SlowTries)
	}
	var u *unresolved
	if errors.As(err, &u) {
		st.Needs = u.needs
	}
	var draft *unproved
	if errors.As(err, &draft) {
		st.Bind, st.Stage = draft.bind, string(draft.stage)
	}
	return p.settleOr(ctx, err, st)
}

func (p *pass) settleOr(ctx context.Context, cause error, st store.Settlement) (contract.ApplyResult, error) {
	r, err := p.settle(ctx, st)
	if fault.Is(err, fault.Conflict) {
		return contract.ApplyResult{Outcome: contract.Stale}, nil
	}
	if err != nil {
		return r, errors.Join(err, cause)
	}
	return r, nil
}

// rechecks are the times after which a parked record is looked at again by
// itself: somebody may have mended the cause without telling us. Then it
// rests until a person acts, or something about it arrives.
var rechecks = []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour}

func (p *pass) recheck() *time.Time { return recheckAfter(p.Now(), p.SlowTries) }

func recheckAfter(now time.Time, tries int) *time.Time {
	if tries >= len(rechecks) {
		return nil
	}
	t := now.Add(rechecks[tries])
	return &t
}

// Postpone settles an object whose retries within the workflow are used up: it
// comes back later, ever more slowly, and in the end is parked. The content
// stays pending in the inbox.
func (o *Orders) Postpone(ctx context.Context, in contract.PostponeInput) (contract.ApplyResult, error) {
	r, err := o.postpone(ctx, in)
	return r, toTemporal(err)
}

func (o *Orders) postpone(ctx context.Context, in contract.PostponeInput) (contract.ApplyResult, error) {
	row, err := o.Store.Begin(ctx, keyOf(in.Ref), hide)
	if err != nil {
		return contract.ApplyResult{}, err
	}
	p := &pass{Orders: o, Pass: row}
	if next := slowRetry(o.Now(), row.SlowTries); next != nil {
		row.Events = nil // they stay pending: nothing of them has been dealt with
		return p.settle(ctx, store.Settlement{Outcome: string(contract.Waiting), Code: in.Cause, WakeAt: next, Slow: true})
	}
	return p.settle(ctx, store.Settlement{Outcome: string(contract.Parked), Code: in.Cause, Fault: fault.
		New(fault.Transient, in.Cause, "it was tried for three days without success").
		WithResolution("mend the cause, then: towpath retry %s", in.Ref)})
}

// slowRetry is the patience with an outage: with these gaps it lasts three days.
func slowRetry(now time.Time, tries int) *time.Time {
	gap := time.Minute << min(tries, 6) // 1, 2, 4 … 64 minutes
	if tries > 70 {
		return nil
	}
	t := now.Add(gap)
	return &t
}
