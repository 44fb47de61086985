package activities

import (
	"context"
	"slices"
	"time"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// mostWatched is how many records in conflict get a workflow of their own at the
// end of one run; the next run takes care of the others.
const mostWatched = 100

// mostFields of one record can be in conflict.
const mostFields = 1000

// waiting names records of a job that wait for a decision, as their workflows
// know them, and notes by when.
func (s *Syncs) waiting(ctx context.Context, name string) ([]string, error) {
	job, err := s.jobNamed(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ids, err := s.Store.WatchConflicts(ctx, name, store.Deadline{Remind: job.RemindAfter(), Decide: time.Duration(job.ConflictDeadline)}, mostWatched)
	if err != nil {
		return nil, err
	}
	return s.Store.Aliases(ctx, name, ids) // Temporal must not hear of e-mail addresses
}

func (s *Syncs) jobNamed(ctx context.Context, name string) (jobs.Job, error) {
	row, err := s.Store.Job(ctx, name)
	if err != nil {
		return jobs.Job{}, err
	}
	return readJob(row)
}

// LookAtConflict reminds people of a record that waits for them when it is time
// for that, decides as the job says what they did not decide in time, and tells
// what still waits.
func (s *Syncs) LookAtConflict(ctx context.Context, ref contract.ConflictRef) (contract.ConflictState, error) {
	state, err := s.lookAtConflict(ctx, ref)
	return state, toTemporal(err)
}

func (s *Syncs) lookAtConflict(ctx context.Context, ref contract.ConflictRef) (contract.ConflictState, error) {
	job, err := s.jobNamed(ctx, ref.Job)
	if fault.Is(err, fault.NotFound) { // nobody's conflict any more
		return contract.ConflictState{}, nil
	}
	if err != nil {
		return contract.ConflictState{}, err
	}
	id, err := s.Store.Aliased(ctx, ref.Job, ref.ExternalID)
	if err != nil {
		return contract.ConflictState{}, err
	}
	if job.ConflictDefault != "" {
		fields, err := s.Store.DecideDue(ctx, ref.Job, id, store.Decision{
			Side: job.ConflictDefault, By: contract.ByDeadline, Reason: "nobody decided within " + time.Duration(job.ConflictDeadline).String(),
		})
		if err != nil {
			return contract.ConflictState{}, err
		}
		if len(fields) > 0 {
			s.Log.Warn().Str("job", ref.Job).Str("record", ref.ExternalID).Strs("fields", fields).Str("side", job.ConflictDefault).
				Msg("a conflict was decided by its deadline")
		}
	}
	state, remind, err := s.conflictState(ctx, ref.Job, id)
	if err != nil || !remind {
		return state, err
	}
	s.Log.Warn().Str("job", ref.Job).Str("record", ref.ExternalID).Strs("fields", state.Waiting).
		Msg("both sides changed it and a person is to decide: towpath sync conflicts " + ref.Job)
	if _, err := s.Store.Reminded(ctx, ref.Job, id, job.RemindAfter()); err != nil {
		return state, err
	}
	state, _, err = s.conflictState(ctx, ref.Job, id)
	return state, err
}

// conflictState says what waits, until when, and whether people are to be
// reminded now.
func (s *Syncs) conflictState(ctx context.Context, job, id string) (state contract.ConflictState, remind bool, err error) {
	all, err := s.Store.Conflicts(ctx, job, id, mostFields)
	if err != nil {
		return state, false, err
	}
	for _, c := range all {
		if c.Decision.Valid {
			continue
		}
		state.Waiting = append(state.Waiting, c.Field)
		if c.DueAt.Valid {
			state.DueAt, state.WakeAt = earlier(state.DueAt, c.DueAt.Time), earlier(state.WakeAt, c.DueAt.Time)
		}
		if c.RemindAt.Valid {
			state.WakeAt = earlier(state.WakeAt, c.RemindAt.Time)
			remind = remind || !c.RemindAt.Time.After(s.Now())
		}
	}
	slices.Sort(state.Waiting)
	return state, remind, nil
}

func earlier(a *time.Time, b time.Time) *time.Time {
	if b = b.UTC(); a != nil && a.Before(b) {
		return a
	}
	return &b
}

// DecideConflict notes what a person decided, for the next run to carry it out,
// and tells what still waits.
func (s *Syncs) DecideConflict(ctx context.Context, d contract.ConflictDecision) (contract.ConflictState, error) {
	id, err := s.Store.Aliased(ctx, d.Job, d.ExternalID)
	if err != nil {
		return contract.ConflictState{}, toTemporal(err)
	}
	if _, err := s.Store.Decide(ctx, d.Job, id, store.Decision{Field: d.Field, Side: d.Side, By: d.By, Reason: d.Reason}); err != nil {
		return contract.ConflictState{}, toTemporal(err)
	}
	state, _, err := s.conflictState(ctx, d.Job, id)
	return state, toTemporal(err)
}
