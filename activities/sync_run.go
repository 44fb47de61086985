package activities

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// Lanes are numbered by flow: those of flow 1 begin at lanesPerFlow. Within a
// flow, lanes below extraLanes part the window; what they count must be what
// the source counts. The others hold records that are read by their ids.
const (
	lanesPerFlow = 1000
	extraLanes   = 900
	parkedLane   = 900 // parked earlier, and due to be tried again
	sweptLane    = 901 // in the window, but not read by the other lanes
	plannedLane  = 902 // named by the plan that is carried out, or by the run that is undone
	goneLane     = 903 // bound, and not in the source any more
	lastLane     = 2*lanesPerFlow - 1
)

// windowLanes is how many lanes read a large window at once: while one settles
// a page, another's rows fill the target's calls.
const windowLanes = 2

// syncPlan is what a run reads, fixed when it was opened.
type syncPlan struct {
	Flows []flowPlan `json:"flows"`
	Lanes []lanePlan `json:"lanes"`
}

// flowPlan is the window of one flow: since <= changed < until by its source's
// clock; without Since it is unbounded.
type flowPlan struct {
	Since   *time.Time `json:"since,omitempty"`
	Until   time.Time  `json:"until"`
	Counted int64      `json:"counted"`
}

// lanePlan is a lane's range of the reading.
type lanePlan struct {
	Lane int      `json:"lane"`
	From string   `json:"from,omitempty"`
	To   string   `json:"to,omitempty"`
	Only []string `json:"only,omitempty"` // these records, instead of a range
}

func (l lanePlan) flow() int { return l.Lane / lanesPerFlow }
func (l lanePlan) kind() int { return l.Lane % lanesPerFlow }

// syncRun is a run made ready: doors open, mapping fitted to both ends.
type syncRun struct {
	*Syncs
	run   store.Run
	row   store.Job
	job   jobs.Job
	plan  syncPlan
	only  []string // records named by who started it
	flows []*syncFlow
	sides map[string]*syncSide // by jobs.SourceSide, jobs.TargetSide

	conflicted bool // fields of the job's records wait for a decision, or had one

	orders *orderSource // of a job of orders, which has no flows and sides
}

// syncSide is one of the two systems of a job.
type syncSide struct {
	name   string // of the connection
	model  string
	door   connectors.Connector
	source connectors.RecordSource
	target connectors.RecordTarget // nil: it cannot be written record by record
	sink   connectors.RecordSink
	fields []record.FieldInfo
}

// syncFlow is one way that records take.
type syncFlow struct {
	n        int
	back     bool // from the job's target to its source
	from, to *syncSide
	mapping  *mapping.Compiled
}

// load makes a run ready that is in the book.
func (s *Syncs) load(ctx context.Context, run store.Run) (*syncRun, error) {
	if run.Status != string(jobs.Running) {
		return nil, fault.New(fault.Conflict, "run.over", "the run has ended").WithResolution("start another")
	}
	row, err := s.Store.Job(ctx, run.Job)
	if err != nil {
		return nil, err
	}
	job, err := readJob(row)
	if err != nil {
		return nil, err
	}
	m, err := s.mappingOf(ctx, job, run.Mapping, run.MappingVersion)
	if err != nil {
		return nil, err
	}
	r, err := s.assemble(ctx, run, row, job, m.Spec)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(run.Plan, &r.plan); err != nil {
		return nil, err
	}
	if !r.isOrders() && len(r.plan.Flows) != len(r.flows) { // a way that nobody reads would count as read
		return nil, fault.New(fault.Conflict, "run.job_changed", "the job goes both ways now, or does not any more, and did otherwise when the run began").
			WithResolution("nothing: what was written stays, and the next run goes as the job says now")
	}
	return r, nil
}

