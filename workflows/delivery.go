package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// Delivery tells one event to one endpoint. All its attempts are retries of one
// activity, so that three days of them add nothing to the history; which of them
// may be made, and when, PostgreSQL says (protocol P5, TestPromise4).
func Delivery(ctx workflow.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
	var r contract.DeliverResult
	if in.Delivery == 0 || in.Endpoint == "" || in.Event == "" {
		return r, temporal.NewNonRetryableApplicationError("a Delivery workflow needs delivery, endpoint and event", "delivery.bad_input", nil)
	}
	again := workflow.GetSignalChannel(ctx, contract.SignalAgain)
	for {
		var err error
		for again.ReceiveAsync(&in) { // the newest generation
		}
		if r, err = deliver(ctx, in, again); err != nil {
			return r, err
		}
		if again.Len() == 0 { // nothing that yields may stand before the return
			return r, nil
		}
	}
}

// deliver runs the attempts until they end, or until the delivery is to be
// looked at anew.
func deliver(ctx workflow.Context, in contract.DeliverInput, again workflow.ReceiveChannel) (r contract.DeliverResult, err error) {
	attempts, cancel := workflow.WithCancel(delivering(ctx, "send, until it is received"))
	defer cancel()
	result := workflow.ExecuteActivity(attempts, contract.ActivityDeliver, in)
	ended := false
	workflow.NewSelector(ctx).
		AddFuture(result, func(f workflow.Future) { ended = true; err = f.Get(ctx, &r) }).
		AddReceive(again, func(workflow.ReceiveChannel, bool) {}).
		Select(ctx)
	switch {
	case !ended:
		return r, ctx.Err()
	case err != nil:
		return r, err
	}
	if r.State == "parked" {
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("**parked** (%s)\n\nCause and remedy: `towpath delivery show %d`; then `towpath delivery redeliver %d` or `discard`.", r.Code, in.Delivery, in.Delivery))
		return r, workflow.UpsertTypedSearchAttributes(ctx, contract.AttrStage.ValueSet(r.State), contract.AttrNeedsAttention.ValueSet(true))
	}
	return r, nil
}

// EndpointMonitor is open while an endpoint's circuit is and something waits for
// it: the operators' list of endpoints that are down. The circuit itself moves in
// PostgreSQL, by whichever attempt may probe; where nothing waits, none does, and
// the next event opens the watch anew.
func EndpointMonitor(ctx workflow.Context, endpoint string) (contract.EndpointLook, error) {
	var look contract.EndpointLook
	if err := workflow.SetQueryHandler(ctx, contract.QueryEndpoint, func() (contract.EndpointLook, error) { return look, nil }); err != nil {
		return look, err
	}
	acted := false // somebody did something about it
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.GetSignalChannel(ctx, contract.SignalLookAgain).Receive(ctx, nil) {
			acted = true
		}
	})
	for wait := time.Second; ; wait = min(wait*2, rarest(look)) {
		var now contract.EndpointLook // decoded over an older one, it would keep what is no more
		err := workflow.ExecuteActivity(keeping(ctx, "look how "+endpoint+" does"), contract.ActivityLookAtEndpoint, endpoint).Get(ctx, &now)
		var app *temporal.ApplicationError
		if errors.As(err, &app) && app.NonRetryable() {
			return look, nil // the endpoint is no more
		}
		if err != nil && ctx.Err() != nil {
			return look, ctx.Err()
		}
		if err == nil {
			look = now
		}
		if err == nil && look.Circuit == "closed" && look.Disabled == "" {
			workflow.SetCurrentDetails(ctx, "it takes deliveries again")
			return look, workflow.UpsertTypedSearchAttributes(ctx, contract.AttrNeedsAttention.ValueSet(false))
		}
		if err == nil && look.Idle && endsWhenIdle(ctx) {
			workflow.SetCurrentDetails(ctx, lookDetails(endpoint, look)+"\n\nNo watch is needed until something does.")
			return look, workflow.UpsertTypedSearchAttributes(ctx, contract.AttrNeedsAttention.ValueSet(false))
		}
		workflow.SetCurrentDetails(ctx, lookDetails(endpoint, look))
		if _, err := workflow.AwaitWithTimeout(ctx, wait, func() bool { return acted }); err != nil {
			return look, err
		}
		if acted {
			acted, wait = false, time.Second
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return look, workflow.NewContinueAsNewError(ctx, contract.EndpointMonitorWorkflow, endpoint)
		}
	}
}

// rarest is the longest time between two looks: who is switched off stays so
// until somebody acts, which is signalled.
func rarest(look contract.EndpointLook) time.Duration {
	if look.Disabled != "" {
		return time.Hour
	}
	return time.Minute
}

func lookDetails(endpoint string, look contract.EndpointLook) string {
	text := fmt.Sprintf("**circuit %s**, %d failures in a row; %d deliveries wait, %d are parked.", look.Circuit, look.Failures, look.Waiting, look.Parked)
	switch {
	case look.Disabled != "":
		text += fmt.Sprintf("\n\nSwitched off: %s. When it works again: `towpath endpoint enable %s`.", look.Disabled, endpoint)
	case look.HeldBy != "":
		text += fmt.Sprintf("\n\nHeld by %s. Let it go on: `towpath endpoint reset %s`.", look.HeldBy, endpoint)
	case look.ProbeAt != nil:
		text += "\n\nThe next probe: " + look.ProbeAt.UTC().Format("2006-01-02 15:04:05") + " (UTC)."
	}
	return text
}
