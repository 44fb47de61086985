package webhook

import (
	"slices"
	"time"
)

// RetryProfile names a schedule of attempts.
type RetryProfile string

// The profiles.
const (
	RetryStandard RetryProfile = "standard" // seconds, minutes, hours: more than three days
	RetryQuick    RetryProfile = "quick"    // now, after 2 s, after 4 s
	RetryErrors   RetryProfile = "errors"   // after 10, 20 and 40 minutes
	RetryCustom   RetryProfile = "custom"   // Retry.Schedule
)

// Retry says when a failed attempt is made again.
type Retry struct {
	// Profile is standard by default.
	Profile RetryProfile `json:"profile,omitempty" yaml:"profile,omitempty"`
	// Schedule, of custom: the delay after the first attempt, the second, …
	Schedule []Duration `json:"schedule,omitempty" yaml:"schedule,omitempty"`
}

// Bounds of a custom schedule.
const (
	MaxRetries    = 50
	MinRetryDelay = time.Second
	MaxRetryDelay = 7 * day
	MaxRetryTotal = 30 * day
)

// standardDelays are the table of Standard Webhooks 1.0 ("Retry schedule") with
// one more early try: 75 hours and 36 minutes from the first attempt to the last.
var standardDelays = []time.Duration{
	5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// jitterShare is how much longer a delay may get. It is never shorter: what a
// profile promises in total holds.
const jitterShare = 0.2

// Next is how long to wait after so many attempts were made, 1 or more; false
// when there is no other attempt. jitter gives 0 up to 1, as rand.Float64 does:
// a hundred deliveries that failed at once do not come back at once. The two
// profiles that repeat the times of older modules keep them exactly.
func (r Retry) Next(attempt int, jitter func() float64) (time.Duration, bool) {
	delays := r.Delays()
	if attempt < 1 || attempt > len(delays) {
		return 0, false
	}
	delay := delays[attempt-1]
	if r.Profile == RetryQuick || r.Profile == RetryErrors || jitter == nil {
		return delay, true
	}
	share := min(max(jitter(), 0), 1)
	return delay + time.Duration(float64(delay)*jitterShare*share), true
}

// Delays are the waits between attempts, without jitter.
func (r Retry) Delays() []time.Duration {
	switch r.Profile {
	case RetryQuick:
		return []time.Duration{2 * time.Second, 4 * time.Second}
	case RetryErrors:
		return []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute}
	case RetryCustom:
		delays := make([]time.Duration, len(r.Schedule))
		for i, d := range r.Schedule {
			delays[i] = time.Duration(d)
		}
		return delays
	default:
		return slices.Clone(standardDelays)
	}
}

// Attempts is how many are made at most.
func (r Retry) Attempts() int { return 1 + len(r.Delays()) }

// Total is the least time between the first attempt and the last.
func (r Retry) Total() (total time.Duration) {
	for _, d := range r.Delays() {
		total += d
	}
	return total
}
