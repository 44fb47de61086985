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
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// syncRoom is a Sync workflow in the SDK's test environment, where time skips,
// with hands that do as the test says.
type syncRoom struct {
	*testsuite.TestWorkflowEnvironment
	open  func() error
	pages func(n int) (contract.SyncProgress, error) // the n-th call, from 1
	ask   func(n int) error
	prove func(n int) error

	mu      sync.Mutex
	did     []string // activity calls in order, with what matters of their input
	calls   map[string]int
	ending  contract.SyncEnding // the last that was asked for
	logged  []contract.SyncUnopened
	attends []bool // NeedsAttention, as it was set
	began   time.Time
}

func newSyncRoom(t *testing.T) *syncRoom {
	t.Helper()
	r := &syncRoom{TestWorkflowEnvironment: newEnvironment(), calls: map[string]int{}}
	well := func(int) error { return nil }
	r.open, r.ask, r.prove = func() error { return nil }, well, well
	r.pages = func(int) (contract.SyncProgress, error) { return finished, nil }
	r.RegisterWorkflowWithOptions(Sync, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	r.RegisterActivityWithOptions(func(contract.SyncOpen) (contract.SyncOpened, error) {
		r.note("open")
		return contract.SyncOpened{Target: "odoo", Counted: 10}, r.open()
	}, activity.RegisterOptions{Name: contract.ActivityOpenSync})
	r.RegisterActivityWithOptions(func(contract.SyncRef) (contract.SyncProgress, error) {
		return r.pages(r.note("pages"))
	}, activity.RegisterOptions{Name: contract.ActivitySyncPages})
	r.RegisterActivityWithOptions(func(ask contract.SyncAsk) error {
		r.note(ask.What)
		return r.ask(r.count("ask"))
	}, activity.RegisterOptions{Name: contract.ActivityAskSync})
	r.RegisterActivityWithOptions(func(in contract.SyncEnding) (contract.SyncResult, error) {
		n := r.note("prove")
		r.mu.Lock()
		r.ending = in
		r.mu.Unlock()
		if err := r.prove(n); err != nil {
			return contract.SyncResult{}, err
		}
		switch {
		case in.Aborted:
			return contract.SyncResult{Status: "stopped", Sentence: in.Message}, nil
		case in.Fault != "":
			return contract.SyncResult{Status: "failed", Sentence: in.Message}, nil
		}
		return contract.SyncResult{Status: "success", Sentence: "all of it"}, nil
	}, activity.RegisterOptions{Name: contract.ActivityProveSync})
	r.RegisterActivityWithOptions(func(in contract.SyncUnopened) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.logged = append(r.logged, in)
		return nil
	}, activity.RegisterOptions{Name: contract.ActivityLogUnopened})
	r.OnUpsertTypedSearchAttributes(mock.MatchedBy(func(a temporal.SearchAttributes) bool {
		if v, ok := a.GetBool(contract.AttrNeedsAttention); ok {
			r.attends = append(r.attends, v)
		}
		return true
	})).Return(nil).Maybe()
	return r
}

var finished = contract.SyncProgress{Done: 10, Total: 10, Finished: true}

func asked(what string) (contract.SyncProgress, error) {
	return contract.SyncProgress{Asked: what}, nil
}

func (r *syncRoom) note(what string) int {
	r.mu.Lock()
	r.did = append(r.did, what)
	r.mu.Unlock()
	return r.count(what)
}

func (r *syncRoom) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[what]++
	return r.calls[what]
}

// says sends an update, from anywhere.
func (r *syncRoom) says(what string) *said {
	s := &said{answer: &answer{}, over: make(chan struct{})}
	r.UpdateWorkflow(what, "", s, contract.SyncAsk{By: "ann", Reason: "why", Beyond: what == contract.UpdateResume})
	return s
}

// hears sends updates one after another and waits for the answer of each, as
// an activity does while it runs.
func (r *syncRoom) hears(whats ...string) {
	for _, what := range whats {
		<-r.says(what).over
	}
}

type said struct {
	*answer
	over chan struct{}
}

func (s *said) Complete(success any, err error) { s.answer.Complete(success, err); close(s.over) }
func (s *said) Reject(err error)                { s.answer.Reject(err); close(s.over) }

func (r *syncRoom) run() *syncRoom {
	r.began = r.Now()
	r.ExecuteWorkflow(Sync, contract.SyncInput{Job: "products"})
	return r
}

// end is how a run ended that must have ended well, and how long it took by
// the workflow's clock.
func (r *syncRoom) end(t *testing.T) (contract.SyncResult, time.Duration) {
	t.Helper()
	require.True(t, r.IsWorkflowCompleted())
	require.NoError(t, r.GetWorkflowError())
	var got contract.SyncResult
	require.NoError(t, r.GetWorkflowResult(&got))
	return got, r.Now().Sub(r.began)
}
