package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/workflows/contract"
)

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
	d.underWay("products")
	out, exit := d.run("sync", "run", "products")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, `another run of "products" goes on`)
	assert.Contains(t, out, "towpath sync abort products")

	out, exit = d.runUntil("1,200 of 2,000, 3 parked", "sync", "watch", "products")
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
