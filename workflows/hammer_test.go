package workflows_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"towpath/workflows"
	"towpath/workflows/contract"
)

// No bell is lost: whenever it rings, during a pass, at the moment the workflow
// closes, while no worker lives, a pass begins after it.
func TestSignalHammer(t *testing.T) {
	const entities, bells = 10, 1200
	c := server(t)
	h := newHands()
	h.apply = func(in contract.ApplyInput) (contract.ApplyResult, error) {
		time.Sleep(time.Duration(rand.IntN(6)) * time.Millisecond)
		if rand.IntN(20) == 0 {
			return contract.ApplyResult{}, temporal.NewApplicationErrorWithOptions("busy", "odoo.busy",
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Millisecond})
		}
		return contract.ApplyResult{Outcome: contract.Applied, Again: rand.IntN(10) == 0}, nil
	}
	// A pass that died with its worker is taken over soon; restored when no
	// worker is left to read it.
	patience := workflows.Heartbeat
	workflows.Heartbeat = 2 * time.Second
	defer func() { workflows.Heartbeat = patience }()
	workers := h.work(t, c)

	var mu sync.Mutex
	rang := map[string]time.Time{} // when an order's last bell had been taken
	var sent, unanswered atomic.Int64
	var wg sync.WaitGroup
	for e := range entities {
		id := fmt.Sprint("hammered-", e)
		wg.Go(func() {
			for n := range bells / entities {
				// The pass must see what was committed before its bell rang. A bell
				// that Temporal does not answer is rung again, as the dispatcher
				// does: now and then nobody waits for the answer.
				var run client.WorkflowRun
				var before time.Time
				for tries := 0; run == nil; tries++ {
					patience := 10 * time.Second
					if tries == 0 && rand.IntN(30) == 0 {
						patience = 3 * time.Millisecond
					}
					before = time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					var err error
					run, err = ring(ctx, c, id, contract.EventSignal{Epoch: int64(n)})
					cancel()
					if err != nil {
						unanswered.Add(1)
						if !assert.Less(t, tries, 6, "%v", err) {
							return
						}
					}
				}
				sent.Add(1)
				mu.Lock()
				rang[id] = before
				mu.Unlock()
				if n%8 == 0 { // let it close, so that the next bell opens it
					_ = run.Get(t.Context(), nil)
					continue
				}
				time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			}
		})
	}
	for restarts := 1; restarts <= 3; restarts++ {
		until(t, "a part of the bells has rung", func() bool { return sent.Load() >= int64(restarts*bells/4) })
		workers.stop()
		workers = h.work(t, c)
	}
	defer func() { workers.stop() }()
	wg.Wait()

	runs, signals := 0, 0
	for e := range entities {
		id := fmt.Sprint("hammered-", e)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		require.NoError(t, c.GetWorkflow(ctx, contract.OrderWorkflowID(refOf(id)), "").Get(ctx, nil))
		cancel()
		h.mu.Lock()
		last := h.passes[id][len(h.passes[id])-1]
		h.mu.Unlock()
		assert.True(t, last.After(rang[id]), "%s: the last bell is followed by no pass", id)
	}
	// And by the histories: in each run an activity is scheduled after every
	// signal, by a workflow task that began after it.
	until(t, "all runs are closed and listed", func() bool {
		l, err := c.ListWorkflow(t.Context(), listRequest(`Connection = "shop"`))
		require.NoError(t, err)
		runs, signals = 0, 0
		for _, e := range l.Executions {
			if e.Status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				return false
			}
			runs++
			signals += answered(t, historyOf(t, c, strings.TrimPrefix(e.Execution.WorkflowId, "order/shop/"), e.Execution.RunId).Events)
		}
		return signals >= bells
	})
	assert.LessOrEqual(t, signals, bells+int(unanswered.Load()), "nobody else rings")
	t.Logf("%d bells in %d runs, %d answers lost", signals, runs, unanswered.Load())
	assert.Greater(t, runs, 5*entities, "the hammer must meet closing workflows, or it shows nothing")
}

func listRequest(query string) *workflowservice.ListWorkflowExecutionsRequest {
	return &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1000}
}

// plain is a history's JSON with all its payloads decoded, so that a search
// sees what a reader of the history sees.
func plain(t *testing.T, history []byte) string {
	t.Helper()
	var tree any
	require.NoError(t, json.Unmarshal(history, &tree))
	var b strings.Builder
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				b.WriteString(k + "\n")
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case string:
			b.WriteString(v + "\n")
			if raw, err := base64.StdEncoding.DecodeString(v); err == nil {
				b.Write(append(raw, '\n'))
			}
		}
	}
	walk(tree)
	return b.String()
}
