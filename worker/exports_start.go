package worker

import (
	"context"
	"slices"

	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// route gives new requests to the jobs that export their records. What no job
// exports is kept for a person, unless it was meant for an endpoint.
func (e *exports) route(ctx context.Context, open []store.ExportRequest, all []store.JobModels) (moved bool, err error) {
	for _, x := range open {
		if x.State != store.ExportWaiting || x.Job != "" {
			continue
		}
		moved = true
		found := exporting(all, x)
		if len(found) > 0 {
			if err := e.Store.RouteExport(ctx, x.ID, found); err != nil {
				return moved, err
			}
			continue
		}
		_, err := e.Store.Connection(ctx, x.System)
		switch {
		case fault.Is(err, fault.NotFound) && x.Told > 0:
			err = e.Store.LeaveExport(ctx, x.ID, "left to the endpoints that were told of it")
		case err == nil || fault.Is(err, fault.NotFound):
			err = e.notImplemented(ctx, []store.ExportRequest{x})
		}
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// exporting names the jobs that export the records of a request.
func exporting(all []store.JobModels, x store.ExportRequest) (names []string) {
	for _, j := range all {
		if j.Exports() && j.Source == x.Connection && j.Target == x.System && j.SourceModel == x.Model {
			names = append(names, j.Job)
		}
	}
	return names
}

// notImplemented parks requests that no job carries out.
func (e *exports) notImplemented(ctx context.Context, part []store.ExportRequest) error {
	x := part[0]
	f := jobs.NotImplemented(jobs.Export, x.Model, x.System).
		WithResolution("add a job with direction: export from %s to %s whose mapping reads %s to towpath.yaml, apply it, then: towpath sync exports again %s; or: towpath sync exports discard %s",
			x.Connection, x.System, x.Model, x.Event, x.Event)
	e.Log.Warn().Str("fault", f.Code).Str("event", x.Event).Str("connection", x.Connection).Str("system", x.System).Str("model", x.Model).
		Int("records", len(recordsOf(part))).Msg(f.Message + "; the request is parked")
	return e.Store.ParkExports(ctx, idsOf(part), f, "")
}

// start begins a run for the requests that wait for the same job, where the job
// is free, those first that others may refer to.
func (e *exports) start(ctx context.Context, open []store.ExportRequest, all []store.JobModels) (moved bool, err error) {
	waiting := map[string][]store.ExportRequest{}
	var names []string
	for _, x := range open {
		if x.State != store.ExportWaiting || x.Job == "" || len(waiting[x.Job]) == exportsPerRun {
			continue
		}
		if waiting[x.Job] == nil {
			names = append(names, x.Job)
		}
		waiting[x.Job] = append(waiting[x.Job], x)
	}
	for _, name := range names {
		part := waiting[name]
		if e.mustWait(part, open, all) {
			continue
		}
		free, err := e.free(ctx, name)
		if err != nil {
			return moved, err
		}
		if !free {
			continue
		}
		run := contract.ExportRunID(name, part[0].Event, part[0].Attempt+1)
		if err := e.Store.ClaimExports(ctx, idsOf(part), run); err != nil {
			return moved, err
		}
		moved = true
		failpoint.Here("export claimed")
		if part, err = e.Store.ExportsOfRun(ctx, run); err != nil {
			return moved, err
		}
		if err := e.begin(ctx, part, all); err != nil {
			return moved, err
		}
		failpoint.Here("export started")
	}
	return moved, nil
}

// begin starts the run of requests; of one that was started nothing changes.
func (e *exports) begin(ctx context.Context, part []store.ExportRequest, all []store.JobModels) error {
	x := part[0]
	if !slices.Contains(exporting(all, x), x.Job) { // switched off, or changed meanwhile
		return e.notImplemented(ctx, part)
	}
	if free, err := e.free(ctx, x.Job); err != nil || !free {
		return err
	}
	row, err := e.Store.Job(ctx, x.Job)
	if err != nil {
		return err
	}
	j, err := JobOf(row)
	if err != nil {
		return e.Store.ParkExports(ctx, idsOf(part), err, "")
	}
	in := contract.SyncInput{Job: x.Job, Mode: string(jobs.Incremental), Only: recordsOf(part), By: byOf(part), Reason: "Export to Connectors"}
	if _, err := e.Temporal.ExecuteWorkflow(ctx, SyncStart(j, in, x.Run), contract.SyncWorkflow, in); err != nil {
		return unreachable(e.Options, err)
	}
	e.Log.Info().Str("job", x.Job).Str("run", x.Run).Str("system", x.System).Str("model", x.Model).Int("requests", len(part)).
		Int("records", len(in.Only)).Msg("records chosen in Odoo are exported")
	return nil
}

// free tells whether no run of the job goes on. One whose workflow is gone is
// ended by the next.
func (e *exports) free(ctx context.Context, job string) (bool, error) {
	held, err := e.Store.RunningRun(ctx, job)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	alive, err := Alive(ctx, e.Temporal, e.Options, held.ID)
	return !alive, err
}

// mustWait tells whether records that these may refer to were chosen for the
// same system, too, and are not there yet. They do not wait for ever: others may
// be chosen all the time.
func (e *exports) mustWait(part, open []store.ExportRequest, all []store.JobModels) bool {
	if part[0].Age >= dependenciesFirst.Seconds() {
		return false
	}
	mine := rank(all, part[0].Job)
	return slices.ContainsFunc(open, func(x store.ExportRequest) bool {
		return x.Job != "" && x.Connection == part[0].Connection && x.System == part[0].System && rank(all, x.Job) < mine
	})
}

// ranks is the order in which kinds of records refer to each other.
var ranks = []jobs.Kind{jobs.Customer, jobs.Product, jobs.Price, jobs.Inventory, jobs.Order}

// rank orders jobs: customers, templates, what is bound as products, and so on.
func rank(all []store.JobModels, job string) int {
	i := slices.IndexFunc(all, func(j store.JobModels) bool { return j.Job == job })
	if i < 0 {
		return len(ranks) * 2
	}
	at := slices.Index(ranks, all[i].Kind) * 2
	if all[i].Binds == all[i].Kind { // variants refer to their templates, which are of the same kind
		at++
	}
	return at
}
