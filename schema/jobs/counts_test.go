package jobs

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyCounts draws counts whose books balance.
var anyCounts = rapid.Custom(func(t *rapid.T) Counts {
	n := func(label string) int64 { return rapid.Int64Range(0, 1000).Draw(t, label) }
	c := Counts{
		Created: n("created"), Updated: n("updated"), Unchanged: n("unchanged"), Parked: n("parked"), Failed: n("failed"),
		Archived: n("archived"), Gone: n("gone"),
	}
	c.Skipped = rapid.MapOf(rapid.SampledFrom([]string{"no_export", "stale", "not_ready"}), rapid.Int64Range(0, 1000)).Draw(t, "skipped")
	c.Fetched = c.Created + c.Updated + c.Unchanged + c.Parked + c.Failed + c.Archived
	for _, skipped := range c.Skipped {
		c.Fetched += skipped
	}
	return c
})

func TestCountsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyCounts.Draw(t, "a"), anyCounts.Draw(t, "b"), anyCounts.Draw(t, "c")
		before := a.Add(Counts{})
		sum := a.Add(b)
		require.Equal(t, a.Fetched, a.Processed(), "the identity")
		require.Equal(t, sum.Fetched, sum.Processed(), "the identity of sums")
		require.Equal(t, a.Processed()+b.Processed(), sum.Processed())
		require.Equal(t, a.Gone+b.Gone, sum.Gone)
		require.Equal(t, sum.Processed(), sum.Succeeded()+sum.SkippedAll()+sum.Errors())
		same := func(x, y Counts) { require.Empty(t, cmp.Diff(x, y, cmpopts.EquateEmpty())) }
		same(sum, b.Add(a))
		same(sum.Add(c), a.Add(b.Add(c)))
		same(a, a.Add(Counts{}))
		same(a, before)
	})
}

func TestAddKeepsReasonsApart(t *testing.T) {
	a := Counts{Skipped: map[string]int64{"stale": 1}}
	for _, sum := range []Counts{a.Add(Counts{}), Counts{}.Add(a)} {
		sum = sum.Add(Counts{Skipped: map[string]int64{"stale": 2, "no_export": 3}})
		assert.Equal(t, map[string]int64{"stale": 3, "no_export": 3}, sum.Skipped)
	}
	assert.Equal(t, map[string]int64{"stale": 1}, a.Skipped, "the counts given stay as they are")
}

func TestProve(t *testing.T) {
	read := func(n int64) Counts { return Counts{Fetched: n, Unchanged: n} }
	tests := map[string]struct {
		counts                  Counts
		before, after, expected int64
		want                    Proof
		says                    string
	}{
		"nothing there":            {read(0), 0, 0, NoSweep, Proof{Complete: true}, "all 0 records"},
		"all of them":              {read(100), 100, 100, NoSweep, Proof{Complete: true}, "100 unchanged"},
		"left after being read":    {read(100), 100, 98, NoSweep, Proof{Complete: true}, "all 100"},
		"some may be missing":      {read(98), 100, 98, NoSweep, Proof{Missing: 2, NeedsSweep: true}, "98 records were read, the source counted 100 at the start and 98 at the end"},
		"some are missing":         {read(97), 100, 100, NoSweep, Proof{Missing: 3, NeedsSweep: true}, "sweep"},
		"some came late":           {read(100), 100, 101, NoSweep, Proof{Missing: 1, NeedsSweep: true}, "sweep"},
		"more than there were":     {read(103), 100, 100, NoSweep, Proof{NeedsSweep: true}, "sweep"},
		"the sweep explains":       {read(98), 100, 98, 98, Proof{Complete: true}, "by a sweep of ids, all 98"},
		"the sweep finds some":     {read(98), 100, 98, 99, Proof{Missing: 1}, "1 of 99 records of the source were not read"},
		"the sweep finds fewer":    {read(98), 98, 98, 97, Proof{}, "counted twice"},
		"a record without end":     {Counts{Fetched: 3, Created: 2}, 3, 3, NoSweep, Proof{Missing: 1}, "1 of 3 records that were read have no outcome"},
		"no sweep mends the books": {Counts{Fetched: 3, Created: 2}, 3, 3, 3, Proof{Missing: 1}, "no outcome"},
		"a record counted twice":   {Counts{Fetched: 3, Created: 2, Parked: 2}, 3, 3, NoSweep, Proof{}, "4 outcomes were counted for the 3"},
		"what is gone stands out":  {Counts{Fetched: 1, Created: 1, Gone: 7}, 1, 1, NoSweep, Proof{Complete: true}, "1 created"},
		"every outcome": {
			Counts{Fetched: 28, Created: 1, Updated: 2, Archived: 3, Unchanged: 4, Skipped: map[string]int64{"a": 2, "b": 3}, Parked: 6, Failed: 7}, 28, 28, NoSweep,
			Proof{Complete: true}, "all 28 records of the source: 1 created, 2 updated, 3 archived, 4 unchanged, 5 skipped, 6 parked, 7 failed",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Prove(tt.counts, tt.before, tt.after, tt.expected)
			assert.Contains(t, got.Sentence, tt.says)
			tt.want.Sentence = got.Sentence
			assert.Equal(t, tt.want, got)
		})
	}
}

