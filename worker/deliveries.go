package worker

import (
	"context"
	"sync"
	"time"

	sdk "go.temporal.io/sdk/worker"

	"towpath/schema/fault"
	"towpath/workflows/contract"
	"towpath/workflows/dispatch"
)

func (p *process) deliveryWorker(queue string) sdk.Worker {
	w := sdk.New(p.Temporal, queue, p.options(queue))
	register(w, contract.ActivityDeliver, p.deliveries.Deliver)
	return w
}

// tell runs what brings events from their systems to their endpoints, until ctx
// ends: the starter of deliveries, and a puller per system; and carries out what
// they ask to be exported.
func (p *process) tell(ctx context.Context) (wait func()) {
	var wg sync.WaitGroup
	starter := &dispatch.Deliveries{Table: p.Store, Starter: p.Temporal, Log: p.Log,
		Prepare: func(ctx context.Context) error { return Ensure(ctx, p.Temporal, p.Options) }}
	p.starter.Store(starter)
	wg.Go(func() { starter.Run(ctx) })
	exports := &exports{process: p, nudges: make(chan struct{}, 1)}
	wg.Go(func() { exports.run(ctx) })
	pullers := &pullers{process: p, nudges: map[string]chan struct{}{}, exports: exports}
	wg.Go(func() { pullers.run(ctx, &wg) })
	wg.Go(func() {
		p.Store.Listen(ctx, p.Log, starter.Nudge, pullers.nudge)
	})
	return wg.Wait
}

// deliveryEnded makes room for another delivery.
func (p *process) deliveryEnded() {
	if s := p.starter.Load(); s != nil {
		s.Nudge()
	}
}

// pullers keeps one loop per connection that tells events.
type pullers struct {
	*process
	mu     sync.Mutex
	nudges map[string]chan struct{}

	exports *exports
}

// pullEvery is how often a system is asked without a nudge.
const pullEvery = 5 * time.Second

// run starts a puller for every connection that has none yet.
func (p *pullers) run(ctx context.Context, wg *sync.WaitGroup) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		names, err := p.events.Sources(ctx)
		if err != nil && ctx.Err() == nil {
			p.Log.Warn().Err(err).Msg("connections cannot be listed; events are read from those known")
		}
		for _, name := range names {
			p.mu.Lock()
			_, known := p.nudges[name]
			if !known {
				nudges := make(chan struct{}, 1)
				p.nudges[name] = nudges
				wg.Go(func() { p.follow(ctx, name, nudges) })
			}
			p.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// nudge says that a connection has events; it never blocks.
func (p *pullers) nudge(connection string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.nudges[connection] <- struct{}{}: // of nil: never
	default:
	}
}

// follow pulls from one connection for as long as it is there: when it is
// nudged, and now and then. A system that fails is asked less and less often.
func (p *pullers) follow(ctx context.Context, connection string, nudges <-chan struct{}) {
	pause, wait, failed := time.Duration(0), time.Duration(0), false
	jobs := wakes{process: p.process, connection: connection}
	desk := exportDesk{process: p.process, connection: connection}
	defer desk.beside.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-nudges:
		case <-time.After(wait):
		}
		pulled, err := p.events.Pull(ctx, connection)
		switch {
		case ctx.Err() != nil:
			return
		case pulled.Busy: // another process pulls; what nudged us nudged that one, too
			pause = pullEvery
		case err != nil:
			f := fault.Of(err)
			if !failed {
				p.Log.Warn().Str("connection", connection).Str("fault", f.Code).Str("cause", f.Message).Msg("events cannot be read; they wait where they are")
			}
			failed, pause = true, min(max(pause*2, time.Second), time.Minute)
			calm(ctx, nudges)
		default:
			if failed {
				p.Log.Info().Str("connection", connection).Int("events", pulled.Fresh).Msg("events are read again")
			}
			failed, pause = false, pullEvery
			desk.tell(ctx)
		}
		if pulled.Exports { // even if the pull failed behind them
			p.exports.nudge()
		}
		if pulled.Fresh > 0 {
			p.deliveryEnded()
			jobs.note(pulled.Models)
		}
		wait = pause
		if again := jobs.wake(ctx); again > 0 {
			wait = min(wait, again)
		}
	}
}

// calm takes no nudge for a second: a system that fails is not asked at every
// nudge. What it is nudged about comes with the next pull.
func calm(ctx context.Context, nudges <-chan struct{}) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	select {
	case <-nudges:
	default:
	}
}
