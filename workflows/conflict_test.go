package workflows

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// desk is a Conflict workflow whose rows a test holds: look answers the n-th
// look at them, from 1.
type desk struct {
	*testsuite.TestWorkflowEnvironment
	look func(n int) (contract.ConflictState, error)

	mu        sync.Mutex
	looks     []time.Duration // when, since it began
	decisions []contract.ConflictDecision
	attention []bool
}

var conflictRef = contract.ConflictRef{Job: "products", ExternalID: "A-1"}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{TestWorkflowEnvironment: newEnvironment()}
	began := d.Now()
	d.RegisterWorkflowWithOptions(Conflict, workflow.RegisterOptions{Name: contract.ConflictWorkflow})
	d.RegisterActivityWithOptions(func(ref contract.ConflictRef) (contract.ConflictState, error) {
		assert.Equal(t, conflictRef, ref)
		d.mu.Lock()
		d.looks = append(d.looks, d.Now().Sub(began).Round(time.Second))
		n := len(d.looks)
		d.mu.Unlock()
		return d.look(n)
	}, activity.RegisterOptions{Name: contract.ActivityLookAtConflict})
	d.RegisterActivityWithOptions(func(in contract.ConflictDecision) (contract.ConflictState, error) {
		if in.Field == "colour" {
			return contract.ConflictState{}, temporal.NewNonRetryableApplicationError("no such field waits", "conflict.none", nil)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.decisions = append(d.decisions, in)
		return contract.ConflictState{}, nil
	}, activity.RegisterOptions{Name: contract.ActivityDecideConflict})
	d.OnUpsertTypedSearchAttributes(mock.MatchedBy(func(a temporal.SearchAttributes) bool {
		needed, ok := a.GetBool(contract.AttrNeedsAttention)
		d.attention = append(d.attention, needed)
		return ok
	})).Return(nil)
	return d
}

func (d *desk) run(t *testing.T) {
	t.Helper()
	d.ExecuteWorkflow(Conflict, conflictRef)
	require.True(t, d.IsWorkflowCompleted())
	require.NoError(t, d.GetWorkflowError())
}

func (d *desk) decide(id string, in contract.ConflictDecision) *answer {
	a := &answer{}
	d.UpdateWorkflow(contract.UpdateDecide, id, a, in)
	return a
}

// waits until a time from the beginning; zero: for ever.
func (d *desk) waits(began time.Time, until time.Duration, fields ...string) contract.ConflictState {
	s := contract.ConflictState{Waiting: fields}
	if until > 0 {
		at := began.Add(until)
		s.WakeAt, s.DueAt = &at, &at
	}
	return s
}

func TestConflictIsDecidedByAPerson(t *testing.T) {
	d := newDesk(t)
	began := d.Now()
	d.look = func(int) (contract.ConflictState, error) {
		if len(d.decisions) > 0 {
			return contract.ConflictState{}, nil
		}
		return d.waits(began, 0, "name", "price"), nil
	}
	var refused, nameless, unknown, taken *answer
	d.RegisterDelayedCallback(func() {
		refused = d.decide("1", contract.ConflictDecision{Field: "price", Side: "left", By: "anna", Reason: "r"})
		nameless = d.decide("2", contract.ConflictDecision{Field: "price", Side: "source", By: "anna"})
		unknown = d.decide("3", contract.ConflictDecision{Field: "colour", Side: "source", By: "anna", Reason: "r"})
	}, time.Hour)
	d.RegisterDelayedCallback(func() {
		taken = d.decide("4", contract.ConflictDecision{Side: "target", By: "anna", Reason: "agreed"})
	}, 2*time.Hour)
	d.run(t)
	assert.ErrorContains(t, refused.rejected, `say whose value holds`)
	assert.ErrorContains(t, nameless.rejected, `say who decides and why`)
	assert.ErrorContains(t, unknown.err, "no such field waits")
	assert.True(t, taken.done)
	require.NoError(t, taken.err)
	assert.Equal(t, []contract.ConflictDecision{{ConflictRef: conflictRef, Side: "target", By: "anna", Reason: "agreed"}}, d.decisions)
	assert.Equal(t, []bool{false}, d.attention, "it needs nobody any more")
	assert.Equal(t, []time.Duration{0, 2 * time.Hour}, d.looks, "what is refused changes nothing")
}

