package worker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
)

// offerAgain is how soon a system is told again that did not take it.
const offerAgain = time.Minute

// exportDesk tells a connection which systems its records can be exported to, so
// that people there can choose one: when its puller starts, and when that
// changes. And it tells them what became of what they chose. No event and no
// export rests on it.
type exportDesk struct {
	*process
	connection string
	told       []byte // since this puller began; nil: nothing yet
	looked     time.Time
	notBefore  time.Time
	failed     bool

	busy   sync.Mutex // held while the system is told
	beside sync.WaitGroup
}

// tell does it beside the events: they do not wait for a system that takes its
// time. Who is being told is told again later.
func (o *exportDesk) tell(ctx context.Context) {
	if o.busy.TryLock() {
		o.beside.Go(func() {
			defer o.busy.Unlock()
			o.tellNow(ctx)
		})
	}
}

func (o *exportDesk) tellNow(ctx context.Context) {
	now := time.Now()
	if now.Before(o.notBefore) || now.Sub(o.looked) < pullEvery-time.Second { // nudges are many
		return
	}
	o.looked = now
	err := o.serve(ctx)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		o.failed = false
		return
	}
	f := fault.Of(err)
	if o.notBefore = now.Add(offerAgain); f.Kind == fault.Unsupported {
		o.notBefore = now.Add(time.Hour) // the module may be updated
	}
	if !o.failed {
		o.Log.Warn().Str("connection", o.connection).Str("fault", f.Code).Str("cause", f.Message).Msg("people cannot be told of exports at the moment; events are read all the same")
	}
	o.failed = true
}

func (o *exportDesk) serve(ctx context.Context) error {
	door, err := o.Activities.Pool.Get(ctx, o.connection)
	if err != nil {
		return err
	}
	desk, ok := door.(connectors.ExportDesk)
	if !ok || !desk.TakesExports() {
		return nil
	}
	if err := o.offer(ctx, desk); err != nil {
		return err
	}
	return o.report(ctx, desk)
}

func (o *exportDesk) offer(ctx context.Context, desk connectors.ExportDesk) error {
	systems, err := o.systems(ctx)
	if err != nil {
		return err
	}
	now, err := json.Marshal(systems)
	if err != nil || bytes.Equal(now, o.told) {
		return err
	}
	if o.told == nil && len(systems) == 0 {
		// Nothing to tell, and nothing to take back: a list that somebody keeps by
		// hand, for endpoints that carry exports out, stays.
		before, err := o.Store.ExportOffer(ctx, o.connection)
		if err != nil || len(before) == 0 || string(before) == "[]" {
			return err
		}
	}
	if err := desk.OfferExports(ctx, systems); err != nil {
		return err
	}
	o.told = now
	o.Log.Info().Str("connection", o.connection).Int("systems", len(systems)).Msg("the list of systems to export to is told")
	return o.Store.PutExportOffer(ctx, o.connection, now)
}

// systems are the connections that active jobs export to from this one, with its
// models that they carry.
func (o *exportDesk) systems(ctx context.Context) ([]connectors.ExportSystem, error) {
	all, err := o.Store.JobModels(ctx)
	if err != nil {
		return nil, err
	}
	models := map[string][]string{}
	for _, j := range all {
		if j.Exports() && j.Source == o.connection && !slices.Contains(models[j.Target], j.SourceModel) {
			models[j.Target] = append(models[j.Target], j.SourceModel)
		}
	}
	systems := []connectors.ExportSystem{}
	for name, list := range models {
		slices.Sort(list)
		systems = append(systems, connectors.ExportSystem{Connection: name, Models: list})
	}
	slices.SortFunc(systems, func(a, b connectors.ExportSystem) int { return cmp.Compare(a.Connection, b.Connection) })
	return systems, nil
}

// report tells people what became of what they chose. What the system cannot
// tell them stands in towpath sync exports list all the same.
func (o *exportDesk) report(ctx context.Context, desk connectors.ExportDesk) error {
	ended, err := o.Store.UnreportedExports(ctx, o.connection)
	if err != nil || len(ended) == 0 {
		return err
	}
	if reports := reportsOf(ended); len(reports) > 0 {
		if err := desk.ReportExports(ctx, reports); err != nil && !fault.Is(err, fault.Unsupported) {
			return err
		}
	}
	return o.Store.ReportedExports(ctx, ended)
}

// reportsOf puts together what one person chose and one run did, or what was
// parked for the same cause. The numbers are the run's, also where several people
// chose what it exported.
func reportsOf(ended []store.ExportRequest) (reports []connectors.ExportReport) {
	type group struct{ run, code, asker, system, model string }
	at, chosen := map[group]int{}, map[string][]store.ExportRequest{}
	for _, x := range ended {
		chosen[x.Run] = append(chosen[x.Run], x)
	}
	for _, x := range ended {
		if x.State == store.ExportDone && x.Run == "" || x.System == "" { // of an endpoint; or not readable
			continue
		}
		g := group{x.Run, x.Code, x.Asker, x.System, x.Model}
		i, known := at[g]
		if !known {
			i, at[g] = len(reports), len(reports)
			reports = append(reports, connectors.ExportReport{Connection: x.System, Model: x.Model, Asker: x.Asker})
		}
		r := &reports[i]
		if x.State == store.ExportParked {
			r.Errors, r.Cause = r.Errors+int64(len(x.IDs)), x.Message
			continue
		}
		var named map[string]int64
		_ = json.Unmarshal(x.Counts, &named)
		c := jobs.CountsOf(named)
		r.Exported, r.Created, r.Skipped = c.Succeeded(), c.Created, c.SkippedAll()
		r.Errors = c.Errors() + c.Missing(len(recordsOf(chosen[x.Run])))
	}
	return reports
}
