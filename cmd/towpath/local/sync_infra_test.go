package local_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// smallPage is a page of a run that is disturbed. In an unhurried Odoo it lasts
// long enough not to grow, and for a test to come in between.
const smallPage = 80

var unhurried = odoosim.Options{Workers: 2, Latency: odoosim.Latency{PerCall: 20 * time.Millisecond, PerRow: 22 * time.Millisecond}}

// runningRun starts a run of a new sheet and waits until a page is settled.
func (w *world) runningRun(name string, pages int) (s *sheet, run string) {
	w.t.Helper()
	s = goodsSheet(name, pages*smallPage).with("batch_size", smallPage)
	w.apply(s)
	w.SimOdoo.Stats.Reset()
	run = w.start(s)
	w.settles(run, smallPage)
	return s, run
}

// settles waits until so many records of a run are settled, and sees to it
// that there are more.
func (w *world) settles(run string, n int) {
	w.t.Helper()
	w.eventually(patience, "records are settled", func() bool { return w.done(run) >= n })
	require.False(w.t, w.row(run).EndedAt.Valid, "the run was over before it could be disturbed")
}

// takeovers is how often Temporal gave work of a run to somebody else, since it
// had not heard of whoever had it: he was dead, or the machine stood still.
func (w *world) takeovers(run string) (n int) {
	w.t.Helper()
	d, err := w.temporal().DescribeWorkflowExecution(w.ctx, run, "")
	if err != nil {
		return 0 // lost with Temporal's database
	}
	pages := map[int64]bool{} // by the events that scheduled them
	for _, a := range d.PendingActivities {
		if a.ActivityType.Name == contract.ActivitySyncPages {
			n += int(a.Attempt) - 1
		}
	}
	for events := w.temporal().GetWorkflowHistory(w.ctx, run, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		require.NoError(w.t, err)
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			pages[e.EventId] = a.ActivityType.Name == contract.ActivitySyncPages
		}
		if a := e.GetActivityTaskStartedEventAttributes(); a != nil && pages[a.ScheduledEventId] {
			n += int(a.Attempt) - 1
		}
	}
	return n
}

// repeatedAtMost says how many rows were sent twice: so many pages, of which the
// deaths that the test brought about account for some; each takeover that comes
// on top of them, since the machine stood still, may send a page again.
func (w *world) repeatedAtMost(s *sheet, pages, deaths int) {
	w.t.Helper()
	runs, err := w.Store.Runs(w.ctx, s.name, 100)
	require.NoError(w.t, err)
	took := 0
	for _, r := range runs {
		took += w.takeovers(r.ID)
	}
	pages += max(0, took-deaths)
	again := w.rowsSent() - len(s.goods)
	w.t.Logf("%d of %d rows were sent again", again, len(s.goods))
	assert.GreaterOrEqual(w.t, again, 0)
	assert.LessOrEqual(w.t, again, pages*smallPage, "rows that were sent again")
}

// TestSyncWhileOthersRestart: Temporal, PostgreSQL, and Odoo go away under a
// run and come back. It goes on by itself and is proved.
func TestSyncWhileOthersRestart(t *testing.T) {
	lengthy(t)
	w := syncing(t, local.Options{Odoo: unhurried})
	t.Run("Temporal", func(t *testing.T) {
		w.as(t)
		s, run := w.runningRun("temporal-restarts", 5)
		for life := range 2 {
			w.settles(run, (life+1)*smallPage)
			require.NoError(t, w.Temporal.Kill())
			require.NoError(t, w.Temporal.Start(w.ctx))
		}
		w.proved(s, run)
		w.repeatedAtMost(s, 2, 2)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		w.as(t)
		s, run := w.runningRun("postgres-restarts", 5)
		for life := range 2 {
			w.settles(run, (life+1)*smallPage)
			require.NoError(t, w.PG.Kill())
			require.NoError(t, w.PG.Start(w.ctx))
		}
		w.proved(s, run)
		w.repeatedAtMost(s, 4, 4)
	})
	t.Run("Odoo", func(t *testing.T) {
		w.as(t)
		s, run := w.runningRun("odoo-restarts", 5)
		back, err := w.SimOdoo.Down(w.ctx, 6*time.Second)
		require.NoError(t, err)
		require.NoError(t, <-back)
		w.proved(s, run)
		w.repeatedAtMost(s, 3, 3)
	})
	t.Run("answers lost after commit", func(t *testing.T) {
		w.as(t)
		for _, skip := range []int{1, 4, 9} {
			w.SimOdoo.Faults.Add(odoosim.Fault{Model: "product.product", Method: "load", Skip: skip, Times: 1, ResetAfterCommit: true})
		}
		defer w.SimOdoo.Faults.Clear()
		s := goodsSheet("lost-answers", 3*smallPage).with("batch_size", smallPage)
		w.apply(s)
		w.proved(s, w.start(s))
	})
	w.as(t)
}

// lost says that a run ended without a word of its own, and what that means.
func (w *world) lost(run string) {
	w.t.Helper()
	r := w.row(run)
	assert.Equal(w.t, "failed", r.Status)
	assert.Equal(w.t, "run.lost", r.Code)
	assert.True(w.t, r.EndedAt.Valid)
	assert.Contains(w.t, r.Sentence, "what was settled stays")
	assert.GreaterOrEqual(w.t, countsOf(r).Created, int64(smallPage), "what was settled is told")
}

