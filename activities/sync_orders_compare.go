package activities

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// Causes for which the two sides of an order differ. Those that end in a colon
// are followed by a code.
const (
	causeDeletedThere   = "deleted_in_target"
	causeCancelledThere = "cancelled_in_target"
	causeCancelledHere  = "cancelled_in_source"
	causeTotal          = "total_differs"
	causeCurrency       = "currency_differs"
	causeUnbound        = "not_bound"
	causeUnconfirmed    = "not_confirmed"
	causeContent        = "content_differs"
	causeRefused        = "refused:" // its next pass would park it, with this fault
	causeOrderParked    = "parked:"  // it is parked here, with this fault
	causeWaiting        = "waiting:" // it waits here, for this
	causeInProgress     = "in_progress"
	causeLeft           = "left_by_operator"
)

// orderView is one order as both sides and the book have it.
type orderView struct {
	order record.Order
	stand store.OrderStand
	state *record.OrderState // nil: not in the target
	// refused is what a pass would be parked with before it wrote anything.
	refused string
	// rewritten: what would be written is not what was written last.
	rewritten bool
}

// orderVerdict is what a comparison comes to.
type orderVerdict struct {
	cause  string         // "": in step
	skip   string         // why nothing is to be done
	parked *fault.Fault   // it needs a person: nothing is proposed
	op     jobs.Operation // proposed; "": nothing
	note   string
	// owed and held are what it comes to in the source and in the target.
	owed, held decimal.Decimal
}

// judge compares one order, by the rules that its passes go by.
func (v orderView) judge(rules orders.Rules, now time.Time) (out orderVerdict) {
	o, s := v.order, v.stand
	d := orders.Decide(rules, o, v.state, now)
	over := o.Deleted || o.CancelledAt != nil || d.Action == orders.Cancel || d.Reason == orders.ReasonAlreadyCancelled
	if !over {
		out.owed = o.Total
	}
	if v.state != nil && v.state.Stage != record.StageCancelled {
		out.held = v.state.Total
	}
	because := func(op jobs.Operation, cause string) orderVerdict {
		out.cause, out.op = cause, op
		return out
	}
	leave := func(cause, reason string) orderVerdict {
		out.cause, out.skip = cause, reason
		return out
	}
	newer := v.newer()
	switch {
	case s.Pending:
		return leave(causeInProgress, "in_progress")
	case s.Fault != "" && !newer:
		out.parked = &fault.Fault{Kind: fault.Conflict, Code: s.Fault, Message: s.Message, Resolution: s.Resolution}
		return because("", causeOrderParked+s.Fault)
	case s.Code == "by_operator" && !newer && out.owed.Equal(out.held):
		return leave("", s.Code)
	case s.Code == "by_operator" && !newer:
		return leave(causeLeft, s.Code)
	case v.state == nil:
		return v.absent(out, d, newer)
	case v.state.Currency != o.Currency:
		return because(jobs.Update, causeCurrency)
	case v.state.Stage == record.StageCancelled && !over:
		return because(jobs.Update, causeCancelledThere)
	case v.state.Stage != record.StageCancelled && over:
		return because(jobs.Update, causeCancelledHere)
	case !out.owed.Equal(out.held):
		return because(jobs.Update, causeTotal)
	case s.TargetID == "":
		return because(jobs.Update, causeUnbound)
	case d.Action == orders.Park:
		out.note = d.Fault.Message
		return because(jobs.Update, causeRefused+d.Fault.Code)
	case over:
		return out
	case d.Confirm && v.state.Stage == record.StageDraft:
		return because(jobs.Update, causeUnconfirmed)
	case v.rewritten:
		return because(jobs.Update, causeContent)
	}
	return out
}

