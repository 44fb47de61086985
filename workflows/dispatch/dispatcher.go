package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
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
	// Prepare makes sure that Temporal knows the namespace and the search
	// attributes. It is called before the first bell and after refusals, since
	// Temporal's database may have been lost in between. May be nil.
	Prepare func(ctx context.Context) error

	loop     *loop
	initOnce sync.Once
	slots    chan struct{} // a bell under way holds one
}

// batch is how many objects one claim takes.
const batch = 100

func (d *Dispatcher) init() *loop {
	d.initOnce.Do(func() {
		d.loop = newLoop(d.Log, "dispatch", d.Poll, d.Prepare)
		d.slots = make(chan struct{}, cmp.Or(d.Parallel, 16))
	})
	return d.loop
}

// Nudge says that something became due just now. It never blocks.
func (d *Dispatcher) Nudge() { d.init().nudge() }

// Run dispatches until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) {
	d.init().run(ctx, func(context.Context) {}, d.round)
}

// round claims and rings once. Objects whose bell was refused are released.
func (d *Dispatcher) round(ctx context.Context, limit int) (claimed int, more bool, err error) {
	due, err := d.Table.ClaimDue(ctx, limit)
	if err != nil || len(due) == 0 {
		return 0, false, err
	}
	refused, err := d.ringAll(ctx, due)
	if len(refused) > 0 {
		bg, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if relErr := d.Table.Release(bg, refused, time.Second); relErr != nil {
			d.Log.Warn().Err(relErr).Int("objects", len(refused)).Msg("not released; their visibility timeout brings them back")
		}
	}
	return len(due), len(due) == limit, err
}

// ringAll rings some bells at the same time, and gives those that were refused
// for what has nothing to do with them, with the last reason.
func (d *Dispatcher) ringAll(ctx context.Context, due []store.Due) (refused []store.Key, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, o := range due {
		d.slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-d.slots }()
			refusal := d.ring(ctx, o)
			if refusal == nil {
				return
			}
			if about := onlyThis(refusal); about != "" {
				// Not released: its visibility timeout slows it down, and the
				// others are not held up by it.
				d.Log.Warn().Str("ref", refOf(o).String()).Str("cause", about).Msg("Temporal refuses this object's bell; it rings again later")
				return
			}
			mu.Lock()
			defer mu.Unlock()
			refused, err = append(refused, o.Key), refusal
		})
	}
	wg.Wait()
	return refused, err
}

// onlyThis names the cause when a refusal is about one workflow and says
// nothing about Temporal: a run that is rung too often, or holds too many
// signals, or an id that is too long. Otherwise it is empty.
func onlyThis(err error) string {
	var invalid *serviceerror.InvalidArgument
	var busy *serviceerror.ResourceExhausted
	switch {
	case errors.As(err, &invalid) && !strings.Contains(strings.ToLower(invalid.Message), "search attribute"):
		return "invalid_argument" // a search attribute that is not registered concerns them all
	case errors.As(err, &busy) && busy.Cause == enumspb.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW:
		return "busy_workflow"
	}
	return ""
}

func refOf(o store.Due) contract.Ref {
	return contract.Ref{Connection: o.Connection, Kind: o.Kind, ExternalID: o.ExternalID}
}

// ring is signal-with-start: it reaches the workflow whether it runs or not.
func (d *Dispatcher) ring(ctx context.Context, o store.Due) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ref := refOf(o)
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
