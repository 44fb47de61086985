package workflows_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows"
	"towpath/workflows/contract"
)

// Budgets in events: a delivery costs the same whether it took one attempt or
// ten; being delivered again adds to a run that is open.
const (
	budgetDelivery = 11
	budgetParked   = 12
	budgetAgain    = 21
)

// deliveryHands stand in for the activities of deliveries.
type deliveryHands struct {
	deliver func(n int64, in contract.DeliverInput) (contract.DeliverResult, error)
	look    func(n int64) contract.EndpointLook
	calls   atomic.Int64
}

func (h *deliveryHands) Deliver(_ context.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
	return h.deliver(h.calls.Add(1), in)
}

func (h *deliveryHands) Look(context.Context, string) (contract.EndpointLook, error) {
	return h.look(h.calls.Add(1)), nil
}

func (h *deliveryHands) work(t *testing.T, c client.Client) crew {
	t.Helper()
	main := sdk.New(c, contract.QueueMain, sdk.Options{})
	main.RegisterWorkflowWithOptions(workflows.Delivery, workflow.RegisterOptions{Name: contract.DeliveryWorkflow})
	main.RegisterWorkflowWithOptions(workflows.EndpointMonitor, workflow.RegisterOptions{Name: contract.EndpointMonitorWorkflow})
	main.RegisterActivityWithOptions(h.Look, activity.RegisterOptions{Name: contract.ActivityLookAtEndpoint})
	deliveries := sdk.New(c, contract.QueueDeliveries, sdk.Options{DisableWorkflowWorker: true})
	deliveries.RegisterActivityWithOptions(h.Deliver, activity.RegisterOptions{Name: contract.ActivityDeliver})
	all := crew{main, deliveries}
	for _, w := range all {
		require.NoError(t, w.Start())
	}
	return all
}

func soon(after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions("the receiver failed", "webhook.receiver_failed", temporal.ApplicationErrorOptions{NextRetryDelay: after})
}

func TestDeliveryStaysWithinItsBudget(t *testing.T) {
	c := server(t)
	for _, k := range []struct {
		name     string
		attempts int64
		state    string
		budget   int
	}{
		{"delivery", 1, "ok", budgetDelivery},
		{"delivery-retried", 10, "ok", budgetDelivery},
		{"delivery-parked", 3, "parked", budgetParked},
	} {
		t.Run(k.name, func(t *testing.T) {
			h := &deliveryHands{deliver: func(n int64, _ contract.DeliverInput) (contract.DeliverResult, error) {
				if n < k.attempts {
					return contract.DeliverResult{}, soon(20 * time.Millisecond)
				}
				return contract.DeliverResult{State: k.state, Attempts: int(n)}, nil
			}}
			defer h.work(t, c).stop()
			in := contract.DeliverInput{Delivery: 1, Endpoint: "partner", Event: k.name, Generation: 1}
			run := startDelivery(t, c, in)
			var r contract.DeliverResult
			require.NoError(t, run.Get(t.Context(), &r))
			assert.Equal(t, k.state, r.State)
			assert.EqualValues(t, k.attempts, r.Attempts)
			history := historyOfRun(t, c, run)
			t.Logf("%d attempts: %d events", k.attempts, spent(history))
			assert.LessOrEqual(t, spent(history), k.budget)
			keep(t, k.name, history)
		})
	}
}

func startDelivery(t *testing.T, c client.Client, in contract.DeliverInput) client.WorkflowRun {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: contract.DeliveryWorkflowID(in.Endpoint, in.Event), TaskQueue: contract.QueueMain}, contract.DeliveryWorkflow, in)
	require.NoError(t, err)
	return run
}

// A delivery that waits for its next attempt, in hours, is made now when a
// person delivers it again.
func TestADeliveryIsMadeAgainNow(t *testing.T) {
	c := server(t)
	h := &deliveryHands{deliver: func(_ int64, in contract.DeliverInput) (contract.DeliverResult, error) {
		if in.Generation == 1 {
			return contract.DeliverResult{}, soon(time.Hour)
		}
		return contract.DeliverResult{State: "ok", Attempts: 2}, nil
	}}
	defer h.work(t, c).stop()
	in := contract.DeliverInput{Delivery: 1, Endpoint: "partner", Event: "again", Generation: 1}
	run := startDelivery(t, c, in)
	until(t, "the first attempt is made", func() bool { return h.calls.Load() == 1 })
	in.Generation++
	require.NoError(t, c.SignalWorkflow(t.Context(), run.GetID(), run.GetRunID(), contract.SignalAgain, in))
	var r contract.DeliverResult
	require.NoError(t, run.Get(t.Context(), &r))
	assert.Equal(t, "ok", r.State)
	history := historyOfRun(t, c, run)
	assert.LessOrEqual(t, spent(history), budgetAgain)
	keep(t, "delivery-again", history)
}

// A watch over an endpoint ends when the endpoint is well, or somebody acted.
func TestAnEndpointIsWatchedUntilItIsWell(t *testing.T) {
	c := server(t)
	acted := atomic.Bool{}
	h := &deliveryHands{look: func(n int64) contract.EndpointLook {
		switch {
		case acted.Load():
			return contract.EndpointLook{Circuit: "closed"}
		case n > 2:
			return contract.EndpointLook{Circuit: "open", Failures: 7, Waiting: 12, Disabled: "it answered 410 Gone"}
		}
		return contract.EndpointLook{Circuit: "open", Failures: 5, Waiting: 3}
	}}
	defer h.work(t, c).stop()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: contract.EndpointMonitorID("partner"), TaskQueue: contract.QueueMain}, contract.EndpointMonitorWorkflow, "partner")
	require.NoError(t, err)
	until(t, "it has looked thrice", func() bool { return h.calls.Load() >= 3 })
	acted.Store(true)
	require.NoError(t, c.SignalWorkflow(t.Context(), run.GetID(), run.GetRunID(), contract.SignalLookAgain, nil))
	var look contract.EndpointLook
	require.NoError(t, run.Get(t.Context(), &look))
	assert.Equal(t, "closed", look.Circuit)
	assert.Empty(t, look.Disabled, "what is no more is not remembered")
	keep(t, "endpoint-monitor", historyOfRun(t, c, run))
}

// And when nothing waits for it any more: the next event opens it anew.
func TestNobodyIsWatchedForNothing(t *testing.T) {
	c := server(t)
	h := &deliveryHands{look: func(n int64) contract.EndpointLook {
		return contract.EndpointLook{Circuit: "open", Failures: 5, Waiting: 2 - n, Idle: n > 1}
	}}
	defer h.work(t, c).stop()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: contract.EndpointMonitorID("idle"), TaskQueue: contract.QueueMain}, contract.EndpointMonitorWorkflow, "idle")
	require.NoError(t, err)
	var look contract.EndpointLook
	require.NoError(t, run.Get(t.Context(), &look))
	assert.EqualValues(t, 2, h.calls.Load())
	assert.Equal(t, "open", look.Circuit)
	keep(t, "endpoint-monitor-idle", historyOfRun(t, c, run))
}
