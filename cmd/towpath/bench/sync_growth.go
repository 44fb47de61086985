package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
)

// pauseQuiet is how long nothing is settled until a run counts as paused.
const pauseQuiet = 8 * time.Second

// growth is what a run of some size measured against the simulator.
type growth struct {
	records   int
	cost      float64 // ms per record
	cpu       float64 // of it, the worker's own
	memory    float64 // MB of the worker, at most so far
	perRecord float64 // history events
}

// syncGrowth runs ever larger files into a simulated Odoo, which costs nothing
// itself: what is left is Towpath's own, and must not grow with the run.
func (b *bench) syncGrowth(ctx context.Context) error {
	in, err := b.up(ctx, local.Options{Out: b.Out, Odoo: odoosim.Options{Workers: 2}})
	if err != nil {
		return err
	}
	defer in.Close()
	changed := longAgo(time.Now())
	// The simulator compares every barcode with all others: that is not ours.
	plain := func(name string, from, n int) sheet {
		return productSheet(b.Seed, name, from, n, changed).without("barcode")
	}
	warm := plain("warm", 1, syncWarm)
	sheets, from := []sheet{warm}, 1+syncWarm
	for i, n := range []int{b.Records / 10, b.Records, 10 * b.Records} {
		sheets = append(sheets, plain(fmt.Sprintf("size-%d", i+1), from, n))
		from += n
	}
	w, err := b.syncUp(ctx, in, sheets...)
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := w.runSync(ctx, warm.name, "full"); err != nil {
		return err
	}
	var all []growth
	for _, s := range sheets[1:] {
		g, err := w.grown(ctx, s)
		if err != nil {
			return err
		}
		w.say("%d records: %.3f ms each, %.3f of it the worker's CPU; %.0f MB at most", g.records, g.cost, g.cpu, g.memory)
		all = append(all, g)
	}
	largest := sheets[len(sheets)-1]
	if err := largest.alter(1, time.Now()).deliver(w.folder); err != nil {
		return err
	}
	pause, err := w.pausing(ctx, largest.name, pauseQuiet)
	if err != nil {
		return err
	}
	b.tellGrowth(all, pause)
	return nil
}

func (w *syncWork) grown(ctx context.Context, s sheet) (g growth, err error) {
	own, err := startUsed(w.in.Worker[0].PID())
	if err != nil {
		return g, err
	}
	run, err := w.runSync(ctx, s.name, "full")
	if err != nil {
		return g, err
	}
	used, err1 := own.sofar()
	events, err2 := w.events(ctx, run.id)
	most, err3 := w.workerMemory()
	n := float64(len(s.rows))
	return growth{
		records: len(s.rows), cost: millis(run.took) / n, cpu: millis(used) / n, memory: most, perRecord: float64(events) / n,
	}, errors.Join(err1, err2, err3)
}

func (b *bench) tellGrowth(all []growth, pause time.Duration) {
	const name = "products from CSV into a simulated Odoo"
	r := b.report
	for _, g := range all {
		r.add(name, fmt.Sprintf("%d records", g.records), "ms/record", Target{}, []float64{g.cost})
		r.add(name, fmt.Sprintf("%d records, the worker's CPU", g.records), "ms/record", Target{}, []float64{g.cpu})
		r.add(name, fmt.Sprintf("%d records, worker's RSS at most", g.records), "MB", Target{}, []float64{g.memory})
	}
	middle, last := all[len(all)-2], all[len(all)-1]
	r.add(name, fmt.Sprintf("cost per record, %d ÷ %d", last.records, middle.records), "×", Target{AtMost: 1.2}, []float64{last.cost / middle.cost})
	r.add(name, fmt.Sprintf("memory, %d ÷ %d", last.records, middle.records), "×", Target{AtMost: 1.2}, []float64{last.memory / middle.memory})
	r.add(name, "history events per 1,000 records of the largest run", "", Target{AtMost: 1}, []float64{1000 * last.perRecord})
	r.add(name, "a pause takes effect", "s", Target{AtMost: 5}, []float64{pause.Seconds()})
}
