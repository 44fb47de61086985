package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// Order is the story of one order: as long as something about it is new, it
// makes a pass; then it waits a little for a person or a short deadline, and
// ends. Whatever it does not get to (a lost signal, a terminated run, a lost
// database of Temporal) is still due in PostgreSQL and starts it again.
func Order(ctx workflow.Context, in contract.OrderInput) (contract.ApplyResult, error) {
	o := &order{in: in}
	if err := o.setup(ctx); err != nil {
		return o.last, err
	}
	return o.run(ctx)
}

type order struct {
	in        contract.OrderInput
	events    workflow.ReceiveChannel
	decisions []*decision // by operators, not carried out yet
	bells     int         // signals drained since the last pass
	fetch     bool        // the newest event holds no content
	passes    int
	doing     string
	last      contract.ApplyResult
	attention bool
}

// decision is an operator's, with the outcome of the pass that carried it out.
type decision struct {
	contract.Decision
	result contract.ApplyResult
	tries  int
	done   bool
}

// decisionTries bounds how often a decision is carried into another pass after
// one was superseded, whose successor knows nothing of it.
const decisionTries = 3

func (o *order) setup(ctx workflow.Context) error {
	if o.in.Ref.Connection == "" || o.in.Ref.ExternalID == "" || o.in.Target == "" {
		return temporal.NewNonRetryableApplicationError("an Order workflow needs ref.connection, ref.external_id and target", "order.bad_input", nil)
	}
	o.events = workflow.GetSignalChannel(ctx, contract.SignalEvent)
	// A run that goes on from a long one shows what that one showed last.
	o.attention, _ = workflow.GetTypedSearchAttributes(ctx).GetBool(contract.AttrNeedsAttention)
	if err := workflow.SetQueryHandler(ctx, contract.QueryStatus, func() (contract.Status, error) {
		return contract.Status{Ref: o.in.Ref, Target: o.in.Target, Doing: o.doing, Passes: o.passes, Last: o.last}, nil
	}); err != nil {
		return err
	}
	for _, verb := range []contract.Verb{contract.VerbRetry, contract.VerbSkip, contract.VerbEdit} {
		if err := o.handle(ctx, verb); err != nil {
			return err
		}
	}
	return nil
}

// handle lets operators steer: the update returns how the order stands after
// the pass that carried the decision out.
func (o *order) handle(ctx workflow.Context, verb contract.Verb) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, string(verb),
		func(ctx workflow.Context, d contract.Decision) (contract.ApplyResult, error) {
			d.Verb = verb
			mine := &decision{Decision: d}
			o.decisions = append(o.decisions, mine)
			err := workflow.Await(ctx, func() bool { return mine.done })
			return mine.result, err
		},
		workflow.UpdateHandlerOptions{
			Description: map[contract.Verb]string{
				contract.VerbRetry: "try this order again now",
				contract.VerbSkip:  "leave the order's present content alone",
				contract.VerbEdit:  "correct the order (edit_id from: towpath edit), then try again",
			}[verb],
			Validator: func(d contract.Decision) error {
				switch {
				case d.By == "":
					return errors.New(`say who decides: {"by": "name", "reason": "why"}`)
				case verb == contract.VerbSkip && d.Reason == "":
					return errors.New(`say why the order is skipped: {"by": "name", "reason": "why"}`)
				case verb == contract.VerbEdit && d.EditID <= 0:
					return errors.New("edit_id is missing: store the correction first with: towpath edit " + o.in.Ref.String())
				}
				return nil
			},
		})
}

// run: drain, pass, again while there is more; then wait, or end.
func (o *order) run(ctx workflow.Context) (contract.ApplyResult, error) {
	for {
		o.drain()
		if o.more() {
			if o.mayContinueAnew(ctx) {
				return o.last, workflow.NewContinueAsNewError(ctx, contract.OrderWorkflow, o.in)
			}
			if err := o.pass(ctx); err != nil {
				return o.last, err
			}
			continue
		}
		if wait := o.waits(ctx); wait > 0 {
			rung, err := o.sleep(ctx, wait)
			if err != nil {
				return o.last, err // canceled
			}
			if rung {
				continue
			}
		}
		if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
			return o.last, err
		}
		// Nothing that yields may stand between this check and the return, or
		// a signal could fall between them (temporal.md section 4.3).
		o.drain()
		if o.more() {
			continue
		}
		return o.last, nil
	}
}

// drain takes every bell that has rung; one pass answers them all.
func (o *order) drain() {
	var bell contract.EventSignal
	for o.events.ReceiveAsync(&bell) {
		o.bells++
		o.fetch = bell.Fetch
	}
}

func (o *order) more() bool {
	return o.bells > 0 || len(o.decisions) > 0 || o.last.Again || o.passes == 0
}

// mayContinueAnew says that the history has grown long and nothing but bells
// is open: the first pass of the next run answers them, as any pass does.
func (o *order) mayContinueAnew(ctx workflow.Context) bool {
	return o.passes > 0 && workflow.GetInfo(ctx).GetContinueAsNewSuggested() && len(o.decisions) == 0 && workflow.AllHandlersFinished(ctx)
}

