package activities

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// Syncs are the activities of the Sync workflow: one run of one job, in three
// steps. All that a run learns rests in PostgreSQL; its history holds counts.
//
//	OpenSync   takes the job's lease, fixes window and lanes
//	SyncPages  reads, maps, matches, merges, writes and settles, page by page
//	ProveSync  compares what was done with what the source says it has
type Syncs struct {
	Deps
	guard identityGuard
	// Alive tells whether the workflow that holds a job's lease still runs. Nil
	// believes that it does.
	Alive func(ctx context.Context, workflowID string) (bool, error)
}

// NewSyncs wires the activities of sync runs.
func NewSyncs(d Deps) *Syncs {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Uncertainty == 0 {
		d.Uncertainty = 130 * time.Second
	}
	return &Syncs{Deps: d}
}

// OpenSync opens a run, or finds it open: its window is fixed by the source's
// own clock, once, however often it is asked for.
func (s *Syncs) OpenSync(ctx context.Context, in contract.SyncOpen) (contract.SyncOpened, error) {
	defer beat(ctx)()
	opened, err := s.open(ctx, in)
	return opened, toTemporal(err)
}

func (s *Syncs) open(ctx context.Context, in contract.SyncOpen) (contract.SyncOpened, error) {
	run, err := s.Store.Run(ctx, in.Run)
	if fault.Is(err, fault.NotFound) {
		run, err = s.begin(ctx, in)
	}
	if err != nil {
		return contract.SyncOpened{}, err
	}
	r, err := s.load(ctx, run)
	if err != nil {
		return contract.SyncOpened{}, err
	}
	return contract.SyncOpened{
		Source: r.row.Source, Target: r.row.Target, Kind: string(r.row.Kind), Mode: run.Mode,
		Lanes: len(r.plan.Lanes), Counted: run.CountedBefore,
	}, nil
}

// begin fixes what a run reads and takes the job's lease.
func (s *Syncs) begin(ctx context.Context, in contract.SyncOpen) (store.Run, error) {
	row, err := s.Store.Job(ctx, in.Job)
	if err != nil {
		return store.Run{}, err
	}
	if !row.Active {
		return store.Run{}, fault.New(fault.Conflict, "job.inactive", "the job %q is switched off", in.Job).
			WithResolution("set active: true in towpath.yaml and apply it")
	}
	job, err := readJob(row)
	if err != nil {
		return store.Run{}, err
	}
	newest, err := s.mappingOf(ctx, job, job.Mapping, 0)
	if err != nil {
		return store.Run{}, err
	}
	run := store.Run{
		ID: in.Run, Job: in.Job, Mode: cmp.Or(in.Mode, string(job.Mode)), JobRevision: row.Revision,
		Mapping: newest.Name, MappingVersion: newest.Version,
		Purpose: cmp.Or(in.Purpose, contract.PurposeSync), By: in.By, Reason: in.Reason,
		BaseRun: sql.NullString{String: in.Base, Valid: in.Base != ""},
	}
	if run.Mode == string(jobs.Reconcile) && run.Purpose == contract.PurposeSync {
		run.Purpose = contract.PurposePlan // it finds out; a person approves what it proposes
	}
	r, err := s.assemble(ctx, run, row, job, newest.Spec)
	if err != nil {
		return run, err
	}
	r.only = in.Only
	if err := r.window(ctx); err != nil {
		return run, err
	}
	if r.run.Plan, err = json.Marshal(r.plan); err != nil {
		return run, err
	}
	opened, err := s.Store.StartRun(ctx, r.run)
	if f := fault.Of(err); f != nil && f.Code == "run.underway" {
		if err := s.takeOver(ctx, in.Job); err != nil {
			return run, err
		}
		opened, err = s.Store.StartRun(ctx, r.run)
	}
	return opened, err
}

// takeOver ends a run whose workflow is gone without having ended it:
// terminated by a person, timed out, or lost with Temporal's database.
func (s *Syncs) takeOver(ctx context.Context, job string) error {
	held, err := s.Store.RunningRun(ctx, job)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	alive := true
	if s.Alive != nil {
		if alive, err = s.Alive(ctx, held.ID); err != nil {
			return err
		}
	}
	if alive {
		return fault.New(fault.Conflict, "run.underway", "another run of %q goes on", job).
			WithResolution("wait until it has ended (towpath sync watch %s), or abort it", job)
	}
	counts, err := s.Store.Totals(ctx, held.ID, 0, lastLane)
	if err != nil {
		return err
	}
	return s.Store.EndRun(ctx, held.ID, store.Ending{
		Status: string(jobs.Failed), Code: "run.lost", Counts: counts,
		Sentence: "its workflow ended without a word (terminated, or timed out); what was settled stays, the rest is read again",
	})
}

// LogUnopened puts a run into the log that could not be opened: its source was
// not to be reached, or its job is not good any more.
func (s *Syncs) LogUnopened(ctx context.Context, in contract.SyncUnopened) error {
	return toTemporal(s.Store.LogUnopened(ctx, store.Run{
		ID: in.Run, Job: in.Job, Mode: in.Mode, Purpose: in.Purpose, BaseRun: sql.NullString{String: in.Base, Valid: in.Base != ""},
		By: in.By, Reason: in.Reason, Code: in.Fault, Sentence: "it did not begin: " + in.Message,
	}))
}

// AskSync notes what a person wants of a run, where its pages look each second.
func (s *Syncs) AskSync(ctx context.Context, ask contract.SyncAsk) error {
	return toTemporal(s.Store.Ask(ctx, ask.Run, ask.What, ask.By, ask.Reason, ask.Beyond))
}

// mappingOf reads a version of a job's mapping, 0 for the newest. Orders have
// none: the rules of their flow say what becomes what.
func (s *Syncs) mappingOf(ctx context.Context, job jobs.Job, name string, version int) (store.Mapping, error) {
	switch {
	case job.Kind == jobs.Order:
		return store.Mapping{}, nil
	case name == "":
		return store.Mapping{}, fault.New(fault.Invalid, "job.no_mapping", "the job %q names no mapping", job.Name).WithField("mapping").
			WithResolution("name one; docs/sync.md has mappings to begin with, for each kind")
	}
	return s.Store.Mapping(ctx, name, version)
}

func readJob(row store.Job) (jobs.Job, error) {
	var job jobs.Job
	if err := json.Unmarshal(row.Spec, &job); err != nil {
		return job, fault.New(fault.Invalid, "job.unreadable", "the stored job %q cannot be read", row.Name).
			WithResolution("apply towpath.yaml again").WithCause(err)
	}
	return job.WithDefaults(), nil
}
