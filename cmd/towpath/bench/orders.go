package bench

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	"towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/scenario"
)

//go:embed batch.py
var batchScript string

const (
	warmOrders  = 5  // before the clock starts, on all sides
	naiveOrders = 60 // a sample: the client's pace does not change
	probeShare  = 3  // orders for the prober: a third of the timed ones
	maxRounds   = 2  // of orders: each is minutes
	idleFor     = 6 * time.Second
)

// orders measures webhooks in → orders created, proved and confirmed in a real
// Odoo 19, as its own database counts them, against a naive client and a batch
// inside Odoo's own process, which bring in the same content. Each side has a
// fresh database in the same cluster, and the machine for itself.
func (b *bench) orders(ctx context.Context) error {
	rounds := min(b.Rounds, maxRounds)
	for _, stocked := range []bool{false, true} {
		if b.Stock != "" && (b.Stock == "with") != stocked {
			continue
		}
		var all []ordersRound
		for n := range rounds {
			b.say("orders, round %d of %d, %s", n+1, rounds, stockName(stocked))
			r, err := b.ordersRound(ctx, stocked, n)
			if err != nil {
				return err
			}
			b.say("ms per order: towpath %.1f, naive client %.1f, batch %.1f; CPU: own %.1f, Temporal's %.1f; reads at p95: idle %.0f, busy %.0f",
				r.towpath, r.naive, r.batch, r.own, r.temporal, r.idle, r.busy)
			all = append(all, r)
		}
		b.tellOrders(stocked, all)
	}
	return nil
}

func stockName(stocked bool) string {
	if stocked {
		return "with stock on hand"
	}
	return "without stock"
}

// ordersRound is what one round measured.
type ordersRound struct {
	towpath, naive, batch float64 // ms per order
	own, temporal         float64 // CPU ms per order
	idle, busy            float64 // p95 of a colleague's read in ms
}

// sides of one round; each gives the digest of the orders it left.
func (b *bench) ordersRound(ctx context.Context, stocked bool, n int) (r ordersRound, err error) {
	port, err := stack.FreePort()
	if err != nil {
		return r, err
	}
	metrics := fmt.Sprintf("127.0.0.1:%d", port)
	in, err := b.up(ctx, local.Options{
		RealOdoo: true, Out: b.Out, Shop: simulator.Options{Parallel: 16}, Env: []string{"TOWPATH_METRICS_LISTEN=" + metrics},
	})
	if err != nil {
		return r, err
	}
	defer in.Close()
	w := &ordersWork{bench: b, in: in, metrics: "http://" + metrics + "/metrics", result: &r, name: fmt.Sprintf("orders-%t-%d", stocked, n+1)}
	if err := errors.Join(keepStock(ctx, in.RealOdoo.PGDSN, stocked), wake(ctx, in.RealOdoo.Odoo)); err != nil {
		return r, err
	}
	if err := w.throughTowpath(ctx); err != nil {
		return r, err
	}
	// The references get the machine for themselves.
	for _, p := range []*stack.Process{in.Worker[0], in.API, in.Temporal.Process, in.RealOdoo.Process} {
		if err := p.Kill(); err != nil {
			return r, err
		}
	}
	if err := w.throughNaive(ctx, stocked); err != nil {
		return r, err
	}
	return r, w.throughBatch(ctx, stocked)
}

type ordersWork struct {
	*bench
	in      *local.Installation
	metrics string // the worker's
	result  *ordersRound
	name    string
	content content
}

