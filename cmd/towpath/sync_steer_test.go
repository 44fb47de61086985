package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

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
	d.underWay("products")

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
	}, 5*time.Minute, 50*time.Millisecond)
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
	assert.Regexp(t, `04:30 Europe/Paris +none +never yet +in \d+[hms]`, out)

	out, exit = d.run("sync", "backfill", "products", "--from", time.Now().AddDate(0, 0, -3).Format(time.DateOnly))
	require.Zero(t, exit, out)
	assert.Contains(t, out, "products is started for ")
	assert.Contains(t, out, "warning: a run reads what changed since the last one")
	h := c.ScheduleClient().GetHandle(t.Context(), "sync/products")
	require.Eventually(t, func() bool { s, err := h.Describe(t.Context()); return err == nil && s.Info.NumActions >= 1 }, 5*time.Minute, 50*time.Millisecond)
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
