package local_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
	"towpath/workflows/contract"
)

// TestSyncIsSteered: people pause, resume and abort a run.
func TestSyncIsSteered(t *testing.T) {
	lengthy(t)
	w := syncing(t, local.Options{Odoo: unhurried})
	w.each(map[string]func(*world){"pause and resume": (*world).pausedAndResumed, "abort": (*world).aborted, "abort at rest": (*world).abortedAtRest})
}

// TestSyncKeepsToItsLimits: a run stops at a limit and asks; people let it go on
// beyond the limit, or raise it. One run of a job at a time is a limit, too.
func TestSyncKeepsToItsLimits(t *testing.T) {
	t.Parallel()
	w := syncing(t, local.Options{Odoo: unhurried})
	w.each(map[string]func(*world){"beyond a limit": (*world).beyondTheLimit, "a raised limit": (*world).limitRaised, "twice": (*world).startedTwice})
}

// each runs tests by name, one after another, on the same installation.
func (w *world) each(tests map[string]func(*world)) {
	t := w.t
	for name, test := range byName(tests) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			test(w)
		})
	}
	w.as(t)
}

// rests makes sure that nothing is written any more.
func (w *world) rests(run string) {
	w.t.Helper()
	sent, done := w.rowsSent(), w.done(run)
	time.Sleep(2 * time.Second)
	assert.Equal(w.t, sent, w.rowsSent(), "rows are sent by a run that rests")
	assert.Equal(w.t, done, w.done(run))
	require.Equal(w.t, "running", w.row(run).Status)
}

func (w *world) pausedAndResumed() {
	s, run := w.runningRun("paused", 5)
	said := w.towpath("sync", "pause", s.name, "--by", "ada", "--reason", "stock-taking")
	assert.Contains(w.t, said, "the run pauses")
	asked := w.rowsSent()
	w.eventually(patience, "it rests", func() bool { return w.at(run).Asked == contract.UpdatePause })
	w.rests(run)
	assert.LessOrEqual(w.t, w.rowsSent()-asked, 2*smallPage, "what is under way is finished, and nothing else is begun")
	r := w.row(run)
	assert.Equal(w.t, []string{"pause", "ada", "stock-taking"}, []string{r.Asked.String, r.AskedBy.String, r.AskedWhy.String})
	rested := w.done(run)

	require.NoError(w.t, w.Worker[0].Kill()) // who rests outlives workers
	require.NoError(w.t, w.Worker[0].Start(w.ctx))
	w.rests(run)
	assert.Contains(w.t, w.towpath("sync", "resume", s.name, "--by", "ada"), "goes on")
	w.proved(s, run)
	assert.Greater(w.t, len(s.goods), rested)
	w.repeatedAtMost(s, 1, 0)
}

func (w *world) aborted() {
	s, run := w.runningRun("aborted", 5)
	_, err := w.Run(w.ctx, "sync", "abort", s.name)
	assert.Equal(w.t, 2, exitCode(err), "an abort needs a reason")
	w.towpath("sync", "abort", s.name, "--by", "ada", "--reason", "wrong file")
	r := w.ended(run, patience)
	assert.Equal(w.t, "stopped", r.Status)
	assert.Equal(w.t, "stopped by ada: wrong file", r.Sentence)
	c := countsOf(r)
	assert.GreaterOrEqual(w.t, c.Created, int64(smallPage), "what was settled is told")
	assert.Equal(w.t, c.Fetched, c.Processed())
	assert.False(w.t, w.watermarkOf(s).Watermark.Valid, "nothing is proved")
	assert.Contains(w.t, w.towpath("sync", "runs", s.name), "wrong file")
	next := w.proved(s, w.start(s))
	assert.GreaterOrEqual(w.t, next.Unchanged, c.Created, "what was written stays")
	w.repeatedAtMost(s, 1, 0)
}

func (w *world) abortedAtRest() {
	s, run := w.runningRun("aborted-at-rest", 4)
	w.towpath("sync", "pause", s.name)
	w.eventually(patience, "it rests", func() bool { return w.at(run).Asked == contract.UpdatePause })
	w.towpath("sync", "abort", s.name, "--by", "ben", "--reason", "no time")
	r := w.ended(run, patience)
	assert.Equal(w.t, "stopped", r.Status)
	assert.Equal(w.t, "stopped by ben: no time", r.Sentence)
}

// stopsAtTheLimit waits until a run has stopped at its limit of 100 creations,
// and asks.
func (w *world) stopsAtTheLimit(s *sheet) (run string) {
	w.t.Helper()
	w.apply(s)
	w.SimOdoo.Stats.Reset()
	run = w.start(s)
	w.eventually(patience, "a limit stops it", func() bool { return w.at(run).Asked == "limit" })
	at := w.at(run)
	assert.Contains(w.t, at.Reason, "the limit is 100 (limits.max_creates)")
	assert.LessOrEqual(w.t, w.rowsSent(), 100, "a limit is never exceeded")
	assert.EqualValues(w.t, w.rowsSent(), at.Done, "what was written is counted")
	assert.Equal(w.t, "running", w.row(run).Status)
	assert.True(w.t, w.needsAttention(run), "it asks")
	return run
}

func (w *world) needsAttention(run string) bool {
	w.t.Helper()
	d, err := w.temporal().DescribeWorkflow(w.ctx, run, "")
	require.NoError(w.t, err)
	needs, _ := d.TypedSearchAttributes.GetBool(contract.AttrNeedsAttention)
	return needs
}

func limited(name string) *sheet {
	return goodsSheet(name, 2*smallPage).with("batch_size", 40).with("limits", map[string]any{"max_creates": 100})
}

