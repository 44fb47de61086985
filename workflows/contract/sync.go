package contract

import (
	"time"

	"go.temporal.io/sdk/temporal"
)

// The Sync workflow: one run of one job.
const (
	SyncWorkflow = "Sync"

	ActivityOpenSync    = "OpenSync"        // SyncInput -> SyncOpened: window, lanes, lease
	ActivitySyncPages   = "SyncPages"       // SyncRef -> SyncProgress: pages until the end, a word of a person, or a while
	ActivityProveSync   = "ProveSync"       // SyncEnding -> SyncResult: proof, status, watermark
	ActivityLogUnopened = "LogUnopenedSync" // SyncUnopened: of a run that could not be opened
	ActivityAskSync     = "AskSync"         // SyncAsk: what a person wants, where the pages look for it

	// Updates of the Sync workflow: SyncAsk -> SyncProgress.
	UpdatePause  = "pause"
	UpdateResume = "resume"
	UpdateAbort  = "abort"
	// QueryProgress gives SyncProgress.
	QueryProgress = "progress"
)

// AttrJobKind tells runs by what they keep in step.
var AttrJobKind = temporal.NewSearchAttributeKeyKeyword("JobKind")

// Purpose of a run.
const (
	PurposeSync    = "sync"    // write what differs
	PurposePlan    = "plan"    // write nothing; store what would be written
	PurposeApprove = "approve" // write exactly what an earlier plan says
	PurposeUndo    = "undo"    // put back what an earlier run wrote
)

// StatusSkipped is the result of a run that was not opened, since another one
// of its job goes on; it has no row in PostgreSQL.
const StatusSkipped = "skipped"

// SyncScheduleID is the schedule of a job; ids of scheduled runs begin with it.
func SyncScheduleID(job string) string { return "sync/" + job }

// SyncWorkflowID is the id of a run that is started by hand. It is the id of
// the run in PostgreSQL, too; scheduled runs have ids of the same form, made by
// the Temporal server. So a start that is repeated is the same run.
func SyncWorkflowID(job string, at time.Time) string {
	return SyncScheduleID(job) + "-" + at.UTC().Format("2006-01-02T15:04:05.000Z")
}

// SyncInput starts a run.
type SyncInput struct {
	Job string `json:"job"`
	// Mode overrides the job's: full, incremental, reconcile.
	Mode    string `json:"mode,omitempty"`
	Purpose string `json:"purpose,omitempty"` // "" is PurposeSync
	// Base is the run whose plan is carried out, or which is undone.
	Base string `json:"base,omitempty"`
	// Only names records of the source that are synced, instead of a window.
	Only []string `json:"only,omitempty"`
	// By and Reason say who asked for it, where a person did.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// SyncRef names a run for its activities.
type SyncRef struct {
	Job string `json:"job"`
	Run string `json:"run"`
}

// SyncOpen asks for a run to be opened; Run is the workflow's id.
type SyncOpen struct {
	SyncInput
	Run string `json:"run"`
}

// SyncOpened is a run that was opened, or found open.
type SyncOpened struct {
	Source  string `json:"source"`
	Target  string `json:"target"`
	Kind    string `json:"kind"`
	Mode    string `json:"mode"`
	Lanes   int    `json:"lanes"`
	Counted int64  `json:"counted"` // records in the window, as the source says
}

// SyncProgress is how far a run is.
type SyncProgress struct {
	Done     int64            `json:"done"`  // records with an outcome
	Total    int64            `json:"total"` // that the source counted; 0: not known
	Counts   map[string]int64 `json:"counts,omitempty"`
	Finished bool             `json:"finished,omitempty"` // every lane was read to its end
	// Asked is why the pages stopped before that: pause, abort, or limit.
	Asked  string `json:"asked,omitempty"`
	Reason string `json:"reason,omitempty"` // of a limit: which, and how to go on
	// Rate is in records per second over the last stretch.
	Rate float64 `json:"rate,omitempty"`
}

// SyncAsk is what a person wants of a run.
type SyncAsk struct {
	SyncRef
	What   string `json:"what,omitempty"` // pause, resume, abort; an update's name says it
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	// Beyond lets a run that was stopped by a limit go on without limits.
	Beyond bool `json:"beyond,omitempty"`
}

// SyncEnding ends a run.
type SyncEnding struct {
	SyncRef
	Aborted bool   `json:"aborted,omitempty"`
	Fault   string `json:"fault,omitempty"` // code of what it could not get over
	Message string `json:"message,omitempty"`
}

// SyncUnopened logs a run that never began.
type SyncUnopened struct {
	SyncEnding
	Mode    string `json:"mode,omitempty"`
	Purpose string `json:"purpose,omitempty"`
	Base    string `json:"base,omitempty"`
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// SyncResult is how a run ended.
type SyncResult struct {
	Status   string           `json:"status"` // success, partial, incomplete, failed, stopped, skipped
	Sentence string           `json:"sentence"`
	Counts   map[string]int64 `json:"counts"`
	// Conflicts are records of the job that wait for a person's decision, as many
	// as get a workflow of their own after this run.
	Conflicts []string `json:"conflicts,omitempty"`
}
