package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

// How often a watched run is looked at, and told of where no bar can be drawn.
var (
	watchEvery = 500 * time.Millisecond
	tellEvery  = 10 * time.Second
)

// watchRun looks on until a run ends, or waits for a person, and tells how. It
// asks PostgreSQL, which knows while Temporal is slow; Temporal only when there
// is nothing to be seen there.
func (p *process) watchRun(cmd *cobra.Command, id string) error {
	ctx := cmd.Context()
	w := &watcher{process: p, id: id, screen: newScreen(cmd.ErrOrStderr()), seen: &meter{}}
	defer w.close()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		var waits *waitingRun
		ended, err := w.look(ctx)
		w.screen.clear(ended != nil || err != nil || ctx.Err() != nil)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "no longer watched; the run goes on. See it again: towpath sync watch %s\n", id)
			return exitCode(exitInterrupted)
		case errors.As(err, &waits):
			return waits.tell(cmd.OutOrStdout())
		case err != nil:
			return err
		case ended != nil:
			return tellEnd(cmd.OutOrStdout(), *ended)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// ending is how a run ended.
type ending struct {
	id, job  string
	status   jobs.Status
	sentence string
	counts   map[string]int64
}

// tellEnd prints the closing sentence; its error is the exit code.
func tellEnd(out io.Writer, e ending) error {
	fmt.Fprintf(out, "%s: %s\n", e.status, orNothing(e.sentence, "nothing more was said"))
	if words := countWords(jobs.CountsOf(e.counts)); words != "" {
		fmt.Fprintf(out, "  %s\n", words)
	}
	if e.status == jobs.Success {
		return nil
	}
	fmt.Fprintf(out, "  more: towpath sync show %s\n", e.id)
	if e.status == jobs.Failed {
		return exitCode(exitFailed)
	}
	return errProof
}

// watcher looks at one run.
type watcher struct {
	*process
	id       string
	screen   *screen
	seen     *meter
	temporal client.Client
	idle     int    // looks at which nothing was new
	trouble  string // what the run cannot get over at this moment
	told     bool   // that nobody works
}

// idleLooks is how often nothing new is taken for patience.
const idleLooks = 4

func (w *watcher) close() {
	if w.temporal != nil {
		w.temporal.Close()
	}
}

// look gives the run's end, if it has come. What cannot be read now is tried
// again at the next look.
func (w *watcher) look(ctx context.Context) (*ending, error) {
	run, err := w.store.Run(ctx, w.id)
	if fault.Is(err, fault.NotFound) {
		return w.unopened(ctx)
	}
	if err == nil && run.EndedAt.Valid {
		return endOf(run), nil
	}
	if err != nil {
		if fault.Retryable(err) {
			w.screen.show("PostgreSQL does not answer; trying again", 0, 0)
			return nil, nil // the run goes on, and so does the looking
		}
		return nil, err
	}
	counts, err := w.store.Totals(ctx, w.id, 0, math.MaxInt32)
	if err != nil {
		return nil, nil //nolint:nilerr // at the next look
	}
	c := jobs.CountsOf(counts)
	if w.seen.add(time.Now(), c.Processed()) || run.Asked.Valid {
		w.idle, w.trouble = 0, ""
	} else if err := w.standsStill(ctx, run.Job); err != nil {
		return nil, err
	}
	words := w.seen.words(c, run.CountedBefore, run.Asked.String)
	if w.trouble != "" {
		words += "; " + w.trouble
	}
	w.screen.show(words, c.Processed(), run.CountedBefore)
	return nil, nil
}

func endOf(run store.Run) *ending {
	e := &ending{id: run.ID, job: run.Job, status: jobs.Status(run.Status), sentence: run.Sentence}
	_ = json.Unmarshal(run.Counts, &e.counts)
	return e
}

// unopened asks Temporal for a run that is not in the book yet: it may never
// come to be, and then its workflow tells why.
func (w *watcher) unopened(ctx context.Context) (*ending, error) {
	w.screen.show(orNothing(w.trouble, "waiting for a worker to open the run"), 0, 0)
	if w.idle++; w.idle%idleLooks != 0 {
		return nil, nil
	}
	short, cancel := context.WithTimeout(ctx, temporalPatience)
	defer cancel()
	d := w.describe(short)
	if d == nil {
		return nil, nil // slow or down: the book will tell
	}
	if running(d) {
		w.tellIdle(short)
		return nil, nil
	}
	if _, err := w.store.Run(ctx, w.id); err == nil {
		return nil, nil // it was opened and has ended meanwhile
	}
	var result contract.SyncResult
	if err := w.temporal.GetWorkflow(short, w.id, "").Get(short, &result); err != nil {
		return nil, workflowFault(w.id, err)
	}
	if result.Status == contract.StatusSkipped { // it has no row that could be shown
		return nil, fault.New(fault.Conflict, "run.underway", "the run was not opened: another run of its job goes on").
			WithResolution("wait until that has ended: towpath sync list")
	}
	return &ending{id: w.id, status: jobs.Status(result.Status), sentence: result.Sentence, counts: result.Counts}, nil
}

