package contract

import "time"

// The Conflict workflow: one record whose fields both sides changed waits for a
// person. The rows in PostgreSQL are the truth; the workflow makes them visible,
// reminds of them, and decides them when the job's deadline passes.
const (
	ConflictWorkflow = "Conflict"

	ActivityLookAtConflict = "LookAtConflict" // ConflictRef -> ConflictState; reminds, and decides what is due
	ActivityDecideConflict = "DecideConflict" // ConflictDecision -> ConflictState

	// UpdateDecide is an update of the Conflict workflow: ConflictDecision ->
	// ConflictState.
	UpdateDecide = "decide"
	// SignalLook tells the workflow that somebody decided elsewhere.
	SignalLook = "look"
	// QueryConflict gives ConflictState.
	QueryConflict = "conflict"
)

// ByDeadline is who decided when nobody did in time.
const ByDeadline = "towpath: deadline"

// ConflictWorkflowID is stable: one workflow per record of a job.
func ConflictWorkflowID(job, externalID string) string { return "conflict/" + job + "/" + externalID }

// ConflictRef names a record of a job. Where the record's own id may be personal
// data, ExternalID is an alias ("~3f…") that PostgreSQL resolves.
type ConflictRef struct {
	Job        string `json:"job"`
	ExternalID string `json:"external_id"`
}

// ConflictDecision is what a person says of a field, or ("") of all of the
// record's fields that wait. Side is source or target: whose value holds.
type ConflictDecision struct {
	ConflictRef
	Field  string `json:"field,omitempty"`
	Side   string `json:"side"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// ConflictState says what still waits: names of fields, never what they hold.
type ConflictState struct {
	Waiting []string   `json:"waiting"`
	WakeAt  *time.Time `json:"wake_at,omitempty"` // the next reminder or deadline
	DueAt   *time.Time `json:"due_at,omitempty"`  // the deadline
}
