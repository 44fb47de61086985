package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

// withTemporal gives the desk a namespace of its own on a real Temporal server.
func (d *desk) withTemporal() (client.Client, client.Options) {
	d.t.Helper()
	address := os.Getenv("TOWPATH_TEST_TEMPORAL")
	if address == "" {
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			d.t.Fatal("TOWPATH_TEST_TEMPORAL is not set, and TOWPATH_REQUIRE_REAL=1 forbids to skip")
		}
		d.t.Skip("SKIPPED: needs a real Temporal server, its address in TOWPATH_TEST_TEMPORAL")
	}
	d.t.Setenv("TEMPORAL_ADDRESS", address)
	d.t.Setenv("TEMPORAL_NAMESPACE", fmt.Sprintf("desk-%d", time.Now().UnixNano()))
	scheduleTime = time.Minute
	c, opt, err := worker.Dial(zerolog.Nop())
	require.NoError(d.t, err)
	d.t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	require.NoError(d.t, worker.WaitReady(ctx, c, opt, zerolog.Nop()))
	return c, opt
}

// fastWatch looks often and tells everything.
func fastWatch(t *testing.T) {
	t.Helper()
	every, tell := watchEvery, tellEvery
	watchEvery, tellEvery = 20*time.Millisecond, 0
	t.Cleanup(func() { watchEvery, tellEvery = every, tell })
}

// engine stands for the sync engine: runs that do what a test says.
type engine struct {
	d      *desk
	ending jobs.Status                                // empty: the run goes on until somebody aborts it
	refuse string                                     // the run is not even opened
	limit  string                                     // why a limit has stopped the run
	opened func(ctx context.Context, id string) error // what else is in the book of a run
	input  atomic.Pointer[contract.SyncInput]
	asks   chan contract.SyncAsk
}