// throughTowpath sends the webhooks and waits until Odoo's database holds all
// orders, confirmed, and nothing is pending. A further third of the orders
// follows with a colleague reading beside.
func (w *ordersWork) throughTowpath(ctx context.Context) error {
	timed := warmOrders + w.Orders
	day := scenario.Bench(w.Seed, timed+w.Orders/probeShare, scenario.Options{Start: time.Now().Add(-time.Minute).UTC().Truncate(time.Second)})
	parts := split(day, warmOrders, timed)
	if err := w.bring(ctx, parts[0], "warming up"); err != nil {
		return err
	}
	colleague := &prober{url: w.in.RealOdoo.URL, db: w.in.RealOdoo.DB}
	idle, err := colleague.idle(ctx, idleFor)
	if err != nil {
		return err
	}
	stop, err := w.profiled(ctx, w.in, w.name)
	if err != nil {
		return err
	}
	own, err1 := startUsed(w.in.API.PID(), w.in.Worker[0].PID())
	temporal, err2 := startUsed(w.in.Temporal.PID())
	before, err3 := callsSoFar(ctx, w.metrics)
	idle0, all0, err4 := idleSoFar()
	began := time.Now()
	if err := errors.Join(err1, err2, err3, err4, w.bring(ctx, parts[1], w.name)); err != nil {
		return err
	}
	took := time.Since(began)
	idle1, all1, err1 := idleSoFar()
	after, err2 := callsSoFar(ctx, w.metrics)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	w.tellCalls(before, after, float64(w.Orders), took)
	w.say("the machine was idle %.0f %% of the time", 100*float64(idle1-idle0)/float64(all1-all0))
	ownUsed, err1 := own.sofar()
	temporalUsed, err2 := temporal.sofar()
	if err := errors.Join(err1, err2, stop()); err != nil {
		return err
	}
	n := float64(w.Orders)
	w.result.towpath, w.result.own, w.result.temporal = millis(took)/n, millis(ownUsed)/n, millis(temporalUsed)/n

	watching, end := context.WithCancel(ctx)
	var busy []float64
	watched := make(chan error, 1)
	go func() { var err error; busy, err = colleague.watch(watching); watched <- err }()
	err = w.bring(ctx, parts[2], w.name+", a colleague reads")
	end()
	if err := errors.Join(err, <-watched); err != nil {
		return err
	}
	w.result.idle, w.result.busy = percentile(idle, 95), percentile(busy, 95)
	w.report.raw(w.name+" idle reads ms", idle...)
	w.report.raw(w.name+" reads beside orders ms", busy...)

	proof, err := w.in.Prove(ctx, day.Expect, false)
	if err != nil {
		return err
	}
	w.report.same(w.name+", shop and Odoo", proof.OK(), fmt.Sprintf("%d orders proved; %v", proof.Found, proof.Wrong[:min(3, len(proof.Wrong))]))
	return w.keepContent(ctx, day, timed)
}

// part is some orders' deliveries, and how many of them must be confirmed
// once they are dealt with.
type part struct {
	deliveries []simulator.Delivery
	orders     int
	confirmed  int // of these and all parts before
}

// split cuts a day into parts at the given numbers of orders.
func split(day scenario.Scenario, cuts ...int) []part {
	parts := make([]part, len(cuts)+1)
	of := map[int64]int{}
	for i, e := range day.Expect { // sorted by order id, which is the order of sale
		n := 0
		for n < len(cuts) && i >= cuts[n] {
			n++
		}
		of[e.OrderID] = n
		parts[n].orders++
		if e.End == scenario.Imported {
			parts[n].confirmed++
		}
	}
	for _, d := range day.Deliveries {
		p := &parts[of[d.OrderID]]
		p.deliveries = append(p.deliveries, d.Delivery)
	}
	for i := range parts[1:] {
		parts[i+1].confirmed += parts[i].confirmed
	}
	return parts
}

