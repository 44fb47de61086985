package jobs

import "time"

// Next is the first time after the given one at which the spec runs, without
// jitter, by the rules of Temporal's scheduler: a calendar fits by the clock
// alone, so what the clock skips does not happen and what it repeats happens
// twice. It is in UTC; zero when there is none until the year 2100. In one case
// the server (v1.32) differs: a calendar of weekdays misses, there, the day
// whose midnight is skipped (Havana, Cairo, Beirut, Santiago: one a year).
func (s Spec) Next(after time.Time) time.Time { return s.compile()(after) }

// compile prepares for many calls.
func (s Spec) compile() func(after time.Time) time.Time {
	never := func(time.Time) time.Time { return time.Time{} }
	zone, err := location(s.TimeZone)
	if err != nil {
		return never
	}
	dials := make([]dial, len(s.Calendars))
	for i, c := range s.Calendars {
		dials[i] = c.dial()
	}
	epoch := time.Unix(0, 0).UTC()
	return func(after time.Time) time.Time {
		if after.Before(epoch) { // Temporal's time begins there
			after = epoch.Add(-time.Second)
		}
		var first time.Time
		earlier := func(t time.Time) {
			if first.IsZero() || !t.IsZero() && t.Before(first) {
				first = t
			}
		}
		if s.Every > 0 {
			earlier(nextMultiple(after, s.Every, s.Phase))
		}
		for _, d := range dials {
			earlier(d.next(after, zone))
		}
		return first
	}
}

func nextMultiple(after time.Time, every, phase time.Duration) time.Time {
	first := time.Unix(0, 0).UTC().Add(phase)
	if after.Before(first) {
		// As much before the epoch as fits: a phase is less than an interval.
		return first
	}
	seconds, interval := after.Unix()-first.Unix(), int64(every/time.Second)
	return time.Unix(first.Unix()+(seconds/interval+1)*interval, 0).UTC()
}

// dial is a calendar whose fields are sets of bits.
type dial struct {
	minutes, hours, days, months, weekdays bits
	years                                  []Range
}

type bits uint64

func (b bits) has(n int) bool { return b&(1<<n) != 0 }

func (c Calendar) dial() dial {
	return dial{
		minutes: bitsOf(c.Minutes), hours: bitsOf(c.Hours), years: c.Years,
		days: orAll(c.Days), months: orAll(c.Months), weekdays: orAll(c.Weekdays),
	}
}

func bitsOf(ranges []Range) (b bits) {
	for _, r := range ranges {
		for n := r.Start; n <= r.End; n += max(r.Step, 1) {
			b |= 1 << n
		}
	}
	return b
}

func orAll(ranges []Range) bits {
	if len(ranges) == 0 {
		return ^bits(0)
	}
	return bitsOf(ranges)
}

func (d dial) year(y int) bool {
	for _, r := range d.years {
		if r.has(y) {
			return true
		}
	}
	return len(d.years) == 0
}

// next walks forward and leaps over what cannot fit. The clocks of all zones
// are set at whole quarters of an hour.
func (d dial) next(after time.Time, zone *time.Location) time.Time {
	const quarter = 15 * time.Minute
	offset := func(t time.Time) int {
		_, seconds := t.In(zone).Zone()
		return seconds
	}
	leap := func(from time.Time, y int, m time.Month, day int) time.Time {
		to := time.Date(y, m, day, 0, 0, 0, 0, zone)
		if before := to.Add(-2 * time.Hour); offset(before) != offset(to.Add(2*time.Hour)) {
			to = before // midnight itself may be skipped or come twice
		}
		if to.After(from) {
			return to
		}
		return from.Truncate(quarter).Add(quarter)
	}
	for t := after.Truncate(time.Minute).Add(time.Minute); ; {
		local := t.In(zone)
		year, month, day := local.Date()
		switch {
		case year > lastYear:
			return time.Time{}
		case !d.year(year):
			t = leap(t, year+1, 1, 1)
		case !d.months.has(int(month)):
			t = leap(t, year, month+1, 1)
		case !d.days.has(day) || !d.weekdays.has(int(local.Weekday())):
			t = leap(t, year, month, day+1)
		case !d.hours.has(local.Hour()):
			t = t.Truncate(quarter).Add(quarter)
		case !d.minutes.has(local.Minute()):
			t = t.Add(time.Minute)
		default:
			return t.UTC()
		}
	}
}
