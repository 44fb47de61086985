package worker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
)

// offerAgain is how soon a system is told again that did not take it.
const offerAgain = time.Minute

// offers tells a connection which systems its records can be exported to, so
// that people there can choose one: when its puller starts, and when that
// changes. Nothing rests on it but the list.
type offers struct {
	*process
	connection string
	told       []byte // since this puller began; nil: nothing yet
	looked     time.Time
	notBefore  time.Time
	failed     bool
}

func (o *offers) tell(ctx context.Context) {
	now := time.Now()
	if now.Before(o.notBefore) || now.Sub(o.looked) < pullEvery-time.Second { // nudges are many
		return
	}
	o.looked = now
	err := o.bring(ctx)
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
		o.Log.Warn().Str("connection", o.connection).Str("fault", f.Code).Str("cause", f.Message).Msg("the list of systems to export to cannot be brought; events are read all the same")
	}
	o.failed = true
}

func (o *offers) bring(ctx context.Context) error {
	door, err := o.Activities.Pool.Get(ctx, o.connection)
	if err != nil {
		return err
	}
	desk, ok := door.(connectors.ExportDesk)
	if !ok || !desk.TakesExports() {
		return nil
	}
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
func (o *offers) systems(ctx context.Context) ([]connectors.ExportSystem, error) {
	all, err := o.Store.JobModels(ctx)
	if err != nil {
		return nil, err
	}
	last, err := o.Store.LastExports(ctx, o.connection)
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
		s := connectors.ExportSystem{Connection: name, Models: list}
		if at, ok := last[name]; ok {
			at = at.Truncate(time.Second)
			s.Last = &at
		}
		systems = append(systems, s)
	}
	slices.SortFunc(systems, func(a, b connectors.ExportSystem) int { return cmp.Compare(a.Connection, b.Connection) })
	return systems, nil
}
