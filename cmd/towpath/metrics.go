package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"towpath/schema/store"
)

// backlog exports the numbers an operator is woken by, read from PostgreSQL
// when scraped, so that every process tells the same.
type backlog struct{ store *store.Store }

var (
	descPending = prometheus.NewDesc("towpath_inbox_pending", "Events accepted and not settled.", nil, nil)
	descDue     = prometheus.NewDesc("towpath_objects_due", "Objects waiting to be dispatched.", nil, nil)
	descOverdue = prometheus.NewDesc("towpath_objects_overdue", "Of them, waiting for more than a minute.", nil, nil)
	descOldest  = prometheus.NewDesc("towpath_due_oldest_seconds", "How long the first of them has waited.", nil, nil)
	descParked  = prometheus.NewDesc("towpath_parked_open", "Objects that need a person.", nil, nil)
	descStale   = prometheus.NewDesc("towpath_sync_behind_seconds", "How long ago everything of a job was last in step.", []string{"job"}, nil)
	descRun     = prometheus.NewDesc("towpath_sync_last_ok", "1: the job's last run that ended was a success or partial.", []string{"job"}, nil)
	descExports = prometheus.NewDesc("towpath_export_requests", "What was chosen in Odoo to be exported and is not, by state: parked needs a person.", []string{"state"}, nil)
	descBroken  = prometheus.NewDesc("towpath_invariant_broken", "Objects with pending events that are not due: must be 0.", nil, nil)
)

func registerBacklog(s *store.Store) { _ = prometheus.Register(backlog{s}) }

// Describe implements prometheus.Collector.
func (b backlog) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descPending, descDue, descOverdue, descOldest, descParked, descBroken, descStale, descRun, descExports} {
		ch <- d
	}
	describeDeliveries(ch)
}

// Collect implements prometheus.Collector.
func (b backlog) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	n, err := b.store.Backlog(ctx)
	if err != nil {
		return // no number is better than a wrong one; readiness tells of the database
	}
	for d, v := range map[*prometheus.Desc]float64{
		descPending: float64(n.Pending), descDue: float64(n.Due), descOverdue: float64(n.Overdue),
		descOldest: n.Oldest.Seconds(), descParked: float64(n.Parked), descBroken: float64(n.Broken),
	} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	b.collectDeliveries(ctx, ch)
	if exports, err := b.store.ExportCounts(ctx); err == nil {
		for state, n := range exports {
			ch <- prometheus.MustNewConstMetric(descExports, prometheus.GaugeValue, float64(n), string(state))
		}
	}
	jobs, err := b.store.Freshness(ctx)
	if err != nil {
		return
	}
	for _, j := range jobs {
		if j.Behind.Valid { // before its first success a job is not late, it is new
			ch <- prometheus.MustNewConstMetric(descStale, prometheus.GaugeValue, j.Behind.Float64, j.Job)
		}
		if j.Ended {
			ok := 0.0
			if j.OK {
				ok = 1
			}
			ch <- prometheus.MustNewConstMetric(descRun, prometheus.GaugeValue, ok, j.Job)
		}
	}
}
