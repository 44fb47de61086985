package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// Heartbeat is how long a worker may be silent during a pass before its work
// is given to another. It is set once, before workers start; changing it is
// safe for running workflows.
var Heartbeat = 30 * time.Second

// applying is the profile of a pass against a target. StartToClose covers two
// HTTP timeouts of 60 s and a full queue; the retries bridge a restart of the
// target, and after them the object is postponed, not failed.
func applying(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: 3 * time.Minute,
		HeartbeatTimeout:    Heartbeat,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 20 * time.Second, MaximumAttempts: 7,
		},
	})
}

// reading is the profile of a read from a source's API.
func reading(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: 2 * time.Minute,
		HeartbeatTimeout:    Heartbeat,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 6,
		},
	})
}

// keeping is the profile of work that only touches PostgreSQL.
func keeping(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second, MaximumAttempts: 20,
		},
	})
}

// long is the profile of work that lasts and heartbeats: catching up, purging.
func long(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: 30 * time.Minute,
		HeartbeatTimeout:    2 * time.Minute,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: 2 * time.Minute, MaximumAttempts: 4,
		},
	})
}

// openFor is how long an Order workflow stays open for a person or a short
// wait. Longer waits are rows in PostgreSQL; opening again is free.
const openFor = 15 * time.Minute

// opening is the profile of fixing what a run reads: it counts in the source.
func opening(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 5 * time.Minute,
		HeartbeatTimeout:    Heartbeat,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 12,
		},
	})
}

// working is the profile of a stretch of pages. A stretch ends itself after a
// minute and the page under way, which may wait for what a dead worker sent.
func working(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: 15 * time.Minute,
		HeartbeatTimeout:    Heartbeat,
		WaitForCancellation: true,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second, MaximumAttempts: 8,
		},
	})
}

// proving is the profile of ending a run: a count in the source, and a sweep
// through the ids of millions of records where the counts differ.
func proving(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: 2 * time.Hour,
		HeartbeatTimeout:    Heartbeat,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second, MaximumAttempts: 6,
		},
	})
}

// delivering is the profile of a webhook's attempts. The activity says itself
// when the next one is (a webhook's retry profile, Retry-After, the endpoint's
// circuit); the policy here is for what it cannot know: a worker that died, or
// PostgreSQL away. StartToClose covers the longest attempt, a token and the
// settling.
func delivering(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              contract.QueueDeliveries,
		StartToCloseTimeout:    75 * time.Second,
		HeartbeatTimeout:       Heartbeat,
		ScheduleToCloseTimeout: 60 * 24 * time.Hour,
		Summary:                summary,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
	})
}
