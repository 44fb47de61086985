package workflows

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

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
