package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"towpath/cmd/towpath/local"
)

const (
	manyEndpoints = 10  // beside the run with one
	idleEvents    = 100 // told one after the other
	historyOf     = 10  // deliveries whose history is counted
)

// deliveryRound is what one round of deliveries measured.
type deliveryRound struct {
	noop, one, many float64 // per second
	effort          float64 // processor time of Temporal and worker for a delivery ÷ for a no-op
	transactions    float64 // in PostgreSQL, per delivery
	cpu             pace    // of a delivery to one endpoint
	events          float64 // of history, per delivery
	idle            []float64
	alone, crowded  []float64 // ms from recorded to received, without and with dead neighbours
}

// deliveries measures webhooks from their event's row in PostgreSQL to a
// receiver in this process, against workflows of one activity that do nothing,
// on the same Temporal server.
func (b *bench) deliveries(ctx context.Context) error {
	in, err := b.up(ctx, local.Options{Out: b.Out})
	if err != nil {
		return err
	}
	defer in.Close()
	w, err := b.newTelling(ctx, in)
	if err != nil {
		return err
	}
	defer w.close()
	var all []deliveryRound
	for n := range b.Rounds {
		b.say("deliveries, round %d", n+1)
		r, err := w.round(ctx, n)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	b.tellDeliveries(all)
	return nil
}

// round takes the no-op before and after: whatever else the machine does
// meanwhile falls on both.
func (w *telling) round(ctx context.Context, n int) (r deliveryRound, err error) {
	if n == 0 {
		if err := w.warm(ctx); err != nil {
			return r, err
		}
	}
	before, err := w.noop(ctx, w.Deliveries)
	if err != nil {
		return r, err
	}
	if r.one, err = w.throughput(ctx, w.names("one", n, 1), &r); err != nil {
		return r, err
	}
	between, err := w.noop(ctx, w.Deliveries)
	if err != nil {
		return r, err
	}
	if r.many, err = w.throughput(ctx, w.names("many", n, manyEndpoints), &r); err != nil {
		return r, err
	}
	after, err := w.noop(ctx, w.Deliveries)
	if err != nil {
		return r, err
	}
	r.noop = median([]float64{before.perSecond, between.perSecond, after.perSecond})
	effort := median([]float64{before.temporal + before.worker, between.temporal + between.worker, after.temporal + after.worker})
	r.effort = (r.cpu.temporal + r.cpu.worker) / effort
	w.say("per second: no-op %.0f, %.0f, %.0f; to one endpoint %.0f, to %d %.0f", before.perSecond, between.perSecond, after.perSecond, r.one, manyEndpoints, r.many)
	w.say("CPU: no-op %.1f ms (its worker %.1f), delivery %.1f (worker %.1f); %.1f transactions",
		effort, between.worker, r.cpu.temporal+r.cpu.worker, r.cpu.worker, r.transactions)
	if r.idle, err = w.oneByOne(ctx, w.names("idle", n, 1)[0]); err != nil {
		return r, err
	}
	w.say("idle: p50 %.1f ms, p99 %.1f ms", median(r.idle), percentile(r.idle, 99))
	if err := w.isolation(ctx, n, &r); err != nil {
		return r, err
	}
	w.say("p99 alone %.1f ms, with dead neighbours %.1f ms", percentile(r.alone, 99), percentile(r.crowded, 99))
	return r, nil
}

// names are those of a round's endpoints: no round finds another's circuit.
func (w *telling) names(what string, round, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s-%d-%d", what, round+1, i+1))
	}
	return names
}

// warm opens connections, compiles endpoints, and lets PostgreSQL plan.
func (w *telling) warm(ctx context.Context) error {
	few := *w
	few.bench = &bench{Options: w.Options, report: newReport(0)}
	few.Deliveries = 200
	if _, err := few.noop(ctx, few.Deliveries); err != nil {
		return err
	}
	_, err := few.throughput(ctx, []string{"warm"}, new(deliveryRound))
	return err
}

