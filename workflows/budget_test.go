package workflows_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/encoding/protojson"

	"towpath/workflows/contract"
)

// Budgets of design section 5: Temporal's cost is its events.
const (
	budgetComplete  = 14
	budgetFetch     = 20
	budgetPerSignal = 2
)

func TestOrderStaysWithinItsBudget(t *testing.T) {
	c := server(t)
	h := newHands()
	h.apply = func(in contract.ApplyInput) (contract.ApplyResult, error) {
		switch {
		case strings.HasPrefix(in.Ref.ExternalID, "postponed"):
			return contract.ApplyResult{}, temporal.NewNonRetryableApplicationError("the connection is unknown", "connection.unknown", nil)
		case strings.HasPrefix(in.Ref.ExternalID, "bodiless") && h.passesOver(in.Ref.ExternalID) == 1:
			return contract.ApplyResult{Outcome: contract.NeedFetch}, nil
		}
		return contract.ApplyResult{Outcome: contract.Applied, TargetID: "71", Stage: "confirmed"}, nil
	}
	defer h.work(t, c).stop()
	for _, k := range []struct {
		id, golden string
		fetch      bool
		budget     int
		outcome    contract.Outcome
	}{
		{"complete", "happy", false, budgetComplete, contract.Applied},
		{"incomplete", "fetch", true, budgetFetch, contract.Applied},
		{"bodiless", "", false, budgetFetch + 6, contract.Applied}, // an activity more: its content was lost
		{"postponed", "postponed", false, budgetFetch, contract.Waiting},
	} {
		t.Run(k.id, func(t *testing.T) {
			run, err := ring(t.Context(), c, k.id, contract.EventSignal{Epoch: 1, Fetch: k.fetch})
			require.NoError(t, err)
			var r contract.ApplyResult
			require.NoError(t, run.Get(t.Context(), &r))
			assert.Equal(t, k.outcome, r.Outcome)
			history := historyOf(t, c, k.id, run.GetRunID())
			t.Logf("%s: %d events", k.id, spent(history))
			assert.LessOrEqual(t, spent(history), k.budget)
			if k.golden != "" {
				keep(t, k.golden, history)
			}
		})
	}
}

// Twenty orders that are rung all the time: bells that come in during a pass
// share the next one. In a storm they share workflow tasks, too; bells that
// come one after another cost a workflow task each, which is what Temporal
// asks for a signal: four events, and nothing on top but the shared passes.
func TestHotOrdersStayWithinTheirBudget(t *testing.T) {
	for _, k := range []struct {
		name   string
		at     int // bells under way per order
		budget float64
	}{
		{"storm", 40, budgetPerSignal},
		{"one after another", 1, budgetPerSignal + 3},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := server(t)
			h := newHands()
			h.apply = func(contract.ApplyInput) (contract.ApplyResult, error) {
				time.Sleep(150 * time.Millisecond) // what a pass costs in a busy Odoo
				return contract.ApplyResult{Outcome: contract.Applied}, nil
			}
			defer h.work(t, c).stop()
			const entities, bells = 20, 40
			var mu sync.Mutex
			runs := map[string]string{} // run -> order
			var wg sync.WaitGroup
			lines := make(chan struct{}, 200) // a call that a busy server answers too late fails
			for e := range entities {
				id := fmt.Sprint("hot-", e)
				for range k.at {
					wg.Go(func() {
						lines <- struct{}{}
						defer func() { <-lines }()
						for n := range bells / k.at {
							run, err := ring(t.Context(), c, id, contract.EventSignal{Epoch: int64(n)})
							if !assert.NoError(t, err) {
								return
							}
							mu.Lock()
							runs[run.GetRunID()] = id
							mu.Unlock()
						}
					})
				}
			}
			wg.Wait()
			events, signals := 0, 0
			for run, id := range runs {
				require.NoError(t, c.GetWorkflow(t.Context(), contract.OrderWorkflowID(refOf(id)), run).Get(t.Context(), nil))
				history := historyOf(t, c, id, run)
				events += spent(history)
				signals += answered(t, history.Events)
				if id == "hot-0" && k.at > 1 {
					keep(t, "hot", history)
				}
			}
			assert.Equal(t, entities*bells, signals)
			per := float64(events) / float64(signals)
			t.Logf("%d signals, %d events: %.2f per signal", signals, events, per)
			assert.LessOrEqual(t, per, k.budget)
		})
	}
}

