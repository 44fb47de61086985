package bench

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
)

//go:embed load.py
var loadScript string

const (
	syncWarm     = 100 // records of each kind before the clock starts
	loadTrial    = 1000
	idleRuns     = 3 // incremental runs with nothing changed: each is short
	alteredEvery = 100
)

// sync measures the sync engine: CSV files into a real Odoo 19 against `load`
// of the same rows inside Odoo's own process.
func (b *bench) sync(ctx context.Context) error {
	var all []syncRound
	for n := range min(b.Rounds, maxRounds) {
		b.say("sync, round %d", n+1)
		r, err := b.syncRound(ctx, n)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	b.tellSync(all)
	return nil
}

// syncRound is what one round with a real Odoo measured, by kind of record.
type syncRound struct {
	ours, small, load map[string]float64 // ms per record: all, of a tenth of them, inside Odoo
	full, nothing     float64            // s: a full run that writes all, and one that finds nothing changed
	idle, altered     float64            // s: incremental runs with nothing and with 1 % changed
	memory            float64            // MB of the worker, at most
}

var syncKinds = []string{"product", "customer"}

func (b *bench) syncSheets(kind, name string, from, n int, changed time.Time) sheet {
	if kind == "customer" {
		return customerSheet(b.Seed, name, from, n, changed)
	}
	return productSheet(b.Seed, name, from, n, changed)
}

func (b *bench) syncRound(ctx context.Context, n int) (r syncRound, err error) {
	r = syncRound{ours: map[string]float64{}, small: map[string]float64{}, load: map[string]float64{}}
	in, err := b.up(ctx, local.Options{RealOdoo: true, Out: b.Out})
	if err != nil {
		return r, err
	}
	defer in.Close()
	if err := wake(ctx, in.RealOdoo.Odoo); err != nil {
		return r, err
	}
	changed := longAgo(time.Now())
	var warm, small, whole []sheet
	for _, kind := range syncKinds {
		warm = append(warm, b.syncSheets(kind, kind+"-warm", 1, syncWarm, changed))
		small = append(small, b.syncSheets(kind, kind+"-small", 1+syncWarm, b.Records/10, changed))
		whole = append(whole, b.syncSheets(kind, kind+"-all", 1+syncWarm+b.Records/10, b.Records, changed))
	}
	w, err := b.syncUp(ctx, in, append(append(append([]sheet(nil), warm...), small...), whole...)...)
	if err != nil {
		return r, err
	}
	defer w.close()
	name := fmt.Sprintf("sync-%d", n+1)
	if err := w.throughTowpath(ctx, name, warm, small, whole, &r); err != nil {
		return r, err
	}
	// The reference gets the machine for itself.
	for _, p := range []*stack.Process{in.Worker[0], in.API, in.Temporal.Process, in.RealOdoo.Process} {
		if err := p.Kill(); err != nil {
			return r, err
		}
	}
	return r, w.throughLoad(ctx, name, whole, &r)
}

// throughTowpath runs the jobs: what is measured against load first, then the
// runs that find little or nothing to do.
func (w *syncWork) throughTowpath(ctx context.Context, name string, warm, small, whole []sheet, r *syncRound) error {
	for _, s := range warm {
		if _, err := w.runSync(ctx, s.name, "full"); err != nil {
			return err
		}
	}
	stop, err := w.profiled(ctx, w.in, name)
	if err != nil {
		return err
	}
	for i, kind := range syncKinds {
		few, err := w.runSync(ctx, small[i].name, "full")
		if err != nil {
			return err
		}
		all, err := w.runSync(ctx, whole[i].name, "full")
		if err != nil {
			return err
		}
		r.small[kind], r.ours[kind] = millis(few.took)/float64(len(small[i].rows)), millis(all.took)/float64(len(whole[i].rows))
		if kind == syncKinds[0] {
			r.full = all.took.Seconds()
		}
		w.say("%s: %.2f ms per record, %.2f in the small run", kind, r.ours[kind], r.small[kind])
	}
	if err := stop(); err != nil {
		return err
	}
	if err := w.keepSyncDigests(ctx, name, whole); err != nil {
		return err
	}
	if err := w.littleToDo(ctx, whole[0], r); err != nil {
		return err
	}
	r.memory, err = w.workerMemory()
	return err
}

// littleToDo measures runs over the same records with nothing changed, and with
// one in a hundred changed.
func (w *syncWork) littleToDo(ctx context.Context, s sheet, r *syncRound) error {
	again, err := w.runSync(ctx, s.name, "full")
	if err != nil {
		return err
	}
	r.nothing = again.took.Seconds()
	var idle []float64
	for range idleRuns {
		run, err := w.runSync(ctx, s.name, "incremental")
		if err != nil {
			return err
		}
		idle = append(idle, run.took.Seconds())
	}
	r.idle = median(idle)
	if err := s.alter(alteredEvery, time.Now()).deliver(w.folder); err != nil {
		return err
	}
	few, err := w.runSync(ctx, s.name, "incremental")
	r.altered = few.took.Seconds()
	w.say("nothing changed: full %.1f s, incremental %.2f s; 1 %% changed: %.2f s", r.nothing, r.idle, r.altered)
	return err
}

// keepSyncDigests remembers what Odoo holds now, for the comparison.
func (w *syncWork) keepSyncDigests(ctx context.Context, name string, whole []sheet) error {
	w.digests = map[string]string{}
	for _, s := range whole {
		d, err := rowsDigest(ctx, w.in.RealOdoo.PGDSN, s)
		if err != nil {
			return err
		}
		w.digests[s.name] = d
		want := fmt.Sprintf("%d rows", len(s.rows))
		w.report.same(name+", file and Odoo, "+s.name, len(d) > len(want) && d[:len(want)] == want, d+" for "+want)
	}
	return nil
}

// throughLoad lets Odoo bring in the same rows inside one process.
func (w *syncWork) throughLoad(ctx context.Context, name string, whole []sheet, r *syncRound) error {
	const db = "batch"
	if err := w.in.Stack.OdooDatabase(ctx, db); err != nil {
		return err
	}
	results, err := w.load(ctx, db, whole)
	if err != nil {
		return err
	}
	for _, s := range whole {
		got := results[s.name]
		r.load[s.kind] = 1000 * got.Seconds / float64(got.Rows)
		w.say("load in Odoo, %s: %.2f ms per record in batches of %d; tried: %v", s.kind, r.load[s.kind], got.Batch, got.Tried)
		theirs, err := rowsDigest(ctx, w.in.PG.DSN(db), s)
		if err != nil {
			return err
		}
		w.report.same(name+", towpath and load in Odoo, "+s.name, w.digests[s.name] == theirs, w.digests[s.name]+" and "+theirs)
	}
	return nil
}

// loaded is what load.py tells of a sheet.
type loaded struct {
	Seconds float64
	Rows    int
	Batch   int
	Tried   map[string]float64 // ms per record by batch size
}

func (w *syncWork) load(ctx context.Context, db string, sheets []sheet) (map[string]loaded, error) {
	type work struct {
		Name   string     `json:"name"`
		Model  string     `json:"model"`
		Fields []string   `json:"fields"`
		Rows   [][]string `json:"rows"`
	}
	var all []work
	for _, s := range sheets {
		fields, rows := s.loadRows()
		all = append(all, work{Name: s.name, Model: s.model, Fields: fields, Rows: rows})
	}
	raw, err := json.Marshal(map[string]any{"sheets": all, "trial": loadTrial})
	if err != nil {
		return nil, err
	}
	dir, err := w.in.Stack.OdooShell(ctx, db, loadScript, map[string][]byte{"rows.json": raw})
	if err != nil {
		return nil, err
	}
	out, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		return nil, err
	}
	results := map[string]loaded{}
	return results, json.Unmarshal(out, &results)
}