func (d *desk) engine(c client.Client, b *engine) *engine {
	d.t.Helper()
	b.d, b.asks = d, make(chan contract.SyncAsk, 10)
	w := sdk.New(c, contract.QueueMain, sdk.Options{})
	w.RegisterWorkflowWithOptions(b.workflow, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	w.RegisterActivityWithOptions(b.open, activity.RegisterOptions{Name: "open"})
	w.RegisterActivityWithOptions(b.end, activity.RegisterOptions{Name: "end"})
	require.NoError(d.t, w.Start())
	d.t.Cleanup(w.Stop)
	return b
}

func (b *engine) workflow(ctx workflow.Context, in contract.SyncInput) (contract.SyncResult, error) {
	id := workflow.GetInfo(ctx).WorkflowExecution.ID
	aborted := false
	for _, what := range []string{contract.UpdatePause, contract.UpdateResume, contract.UpdateAbort} {
		if err := workflow.SetUpdateHandler(ctx, what, func(_ workflow.Context, ask contract.SyncAsk) (contract.SyncProgress, error) {
			b.asks <- ask
			aborted = aborted || what == contract.UpdateAbort
			if ask.Reason == "never" {
				return contract.SyncProgress{}, temporal.NewApplicationError("it is not paused", "sync.not_paused")
			}
			return contract.SyncProgress{Done: 1200}, nil
		}); err != nil {
			return contract.SyncResult{}, err
		}
	}
	if err := workflow.SetQueryHandler(ctx, contract.QueryProgress, func() (contract.SyncProgress, error) {
		if b.limit == "" {
			return contract.SyncProgress{}, nil
		}
		return contract.SyncProgress{Asked: "limit", Reason: b.limit}, nil
	}); err != nil {
		return contract.SyncResult{}, err
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
	if err := workflow.ExecuteActivity(ctx, "open", id, in).Get(ctx, nil); err != nil {
		return contract.SyncResult{}, err
	}
	ending := b.ending
	if ending == "" {
		if err := workflow.Await(ctx, func() bool { return aborted }); err != nil {
			return contract.SyncResult{}, err
		}
		ending = jobs.Stopped
	}
	return contract.SyncResult{Status: string(ending)}, workflow.ExecuteActivity(ctx, "end", id, string(ending)).Get(ctx, nil)
}

func (b *engine) open(ctx context.Context, id string, in contract.SyncInput) error {
	b.input.Store(&in)
	if b.refuse != "" {
		return temporal.NewNonRetryableApplicationError(b.refuse, "csv.file_missing", nil)
	}
	if err := b.d.openRun(ctx, id, in); err != nil || b.opened == nil {
		return err
	}
	return b.opened(ctx, id)
}

func (b *engine) end(ctx context.Context, id, status string) error {
	return b.d.endRun(ctx, id, status)
}

// openRun puts a run into the book that has read 1,200 of 2,000 records.
func (d *desk) openRun(ctx context.Context, id string, in contract.SyncInput) error {
	now := time.Now().UTC().Truncate(time.Second)
	if _, err := d.StartRun(ctx, store.Run{
		ID: id, Job: in.Job, Mode: "incremental", JobRevision: 1, Mapping: "products", MappingVersion: 1, SourceNow: now,
		Since: sql.NullTime{Time: now.Add(-time.Hour), Valid: true}, Until: sql.NullTime{Time: now, Valid: true}, CountedBefore: 2000,
		Purpose: in.Purpose, By: in.By, Reason: in.Reason,
	}); err != nil {
		return err
	}
	return d.SettlePage(ctx, store.Page{
		Run: id, Number: 0, Next: "x", Counts: map[string]int64{"fetched": 1200, "created": 1000, "unchanged": 190, "skipped.no_export": 7, "parked": 3},
		Parked: []store.ParkedRecord{{ExternalID: "A-3", Fault: fault.New(fault.Invalid, "mapping.empty_required", "a required field is empty").
			WithField("Name").WithResolution("fill it in at the source")}},
	})
}

func (d *desk) endRun(ctx context.Context, id, status string) error {
	return d.EndRun(ctx, id, store.Ending{
		Status: status, Sentence: "1,197 of 1,200 records are in step", CountedAfter: 2001, Proved: status == "partial",
		Counts: map[string]int64{"fetched": 1200, "created": 1000, "unchanged": 190, "skipped.no_export": 7, "parked": 3},
	})
}

func (d *desk) applied() {
	d.t.Helper()
	out, exit := d.apply(deskFile)
	require.Zero(d.t, exit, out)
}

func TestSyncRunIsWatchedToItsEnd(t *testing.T) {
	for ending, exit := range map[jobs.Status]int{
		jobs.Success: 0, jobs.Partial: exitProof, jobs.Incomplete: exitProof, jobs.Stopped: exitProof, jobs.Failed: exitFailed,
	} {
		t.Run(string(ending), func(t *testing.T) {
			d := newDesk(t)
			fastWatch(t)
			c, _ := d.withTemporal()
			d.applied()
			b := d.engine(c, &engine{ending: ending})
			out, got := d.run("sync", "run", "products", "--watch", "--mode", "reconcile", "--dry-run", "--by", "anna", "--reason", "new mapping")
			assert.Equal(t, exit, got, out)
			assert.Contains(t, out, string(ending)+": 1,197 of 1,200 records are in step\n  1,200 fetched, 1,000 created, 190 unchanged, 7 skipped, 3 parked\n")
			assert.Equal(t, ending != jobs.Success, strings.Contains(out, "more: towpath sync show sync/products-"), out)
			assert.Equal(t, contract.SyncInput{Job: "products", Mode: "reconcile", Purpose: contract.PurposePlan, By: "anna", Reason: "new mapping"}, *b.input.Load())
			_, got = d.run("sync", "watch", "products")
			assert.Equal(t, exit, got, "a run that has ended is told again")
		})
	}
}

func TestSyncRunThatIsNeverOpenedSaysWhy(t *testing.T) {
	d := newDesk(t)
	fastWatch(t)
	c, _ := d.withTemporal()
	d.applied()
	d.engine(c, &engine{refuse: "the file is not there; deliver it"})
	out, exit := d.run("sync", "run", "products", "--watch")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, "the run was not opened: the file is not there; deliver it")
	assert.Contains(t, out, "in the Temporal UI, workflow sync/products-")
}

func TestSyncWatchEndsWithoutTheRun(t *testing.T) {
	d := newDesk(t)
	fastWatch(t)
	c, _ := d.withTemporal()
	d.applied()
	d.engine(c, &engine{})
	_, exit := d.run("sync", "run", "products")
	require.Zero(t, exit)
	require.Eventually(t, func() bool { _, err := d.RunningRun(t.Context(), "products"); return err == nil }, time.Minute, 20*time.Millisecond)
	out, exit := d.run("sync", "run", "products")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, `another run of "products" goes on`)
	assert.Contains(t, out, "towpath sync abort products")

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel) // Ctrl-C
	out, exit = d.runIn(ctx, "sync", "watch", "products")
	assert.Equal(t, exitInterrupted, exit)
	assert.Contains(t, out, "1,200 of 2,000, 3 parked")
	assert.Contains(t, out, "no longer watched; the run goes on. See it again: towpath sync watch sync/products-")

	run, err := d.RunningRun(t.Context(), "products")
	require.NoError(t, err)
	w, err := c.DescribeWorkflow(t.Context(), run.ID, "")
	require.NoError(t, err)
	kind, _ := w.TypedSearchAttributes.GetKeyword(contract.AttrJobKind)
	assert.Equal(t, "product", kind)
	assert.Equal(t, "1", fmt.Sprint(int(w.Status)), "it runs")
}

