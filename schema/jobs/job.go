package jobs

import (
	"maps"
	"time"

	"towpath/schema/record"
)

// Kind is what a job keeps in step.
type Kind = record.Kind

// The kinds of records.
const (
	Product   = record.KindProduct
	Customer  = record.KindCustomer
	Order     = record.KindOrder
	Inventory = record.KindInventory
	Price     = record.KindPrice
)

// Direction says what a job is to Odoo. Records of an import and of an export
// flow from Source to Target alike: the names say where, the direction says
// which rules hold (what is ready for export, no_export).
type Direction string

// The directions.
const (
	Import        Direction = "import"        // into Odoo
	Export        Direction = "export"        // out of Odoo
	Bidirectional Direction = "bidirectional" // Source to Target, then back
)

// Mode says how much of the source a run reads.
type Mode string

// The modes.
const (
	Full        Mode = "full"        // everything
	Incremental Mode = "incremental" // what changed since the watermark
	Reconcile   Mode = "reconcile"   // everything, with the ids of both sides: finds what is gone
)

// Policy says who wins a field that both sides changed.
type Policy string

// The policies.
const (
	SourceWins Policy = "source_wins"
	TargetWins Policy = "target_wins"
	NewestWins Policy = "newest_wins"
	Manual     Policy = "manual" // a person decides; the other fields flow
)

// remindEvery is how often people are reminded of what they have to decide.
const remindEvery = 24 * time.Hour

// RemindAfter is how long a conflict waits until people are reminded of it, and
// then again each time: a day, or half of a shorter deadline.
func (j Job) RemindAfter() time.Duration {
	if half := time.Duration(j.ConflictDeadline) / 2; half > 0 && half < remindEvery {
		return half
	}
	return remindEvery
}

// MinConflictDeadline leaves people the time to read that they are asked.
const MinConflictDeadline = time.Minute

// The two sides of a job, as Owner names them.
const (
	SourceSide = "source"
	TargetSide = "target"
)

// Job keeps the records of one kind in step between two connections.
type Job struct {
	// Name is a slug: it is part of workflow ids and never changes.
	Name string `json:"name" yaml:"name"`
	// Source and Target are names of connections.
	Source string `json:"source" yaml:"source"`
	Target string `json:"target" yaml:"target"`
	Kind   Kind   `json:"kind" yaml:"kind"`
	// Binds is the kind under which its records are bound to their counterparts,
	// where it is not Kind: product templates are of kind product, as variants
	// are, and both are numbered. A mapping's refers names it.
	Binds Kind `json:"binds,omitempty" yaml:"binds,omitempty"`
	// Direction is import by default.
	Direction Direction `json:"direction,omitempty" yaml:"direction,omitempty"`
	// Mode is incremental by default.
	Mode Mode `json:"mode,omitempty" yaml:"mode,omitempty"`
	// Mapping is the name of the mapping of fields. Orders have none: the rules
	// of their flow say what becomes what.
	Mapping string `json:"mapping,omitempty" yaml:"mapping,omitempty"`
	// Conflict is source_wins by default.
	Conflict Policy `json:"conflict,omitempty" yaml:"conflict,omitempty"`
	// ConflictDeadline is how long a field in conflict waits for a person ("72h");
	// then ConflictDefault, the side whose value holds, is its decision. Without
	// them it waits for ever.
	ConflictDeadline Duration `json:"conflict_deadline,omitempty" yaml:"conflict_deadline,omitempty"`
	ConflictDefault  string   `json:"conflict_default,omitempty" yaml:"conflict_default,omitempty"`
	// Owner says by field which side ("source" or "target") it belongs to,
	// whoever changed it: the owner's value is put back on the other side.
	Owner map[string]string `json:"owner,omitempty" yaml:"owner,omitempty"`
	// BatchSize is the first number of records per call (default 50, 1 to 500);
	// it adapts to the target's speed from there.
	BatchSize int      `json:"batch_size,omitempty" yaml:"batch_size,omitempty"`
	Schedule  Schedule `json:"schedule,omitzero" yaml:"schedule,omitempty"`
	// OnEvent starts a run soon after its source tells that a record of its model
	// changed, beside what the schedule does. It needs a source that tells events.
	OnEvent bool `json:"on_event,omitempty" yaml:"on_event,omitempty"`
	// Filter is in the source's own language (Odoo: a domain as JSON).
	Filter string `json:"filter,omitempty" yaml:"filter,omitempty"`
	// FilterBack is that of the way back of a bidirectional job, in the target's
	// language: which of its records the source is to have.
	FilterBack string `json:"filter_back,omitempty" yaml:"filter_back,omitempty"`
	// Switches say by kind of record what a run may do: a job of orders may be
	// kept from creating the products that they need.
	Switches map[Kind]Switch `json:"switches,omitempty" yaml:"switches,omitempty"`
	Limits   Limits          `json:"limits,omitzero" yaml:"limits,omitempty"`
}

// Switch allows operations on one kind of record.
type Switch struct {
	Create  *bool `json:"create,omitempty" yaml:"create,omitempty"`   // default true
	Update  *bool `json:"update,omitempty" yaml:"update,omitempty"`   // default true
	Archive *bool `json:"archive,omitempty" yaml:"archive,omitempty"` // default false
}

// Operation is what a run does to a record of the target.
type Operation string

// The operations.
const (
	Create  Operation = "create"
	Update  Operation = "update"
	Archive Operation = "archive"
)

// The defaults and bounds of a job.
const (
	DefaultBatchSize       = 50
	MaxBatchSize           = 500
	DefaultMaxErrorPercent = 5
)

// WithDefaults fills in what was left out. The job given stays as it is.
func (j Job) WithDefaults() Job {
	orElse(&j.Direction, Import)
	orElse(&j.Mode, Incremental)
	orElse(&j.Conflict, SourceWins)
	orElse(&j.BatchSize, DefaultBatchSize)
	orElse(&j.Limits.MaxErrorPercent, DefaultMaxErrorPercent)
	j.Schedule = j.Schedule.WithDefaults()
	switches := maps.Clone(j.Switches)
	if switches == nil {
		switches = map[Kind]Switch{}
	}
	switches[j.Kind] = switches[j.Kind].withDefaults()
	for kind, s := range switches {
		switches[kind] = s.withDefaults()
	}
	j.Switches = switches
	return j
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// withDefaults never archives unasked: it is the one operation that takes
// something away.
func (s Switch) withDefaults() Switch {
	for field, value := range map[**bool]bool{&s.Create: true, &s.Update: true, &s.Archive: false} {
		if *field == nil {
			*field = new(value)
		}
	}
	return s
}

// May says whether a run of the job may do it to a record of the kind.
func (j Job) May(do Operation, kind Kind) bool {
	s := j.Switches[kind].withDefaults()
	switch do {
	case Create:
		return *s.Create
	case Update:
		return *s.Update
	case Archive:
		return *s.Archive
	default:
		return false
	}
}

// Flow is one way that records take: both are names of connections.
type Flow struct{ From, To string }

// Flows are the ways of a run, in their order.
func (j Job) Flows() []Flow {
	flows := []Flow{{From: j.Source, To: j.Target}}
	if j.Direction == Bidirectional {
		flows = append(flows, Flow{From: j.Target, To: j.Source})
	}
	return flows
}
