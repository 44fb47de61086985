package main

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

// withTemporal gives the desk a namespace of its own on a real Temporal server.
func (d *desk) withTemporal() (client.Client, client.Options) {
	d.t.Helper()
	address := os.Getenv("TOWPATH_TEST_TEMPORAL")
	if address == "" {
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			d.t.Fatal("TOWPATH_TEST_TEMPORAL is not set, and TOWPATH_REQUIRE_REAL=1 forbids to skip")
		}
		d.t.Skip("SKIPPED: needs a real Temporal server, its address in TOWPATH_TEST_TEMPORAL")
	}
	d.t.Setenv("TEMPORAL_ADDRESS", address)
	d.t.Setenv("TEMPORAL_NAMESPACE", fmt.Sprintf("desk-%d", time.Now().UnixNano()))
	scheduleTime, steerTime = 5*time.Minute, 5*time.Minute
	c, opt, err := worker.Dial(zerolog.Nop())
	require.NoError(d.t, err)
	d.t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(d.t.Context(), 5*time.Minute)
	defer cancel()
	require.NoError(d.t, worker.WaitReady(ctx, c, opt, zerolog.Nop()))
	return c, opt
}

// fastWatch looks often and tells everything.
func fastWatch(t *testing.T) {
	t.Helper()
	every, tell := watchEvery, tellEvery
	watchEvery, tellEvery = 20*time.Millisecond, 0
	t.Cleanup(func() { watchEvery, tellEvery = every, tell })
}

// engine stands for the sync engine: runs that do what a test says.
type engine struct {
	d      *desk
	ending jobs.Status                                // empty: the run goes on until somebody aborts it
	refuse string                                     // the run is not even opened
	limit  string                                     // why a limit has stopped the run
	opened func(ctx context.Context, id string) error // what else is in the book of a run
	input  atomic.Pointer[contract.SyncInput]
	asks   chan contract.SyncAsk
}

func (d *desk) engine(c client.Client, b *engine) *engine {
	d.t.Helper()
	b.d, b.asks = d, make(chan contract.SyncAsk, 10)
	w := sdk.New(c, contract.QueueMain, sdk.Options{})
	w.RegisterWorkflowWithOptions(b.workflow, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	w.RegisterActivityWithOptions(b.open, activity.RegisterOptions{Name: "open"})
	w.RegisterActivityWithOptions(b.end, activity.RegisterOptions{Name: "end"})
	require.NoError(d.t, w.Start())
	d.t.Cleanup(w.Stop)
	return b
}

func (b *engine) workflow(ctx workflow.Context, in contract.SyncInput) (contract.SyncResult, error) {
	id := workflow.GetInfo(ctx).WorkflowExecution.ID
	aborted := false
	for _, what := range []string{contract.UpdatePause, contract.UpdateResume, contract.UpdateAbort} {
		if err := workflow.SetUpdateHandler(ctx, what, func(_ workflow.Context, ask contract.SyncAsk) (contract.SyncProgress, error) {
			b.asks <- ask
			aborted = aborted || what == contract.UpdateAbort
			if ask.Reason == "never" {
				return contract.SyncProgress{}, temporal.NewApplicationError("it is not paused", "sync.not_paused")
			}
			return contract.SyncProgress{Done: 1200}, nil
		}); err != nil {
			return contract.SyncResult{}, err
		}
	}
	if err := workflow.SetQueryHandler(ctx, contract.QueryProgress, func() (contract.SyncProgress, error) {
		if b.limit == "" {
			return contract.SyncProgress{}, nil
		}
		return contract.SyncProgress{Asked: "limit", Reason: b.limit}, nil
	}); err != nil {
		return contract.SyncResult{}, err
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
	if err := workflow.ExecuteActivity(ctx, "open", id, in).Get(ctx, nil); err != nil {
		return contract.SyncResult{}, err
	}
	ending := b.ending
	if ending == "" {
		if err := workflow.Await(ctx, func() bool { return aborted }); err != nil {
			return contract.SyncResult{}, err
		}
		ending = jobs.Stopped
	}
	return contract.SyncResult{Status: string(ending)}, workflow.ExecuteActivity(ctx, "end", id, string(ending)).Get(ctx, nil)
}

func (b *engine) open(ctx context.Context, id string, in contract.SyncInput) error {
	b.input.Store(&in)
	if b.refuse != "" {
		return temporal.NewNonRetryableApplicationError(b.refuse, "csv.file_missing", nil)
	}
	if err := b.d.openRun(ctx, id, in); err != nil || b.opened == nil {
		return err
	}
	return b.opened(ctx, id)
}

// underWay waits until a run of the job has told what it has done so far.
func (d *desk) underWay(job string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		run, err := d.RunningRun(d.t.Context(), job)
		if err != nil {
			return false
		}
		told, err := d.Totals(d.t.Context(), run.ID, 0, math.MaxInt32)
		return err == nil && len(told) > 0
	}, 5*time.Minute, 20*time.Millisecond)
}

func (b *engine) end(ctx context.Context, id, status string) error {
	return b.d.endRun(ctx, id, status)
}

// openRun puts a run into the book that has read 1,200 of 2,000 records.
func (d *desk) openRun(ctx context.Context, id string, in contract.SyncInput) error {
	now := time.Now().UTC().Truncate(time.Second)
	if _, err := d.StartRun(ctx, store.Run{
		ID: id, Job: in.Job, Mode: "incremental", JobRevision: 1, Mapping: "products", MappingVersion: 1, SourceNow: now,
		Since: sql.NullTime{Time: now.Add(-time.Hour), Valid: true}, Until: sql.NullTime{Time: now, Valid: true}, CountedBefore: 2000,
		Purpose: in.Purpose, By: in.By, Reason: in.Reason,
	}); err != nil {
		return err
	}
	page := store.Page{Run: id, Next: "x", Counts: map[string]int64{"fetched": 1200, "created": 1000, "unchanged": 190, "skipped.no_export": 7, "parked": 3}}
	parked := []store.ParkedRecord{{ExternalID: "A-3", Fault: fault.New(fault.Invalid, "mapping.empty_required", "a required field is empty").
		WithField("Name").WithResolution("fill it in at the source")}}
	if page.Parked = parked; in.Purpose == contract.PurposePlan {
		page.Parked, page.WouldPark = nil, parked
	}
	return d.SettlePage(ctx, page)
}

func (d *desk) endRun(ctx context.Context, id, status string) error {
	return d.EndRun(ctx, id, store.Ending{
		Status: status, Sentence: "1,197 of 1,200 records are in step", CountedAfter: 2001, Proved: status == "partial",
		Counts: map[string]int64{"fetched": 1200, "created": 1000, "unchanged": 190, "skipped.no_export": 7, "parked": 3},
	})
}

func (d *desk) applied() {
	d.t.Helper()
	out, exit := d.apply(deskFile)
	require.Zero(d.t, exit, out)
}