func TestSyncWatchTellsWhatALimitStopped(t *testing.T) {
	d := newDesk(t)
	fastWatch(t)
	c, _ := d.withTemporal()
	d.applied()
	d.engine(c, &engine{limit: "2,001 records would be created, the limit is 2000 (limits.max_creates)"})
	out, exit := d.run("sync", "run", "products", "--watch")
	assert.Equal(t, exitProof, exit, "it waits for a person")
	assert.Contains(t, out, "the run waits, stopped by a limit: 2,001 records would be created")
	assert.Contains(t, out, "towpath sync resume products --beyond-limits")
}

func TestSyncRunsAreSteered(t *testing.T) {
	d := newDesk(t)
	fastWatch(t)
	c, _ := d.withTemporal()
	d.applied()
	out, exit := d.run("sync", "pause", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `no run of "products" goes on`)
	b := d.engine(c, &engine{})
	_, exit = d.run("sync", "run", "products")
	require.Zero(t, exit)
	require.Eventually(t, func() bool { _, err := d.RunningRun(t.Context(), "products"); return err == nil }, time.Minute, 20*time.Millisecond)

	out, exit = d.run("sync", "pause", "products", "--by", "anna", "--reason", "stock-taking")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "products: the run pauses at once; 1,200 records are done\n  next: towpath sync resume products\n")
	ask := <-b.asks
	assert.Equal(t, []any{"pause", "anna", "stock-taking", "products", false}, []any{ask.What, ask.By, ask.Reason, ask.Job, ask.Beyond})
	assert.Contains(t, ask.Run, "sync/products-")
	out, exit = d.run("sync", "resume", "products", "--beyond-limits")
	require.Zero(t, exit, out)
	assert.True(t, (<-b.asks).Beyond)
	out, exit = d.run("sync", "resume", "products", "--reason", "never")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, "the run refuses to resume: it is not paused")
	<-b.asks

	out, exit = d.run("sync", "abort", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "an abort needs a reason")
	out, exit = d.run("sync", "abort", "products", "--reason", "wrong file")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "products: the run ends")
	out, exit = d.run("sync", "watch", "products")
	assert.Equal(t, exitProof, exit)
	assert.Contains(t, out, "stopped: ")

	require.NoError(t, d.openRun(t.Context(), "sync/products-lost", contract.SyncInput{Job: "products"}))
	out, exit = d.run("sync", "pause", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "no workflow runs for sync/products-lost")
	out, exit = d.run("sync", "watch", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "run the job again: towpath sync run products; it closes the lost run")
}

