package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"towpath/connectors"
)

var (
	callSeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "towpath_call_seconds", Help: "How long batched calls to a system took, by connection and operation.",
		Buckets: []float64{.01, .03, .1, .3, 1, 2, 4, 8, 15, 30, 60},
	}, []string{"connection", "operation"})
	callRows = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "towpath_call_rows_total", Help: "Rows of batched calls: done, failed, again (sent once more), dropped (not sent).",
	}, []string{"connection", "operation", "result"})
	callWaiting = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "towpath_call_rows_waiting", Help: "Rows that wait for a call to a system, in this process.",
	}, []string{"connection"})
)

// calls counts and logs each call to a target: one line per call at level debug.
type calls struct{ log zerolog.Logger }

func (l calls) observe(c connectors.Call) {
	if c.Rows > 0 {
		callSeconds.WithLabelValues(c.System, c.Operation).Observe(c.Took.Seconds())
	}
	for result, n := range map[string]int{"done": c.Rows - c.Failed - c.Again, "failed": c.Failed, "again": c.Again, "dropped": c.Dropped} {
		if n > 0 {
			callRows.WithLabelValues(c.System, c.Operation, result).Add(float64(n))
		}
	}
	callWaiting.WithLabelValues(c.System).Set(float64(c.Waiting))
	l.log.Debug().Str("target", c.System).Str("operation", c.Operation).Int("rows", c.Rows).Int("failed", c.Failed).
		Int("again", c.Again).Int("dropped", c.Dropped).Int("waiting", c.Waiting).Dur("waited", c.Waited).Dur("took", c.Took).
		Bool("whole_call_failed", c.Err != nil).Msg("call")
}
