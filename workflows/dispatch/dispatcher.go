package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"towpath/schema/store"
	"towpath/workflows/contract"
)

// Table is the part of the store that the dispatcher works on.
type Table interface {
	ClaimDue(ctx context.Context, limit int) ([]store.Due, error)
	Release(ctx context.Context, keys []store.Key, after time.Duration) error
}

// Starter is the part of Temporal's client that the dispatcher needs.
type Starter interface {
	SignalWithStartWorkflow(ctx context.Context, workflowID, signalName string, signalArg any,
		options client.StartWorkflowOptions, workflow any, workflowArgs ...any) (client.WorkflowRun, error)
}

// Dispatcher turns due objects into workflows.
type Dispatcher struct {
	Table   Table
	Starter Starter
	Log     zerolog.Logger
	// Poll is how often the table is read without a nudge, default 1 s.
	Poll time.Duration
	// Parallel bounds bells under way, default 16.
	Parallel int

	nudges   chan struct{}
	initOnce sync.Once
}

// batch is how many objects one claim takes.
const batch = 100

func (d *Dispatcher) init() {
	d.initOnce.Do(func() {
		d.nudges = make(chan struct{}, 1)
		if d.Poll == 0 {
			d.Poll = time.Second
		}
		if d.Parallel == 0 {
			d.Parallel = 16
		}
	})
}

// Nudge says that something became due just now. It never blocks.
func (d *Dispatcher) Nudge() {
	d.init()
	select {
	case d.nudges <- struct{}{}:
	default:
	}
}

// Run dispatches until ctx ends. While Temporal refuses, it claims nothing but
// one probe at a time, so that no object's visibility timeout is spent in vain.
func (d *Dispatcher) Run(ctx context.Context) {
	d.init()
	limit, pause := batch, d.Poll
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.nudges:
		case <-time.After(pause):
		}
		for ctx.Err() == nil {
			claimed, err := d.round(ctx, limit)
			if err != nil {
				if limit == batch && ctx.Err() == nil {
					d.Log.Warn().Err(err).Msg("dispatch stopped; one probe at a time until it works again")
				}
				limit, pause = 1, min(pause*2, 5*time.Second)
				break
			}
			if limit == 1 && claimed > 0 {
				d.Log.Info().Msg("dispatch works again")
				limit = batch
				continue
			}
			pause = d.Poll
			if claimed < limit {
				break
			}
		}
	}
}

// round claims and rings once. Objects whose bell was refused are released.
func (d *Dispatcher) round(ctx context.Context, limit int) (claimed int, err error) {
	due, err := d.Table.ClaimDue(ctx, limit)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	var (
		mu      sync.Mutex
		refused []store.Key
		wg      sync.WaitGroup
		slots   = make(chan struct{}, d.Parallel)
	)
	for _, o := range due {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer func() { <-slots; wg.Done() }()
			if ringErr := d.ring(ctx, o); ringErr != nil {
				mu.Lock()
				refused, err = append(refused, o.Key), ringErr
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	if len(refused) > 0 {
		bg, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if relErr := d.Table.Release(bg, refused, time.Second); relErr != nil {
			d.Log.Warn().Err(relErr).Int("objects", len(refused)).Msg("not released; their visibility timeout brings them back")
		}
	}
	return len(due), err
}

// ring is signal-with-start: it reaches the workflow whether it runs or not.
func (d *Dispatcher) ring(ctx context.Context, o store.Due) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ref := contract.Ref{Connection: o.Connection, Kind: o.Kind, ExternalID: o.ExternalID}
	_, err := d.Starter.SignalWithStartWorkflow(ctx, contract.OrderWorkflowID(ref), contract.SignalEvent,
		contract.EventSignal{Epoch: o.Epoch, Fetch: o.Fetch}, StartOptions(ref, o.Target), contract.OrderWorkflow,
		contract.OrderInput{Ref: ref, Target: o.Target})
	return err
}

// StartOptions are those of every Order workflow, whoever starts it.
func StartOptions(ref contract.Ref, target string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:            contract.OrderWorkflowID(ref),
		TaskQueue:     contract.QueueMain,
		StaticSummary: fmt.Sprintf("Order %s: %s → %s", ref.ExternalID, ref.Connection, target),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.AttrConnection.ValueSet(ref.Connection),
			contract.AttrKind.ValueSet(string(ref.Kind)),
			contract.AttrExternalRef.ValueSet(ref.ExternalID),
		),
	}
}
