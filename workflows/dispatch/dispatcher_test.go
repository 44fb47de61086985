package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// table holds due objects in memory, with the semantics of the store: a claim
// hides, a release brings back after a time.
type table struct {
	mu       sync.Mutex
	due      map[string]time.Time
	claims   []int // what each claim was allowed to take
	released []string
	failing  error
}

func newTable(n int) *table {
	t := &table{due: map[string]time.Time{}}
	for i := range n {
		t.due[fmt.Sprintf("%04d", i)] = time.Time{}
	}
	return t
}

func (t *table) add(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due[id] = time.Time{}
}

func (t *table) ClaimDue(_ context.Context, limit int) ([]store.Due, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claims = append(t.claims, limit)
	if t.failing != nil {
		return nil, t.failing
	}
	var out []store.Due
	now := time.Now()
	for id, at := range t.due {
		if len(out) == limit {
			break
		}
		if at.After(now) {
			continue
		}
		t.due[id] = now.Add(time.Minute) // visibility timeout
		out = append(out, store.Due{
			Key:   store.Key{Connection: "shop", Kind: record.KindOrder, ExternalID: id},
			Epoch: 3, Target: "odoo", Fetch: id == "0001",
		})
	}
	return out, nil
}

func (t *table) Release(ctx context.Context, keys []store.Key, after time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err() // the caller's end must not keep objects hidden
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		t.released = append(t.released, k.ExternalID)
		t.due[k.ExternalID] = time.Now().Add(after)
	}
	return nil
}

// server is Temporal, and counts the bells that reach it.
type server struct {
	mu          sync.Mutex
	refuse      func(id string) error
	takes       time.Duration
	busy, worst int
	attempts    []time.Time
	rung        map[string]int
	bells       []bell
}

type bell struct {
	id      string
	signal  contract.EventSignal
	options client.StartWorkflowOptions
	input   contract.OrderInput
}

func (f *server) SignalWithStartWorkflow(ctx context.Context, id, name string, signal any,
	options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	f.mu.Lock()
	f.busy++
	f.worst = max(f.worst, f.busy)
	f.attempts = append(f.attempts, time.Now())
	refuse := f.refuse
	f.mu.Unlock()
	var err error
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
		err = ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy--
	if refuse != nil && err == nil {
		err = refuse(id)
	}
	if err != nil {
		return nil, err
	}
	if name != contract.SignalEvent || workflow != contract.OrderWorkflow {
		return nil, fmt.Errorf("unexpected %s to %v", name, workflow)
	}
	if f.rung == nil {
		f.rung = map[string]int{}
	}
	f.rung[id]++
	f.bells = append(f.bells, bell{id, signal.(contract.EventSignal), options, args[0].(contract.OrderInput)})
	return nil, nil
}

func (f *server) setRefuse(refuse func(id string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

// running dispatches in a bubble of fake time, and ends with the test.
func running(t *testing.T, d *Dispatcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

// pass lets time go by until all that it moves has come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var errDown = serviceerror.NewUnavailable("no server")

func TestRingTellsTheWorkflowAllItNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, tem := newTable(2), &server{}
		stop := running(t, &Dispatcher{Table: tab, Starter: tem})
		pass(time.Second)
		stop()
		require.Len(t, tem.bells, 2)
		for _, b := range tem.bells {
			ref := contract.Ref{Connection: "shop", Kind: record.KindOrder, ExternalID: strings.TrimPrefix(b.id, "order/shop/")}
			assert.Equal(t, contract.OrderWorkflowID(ref), b.id)
			assert.Equal(t, contract.EventSignal{Epoch: 3, Fetch: ref.ExternalID == "0001"}, b.signal)
			assert.Equal(t, contract.OrderInput{Ref: ref, Target: "odoo"}, b.input)
			assert.Equal(t, contract.QueueMain, b.options.TaskQueue)
			assert.Equal(t, b.id, b.options.ID)
			assert.Equal(t, "Order "+ref.ExternalID+": shop → odoo", b.options.StaticSummary)
			got, _ := b.options.TypedSearchAttributes.GetKeyword(contract.AttrExternalRef)
			assert.Equal(t, ref.ExternalID, got)
		}
	})
}

func TestEverythingDueIsRungOnceWithinItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3*batch + 17
		tab, tem := newTable(n), &server{takes: 5 * time.Millisecond}
		stop := running(t, &Dispatcher{Table: tab, Starter: tem, Parallel: 7})
		began := time.Now()
		pass(30 * time.Second)
		stop()
		assert.Len(t, tem.rung, n)
		for id, times := range tem.rung {
			assert.Equal(t, 1, times, id)
		}
		assert.Equal(t, 7, tem.worst, "as many as allowed, and never more")
		assert.Less(t, tem.attempts[n-1].Sub(began), 2*time.Second, "full batches follow each other without a pause")
	})
}

func TestNudgeLeadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, tem := newTable(0), &server{}
		d := &Dispatcher{Table: tab, Starter: tem, Poll: time.Hour}
		stop := running(t, d)
		synctest.Wait()
		tab.add("0500")
		began := time.Now()
		for range 1000 {
			d.Nudge() // never blocks, however many
		}
		synctest.Wait()
		stop()
		assert.Equal(t, map[string]int{"order/shop/0500": 1}, tem.rung)
		assert.Equal(t, began, tem.attempts[0])
	})
}

func TestWhileTemporalRefusesOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 250
		tab, tem := newTable(n), &server{takes: time.Millisecond}
		tem.setRefuse(func(string) error { return errDown })
		var log bytes.Buffer
		d := &Dispatcher{Table: tab, Starter: tem, Log: zerolog.New(&log)}
		stop := running(t, d)
		for range 600 { // a minute of outage, with webhooks coming in
			pass(100 * time.Millisecond)
			d.Nudge()
		}
		tab.mu.Lock()
		require.Equal(t, batch, tab.claims[0])
		for _, limit := range tab.claims[1:] {
			assert.Equal(t, 1, limit, "a claim spends a visibility timeout")
		}
		assert.Len(t, tab.released, len(tem.attempts), "what was refused is given back")
		assert.Less(t, len(tab.claims), 20, "probes come every five seconds at most, nudged or not")
		tab.mu.Unlock()
		assert.Equal(t, 1, strings.Count(log.String(), "dispatch stopped"), "told once, not at each probe")

		tem.setRefuse(nil)
		began := time.Now()
		pass(8 * time.Second)
		assert.Len(t, tem.rung, n, "all of it goes out once Temporal answers: nothing was left hidden")
		assert.Equal(t, 1, strings.Count(log.String(), "dispatch works again"))
		d.Nudge()
		tab.add("0900")
		pass(time.Until(began.Add(8*time.Second + 100*time.Millisecond)))
		d.Nudge()
		synctest.Wait()
		assert.Equal(t, 1, tem.rung["order/shop/0900"], "and nudges lead again")
		stop()
	})
}

func TestOneRefusedObjectDoesNotHoldUpTheOthers(t *testing.T) {
	for name, refusal := range map[string]error{
		"a run with too many signals": serviceerror.NewInvalidArgument("signals count exceeds limit"),
		"a busy workflow": &serviceerror.ResourceExhausted{
			Cause: enumspb.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW, Message: "Workflow is busy."},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 500
				tab, tem := newTable(n), &server{takes: time.Millisecond}
				tem.setRefuse(func(id string) error {
					if id == "order/shop/0007" {
						return refusal
					}
					return nil
				})
				stop := running(t, &Dispatcher{Table: tab, Starter: tem})
				pass(3 * time.Second)
				stop()
				assert.Len(t, tem.rung, n-1)
				assert.Empty(t, tab.released, "its visibility timeout slows it down")
				for _, limit := range tab.claims {
					assert.Equal(t, batch, limit, "Temporal is not down")
				}
			})
		})
	}
}

func TestAnOverloadedTemporalIsSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, tem := newTable(10), &server{}
		tem.setRefuse(func(string) error {
			return &serviceerror.ResourceExhausted{Cause: enumspb.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, Message: "slow down"}
		})
		stop := running(t, &Dispatcher{Table: tab, Starter: tem})
		pass(20 * time.Second)
		stop()
		assert.Equal(t, batch, tab.claims[0])
		assert.Equal(t, 1, tab.claims[len(tab.claims)-1])
		assert.NotEmpty(t, tab.released)
	})
}

func TestAPartlyRefusedBatchReleasesOnlyTheRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, tem := newTable(40), &server{}
		lost := map[string]bool{"order/shop/0003": true, "order/shop/0031": true}
		tem.setRefuse(func(id string) error {
			if lost[id] {
				return errDown
			}
			return nil
		})
		stop := running(t, &Dispatcher{Table: tab, Starter: tem})
		pass(time.Second)
		assert.Len(t, tem.rung, 38, "a claimed batch is wholly rung")
		assert.ElementsMatch(t, []string{"0003", "0031"}, tab.released)
		tem.setRefuse(nil)
		pass(10 * time.Second)
		stop()
		assert.Len(t, tem.rung, 40)
	})
}

func TestRunGoesOnWhenTheTableComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, tem := newTable(3), &server{}
		tab.failing = errors.New("connection refused")
		stop := running(t, &Dispatcher{Table: tab, Starter: tem})
		pass(time.Minute)
		assert.Empty(t, tem.rung)
		tab.mu.Lock()
		tab.failing = nil
		tab.mu.Unlock()
		pass(8 * time.Second)
		stop()
		assert.Len(t, tem.rung, 3)
	})
}

func TestTheEndOfTheProcessLeavesNothingHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, tem := newTable(50), &server{takes: time.Second}
		stop := running(t, &Dispatcher{Table: tab, Starter: tem, Parallel: 5})
		time.Sleep(2500 * time.Millisecond) // in the midst of a batch
		began := time.Now()
		stop()
		assert.Zero(t, time.Since(began), "ends at once")
		assert.Len(t, tab.released, 50-len(tem.rung), "another process takes what was not rung")
		assert.NotEmpty(t, tem.rung)
	})
}
