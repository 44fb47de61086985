package csv

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// value is a cell as its column's type has it. What does not fit stays text:
// the mapping names it, and nothing is lost.
func (l layout) value(cell string, kind record.FieldType, zone *time.Location) any {
	if cell == "" {
		return nil
	}
	switch kind {
	case record.TypeInteger, record.TypeNumber:
		if n, ok := parseNumber(cell, l.mark); ok {
			return n
		}
	case record.TypeBoolean:
		if b, ok := parseBoolean(cell); ok {
			return b
		}
	case record.TypeDate:
		if isDate(cell) {
			return record.Date(cell)
		}
	case record.TypeTime:
		if t, ok := parseISO(cell, zone); ok {
			return t
		}
	}
	return cell
}

// number is a cell of a column that is told to hold numbers. What is none is
// named, so that it costs its own record only.
func (l layout) number(r row, name, cell string) any {
	if cell = strings.TrimSpace(cell); cell == "" {
		return nil
	}
	if n, ok := parseNumber(withoutPadding(cell), l.mark); ok {
		return n
	}
	bad := record.Unreadable{Field: name, Where: r.where(), Reason: fmt.Sprintf("column %q holds no number there", name), Raw: cutText(cell, 200)}
	bad.Fix = "correct the cell in the file, or take the column out of number_columns; then the record is read again by itself"
	if used, _, isNumber := numberShape(withoutPadding(cell)); isNumber && used != 0 && l.mark == 0 {
		bad.Reason += ", as far as it is known whether a point or a comma begins the decimals"
		bad.Fix = "set decimal of the connection"
	}
	return bad
}

// withoutPadding takes off what says nothing where numbers are expected: zeros
// before a number, and a plus.
func withoutPadding(cell string) string {
	sign := ""
	if rest, ok := strings.CutPrefix(cell, "-"); ok {
		sign, cell = "-", rest
	} else if rest, ok := strings.CutPrefix(cell, "+"); ok && !strings.HasPrefix(rest, "-") {
		cell = rest
	}
	for len(cell) > 1 && cell[0] == '0' && cell[1] >= '0' && cell[1] <= '9' {
		cell = cell[1:]
	}
	if cell == "0" {
		sign = ""
	}
	return sign + cell
}

func cutText(text string, limit int) string {
	if r := []rune(text); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return text
}

// maxDigits keeps what only looks like a number, such as a long key, text.
const maxDigits = 30

// numberShape tells a number as a computer writes it, in ASCII digits: no
// leading zeros or plus, no exponent, no thousands separators. mark is its
// decimal mark or 0, decimals the digits behind it.
func numberShape(cell string) (mark byte, decimals int, ok bool) {
	digits := strings.TrimPrefix(cell, "-")
	at := strings.IndexAny(digits, ".,")
	whole := digits
	if at >= 0 {
		mark, whole, decimals = digits[at], digits[:at], len(digits)-at-1
		if decimals == 0 || !allDigits(digits[at+1:]) {
			return 0, 0, false
		}
	}
	ok = whole != "" && len(digits) <= maxDigits && allDigits(whole) && (whole == "0" || whole[0] != '0') && cell != "-0"
	return mark, decimals, ok
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func parseNumber(cell string, mark byte) (decimal.Decimal, bool) {
	used, _, ok := numberShape(cell)
	if !ok || used != 0 && used != mark {
		return decimal.Decimal{}, false
	}
	n, err := decimal.NewFromString(strings.Replace(cell, ",", ".", 1))
	return n, err == nil
}

func parseBoolean(cell string) (value, ok bool) {
	switch {
	case strings.EqualFold(cell, "true"):
		return true, true
	case strings.EqualFold(cell, "false"):
		return false, true
	}
	return false, false
}

func isDate(cell string) bool {
	_, err := time.Parse(time.DateOnly, cell)
	return err == nil
}

func isTime(cell string) bool {
	_, ok := parseISO(cell, time.UTC)
	return ok
}

// The forms of ISO 8601 that are read; fractions of a second may follow.
var (
	isoZoned = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05-07"}
	isoLocal = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"}
)

// parseISO reads a time, in the zone if it names none.
func parseISO(cell string, zone *time.Location) (time.Time, bool) {
	if len(cell) < len("2006-01-02T15:04") || len(cell) > 40 || cell[4] != '-' {
		return time.Time{}, false
	}
	for _, form := range isoLocal {
		if t, err := time.ParseInLocation(form, cell, zone); err == nil {
			return later(t).UTC(), true
		}
	}
	for _, form := range isoZoned {
		if t, err := time.Parse(form, cell); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// later is the second of two instants with one local time, in the night when
// clocks are put back: a change that counts as later is read once more, one
// that counts as earlier might be lost.
func later(t time.Time) time.Time {
	hour := t.Add(time.Hour)
	_, before := t.Zone()
	_, after := hour.Zone()
	if after == before-3600 {
		return hour
	}
	return t
}

// clock reads changed_column. until is when the time it names is over: a day
// later for a mere date.
type clock func(cell string) (at, until time.Time, ok bool)

var errLayout = errors.New("must be iso, unix, unix_ms, or a pattern with at least YYYY, MM and DD, such as DD.MM.YYYY HH:mm")

func newClock(setting string, zone *time.Location) (clock, error) {
	switch setting {
	case "iso":
		return func(cell string) (time.Time, time.Time, bool) {
			if t, ok := parseISO(cell, zone); ok {
				return t, t, true
			}
			day, err := time.ParseInLocation(time.DateOnly, cell, zone)
			return day.UTC(), day.AddDate(0, 0, 1).UTC(), err == nil
		}, nil
	case "unix":
		return unixClock(time.Second), nil
	case "unix_ms":
		return unixClock(time.Millisecond), nil
	}
	for _, must := range []string{"YYYY", "MM", "DD"} {
		if !strings.Contains(setting, must) {
			return nil, errLayout
		}
	}
	for _, digits := range "0123456789_" { // would mean something to Go's own patterns
		if strings.ContainsRune(setting, digits) {
			return nil, errLayout
		}
	}
	form := strings.NewReplacer("YYYY", "2006", "MM", "01", "DD", "02", "HH", "15", "mm", "04", "ss", "05", "ZZ", "Z07:00").Replace(setting)
	return patternClock(form, !strings.Contains(setting, "HH"), zone), nil
}

func patternClock(form string, dateOnly bool, zone *time.Location) clock {
	return func(cell string) (time.Time, time.Time, bool) {
		t, err := time.ParseInLocation(form, cell, zone)
		if err != nil {
			return time.Time{}, time.Time{}, false
		}
		if dateOnly {
			return t.UTC(), t.AddDate(0, 0, 1).UTC(), true
		}
		t = later(t)
		return t.UTC(), t.UTC(), true
	}
}

func unixClock(unit time.Duration) clock {
	return func(cell string) (time.Time, time.Time, bool) {
		n, err := strconv.ParseInt(cell, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(unit) { // until 2262, as far as a duration goes
			return time.Time{}, time.Time{}, false
		}
		t := time.Unix(0, n*int64(unit)).UTC()
		return t, t, true
	}
}
