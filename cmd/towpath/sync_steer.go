package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

// newSyncAsk builds pause, resume and abort: what a person wants goes to the
// run's workflow as an update.
func newSyncAsk(what, short, long string) *cobra.Command {
	ask := contract.SyncAsk{What: what}
	cmd := &cobra.Command{
		Use: what + " NAME", Short: short, Long: long, Args: cobra.ExactArgs(1),
		Example: fmt.Sprintf("  towpath sync %s supplier-products --reason \"stock-taking\"", what),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			if what == contract.UpdateAbort && ask.Reason == "" {
				return fault.New(fault.Invalid, "sync.no_reason", "an abort needs a reason: it is kept with the run").
					WithField("--reason").WithResolution("add --reason \"why\"")
			}
			run, err := p.runUnderway(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			ask.SyncRef = contract.SyncRef{Job: run.Job, Run: run.ID}
			return p.askRun(cmd, ask)
		}),
	}
	cmd.Flags().StringVar(&ask.By, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why; kept with the run")
	if what == contract.UpdateResume {
		cmd.Flags().BoolVar(&ask.Beyond, "beyond-limits", false, "go on whatever the job's limits say, until this run ends")
	}
	return cmd
}

// runUnderway gives the job's run that goes on.
func (p *process) runUnderway(ctx context.Context, job string) (store.Run, error) {
	if _, err := p.store.Job(ctx, job); err != nil {
		return store.Run{}, err
	}
	return p.store.RunningRun(ctx, job)
}

// askTime bounds the wait for an answer: a pause takes effect within seconds.
const askTime = time.Minute

func (p *process) askRun(cmd *cobra.Command, ask contract.SyncAsk) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), askTime)
	defer cancel()
	conn, _, err := p.connectTemporal(ctx, steerTime)
	if err != nil {
		return err
	}
	defer conn.Close()
	handle, err := conn.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: ask.Run, UpdateName: ask.What, Args: []any{ask}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	if err != nil {
		return askFault(ask, err)
	}
	done := map[string]string{
		contract.UpdatePause: "pauses at once", contract.UpdateResume: "goes on", contract.UpdateAbort: "ends at once",
	}[ask.What]
	c, err := p.countsOf(ctx, store.Run{ID: ask.Run})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: the run %s; %s records are done\n", ask.Job, done, thousands(c.Processed()))
	next := map[string]string{contract.UpdatePause: "towpath sync resume ", contract.UpdateResume: "towpath sync watch ", contract.UpdateAbort: "towpath sync show "}[ask.What]
	fmt.Fprintf(cmd.OutOrStdout(), "  next: %s%s\n", next, ask.Job)
	return nil
}

func askFault(ask contract.SyncAsk, err error) error {
	var gone *serviceerror.NotFound
	var told *temporal.ApplicationError
	switch {
	case errors.As(err, &gone):
		return lostRun(ask.Run, ask.Job).WithCause(err)
	case errors.As(err, &told):
		return fault.New(fault.Conflict, "sync.refused", "the run refuses to %s: %s", ask.What, told.Message()).
			WithResolution("see how it stands: towpath sync show %s", ask.Job).WithCause(err)
	}
	return fault.New(fault.Transient, "sync.not_asked", "no answer from the run yet; the %s may still come", ask.What).
		WithResolution("see how it stands: towpath sync show %s", ask.Job).WithCause(err).WithDetail(err.Error())
}

func newPauseSchedule() *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{
		Use:   "pause-schedule NAME",
		Short: "Let a job start no more by itself; a run that goes on is not touched",
		Long: `Let a job start no more by itself. A run that goes on is not touched
(towpath sync pause does that), and the job can still be run by hand. The pause
survives restarts and further applies.`,
		Example: "  towpath sync pause-schedule supplier-products --reason \"stock-taking until Monday\"",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			return p.withSchedule(cmd.Context(), args[0], func(ctx context.Context, h client.ScheduleHandle, _ jobs.Job) error {
				if err := h.Pause(ctx, client.SchedulePauseOptions{Note: by + ": " + orNothing(reason, "paused")}); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s starts no more by itself, until: towpath sync resume-schedule %s\n", args[0], args[0])
				return nil
			})
		}),
	}
	cmd.Flags().StringVar(&by, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&reason, "reason", "", "why; shown in the Temporal UI")
	return cmd
}

func newResumeSchedule() *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{
		Use:   "resume-schedule NAME",
		Short: "Let a job start by itself, as its schedule says",
		Long: `Let a job start by itself, as its schedule says. Schedules are created paused, so
that nothing begins to write because a file was applied.`,
		Example: "  towpath sync resume-schedule supplier-products",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			return p.withSchedule(cmd.Context(), args[0], func(ctx context.Context, h client.ScheduleHandle, j jobs.Job) error {
				if err := h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: by + ": " + orNothing(reason, "resumed")}); err != nil {
					return err
				}
				next := j.Schedule.Next(time.Now())
				if next.IsZero() {
					fmt.Fprintf(cmd.OutOrStdout(), "%s has no times of its own: run it with towpath sync run %s\n", j.Name, j.Name)
					return nil
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s runs %s, next at %s (UTC)\n", j.Name, scheduleWords(j.Schedule), next.Format("2006-01-02 15:04"))
				return nil
			})
		}),
	}
	cmd.Flags().StringVar(&by, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&reason, "reason", "", "why; shown in the Temporal UI")
	return cmd
}

func orNothing(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// ensureSchedule makes a job's schedule what the job says, which is as good when it
// is done again: a server that is too busy at first is asked for as long as a
// person waits.
func ensureSchedule(ctx context.Context, c client.Client, opt client.Options, row store.Job) error {
	for end := time.Now().Add(steerTime); ; {
		_, err := worker.EnsureSyncSchedules(ctx, c, opt, []store.Job{row})
		if !fault.Is(err, fault.Transient) || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// withSchedule finds the Temporal Schedule of an active job, and makes it where
// no worker has done so yet.
func (p *process) withSchedule(ctx context.Context, job string, do func(context.Context, client.ScheduleHandle, jobs.Job) error) error {
	row, j, err := p.storedJob(ctx, job)
	if err != nil {
		return err
	}
	if !row.Active {
		return fault.New(fault.Conflict, "job.inactive", "the job %q is switched off", job).
			WithResolution("set active: true in towpath.yaml and apply it")
	}
	c, opt, err := p.connectTemporal(ctx, steerTime)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := ensureSchedule(ctx, c, opt, row); err != nil {
		return err
	}
	var f *fault.Fault
	if err = do(ctx, c.ScheduleClient().GetHandle(ctx, contract.SyncScheduleID(job)), j); err == nil || errors.As(err, &f) {
		return err
	}
	return fault.New(fault.Transient, "sync.schedule_failed", "the schedule of %q could not be changed", job).
		WithResolution("run the command again; the Temporal UI shows it under Schedules, %s", contract.SyncScheduleID(job)).WithCause(err).WithDetail(err.Error())
}