func (s *Syncs) assemble(ctx context.Context, run store.Run, row store.Job, job jobs.Job, spec json.RawMessage) (*syncRun, error) {
	r := &syncRun{Syncs: s, run: run, row: row, job: job, sides: map[string]*syncSide{}}
	if job.Kind == jobs.Order {
		return r, r.assembleOrders(ctx)
	}
	var m mapping.Mapping
	if err := json.Unmarshal(spec, &m); err != nil {
		return nil, fault.New(fault.Invalid, "mapping.unreadable", "the stored mapping %q cannot be read", run.Mapping).
			WithResolution("apply towpath.yaml again").WithCause(err)
	}
	there, back := mapping.Import, mapping.Export
	if job.Direction == jobs.Export {
		there, back = mapping.Export, mapping.Import
	}
	first, err := mapping.Compile(m, there)
	if err != nil {
		return nil, err
	}
	sourceModel, targetModel := first.Models()
	source, err := s.side(ctx, row.Source, sourceModel)
	if err != nil {
		return nil, err
	}
	target, err := s.side(ctx, row.Target, targetModel)
	if err != nil {
		return nil, err
	}
	r.sides[jobs.SourceSide], r.sides[jobs.TargetSide] = source, target
	if r.conflicted, err = s.Store.AnyConflict(ctx, job.Name); err != nil {
		return nil, err
	}
	if err := r.addFlow(ctx, first, source, target); err != nil || job.Direction != jobs.Bidirectional {
		return r, err
	}
	second, err := mapping.Compile(m, back)
	if err != nil {
		return nil, err
	}
	return r, r.addFlow(ctx, second, target, source)
}

func (s *Syncs) side(ctx context.Context, name, model string) (*syncSide, error) {
	door, err := s.Pool.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	side := &syncSide{name: name, model: model, door: door}
	side.source, _ = door.(connectors.RecordSource)
	side.target, _ = door.(connectors.RecordTarget)
	side.sink, _ = door.(connectors.RecordSink)
	return side, nil
}

// addFlow fits the mapping to both ends, as they are now.
func (r *syncRun) addFlow(ctx context.Context, m *mapping.Compiled, from, to *syncSide) error {
	f := &syncFlow{n: len(r.flows), back: len(r.flows) > 0, from: from, to: to, mapping: m}
	if from.source == nil {
		return fault.New(fault.Unsupported, "sync.no_source", "connection %q cannot be read in bulk", from.name).
			WithField("source").WithResolution("choose a connection whose records can be listed")
	}
	if to.target == nil && to.sink == nil {
		return fault.New(fault.Unsupported, "sync.no_target", "connection %q cannot be written in bulk", to.name).
			WithField("target").WithResolution("choose a connection that records can be written to")
	}
	if err := from.describe(ctx); err != nil {
		return err
	}
	r.flows = append(r.flows, f)
	if to.target == nil { // a file takes whatever it is given, as it is
		fields, err := to.sink.SinkFields(ctx, to.model, m.TargetFields())
		if err != nil {
			return err
		}
		return m.Check(from.fields, fields)
	}
	if err := to.describe(ctx); err != nil {
		return err
	}
	if err := r.readOnlyModel(ctx, to); err != nil {
		return err
	}
	fitted, err := m.For(from.fields, to.fields)
	if err != nil {
		return err
	}
	f.mapping = fitted
	if err := f.mayWrite(); err != nil {
		return err
	}
	if r.run.Purpose == contract.PurposePlan {
		return nil
	}
	return r.guardIdentity(ctx, &r.guard, to.name, to.door)
}

func (s *syncSide) describe(ctx context.Context) (err error) {
	if s.fields == nil {
		s.fields, err = s.source.RecordFields(ctx, s.model)
	}
	return err
}