func TestSyncSchedulesAreSteered(t *testing.T) {
	d := newDesk(t)
	c, opt := d.withTemporal()
	require.Eventually(t, func() bool { // a namespace that was just made does not take schedules at once
		_, err := worker.EnsureSyncSchedules(t.Context(), c, opt, []store.Job{{Name: "probe", Spec: []byte(`{"name":"probe","source":"a","target":"b","kind":"product"}`), Active: true}})
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	out, exit := d.apply(deskFile)
	require.Zero(t, exit, out)
	assert.Contains(t, out, "schedule   products                 created, paused; when you have seen a run go well: towpath sync resume-schedule products")
	out, exit = d.apply(deskFile)
	require.Zero(t, exit, out)
	assert.NotContains(t, out, "schedule ")

	out, exit = d.run("sync", "list")
	require.Zero(t, exit, out)
	assert.Regexp(t, `(?m)^products +product, supplier → copies +import, full +every day at 04:30 Europe/Paris; paused +none +never yet +when resumed$`, out)
	assert.Contains(t, out, "products is paused: created paused: towpath sync resume-schedule products")
	out, exit = d.run("sync", "resume-schedule", "products")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "products runs every day at 04:30 Europe/Paris, next at 20")
	out, _ = d.run("sync", "list")
	assert.Regexp(t, `04:30 Europe/Paris +none +never yet +in \d+[hm]`, out)

	out, exit = d.run("sync", "backfill", "products", "--from", time.Now().AddDate(0, 0, -3).Format(time.DateOnly))
	require.Zero(t, exit, out)
	assert.Contains(t, out, "products is started for ")
	assert.Contains(t, out, "warning: a run reads what changed since the last one")
	h := c.ScheduleClient().GetHandle(t.Context(), "sync/products")
	require.Eventually(t, func() bool { s, err := h.Describe(t.Context()); return err == nil && s.Info.NumActions >= 1 }, time.Minute, 50*time.Millisecond)
	out, exit = d.run("sync", "backfill", "products", "--from", "2020-01-31", "--to", "2020-01-31T00:01:00Z")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "has no time between 2020-01-31 00:00:00 and 2020-01-31 00:01:00")

	out, exit = d.run("sync", "pause-schedule", "products", "--by", "anna", "--reason", "until Monday")
	require.Zero(t, exit, out)
	out, _ = d.run("sync", "list")
	assert.Contains(t, out, "products is paused: anna: until Monday")
	_, exit = d.apply(strings.Replace(deskFile, "04:30", "05:30", 1))
	require.Zero(t, exit)
	out, _ = d.run("sync", "list")
	assert.Contains(t, out, "products is paused: anna: until Monday", "an operator's pause survives an apply")

	out, exit = d.apply(deskFile + "    active: false\n")
	require.Zero(t, exit, out)
	out, exit = d.run("sync", "resume-schedule", "products")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, "active: true")
	out, exit = d.run("sync", "run", "products")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, `the job "products" is switched off`)
	out, _ = d.run("sync", "list")
	assert.Contains(t, out, "the job is not active")
}

func TestSyncIsClearWithoutTemporal(t *testing.T) {
	d := newDesk(t)
	out, exit := d.run("sync", "list")
	require.Zero(t, exit)
	assert.Contains(t, out, "there are no jobs")
	d.applied()
	out, exit = d.run("sync", "list")
	require.Zero(t, exit)
	assert.Regexp(t, `04:30 Europe/Paris +none +never yet +\?`, out)
	assert.Contains(t, out, "Temporal does not answer at 127.0.0.1:1, so what is paused or comes next is not known")
	for _, args := range [][]string{
		{"sync", "run", "products"}, {"sync", "resume-schedule", "products"}, {"sync", "pause-schedule", "products"}, {"sync", "backfill", "products", "--from", "2026-01-01"},
	} {
		out, exit = d.run(args...)
		assert.Equal(t, exitFailed, exit, args)
		assert.Contains(t, out, "Temporal does not answer at 127.0.0.1:1", args)
		assert.Contains(t, out, "what to do: check that the server runs", args)
	}
	for _, args := range [][]string{
		{"sync", "run", "none"}, {"sync", "watch", "none"}, {"sync", "runs", "none"}, {"sync", "show", "none"}, {"sync", "pause", "none"}, {"sync", "resume-schedule", "none"},
	} {
		out, exit = d.run(args...)
		assert.Equal(t, exitInput, exit, args)
		assert.Contains(t, out, `there is no job "none"`, args)
	}
	out, exit = d.run("sync", "run", "products", "--mode", "some")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "use full, incremental or reconcile")
	out, exit = d.run("sync", "show", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "run it: towpath sync run products")
	out, exit = d.run("sync", "show", "sync/products-x")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "towpath sync runs JOB")
	require.NoError(t, d.openRun(t.Context(), "sync/products-1", contract.SyncInput{Job: "products"}))
	out, exit = d.run("sync", "abort", "products", "--reason", "why")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, "Temporal does not answer")
}