// throughput records events as a pull does, in pages, and waits until all
// endpoints have all of theirs.
func (w *telling) throughput(ctx context.Context, names []string, r *deliveryRound) (perSecond float64, err error) {
	for _, name := range names {
		if err := w.endpoint(ctx, name, "/ok/"+name, 0); err != nil {
			return 0, err
		}
	}
	events := w.events(w.Deliveries/len(names), names[0])
	total := len(events) * len(names)
	bar := w.Bar(total, fmt.Sprintf("deliveries to %d endpoints", len(names)))
	defer func() { _ = bar.Finish() }()
	transactions, err := w.transactions(ctx)
	if err != nil {
		return 0, err
	}
	own, err1 := startUsed(w.in.Worker[0].PID())
	server, err2 := startUsed(w.in.Temporal.PID())
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	before, began := w.sink.received(), time.Now()
	if err := w.record(ctx, events); err != nil {
		return 0, err
	}
	took, err := w.sink.await(ctx, before+total, began, func(n int) { _ = bar.Set(n - before) })
	if err != nil {
		return 0, fmt.Errorf("%w; the worker said:\n%s", err, w.in.Worker[0].Tail())
	}
	if len(names) == 1 {
		// Until it is quiet: what comes after the receipt is part of it.
		if err := w.quiet(ctx); err != nil {
			return 0, err
		}
		mine, err1 := own.sofar()
		theirs, err2 := server.sofar()
		if err := errors.Join(err1, err2); err != nil {
			return 0, err
		}
		r.cpu = pace{float64(total) / took.Seconds(), millis(theirs) / float64(total), millis(mine) / float64(total)}
	}
	w.report.same("deliveries to "+names[0], w.sink.again() == 0, fmt.Sprintf("%d told, %d received twice", total, w.sink.again()))
	if r.events, err = w.history(ctx, names[0], events[:min(historyOf, len(events))]); err != nil {
		return 0, err
	}
	after, err := w.transactions(ctx)
	r.transactions = (after - transactions) / float64(total)
	return float64(total) / took.Seconds(), err
}

// oneByOne tells an event when the one before was received.
func (w *telling) oneByOne(ctx context.Context, name string) (ms []float64, err error) {
	if err := w.endpoint(ctx, name, "/ok/"+name, 0); err != nil {
		return nil, err
	}
	for i, e := range w.events(idleEvents+5, name) {
		before, began := w.sink.received(), time.Now()
		if err := w.record(ctx, []event{e}); err != nil {
			return ms, err
		}
		took, err := w.sink.await(ctx, before+1, began, nil)
		if err != nil {
			return ms, err
		}
		if i >= 5 { // the first ones open connections
			ms = append(ms, millis(took))
		}
		if err := sleep(ctx, 30*time.Millisecond); err != nil { // until it has settled
			return ms, err
		}
	}
	return ms, nil
}

func (b *bench) tellDeliveries(rounds []deliveryRound) {
	name := fmt.Sprintf("%d deliveries, event in PostgreSQL → a local receiver", b.Deliveries)
	column := func(of func(deliveryRound) float64) (values []float64) {
		for _, r := range rounds {
			values = append(values, of(r))
		}
		return values
	}
	r := b.report
	r.add(name, "to 1 endpoint per second ÷ no-op workflow + activity", "×", Target{AtLeast: 0.7}, column(func(r deliveryRound) float64 { return r.one / r.noop }))
	r.add(name, fmt.Sprintf("to %d endpoints per second ÷ no-op", manyEndpoints), "×", Target{AtLeast: 0.7}, column(func(r deliveryRound) float64 { return r.many / r.noop }))
	r.add(name, "no-op workflow + activity", "/s", Target{}, column(func(r deliveryRound) float64 { return r.noop }))
	r.add(name, "to 1 endpoint", "/s", Target{}, column(func(r deliveryRound) float64 { return r.one }))
	r.add(name, fmt.Sprintf("to %d endpoints", manyEndpoints), "/s", Target{}, column(func(r deliveryRound) float64 { return r.many }))
	r.add(name, "transactions per delivery", "", Target{}, column(func(r deliveryRound) float64 { return r.transactions }))
	r.add(name, "the worker's CPU per delivery", "ms", Target{}, column(func(r deliveryRound) float64 { return r.cpu.worker }))
	r.add(name, "CPU of Temporal and worker, delivery ÷ no-op", "×", Target{}, column(func(r deliveryRound) float64 { return r.effort }))
	r.add(name, "history events per delivery", "", Target{AtMost: 11}, column(func(r deliveryRound) float64 { return r.events }))
	r.add(name, fmt.Sprintf("idle, recorded → received, p50 of %d", idleEvents), "ms", Target{}, column(func(r deliveryRound) float64 { return median(r.idle) }))
	r.add(name, fmt.Sprintf("idle, recorded → received, p99 of %d", idleEvents), "ms", Target{AtMost: 1000}, column(func(r deliveryRound) float64 { return percentile(r.idle, 99) }))
	r.add(name, fmt.Sprintf("p99 with %d dead neighbours ÷ alone", deadEndpoints), "×", Target{AtMost: 1.5}, column(func(r deliveryRound) float64 {
		return percentile(r.crowded, 99) / percentile(r.alone, 99)
	}))
	r.add(name, "p99 alone", "ms", Target{}, column(func(r deliveryRound) float64 { return percentile(r.alone, 99) }))
	r.add(name, "p50 with dead neighbours ÷ alone", "×", Target{}, column(func(r deliveryRound) float64 { return median(r.crowded) / median(r.alone) }))
	for _, round := range rounds {
		r.raw("delivery idle ms", round.idle...)
		r.raw("delivery alone ms", round.alone...)
		r.raw("delivery with dead neighbours ms", round.crowded...)
	}
}
