package webhook

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time that is written as text: "15s", "1h30m", "5d".
// A day is 24 hours.
type Duration time.Duration

const day = 24 * time.Hour

var withDays = regexp.MustCompile(`^([0-9]{1,4})d(.*)$`)

// MarshalText writes it as text that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String leaves out what is zero: "1h30m", not "1h30m0s".
func (d Duration) String() string {
	whole := time.Duration(d)
	if whole >= day && whole%day == 0 {
		return strconv.FormatInt(int64(whole/day), 10) + "d"
	}
	text := whole.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// UnmarshalText reads what time.ParseDuration reads, and days before it.
func (d *Duration) UnmarshalText(text []byte) error {
	rest, days := string(text), 0
	if parts := withDays.FindStringSubmatch(rest); parts != nil {
		days, _ = strconv.Atoi(parts[1]) // four digits at most
		rest = parts[2]
		if rest == "" {
			rest = "0s"
		}
	}
	parsed, err := time.ParseDuration(rest)
	if err != nil || days > 0 && parsed < 0 {
		return fmt.Errorf("%q is no length of time: write it like 15s, 1h30m or 5d", text)
	}
	*d = Duration(time.Duration(days)*day + parsed)
	return nil
}