func (w *world) beyondTheLimit() {
	s := limited("limited")
	run := w.stopsAtTheLimit(s)
	w.towpath("sync", "resume", s.name, "--by", "ada")
	w.eventually(patience, "it goes on, and stops at the same limit", func() bool { return w.row(run).AskedBy.String == "ada" && w.at(run).Asked == "limit" })
	w.rests(run)
	assert.LessOrEqual(w.t, w.rowsSent(), 100, "the limit holds")
	w.towpath("sync", "resume", s.name, "--beyond-limits", "--by", "ada", "--reason", "a new supplier")
	w.proved(s, run)
	assert.False(w.t, w.needsAttention(run), "it asks no more")
	w.repeatedAtMost(s, 0, 0)
}

func (w *world) limitRaised() {
	s := limited("raised")
	run := w.stopsAtTheLimit(s)
	w.applyJobs(s.with("limits", map[string]any{"max_creates": 1000}))
	w.towpath("sync", "resume", s.name)
	w.proved(s, run)
	w.repeatedAtMost(s, 0, 0)
}

// startedTwice: a job runs once at a time. Who comes second is told so, and
// fails nothing.
func (w *world) startedTwice() {
	s := goodsSheet("twice", 2*smallPage).with("batch_size", smallPage)
	w.apply(s)
	w.SimOdoo.Stats.Reset()
	gate := make(chan struct{}) // Odoo takes its time until everybody has come
	release := sync.OnceFunc(func() { close(gate) })
	w.t.Cleanup(release)
	hold := w.SimOdoo.Faults.Add(odoosim.Fault{Model: "product.product", Method: "load", Gate: gate})
	c := w.temporal()
	var runs []client.WorkflowRun
	for range 2 { // as two schedules or people would, at the same moment
		id := contract.SyncWorkflowID(s.name, time.Now())
		run, err := c.ExecuteWorkflow(w.ctx, client.StartWorkflowOptions{ID: id, TaskQueue: contract.QueueMain}, contract.SyncWorkflow, contract.SyncInput{Job: s.name})
		require.NoError(w.t, err)
		runs = append(runs, run)
		time.Sleep(2 * time.Millisecond) // ids are of milliseconds
	}
	w.eventually(patience, "one of them holds the lease", func() bool {
		return w.count(`SELECT count(*) FROM run WHERE job = $1 AND status = 'running'`, s.name) == 1
	})
	said, err := w.Run(w.ctx, "sync", "run", s.name)
	assert.Error(w.t, err, "a third is refused")
	assert.Contains(w.t, said, "another run of \"twice\" goes on")
	hold()
	release()
	ends := map[string]string{}
	for _, run := range runs {
		var r contract.SyncResult
		require.NoError(w.t, run.Get(w.ctx, &r), "neither fails")
		ends[r.Status] = run.GetID()
		if r.Status == contract.StatusSkipped {
			assert.Contains(w.t, r.Sentence, "another run of \"twice\" goes on")
		}
	}
	require.Len(w.t, ends, 2, "%v", ends)
	w.proved(s, ends["success"])
	assert.Equal(w.t, 1, w.count(`SELECT count(*) FROM run WHERE job = $1`, s.name), "the other has no row")
	w.repeatedAtMost(s, 0, 0)
}

// TestSyncBySchedule: a job has a schedule that begins paused. What it starts
// is a run of its workflow's id; a pause of an operator's stays.
func TestSyncBySchedule(t *testing.T) {
	t.Parallel()
	w := syncing(t, local.Options{})
	s := goodsSheet("nightly", 120).with("schedule", map[string]any{"type": "cron", "cron": "30 3 * * *"})
	w.apply(s)
	h := w.temporal().ScheduleClient().GetHandle(w.ctx, contract.SyncScheduleID(s.name))
	w.eventually(patience, "the schedule is made", func() bool { _, err := h.Describe(w.ctx); return err == nil })
	d, err := h.Describe(w.ctx)
	require.NoError(t, err)
	assert.True(t, d.Schedule.State.Paused, "nothing begins to write because a file was applied")

	require.NoError(t, h.Trigger(w.ctx, client.ScheduleTriggerOptions{}))
	w.eventually(patience, "a run is opened", func() bool { return w.count(`SELECT count(*) FROM run WHERE job = $1`, s.name) == 1 })
	runs, err := w.Store.Runs(w.ctx, s.name, 1)
	require.NoError(t, err)
	w.proved(s, runs[0].ID)
	w.eventually(patience, "the schedule knows its run", func() bool {
		d, err = h.Describe(w.ctx)
		return err == nil && len(d.Info.RecentActions) == 1
	})
	assert.Equal(t, d.Info.RecentActions[0].StartWorkflowResult.WorkflowID, runs[0].ID, "the run's row has its workflow's id")

	w.towpath("sync", "resume-schedule", s.name)
	w.towpath("sync", "pause-schedule", s.name, "--by", "ada", "--reason", "stock-taking")
	require.NoError(t, w.Worker[0].Kill())
	require.NoError(t, w.Worker[0].Start(w.ctx))
	w.applyJobs(s.with("schedule", map[string]any{"type": "cron", "cron": "45 4 * * *"}))
	require.NoError(t, w.Worker[0].Kill())
	require.NoError(t, w.Worker[0].Start(w.ctx))
	w.eventually(patience, "the schedule follows the job", func() bool {
		d, err = h.Describe(w.ctx)
		return err == nil && len(d.Schedule.Spec.Calendars) == 1 && d.Schedule.Spec.Calendars[0].Minute[0].Start == 45
	})
	assert.True(t, d.Schedule.State.Paused, "a pause is a person's, and stays")
	assert.Equal(t, "ada: stock-taking", d.Schedule.State.Note)
	assert.Contains(t, w.towpath("sync", "list"), "ada: stock-taking")
}
