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
)

// describeDeliveries and collectDeliveries tell how endpoints do, from PostgreSQL.
func describeDeliveries(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descDeliveries, descDelivOldest, descEndpointUp, descDelivRatio, descDelivP95} {
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
	now := time.Now()
	stats, err := b.store.DeliveryStats(ctx, "endpoint", "", now.Add(-time.Hour), now.Add(time.Minute))
	if err != nil {
		return
	}
	for _, s := range stats {
		ch <- prometheus.MustNewConstMetric(descDelivRatio, prometheus.GaugeValue, s.SuccessRate(), s.Key)
		ch <- prometheus.MustNewConstMetric(descDelivP95, prometheus.GaugeValue, s.P95MS/1000, s.Key)
	}
}
