package jobs

import "github.com/shopspring/decimal"

// Report is what a reconcile found out about both sides of a job: a drift
// report. The changes that would put them in step are its run's plan.
type Report struct {
	Source int64 `json:"source"` // records of the source that the job is about
	Target int64 `json:"target"` // records of the target's model, whoever made them
	// Bound are those of the target that the job keeps in step.
	Bound int64 `json:"bound"`
	// Extra are those of the target that it does not, with a sample of their ids.
	Extra    int64    `json:"extra"`
	ExtraIDs []string `json:"extra_ids,omitempty"`
	// Matched were found by their key fields and are bound by the next run that
	// writes; they are not among the extra ones.
	Matched int64 `json:"matched,omitempty"`
	// Vanished are bound, and not in the target any more.
	Vanished int64 `json:"vanished,omitempty"`

	InStep int64            `json:"in_step"`
	Causes map[string]int64 `json:"causes,omitempty"` // of differences: cause -> records
	Fields map[string]int64 `json:"fields,omitempty"` // that differ: field -> records

	Sums []Sum `json:"sums,omitempty"` // stock per location, money per day
	// Notes say what could not be compared, and why.
	Notes []string `json:"notes,omitempty"`
}

// Sum is what both sides hold of a field of numbers in one group: a location,
// a day.
type Sum struct {
	Field  string          `json:"field"`
	Group  string          `json:"group"`
	Source decimal.Decimal `json:"source"`
	Target decimal.Decimal `json:"target"`
}

// Difference is how much more the target holds.
func (s Sum) Difference() decimal.Decimal { return s.Target.Sub(s.Source) }
