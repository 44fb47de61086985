package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"towpath/schema/store"
	"towpath/workflows/contract"
)

// ready holds deliveries in memory: a claim takes them, a release brings them
// back after a time.
type ready struct {
	mu       sync.Mutex
	due      []store.Starting
	later    map[int64]time.Time
	claims   []int
	released []int64
	unwell   []string
}

func newReady(n int) *ready {
	r := &ready{later: map[int64]time.Time{}}
	for i := range n {
		r.due = append(r.due, store.Starting{ID: int64(i + 1), Endpoint: "erp", Event: string(rune('a' + i%26)), Type: "sale.order.created", Generation: 1, Priority: 3})
	}
	return r
}

func (r *ready) ClaimDeliveries(_ context.Context, limit, _ int) (out []store.Starting, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims = append(r.claims, limit)
	r.due = slices.DeleteFunc(r.due, func(s store.Starting) bool {
		if len(out) == limit || time.Now().Before(r.later[s.ID]) {
			return false
		}
		out = append(out, s)
		return true
	})
	return out, nil
}

func (r *ready) ReleaseDeliveries(ctx context.Context, refused []store.Starting, after time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range refused {
		id := s.ID
		r.released = append(r.released, id)
		r.later[id] = time.Now().Add(after)
		r.due = append(r.due, store.Starting{ID: id, Endpoint: "erp", Event: "again", Generation: 1, Priority: 3})
	}
	return nil
}

func (r *ready) ParkUnapplied(context.Context) (int64, error)       { return 0, nil }
func (r *ready) EndpointsToWatch(context.Context) ([]string, error) { return r.unwell, nil }

// temporalite starts workflows as fast as told, and counts them.
type temporalite struct {
	took func(id string) time.Duration
	fail func() error

	mu        sync.Mutex
	options   []client.StartWorkflowOptions
	started   []contract.DeliverInput
	signalled []contract.DeliverInput
	now, most int
}

func (t *temporalite) start(ctx context.Context, o client.StartWorkflowOptions, to *[]contract.DeliverInput, args []any) error {
	t.mu.Lock()
	t.now++
	t.most = max(t.most, t.now)
	t.mu.Unlock()
	defer func() { t.mu.Lock(); t.now--; t.mu.Unlock() }()
	if t.took != nil {
		select {
		case <-time.After(t.took(o.ID)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		if err := t.fail(); err != nil {
			return err
		}
	}
	t.options = append(t.options, o)
	if in, ok := args[0].(contract.DeliverInput); ok {
		*to = append(*to, in)
	}
	return nil
}

func (t *temporalite) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	return nil, t.start(ctx, o, &t.started, args)
}

func (t *temporalite) SignalWithStartWorkflow(ctx context.Context, _, _ string, _ any, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	return nil, t.start(ctx, o, &t.signalled, args)
}

func runDeliveries(t *testing.T, d *Deliveries) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func TestDeliveriesAreStartedOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, temporal := newReady(500), &temporalite{took: func(string) time.Duration { return 10 * time.Millisecond }}
		table.due[7].Again = true
		stop := runDeliveries(t, &Deliveries{Table: table, Starter: temporal, Log: zerolog.Nop()})
		time.Sleep(3 * time.Second)
		stop()
		assert.Len(t, temporal.started, 499)
		assert.Equal(t, []contract.DeliverInput{{Delivery: 8, Endpoint: "erp", Event: "h", Generation: 1}}, temporal.signalled)
		assert.Equal(t, Parallel, temporal.most)
		assert.Empty(t, table.released)
		o := temporal.options[0]
		assert.True(t, o.EnableEagerStart)
		assert.Equal(t, "endpoint/erp", o.Priority.FairnessKey)
		assert.Equal(t, 3, o.Priority.PriorityKey)
	})
}

// A start that takes long holds its own slot and nobody else's turn.
func TestASlowStartHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newReady(100)
		table.due[0].Event = "slow"
		temporal := &temporalite{took: func(id string) time.Duration {
			if id == contract.DeliveryWorkflowID("erp", "slow") {
				return 5 * time.Second
			}
			return time.Millisecond
		}}
		stop := runDeliveries(t, &Deliveries{Table: table, Starter: temporal, Log: zerolog.Nop()})
		time.Sleep(2 * time.Second)
		assert.Len(t, temporal.started, 99)
		time.Sleep(5 * time.Second)
		stop()
		assert.Len(t, temporal.started, 100)
	})
}

// No more is claimed than can be started at once: what is claimed waits for
// nobody, and what is not can still be another process's.
func TestNoMoreIsClaimedThanIsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, temporal := newReady(100), &temporalite{took: func(string) time.Duration { return time.Hour }}
		d := &Deliveries{Table: table, Starter: temporal, Log: zerolog.Nop()}
		stop := runDeliveries(t, d)
		time.Sleep(5 * time.Second)
		assert.Len(t, table.due, 100-Parallel)
		stop()
		assert.Len(t, table.released, Parallel, "a process that ends gives back what it did not start")
	})
}

func TestWhileTemporalRefusesDeliveriesAreProbedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newReady(100)
		down := true
		temporal := &temporalite{fail: func() error {
			if down {
				return serviceerror.NewUnavailable("away")
			}
			return nil
		}}
		prepared := 0
		d := &Deliveries{Table: table, Starter: temporal, Log: zerolog.Nop(), Prepare: func(context.Context) error { prepared++; return errors.New("away") }}
		stop := runDeliveries(t, d)
		time.Sleep(time.Minute)
		temporal.mu.Lock()
		down = false
		temporal.mu.Unlock()
		table.mu.Lock()
		for _, n := range table.claims[2:] { // the first two went out at once
			assert.Equal(t, 1, n)
		}
		assert.Less(t, len(table.claims), 20, "no more than one in some seconds")
		table.mu.Unlock()
		assert.Positive(t, prepared)
		time.Sleep(10 * time.Second)
		stop()
		assert.Len(t, temporal.started, 100)
	})
}

// What Temporal has against one delivery concerns no other.
func TestARefusedDeliveryStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, refused := newReady(50), false
		temporal := &temporalite{fail: func() error {
			if !refused {
				refused = true
				return serviceerror.NewInvalidArgument("the id is too long")
			}
			return nil
		}}
		stop := runDeliveries(t, &Deliveries{Table: table, Starter: temporal, Log: zerolog.Nop()})
		time.Sleep(3 * time.Second)
		stop()
		assert.Len(t, temporal.started, 49)
		assert.Empty(t, table.released)
	})
}

func TestAnUnwellEndpointIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, temporal := newReady(0), &temporalite{}
		table.unwell = []string{"erp"}
		stop := runDeliveries(t, &Deliveries{Table: table, Starter: temporal, Log: zerolog.Nop()})
		time.Sleep(150 * time.Second)
		stop()
		assert.Len(t, temporal.options, 3, "made sure of once a minute")
		assert.Equal(t, contract.EndpointMonitorID("erp"), temporal.options[0].ID)
	})
}
