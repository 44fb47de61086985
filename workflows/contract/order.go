package contract

import (
	"encoding/json"
	"time"
)

// OrderInput starts an Order workflow.
type OrderInput struct {
	Ref    Ref    `json:"ref"`
	Target string `json:"target"` // the connection orders are written to
}

// EventSignal is the bell: the object became due. It carries no content; what
// to do rests in the inbox.
type EventSignal struct {
	Epoch int64 `json:"epoch"`
	Fetch bool  `json:"fetch"` // the newest event is incomplete: read the source first
}

// ApplyInput asks for one pass over an object.
type ApplyInput struct {
	Ref    Ref    `json:"ref"`
	Target string `json:"target"`
	// Decision of an operator that the pass carries out, or nil.
	Decision *Decision `json:"decision,omitempty"`
}

// Outcome says how a pass ended.
type Outcome string

// The outcomes of a pass.
const (
	Applied   Outcome = "applied"   // written, proved and as far as the rules say
	Unchanged Outcome = "unchanged" // nothing to write
	Skipped   Outcome = "skipped"   // not ours to write; Code says why
	Waiting   Outcome = "waiting"   // due again at WakeAt
	Parked    Outcome = "parked"    // needs a person; Code says why
	NeedFetch Outcome = "fetch"     // the content must be read from the source first
	Stale     Outcome = "stale"     // superseded by another pass, which does the work
)

// ApplyResult is what a pass reports: codes, ids and counts, never content.
type ApplyResult struct {
	Outcome  Outcome    `json:"outcome"`
	Code     string     `json:"code,omitempty"`      // reason of skipped, waiting, parked
	TargetID string     `json:"target_id,omitempty"` // the order's id in the target
	Stage    string     `json:"stage,omitempty"`     // draft, confirmed, cancelled
	ParkedID int64      `json:"parked_id,omitempty"`
	WakeAt   *time.Time `json:"wake_at,omitempty"`
	// Again: something came in while the pass ran; do another.
	Again bool `json:"again,omitempty"`
}

// NeedsAttention reports whether a person has to act.
func (r ApplyResult) NeedsAttention() bool { return r.Outcome == Parked }

// Verb of an operator's decision.
type Verb string

// The verbs.
const (
	VerbRetry Verb = "retry"
	VerbSkip  Verb = "skip"
	VerbEdit  Verb = "edit"
)

// Decision is what an operator wants, with who and why for the trail.
type Decision struct {
	Verb   Verb   `json:"verb"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	// EditID refers to the correction in PostgreSQL (VerbEdit): content stays
	// out of the history.
	EditID int64 `json:"edit_id,omitempty"`
}

// PostponeInput settles an object whose retries within the workflow are used
// up: it becomes due again later, or is parked when it has waited too long.
type PostponeInput struct {
	Ref   Ref    `json:"ref"`
	Cause string `json:"cause"` // fault code
}

// Status answers the status query.
type Status struct {
	Ref    Ref           `json:"ref"`
	Target string        `json:"target"`
	Doing  string        `json:"doing"` // what the workflow waits for right now
	Passes int           `json:"passes"`
	Last   ApplyResult   `json:"last"`
	Since  time.Time     `json:"since"`
	Wait   time.Duration `json:"wait,omitempty"`
}

// MaintenanceInput starts a Maintenance run.
type MaintenanceInput struct {
	// Only names the tasks to run; empty is all.
	Only []string `json:"only,omitempty"`
}

// MaintenanceResult counts what a Maintenance run did.
type MaintenanceResult struct {
	Read     int             `json:"read"`               // orders read while catching up
	Queued   int             `json:"queued"`             // of them, new to us
	Repaired int             `json:"repaired"`           // subscriptions
	Purged   int64           `json:"purged"`             // rows past their retention
	Failures []string        `json:"failures,omitempty"` // "task connection: code"
	Extra    json.RawMessage `json:"extra,omitempty"`
}
