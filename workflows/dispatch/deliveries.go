package dispatch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"towpath/schema/failpoint"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// DeliveryTable is the part of the store that deliveries are started from.
type DeliveryTable interface {
	ClaimDeliveries(ctx context.Context, limit int) ([]store.Starting, error)
	ReleaseDeliveries(ctx context.Context, refused []store.Starting, after time.Duration) error
	ParkUnapplied(ctx context.Context) (int64, error)
	UnwellEndpoints(ctx context.Context) ([]string, error)
}

// DeliveryStarter is the part of Temporal's client that starting needs.
type DeliveryStarter interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	SignalWithStartWorkflow(ctx context.Context, workflowID, signalName string, signalArg any,
		options client.StartWorkflowOptions, workflow any, workflowArgs ...any) (client.WorkflowRun, error)
}

// Deliveries starts the workflows of deliveries that are due (protocol P5.2),
// and a watch over each endpoint that does not take any.
type Deliveries struct {
	Table   DeliveryTable
	Starter DeliveryStarter
	Log     zerolog.Logger
	Poll    time.Duration // without a nudge, default 1 s
	// Parallel bounds starts under way, default 16.
	Parallel int
	// Prepare is called before the first start and after refusals.
	Prepare func(ctx context.Context) error

	loop     *loop
	initOnce sync.Once
	watched  map[string]time.Time // endpoints, and when their watch was last made sure of
	swept    time.Time
}

func (d *Deliveries) init() *loop {
	d.initOnce.Do(func() {
		d.watched = map[string]time.Time{}
		d.loop = newLoop(d.Log, "starting deliveries", d.Poll, d.Parallel, d.Prepare)
	})
	return d.loop
}

// Nudge says that a delivery became due, or that one ended and made room. It
// never blocks.
func (d *Deliveries) Nudge() { d.init().nudge() }

// Run starts deliveries until ctx ends.
func (d *Deliveries) Run(ctx context.Context) { d.init().run(ctx, d.sweep, d.round) }

// round claims and starts once. There may be more as long as there is any:
// endpoints get a few at a time.
func (d *Deliveries) round(ctx context.Context, limit int) (claimed int, more bool, err error) {
	due, err := d.Table.ClaimDeliveries(ctx, limit)
	if err != nil || len(due) == 0 {
		return 0, false, err
	}
	failpoint.Here("deliveries claimed")
	refused, err := d.loop.atOnce(len(due), func(i int) error { return d.start(ctx, due[i]) }, func(i int, about string) {
		d.Log.Warn().Int64("delivery", due[i].ID).Str("cause", about).Msg("Temporal refuses this delivery; it is started again later")
	})
	if len(refused) > 0 {
		bg, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		back := make([]store.Starting, len(refused))
		for n, i := range refused {
			back[n] = due[i]
		}
		if relErr := d.Table.ReleaseDeliveries(bg, back, time.Second); relErr != nil {
			d.Log.Warn().Err(relErr).Int("deliveries", len(back)).Msg("not given back; they are started again in some minutes")
		}
	}
	return len(due), true, err
}

// start opens the delivery's workflow. One that may be open already is told, so
// that an attempt it waits for is made now.
func (d *Deliveries) start(ctx context.Context, s store.Starting) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	in := contract.DeliverInput{Delivery: s.ID, Endpoint: s.Endpoint, Event: s.Event, Generation: s.Generation}
	options := client.StartWorkflowOptions{
		ID:                       contract.DeliveryWorkflowID(s.Endpoint, s.Event),
		TaskQueue:                contract.QueueMain,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:            s.Type + " → " + s.Endpoint,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.AttrEndpoint.ValueSet(s.Endpoint), contract.AttrKind.ValueSet(s.Type)),
	}
	var err error
	if s.Again {
		_, err = d.Starter.SignalWithStartWorkflow(ctx, options.ID, contract.SignalAgain, in, options, contract.DeliveryWorkflow, in)
	} else {
		_, err = d.Starter.ExecuteWorkflow(ctx, options, contract.DeliveryWorkflow, in)
	}
	return err
}

// watchEvery is how often a watch is made sure of: Temporal's database may have
// been lost.
const watchEvery = time.Minute

// sweepEvery is how often at most what no delivery does for itself is done.
const sweepEvery = time.Second

// sweep does what no delivery does for itself.
func (d *Deliveries) sweep(ctx context.Context) {
	if time.Since(d.swept) < sweepEvery {
		return
	}
	d.swept = time.Now()
	if n, err := d.Table.ParkUnapplied(ctx); err == nil && n > 0 {
		d.Log.Warn().Int64("deliveries", n).Msg("receivers took events and did not say in time that they were applied; parked")
	}
	unwell, err := d.Table.UnwellEndpoints(ctx)
	if err != nil {
		return
	}
	for _, name := range unwell {
		if time.Since(d.watched[name]) >= watchEvery && d.watch(ctx, name) == nil {
			d.watched[name] = time.Now()
		}
	}
	maps.DeleteFunc(d.watched, func(name string, _ time.Time) bool { return !slices.Contains(unwell, name) })
}

func (d *Deliveries) watch(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := d.Starter.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: contract.EndpointMonitorID(endpoint), TaskQueue: contract.QueueMain,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            endpoint + " does not take deliveries",
		TypedSearchAttributes:    temporal.NewSearchAttributes(contract.AttrEndpoint.ValueSet(endpoint), contract.AttrNeedsAttention.ValueSet(true)),
	}, contract.EndpointMonitorWorkflow, endpoint)
	return err
}
