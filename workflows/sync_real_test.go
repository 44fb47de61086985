package workflows_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/schema/jobs"
	"towpath/worker"
	"towpath/workflows"
	"towpath/workflows/contract"
)

// Budgets of a sync run: what opening and proof cost, a stretch (a minute of
// pages, however many there are), and something that a person says.
const (
	budgetRun     = 17
	budgetStretch = 6
	budgetAsk     = 14
)

// budgetPerRecord is in events per record, of a run of 30,000 and more.
const budgetPerRecord = 0.001

// syncHands stand in for the activities of a run.
type syncHands struct {
	pages func(n int64) contract.SyncProgress // the n-th stretch, from 1
	calls atomic.Int64
	asked chan contract.SyncAsk
}

func (h *syncHands) Open(context.Context, contract.SyncOpen) (contract.SyncOpened, error) {
	return contract.SyncOpened{Source: "files", Target: "odoo", Kind: "product", Mode: "full", Lanes: 2, Counted: 30_000}, nil
}

func (h *syncHands) Pages(context.Context, contract.SyncRef) (contract.SyncProgress, error) {
	return h.pages(h.calls.Add(1)), nil
}

func (h *syncHands) Ask(_ context.Context, ask contract.SyncAsk) error {
	h.asked <- ask
	return nil
}

func (h *syncHands) Prove(_ context.Context, in contract.SyncEnding) (contract.SyncResult, error) {
	status := "success"
	if in.Aborted {
		status = "stopped"
	}
	return contract.SyncResult{Status: status, Sentence: "all 30000 records of the source", Counts: map[string]int64{"fetched": 30_000, "created": 30_000}}, nil
}

func (h *syncHands) work(t *testing.T, c client.Client) crew {
	t.Helper()
	h.asked = make(chan contract.SyncAsk, 10)
	main := sdk.New(c, contract.QueueMain, sdk.Options{})
	main.RegisterWorkflowWithOptions(workflows.Sync, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	main.RegisterActivityWithOptions(h.Open, activity.RegisterOptions{Name: contract.ActivityOpenSync})
	main.RegisterActivityWithOptions(h.Ask, activity.RegisterOptions{Name: contract.ActivityAskSync})
	target := sdk.New(c, contract.QueueTarget("odoo"), sdk.Options{DisableWorkflowWorker: true})
	target.RegisterActivityWithOptions(h.Pages, activity.RegisterOptions{Name: contract.ActivitySyncPages})
	target.RegisterActivityWithOptions(h.Prove, activity.RegisterOptions{Name: contract.ActivityProveSync})
	all := crew{main, target}
	for _, w := range all {
		require.NoError(t, w.Start())
	}
	return all
}

// startSync starts a run as the command does.
func startSync(t *testing.T, c client.Client, id string) client.WorkflowRun {
	t.Helper()
	j := jobs.Job{Name: "products", Source: "files", Target: "odoo", Kind: "product", Mode: "full"}
	run, err := c.ExecuteWorkflow(t.Context(), worker.SyncStart(j, contract.SyncInput{Job: j.Name}, id), contract.SyncWorkflow, contract.SyncInput{Job: j.Name})
	require.NoError(t, err)
	return run
}

func sayToSync(t *testing.T, c client.Client, run client.WorkflowRun, what string, beyond bool) {
	t.Helper()
	h, err := c.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{WorkflowID: run.GetID(), UpdateName: what,
		Args: []any{contract.SyncAsk{By: "ann", Reason: "why", Beyond: beyond}}, WaitForStage: client.WorkflowUpdateStageCompleted})
	require.NoError(t, err)
	var p contract.SyncProgress
	require.NoError(t, h.Get(t.Context(), &p))
}