func TestSyncLogIsTold(t *testing.T) {
	d := newDesk(t)
	d.applied()
	out, exit := d.run("sync", "runs", "products")
	require.Zero(t, exit)
	assert.Contains(t, out, "products has never run")
	ctx := t.Context()
	require.NoError(t, d.openRun(ctx, "sync/products-1", contract.SyncInput{Job: "products", Purpose: contract.PurposePlan, By: "anna", Reason: "first look"}))
	require.NoError(t, d.endRun(ctx, "sync/products-1", "partial"))
	require.NoError(t, d.openRun(ctx, "sync/products-2", contract.SyncInput{Job: "products"}))
	require.NoError(t, d.Ask(ctx, "sync/products-2", "pause", "ben", "stock-taking", false))

	out, exit = d.run("sync", "runs", "products")
	require.Zero(t, exit)
	assert.Regexp(t, `(?m)^20\S+ \S+ +\d\d:\d\d:\d\d +0s +incremental, plan +partial +1200 +1190 +3 +7 +1,197 of 1,200 records are in step$`, out)
	assert.Regexp(t, `(?m)^20\S+ \S+ +0s +incremental +running +1200 +1190 +3 +7`, out)
	assert.Less(t, strings.Index(out, "running"), strings.Index(out, "partial"), "newest first")
	out, _ = d.run("sync", "runs", "products", "--limit", "1")
	assert.NotContains(t, out, "partial")

	out, exit = d.run("sync", "show", "sync/products-1")
	require.Zero(t, exit)
	for _, line := range []string{
		"run         sync/products-1\n", "job         products, revision 1: product, supplier → copies\n", "asked by    anna: first look\n",
		"mode        incremental, plan: nothing is written, what would be is kept as a plan\n", "mapping     products, version 1\n",
		"window      changed since ", "status      partial\n            1,197 of 1,200 records are in step\n",
		"source has  2,000 records in the window when the run began, 2,001 when it ended\n",
		"records     1,200 fetched, 1,000 created, 190 unchanged, 7 skipped, 3 parked\n", "skipped     7 no_export\n",
		"     1 × a required field is empty (field Name)\n         what to do: fill it in at the source\n         for example A-3 (mapping.empty_required)\n",
	} {
		assert.Contains(t, out, line)
	}
	out, exit = d.run("sync", "show", "products")
	require.Zero(t, exit)
	assert.Contains(t, out, "run         sync/products-2\n", "the newest")
	assert.Contains(t, out, "asked by    its schedule\n")
	assert.Contains(t, out, "steered     ben asked to pause: stock-taking\n")
	out, exit = d.run("sync", "list")
	require.Zero(t, exit)
	assert.Contains(t, out, "running for 0s, pause asked for")
	assert.Contains(t, out, "until ", "the proved run has moved the watermark")

	out, exit = d.run("sync", "plan", "sync/products-1")
	require.Zero(t, exit)
	assert.Contains(t, out, "it holds no changes, but 3 records would be parked: towpath sync show sync/products-1")
	require.NoError(t, d.endRun(ctx, "sync/products-2", "stopped"))
	out, _ = d.run("sync", "show", "sync/products-2")
	assert.NotContains(t, out, "when it ended", "it did not come to count again")
	require.NoError(t, d.LogUnopened(ctx, "sync/products-3", "products", "odoo.key_refused", "it did not begin: Odoo refuses the API key"))
	out, _ = d.run("sync", "show", "sync/products-3")
	assert.Contains(t, out, "fault       odoo.key_refused\n")
	for _, unknown := range []string{"asked by", "mapping", "window", "source has"} {
		assert.NotContains(t, out, unknown, "nothing is known of it")
	}
}

