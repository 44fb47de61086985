package jobs

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // a minimal container has no time zones of its own
)

// Schedule says when a job runs by itself.
type Schedule struct {
	// Type is manual (default), interval or cron.
	Type ScheduleType `json:"type,omitempty" yaml:"type,omitempty"`
	// Every Unit is the interval; "interval" alone is every 15 minutes, a unit
	// alone is one of it. Minutes and hours are counted from midnight UTC of
	// 1970-01-01, so that runs do not drift.
	Every int  `json:"every,omitempty" yaml:"every,omitempty"`
	Unit  Unit `json:"unit,omitempty" yaml:"unit,omitempty"`
	// At is the time of day, "15:04", of intervals of days, weeks (on Mondays)
	// and months; default 00:00. What the clock skips in spring does not happen
	// on that day, what it repeats in autumn happens twice.
	At string `json:"at,omitempty" yaml:"at,omitempty"`
	// Day is the day of intervals of months, 1 (default) to 31. In a month that
	// is shorter, the job runs on its last day: who asks for the 31st means the
	// end of the month, and a month without a run would be a gap nobody sees.
	// Months are counted from January: every 3 runs in January, April, July and
	// October; every 5 goes on across the turn of the year.
	Day int `json:"day,omitempty" yaml:"day,omitempty"`
	// Cron has five fields: minute, hour, day of month, month, day of week.
	// As in Temporal, and unlike other crons, both days must fit:
	// "0 9 1-7 * MON" is the first Monday of the month.
	Cron string `json:"cron,omitempty" yaml:"cron,omitempty"`
	// TimeZone is the IANA name, such as Europe/Paris; default UTC. Intervals
	// of minutes, of hours, and of more than one day or week are lengths of
	// time, to which a zone means nothing.
	TimeZone string `json:"time_zone,omitempty" yaml:"time_zone,omitempty"`
	// Jitter delays each run by a random time up to it, so that not all jobs
	// wake at once; default a tenth of the interval, at most 30 minutes.
	Jitter *Duration `json:"jitter,omitempty" yaml:"jitter,omitempty"`
}

// ScheduleType is how the times of a schedule are given.
type ScheduleType string

// The types of schedules.
const (
	ByHand   ScheduleType = "manual"
	Interval ScheduleType = "interval"
	Cron     ScheduleType = "cron"
)

// Unit is the unit of an interval.
type Unit string

// The units.
const (
	Minutes Unit = "minutes"
	Hours   Unit = "hours"
	Days    Unit = "days"
	Weeks   Unit = "weeks"
	Months  Unit = "months"
)

// Duration is a length of time that is written as text, such as "90s".
type Duration time.Duration

// MarshalText writes it as text.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("a length of time is written like 90s or 1h30m: %w", err)
	}
	*d = Duration(parsed)
	return nil
}

// WithDefaults fills in what was left out.
func (s Schedule) WithDefaults() Schedule {
	orElse(&s.Type, ByHand)
	if s.Type != Interval {
		return s
	}
	switch {
	case s.Every == 0 && s.Unit == "":
		s.Every, s.Unit = 15, Minutes
	case s.Every == 0:
		s.Every = 1
	}
	if s.Unit == Months {
		orElse(&s.Day, 1)
	}
	return s
}

// longest is the largest number of each unit: about a month of what has better
// units above it, a year of the others.
var longest = map[Unit]int{Minutes: 1440, Hours: 744, Days: 366, Weeks: 52, Months: 12}

func (c *check) schedule(s Schedule) {
	const at = "schedule."
	oneOf(c, at+"type", s.Type, ByHand, Interval, Cron)
	c.that(s.Type == Interval || s.Every == 0 && s.Unit == "" && s.At == "" && s.Day == 0, at+"type",
		fmt.Sprintf("is %q, but every, unit, at or day are given", s.Type), "write type: interval, or remove them")
	c.that(s.Type == Cron || s.Cron == "", at+"type",
		fmt.Sprintf("is %q, but cron is given", s.Type), "write type: cron, or remove it")
	zone, err := location(s.TimeZone)
	c.that(err == nil, at+"time_zone", fmt.Sprintf("cannot be %q: there is no such zone", s.TimeZone),
		"use a name of the IANA database, such as Europe/Paris, or leave it out for UTC")
	c.that(s.Jitter == nil || *s.Jitter >= 0, at+"jitter", "is negative", "give a length of time such as 90s, or 0s for none")
	switch s.Type {
	case Interval:
		c.interval(s)
	case Cron:
		calendar, err := parseCron(s.Cron)
		if err != nil {
			c.that(false, at+"cron", "cannot be read: "+err.Error(),
				`write five fields (minute, hour, day of month, month, day of week), such as "30 6 * * MON-FRI"; the zone goes to time_zone`)
		} else if zone != nil {
			spec := Spec{Calendars: []Calendar{calendar}, TimeZone: s.TimeZone}
			c.that(!spec.Next(reference).IsZero(), at+"cron", "never happens", "give a day that its month has")
		}
	}
}

func (c *check) interval(s Schedule) {
	const at = "schedule."
	oneOf(c, at+"unit", s.Unit, Minutes, Hours, Days, Weeks, Months)
	if high, known := longest[s.Unit]; known {
		c.within(at+"every", s.Every, 1, high)
	}
	_, err := timeOfDay(s.At)
	c.that(err == nil, at+"at", fmt.Sprintf("cannot be %q", s.At), "write the hour and minute as 06:30")
	c.that(s.At == "" || !slices.Contains([]Unit{Minutes, Hours}, s.Unit), at+"at", "means nothing for minutes and hours",
		"remove it, or write a cron")
	c.that(s.Unit == Months || s.Day == 0, at+"day", "is the day of a month", "remove it, or write unit: months")
	if s.Unit == Months {
		c.within(at+"day", s.Day, 1, 31)
	}
	several := s.Every > 1 && (s.Unit == Days || s.Unit == Weeks)
	c.that(!several || s.TimeZone == "" || s.TimeZone == "UTC", at+"time_zone",
		"means nothing for more than one day or week, which are counted in UTC", "remove it, or write a cron")
}

// timeOfDay reads "15:04" as the time since midnight.
func timeOfDay(at string) (time.Duration, error) {
	if at == "" {
		return 0, nil
	}
	t, err := time.Parse("15:04", at)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err
}

// location refuses "Local": a schedule may not depend on the machine.
func location(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, fmt.Errorf("unknown time zone %s", name)
	}
	return time.LoadLocation(name)
}
