package workflows

import (
	"errors"
	"fmt"
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

func newRoom(t *testing.T) *room {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	r := &room{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment()}
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

func TestOrderAnswersManyBellsWithOnePass(t *testing.T) {
	r := newRoom(t)
	r.after(0, func() {
		for i := range 60 {
			r.bell(int64(i), false)
		}
	})
	r.run()
	assert.Equal(t, contract.ApplyResult{Outcome: contract.Applied, TargetID: "7", Stage: "confirmed"}, r.result(t))
	assert.Equal(t, []string{"apply"}, r.did)
}

func TestOrderStartedWithoutABellMakesAPass(t *testing.T) {
	r := newRoom(t)
	r.run()
	r.result(t)
	assert.Equal(t, []string{"apply"}, r.did)
}

func TestOrderReadsTheSourceFirst(t *testing.T) {
	needs := func(times int) func(int, contract.ApplyInput) (contract.ApplyResult, error) {
		return func(n int, _ contract.ApplyInput) (contract.ApplyResult, error) {
			if n <= times {
				return contract.ApplyResult{Outcome: contract.NeedFetch}, nil
			}
			return contract.ApplyResult{Outcome: contract.Applied}, nil
		}
	}
	for _, c := range []struct {
		name  string
		bells []bool // their fetch flags
		needs int    // passes that find no content
		want  []string
	}{
		{"the event is complete", []bool{false}, 0, []string{"apply"}},
		{"the event holds no content", []bool{true}, 0, []string{"fetch", "apply"}},
		{"the newest event counts", []bool{true, false}, 0, []string{"apply"}},
		{"content turns out to be missing", []bool{false}, 1, []string{"apply", "fetch", "apply"}},
		{"still missing after a read", []bool{true}, 1, []string{"fetch", "apply", "fetch", "apply"}},
		{"never there", []bool{false}, 9, []string{"apply", "fetch", "apply", "postpone order.no_content"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			r.apply = needs(c.needs)
			r.after(0, func() {
				for i, fetch := range c.bells {
					r.bell(int64(i), fetch)
				}
			})
			r.run()
			r.result(t)
			assert.Equal(t, c.want, r.did)
		})
	}
}

func TestOrderPostponesWhatRetriesDoNotMend(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"seven tries, then due again later", temporal.NewApplicationError("busy", "odoo.unreachable"),
			[]string{"apply", "apply", "apply", "apply", "apply", "apply", "apply", "postpone odoo.unreachable"}},
		{"no retry can help", temporal.NewNonRetryableApplicationError("no", "connection.unknown", nil),
			[]string{"apply", "postpone connection.unknown"}},
		{"a timeout has no fault's code", temporal.NewTimeoutError(1, nil), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			r.apply = func(int, contract.ApplyInput) (contract.ApplyResult, error) { return contract.ApplyResult{}, c.err }
			r.run()
			got := r.result(t)
			assert.Equal(t, contract.Waiting, got.Outcome)
			if c.want == nil {
				assert.Equal(t, "postpone timeout", r.did[len(r.did)-1])
				return
			}
			assert.Equal(t, c.want, r.did)
		})
	}
	t.Run("the source cannot be read", func(t *testing.T) {
		r := newRoom(t)
		r.fetch = func(int) error { return temporal.NewNonRetryableApplicationError("gone", "shopify.unauthorized", nil) }
		r.after(0, func() { r.bell(1, true) })
		r.run()
		assert.Equal(t, "shopify.unauthorized", r.result(t).Code)
		assert.Equal(t, []string{"fetch", "postpone shopify.unauthorized"}, r.did, "nothing is written without content")
	})
}