// absent judges an order that the target does not have.
func (v orderView) absent(out orderVerdict, d orders.Decision, newer bool) orderVerdict {
	s := v.stand
	switch {
	case d.Action == orders.Skip: // it is not to be there
		out.skip, out.owed = d.Reason, decimal.Zero
	case d.Action == orders.Wait:
		out.cause, out.skip = causeWaiting+d.Reason, "waiting_"+d.Reason
	case s.TargetID != "":
		out.cause, out.op = causeDeletedThere, jobs.Create
	case s.Outcome == "waiting" && !newer:
		code := cmp.Or(s.Code, "its_time")
		out.cause, out.skip = causeWaiting+code, "waiting_"+code
	case v.refused != "":
		out.cause, out.op = causeRefused+v.refused, jobs.Create
	default:
		out.cause, out.op = causeMissing, jobs.Create
	}
	return out
}

// newer says that the source has changed the order since it was dealt with.
func (v orderView) newer() bool {
	return v.stand.Version < record.NewVersion(v.order.UpdatedAt, v.order.UpdatedAt)
}

// count gives the order its outcome.
func (v orderVerdict) count(c *jobs.Counts) {
	switch {
	case v.parked != nil:
		c.Parked++
	case v.skip != "":
		c.Skip(v.skip, 1)
	case v.op == jobs.Create:
		c.Created++
	case v.op == jobs.Update:
		c.Updated++
	default:
		c.Unchanged++
	}
}

// change is the line of the plan; ok is false where it has none. Amounts bear
// their currency in their name, so that no sum mixes two.
func (v orderView) change(verdict orderVerdict) (c store.Change, ok bool) {
	if verdict.op == "" {
		return c, false
	}
	c = store.Change{
		Side: jobs.TargetSide, ExternalID: v.order.ExternalID, Label: v.order.Name, Op: string(verdict.op),
		RecordID: v.stand.TargetID, Cause: verdict.cause, Note: verdict.note, State: store.ChangePlanned, Before: record.Values{}, After: record.Values{},
	}
	if v.state != nil {
		c.RecordID = v.state.ID
		c.Before[amountOf(v.state.Currency)] = verdict.held
		c.Before["stage"] = string(v.state.Stage)
		if v.state.Currency != v.order.Currency {
			c.After[amountOf(v.state.Currency)] = nil
		}
	}
	c.After[amountOf(v.order.Currency)] = verdict.owed
	if verdict.cause == causeCancelledHere {
		c.After["stage"] = string(record.StageCancelled)
	}
	c.Digest = digestOf(record.Values{"cause": verdict.cause, "before": c.Before, "after": c.After})
	return c, true
}

func amountOf(currency string) string { return "total " + currency }

// sums are what the order adds to its day.
func (v orderView) sums(verdict orderVerdict, add func(store.Sum)) {
	if v.state == nil && verdict.owed.IsZero() && verdict.cause == "" { // not there, and not to be there
		return
	}
	row := store.Sum{Group: v.order.CreatedAt.UTC().Format(time.DateOnly), Unit: v.order.Currency, Cause: verdict.cause, N: 1, Source: verdict.owed}
	if v.state == nil || v.state.Currency == v.order.Currency {
		row.Target = verdict.held
		add(row)
		return
	}
	add(row)
	row.Unit, row.N, row.Source, row.Target = v.state.Currency, 0, decimal.Zero, verdict.held
	add(row)
}

// viewed makes the views of a page's orders: what the book says, what the target
// holds, and what a pass would make of them.
func (r *syncRun) viewed(ctx context.Context, list []record.Order) ([]*orderView, error) {
	ids := make([]string, len(list))
	for i, o := range list {
		ids[i] = o.ExternalID
	}
	stands, err := r.Store.OrderStands(ctx, r.run.ID, ids)
	if err != nil {
		return nil, err
	}
	var bound []string
	views := make([]*orderView, len(list))
	for i, o := range list {
		v := &orderView{order: o, stand: stands[o.ExternalID]}
		if len(v.stand.Patch) > 0 && strings.HasPrefix(string(v.stand.Patch), "{") {
			if corrected, f := orders.Patch(o, v.stand.Patch); f == nil {
				v.order = corrected
			}
		}
		if v.stand.TargetID != "" {
			bound = append(bound, v.stand.TargetID)
		}
		views[i] = v
	}
	states, err := r.orders.states.OrderStates(ctx, bound)
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		if state, there := states[v.stand.TargetID]; there {
			v.state = &state
		}
	}
	return views, r.probe(ctx, views)
}