func (b *bench) tellSync(rounds []syncRound) {
	name := fmt.Sprintf("%d products and %d customers from CSV into real Odoo 19", b.Records, b.Records)
	column := func(of func(syncRound) float64) (values []float64) {
		for _, r := range rounds {
			values = append(values, of(r))
		}
		return values
	}
	r := b.report
	for _, kind := range syncKinds {
		r.add(name, kind+"s per second ÷ load inside Odoo", "×", Target{AtLeast: 0.9}, column(func(r syncRound) float64 { return r.load[kind] / r.ours[kind] }))
		r.add(name, kind+"s, towpath", "ms/record", Target{}, column(func(r syncRound) float64 { return r.ours[kind] }))
		r.add(name, kind+"s, towpath, a tenth of them", "ms/record", Target{}, column(func(r syncRound) float64 { return r.small[kind] }))
		r.add(name, kind+"s, load inside Odoo", "ms/record", Target{}, column(func(r syncRound) float64 { return r.load[kind] }))
	}
	r.add(name, "full run ÷ incremental run with nothing changed", "×", Target{AtLeast: 20}, column(func(r syncRound) float64 { return r.full / r.idle }))
	r.add(name, "full run ÷ full run with nothing changed", "×", Target{AtLeast: 5}, column(func(r syncRound) float64 { return r.full / r.nothing }))
	r.add(name, "incremental run with 1 % changed", "s", Target{}, column(func(r syncRound) float64 { return r.altered }))
	r.add(name, "worker's RSS at most", "MB", Target{}, column(func(r syncRound) float64 { return r.memory }))
}
