package bench

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// calls is what the worker's metrics tell of one operation on Odoo.
type calls struct {
	count, rows float64
	took        float64 // seconds
}

// callsSoFar reads the worker's metrics: operation -> calls since it began.
func callsSoFar(ctx context.Context, metrics string) (map[string]calls, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, metrics, nil)
	if err != nil {
		return nil, err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r.Body)
	if err != nil {
		return nil, err
	}
	all := map[string]calls{}
	for _, m := range families["towpath_call_seconds"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "operation" {
				h := m.GetHistogram()
				all[l.GetValue()] = calls{count: float64(h.GetSampleCount()), took: h.GetSampleSum()}
			}
		}
	}
	for _, m := range families["towpath_call_rows_total"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "operation" {
				c := all[l.GetValue()]
				c.rows += m.GetCounter().GetValue()
				all[l.GetValue()] = c
			}
		}
	}
	return all, nil
}

// tellCalls says where Odoo's time went, dearest first.
func (b *bench) tellCalls(before, after map[string]calls, orders float64, took time.Duration) {
	sum := 0.0
	for name, c := range after {
		c.count, c.rows, c.took = c.count-before[name].count, c.rows-before[name].rows, c.took-before[name].took
		after[name] = c
		sum += c.took
	}
	names := slices.SortedFunc(maps.Keys(after), func(x, y string) int { return int(1e6 * (after[y].took - after[x].took)) })
	b.say("a call was in flight %.0f %% of the time; by operation:", 100*sum/took.Seconds())
	for _, name := range names {
		if c := after[name]; c.count > 0 {
			b.say("  %-22s %6.1f ms per order, %4.0f calls of %5.1f rows, %5.0f ms each", name, 1000*c.took/orders, c.count, c.rows/c.count, 1000*c.took/c.count)
		}
	}
}

// idleSoFar is how long the machine's cores have had nothing to do, and the
// time that there was: the first line of /proc/stat (proc_stat(5)).
func idleSoFar() (idle, all time.Duration, err error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	var n [8]int64 // user nice system idle iowait irq softirq steal
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7]); err != nil {
		return 0, 0, fmt.Errorf("/proc/stat has an unknown form: %w", err)
	}
	for _, v := range n {
		all += time.Duration(v) * tick
	}
	return time.Duration(n[3]+n[4]) * tick, all, nil
}