func TestOrderStaysOpenForAPerson(t *testing.T) {
	r := newRoom(t)
	r.apply = func(int, contract.ApplyInput) (contract.ApplyResult, error) {
		return contract.ApplyResult{Outcome: contract.Parked, Code: "order.total_differs", ParkedID: 9}, nil
	}
	began := r.Now()
	upserted := r.upserts()
	r.after(time.Minute, func() {
		v, err := r.QueryWorkflow(contract.QueryStatus)
		require.NoError(t, err)
		var s contract.Status
		require.NoError(t, v.Get(&s))
		assert.Equal(t, "waiting: order.total_differs", s.Doing)
		assert.Equal(t, 1, s.Passes)
		assert.Equal(t, int64(9), s.Last.ParkedID)
	})
	r.run()
	assert.Equal(t, contract.Parked, r.result(t).Outcome)
	assert.Equal(t, openFor, r.lasted(began), "open exactly as long as promised")
	require.Len(t, *upserted, 1)
	needs, ok := (*upserted)[0].GetBool(contract.AttrNeedsAttention)
	assert.True(t, ok && needs)
	stage, _ := (*upserted)[0].GetKeyword(contract.AttrStage)
	assert.Equal(t, "parked", stage)
}

func TestOrderShowsThatThePersonIsNoLongerNeeded(t *testing.T) {
	r := newRoom(t)
	r.apply = func(n int, _ contract.ApplyInput) (contract.ApplyResult, error) {
		if n <= 2 {
			return contract.ApplyResult{Outcome: contract.Parked, Code: "x"}, nil
		}
		return contract.ApplyResult{Outcome: contract.Applied}, nil
	}
	upserted := r.upserts()
	r.after(time.Minute, func() { r.bell(2, false) })
	r.after(2*time.Minute, func() { r.bell(3, false) })
	r.run()
	assert.Equal(t, contract.Applied, r.result(t).Outcome)
	var needs []bool
	for _, u := range *upserted {
		v, _ := u.GetBool(contract.AttrNeedsAttention)
		needs = append(needs, v)
	}
	assert.Equal(t, []bool{true, false}, needs, "upserted on transitions only")
}

func TestOrderRejectsDecisionsThatExplainNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		verb    contract.Verb
		d       contract.Decision
		because string // "" is accepted
	}{
		{"retry by nobody", contract.VerbRetry, contract.Decision{}, "say who decides"},
		{"skip by nobody", contract.VerbSkip, contract.Decision{Reason: "test order"}, "say who decides"},
		{"skip for no reason", contract.VerbSkip, contract.Decision{By: "ann"}, "say why"},
		{"edit of nothing", contract.VerbEdit, contract.Decision{By: "ann", Reason: "sku"}, "towpath edit order/shop/5001"},
		{"edit of a negative", contract.VerbEdit, contract.Decision{By: "ann", EditID: -1}, "edit_id is missing"},
		{"retry", contract.VerbRetry, contract.Decision{By: "ann"}, ""},
		{"skip", contract.VerbSkip, contract.Decision{By: "ann", Reason: "test order"}, ""},
		{"edit", contract.VerbEdit, contract.Decision{By: "ann", EditID: 3}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			r.apply = func(n int, _ contract.ApplyInput) (contract.ApplyResult, error) {
				if n == 1 {
					return contract.ApplyResult{Outcome: contract.Parked, Code: "x"}, nil
				}
				return contract.ApplyResult{Outcome: contract.Applied}, nil
			}
			var a *answer
			r.after(time.Minute, func() { a = r.decide(c.verb, "u", c.d) })
			r.run()
			r.result(t)
			if c.because != "" {
				require.ErrorContains(t, a.rejected, c.because)
				assert.Len(t, r.decisions, 1, "a rejected decision makes no pass")
				return
			}
			require.NoError(t, a.rejected)
			require.NoError(t, a.err)
			assert.Equal(t, contract.Applied, a.result.Outcome)
			want := c.d
			want.Verb = c.verb
			require.Len(t, r.decisions, 2)
			assert.Equal(t, &want, r.decisions[1], "the pass learns who and why")
		})
	}
}

// A decision that comes in while a pass runs must not be taken for carried out
// by it: the pass knows nothing of it.
func TestOrderCarriesOutADecisionMadeDuringAPass(t *testing.T) {
	r := newRoom(t)
	a := &answer{}
	r.apply = func(n int, in contract.ApplyInput) (contract.ApplyResult, error) {
		if n == 1 {
			r.UpdateWorkflow(string(contract.VerbSkip), "u", a, contract.Decision{By: "ann", Reason: "test order"})
			return contract.ApplyResult{Outcome: contract.Applied}, nil
		}
		return contract.ApplyResult{Outcome: contract.Skipped, Code: "by_operator"}, nil
	}
	r.run()
	r.result(t)
	require.Len(t, r.decisions, 2)
	assert.Nil(t, r.decisions[0])
	require.NotNil(t, r.decisions[1])
	assert.Equal(t, contract.VerbSkip, r.decisions[1].Verb)
	assert.Equal(t, "by_operator", a.result.Code, "the answer is the outcome of the pass that carried it out")
}

