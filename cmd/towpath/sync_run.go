package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/worker"
	"towpath/workflows/contract"
)

func newSyncRun() *cobra.Command {
	in := contract.SyncInput{}
	var dry, watch bool
	var ids []string
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Run a job now",
		Long: `Run a job now, whatever its schedule says. A run goes on without this command:
--watch only looks on, and Ctrl-C ends the looking.

With --watch the exit code tells how the run ended: 0 success, 3 partial,
incomplete or stopped, 1 failed.`,
		Example: "  towpath sync run supplier-products --dry-run --watch\n  towpath sync run supplier-products --mode full --reason \"new mapping\"",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			in.Job, in.Only = args[0], only(ids)
			if dry {
				in.Purpose = contract.PurposePlan
			}
			id, err := p.startSync(cmd.Context(), in)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "run %s is on its way\n", id)
			if watch {
				return p.watchRun(cmd, id)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "  watch it: towpath sync watch %s\n", in.Job)
			return nil
		}),
	}
	cmd.Flags().StringVar(&in.Mode, "mode", "", "full (everything), incremental (what changed since the last run) or reconcile (compare both sides, write nothing); empty: the job's own")
	cmd.Flags().StringSliceVar(&ids, "only", nil, "just these records, by their ids in the source")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "write nothing; keep what would be written as a plan")
	cmd.Flags().BoolVar(&watch, "watch", false, "show how far it is until it ends")
	cmd.Flags().StringVar(&in.By, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; kept with the run")
	return cmd
}

// startSync starts a run of a job by hand and gives its id.
func (p *process) startSync(ctx context.Context, in contract.SyncInput) (id string, err error) {
	row, j, err := p.storedJob(ctx, in.Job)
	if err != nil {
		return "", err
	}
	if !row.Active {
		return "", fault.New(fault.Conflict, "job.inactive", "the job %q is switched off", in.Job).
			WithResolution("set active: true in towpath.yaml and apply it")
	}
	if in.Mode != "" {
		j.Mode = jobs.Mode(in.Mode)
		if err := j.Validate(); err != nil {
			return "", fault.New(fault.Invalid, "sync.bad_mode", "there is no mode %q", in.Mode).WithField("--mode").
				WithResolution("use full, incremental or reconcile").WithCause(err)
		}
	}
	held, err := p.store.RunningRun(ctx, in.Job)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	temporal, opt, err := p.connectTemporal(ctx, steerTime)
	if err != nil {
		return "", err
	}
	defer temporal.Close()
	if held.ID != "" { // one whose workflow is gone is ended by the new run
		alive, err := worker.Alive(ctx, temporal, opt, held.ID)
		if err != nil {
			return "", err
		}
		if alive {
			return "", fault.New(fault.Conflict, "run.underway", "another run of %q goes on, since %s", in.Job, ago(held.StartedAt, time.Now())).
				WithResolution("watch it (towpath sync watch %s), or end it (towpath sync abort %s --reason WHY)", in.Job, in.Job)
		}
	}
	id = contract.SyncWorkflowID(in.Job, time.Now())
	if _, err := temporal.ExecuteWorkflow(ctx, worker.SyncStart(j, in, id), contract.SyncWorkflow, in); err != nil {
		return "", fault.New(fault.Transient, "sync.not_started", "Temporal at %s did not start the run", opt.HostPort).
			WithResolution("run the command again; towpath sync runs %s shows what has run", in.Job).WithCause(err).WithDetail(err.Error())
	}
	return id, nil
}

func newSyncWatch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch NAME",
		Short: "Show how far a job's run is, until it ends",
		Long: `Show how far a job's run is, until it ends: the one that goes on, else the newest;
or a run by its id. Ctrl-C ends the looking, not the run.

The exit code tells how the run ended: 0 success, 3 partial, incomplete or
stopped, 1 failed.`,
		Example: "  towpath sync watch supplier-products",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			r, err := p.findRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return p.watchRun(cmd, r.ID)
		}),
	}
}
