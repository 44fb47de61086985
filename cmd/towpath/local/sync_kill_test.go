package local_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	"towpath/schema/jobs"
)

// syncSteps are the failpoints of a page, in lots: each has an installation of
// its own, since most of the time is waiting for the timeouts of dead workers.
var syncSteps = [][]string{
	{"sync.prepared", "sync.intended"},
	{"sync.written"},
	{"sync.readback", "sync.settled"},
}

// TestSyncWorkerKilledAtEveryStep kills the worker with -9 at each step of a
// page: the first, a middle one and the last of a run. Others go on; then both
// sides are counted.
func TestSyncWorkerKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for i, lot := range syncSteps {
		t.Run(fmt.Sprintf("lot %d", i+1), func(t *testing.T) {
			lengthy(t)
			w := syncing(t, local.Options{})
			for _, step := range lot {
				s := goodsSheet(strings.ReplaceAll(step, ".", "-"), 2*maxPage+100)
				w.apply(s)
				t.Run("creating at "+step, func(t *testing.T) {
					w.as(t)
					c := w.killedInRun(s, step)
					assert.EqualValues(t, len(s.goods), c.Created)
				})
			}
			w.as(t)
		})
	}
}

// killedInRun runs a job of three pages while one worker after the other dies
// at a step: on the first, the second and the last page.
func (w *world) killedInRun(s *sheet, step string) (c jobs.Counts) {
	w.t.Helper()
	require.NoError(w.t, w.Worker[0].Kill())
	w.SimOdoo.Stats.Reset()
	run := w.start(s)
	again, sent, settled := 0, 0, 0
	for life, visit := range []int{1, 2, 2} { // a settled page is not begun again
		if step == "sync.settled" && life > 0 {
			visit = 1
		}
		doomed := w.NewWorker(fmt.Sprintf("doomed-%s-%d", step, life+1), fmt.Sprintf("TOWPATH_FAILPOINT=%s:%d", step, visit))
		require.NoError(w.t, doomed.Start(w.ctx))
		w.die(doomed)
		now, done := w.rowsSent(), w.done(run)
		unsettled := (now - sent) - (done - settled)
		assert.GreaterOrEqual(w.t, unsettled, 0)
		assert.LessOrEqual(w.t, unsettled, maxPage*(1+w.takeovers(run)-life), "at most a page is repeated")
		again, sent, settled = again+unsettled, now, done
		w.t.Logf("killed at %s, life %d: %d rows were sent, %d are settled", step, life+1, now, done)
	}
	require.NoError(w.t, w.Worker[0].Start(w.ctx))
	c = w.proved(s, run)
	const deaths = 3
	if took := w.takeovers(run); took > deaths { // one who was alive was taken for dead
		assert.LessOrEqual(w.t, w.rowsSent(), len(s.goods)+took*maxPage)
		return c
	}
	assert.Equal(w.t, len(s.goods)+again, w.rowsSent(), "no row is sent twice but those of the pages under way")
	return c
}

// TestSyncWorkerKilledWhileRealOdooWrites does so at the writing steps, and at
// any moment in between, with a real Odoo 19 whose transactions go on or roll
// back as they like: while records are made, and while they are changed.
func TestSyncWorkerKilledWhileRealOdooWrites(t *testing.T) {
	needRealOdoo(t)
	lengthy(t)
	s := goodsSheet("real", 400).with("batch_size", 100)
	w := syncing(t, local.Options{RealOdoo: true, OdooConfig: shortLimit}, s)
	deaths := map[string][]string{"make": {"sync.intended", "sync.written", "sync.readback"}, "change": {"sync.written"}}
	for _, phase := range []string{"make", "change"} {
		require.NoError(t, w.Worker[0].Kill())
		run := w.start(s)
		for _, step := range deaths[phase] {
			doomed := w.NewWorker(fmt.Sprintf("doomed-%s-%s", phase, step), "TOWPATH_FAILPOINT="+step)
			require.NoError(t, doomed.Start(w.ctx))
			w.die(doomed)
		}
		require.NoError(t, w.Worker[0].Start(w.ctx))
		done := w.done(run)
		w.eventually(patience, "it writes the next page, or all of them while this process was asleep", func() bool {
			return w.done(run) > done && w.count(`SELECT count(*) FROM change WHERE run = $1 AND state = 'intent'`, run) > 0 ||
				w.count(`SELECT count(*) FROM run WHERE id = $1 AND ended_at IS NOT NULL`, run) == 1
		})
		require.NoError(t, w.Worker[0].Kill())
		require.NoError(t, w.Worker[0].Start(w.ctx))
		c := w.proved(s, run)
		t.Logf("%s: %+v", phase, c)
		if phase == "make" {
			assert.EqualValues(t, len(s.goods), c.Created)
			s.reprice(1)
			w.deliver(s)
		} else {
			assert.EqualValues(t, len(s.goods), c.Updated)
		}
	}
}
