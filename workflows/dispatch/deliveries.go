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
	"golang.org/x/time/rate"

	"towpath/schema/failpoint"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// DeliveryTable is the part of the store that deliveries are started from.
type DeliveryTable interface {
	ClaimDeliveries(ctx context.Context, limit, trials int) ([]store.Starting, error)
	ReleaseDeliveries(ctx context.Context, refused []store.Starting, after time.Duration) error
	ParkUnapplied(ctx context.Context) (int64, error)
	EndpointsToWatch(ctx context.Context) ([]string, error)
}

// DeliveryStarter is the part of Temporal's client that starting needs.
type DeliveryStarter interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	SignalWithStartWorkflow(ctx context.Context, workflowID, signalName string, signalArg any,
		options client.StartWorkflowOptions, workflow any, workflowArgs ...any) (client.WorkflowRun, error)
}

// Parallel is how many starts of deliveries are under way at once.
const Parallel = 16

// Deliveries to endpoints that have yet to show that they take any are started at
// most so often, beyond the first few: each costs the machine some 10 ms, and ten
// dead endpoints would have fifty of them at once.
const (
	trialsEvery  = 50 * time.Millisecond
	trialsAtOnce = 2
)

// Deliveries starts the workflows of deliveries that are due (protocol P5.2),
// and a watch over each endpoint that does not take any.
type Deliveries struct {
	Table   DeliveryTable
	Starter DeliveryStarter
	Log     zerolog.Logger
	Poll    time.Duration // without a nudge, default 1 s
	// Prepare is called before the first start and after refusals.
	Prepare func(ctx context.Context) error

	loop     *loop
	initOnce sync.Once
	slots    chan struct{}        // a start under way holds one
	watched  map[string]time.Time // endpoints, and when their watch was last made sure of
	swept    time.Time
	trials   *rate.Limiter
	later    *time.Timer // nudges, for trials that are not allowed yet

	mu      sync.Mutex
	refused []store.Starting // what could not be started, and why
	cause   error
}

func (d *Deliveries) init() *loop {
	d.initOnce.Do(func() {
		d.watched = map[string]time.Time{}
		d.loop = newLoop(d.Log, "starting deliveries", d.Poll, d.Prepare)
		d.slots = make(chan struct{}, Parallel)
		d.trials = rate.NewLimiter(rate.Every(trialsEvery), trialsAtOnce)
		d.later = time.AfterFunc(trialsEvery, d.loop.nudge)
	})
	return d.loop
}

// Nudge says that a delivery became due, or that one ended and made room. It
// never blocks.
func (d *Deliveries) Nudge() { d.init().nudge() }

// Run starts deliveries until ctx ends.
func (d *Deliveries) Run(ctx context.Context) {
	d.init().run(ctx, d.sweep, d.round)
	_ = d.settle(ctx)
}

// round claims as many as may be started at once and starts them, without
// waiting for the end of it: no more is claimed than can be started now, so that
// an endpoint whose turn it is does not wait for another's backlog. A probe is
// one delivery, waited for.
func (d *Deliveries) round(ctx context.Context, limit int) (claimed int, more bool, err error) {
	probe := limit == 1
	if !probe {
		limit = d.free(ctx)
	}
	if d.failed() {
		return 0, false, d.settle(ctx)
	}
	trials := int(d.trials.Tokens())
	due, err := d.Table.ClaimDeliveries(ctx, limit, trials)
	if err != nil {
		return 0, false, err
	}
	d.tried(due, trials)
	if len(due) > 0 {
		failpoint.Here("deliveries claimed")
	}
	for _, s := range due {
		d.slots <- struct{}{}
		go func() {
			defer func() { <-d.slots }()
			d.tryStart(ctx, s)
		}()
	}
	if probe {
		err = d.settle(ctx)
	}
	return len(due), len(due) > 0, err
}

// tried counts the trials among what was claimed; where there may be more, they
// are looked for when they are allowed again.
func (d *Deliveries) tried(due []store.Starting, allowed int) {
	n := 0
	for _, s := range due {
		if s.Trial {
			n++
		}
	}
	d.trials.AllowN(time.Now(), n)
	if n == allowed {
		d.later.Reset(trialsEvery)
	}
}

// free waits until a good part of the slots is free, since a claim costs the
// same for one and for many, and says how many are.
func (d *Deliveries) free(ctx context.Context) int {
	const few = Parallel / 4
	for range few {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done(): // starts end soon, too
			d.slots <- struct{}{}
		}
	}
	for range few {
		<-d.slots
	}
	return Parallel - len(d.slots)
}

// settle waits for the starts under way, gives back what was refused, and says
// why it was.
func (d *Deliveries) settle(ctx context.Context) error {
	for range Parallel {
		d.slots <- struct{}{}
	}
	for range Parallel {
		<-d.slots
	}
	d.mu.Lock()
	refused, cause := d.refused, d.cause
	d.refused, d.cause = nil, nil
	d.mu.Unlock()
	if len(refused) > 0 {
		bg, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := d.Table.ReleaseDeliveries(bg, refused, time.Second); err != nil {
			d.Log.Warn().Err(err).Int("deliveries", len(refused)).Msg("not given back; they are started again in some minutes")
		}
	}
	return cause
}

func (d *Deliveries) failed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cause != nil
}

func (d *Deliveries) tryStart(ctx context.Context, s store.Starting) {
	err := d.start(ctx, s)
	if err == nil {
		return
	}
	if about := onlyThis(err); about != "" {
		d.Log.Warn().Int64("delivery", s.ID).Str("cause", about).Msg("Temporal refuses this delivery; it is started again later")
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused, d.cause = append(d.refused, s), err
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
		// Its first task comes with the answer: who starts it has its worker.
		EnableEagerStart: true,
		// Temporal's queues let endpoints take turns, too; servers that do not
		// know how ignore it.
		Priority: temporal.Priority{PriorityKey: s.Priority, FairnessKey: fairnessKey(s.Endpoint)},
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

// fairnessKey is at most 64 bytes: names of endpoints are at most 40.
func fairnessKey(endpoint string) string { return "endpoint/" + endpoint }

// watchEvery is how often a watch is made sure of: Temporal's database may have
// been lost. Of one that could not be started, it is sooner.
const (
	watchEvery = time.Minute
	watchRetry = 5 * time.Second
)

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
	unwell, err := d.Table.EndpointsToWatch(ctx)
	if err != nil {
		return
	}
	// A few at a time: those that fail together are not to be looked at together.
	for room := 1 + len(unwell)/30; len(unwell) > 0 && room > 0; room-- {
		name := slices.MinFunc(unwell, func(a, b string) int { return d.watched[a].Compare(d.watched[b]) })
		if time.Since(d.watched[name]) < watchEvery {
			break
		}
		d.watched[name] = time.Now()
		if d.watch(ctx, name) != nil { // again soon, after the others
			d.watched[name] = d.watched[name].Add(watchRetry - watchEvery)
			break
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