// Records arrive in the window, leave it and are missed by a faulty reading. A
// proof never covers up one that was missed, as long as none was read twice or
// arrived late.
func TestAProofHidesNoMissingRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(label string) int64 { return rapid.Int64Range(0, 3).Draw(t, label) }
		stayed, leftRead, leftUnread, missed := n("stayed"), n("left after read"), n("left before read"), n("missed")
		before, after := stayed+leftRead+leftUnread+missed, stayed+missed
		c := Counts{Fetched: stayed + leftRead, Created: stayed + leftRead}
		p := Prove(c, before, after, NoSweep)
		if p.Complete {
			require.Zero(t, missed)
			return
		}
		require.True(t, p.NeedsSweep)
		swept := Prove(c, before, after, c.Fetched+missed)
		require.Equal(t, missed == 0, swept.Complete, "only missing records fail the proof")
		require.Equal(t, missed, swept.Missing)
		require.False(t, swept.NeedsSweep)
	})
}

func TestConclude(t *testing.T) {
	good, bad := Counts{Fetched: 1, Created: 1}, errors.New("the source went away")
	tests := map[string]struct {
		counts  Counts
		proof   Proof
		stopped bool
		err     error
		want    Status
		moves   bool
	}{
		"all is well":       {good, Proof{Complete: true}, false, nil, Success, true},
		"skipped is well":   {Counts{Fetched: 1, Skipped: map[string]int64{"stale": 1}}, Proof{Complete: true}, false, nil, Success, true},
		"one parked":        {Counts{Fetched: 1, Parked: 1}, Proof{Complete: true}, false, nil, Partial, true},
		"one failed":        {Counts{Fetched: 1, Failed: 1}, Proof{Complete: true}, false, nil, Partial, false},
		"no proof":          {good, Proof{}, false, nil, Incomplete, false},
		"an error":          {good, Proof{Complete: true}, false, bad, Failed, false},
		"stopped":           {good, Proof{}, true, nil, Stopped, false},
		"stopped, in error": {good, Proof{}, true, bad, Stopped, false},
	}
	old, until := time.Unix(1000, 0), time.Unix(2000, 0)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			status := Conclude(tt.counts, tt.proof, tt.stopped, tt.err)
			assert.Equal(t, tt.want, status)
			for mode, moves := range map[Mode]bool{Incremental: tt.moves, Full: tt.moves, Reconcile: false} {
				want := old
				if moves {
					want = until
				}
				assert.Equal(t, want, NextWatermark(mode, status, tt.counts, old, until), mode)
			}
		})
	}
	assert.Equal(t, old, NextWatermark(Full, Running, good, old, until), "not before the end")
	assert.Equal(t, old, NextWatermark(Full, Success, good, until, old), "a clock that was set back")
}

func TestWindow(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		mode      Mode
		watermark time.Time
		overlap   time.Duration
		since     time.Time
	}{
		"full":              {Full, now.Add(-time.Hour), 0, time.Time{}},
		"reconcile":         {Reconcile, now.Add(-time.Hour), 0, time.Time{}},
		"first":             {Incremental, time.Time{}, 0, now.AddDate(0, 0, -30)},
		"next":              {Incremental, now.Add(-time.Hour), 0, now.Add(-70 * time.Minute)},
		"own overlap":       {Incremental, now.Add(-time.Hour), time.Minute, now.Add(-61 * time.Minute)},
		"negative overlap":  {Incremental, now.Add(-time.Hour), -time.Minute, now.Add(-70 * time.Minute)},
		"the clock went":    {Incremental, now.Add(time.Hour), 0, now.Add(-10 * time.Minute)},
		"twice in a moment": {Incremental, now, 0, now.Add(-10 * time.Minute)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			since, until := Window(tt.mode, tt.watermark, now, tt.overlap)
			assert.Equal(t, tt.since, since)
			assert.Equal(t, now, until)
		})
	}
}

