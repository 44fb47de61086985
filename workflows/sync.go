package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// Sync is the story of one run of one job: open it, work through its pages as
// long as there are any and nobody says stop, then prove that it is complete.
// The pages themselves, their cursors and counts rest in PostgreSQL.
func Sync(ctx workflow.Context, in contract.SyncInput) (contract.SyncResult, error) {
	s := &syncRun{in: in, ref: contract.SyncRef{Job: in.Job, Run: workflow.GetInfo(ctx).WorkflowExecution.ID}}
	if err := s.setup(ctx); err != nil {
		return contract.SyncResult{}, err
	}
	return s.run(ctx)
}

type syncRun struct {
	in       contract.SyncInput
	ref      contract.SyncRef
	queue    string
	progress contract.SyncProgress
	asking   workflow.Mutex // asks are carried out one after another, as they came
	asked    string         // pause, abort, or limit; resume clears it
	resumes  int            // so often somebody said go on
	troubles int            // stretches in a row that ended in an error
}

func (s *syncRun) setup(ctx workflow.Context) error {
	if s.in.Job == "" {
		return temporal.NewNonRetryableApplicationError("a Sync workflow needs job", "sync.bad_input", nil)
	}
	if err := workflow.SetQueryHandler(ctx, contract.QueryProgress, func() (contract.SyncProgress, error) { return s.progress, nil }); err != nil {
		return err
	}
	s.asking = workflow.NewMutex(ctx)
	for _, u := range []struct{ name, what string }{
		{contract.UpdatePause, "break off the page that is being written, and wait"},
		{contract.UpdateResume, "go on; with beyond: whatever the limits say"},
		{contract.UpdateAbort, "end the run; what was written stays"},
	} {
		if err := s.handle(ctx, u.name, u.what); err != nil {
			return err
		}
	}
	return nil
}

// handle lets operators steer: the update returns as soon as the pages can see
// what was asked, which they look for each second.
func (s *syncRun) handle(ctx workflow.Context, update, what string) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, update,
		func(ctx workflow.Context, ask contract.SyncAsk) (contract.SyncProgress, error) {
			if err := s.asking.Lock(ctx); err != nil {
				return s.progress, err
			}
			defer s.asking.Unlock()
			ask.SyncRef, ask.What = s.ref, update
			if err := workflow.ExecuteActivity(keeping(ctx, update+" the run"), contract.ActivityAskSync, ask).Get(ctx, nil); err != nil {
				return s.progress, err
			}
			if s.asked = update; update == contract.UpdateResume {
				s.asked = ""
				s.resumes++
			}
			return s.progress, nil
		},
		workflow.UpdateHandlerOptions{
			Description: what,
			Validator: func(ask contract.SyncAsk) error {
				if ask.By == "" {
					return errors.New(`say who asks: {"by": "name", "reason": "why"}`)
				}
				return nil
			},
		})
}

