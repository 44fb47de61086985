package worker

import (
	"time"

	sdk "go.temporal.io/sdk/worker"

	"towpath/workflows"
	"towpath/workflows/contract"
)

// deliverySlots bounds attempts under way in a process. They mostly wait for
// somebody's web server; a slow endpoint holds a few of them.
const deliverySlots = 1000

// Tuning is how a worker of a queue is set up; benchmarks set up theirs alike.
func Tuning(queue string) sdk.Options {
	opt := sdk.Options{
		Identity:                    identity(),
		DisableRegistrationAliasing: true,
		WorkerStopTimeout:           75 * time.Second, // one HTTP timeout of a target and the settling
		// Activities tell thrice in a heartbeat's time that they live. The SDK would
		// keep that back for four fifths of it: who is then late by the last fifth, on
		// a machine that stands still for a moment, is taken for dead.
		MaxHeartbeatThrottleInterval: workflows.Heartbeat / 3,
		// Workflows compute nothing: who gets no processor for a second, which is the
		// SDK's limit, does not hang.
		DeadlockDetectionTimeout: 5 * time.Second,
	}
	switch queue {
	case contract.QueueMain:
		opt.MaxConcurrentWorkflowTaskPollers = 6
		opt.MaxConcurrentActivityTaskPollers = 2
		opt.MaxConcurrentWorkflowTaskExecutionSize = 100
	case contract.QueueDeliveries:
		opt.DisableWorkflowWorker = true
		opt.MaxConcurrentActivityExecutionSize = deliverySlots
		opt.MaxConcurrentActivityTaskPollers = 6
	}
	return opt
}
