package workflows

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/schema/record"
	"towpath/workflows/contract"
)

var testRef = contract.Ref{Connection: "shop", Kind: record.KindOrder, ExternalID: "5001"}

// room is an Order workflow in the SDK's test environment, where time skips,
// with hands that do as the test says.
type room struct {
	*testsuite.TestWorkflowEnvironment
	// apply answers the n-th call of ApplyOrder, from 1.
	apply    func(n int, in contract.ApplyInput) (contract.ApplyResult, error)
	fetch    func(n int) error
	postpone func(in contract.PostponeInput) contract.ApplyResult

	mu        sync.Mutex
	did       []string // activity calls in order, with what matters of their input
	decisions []*contract.Decision
}

// late is how long a test waits for a machine that stands still.
const late = 2 * time.Minute

// newEnvironment is the SDK's, in which time skips, with more patience: it takes
// a workflow that rests for three seconds for stuck, and one that thinks for one
// second for dead.
func newEnvironment() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment().SetTestTimeout(late)
	return env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: late})
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{TestWorkflowEnvironment: newEnvironment()}
	r.apply = func(int, contract.ApplyInput) (contract.ApplyResult, error) {
		return contract.ApplyResult{Outcome: contract.Applied, TargetID: "7", Stage: "confirmed"}, nil
	}
	r.fetch = func(int) error { return nil }
	r.postpone = func(in contract.PostponeInput) contract.ApplyResult {
		return contract.ApplyResult{Outcome: contract.Waiting, Code: in.Cause}
	}
	r.RegisterWorkflowWithOptions(Order, workflow.RegisterOptions{Name: contract.OrderWorkflow})
	r.RegisterActivityWithOptions(func(in contract.ApplyInput) (contract.ApplyResult, error) {
		r.mu.Lock()
		r.decisions = append(r.decisions, in.Decision)
		n := len(r.decisions)
		r.mu.Unlock()
		r.note("apply")
		return r.apply(n, in)
	}, activity.RegisterOptions{Name: contract.ActivityApplyOrder})
	fetches := 0
	r.RegisterActivityWithOptions(func(contract.Ref) error {
		r.note("fetch")
		fetches++
		return r.fetch(fetches)
	}, activity.RegisterOptions{Name: contract.ActivityFetchOrder})
	r.RegisterActivityWithOptions(func(in contract.PostponeInput) (contract.ApplyResult, error) {
		r.note("postpone " + in.Cause)
		return r.postpone(in), nil
	}, activity.RegisterOptions{Name: contract.ActivityPostpone})
	return r
}

func (r *room) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, what)
}

func (r *room) bell(epoch int64, fetch bool) {
	r.SignalWorkflow(contract.SignalEvent, contract.EventSignal{Epoch: epoch, Fetch: fetch})
}

func (r *room) after(d time.Duration, do func()) { r.RegisterDelayedCallback(do, d) }

// upserts collects the search attributes that the run sets.
func (r *room) upserts() *[]temporal.SearchAttributes {
	got := &[]temporal.SearchAttributes{}
	r.OnUpsertTypedSearchAttributes(mock.MatchedBy(func(a temporal.SearchAttributes) bool {
		*got = append(*got, a)
		return true
	})).Return(nil)
	return got
}

func (r *room) run() { r.ExecuteWorkflow(Order, contract.OrderInput{Ref: testRef, Target: "odoo"}) }

// result is how a run ended that must have ended well.
func (r *room) result(t *testing.T) contract.ApplyResult {
	t.Helper()
	require.True(t, r.IsWorkflowCompleted())
	require.NoError(t, r.GetWorkflowError())
	var got contract.ApplyResult
	require.NoError(t, r.GetWorkflowResult(&got))
	return got
}

// lasted is how long the run took by the workflow's clock.
func (r *room) lasted(began time.Time) time.Duration { return r.Now().Sub(began) }

// answer collects what an update says.
type answer struct {
	rejected error
	result   contract.ApplyResult
	err      error
	accepted bool
	done     bool
}

func (a *answer) Accept()          { a.accepted = true }
func (a *answer) Reject(err error) { a.rejected = err }
func (a *answer) Complete(success any, err error) {
	a.done, a.err = true, err
	if r, ok := success.(contract.ApplyResult); ok {
		a.result = r
	}
}

func (r *room) decide(verb contract.Verb, id string, d contract.Decision) *answer {
	a := &answer{}
	r.UpdateWorkflow(string(verb), id, a, d)
	return a
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