// watermarkOf is a job's watermark; nothing was proved while it is NULL.
func (w *world) watermarkOf(s *sheet) (j store.Job) {
	w.t.Helper()
	j, err := w.Store.Job(w.ctx, s.name)
	require.NoError(w.t, err)
	return j
}

// TestSyncWorkflowGone: the workflow of a run is terminated, or lost with
// Temporal's database. The next run of the job takes the lease over, and reads
// nothing into Odoo that is there already.
func TestSyncWorkflowGone(t *testing.T) {
	t.Parallel()
	w := syncing(t, local.Options{Odoo: unhurried})
	for name, end := range byName(map[string]func(run string) error{
		"terminated": func(run string) error {
			return w.temporal().TerminateWorkflow(w.ctx, run, "", "by an operator in the UI")
		},
		"database-lost": func(string) error { return w.Temporal.Wipe(w.ctx) },
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			s, run := w.runningRun(name, 5)
			require.NoError(t, end(run))
			assert.Equal(t, "running", w.row(run).Status, "nobody has told the book")
			next := w.start(s)
			c := w.proved(s, next)
			w.lost(run)
			assert.GreaterOrEqual(t, c.Unchanged, int64(smallPage), "what was settled is not written again")
			w.repeatedAtMost(s, 2, 0)
		})
	}
	w.as(t)
}

// TestSyncCancelledInTemporal: Cancel in the UI ends a run in good order.
func TestSyncCancelledInTemporal(t *testing.T) {
	t.Parallel()
	w := syncing(t, local.Options{Odoo: unhurried, Env: []string{steady}})
	s, run := w.runningRun("cancelled", 10) // it hears of its cancellation by a heartbeat
	require.NoError(t, w.temporal().CancelWorkflow(w.ctx, run, ""))
	r := w.ended(run, patience)
	assert.Equal(t, "stopped", r.Status, "before its end")
	assert.Equal(t, "cancelled in Temporal", r.Sentence)
	assert.False(t, w.watermarkOf(s).Watermark.Valid, "nothing is proved")
	c := w.proved(s, w.start(s))
	assert.GreaterOrEqual(t, c.Unchanged, int64(smallPage))
	w.repeatedAtMost(s, 1, 0)

	t.Run("while it is paused", func(t *testing.T) {
		w.as(t)
		s, run := w.runningRun("cancelled-at-rest", 4)
		w.towpath("sync", "pause", s.name)
		w.eventually(patience, "it rests", func() bool { return w.at(run).Asked == contract.UpdatePause })
		require.NoError(t, w.temporal().CancelWorkflow(w.ctx, run, ""))
		assert.Equal(t, "stopped", w.ended(run, patience).Status)
	})
	w.as(t)
}

// at is what a run's workflow says of itself.
func (w *world) at(run string) (p contract.SyncProgress) {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	if v, err := w.temporal().QueryWorkflow(ctx, run, "", contract.QueryProgress); err == nil {
		_ = v.Get(&p)
	}
	return p
}

// TestSyncWithoutRights: Odoo takes the bot's rights, or its key, in the middle
// of a run. That is no fault of the records: none is parked, the run has failed
// and says why, and the next one goes on where it ended.
func TestSyncWithoutRights(t *testing.T) {
	t.Parallel()
	w := syncing(t, local.Options{Odoo: unhurried, Env: []string{steady}})
	for name, k := range byName(map[string]struct{ model, method string }{
		"key-revoked":   {"", ""},
		"rights-taken":  {"product.product", "load"},
		"reading-taken": {"product.product", "*read"},
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			s, run := w.runningRun(name, 4)
			fault := odoosim.Fault{Model: k.model, Method: k.method, Status: http.StatusForbidden,
				Body: `{"name": "odoo.exceptions.AccessError", "message": "You are not allowed to modify 'Product Variant' (product.product) records.", "arguments": [], "context": {}, "debug": ""}`}
			if k.model == "" {
				fault.Status = http.StatusUnauthorized
				fault.Body = `{"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey", "arguments": ["Invalid apikey", 401], "context": {}, "debug": ""}`
			}
			again := w.SimOdoo.Faults.Add(fault)
			r := w.ended(run, patience)
			assert.Equal(t, "failed", r.Status)
			assert.NotEmpty(t, r.Code)
			assert.NotEqual(t, "run.lost", r.Code)
			t.Logf("%s: %s", r.Code, r.Sentence)
			c := countsOf(r)
			assert.Zero(t, c.Errors(), "no record is to blame: %+v", c)
			assert.Zero(t, w.count(`SELECT count(*) FROM parked WHERE job = $1`, s.name))
			assert.False(t, w.watermarkOf(s).Watermark.Valid, "nothing is proved")
			again()
			w.proved(s, w.believed(s, r.Code))
			w.repeatedAtMost(s, 2, 0)
		})
	}
	w.as(t)
}

// believed starts runs until one is not refused any more: for some seconds
// what Odoo refused is not asked again.
func (w *world) believed(s *sheet, refusal string) (run string) {
	w.t.Helper()
	w.eventually(patience, "Odoo is believed again", func() bool {
		run = w.start(s)
		return w.ended(run, patience).Code != refusal
	})
	return run
}
