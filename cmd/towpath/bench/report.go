package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Verdict says how a measurement stands to its target.
type Verdict string

// The verdicts. A row without a target has none.
const (
	OK     Verdict = "ok"
	Missed Verdict = "MISSED"
	Noisy  Verdict = "noisy"
	Info   Verdict = ""
)

// Target is a limit on the median.
type Target struct {
	AtLeast, AtMost float64 // one of them; 0: no limit
	Text            string  // of a target that moves with a reference
}

func (t Target) String() string {
	switch {
	case t.Text != "":
		return t.Text
	case t.AtLeast != 0:
		return fmt.Sprintf("≥ %.4g", t.AtLeast)
	case t.AtMost != 0:
		return fmt.Sprintf("≤ %.4g", t.AtMost)
	}
	return ""
}

// Row is one measurement: a value for each round.
type Row struct {
	Bench   string    `json:"bench"`
	What    string    `json:"what"`
	Unit    string    `json:"unit"` // "×" is a ratio
	Samples []float64 `json:"samples"`
	Median  float64   `json:"median"`
	Spread  float64   `json:"spread"` // half the range over the median
	Target  string    `json:"target,omitempty"`
	Verdict Verdict   `json:"verdict,omitempty"`
}

// Report is all that was measured.
type Report struct {
	At      time.Time            `json:"at"`
	Cores   int                  `json:"cores"`
	Load    string               `json:"load_average_before"`
	Go      string               `json:"go"`
	Seed    uint64               `json:"seed"`
	Rows    []*Row               `json:"rows"`
	Raw     map[string][]float64 `json:"raw"`   // everything measured, by round
	Equal   []string             `json:"equal"` // checks that both sides did the same work
	Unequal []string             `json:"unequal,omitempty"`
}

func newReport(seed uint64) *Report {
	load, _ := os.ReadFile("/proc/loadavg")
	return &Report{At: time.Now().UTC(), Cores: runtime.NumCPU(), Go: runtime.Version(), Seed: seed,
		Load: strings.TrimSpace(string(load)), Raw: map[string][]float64{}}
}

// raw keeps a sample that is no row of the table, or from which one is made.
func (r *Report) raw(what string, values ...float64) { r.Raw[what] = append(r.Raw[what], values...) }

// add makes a row of one value per round.
func (r *Report) add(bench, what, unit string, t Target, samples []float64) {
	row := &Row{Bench: bench, What: what, Unit: unit, Samples: samples, Median: median(samples), Spread: spread(samples), Target: t.String()}
	switch {
	case t.AtLeast == 0 && t.AtMost == 0:
	case len(samples) == 0:
		row.Verdict = Missed
	case row.Spread > noisyAbove:
		row.Verdict = Noisy
	case t.AtLeast != 0 && row.Median < t.AtLeast, t.AtMost != 0 && row.Median > t.AtMost:
		row.Verdict = Missed
	default:
		row.Verdict = OK
	}
	r.Rows = append(r.Rows, row)
}

// same records whether both sides left the same rows behind.
func (r *Report) same(what string, equal bool, detail string) {
	if equal {
		r.Equal = append(r.Equal, what+": "+detail)
	} else {
		r.Unequal = append(r.Unequal, what+": "+detail)
	}
}

// Good says that no target was missed and all comparisons were between equals.
// Noisy rows are neither good nor bad.
func (r *Report) Good() bool {
	for _, row := range r.Rows {
		if row.Verdict == Missed {
			return false
		}
	}
	return len(r.Unequal) == 0
}

// Print writes the table for people.
func (r *Report) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	last := ""
	for _, row := range r.Rows {
		if row.Bench != last {
			fmt.Fprintf(t, "%s\tmedian\tspread\ttarget\t\n", row.Bench)
			last = row.Bench
		}
		fmt.Fprintf(t, "  %s\t%s %s\t±%.0f %%\t%s\t%s\n", row.What, number(row.Median), row.Unit, 100*row.Spread, row.Target, row.Verdict)
	}
	_ = t.Flush()
	for _, u := range r.Unequal {
		fmt.Fprintf(w, "NOT THE SAME WORK: %s\n", u)
	}
	fmt.Fprintf(w, "%d cores, seed %d, load average before: %s\n", r.Cores, r.Seed, r.Load)
	if slices.ContainsFunc(r.Rows, func(row *Row) bool { return row.Verdict == Noisy }) {
		fmt.Fprintf(w, "noisy: rounds differ by more than ±%.0f %%, so neither passed nor failed; run it on a quiet machine.\n", 100*noisyAbove)
	}
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// WriteJSON writes everything, raw samples included.
func (r *Report) WriteJSON(path string) error {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(out, '\n'), 0o644)
}
