package activities

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	deliveryAttempts = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "towpath_delivery_attempts_total", Help: "Webhook attempts of this process by outcome: delivered, retry, park, disable.",
	}, []string{"endpoint", "outcome"})
	deliverySeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "towpath_delivery_seconds", Help: "How long a webhook attempt took.",
		Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30},
	}, []string{"endpoint"})
	eventsRead = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "towpath_events_read_total", Help: "Events read from systems to be told to endpoints, by connection.",
	}, []string{"connection"})
)

// Metrics are all that activities count in this process.
func Metrics() []prometheus.Collector {
	return []prometheus.Collector{deliveryAttempts, deliverySeconds, eventsRead}
}