// pass makes one pass: fetch when the event held no content, then apply.
func (o *order) pass(ctx workflow.Context) error {
	o.bells, o.last.Again = 0, false
	input := contract.ApplyInput{Ref: o.in.Ref, Target: o.in.Target}
	// Decisions that come in from now on are for the next pass.
	var carried *decision
	if len(o.decisions) > 0 {
		carried = o.decisions[0]
		carried.tries++
		input.Decision = &carried.Decision
	}
	fetch := o.fetch
	o.fetch = false
	for range 2 { // content may turn out to be missing once
		if fetch {
			if err := o.read(ctx); err != nil {
				return o.postpone(ctx, carried, err)
			}
		}
		var r contract.ApplyResult
		o.doing = "writing to " + o.in.Target
		err := workflow.ExecuteActivity(applying(ctx, contract.QueueTarget(o.in.Target), o.summary(input)), contract.ActivityApplyOrder, input).Get(ctx, &r)
		if err != nil {
			return o.postpone(ctx, carried, err)
		}
		if r.Outcome != contract.NeedFetch {
			return o.ended(ctx, carried, r)
		}
		fetch = true
	}
	return o.postpone(ctx, carried, temporal.NewApplicationError("the source gives no content", "order.no_content"))
}

func (o *order) summary(in contract.ApplyInput) string {
	if in.Decision != nil {
		return fmt.Sprintf("%s, by %s", in.Decision.Verb, in.Decision.By)
	}
	return "write, prove, confirm"
}

func (o *order) read(ctx workflow.Context) error {
	o.doing = "reading from " + o.in.Ref.Connection
	return workflow.ExecuteActivity(reading(ctx, contract.QueueSource(o.in.Ref.Connection), "read the order as it is now"), contract.ActivityFetchOrder, o.in.Ref).Get(ctx, nil)
}

// ended takes in how a pass ended and shows it to operators.
func (o *order) ended(ctx workflow.Context, carried *decision, r contract.ApplyResult) error {
	o.last = r
	o.passes++
	if carried != nil && (r.Outcome != contract.Stale || carried.tries == decisionTries) {
		carried.result, carried.done = r, true
		o.decisions = o.decisions[1:]
	}
	o.doing = ""
	workflow.SetCurrentDetails(ctx, o.details())
	if r.NeedsAttention() == o.attention {
		return nil
	}
	o.attention = r.NeedsAttention()
	return workflow.UpsertTypedSearchAttributes(ctx,
		contract.AttrNeedsAttention.ValueSet(o.attention), contract.AttrStage.ValueSet(string(r.Outcome)))
}

// postpone hands an order that could not be dealt with now back to the
// dispatch table, with the cause.
func (o *order) postpone(ctx workflow.Context, carried *decision, cause error) error {
	if temporal.IsCanceledError(cause) {
		return cause
	}
	o.doing = "postponing"
	code := "unknown"
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(cause, &app):
		code = app.Type()
	case errors.As(cause, &timeout):
		code = "timeout"
	}
	var r contract.ApplyResult
	err := workflow.ExecuteActivity(keeping(ctx, "due again later: "+code), contract.ActivityPostpone, contract.PostponeInput{Ref: o.in.Ref, Cause: code}).Get(ctx, &r)
	if err != nil {
		return err
	}
	return o.ended(ctx, carried, r)
}

// waits says how long to stay open: for a person when the order is parked, or
// for a deadline that is near. Anything longer is a row with due_at.
func (o *order) waits(ctx workflow.Context) time.Duration {
	switch {
	case workflow.GetInfo(ctx).GetContinueAsNewSuggested():
		return 0 // long enough; opening again is free
	case o.last.Outcome == contract.Parked:
		return openFor
	case o.last.Outcome == contract.Waiting && o.last.WakeAt != nil:
		if d := o.last.WakeAt.Sub(workflow.Now(ctx)); d > 0 && d < openFor {
			return d + 2*time.Second // the dispatcher rings first; this is only the end of patience
		}
	}
	return 0
}

// sleep waits for a bell or a decision; false when the time is up.
func (o *order) sleep(ctx workflow.Context, d time.Duration) (rung bool, err error) {
	o.doing = "waiting: " + o.last.Code
	timerCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(timerCtx, d, workflow.TimerOptions{Summary: "open for a decision: " + o.last.Code})
	up := false
	workflow.Go(ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) == nil {
			up = true
		}
	})
	err = workflow.Await(ctx, func() bool { return up || o.events.Len() > 0 || len(o.decisions) > 0 })
	return o.events.Len() > 0 || len(o.decisions) > 0, err
}

// details is what the Temporal UI shows of the order: codes, never content.
func (o *order) details() string {
	s := fmt.Sprintf("**%s**", o.last.Outcome)
	if o.last.Code != "" {
		s += " (" + o.last.Code + ")"
	}
	if o.last.TargetID != "" {
		s += fmt.Sprintf("\n\nIn %s: id %s, %s", o.in.Target, o.last.TargetID, o.last.Stage)
	}
	if o.last.Outcome == contract.Parked {
		s += fmt.Sprintf("\n\nCause and remedy: `towpath explain %s`. Then send the update `retry`, `skip` or `edit`.", o.in.Ref)
	}
	return s
}