func TestOrderCarriesOutDecisionsOneByOne(t *testing.T) {
	r := newRoom(t)
	r.apply = func(n int, in contract.ApplyInput) (contract.ApplyResult, error) {
		if in.Decision == nil {
			return contract.ApplyResult{Outcome: contract.Parked, Code: "first"}, nil
		}
		return contract.ApplyResult{Outcome: contract.Parked, Code: "after " + string(in.Decision.Verb)}, nil
	}
	var answers []*answer
	r.after(time.Minute, func() {
		answers = append(answers,
			r.decide(contract.VerbEdit, "1", contract.Decision{By: "ann", EditID: 3}),
			r.decide(contract.VerbRetry, "2", contract.Decision{By: "bob"}))
	})
	r.run()
	r.result(t)
	require.Len(t, answers, 2)
	assert.Equal(t, "after edit", answers[0].result.Code)
	assert.Equal(t, "after retry", answers[1].result.Code)
	assert.Len(t, r.decisions, 3)
}

func TestOrderKeepsADecisionWhosePassWasSuperseded(t *testing.T) {
	for _, c := range []struct{ stale, passes int }{{1, 2}, {2, 3}, {9, decisionTries}} {
		t.Run(fmt.Sprint(c.stale, " superseded"), func(t *testing.T) {
			r := newRoom(t)
			r.apply = func(n int, in contract.ApplyInput) (contract.ApplyResult, error) {
				switch {
				case in.Decision == nil:
					return contract.ApplyResult{Outcome: contract.Parked, Code: "x"}, nil
				case n-1 <= c.stale:
					return contract.ApplyResult{Outcome: contract.Stale}, nil
				}
				return contract.ApplyResult{Outcome: contract.Skipped, Code: "by_operator"}, nil
			}
			var a *answer
			r.after(time.Minute, func() { a = r.decide(contract.VerbSkip, "u", contract.Decision{By: "ann", Reason: "why"}) })
			r.run()
			r.result(t)
			assert.Len(t, r.decisions, 1+c.passes)
			want := contract.Skipped
			if c.stale >= decisionTries {
				want = contract.Stale // the operator is told that it was not done
			}
			assert.Equal(t, want, a.result.Outcome)
		})
	}
}

func TestOrderPassesAgainForWhatCameInMeanwhile(t *testing.T) {
	t.Run("a bell during the pass", func(t *testing.T) {
		r := newRoom(t)
		r.apply = func(n int, _ contract.ApplyInput) (contract.ApplyResult, error) {
			if n == 1 {
				r.bell(2, true)
			}
			return contract.ApplyResult{Outcome: contract.Applied}, nil
		}
		r.run()
		r.result(t)
		assert.Equal(t, []string{"apply", "fetch", "apply"}, r.did)
	})
	t.Run("the epoch moved", func(t *testing.T) {
		r := newRoom(t)
		r.apply = func(n int, _ contract.ApplyInput) (contract.ApplyResult, error) {
			return contract.ApplyResult{Outcome: contract.Applied, Again: n < 3}, nil
		}
		r.run()
		r.result(t)
		assert.Equal(t, []string{"apply", "apply", "apply"}, r.did)
	})
	t.Run("a bell while postponing", func(t *testing.T) {
		r := newRoom(t)
		r.apply = func(n int, _ contract.ApplyInput) (contract.ApplyResult, error) {
			if n == 1 {
				return contract.ApplyResult{}, temporal.NewNonRetryableApplicationError("no", "odoo.down", nil)
			}
			return contract.ApplyResult{Outcome: contract.Applied}, nil
		}
		r.postpone = func(in contract.PostponeInput) contract.ApplyResult {
			r.bell(2, false)
			return contract.ApplyResult{Outcome: contract.Waiting, Code: in.Cause}
		}
		r.run()
		assert.Equal(t, contract.Applied, r.result(t).Outcome)
		assert.Equal(t, []string{"apply", "postpone odoo.down", "apply"}, r.did)
	})
}

