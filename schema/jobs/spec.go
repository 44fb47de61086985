package jobs

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Spec is a schedule as a Temporal Schedule needs it, in neutral terms. The
// overlap policy is always SKIP: a run never starts beside another of its job.
// A Spec without Every and Calendars is started by hand only.
type Spec struct {
	// Every runs at 1970-01-01T00:00Z + Phase + n × Every.
	Every, Phase time.Duration
	// Calendars run whenever the clock of TimeZone shows a time that fits one.
	Calendars []Calendar
	TimeZone  string // IANA; "" is UTC
	Jitter    time.Duration
	// CatchUp is how late a run may still start after an outage: twice the
	// interval, of calendars twice their longest gap, so that what an outage
	// swallowed is always made up by one run.
	CatchUp time.Duration
	// RunTimeout ends a run that hangs; with SKIP it would block all others.
	RunTimeout time.Duration
	// PauseOnFailure: a full run that failed is looked at before the next; an
	// incremental one just goes on from its watermark.
	PauseOnFailure bool
}

// Calendar fits times by the clock, at second 0: those for which each field
// has a range that fits. Days, Months, Weekdays and Years without a range fit
// always.
type Calendar struct {
	Minutes  []Range
	Hours    []Range
	Days     []Range // 1 to 31
	Months   []Range // 1 to 12
	Weekdays []Range // 0 (Sunday) to 6
	Years    []Range
}

// Range is Start, Start+Step … up to End, both included.
type Range struct{ Start, End, Step int }

// Bounds of what Temporal's calendars know and of what a Spec derives.
const (
	firstYear, lastYear = 2000, 2100

	minCatchUp = 10 * time.Second // Temporal's own minimum
	maxJitter  = 30 * time.Minute
)

// Spec is the job's schedule with the bounds of its runs. The job must be
// valid; the schedule of one that is not starts nothing.
func (j Job) Spec() Spec {
	j = j.WithDefaults()
	spec := j.Schedule.times()
	shortest, longest := spec.gaps()
	spec.CatchUp = max(2*longest, minCatchUp)
	spec.Jitter = min(shortest/10, maxJitter).Truncate(time.Second)
	if j.Schedule.Jitter != nil {
		spec.Jitter = time.Duration(*j.Schedule.Jitter)
	}
	switch j.Mode {
	case Full:
		spec.RunTimeout, spec.PauseOnFailure = 72*time.Hour, true
	case Reconcile:
		spec.RunTimeout, spec.PauseOnFailure = 12*time.Hour, true
	default:
		spec.RunTimeout = 6 * time.Hour
	}
	return spec
}

// Next is the first time after the given one, without jitter, at which the
// schedule runs; zero when it never does. The result is in UTC.
func (s Schedule) Next(after time.Time) time.Time {
	return s.WithDefaults().times().Next(after)
}

// times are the times of a schedule alone.
func (s Schedule) times() Spec {
	const day = 24 * time.Hour
	spec := Spec{TimeZone: s.TimeZone}
	at, _ := timeOfDay(s.At)
	daily := Calendar{Minutes: only(int(at/time.Minute) % 60), Hours: only(int(at / time.Hour))}
	switch {
	case s.Type == Cron:
		if c, err := parseCron(s.Cron); err == nil {
			spec.Calendars = []Calendar{c}
		}
	case s.Type != Interval || s.Every < 1:
	case s.Unit == Minutes:
		spec.Every = time.Duration(s.Every) * time.Minute
	case s.Unit == Hours:
		spec.Every = time.Duration(s.Every) * time.Hour
	case s.Unit == Days && s.Every == 1: // by the clock of the zone, which has days of 23 and 25 hours
		spec.Calendars = []Calendar{daily}
	case s.Unit == Days:
		spec.Every, spec.Phase = time.Duration(s.Every)*day, at
	case s.Unit == Weeks && s.Every == 1:
		daily.Weekdays = only(int(time.Monday))
		spec.Calendars = []Calendar{daily}
	case s.Unit == Weeks: // 1970-01-01 was a Thursday
		spec.Every, spec.Phase = time.Duration(7*s.Every)*day, 4*day+at
	case s.Unit == Months:
		spec.Calendars = monthly(s.Every, s.Day, daily)
	}
	return spec
}

func only(n int) []Range { return []Range{{Start: n, End: n, Step: 1}} }

// monthly enumerates the months, since calendars know neither "the last day"
// nor "every fifth month": one calendar for each set of months that share
// their day, with the years in which it holds.
func monthly(every, day int, daily Calendar) []Calendar {
	type days struct {
		day    int
		months string
	}
	var order []days
	months, years := map[days][]int{}, map[days][]int{}
	for year := firstYear; year <= lastYear; year++ {
		byDay := map[int][]int{}
		for month := 1; month <= 12; month++ {
			if (12*(year-firstYear)+month-1)%every == 0 {
				d := min(day, daysIn(year, month))
				byDay[d] = append(byDay[d], month)
			}
		}
		for d := 1; d <= 31; d++ {
			if len(byDay[d]) == 0 {
				continue
			}
			key := days{d, fmt.Sprint(byDay[d])}
			if months[key] == nil {
				order = append(order, key)
				months[key] = byDay[d]
			}
			years[key] = append(years[key], year)
		}
	}
	calendars := make([]Calendar, len(order))
	for i, key := range order {
		calendars[i] = daily
		calendars[i].Days = only(key.day)
		calendars[i].Months = ranges(months[key])
		if len(years[key]) <= lastYear-firstYear {
			calendars[i].Years = ranges(years[key])
		}
	}
	return calendars
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// ranges covers sorted numbers by few ranges: the longest that begins with the
// first, then those of the rest.
func ranges(numbers []int) []Range {
	var all []Range
	for rest := slices.Clone(numbers); len(rest) > 0; {
		best := Range{Start: rest[0], End: rest[0], Step: 1}
		for step, length := 1, 1; step <= 12; step++ {
			n := 1
			for slices.Contains(rest, rest[0]+n*step) {
				n++
			}
			if n > length {
				length, best = n, Range{Start: rest[0], End: rest[0] + (n-1)*step, Step: step}
			}
		}
		all = append(all, best)
		rest = slices.DeleteFunc(rest, best.has)
	}
	return all
}

func (r Range) has(n int) bool {
	return n >= r.Start && n <= r.End && (n-r.Start)%max(r.Step, 1) == 0
}

// reference begins what gaps and the check of a cron look at.
var reference = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// gaps are the shortest and the longest time between two runs. A calendar's
// are found by looking at a whole week of minutes, or at nine years, which
// hold three leap days.
func (s Spec) gaps() (shortest, longest time.Duration) {
	if s.Every > 0 {
		return s.Every, s.Every
	}
	const weekOfMinutes = 7*24*60 + 1
	shortest = math.MaxInt64
	next := s.compile()
	last := next(reference)
	for n := 0; !last.IsZero() && n < weekOfMinutes && (n < 1 || last.Before(reference.AddDate(9, 0, 0))); n++ {
		t := next(last)
		if t.IsZero() {
			break
		}
		shortest, longest = min(shortest, t.Sub(last)), max(longest, t.Sub(last))
		last = t
	}
	if longest == 0 {
		return 0, 0
	}
	return shortest, longest
}