// The reminder and the deadline are looks at their times; what they do is the
// activity's.
func TestConflictIsLookedAtWhenItIsDue(t *testing.T) {
	d := newDesk(t)
	began := d.Now()
	d.look = func(n int) (contract.ConflictState, error) {
		switch n {
		case 1: // the reminder
			return d.waits(began, 3*time.Hour, "price"), nil
		case 2: // PostgreSQL's clock is late: the deadline is not there yet
			return d.waits(began, 3*time.Hour, "price"), nil
		case 3:
			return d.waits(began, 0, "price"), nil
		case 4:
			return contract.ConflictState{}, temporal.NewNonRetryableApplicationError("PostgreSQL is away", "store.unreachable", nil)
		}
		return contract.ConflictState{}, nil
	}
	d.run(t)
	assert.Equal(t, []time.Duration{0, 3 * time.Hour, 3*time.Hour + time.Second, 9*time.Hour + time.Second, 15*time.Hour + time.Second}, d.looks,
		"and every six hours, since a run may have settled it")
}

// The job has lost its deadline, or cannot be read: what was due stays due, and
// is looked at less and less often, until a run has noted otherwise.
func TestConflictThatStaysOverdueDoesNotSpin(t *testing.T) {
	d := newDesk(t)
	began := d.Now()
	d.look = func(n int) (contract.ConflictState, error) {
		if n%2 == 0 {
			return contract.ConflictState{}, temporal.NewNonRetryableApplicationError("the stored job cannot be read", "job.unreadable", nil)
		}
		if d.Now().Sub(began) > 7*24*time.Hour {
			return contract.ConflictState{}, nil
		}
		return d.waits(began, time.Minute, "price"), nil
	}
	d.run(t)
	assert.Equal(t, []time.Duration{0, time.Minute, time.Minute + time.Second, time.Minute + 3*time.Second}, d.looks[:4])
	assert.Less(t, len(d.looks), 50, "in a week")
}

func TestConflictLooksWhenSomebodyDecidedElsewhere(t *testing.T) {
	d := newDesk(t)
	began := d.Now()
	decided := false
	d.look = func(int) (contract.ConflictState, error) {
		if decided {
			return contract.ConflictState{}, nil
		}
		return d.waits(began, 0, "price"), nil
	}
	d.RegisterDelayedCallback(func() {
		encoded, err := d.QueryWorkflow(contract.QueryConflict)
		require.NoError(t, err)
		var state contract.ConflictState
		require.NoError(t, encoded.Get(&state))
		assert.Equal(t, []string{"price"}, state.Waiting)
		decided = true
		d.SignalWorkflow(contract.SignalLook, nil)
	}, time.Minute)
	d.run(t)
	assert.Equal(t, []time.Duration{0, time.Minute}, d.looks)
}

// A run starts a workflow for each record that it leaves to a person, and does
// not mind those that have one.
func TestARunWatchesConflicts(t *testing.T) {
	env := newEnvironment()
	var mu sync.Mutex
	var started []string
	env.RegisterWorkflowWithOptions(Sync, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, ref contract.ConflictRef) (contract.ConflictState, error) {
		mu.Lock()
		started = append(started, workflow.GetInfo(ctx).WorkflowExecution.ID)
		mu.Unlock()
		assert.Equal(t, "products", ref.Job)
		return contract.ConflictState{}, workflow.Sleep(ctx, 24*time.Hour)
	}, workflow.RegisterOptions{Name: contract.ConflictWorkflow})
	env.RegisterActivityWithOptions(func(contract.SyncOpen) (contract.SyncOpened, error) {
		return contract.SyncOpened{Source: "shop", Target: "erp", Kind: "product"}, nil
	}, activity.RegisterOptions{Name: contract.ActivityOpenSync})
	env.RegisterActivityWithOptions(func(contract.SyncRef) (contract.SyncProgress, error) {
		return contract.SyncProgress{Finished: true}, nil
	}, activity.RegisterOptions{Name: contract.ActivitySyncPages})
	env.RegisterActivityWithOptions(func(contract.SyncEnding) (contract.SyncResult, error) {
		return contract.SyncResult{Status: "success", Conflicts: []string{"A-1", "A-2", "A-1"}}, nil
	}, activity.RegisterOptions{Name: contract.ActivityProveSync})
	env.ExecuteWorkflow(Sync, contract.SyncInput{Job: "products"})
	require.NoError(t, env.GetWorkflowError())
	var result contract.SyncResult
	require.NoError(t, env.GetWorkflowResult(&result))
	assert.Equal(t, contract.SyncResult{Status: "success"}, result, "it ends without waiting for them")
	assert.ElementsMatch(t, []string{"conflict/products/A-1", "conflict/products/A-2"}, started)
}