func TestOrderWaitsOnlyForWhatIsNear(t *testing.T) {
	for _, c := range []struct {
		name string
		in   time.Duration
		want time.Duration
	}{
		{"soon: stays", 10 * time.Minute, 10*time.Minute + 2*time.Second},
		{"later: a row in PostgreSQL", time.Hour, 0},
		{"already: the dispatcher rings", -time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			began := r.Now()
			r.apply = func(int, contract.ApplyInput) (contract.ApplyResult, error) {
				wake := began.Add(c.in)
				return contract.ApplyResult{Outcome: contract.Waiting, Code: "payment", WakeAt: &wake}, nil
			}
			r.run()
			assert.Equal(t, contract.Waiting, r.result(t).Outcome)
			assert.Equal(t, c.want, r.lasted(began))
			assert.Equal(t, []string{"apply"}, r.did, "the end of a wait is no pass: the bell is")
		})
	}
}

func TestOrderEndsWhenCanceled(t *testing.T) {
	t.Run("while it waits", func(t *testing.T) {
		r := newRoom(t)
		r.apply = func(int, contract.ApplyInput) (contract.ApplyResult, error) {
			return contract.ApplyResult{Outcome: contract.Parked, Code: "x"}, nil
		}
		r.after(time.Minute, r.CancelWorkflow)
		r.run()
		require.True(t, r.IsWorkflowCompleted())
		var canceled *temporal.CanceledError
		require.ErrorAs(t, r.GetWorkflowError(), &canceled)
	})
	t.Run("during a pass", func(t *testing.T) {
		r := newRoom(t)
		r.apply = func(int, contract.ApplyInput) (contract.ApplyResult, error) {
			r.CancelWorkflow()
			return contract.ApplyResult{}, errors.New("lost")
		}
		r.run()
		require.True(t, r.IsWorkflowCompleted())
		require.Error(t, r.GetWorkflowError())
		assert.NotContains(t, r.did, "postpone unknown", "a canceled order is left as it is: due in PostgreSQL")
	})
}

// A run whose history has grown long goes on in a new one, and what rang is
// answered there; an idle one just ends, since opening again is free.
func TestOrderKeepsItsHistoryShort(t *testing.T) {
	t.Run("hot", func(t *testing.T) {
		r := newRoom(t)
		r.apply = func(n int, _ contract.ApplyInput) (contract.ApplyResult, error) {
			r.SetContinueAsNewSuggested(true)
			r.bell(int64(n), false)
			return contract.ApplyResult{Outcome: contract.Applied}, nil
		}
		r.run()
		var anew *workflow.ContinueAsNewError
		require.ErrorAs(t, r.GetWorkflowError(), &anew)
		assert.Equal(t, contract.OrderWorkflow, anew.WorkflowType.Name)
		assert.Equal(t, []string{"apply"}, r.did)
	})
	t.Run("parked", func(t *testing.T) {
		r := newRoom(t)
		began := r.Now()
		r.apply = func(int, contract.ApplyInput) (contract.ApplyResult, error) {
			r.SetContinueAsNewSuggested(true)
			return contract.ApplyResult{Outcome: contract.Parked, Code: "x"}, nil
		}
		r.run()
		assert.Equal(t, contract.Parked, r.result(t).Outcome)
		assert.Zero(t, r.lasted(began))
	})
}

func TestOrderRefusesAnInputWithoutItsRef(t *testing.T) {
	for _, in := range []contract.OrderInput{
		{Target: "odoo"}, {Ref: testRef}, {Ref: contract.Ref{Connection: "shop"}, Target: "odoo"},
	} {
		r := newRoom(t)
		r.ExecuteWorkflow(Order, in)
		var app *temporal.ApplicationError
		require.ErrorAs(t, r.GetWorkflowError(), &app)
		assert.Equal(t, "order.bad_input", app.Type())
		assert.True(t, app.NonRetryable())
		assert.Empty(t, r.did)
	}
}
