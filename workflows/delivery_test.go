package workflows

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

var testDelivery = contract.DeliverInput{Delivery: 7, Endpoint: "partner", Event: "e1", Generation: 1}

// deliveryRoom is a Delivery workflow whose attempts do as the test says.
type deliveryRoom struct {
	*testsuite.TestWorkflowEnvironment
	mu   sync.Mutex
	seen []contract.DeliverInput
}

func newDeliveryRoom(attempt func(n int, in contract.DeliverInput) (contract.DeliverResult, error)) *deliveryRoom {
	r := &deliveryRoom{TestWorkflowEnvironment: newEnvironment()}
	r.RegisterWorkflowWithOptions(Delivery, workflow.RegisterOptions{Name: contract.DeliveryWorkflow})
	r.RegisterActivityWithOptions(func(_ context.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
		r.mu.Lock()
		r.seen = append(r.seen, in)
		n := len(r.seen)
		r.mu.Unlock()
		return attempt(n, in)
	}, activity.RegisterOptions{Name: contract.ActivityDeliver})
	return r
}

func later(after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions("later", "webhook.timeout", temporal.ApplicationErrorOptions{NextRetryDelay: after})
}

func TestADeliveryIsItsAttempts(t *testing.T) {
	r := newDeliveryRoom(func(n int, _ contract.DeliverInput) (contract.DeliverResult, error) {
		if n < 4 {
			return contract.DeliverResult{}, later(20 * time.Hour)
		}
		return contract.DeliverResult{State: "ok", Attempts: n}, nil
	})
	began := r.Now()
	r.ExecuteWorkflow(contract.DeliveryWorkflow, testDelivery)
	require.NoError(t, r.GetWorkflowError())
	var got contract.DeliverResult
	require.NoError(t, r.GetWorkflowResult(&got))
	assert.Equal(t, contract.DeliverResult{State: "ok", Attempts: 4}, got)
	assert.GreaterOrEqual(t, r.Now().Sub(began), 60*time.Hour, "the activity says when; days are fine")
}

// Who delivers again does not wait for the attempt that was planned.
func TestAPlannedAttemptGivesWayToANewGeneration(t *testing.T) {
	r := newDeliveryRoom(func(_ int, in contract.DeliverInput) (contract.DeliverResult, error) {
		if in.Generation == 1 {
			return contract.DeliverResult{}, later(20 * time.Hour)
		}
		return contract.DeliverResult{State: "ok"}, nil
	})
	again := testDelivery
	again.Generation = 2
	began := r.Now()
	r.RegisterDelayedCallback(func() { r.SignalWorkflow(contract.SignalAgain, again) }, time.Minute)
	r.ExecuteWorkflow(contract.DeliveryWorkflow, testDelivery)
	require.NoError(t, r.GetWorkflowError())
	assert.Equal(t, again, r.seen[len(r.seen)-1])
	assert.Less(t, r.Now().Sub(began), time.Hour)
}

func TestADeliveryWithoutANameIsRefused(t *testing.T) {
	r := newDeliveryRoom(nil)
	r.ExecuteWorkflow(contract.DeliveryWorkflow, contract.DeliverInput{Delivery: 1})
	var app *temporal.ApplicationError
	require.ErrorAs(t, r.GetWorkflowError(), &app)
	assert.Equal(t, "delivery.bad_input", app.Type())
	assert.True(t, app.NonRetryable())
}

func TestAnEndpointIsWatchedUntilItTakesDeliveriesAgain(t *testing.T) {
	env := newEnvironment()
	looks := 0
	env.RegisterWorkflowWithOptions(EndpointMonitor, workflow.RegisterOptions{Name: contract.EndpointMonitorWorkflow})
	env.RegisterActivityWithOptions(func(_ context.Context, name string) (contract.EndpointLook, error) {
		looks++
		switch {
		case looks < 4:
			return contract.EndpointLook{Circuit: "open", Failures: 5, Waiting: 3}, nil
		case looks < 6:
			return contract.EndpointLook{Circuit: "closed", Disabled: "it answered 410"}, nil
		}
		return contract.EndpointLook{Circuit: "closed"}, nil
	}, activity.RegisterOptions{Name: contract.ActivityLookAtEndpoint})
	began := env.Now()
	env.RegisterDelayedCallback(func() { // an operator acts: looked at once
		env.SignalWorkflow(contract.SignalLookAgain, nil)
	}, 2*time.Minute)
	env.ExecuteWorkflow(contract.EndpointMonitorWorkflow, "partner")
	require.NoError(t, env.GetWorkflowError())
	var last contract.EndpointLook
	require.NoError(t, env.GetWorkflowResult(&last))
	assert.Equal(t, contract.EndpointLook{Circuit: "closed"}, last)
	assert.Equal(t, 6, looks)
	assert.Less(t, env.Now().Sub(began), 2*time.Hour)
}
