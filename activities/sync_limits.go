package activities

import (
	"encoding/json"

	"towpath/schema/jobs"
)

// reserve counts a page in that is about to be written, unless a limit of the
// job forbids it.
//
// What an earlier run has parked, and is parked again, is no news of this one: a
// backlog must not stop every run. What this run has deferred is.
func (w *laneWork) reserve(page jobs.Counts, again int64) (reason string, stop bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	with := w.counts.Add(page)
	news := with
	news.Parked -= max(0, w.again+again-with.Skipped["deferred"])
	if !w.lifted && !w.dry() {
		if reason, stop = jobs.StopsAt(news, w.limits); stop {
			return reason, true
		}
	}
	w.counts = with
	w.again += again
	return "", false
}

// steer takes the job's limits over as they are now: they may be changed while
// the run goes on.
func (w *laneWork) steer(spec json.RawMessage, unlimited bool) {
	var job jobs.Job
	if json.Unmarshal(spec, &job) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limits, w.lifted = job.WithDefaults().Limits, unlimited
}

// minus is what has to be added to b to get a.
func minus(a, b jobs.Counts) jobs.Counts {
	d := map[string]int64{}
	for name, n := range a.Named() {
		d[name] = n
	}
	for name, n := range b.Named() {
		d[name] -= n
	}
	return jobs.CountsOf(d)
}