// What a person sees in Temporal's UI, and may not see there.
func TestHistoriesTellTheStoryWithoutContent(t *testing.T) {
	const email, secret = "jane.roe@example.org", "shpat_0123456789abcdef"
	c := server(t)
	h := newHands()
	known := map[string]string{} // the store: only the hands know what is in it
	h.apply = func(in contract.ApplyInput) (contract.ApplyResult, error) {
		known[in.Ref.ExternalID] = email + " " + secret
		if in.Decision == nil {
			return contract.ApplyResult{Outcome: contract.Parked, Code: "order.total_differs", ParkedID: 9}, nil
		}
		return contract.ApplyResult{Outcome: contract.Applied, TargetID: "71", Stage: "confirmed"}, nil
	}
	defer h.work(t, c).stop()
	run, err := ring(t.Context(), c, "5001", contract.EventSignal{Epoch: 1, Fetch: true})
	require.NoError(t, err)
	until(t, "the order is shown as needing a person", func() bool {
		d, err := c.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
		require.NoError(t, err)
		needs, ok := d.TypedSearchAttributes.GetBool(contract.AttrNeedsAttention)
		return ok && needs
	})
	found := ""
	until(t, "a search finds it", func() bool {
		l, err := c.ListWorkflow(t.Context(), listRequest(`NeedsAttention = true AND Connection = "shop" AND Stage = "parked" AND ExternalRef = "5001"`))
		require.NoError(t, err)
		if len(l.Executions) == 1 {
			found = l.Executions[0].Execution.RunId
		}
		return len(l.Executions) == 1
	})
	assert.Equal(t, run.GetRunID(), found)

	r, err := decide(t.Context(), c, "5001", contract.Decision{Verb: contract.VerbEdit, By: "ann", EditID: 12})
	require.NoError(t, err)
	assert.Equal(t, contract.Applied, r.Outcome)
	require.NoError(t, run.Get(t.Context(), nil))

	d, err := c.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
	require.NoError(t, err)
	summary, err := d.GetStaticSummary()
	require.NoError(t, err)
	assert.Equal(t, "Order 5001: shop → odoo", summary)
	needs, _ := d.TypedSearchAttributes.GetBool(contract.AttrNeedsAttention)
	assert.False(t, needs)

	history := historyOf(t, c, "5001", run.GetRunID())
	keep(t, "parked-update", history)
	var told []string
	for _, e := range history.Events {
		if p := e.UserMetadata.GetSummary(); p != nil {
			var s string
			require.NoError(t, converter.GetDefaultDataConverter().FromPayload(p, &s))
			told = append(told, s)
		}
	}
	assert.Equal(t, []string{
		"Order 5001: shop → odoo", "read the order as it is now", "write, prove, confirm",
		"open for a decision: order.total_differs", "edit, by ann",
	}, told)
	text, err := protojson.Marshal(history)
	require.NoError(t, err)
	require.Contains(t, known["5001"], email)
	for _, planted := range []string{email, "example.org", secret, "shpat_"} {
		assert.NotContains(t, plain(t, text), planted)
	}
	assert.Contains(t, plain(t, text), "order.total_differs", "the search looks into payloads")
}

// A decision reaches an order whose workflow has ended, has never been, or
// makes a pass right now.
func TestDecisionsReachClosedAndBusyOrders(t *testing.T) {
	c := server(t)
	h := newHands()
	busy, release := make(chan struct{}, 1), make(chan struct{})
	h.apply = func(in contract.ApplyInput) (contract.ApplyResult, error) {
		if in.Ref.ExternalID == "busy" && in.Decision == nil {
			busy <- struct{}{}
			<-release
		}
		if in.Decision == nil {
			return contract.ApplyResult{Outcome: contract.Applied, Code: "by itself"}, nil
		}
		return contract.ApplyResult{Outcome: contract.Skipped, Code: "by " + in.Decision.By}, nil
	}
	defer h.work(t, c).stop()
	skip := contract.Decision{Verb: contract.VerbSkip, By: "ann", Reason: "a test order"}

	t.Run("closed", func(t *testing.T) {
		run, err := ring(t.Context(), c, "closed", contract.EventSignal{Epoch: 1})
		require.NoError(t, err)
		require.NoError(t, run.Get(t.Context(), nil))
		r, err := decide(t.Context(), c, "closed", skip)
		require.NoError(t, err)
		assert.Equal(t, "by ann", r.Code)
		assert.Equal(t, 2, h.passesOver("closed"), "the decision's pass is the only one of its run")
	})
	t.Run("never there", func(t *testing.T) {
		r, err := decide(t.Context(), c, "new", skip)
		require.NoError(t, err)
		assert.Equal(t, "by ann", r.Code)
		assert.Equal(t, 1, h.passesOver("new"))
	})
	t.Run("busy", func(t *testing.T) {
		_, err := ring(t.Context(), c, "busy", contract.EventSignal{Epoch: 1})
		require.NoError(t, err)
		<-busy
		handle, err := c.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: contract.OrderWorkflowID(refOf("busy")), UpdateName: string(contract.VerbSkip), Args: []any{skip},
			WaitForStage: client.WorkflowUpdateStageAccepted,
		})
		require.NoError(t, err)
		close(release)
		var r contract.ApplyResult
		require.NoError(t, handle.Get(t.Context(), &r))
		assert.Equal(t, "by ann", r.Code)
	})
	t.Run("rejected", func(t *testing.T) {
		_, err := decide(t.Context(), c, "rejected", contract.Decision{Verb: contract.VerbSkip, By: "ann"})
		require.ErrorContains(t, err, "say why the order is skipped")
	})
}
