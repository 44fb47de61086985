package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
)

const (
	// exportsEvery is how often requests are looked for that nobody nudged about.
	exportsEvery = 5 * time.Second
	// exportsBusy is how often those are looked at that are under way.
	exportsBusy = time.Second
	// exportsPerRun is how many requests one run carries out at most; each names 50
	// records at most.
	exportsPerRun = 100
	// dependenciesFirst is how long records wait for those that they may refer to
	// and that were chosen, too. After that they go ahead: what they refer to and
	// is not there yet, their run parks or waits for as any other.
	dependenciesFirst = 5 * time.Minute
	// mostAttempts are the runs of a request that could not begin, each of which
	// tried for some six minutes, before a person is asked: four hours.
	mostAttempts = 40
)

// exports carries out what people in Odoo chose to be exported. The requests
// rest in PostgreSQL, stored with their events; which run carries which of them
// out is written down before the run is started, so that a worker that dies in
// between costs nothing but time.
type exports struct {
	*process
	nudges chan struct{}
	failed bool
}

// nudge says that there are requests; it never blocks.
func (e *exports) nudge() {
	select {
	case e.nudges <- struct{}{}:
	default:
	}
}

func (e *exports) run(ctx context.Context) {
	for {
		wait, err := e.round(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if f := fault.Of(err); !e.failed {
				e.Log.Warn().Str("fault", f.Code).Str("cause", f.Message).Msg("what was chosen in Odoo is not exported at the moment; it waits")
			}
			wait = exportsEvery
		case e.failed:
			e.Log.Info().Msg("what was chosen in Odoo is exported again")
		}
		e.failed = err != nil
		select {
		case <-ctx.Done():
			return
		case <-e.nudges:
		case <-time.After(wait):
		}
	}
}

// round brings every open request as far as it can be now, and says when it is
// to be called again. One process at a time does: requests that came together
// are to be one run.
func (e *exports) round(ctx context.Context) (time.Duration, error) {
	if some, err := e.Store.SomeOpenExports(ctx); err != nil || !some {
		return exportsEvery, err
	}
	lock, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	release, err := e.Store.Slots().Acquire(lock, "exports", 1)
	cancel()
	if err != nil && fault.Of(err).Code == "store.no_slot" {
		return exportsBusy, nil
	}
	if err != nil {
		return exportsEvery, err
	}
	defer release()
	all, err := e.Store.JobModels(ctx)
	if err != nil {
		return exportsEvery, err
	}
	read := func() ([]store.ExportRequest, error) { return e.Store.OpenExports(ctx) }
	return exportsBusy, inSteps(ctx, read, all, e.settle, e.route, e.start)
}

// inSteps reads the open requests once, and once more after each step that has
// moved any.
func inSteps(ctx context.Context, read func() ([]store.ExportRequest, error), all []store.JobModels, steps ...exportStep) error {
	stale := true
	var open []store.ExportRequest
	for _, step := range steps {
		var err error
		if stale {
			open, err = read()
		}
		if err == nil {
			stale, err = step(ctx, open, all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exportStep brings some of the open requests further. moved says whether any
// stands otherwise than it did.
type exportStep func(ctx context.Context, open []store.ExportRequest, all []store.JobModels) (moved bool, err error)

// settle ends the requests whose run has ended.
func (e *exports) settle(ctx context.Context, open []store.ExportRequest, all []store.JobModels) (moved bool, err error) {
	for _, run := range runsOf(open) {
		part := slices.DeleteFunc(slices.Clone(open), func(x store.ExportRequest) bool { return x.Run != run || x.State != store.ExportRunning })
		alive, err := Alive(ctx, e.Temporal, e.Options, run)
		if err != nil {
			return moved, err
		}
		if alive {
			continue
		}
		moved = true
		// Asked in this order, a run that is gone by now has written down how it ended.
		r, err := e.Store.Run(ctx, run)
		switch {
		case fault.Is(err, fault.NotFound): // a worker died before it was started, or another run of the job held the lease
			err = e.begin(ctx, part, all)
		case err == nil:
			err = e.ended(ctx, r, part)
		}
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// mayBegin tells whether a run that was never opened may be opened another time:
// what it could not get over in its own minutes of trying was an outage.
func (e *exports) mayBegin(ctx context.Context, r store.Run) bool {
	if r.Status != string(jobs.Failed) || string(r.Plan) != "{}" && len(r.Plan) > 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := e.Temporal.GetWorkflow(ctx, r.ID, "").Get(ctx, nil)
	var app *temporal.ApplicationError
	var late *temporal.TimeoutError
	return errors.As(err, &late) || errors.As(err, &app) && !app.NonRetryable()
}

func runsOf(open []store.ExportRequest) (runs []string) {
	for _, x := range open {
		if x.State == store.ExportRunning && !slices.Contains(runs, x.Run) {
			runs = append(runs, x.Run)
		}
	}
	return runs
}

// ended writes down what became of the requests of a run whose workflow is gone.
func (e *exports) ended(ctx context.Context, r store.Run, part []store.ExportRequest) error {
	named := map[string]int64{}
	if r.EndedAt.Valid {
		_ = json.Unmarshal(r.Counts, &named)
	}
	c := jobs.CountsOf(named)
	words, warn := c.ExportWords(len(recordsOf(part)))
	log := e.Log.Info()
	if warn {
		log = e.Log.Warn()
	}
	log = log.Str("job", r.Job).Str("run", r.ID).Str("system", part[0].System).Str("model", part[0].Model).Str("result", words)
	switch jobs.Status(r.Status) {
	case jobs.Success, jobs.Partial:
		log.Msg("chosen records were exported")
		return e.Store.SettleExports(ctx, r.ID, words, named)
	case jobs.Running:
		log.Msg("a run that exports chosen records is gone; they are parked")
		return e.Store.ParkExports(ctx, idsOf(part), fault.New(fault.Conflict, "export.run_lost", "the run that exports the records ended without a word (terminated, or timed out)").
			WithResolution("see what it did: towpath sync show %s; then: towpath sync exports again %s", r.ID, part[0].Event), "")
	}
	if part[0].Attempt < mostAttempts && e.mayBegin(ctx, r) {
		log.Str("cause", r.Sentence).Msg("a run that exports chosen records could not begin; it is tried again")
		return e.Store.ReleaseExports(ctx, r.ID)
	}
	log.Str("status", r.Status).Str("cause", r.Sentence).Msg("chosen records were not exported; they are parked")
	return e.Store.ParkExports(ctx, idsOf(part), fault.New(fault.Conflict, "export.run_ended", "the run that exports the records ended as %s: %s", r.Status, r.Sentence).
		WithResolution("mend what it says (towpath sync show %s), then: towpath sync exports again %s", r.ID, part[0].Event), words)
}

func idsOf(part []store.ExportRequest) (ids []int64) {
	for _, x := range part {
		ids = append(ids, x.ID)
	}
	return ids
}

// recordsOf are the records of requests, each once.
func recordsOf(part []store.ExportRequest) (ids []string) {
	seen := map[string]bool{}
	for _, x := range part {
		for _, id := range x.IDs {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// byOf says who asked: the first, and how many others.
func byOf(part []store.ExportRequest) string {
	var who []string
	for _, x := range part {
		if x.By != "" && !slices.Contains(who, x.By) {
			who = append(who, x.By)
		}
	}
	if len(who) > 3 {
		who = append(who[:3], "others")
	}
	return cmp.Or(strings.Join(who, ", "), part[0].Connection)
}