func TestSyncRatesAreThoseOfTheLastHalfMinute(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := &meter{}
	words := func(after time.Duration, done int64) string {
		m.add(at.Add(after), done)
		return m.words(jobs.Counts{Created: done}, 10_000, "")
	}
	assert.Equal(t, "4,000 of 10,000", words(0, 4_000), "nothing is known of a run that was just seen")
	assert.Equal(t, "4,100 of 10,000, 100/s, 59s left", words(time.Second, 4_100))
	assert.Equal(t, "6,000 of 10,000, 100/s, 40s left", words(20*time.Second, 6_000))
	assert.Equal(t, "6,000 of 10,000, 40/s, 2m left", words(49*time.Second, 6_000))
	assert.Equal(t, "6,000 of 10,000", words(90*time.Second, 6_000), "it stands still")
	assert.Equal(t, "1,234,567, 2 parked, 1 failed, pause asked for", new(meter).words(jobs.Counts{Created: 1_234_564, Parked: 2, Failed: 1}, 0, "pause"))
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 1234567: "1,234,567"} {
		assert.Equal(t, want, thousands(n))
	}
}

func TestSchedulesInWords(t *testing.T) {
	for want, s := range map[string]jobs.Schedule{
		"by hand":                          {},
		"every 15 minutes":                 {Type: jobs.Interval},
		"every hour":                       {Type: jobs.Interval, Unit: jobs.Hours},
		"every day at 06:30 Europe/Paris":  {Type: jobs.Interval, Unit: jobs.Days, At: "06:30", TimeZone: "Europe/Paris"},
		"every 2 weeks on Monday at 00:00": {Type: jobs.Interval, Every: 2, Unit: jobs.Weeks},
		"every month on day 31 (at most the last) at 23:00": {Type: jobs.Interval, Unit: jobs.Months, Day: 31, At: "23:00"},
		"every 3 months on day 1 at 00:00":                  {Type: jobs.Interval, Every: 3, Unit: jobs.Months, TimeZone: "UTC"},
		"cron 30 6 * * MON-FRI Europe/Paris":                {Type: jobs.Cron, Cron: "30 6 * * MON-FRI", TimeZone: "Europe/Paris"},
	} {
		assert.Equal(t, want, scheduleWords(s))
	}
}

func TestBackfillRanges(t *testing.T) {
	now := time.Date(2026, 2, 10, 12, 0, 0, 0, time.UTC)
	start, end, err := backfillRange("2026-02-01", "", now)
	require.NoError(t, err)
	assert.Equal(t, []time.Time{time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), now}, []time.Time{start, end})
	daily := jobs.Schedule{Type: jobs.Interval, Unit: jobs.Days}
	assert.Equal(t, 10, timesBetween(daily, start, end), "the first time counts")
	assert.Equal(t, "1,000 or more", atMost(timesBetween(jobs.Schedule{Type: jobs.Interval, Unit: jobs.Minutes}, start, end)))
	assert.Zero(t, timesBetween(jobs.Schedule{}, start, end))
	for _, bad := range [][2]string{{"", ""}, {"yesterday", ""}, {"2026-02-01", "x"}, {"2026-02-05", "2026-02-01"}, {"2026-02-01", "2026-03-01"}} {
		_, _, err := backfillRange(bad[0], bad[1], now)
		assert.Equal(t, "sync.bad_range", fault.Of(err).Code, bad)
	}
}

func TestInStepIsTheOlderWatermark(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	mark := func(age time.Duration) sql.NullTime { return sql.NullTime{Time: now.Add(-age), Valid: true} }
	both := jobs.Job{Direction: jobs.Bidirectional}
	assert.Equal(t, "never yet", inStep(store.Job{}, jobs.Job{}, now))
	assert.Equal(t, "until 2m ago", inStep(store.Job{Watermark: mark(2 * time.Minute)}, jobs.Job{}, now))
	assert.Equal(t, "never yet", inStep(store.Job{Watermark: mark(2 * time.Minute)}, both, now), "the way back was never made")
	assert.Equal(t, "until 5m ago", inStep(store.Job{Watermark: mark(2 * time.Minute), WatermarkBack: mark(5 * time.Minute)}, both, now))
}