// temporalPatience is how long one look may wait for Temporal.
const temporalPatience = 5 * time.Second

// describe gives the run's workflow, and notes what it cannot get over; nil
// when Temporal does not answer.
func (w *watcher) describe(ctx context.Context) *workflowservice.DescribeWorkflowExecutionResponse {
	if w.temporal == nil {
		c, _, err := worker.Dial(w.log)
		if err != nil {
			return nil
		}
		w.temporal = c
	}
	d, err := w.temporal.DescribeWorkflowExecution(ctx, w.id, "")
	var unknown *serviceerror.NotFound
	if errors.As(err, &unknown) {
		return &workflowservice.DescribeWorkflowExecutionResponse{} // Temporal's database was lost
	}
	if err != nil {
		return nil
	}
	w.trouble = ""
	for _, a := range d.GetPendingActivities() {
		if f := a.GetLastFailure(); f != nil {
			w.trouble = fmt.Sprintf("try %d: %s", a.GetAttempt(), f.GetMessage())
		}
	}
	return d
}

func running(d *workflowservice.DescribeWorkflowExecutionResponse) bool {
	return d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// standsStill asks the workflow of a run that does not move why: something
// that is tried again, a limit, or nobody there any more. The last two wait for
// a person, who may be the one that looks.
func (w *watcher) standsStill(ctx context.Context, job string) error {
	if w.idle++; w.idle%idleLooks != 0 {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, temporalPatience)
	defer cancel()
	d := w.describe(short)
	if d == nil {
		return nil // slow or down: the next look will tell
	}
	if !running(d) {
		if r, err := w.store.Run(ctx, w.id); err != nil || r.EndedAt.Valid {
			return nil // it ended between two looks
		}
		return lostRun(w.id, job)
	}
	var p contract.SyncProgress
	if len(d.GetPendingActivities()) > 0 { // it works, whatever it said before
		return nil
	}
	if v, err := w.temporal.QueryWorkflow(short, w.id, "", contract.QueryProgress); err != nil || v.Get(&p) != nil || p.Asked != "limit" {
		return nil // the next look will tell
	}
	return &waitingRun{job: job, reason: p.Reason}
}

// lostRun is a run whose workflow is gone without having ended it.
func lostRun(id, job string) *fault.Fault {
	return fault.New(fault.NotFound, "sync.no_workflow", "no workflow runs for %s, though its run has not ended", id).
		WithResolution("run the job again: towpath sync run %s; it closes the lost run and reads its rest", job)
}

// waitingRun ends the looking at a run that a limit has stopped.
type waitingRun struct{ job, reason string }

func (w *waitingRun) Error() string { return "stopped by a limit: " + w.reason }

func (w *waitingRun) tell(out io.Writer) error {
	fmt.Fprintf(out, `the run waits, stopped by a limit: %s
  go on after raising the limit in towpath.yaml: towpath sync resume %s
  go on whatever the limits say: towpath sync resume %s --beyond-limits
  end it: towpath sync abort %s --reason WHY
`, w.reason, w.job, w.job, w.job)
	return errProof
}

func (w *watcher) tellIdle(ctx context.Context) {
	n, err := worker.Pollers(ctx, w.temporal, contract.QueueMain)
	if err == nil && n == 0 && !w.told {
		w.told = true
		w.screen.note("no worker listens; the run begins when one does. Start one: towpath worker")
	}
}

// workflowFault is why a run was never opened, as its workflow says.
func workflowFault(id string, err error) error {
	f := fault.New(fault.Conflict, "sync.not_opened", "the run was not opened: its workflow ended before").
		WithResolution("see why in the Temporal UI, workflow %s", id).WithCause(err)
	var told *temporal.ApplicationError
	if errors.As(err, &told) {
		f.Message = "the run was not opened: " + told.Message()
	}
	return f
}
