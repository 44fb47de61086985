package worker

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	enumspb "go.temporal.io/api/enums/v1"

	"towpath/workflows"
	"towpath/workflows/contract"
)

// ensureSchedules creates Towpath's own schedules, running, and updates their
// times. An operator's pause is kept.
func ensureSchedules(ctx context.Context, d Deps) error {
	return eachSchedule(ctx, d, updateSchedule)
}

// createSchedules creates those that are missing and looks no further.
func createSchedules(ctx context.Context, d Deps) error {
	return eachSchedule(ctx, d, func(context.Context, client.ScheduleClient, client.ScheduleOptions) error { return nil })
}

func eachSchedule(ctx context.Context, d Deps, existing func(context.Context, client.ScheduleClient, client.ScheduleOptions) error) error {
	every := d.CatchUp
	if every == 0 {
		every = 5 * time.Minute
	}
	c := d.Temporal.ScheduleClient()
	for _, s := range []client.ScheduleOptions{
		schedule(contract.ScheduleCatchUp, "Read what webhooks did not bring", every, true,
			contract.MaintenanceInput{Only: []string{workflows.TaskCatchUp, workflows.TaskHooks}}),
		schedule(contract.ScheduleMaintain, "Delete what is past its retention", 24*time.Hour, false,
			contract.MaintenanceInput{Only: []string{workflows.TaskRetain, workflows.TaskEndpoints}}),
	} {
		_, err := c.Create(ctx, s)
		var exists *serviceerror.AlreadyExists
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) || errors.As(err, &exists) {
			err = existing(ctx, c, s)
		}
		if err != nil {
			return unreachable(d.Options, err)
		}
	}
	return nil
}

func schedule(id, summary string, every time.Duration, now bool, in contract.MaintenanceInput) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID: id,
		Spec: client.ScheduleSpec{
			Intervals: []client.ScheduleIntervalSpec{{Every: every}},
			Jitter:    min(every/10, time.Minute),
		},
		Overlap:            enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow:      max(2*every, 10*time.Second),
		TriggerImmediately: now,
		Action: &client.ScheduleWorkflowAction{
			ID: id, Workflow: contract.MaintenanceWorkflow, Args: []any{in}, TaskQueue: contract.QueueMain,
			// A hung run would block the schedule for ever (overlap SKIP).
			WorkflowRunTimeout: max(every*4, time.Hour),
			StaticSummary:      summary,
		},
	}
}

// CatchUpNow triggers the catch-up schedule, as after an outage.
func CatchUpNow(ctx context.Context, c client.Client) error {
	return c.ScheduleClient().GetHandle(ctx, contract.ScheduleCatchUp).Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP})
}

// catchUpUnlessPaused leaves alone what an operator has paused: a restart is
// no reason to read.
func catchUpUnlessPaused(ctx context.Context, c client.Client) error {
	s, err := c.ScheduleClient().GetHandle(ctx, contract.ScheduleCatchUp).Describe(ctx)
	if err != nil || s.Schedule.State.Paused {
		return err
	}
	return CatchUpNow(ctx, c)
}
