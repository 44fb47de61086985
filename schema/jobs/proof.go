package jobs

import (
	"fmt"
	"time"
)

// Proof says whether a run read everything and gave each record an outcome.
type Proof struct {
	Complete bool `json:"complete"`
	// Missing records were not read, or have no outcome; a guess until a sweep
	// was made.
	Missing  int64  `json:"missing"`
	Sentence string `json:"sentence"` // for people
	// NeedsSweep: the source's counts do not settle it. List the ids of the
	// window, compare them with those that were read, and prove again.
	NeedsSweep bool `json:"needs_sweep"`
}

// NoSweep stands for the number that a sweep expects when there was none.
const NoSweep int64 = -1

// Prove compares the counts of a run with themselves (fetched = applied +
// unchanged + skipped + parked + failed) and with the source: before and after
// are its own counts over the closed window, at the run's start and end.
// expected is the number of records that a sweep of ids says should have been
// read: those that were, and those in the window at the end that were not;
// NoSweep before there was one.
//
// Without a sweep two cases are proof. Equal numbers are. And so are fewer at
// the end when as many were read as there were at the start: those that have
// left the window changed after they were read, and the next run reads them.
// As many as at the end is no proof when there were more at the start: a
// record may have been missed, and another have left after it was read.
func Prove(c Counts, before, after, expected int64) Proof {
	processed := c.Processed()
	switch {
	case processed < c.Fetched:
		return Proof{Missing: c.Fetched - processed, Sentence: fmt.Sprintf(
			"%d of %d records that were read have no outcome", c.Fetched-processed, c.Fetched)}
	case processed > c.Fetched:
		return Proof{Sentence: fmt.Sprintf("%d outcomes were counted for the %d records that were read", processed, c.Fetched)}
	}
	if expected >= 0 {
		return proveSwept(c, expected)
	}
	if c.Fetched == before && after <= before {
		return Proof{Complete: true, Sentence: "all " + c.sentence()}
	}
	return Proof{
		NeedsSweep: true, Missing: max(0, max(before, after)-c.Fetched),
		Sentence: fmt.Sprintf("%d records were read, the source counted %d at the start and %d at the end: a sweep of ids must tell", c.Fetched, before, after),
	}
}

func proveSwept(c Counts, expected int64) Proof {
	switch {
	case c.Fetched < expected:
		return Proof{Missing: expected - c.Fetched, Sentence: fmt.Sprintf(
			"%d of %d records of the source were not read", expected-c.Fetched, expected)}
	case c.Fetched > expected:
		return Proof{Sentence: fmt.Sprintf("%d records were counted as read, the sweep of ids knows %d: some were counted twice", c.Fetched, expected)}
	default:
		return Proof{Complete: true, Sentence: "by a sweep of ids, all " + c.sentence()}
	}
}

func (c Counts) sentence() string {
	return fmt.Sprintf("%d records of the source: %d created, %d updated, %d archived, %d unchanged, %d skipped, %d parked, %d failed",
		c.Fetched, c.Created, c.Updated, c.Archived, c.Unchanged, c.SkippedAll(), c.Parked, c.Failed)
}

// Status is how a run stands.
type Status string

// The statuses of a run.
const (
	Running    Status = "running"    // it has not ended
	Success    Status = "success"    // complete by proof, and no record needs anybody
	Partial    Status = "partial"    // complete by proof; some records were parked or failed
	Incomplete Status = "incomplete" // it went to its end, but the proof did not hold
	Failed     Status = "failed"     // it could not go on: the source, the target or Towpath itself
	Stopped    Status = "stopped"    // a person ended it, or a limit did
)

// Conclude gives the status of a run that has ended: stopped by a person or by
// StopsAt, broken by an error, or at its end with a proof.
func Conclude(c Counts, p Proof, stopped bool, err error) Status {
	switch {
	case stopped:
		return Stopped
	case err != nil:
		return Failed
	case !p.Complete:
		return Incomplete
	case c.Errors() > 0:
		return Partial
	default:
		return Success
	}
}

// What a window is made of.
const (
	FirstWindow = 30 * 24 * time.Hour // of the first incremental run
	Overlap     = 10 * time.Minute    // read again each time: commits come late, clocks disagree
)

// Window is what a run reads: since <= changed < until. A zero since is
// everything. now is the source's own time at the start of the run; watermark
// that of the last run that moved it, zero before the first; an overlap of 0
// or less is the default.
func Window(mode Mode, watermark, now time.Time, overlap time.Duration) (since, until time.Time) {
	if mode != Incremental {
		return time.Time{}, now
	}
	if overlap <= 0 {
		overlap = Overlap
	}
	switch {
	case watermark.IsZero():
		return now.Add(-FirstWindow), now
	case watermark.After(now): // the source's clock was set back
		return now.Add(-overlap), now
	default:
		return watermark.Add(-overlap), now
	}
}

// NextWatermark is the watermark after a run that read until then. It moves
// only when everything before it is durable: the proof holds, and what was not
// applied is parked, not failed. A reconcile run writes nothing and so moves
// nothing. The source's clock is the truth, even when it was set back.
func NextWatermark(mode Mode, status Status, c Counts, current, until time.Time) time.Time {
	durable := (status == Success || status == Partial) && c.Failed == 0
	if mode == Reconcile || !durable {
		return current
	}
	return until
}
