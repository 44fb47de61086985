package workflows

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/workflows/contract"
)

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
