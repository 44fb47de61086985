package worker

import (
	"context"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"towpath/schema/jobs"
	"towpath/workflows/contract"
)

// wakeEvery is how often at most events start the runs of jobs: what happens
// meanwhile is one run.
const wakeEvery = 10 * time.Second

// wakes starts the runs of jobs whose source has told that records changed.
type wakes struct {
	*process
	connection string
	models     []string // noted, and not woken for
	last       time.Time
}

// note remembers what was told.
func (w *wakes) note(models []string) {
	for _, m := range models {
		if !slices.Contains(w.models, m) {
			w.models = append(w.models, m)
		}
	}
}

// wake triggers the schedules of the jobs that are concerned, unless it did so a
// moment ago; it gives the time until it is to be called again, 0 where nothing
// is left to be woken. A run that is going on
// is followed by one more: it may have read before the change.
func (w *wakes) wake(ctx context.Context) time.Duration {
	if len(w.models) == 0 {
		return 0
	}
	if wait := time.Until(w.last.Add(wakeEvery)); wait > 0 {
		return wait
	}
	w.last = time.Now()
	names, err := w.concerned(ctx)
	if err == nil {
		for _, name := range names {
			err = triggerUnlessPaused(ctx, w.Temporal, contract.SyncScheduleID(name))
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			w.Log.Warn().Err(err).Str("connection", w.connection).Msg("jobs are not started by events at the moment; their schedules do")
		}
		return wakeEvery
	}
	w.models = nil
	return 0
}

// concerned names the active jobs with on_event whose records the noted models
// hold, on the side that told.
func (w *wakes) concerned(ctx context.Context) (names []string, err error) {
	all, err := w.Store.JobModels(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range all {
		told := j.Source == w.connection && slices.Contains(w.models, j.SourceModel) ||
			j.Direction == string(jobs.Bidirectional) && j.Target == w.connection && slices.Contains(w.models, j.TargetModel)
		if j.OnEvent && told {
			names = append(names, j.Job)
		}
	}
	return names, nil
}

// triggerUnlessPaused starts what a schedule starts, once more after what runs.
func triggerUnlessPaused(ctx context.Context, c client.Client, schedule string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	h := c.ScheduleClient().GetHandle(ctx, schedule)
	s, err := h.Describe(ctx)
	if err != nil || s.Schedule.State.Paused {
		return err
	}
	return h.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE})
}