// bring sends a part and returns when it is done.
func (w *ordersWork) bring(ctx context.Context, p part, what string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	bar := w.Bar(p.confirmed, what)
	defer func() { _ = bar.Finish() }()
	for _, r := range w.in.Shop.Deliver(ctx, p.deliveries, nil) {
		if !r.OK() {
			return fmt.Errorf("a webhook was answered %d: %w", r.Status, r.Err)
		}
	}
	for {
		confirmed, err := w.in.RealOdoo.Confirmed(ctx)
		if err != nil {
			return err
		}
		_ = bar.Set(min(confirmed, p.confirmed))
		if confirmed >= p.confirmed {
			// All are there; edits and poisoned ones may still be on their way.
			busy, _, err := w.in.Store.Busy(ctx, local.ShopName)
			if err != nil || busy == 0 {
				return err
			}
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil { // a look costs, too
			return fmt.Errorf("%d of %d orders are confirmed: %w", confirmed, p.confirmed, err)
		}
	}
}

// keepContent reads back what was timed, for the references. Orders of the
// last part are left out.
func (w *ordersWork) keepContent(ctx context.Context, day scenario.Scenario, timed int) error {
	late, edited := map[string]bool{}, map[string]bool{}
	name := map[int64]string{}
	for i, e := range day.Expect {
		name[e.OrderID] = e.Name
		late[e.Name] = i >= timed
	}
	for _, d := range day.Deliveries {
		if d.Topic == simulator.TopicUpdated {
			edited[name[d.OrderID]] = true
		}
	}
	all, err := readContent(ctx, w.in.RealOdoo, edited, warmOrders)
	if err != nil {
		return err
	}
	kept := all.Orders[:0]
	for _, o := range all.Orders {
		if !late[o.Ref] {
			kept = append(kept, o)
		}
	}
	all.Orders = kept
	w.content = all
	return nil
}

// throughNaive lets the hand-written client bring in a sample.
func (w *ordersWork) throughNaive(ctx context.Context, stocked bool) error {
	odoo, err := w.in.Stack.Odoo(ctx, stack.OdooOptions{DB: "naive", Workers: 2})
	if err != nil {
		return err
	}
	if err := errors.Join(keepStock(ctx, odoo.PGDSN, stocked), wake(ctx, odoo)); err != nil {
		return err
	}
	client, err := newNaive(odoo, w.content)
	if err != nil {
		return err
	}
	sample := min(naiveOrders, w.Orders)
	bar := w.Bar(sample, w.name+", naive client")
	ms, err := client.run(ctx, sample, func() { _ = bar.Add(1) })
	_ = bar.Finish()
	if err != nil {
		return err
	}
	sum := 0.0
	for _, m := range ms {
		sum += m
	}
	w.result.naive = sum / float64(len(ms))
	w.report.raw(w.name+" naive ms", ms...)
	if err := odoo.Stop(); err != nil {
		return err
	}
	return w.compare(ctx, "naive client", odoo.PGDSN, w.content.refs(warmOrders+sample))
}

// throughBatch lets Odoo bring in the same inside one process.
func (w *ordersWork) throughBatch(ctx context.Context, stocked bool) error {
	const db = "batch"
	if err := w.in.Stack.OdooDatabase(ctx, db); err != nil {
		return err
	}
	if err := keepStock(ctx, w.in.PG.DSN(db), stocked); err != nil {
		return err
	}
	raw, err := json.Marshal(w.content)
	if err != nil {
		return err
	}
	dir, err := w.in.Stack.OdooShell(ctx, db, batchScript, map[string][]byte{"content.json": raw})
	if err != nil {
		return err
	}
	var result struct {
		Seconds float64
		Orders  int
	}
	out, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return err
	}
	w.result.batch = 1000 * result.Seconds / float64(result.Orders)
	return w.compare(ctx, "batch in Odoo", w.in.PG.DSN(db), w.content.refs(len(w.content.Orders)))
}

func (w *ordersWork) compare(ctx context.Context, with, dsn string, refs []string) error {
	ours, err1 := digest(ctx, w.in.RealOdoo.PGDSN, refs)
	theirs, err2 := digest(ctx, dsn, refs)
	w.report.same(w.name+", towpath and "+with, ours == theirs, ours+" and "+theirs)
	return errors.Join(err1, err2)
}

func (b *bench) tellOrders(stocked bool, rounds []ordersRound) {
	name := fmt.Sprintf("%d orders into real Odoo 19, %s", b.Orders, stockName(stocked))
	column := func(of func(ordersRound) float64) (values []float64) {
		for _, r := range rounds {
			values = append(values, of(r))
		}
		return values
	}
	r := b.report
	r.add(name, "speed ÷ naive client", "×", Target{AtLeast: 5}, column(func(r ordersRound) float64 { return r.naive / r.towpath }))
	r.add(name, "speed ÷ batch in Odoo's own process", "×", Target{AtLeast: 0.9}, column(func(r ordersRound) float64 { return r.batch / r.towpath }))
	r.add(name, "own CPU per order (api + worker)", "ms", Target{AtMost: 6}, column(func(r ordersRound) float64 { return r.own }))
	r.add(name, "Temporal's CPU per order", "ms", Target{AtMost: 25}, column(func(r ordersRound) float64 { return r.temporal }))
	r.add(name, "a colleague's read, p95 ÷ idle p95", "×", Target{AtMost: 2}, column(func(r ordersRound) float64 { return r.busy / r.idle }))
	r.add(name, "towpath", "ms/order", Target{}, column(func(r ordersRound) float64 { return r.towpath }))
	r.add(name, "batch in Odoo's own process", "ms/order", Target{}, column(func(r ordersRound) float64 { return r.batch }))
	r.add(name, "naive client", "ms/order", Target{}, column(func(r ordersRound) float64 { return r.naive }))
	r.add(name, "a colleague's read, p95 beside orders", "ms", Target{}, column(func(r ordersRound) float64 { return r.busy }))
}
