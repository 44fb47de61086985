package webhook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// waits are all delays of a profile, each with the same jitter.
func waits(t *testing.T, r Retry, jitter float64) (all []time.Duration) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		d, again := r.Next(attempt, func() float64 { return jitter })
		if !again {
			require.Zero(t, d)
			require.Equal(t, attempt, r.Attempts())
			return all
		}
		all = append(all, d)
	}
}

func TestRetryProfiles(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	for name, row := range map[string]struct {
		retry  Retry
		jitter float64
		want   []time.Duration
	}{
		"default is standard": {Retry{}, 0, []time.Duration{5 * s, 30 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}},
		"standard, jittered": {Retry{Profile: RetryStandard}, 1, []time.Duration{6 * s, 36 * s, 6 * m, 36 * m, 144 * m, 6 * h, 12 * h,
			16*h + 48*m, 24 * h, 28*h + 48*m}},
		"quick is exact":        {Retry{Profile: RetryQuick}, 1, []time.Duration{2 * s, 4 * s}},
		"errors is exact":       {Retry{Profile: RetryErrors}, 1, []time.Duration{10 * m, 20 * m, 40 * m}},
		"custom":                {Retry{Profile: RetryCustom, Schedule: []Duration{Duration(s), Duration(day)}}, 0, []time.Duration{s, day}},
		"jitter that is absurd": {Retry{Profile: RetryCustom, Schedule: []Duration{Duration(10 * s)}}, 7, []time.Duration{12 * s}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, row.want, waits(t, row.retry, row.jitter)) })
	}
	d, again := Retry{}.Next(1, nil)
	assert.True(t, again)
	assert.Equal(t, 5*s, d)
	_, again = Retry{}.Next(0, nil)
	assert.False(t, again)
}

// The table of Standard Webhooks 1.0, "Retry schedule": at every point of time we
// have tried as often as it has, and we try at least as long.
func TestStandardIsAtLeastAsGoodAsStandardWebhooks(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	theirs := []time.Duration{5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}
	total := time.Duration(0)
	for _, d := range theirs {
		total += d
		ours, at := 0, time.Duration(0)
		for _, d := range (Retry{}).Delays() {
			if at += d; at <= total+m {
				ours++
			}
		}
		assert.GreaterOrEqual(t, ours, countUntil(theirs, total), "after %s", total)
	}
	assert.GreaterOrEqual(t, Retry{}.Total(), total)
	assert.GreaterOrEqual(t, Retry{}.Total(), 3*day)
}

func countUntil(delays []time.Duration, until time.Duration) (n int) {
	at := time.Duration(0)
	for _, d := range delays {
		if at += d; at <= until {
			n++
		}
	}
	return n
}

func TestJitterOnlyLengthens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schedule := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Duration {
			return Duration(rapid.Int64Range(int64(MinRetryDelay), int64(MaxRetryDelay)).Draw(t, "delay"))
		}), 1, 20).Draw(t, "schedule")
		r := Retry{Profile: RetryCustom, Schedule: schedule}
		share := rapid.Float64Range(0, 1).Draw(t, "jitter")
		for i, least := range schedule {
			d, again := r.Next(i+1, func() float64 { return share })
			require.True(t, again)
			assert.GreaterOrEqual(t, d, time.Duration(least))
			assert.LessOrEqual(t, d, time.Duration(least)*6/5+1)
		}
	})
}

func TestDurationsAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]string{"15s": "15s", "90s": "1m30s", "1h": "1h", "120h": "5d", "5d": "5d", "1d12h": "36h", "250ms": "250ms", "90m": "1h30m"} {
		var d Duration
		require.NoError(t, d.UnmarshalText([]byte(text)), text)
		assert.Equal(t, want, d.String())
	}
	for _, text := range []string{"", "15", "five days", "1d-2h", "99999d", "5 d"} {
		assert.Error(t, new(Duration).UnmarshalText([]byte(text)), text)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(0, int64(MaxDisableAfter)).Draw(t, "d"))
		var back Duration
		text, err := d.MarshalText()
		require.NoError(t, err)
		require.NoError(t, back.UnmarshalText(text), "%s", text)
		assert.Equal(t, d, back)
	})
}
