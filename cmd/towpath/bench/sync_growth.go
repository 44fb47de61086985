package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
)

// pauseQuiet is how long nothing is settled until a run counts as paused.
const pauseQuiet = 8 * time.Second

// pauseRecords is how many a run must have at least so that it can be paused in
// the middle.
const pauseRecords = 5000

// grown is what a run of some size measured against the simulator.
type grown struct {
	records   int
	cost      float64 // ms per record
	cpu       float64 // of it, the worker's own
	memory    float64 // MB of the worker, at most so far
	perRecord float64 // history events
}

// growth runs ever larger files into a simulated Odoo, whose share does not grow
// with its tables: what a record costs is Towpath's own, and must not grow with
// the run.
func (b *bench) growth(ctx context.Context) error {
	in, err := b.up(ctx, local.Options{Out: b.Out, Odoo: odoosim.Options{Workers: 2}})
	if err != nil {
		return err
	}
	defer in.Close()
	changed := longAgo(time.Now())
	warm := productSheet(b.Seed, "warm", 1, syncWarm, changed)
	sheets, from := []sheet{warm}, 1+syncWarm
	for i, n := range []int{b.Records / 10, b.Records, 10 * b.Records} {
		sheets = append(sheets, productSheet(b.Seed, fmt.Sprintf("size-%d", i+1), from, n, changed))
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
	var all []grown
	for _, s := range sheets[1:] {
		g, err := w.grow(ctx, s)
		if err != nil {
			return err
		}
		w.say("%d records: %.3f ms each, %.3f of it the worker's CPU; %.0f MB at most", g.records, g.cost, g.cpu, g.memory)
		all = append(all, g)
	}
	long := sheets[slices.IndexFunc(sheets, func(s sheet) bool { return len(s.rows) >= min(pauseRecords, 10*b.Records) })]
	if err := long.alter(1, time.Now()).deliver(w.folder); err != nil {
		return err
	}
	pause, err := w.pausing(ctx, long.name, pauseQuiet)
	if err != nil {
		return err
	}
	b.tellGrowth(all, pause)
	return nil
}

func (w *syncWork) grow(ctx context.Context, s sheet) (g grown, err error) {
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
	return grown{
		records: len(s.rows), cost: millis(run.took) / n, cpu: millis(used) / n, memory: most, perRecord: float64(events) / n,
	}, errors.Join(err1, err2, err3)
}

func (b *bench) tellGrowth(all []grown, pause time.Duration) {
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