// A run costs Temporal a handful of events, and six for each minute: the
// number of its records and pages is not among what counts. At 500 records a
// second that is less than one event for a thousand of them.
func TestSyncStaysWithinItsBudget(t *testing.T) {
	c := server(t)
	for _, minutes := range []int64{1, 5, 40} {
		t.Run(fmt.Sprintf("%d minutes", minutes), func(t *testing.T) {
			const perMinute = 30_000
			h := &syncHands{pages: func(n int64) contract.SyncProgress {
				return contract.SyncProgress{Done: n * perMinute, Total: minutes * perMinute, Rate: 500, Finished: n == minutes,
					Counts: map[string]int64{"fetched": n * perMinute, "created": n * perMinute}}
			}}
			defer h.work(t, c).stop()
			run := startSync(t, c, fmt.Sprint("sync/products-", minutes))
			var r contract.SyncResult
			require.NoError(t, run.Get(t.Context(), &r))
			assert.Equal(t, "success", r.Status)
			history := historyOfRun(t, c, run)
			events := int64(spent(history))
			t.Logf("%d minutes: %d events, %.5f per record", minutes, events, float64(events)/float64(minutes*perMinute))
			assert.LessOrEqual(t, events, budgetRun+budgetStretch*minutes)
			assert.LessOrEqual(t, float64(events)/float64(minutes*perMinute), budgetPerRecord)
			if minutes == 5 {
				keep(t, "sync-success", history)
			}
		})
	}
}

// What a person does with a run is seen in Temporal, and costs little.
func TestSyncIsSteeredThroughTemporal(t *testing.T) {
	c := server(t)
	for _, k := range []struct {
		name, back string // what the first stretch comes back with
		say        []string
		status     string
	}{
		{"sync-paused", "pause", []string{contract.UpdatePause, contract.UpdateResume}, "success"},
		{"sync-limit", "limit", []string{contract.UpdateResume}, "success"},
		{"sync-aborted", "pause", []string{contract.UpdatePause, contract.UpdateAbort}, "stopped"},
	} {
		t.Run(k.name, func(t *testing.T) {
			h := &syncHands{}
			h.pages = func(n int64) contract.SyncProgress {
				if n > 1 {
					return contract.SyncProgress{Done: 30_000, Total: 30_000, Finished: true}
				}
				if k.back == "pause" {
					<-h.asked
				}
				return contract.SyncProgress{Done: 100, Total: 30_000, Asked: k.back, Reason: "101 records would be created, the limit is 100 (limits.max_creates)"}
			}
			defer h.work(t, c).stop()
			run := startSync(t, c, "sync/"+k.name)
			if k.back == "pause" {
				sayToSync(t, c, run, k.say[0], false)
				k.say = k.say[1:]
			}
			needs := func() bool {
				d, err := c.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
				require.NoError(t, err)
				v, _ := d.TypedSearchAttributes.GetBool(contract.AttrNeedsAttention)
				return v
			}
			until(t, "it rests", func() bool {
				v, err := c.QueryWorkflow(t.Context(), run.GetID(), run.GetRunID(), contract.QueryProgress)
				var p contract.SyncProgress
				return err == nil && v.Get(&p) == nil && p.Asked == k.back
			})
			if k.back == "limit" {
				until(t, "it is shown as needing a person", needs)
				assert.Contains(t, currentDetails(t, c, run), "the limit is 100 (limits.max_creates)")
			} else {
				assert.Contains(t, currentDetails(t, c, run), "paused")
			}
			for _, what := range k.say {
				sayToSync(t, c, run, what, k.back == "limit")
			}
			var r contract.SyncResult
			require.NoError(t, run.Get(t.Context(), &r))
			assert.Equal(t, k.status, r.Status)
			assert.Equal(t, k.status != "success", needs())
			history := historyOfRun(t, c, run)
			t.Logf("%d events", spent(history))
			assert.LessOrEqual(t, spent(history), budgetRun+2*budgetStretch+2*budgetAsk)
			keep(t, k.name, history)
		})
	}
}

// currentDetails is what the Temporal UI shows of a run.
func currentDetails(t *testing.T, c client.Client, run client.WorkflowRun) (text string) {
	t.Helper()
	v, err := c.QueryWorkflow(t.Context(), run.GetID(), run.GetRunID(), "__temporal_workflow_metadata")
	require.NoError(t, err)
	var m sdkpb.WorkflowMetadata
	require.NoError(t, v.Get(&m))
	return m.CurrentDetails
}
