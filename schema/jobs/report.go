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
	Fields map[string]int64 `json:"fields,omitempty"` // that differ and are proposed to be put right: field -> records
	// Kept are fields that differ and stay so: the target's value holds by the
	// job's policy, or because the target owns the field.
	Kept map[string]int64 `json:"kept,omitempty"`

	Sums []Sum `json:"sums,omitempty"` // stock per location
	// Days are those on which the orders of both sides differ; Totals are over all
	// days, by currency.
	Days   []Money `json:"days,omitempty"`
	Totals []Money `json:"totals,omitempty"`
	// Notes say what could not be compared, and why.
	Notes []string `json:"notes,omitempty"`
}

// Sum is what both sides hold of a field of numbers in one group: a location.
type Sum struct {
	Field  string          `json:"field"`
	Group  string          `json:"group"`
	Source decimal.Decimal `json:"source"`
	Target decimal.Decimal `json:"target"`
}

// Difference is how much more the target holds.
func (s Sum) Difference() decimal.Decimal { return s.Target.Sub(s.Source) }

// Money is what the orders of one day come to on both sides, in one currency.
type Money struct {
	Day      string `json:"day,omitempty"` // of the source's order date, in UTC: "2026-11-22"; "": all days
	Currency string `json:"currency"`
	Orders   int64  `json:"orders"` // of the source
	// Source and Target are the sums of the orders' totals, tax included. An
	// order that is cancelled counts nothing on its side.
	Source decimal.Decimal `json:"source"`
	Target decimal.Decimal `json:"target"`
	// Causes part the difference.
	Causes map[string]Share `json:"causes,omitempty"`
}

// Share is the part of a difference that has one cause.
type Share struct {
	Orders     int64           `json:"orders"`
	Difference decimal.Decimal `json:"difference"`
}

// Difference is how much more the target holds.
func (m Money) Difference() decimal.Decimal { return m.Target.Sub(m.Source) }

// Add counts orders in that differ for a cause, "" for those that do not.
func (m *Money) Add(cause string, orders int64, source, target decimal.Decimal) {
	m.Orders += orders
	m.Source, m.Target = m.Source.Add(source), m.Target.Add(target)
	if cause == "" {
		return
	}
	if m.Causes == nil {
		m.Causes = map[string]Share{}
	}
	share := m.Causes[cause]
	m.Causes[cause] = Share{Orders: share.Orders + orders, Difference: share.Difference.Add(target.Sub(source))}
}
