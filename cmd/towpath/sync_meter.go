package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"towpath/schema/jobs"
)

// meter reckons how fast a run is.
type meter struct{ samples []sample }

type sample struct {
	at   time.Time
	done int64
}

// meterSpan is over which time a rate is taken: long enough for pages of many
// seconds, short enough to show a pause.
const meterSpan = 30 * time.Second

// add notes how far a run is, and tells whether that is news.
func (m *meter) add(at time.Time, done int64) (news bool) {
	news = len(m.samples) == 0 || m.samples[len(m.samples)-1].done != done
	m.samples = append(m.samples, sample{at, done})
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) >= meterSpan {
		m.samples = m.samples[1:]
	}
	return news
}

// rate is in records per second; 0 when nothing can be said.
func (m *meter) rate() float64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	took := last.at.Sub(first.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(last.done-first.done) / took
}

// words says how far a run is: "1,200 of 10,000, 310/s, 28s left, 3 parked".
func (m *meter) words(c jobs.Counts, total int64, asked string) string {
	done := c.Processed()
	parts := []string{thousands(done)}
	if total > 0 {
		parts[0] += " of " + thousands(total)
	}
	if rate := m.rate(); rate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f/s", max(rate, 1)))
		if total > done {
			parts = append(parts, round(time.Duration(float64(total-done)/rate*float64(time.Second)))+" left")
		}
	}
	if c.Parked > 0 {
		parts = append(parts, thousands(c.Parked)+" parked")
	}
	if c.Failed > 0 {
		parts = append(parts, thousands(c.Failed)+" failed")
	}
	if asked != "" {
		parts = append(parts, asked+" asked for")
	}
	return strings.Join(parts, ", ")
}

func thousands(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// countWords says what became of a run's records, without what is zero.
func countWords(c jobs.Counts) string {
	var parts []string
	for _, p := range []struct {
		what string
		n    int64
	}{
		{"fetched", c.Fetched}, {"created", c.Created}, {"updated", c.Updated}, {"archived", c.Archived}, {"unchanged", c.Unchanged},
		{"skipped", c.SkippedAll()}, {"parked", c.Parked}, {"failed", c.Failed}, {"gone from the source", c.Gone},
	} {
		if p.n != 0 {
			parts = append(parts, thousands(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ")
}

// screen shows progress: a bar that moves where there is a terminal, else a
// line now and then, for logs.
type screen struct {
	w    io.Writer
	bar  bar
	last time.Time
	line string
}

// bar is what newBar gives, as far as it is used here.
type bar interface {
	ChangeMax64(newMax int64)
	Set64(num int64) error
	Describe(description string)
	Clear() error
}

// newWatchBar leaves rate and time left to the words: its own would count what
// was done before somebody began to look.
func newWatchBar(w io.Writer) bar {
	return progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(true))
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.bar = newWatchBar(w)
	}
	return s
}

func (s *screen) show(words string, done, total int64) {
	if s.bar != nil {
		if total > 0 {
			s.bar.ChangeMax64(max(total, done))
			_ = s.bar.Set64(done)
		}
		s.bar.Describe(words)
		return
	}
	if words == s.line || time.Since(s.last) < tellEvery {
		return
	}
	s.line, s.last = words, time.Now()
	fmt.Fprintln(s.w, words)
}

func (s *screen) note(words string) {
	s.clear(true)
	fmt.Fprintln(s.w, words)
}

func (s *screen) clear(over bool) {
	if over && s.bar != nil {
		_ = s.bar.Clear()
	}
}