// window fixes what each flow reads, by the clock of the system it reads.
func (r *syncRun) window(ctx context.Context) error {
	if r.isOrders() {
		return r.orderWindow(ctx)
	}
	for _, f := range r.flows {
		now, err := f.from.now(ctx)
		if err != nil {
			return err
		}
		mark := r.row.Watermark
		if f.back {
			mark = r.row.WatermarkBack
			r.run.TargetNow = sql.NullTime{Time: now, Valid: true}
		} else {
			r.run.SourceNow = now
		}
		w := flowPlan{}
		if mark.Time.After(now) { // the clock was set back: nobody knows what bears which time, so begin anew
			mark.Time = time.Time{}
		}
		since, until := jobs.Window(jobs.Mode(r.run.Mode), mark.Time, now, 0)
		w.Until = until
		if !since.IsZero() {
			w.Since = &since
		}
		r.plan.Flows = append(r.plan.Flows, w)
		if err := r.part(ctx, f); err != nil {
			return err
		}
	}
	first := r.plan.Flows[0]
	r.run.Until = sql.NullTime{Time: first.Until, Valid: true}
	if first.Since != nil {
		r.run.Since = sql.NullTime{Time: *first.Since, Valid: true}
	}
	return nil
}

// part gives a flow its lanes.
func (r *syncRun) part(ctx context.Context, f *syncFlow) error {
	base := f.n * lanesPerFlow
	if r.named() {
		if f.n == 0 || r.run.Purpose == contract.PurposeApprove {
			r.plan.Lanes = append(r.plan.Lanes, lanePlan{Lane: base + plannedLane, Only: r.only})
		}
		return nil
	}
	w := &r.plan.Flows[f.n]
	q := r.query(f)
	var err error
	if w.Counted, err = f.from.source.CountRecords(ctx, q); err != nil {
		return err
	}
	r.run.CountedBefore += w.Counted
	var bounds []string
	if splitter, ok := f.from.source.(connectors.RecordSplitter); ok && w.Counted > 2*maxPageRecords {
		if bounds, err = splitter.SplitRecords(ctx, q, windowLanes); err != nil {
			return err
		}
	}
	from := ""
	for i, bound := range append(bounds, "") {
		r.plan.Lanes = append(r.plan.Lanes, lanePlan{Lane: base + i, From: from, To: bound})
		from = bound
	}
	if r.run.Purpose == contract.PurposeSync {
		r.plan.Lanes = append(r.plan.Lanes, lanePlan{Lane: base + parkedLane})
	}
	if r.run.Mode == string(jobs.Reconcile) && !f.back { // the book is by the source's ids
		r.plan.Lanes = append(r.plan.Lanes, lanePlan{Lane: base + goneLane})
	}
	return nil
}

// named says that the run's records are named one by one: no window is read,
// and no watermark moves.
func (r *syncRun) named() bool {
	return r.run.Purpose == contract.PurposeApprove || r.run.Purpose == contract.PurposeUndo || len(r.only) > 0 ||
		len(r.plan.Lanes) > 0 && len(r.plan.Lanes[0].Only) > 0
}

// query selects what a flow reads.
func (r *syncRun) query(f *syncFlow) connectors.RecordQuery {
	w := r.plan.Flows[f.n]
	q := connectors.RecordQuery{Model: f.from.model, Fields: r.readFields(f.from), Until: w.Until, Archived: r.job.May(jobs.Archive, r.job.Kind)}
	if w.Since != nil {
		q.Since = *w.Since
	}
	if w.Since == nil { // everything: what changes meanwhile is to be read as well
		q.Until = time.Time{}
	}
	q.Filter = r.job.Filter
	if f.back {
		q.Filter = r.job.FilterBack
	}
	return q
}

func (s *syncSide) now(ctx context.Context) (time.Time, error) {
	if clock, ok := s.door.(connectors.ModelClock); ok {
		return clock.ModelNow(ctx, s.model)
	}
	return s.source.SourceNow(ctx)
}

// byID reads records of a side by their ids. A source that is no target can
// only be listed.
func (s *syncSide) byID(ctx context.Context, ids, fields []string) ([]record.Sourced, error) {
	if s.target == nil {
		return nil, fault.New(fault.Unsupported, "sync.no_reading_by_id", "connection %q cannot be asked for single records", s.name).
			WithResolution("run the job in full: towpath sync run JOB --mode full")
	}
	return s.target.RecordsByID(ctx, s.model, ids, fields)
}