func (s *syncRun) run(ctx workflow.Context) (contract.SyncResult, error) {
	var opened contract.SyncOpened
	if err := workflow.ExecuteActivity(opening(ctx, "fix what is read, and take the job's lease"), contract.ActivityOpenSync,
		contract.SyncOpen{SyncInput: s.in, Run: s.ref.Run}).Get(ctx, &opened); err != nil {
		return s.notOpened(ctx, err)
	}
	s.queue, s.progress.Total = contract.QueueTarget(opened.Target), opened.Counted
	workflow.SetCurrentDetails(ctx, s.details("reading"))
	// However it ends, cancellation included: the lease is given back.
	end, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	result, ending, err := s.prove(ctx, end, s.pages(ctx))
	if err != nil {
		return result, err
	}
	s.watchConflicts(end, opened, result.Conflicts)
	result.Conflicts = nil
	if err := workflow.Await(end, func() bool { return workflow.AllHandlersFinished(end) }); err != nil {
		return result, err
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%s**: %s", result.Status, result.Sentence))
	if result.Status != "success" {
		s.attention(end, true)
	}
	if result.Status == "failed" {
		return result, temporal.NewNonRetryableApplicationError(cutText(result.Sentence), cmp.Or(ending.Fault, "sync.failed"), nil)
	}
	return result, nil
}

// notOpened ends a run that never began, and puts it into the log of the job's
// runs. That another one goes on is no failure, of which a schedule might pause
// itself.
func (s *syncRun) notOpened(ctx workflow.Context, err error) (contract.SyncResult, error) {
	code, message := whatFailed(err)
	if code == "run.underway" {
		return contract.SyncResult{Status: contract.StatusSkipped, Sentence: message}, nil
	}
	end, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	_ = workflow.ExecuteActivity(keeping(end, "log that the run did not begin"), contract.ActivityLogUnopened,
		contract.SyncUnopened{
			SyncEnding: contract.SyncEnding{SyncRef: s.ref, Fault: code, Message: message},
			Mode:       s.in.Mode, Purpose: s.in.Purpose, Base: s.in.Base, By: s.in.By, Reason: s.in.Reason,
		}).Get(end, nil)
	return contract.SyncResult{}, err
}

// pages works through the run, and says how it is to be ended.
func (s *syncRun) pages(ctx workflow.Context) contract.SyncEnding {
	ending := contract.SyncEnding{SyncRef: s.ref}
	for {
		if s.asked == contract.UpdateAbort {
			ending.Aborted = true
			return ending
		}
		var p contract.SyncProgress
		resumes := s.resumes
		err := workflow.ExecuteActivity(working(ctx, s.queue, "read, map, match, write, settle"), contract.ActivitySyncPages, s.ref).Get(ctx, &p)
		switch {
		case err == nil && p.Finished: // even if somebody cancels now
		case ctx.Err() != nil:
			return s.cancelled()
		case err != nil:
			if s.troubles++; !s.getsOver(ctx, err) {
				if ctx.Err() != nil {
					return s.cancelled()
				}
				ending.Fault, ending.Message = whatFailed(err)
				return ending
			}
			continue
		}
		s.troubles, s.progress = 0, p
		switch {
		case p.Finished:
			return ending
		case p.Asked == contract.UpdateAbort:
			ending.Aborted = true
			return ending
		case p.Asked != "":
			if s.resumes == resumes && s.asked != contract.UpdateAbort {
				s.asked = p.Asked // else somebody said go on, or stop, while the pages came back
			}
			if err := s.wait(ctx); err != nil {
				return s.cancelled()
			}
		}
		workflow.SetCurrentDetails(ctx, s.details("reading"))
	}
}

// prove ends the run in PostgreSQL. What cannot be compared now is compared
// later, as long as nobody says stop; what never can be is a failure.
func (s *syncRun) prove(ctx, end workflow.Context, ending contract.SyncEnding) (contract.SyncResult, contract.SyncEnding, error) {
	for {
		var result contract.SyncResult
		err := workflow.ExecuteActivity(proving(end, s.queue, "compare with what the source has"), contract.ActivityProveSync, ending).Get(end, &result)
		if err == nil || ending.Aborted || ending.Fault != "" {
			return result, ending, err
		}
		s.troubles++
		waited := s.getsOver(ctx, err)
		switch {
		case ctx.Err() != nil:
			ending = s.cancelled()
		case s.asked == contract.UpdateAbort:
			ending.Aborted = true
		case !waited:
			ending.Fault, ending.Message = whatFailed(err)
		}
	}
}

// cancelled ends a run that somebody cancelled in Temporal: who, nobody tells.
func (s *syncRun) cancelled() contract.SyncEnding {
	return contract.SyncEnding{SyncRef: s.ref, Aborted: true, Message: "cancelled in Temporal"}
}

// wait holds a run that a person paused or a limit stopped, until somebody says
// how it goes on.
func (s *syncRun) wait(ctx workflow.Context) error {
	limit := s.progress.Asked == "limit" && s.asked == "limit"
	if limit {
		s.attention(ctx, true)
		workflow.SetCurrentDetails(ctx, s.details("**stopped by a limit**: "+s.progress.Reason+
			". Raise it (apply) and resume, resume with beyond, or abort"))
	} else if s.asked == contract.UpdatePause {
		workflow.SetCurrentDetails(ctx, s.details("**paused**; resume or abort it"))
	}
	if err := workflow.Await(ctx, func() bool { return s.asked == "" || s.asked == contract.UpdateAbort }); err != nil {
		return err
	}
	s.progress.Asked, s.progress.Reason = "", "" // it goes on
	if limit {
		s.attention(ctx, false)
	}
	return nil
}

// patience are the waits after stretches that ended in an error which their own
// retries did not get over: an outage of hours is sat out.
var patience = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute}

const mostTroubles = 24

// getsOver waits after a failed stretch, unless waiting cannot help.
func (s *syncRun) getsOver(ctx workflow.Context, err error) bool {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.NonRetryable() || s.troubles > mostTroubles {
		return false
	}
	_, message := whatFailed(err)
	wait := patience[min(s.troubles, len(patience))-1]
	workflow.SetCurrentDetails(ctx, s.details(fmt.Sprintf("**waiting %s**: %s", wait, message)))
	_, _ = workflow.AwaitWithTimeout(ctx, wait, func() bool { return s.asked == contract.UpdateAbort })
	return ctx.Err() == nil
}

func whatFailed(err error) (code, message string) {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Type(), app.Message()
	}
	return "sync.unfinished", "the pages did not come to an end in time"
}

func (s *syncRun) attention(ctx workflow.Context, needed bool) {
	_ = workflow.UpsertTypedSearchAttributes(ctx, contract.AttrNeedsAttention.ValueSet(needed))
}

// details is what the Temporal UI shows of a run.
func (s *syncRun) details(doing string) string {
	p := s.progress
	text := doing + "\n\n| done | of | records/s | time left |\n|---|---|---|---|\n" +
		fmt.Sprintf("| %d | %d | %.0f | %s |\n", p.Done, p.Total, p.Rate, left(p))
	var counts []string
	for _, name := range workflow.DeterministicKeys(p.Counts) {
		counts = append(counts, fmt.Sprintf("%s %d", name, p.Counts[name]))
	}
	return text + "\n" + strings.Join(counts, " · ")
}

func left(p contract.SyncProgress) string {
	if p.Rate <= 0 || p.Total <= p.Done {
		return "–"
	}
	return (time.Duration(float64(p.Total-p.Done)/p.Rate) * time.Second).Round(time.Second).String()
}

func cutText(s string) string {
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "")
	}
	return s
}
