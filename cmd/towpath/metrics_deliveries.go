package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descDeliveries  = prometheus.NewDesc("towpath_deliveries", "Deliveries that are not settled, and parked ones.", []string{"endpoint", "state"}, nil)
	descDelivOldest = prometheus.NewDesc("towpath_delivery_oldest_seconds", "How long the first delivery of an endpoint that is not parked has waited.", []string{"endpoint"}, nil)
	descEndpointUp  = prometheus.NewDesc("towpath_endpoint_up", "1: its circuit is closed and it is not switched off.", []string{"endpoint"}, nil)
	descDelivRatio  = prometheus.NewDesc("towpath_delivery_success_ratio", "Share of the last hour's attempts that delivered.", []string{"endpoint"}, nil)
	descDelivP95    = prometheus.NewDesc("towpath_delivery_p95_seconds", "The last hour's attempts took no longer, but for one in twenty.", []string{"endpoint"}, nil)
	descDelivMean   = prometheus.NewDesc("towpath_delivery_mean_seconds", "How long the last hour's attempts took, on average.", []string{"endpoint"}, nil)
	descDelivHour   = prometheus.NewDesc("towpath_delivery_last_hour", "Attempts of the last hour by result: delivered, failed.", []string{"endpoint", "result"}, nil)
	descTypeHour    = prometheus.NewDesc("towpath_delivery_type_last_hour", "The same by event type.", []string{"type", "result"}, nil)
	descTypeMean    = prometheus.NewDesc("towpath_delivery_type_mean_seconds", "How long the last hour's attempts took, on average, by event type.", []string{"type"}, nil)
	descTypeP95     = prometheus.NewDesc("towpath_delivery_type_p95_seconds", "They took no longer, but for one in twenty.", []string{"type"}, nil)
	descDelivErrors = prometheus.NewDesc("towpath_delivery_errors_last_hour", "Failed attempts of the last hour by error.", []string{"code"}, nil)
	descEventsHour  = prometheus.NewDesc("towpath_events_last_hour", "Events to be told that came in in the last hour.", nil, nil)
)

// describeDeliveries and collectDeliveries tell how endpoints do, from PostgreSQL.
func describeDeliveries(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descDeliveries, descDelivOldest, descEndpointUp, descDelivRatio, descDelivP95, descDelivMean, descDelivHour,
		descTypeHour, descTypeMean, descTypeP95, descDelivErrors, descEventsHour} {
		ch <- d
	}
}

func (b backlog) collectDeliveries(ctx context.Context, ch chan<- prometheus.Metric) {
	counts, err := b.store.OpenDeliveries(ctx)
	if err != nil {
		return
	}
	oldest := map[string]float64{}
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(descDeliveries, prometheus.GaugeValue, float64(c.N), c.Endpoint, string(c.State))
		if c.State != "parked" {
			oldest[c.Endpoint] = max(oldest[c.Endpoint], c.Oldest)
		}
	}
	for name, seconds := range oldest {
		ch <- prometheus.MustNewConstMetric(descDelivOldest, prometheus.GaugeValue, seconds, name)
	}
	all, err := b.store.Endpoints(ctx)
	if err != nil {
		return
	}
	unwell, err := b.store.UnwellEndpoints(ctx)
	if err != nil {
		return
	}
	up := map[string]float64{}
	for _, e := range all {
		if e.Active {
			up[e.Name] = 1
		}
	}
	for _, name := range unwell {
		up[name] = 0
	}
	for name, value := range up {
		ch <- prometheus.MustNewConstMetric(descEndpointUp, prometheus.GaugeValue, value, name)
	}
	b.collectHour(ctx, ch, time.Now())
}

// collectHour tells the last hour's numbers, those of towpath delivery stats.
func (b backlog) collectHour(ctx context.Context, ch chan<- prometheus.Metric, now time.Time) {
	since := now.Add(-time.Hour)
	endpoints, types, errs, err := b.store.DeliveryNumbers(ctx, since, now.Add(time.Minute))
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range endpoints {
		gauge(descDelivRatio, s.SuccessRate(), s.Key)
		gauge(descDelivMean, s.MeanMS/1000, s.Key)
		gauge(descDelivP95, s.P95MS/1000, s.Key)
		gauge(descDelivHour, float64(s.Delivered), s.Key, "delivered")
		gauge(descDelivHour, float64(s.Failed), s.Key, "failed")
	}
	for _, s := range types {
		gauge(descTypeMean, s.MeanMS/1000, s.Key)
		gauge(descTypeP95, s.P95MS/1000, s.Key)
		gauge(descTypeHour, float64(s.Delivered), s.Key, "delivered")
		gauge(descTypeHour, float64(s.Failed), s.Key, "failed")
	}
	for _, s := range errs {
		gauge(descDelivErrors, float64(s.Failed), s.Key)
	}
	if n, err := b.store.EventsReceived(ctx, since); err == nil {
		gauge(descEventsHour, float64(n))
	}
}
