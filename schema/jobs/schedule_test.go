package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return parsed
}

func TestNext(t *testing.T) {
	cron := func(c, zone string) Schedule { return Schedule{Type: Cron, Cron: c, TimeZone: zone} }
	every := func(n int, u Unit) Schedule { return Schedule{Type: Interval, Every: n, Unit: u} }
	months := func(n, day int, at, zone string) Schedule {
		return Schedule{Type: Interval, Every: n, Unit: Months, Day: day, At: at, TimeZone: zone}
	}
	tests := map[string]struct {
		schedule Schedule
		after    string
		want     []string
	}{
		"by hand":            {Schedule{}, "2026-01-01T00:00:00Z", []string{""}},
		"default interval":   {Schedule{Type: Interval}, "2026-01-01T00:00:01Z", []string{"2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"}},
		"strictly after":     {every(15, Minutes), "2026-01-01T00:15:00Z", []string{"2026-01-01T00:30:00Z"}},
		"a moment before":    {every(15, Minutes), "2026-01-01T00:14:59.9Z", []string{"2026-01-01T00:15:00Z"}},
		"hours":              {every(6, Hours), "2026-01-01T07:00:00+02:00", []string{"2026-01-01T06:00:00Z", "2026-01-01T12:00:00Z"}},
		"before time began":  {every(15, Minutes), "0001-01-01T00:00:00Z", []string{"1970-01-01T00:00:00Z"}},
		"a day, UTC":         {every(1, Days), "2026-01-01T07:00:00Z", []string{"2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"}},
		"two days":           {Schedule{Type: Interval, Every: 2, Unit: Days, At: "06:30"}, "2026-01-01T07:00:00Z", []string{"2026-01-03T06:30:00Z", "2026-01-05T06:30:00Z"}},
		"a week is a Monday": {every(1, Weeks), "2026-01-01T00:00:00Z", []string{"2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"}},
		"two weeks, Mondays": {every(2, Weeks), "2026-01-01T00:00:00Z", []string{"2026-01-05T00:00:00Z", "2026-01-19T00:00:00Z"}},
		"a day through spring": {
			Schedule{Type: Interval, Unit: Days, At: "06:30", TimeZone: "Europe/Paris"}, "2026-03-28T00:00:00Z",
			[]string{"2026-03-28T05:30:00Z", "2026-03-29T04:30:00Z"},
		},
		"a month": {months(1, 0, "", ""), "2026-01-01T00:00:00Z", []string{"2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"}},
		"the 31st is the end of each month": {
			months(1, 31, "", ""), "2027-12-31T00:00:00Z",
			[]string{"2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z", "2028-04-30T00:00:00Z"},
		},
		"the 30th": {months(1, 30, "", ""), "2027-01-30T00:00:00Z", []string{"2027-02-28T00:00:00Z", "2027-03-30T00:00:00Z", "2027-04-30T00:00:00Z"}},
		"the last year": {months(12, 1, "", ""), "2098-06-01T00:00:00Z",
			[]string{"2099-01-01T00:00:00Z", "2100-01-01T00:00:00Z", ""}},
		"a quarter": {months(3, 31, "22:00", "Europe/Paris"), "2026-01-01T00:00:00Z",
			[]string{"2026-01-31T21:00:00Z", "2026-04-30T20:00:00Z", "2026-07-31T20:00:00Z", "2026-10-31T21:00:00Z"}},
		"five months go on across the year": {months(5, 15, "", ""), "2000-01-01T00:00:00Z",
			[]string{"2000-01-15T00:00:00Z", "2000-06-15T00:00:00Z", "2000-11-15T00:00:00Z", "2001-04-15T00:00:00Z"}},
		"eight months": {months(8, 1, "", ""), "2026-01-01T00:00:00Z", []string{"2026-09-01T00:00:00Z", "2027-05-01T00:00:00Z", "2028-01-01T00:00:00Z"}},

		"cron":                       {cron("30 6 * * MON-FRI", "Europe/Paris"), "2026-01-02T06:00:00Z", []string{"2026-01-05T05:30:00Z", "2026-01-06T05:30:00Z"}},
		"both days must fit":         {cron("0 9 1-7 * mon", ""), "2026-01-06T00:00:00Z", []string{"2026-02-02T09:00:00Z", "2026-03-02T09:00:00Z"}},
		"leap day":                   {cron("0 0 29 2 *", ""), "2026-01-06T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		"skipped by the clock":       {cron("30 2 * * *", "Europe/Paris"), "2026-03-27T12:00:00Z", []string{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
		"repeated by the clock":      {cron("30 2 * * *", "Europe/Paris"), "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
		"midnight that is skipped":   {cron("0 0 * * *", "Africa/Cairo"), "2026-04-22T22:30:00Z", []string{"2026-04-24T21:00:00Z"}},
		"midnight that comes twice":  {cron("0 0 1 11 *", "America/Havana"), "2026-10-31T12:00:00Z", []string{"2026-11-01T04:00:00Z", "2026-11-01T05:00:00Z"}},
		"a zone of quarters":         {cron("0 0 * * *", "Asia/Kathmandu"), "2026-01-01T00:00:00Z", []string{"2026-01-01T18:15:00Z"}},
		"half an hour comes twice":   {cron("45 1 5 4 *", "Australia/Lord_Howe"), "2026-04-01T00:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"}},
		"an unknown zone":            {cron("0 0 * * *", "Mars/Base"), "2026-01-01T00:00:00Z", []string{""}},
		"a cron that cannot be read": {cron("0 0", ""), "2026-01-01T00:00:00Z", []string{""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			after := at(t, tt.after)
			for range tt.want {
				next := tt.schedule.Next(after)
				if next.IsZero() {
					got = append(got, "")
					break
				}
				got, after = append(got, next.Format(time.RFC3339)), next
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// anySchedule draws schedules that run.
var anySchedule = rapid.Custom(func(t *rapid.T) Schedule {
	zone := rapid.SampledFrom([]string{
		"", "Europe/Paris", "America/New_York", "Africa/Cairo", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe",
	}).Draw(t, "zone")
	switch rapid.IntRange(0, 3).Draw(t, "type") {
	case 0:
		unit := rapid.SampledFrom([]Unit{Minutes, Hours, Days, Weeks}).Draw(t, "unit")
		return Schedule{Type: Interval, Unit: unit, Every: rapid.IntRange(1, longest[unit]).Draw(t, "every")}
	case 1:
		return Schedule{
			Type: Interval, Unit: rapid.SampledFrom([]Unit{Days, Weeks}).Draw(t, "unit"),
			At: fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")), TimeZone: zone,
		}
	case 2:
		return Schedule{
			Type: Interval, Unit: Months, Every: rapid.IntRange(1, 12).Draw(t, "every"), Day: rapid.IntRange(1, 31).Draw(t, "day"),
			At: fmt.Sprintf("%02d:00", rapid.IntRange(0, 23).Draw(t, "hour")), TimeZone: zone,
		}
	default:
		return Schedule{Type: Cron, TimeZone: zone, Cron: fmt.Sprintf("%s %s %s * %s",
			rapid.SampledFrom([]string{"*", "0", "*/7", "59", "30-45/5,3"}).Draw(t, "minute"),
			rapid.SampledFrom([]string{"*", "0", "1,2,3", "*/5", "23"}).Draw(t, "hour"),
			rapid.SampledFrom([]string{"*", "*", "1", "25-31", "*/2"}).Draw(t, "day"),
			rapid.SampledFrom([]string{"*", "*", "sun", "5-7", "1/2"}).Draw(t, "weekday"))}
	}
})

// fits is what Next must find, said in the plainest way: one instant at a time.
func (s Spec) fits(t time.Time) bool {
	if s.Every > 0 && t.Sub(time.Unix(0, 0).Add(s.Phase))%s.Every == 0 {
		return true
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return false
	}
	local := t.In(zone)
	has := func(all []Range, n int) bool {
		for _, r := range all {
			if r.has(n) {
				return true
			}
		}
		return false
	}
	for _, c := range s.Calendars {
		if has(c.Minutes, local.Minute()) && has(c.Hours, local.Hour()) &&
			(c.Days == nil || has(c.Days, local.Day())) && (c.Months == nil || has(c.Months, int(local.Month()))) &&
			(c.Weekdays == nil || has(c.Weekdays, int(local.Weekday()))) && (c.Years == nil || has(c.Years, local.Year())) {
			return true
		}
	}
	return false
}

func TestNextIsTheFirstTimeThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySchedule.Draw(t, "schedule")
		// The days around the changes of the clocks, and any other.
		day := rapid.SampledFrom([]string{
			"2026-03-28", "2026-10-24", "2026-04-23", "2026-10-28", "2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03", "2028-02-27", "2026-12-30",
		}).Draw(t, "day")
		after, err := time.Parse(time.DateOnly, day)
		require.NoError(t, err)
		after = after.Add(time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "offset")))
		spec := s.WithDefaults().times()
		next := s.Next(after)
		require.True(t, next.After(after), "strictly after: %s", next)
		require.True(t, spec.fits(next), "%s does not fit", next)
		for m := after.Truncate(time.Minute).Add(time.Minute); m.Before(next) && m.Sub(after) < 50*time.Hour; m = m.Add(time.Minute) {
			require.False(t, spec.fits(m), "%s is earlier than %s", m, next)
		}
	})
}

func TestNextIsMonotonic(t *testing.T) {
	instants := rapid.Map(rapid.Int64Range(0, 4_000_000_000), func(s int64) time.Time { return time.Unix(s, 7) })
	rapid.Check(t, func(t *rapid.T) {
		s := anySchedule.Draw(t, "schedule")
		a, b := instants.Draw(t, "a"), instants.Draw(t, "b")
		if b.Before(a) {
			a, b = b, a
		}
		nextA, nextB := s.Next(a), s.Next(b)
		require.False(t, nextB.Before(nextA), "%s after %s, %s after %s", nextA, a, nextB, b)
		if b.Before(nextA) {
			require.Equal(t, nextA, nextB, "nothing lies between")
		}
	})
}

// Each month of the cycle has its run, whatever the day.
func TestMonthsAreNeverSkipped(t *testing.T) {
	for every := 1; every <= 12; every++ {
		for _, day := range []int{1, 29, 31} {
			spec := Schedule{Type: Interval, Unit: Months, Every: every, Day: day}.times()
			require.LessOrEqual(t, len(spec.Calendars), 40)
			next, last := spec.compile(), time.Date(1999, 12, 31, 12, 0, 0, 0, time.UTC)
			for n := 0; n < 12*15; n += every {
				last = next(last)
				year, month := firstYear+n/12, n%12+1
				want := time.Date(year, time.Month(month), min(day, daysIn(year, month)), 0, 0, 0, 0, time.UTC)
				require.Equal(t, want, last, "every %d months on the %d", every, day)
			}
		}
	}
}

func TestSpec(t *testing.T) {
	job := func(mode Mode, s Schedule) Job { return Job{Mode: mode, Schedule: s} }
	all := func(low, high int) []Range { return []Range{{low, high, 1}} }
	tests := map[string]struct {
		job  Job
		want Spec
	}{
		"by hand": {job("", Schedule{}), Spec{CatchUp: 10 * time.Second, RunTimeout: 6 * time.Hour}},
		"minutes": {
			job(Incremental, Schedule{Type: Interval, Every: 15, Unit: Minutes}),
			Spec{Every: 15 * time.Minute, Jitter: 90 * time.Second, CatchUp: 30 * time.Minute, RunTimeout: 6 * time.Hour},
		},
		"weeks": {
			job(Full, Schedule{Type: Interval, Every: 2, Unit: Weeks, At: "01:00"}),
			Spec{Every: 14 * 24 * time.Hour, Phase: 97 * time.Hour, Jitter: 30 * time.Minute, CatchUp: 28 * 24 * time.Hour, RunTimeout: 72 * time.Hour, PauseOnFailure: true},
		},
		"one day in a zone": {
			job(Reconcile, Schedule{Type: Interval, Unit: Days, At: "03:05", TimeZone: "Europe/Paris", Jitter: new(Duration(0))}),
			Spec{
				Calendars: []Calendar{{Minutes: only(5), Hours: only(3)}}, TimeZone: "Europe/Paris",
				CatchUp: 50 * time.Hour, RunTimeout: 12 * time.Hour, PauseOnFailure: true,
			},
		},
		"the last day of months": {
			job("", Schedule{Type: Interval, Unit: Months, Day: 31}),
			Spec{
				Calendars: []Calendar{
					{Minutes: only(0), Hours: only(0), Days: only(29), Months: only(2), Years: []Range{{2000, 2096, 4}}},
					{Minutes: only(0), Hours: only(0), Days: only(30), Months: []Range{{4, 6, 2}, {9, 11, 2}}},
					{Minutes: only(0), Hours: only(0), Days: only(31), Months: []Range{{1, 7, 2}, {8, 12, 2}}},
					{Minutes: only(0), Hours: only(0), Days: only(28), Months: only(2), Years: []Range{{2001, 2099, 2}, {2002, 2098, 4}, {2100, 2100, 1}}},
				},
				Jitter: 30 * time.Minute, CatchUp: 62 * 24 * time.Hour, RunTimeout: 6 * time.Hour,
			},
		},
		"cron of office hours": {
			job("", Schedule{Type: Cron, Cron: "*/10 9-17 * * 1-5"}),
			Spec{
				Calendars: []Calendar{{Minutes: []Range{{0, 59, 10}}, Hours: all(9, 17), Days: all(1, 31), Months: all(1, 12), Weekdays: all(1, 5)}},
				Jitter:    time.Minute, CatchUp: 2 * (63*time.Hour + 10*time.Minute), RunTimeout: 6 * time.Hour, // Friday 17:50 to Monday 9:00
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { assert.Empty(t, cmp.Diff(tt.want, tt.job.Spec())) })
	}
}

func TestCronFields(t *testing.T) {
	minutes, weekdays, months := cronFields[0], cronFields[4], cronFields[3]
	tests := map[string]struct {
		field cronField
		want  []int // nil: refused
	}{
		"*/20":          {minutes, []int{0, 20, 40}},
		"3/25":          {minutes, []int{3, 28, 53}},
		"1-5/2,8":       {minutes, []int{1, 3, 5, 8}},
		"60":            {minutes, nil},
		"5-1":           {minutes, nil},
		"1-2-3":         {minutes, nil},
		"1/2/3":         {minutes, nil},
		"1/":            {minutes, nil},
		"1/0":           {minutes, nil},
		"":              {minutes, nil},
		"1,":            {minutes, nil},
		"-1":            {minutes, nil},
		"mon":           {weekdays, []int{1}},
		"Tuesday":       {weekdays, []int{2}},
		"m":             {weekdays, nil},
		"mo-FRI":        {weekdays, []int{1, 2, 3, 4, 5}},
		"fri-sun":       {weekdays, nil},
		"5-7":           {weekdays, []int{0, 5, 6}},
		"7":             {weekdays, []int{0}},
		"0-7":           {weekdays, []int{0, 1, 2, 3, 4, 5, 6}},
		"1/2":           {weekdays, []int{0, 1, 3, 5}},
		"3-7/3":         {weekdays, []int{3, 6}},
		"*/7":           {weekdays, []int{0}},
		"8":             {weekdays, nil},
		"jan,jul-s":     {months, nil},
		"jan,jun-":      {months, nil},
		"feb,SEP-d":     {months, nil},
		"ju":            {months, nil},
		"mar,oct-dec/2": {months, []int{3, 10, 12}},
		"0":             {months, nil},
	}
	for text, tt := range tests {
		t.Run(text, func(t *testing.T) {
			parsed, err := tt.field.parse(text)
			if tt.want == nil {
				require.ErrorContains(t, err, tt.field.name)
				return
			}
			require.NoError(t, err)
			var got []int
			for n := range 64 {
				if bitsOf(parsed).has(n) {
					got = append(got, n)
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"* * * * *", "*/5 1-7/2 1,31 jan-DEC sun", "0 0 30 2 *", "@daily", "TZ=UTC * * * * *", "60 * * * *", "1 2 3 4 5-7/2"} {
		f.Add(seed)
	}
	bounds := [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCron(text)
		if err != nil {
			return
		}
		for i, field := range [5][]Range{c.Minutes, c.Hours, c.Days, c.Months, c.Weekdays} {
			require.NotEmpty(t, field)
			for _, r := range field {
				require.True(t, bounds[i][0] <= r.Start && r.Start <= r.End && r.End <= bounds[i][1] && r.Step > 0, "%v of %q", r, text)
			}
		}
		if next := (Spec{Calendars: []Calendar{c}}).Next(reference); !next.IsZero() {
			require.True(t, next.After(reference))
		}
	})
}
