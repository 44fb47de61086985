package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// JobOf reads a stored job.
func JobOf(stored store.Job) (jobs.Job, error) {
	var j jobs.Job
	if err := json.Unmarshal(stored.Spec, &j); err != nil {
		return j, fault.New(fault.Invalid, "job.unreadable", "the stored job %q cannot be read", stored.Name).
			WithResolution("apply its file again: towpath apply").WithCause(err)
	}
	return j, nil
}

// EnsureSyncSchedules brings the Temporal Schedules of jobs to what the jobs
// say, and names the schedules that it had to create. A schedule is created
// paused. A pause, a resume and their notes are an operator's: they stay as
// they are, but for a job that is not active, whose schedule is paused and
// never resumed by itself.
//
// A job whose schedule cannot be made does not hold up the others; the error
// joins all faults.
func EnsureSyncSchedules(ctx context.Context, c client.Client, opt client.Options, all []store.Job) (created []string, err error) {
	var faults []error
	for _, j := range all {
		made, err := ensureSyncSchedule(ctx, c, j, true)
		if err != nil {
			faults = append(faults, scheduleFault(opt, j.Name, err))
		}
		if made {
			created = append(created, j.Name)
		}
	}
	return created, errors.Join(faults...)
}

func scheduleFault(opt client.Options, job string, err error) error {
	var f *fault.Fault
	var refused *serviceerror.InvalidArgument
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &refused):
		return fault.New(fault.Invalid, "job.schedule_refused", "Temporal refuses the schedule of the job %q: %s", job, refused.Message).
			WithResolution("change the job's schedule in towpath.yaml and apply the file").WithCause(err)
	}
	return unreachable(opt, err)
}

// syncSchedules remembers which revision of each job its schedule follows
// already: an update of a schedule is an event in its history, and nothing to
// be repeated every minute.
type syncSchedules struct {
	known map[string]int64
}

// follow creates what is missing and updates the schedules of jobs that
// changed since the last call.
func (s *syncSchedules) follow(ctx context.Context, d Deps) error {
	all, err := d.Store.Jobs(ctx)
	if err != nil {
		return err
	}
	if s.known == nil {
		s.known = map[string]int64{}
	}
	var faults []error
	for _, j := range all {
		if _, err := ensureSyncSchedule(ctx, d.Temporal, j, s.known[j.Name] != j.Revision); err != nil {
			faults = append(faults, scheduleFault(d.Options, j.Name, err))
			continue
		}
		s.known[j.Name] = j.Revision
	}
	return errors.Join(faults...)
}

func ensureSyncSchedule(ctx context.Context, c client.Client, stored store.Job, update bool) (created bool, err error) {
	j, err := JobOf(stored)
	if err != nil {
		return false, err
	}
	want := syncSchedule(j)
	if !stored.Active {
		want.Note = inactiveNote(j.Name)
	}
	_, err = c.ScheduleClient().Create(ctx, want)
	var exists *serviceerror.AlreadyExists
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) && !errors.As(err, &exists) {
		return err == nil, err
	}
	if update {
		if err := updateSchedule(ctx, c.ScheduleClient(), want); err != nil {
			return false, err
		}
	}
	if stored.Active {
		return false, nil
	}
	return false, pauseInactive(ctx, c, j.Name)
}

func inactiveNote(job string) string {
	return "paused by towpath while the job was not active; when it is again: towpath sync resume-schedule " + job
}

// pauseInactive pauses the schedule of a job that is switched off, unless an
// operator has done so: then the note is theirs.
func pauseInactive(ctx context.Context, c client.Client, job string) error {
	h := c.ScheduleClient().GetHandle(ctx, contract.SyncScheduleID(job))
	d, err := h.Describe(ctx)
	if err != nil || d.Schedule.State.Paused {
		return err
	}
	return h.Pause(ctx, client.SchedulePauseOptions{Note: inactiveNote(job)})
}

// syncSchedule is the Temporal Schedule of a job, as it is created: paused,
// since nothing may begin to write to a system because a file was applied.
// A job that is started by hand has one without times, so that it can be
// triggered in the UI, too.
func syncSchedule(j jobs.Job) client.ScheduleOptions {
	spec := j.Spec()
	start := SyncStart(j, contract.SyncInput{Job: j.Name}, contract.SyncScheduleID(j.Name))
	return client.ScheduleOptions{
		ID:             contract.SyncScheduleID(j.Name),
		Spec:           scheduleSpec(spec),
		Overlap:        enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow:  spec.CatchUp,
		PauseOnFailure: spec.PauseOnFailure,
		Paused:         true,
		Note:           "created paused: towpath sync resume-schedule " + j.Name,
		Action: &client.ScheduleWorkflowAction{
			ID: start.ID, Workflow: contract.SyncWorkflow, Args: []any{contract.SyncInput{Job: j.Name}}, TaskQueue: start.TaskQueue,
			WorkflowRunTimeout: start.WorkflowRunTimeout, TypedSearchAttributes: start.TypedSearchAttributes, StaticSummary: start.StaticSummary,
		},
		TypedSearchAttributes: start.TypedSearchAttributes,
	}
}

func scheduleSpec(s jobs.Spec) client.ScheduleSpec {
	spec := client.ScheduleSpec{Jitter: s.Jitter, TimeZoneName: s.TimeZone}
	if s.Every > 0 {
		spec.Intervals = []client.ScheduleIntervalSpec{{Every: s.Every, Offset: s.Phase}}
	}
	for _, c := range s.Calendars {
		spec.Calendars = append(spec.Calendars, client.ScheduleCalendarSpec{
			Minute: scheduleRanges(c.Minutes), Hour: scheduleRanges(c.Hours), DayOfMonth: scheduleRanges(c.Days),
			Month: scheduleRanges(c.Months), DayOfWeek: scheduleRanges(c.Weekdays), Year: scheduleRanges(c.Years),
		})
	}
	return spec
}

func scheduleRanges(ranges []jobs.Range) (all []client.ScheduleRange) {
	for _, r := range ranges {
		all = append(all, client.ScheduleRange{Start: r.Start, End: r.End, Step: r.Step})
	}
	return all
}

// SyncStart are the options with which a run of a job starts as the workflow
// id, by its schedule or by hand.
func SyncStart(j jobs.Job, in contract.SyncInput, id string) client.StartWorkflowOptions {
	j = j.WithDefaults()
	if in.Mode != "" {
		j.Mode = jobs.Mode(in.Mode)
	}
	// The connection that the job is about is the one that is not Odoo.
	about := j.Source
	if j.Direction == jobs.Export {
		about = j.Target
	}
	return client.StartWorkflowOptions{
		ID: id, TaskQueue: contract.QueueMain,
		// A hung run would block the schedule for ever (overlap SKIP).
		WorkflowRunTimeout: j.Spec().RunTimeout,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			contract.AttrConnection.ValueSet(about), contract.AttrJobKind.ValueSet(string(j.Kind)),
		),
		StaticSummary: fmt.Sprintf("%s: %s, %s → %s, %s", j.Name, j.Kind, j.Source, j.Target, j.Mode),
	}
}
