package jobs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// cronField is one of the five fields of a cron. Names may be cut to their
// first letters.
type cronField struct {
	name      string
	low, high int
	names     []string
	letters   int // that a name needs at least
}

var cronFields = [5]cronField{
	{name: "minute", high: 59},
	{name: "hour", high: 23},
	{name: "day of month", low: 1, high: 31},
	{name: "month", low: 1, high: 12, letters: 3, names: []string{
		"january", "february", "march", "april", "may", "june",
		"july", "august", "september", "october", "november", "december",
	}},
	{name: "day of week", high: 7, letters: 2, names: []string{
		"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
	}},
}

// parseCron reads five fields as Temporal's server does (its scheduler's
// makeRange, v1.32): lists of *, n, n-m, each with an optional /step; "n/step"
// goes on to the end; 7 is Sunday, too. Where that server takes "1-7" for
// Monday to Saturday, Sunday is in here; it gets ranges, never the text.
func parseCron(text string) (Calendar, error) {
	fields := strings.Fields(text)
	switch {
	case len(fields) == 0:
		return Calendar{}, errors.New("it is empty")
	case strings.HasPrefix(fields[0], "@"):
		return Calendar{}, fmt.Errorf("%s is not known here", fields[0])
	case strings.Contains(fields[0], "="):
		return Calendar{}, errors.New("the time zone stands in it")
	case len(fields) != len(cronFields):
		return Calendar{}, fmt.Errorf("it has %d fields", len(fields))
	}
	var parsed [len(cronFields)][]Range
	for i, f := range cronFields {
		var err error
		if parsed[i], err = f.parse(fields[i]); err != nil {
			return Calendar{}, err
		}
	}
	return Calendar{
		Minutes: parsed[0], Hours: parsed[1], Days: parsed[2], Months: parsed[3], Weekdays: parsed[4],
	}, nil
}

func (f cronField) parse(text string) ([]Range, error) {
	var all []Range
	for part := range strings.SplitSeq(text, ",") {
		r, err := f.part(part)
		if err != nil {
			return nil, err
		}
		if r.End == 7 && f.high == 7 {
			all = append(all, sunday(r)...)
		} else {
			all = append(all, r)
		}
	}
	return all, nil
}

func (f cronField) part(text string) (Range, error) {
	span, step, stepped := strings.Cut(text, "/")
	r := Range{Start: f.low, End: f.high, Step: 1}
	if stepped {
		n, err := strconv.Atoi(step)
		if err != nil || n < 1 {
			return r, fmt.Errorf("the %s has the step %q", f.name, step)
		}
		r.Step = n
	}
	if span == "*" {
		return r, nil
	}
	first, last, isRange := strings.Cut(span, "-")
	var err error
	if r.Start, err = f.value(first, f.low); err != nil {
		return r, err
	}
	switch {
	case isRange:
		r.End, err = f.value(last, r.Start)
	case !stepped:
		r.End = r.Start
	}
	return r, err
}

// value reads a number or a name that is at least low.
func (f cronField) value(text string, low int) (int, error) {
	n, err := strconv.Atoi(text)
	if f.letters > 0 && len(text) >= f.letters {
		for i, name := range f.names {
			if strings.HasPrefix(name, strings.ToLower(text)) {
				n, err = f.low+i, nil
				break
			}
		}
	}
	if err != nil || n < low || n > f.high {
		return 0, fmt.Errorf("the %s cannot be %q: it is %d to %d", f.name, text, low, f.high)
	}
	return n, nil
}

// sunday writes a range that ends with 7 in the days 0 to 6.
func sunday(r Range) []Range {
	whole := Range{Start: r.Start, End: 6, Step: r.Step}
	switch {
	case r.Start == 7:
		return only(0)
	case (7-r.Start)%r.Step == 0 && r.Start > 0:
		return append(only(0), whole)
	default:
		return []Range{whole}
	}
}