// What one window ends with, the next begins before: nothing lies between.
func TestWindowsOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1e9, 2e9).Draw(t, "now"), 0)
		var watermark, lastUntil time.Time
		for range 5 {
			now = now.Add(time.Duration(rapid.Int64Range(-3600, 86400).Draw(t, "step")) * time.Second)
			since, until := Window(Incremental, watermark, now, Overlap)
			require.True(t, since.Before(until))
			if !lastUntil.IsZero() {
				require.False(t, since.After(lastUntil.Add(-Overlap)))
			}
			watermark, lastUntil = NextWatermark(Incremental, Success, Counts{}, watermark, until), until
		}
	})
}

func TestStopsAt(t *testing.T) {
	c := func(change func(*Counts)) Counts {
		counts := Counts{Fetched: 1000, Unchanged: 900}
		change(&counts)
		return counts
	}
	tests := map[string]struct {
		counts Counts
		limits Limits
		says   string // "": goes on
	}{
		"nothing yet":                   {Counts{}, Limits{MaxErrorPercent: 5, MaxErrors: 1, MaxCreates: 1}, ""},
		"no limits":                     {Counts{Created: 1e9, Failed: 1e9, Gone: 1e9}, Limits{}, ""},
		"one of one fails":              {Counts{Failed: 1}, Limits{MaxErrorPercent: 5}, ""},
		"99 of 99 fail":                 {Counts{Failed: 99}, Limits{MaxErrorPercent: 5}, ""},
		"100 of 100 fail":               {Counts{Failed: 60, Parked: 40}, Limits{MaxErrorPercent: 5}, "100 of 100 records were parked or failed, the limit is 5 %"},
		"5 of 100 fail":                 {Counts{Unchanged: 95, Parked: 5}, Limits{MaxErrorPercent: 5}, ""},
		"6 of 100 fail":                 {Counts{Unchanged: 94, Parked: 6}, Limits{MaxErrorPercent: 5}, "max_error_percent"},
		"put off counts once":           {Counts{Unchanged: 94, Parked: 6, Skipped: map[string]int64{"deferred": 900}}, Limits{MaxErrorPercent: 5}, "6 of 100 records"},
		"all may fail":                  {Counts{Failed: 1000}, Limits{MaxErrorPercent: 100}, ""},
		"two errors, early":             {Counts{Failed: 1, Parked: 1}, Limits{MaxErrors: 1}, "2 records were parked or failed, the limit is 1 (limits.max_errors)"},
		"as many creates as allowed":    {c(func(c *Counts) { c.Created = 10 }), Limits{MaxCreates: 10}, ""},
		"too many creates":              {c(func(c *Counts) { c.Created = 11 }), Limits{MaxCreates: 10}, "11 records would be created, the limit is 10 (limits.max_creates)"},
		"too many updates":              {c(func(c *Counts) { c.Updated = 11 }), Limits{MaxUpdates: 10}, "max_updates"},
		"archives are of both sorts":    {c(func(c *Counts) { c.Archived, c.Gone = 6, 5 }), Limits{MaxArchives: 10}, "11 records would be archived"},
		"a share of archives":           {c(func(c *Counts) { c.Gone = 100 }), Limits{MaxArchivePercent: 10}, ""},
		"too large a share of archives": {c(func(c *Counts) { c.Gone = 101 }), Limits{MaxArchivePercent: 10}, "101 of 1001 records would be archived, the limit is 10 %"},
		"one archive at first":          {Counts{Archived: 1}, Limits{MaxArchivePercent: 10}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			reason, stop := StopsAt(tt.counts, tt.limits)
			assert.Equal(t, tt.says != "", stop, reason)
			assert.Contains(t, reason, tt.says)
			assert.Equal(t, stop, reason != "")
		})
	}
}

func ExampleProve() {
	counts := Counts{Fetched: 10_000, Created: 120, Updated: 3, Unchanged: 9_876, Parked: 1}
	proof := Prove(counts, 10_000, 9_999, NoSweep)
	fmt.Println(proof.Sentence)
	fmt.Println(Conclude(counts, proof, false, nil))
	// Output:
	// all 10000 records of the source: 120 created, 3 updated, 0 archived, 9876 unchanged, 0 skipped, 1 parked, 0 failed
	// partial
}

func TestCountsByName(t *testing.T) {
	c := Counts{Fetched: 9, Created: 1, Updated: 2, Unchanged: 3, Parked: 1, Failed: 1, Archived: 1, Gone: 4, Skipped: map[string]int64{"no_export": 5}}
	assert.Equal(t, map[string]int64{
		"fetched": 9, "created": 1, "updated": 2, "unchanged": 3, "parked": 1, "failed": 1, "archived": 1, "gone": 4, "skipped.no_export": 5,
	}, c.Named())
	assert.Equal(t, c, CountsOf(c.Named()))
	assert.Empty(t, Counts{}.Named())
}
