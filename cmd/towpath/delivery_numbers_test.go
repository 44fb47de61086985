package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/store"
	"towpath/schema/storetest"
	"towpath/schema/webhook"
)

// tells stores an event for endpoints.
func (d *desk) tells(id, kind string, endpoints ...string) {
	d.t.Helper()
	content, err := json.Marshal(webhook.Event{ID: id, Type: kind, Model: "sale.order", RecordID: "7", Data: json.RawMessage(`{"id":7}`)})
	require.NoError(d.t, err)
	e := store.OutboundEvent{ID: id, Connection: "erp", Type: kind, Model: "sale.order", RecordID: "7", Content: string(content), OccurredAt: time.Now()}
	for _, name := range endpoints {
		e.Receivers = append(e.Receivers, store.Receiver{Endpoint: name})
	}
	_, err = d.Record(d.t.Context(), "erp", []store.OutboundEvent{e}, "")
	require.NoError(d.t, err)
}

// attempts makes an attempt of everything that is due, each as it is told to go.
func (d *desk) attempts(outcome func(s store.Starting) store.Outcome) {
	d.t.Helper()
	for {
		all, err := d.ClaimDeliveries(d.t.Context(), 100, 100)
		require.NoError(d.t, err)
		if len(all) == 0 {
			return
		}
		for _, s := range all {
			a, err := d.BeginAttempt(d.t.Context(), s.ID, s.Generation, 0, 1, time.Second)
			require.NoError(d.t, err)
			require.True(d.t, a.Go, a.Why)
			o := outcome(s)
			o.Delivery, o.Generation, o.Attempt, o.Endpoint, o.Type = s.ID, s.Generation, 1, s.Endpoint, s.Type
			_, err = d.FinishAttempt(d.t.Context(), o)
			require.NoError(d.t, err)
		}
	}
}

func (d *desk) partners(names ...string) {
	d.t.Helper()
	var b strings.Builder
	b.WriteString("endpoints:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  - {name: %s, url: \"https://%s.example/hook\"}\n", name, name)
	}
	out, exit := d.apply(b.String())
	require.Zero(d.t, exit, out)
}

func received(took time.Duration) store.Outcome {
	return store.Outcome{Outcome: "delivered", State: store.DeliveryOK, Success: true, Status: 200, Took: took}
}

func parkedFor(code, fix string) store.Outcome {
	return store.Outcome{Outcome: "park", State: store.DeliveryParked, Status: 422, Took: 30 * time.Millisecond, Code: code, Message: "the receiver refuses the content (HTTP 422)", Fix: fix}
}

// What the command says of the last hour is what Prometheus reads: rates, times,
// errors and volume, by endpoint and by type, also of what was summed up already.
func TestNumbersAreTheSameEverywhere(t *testing.T) {
	d := newDesk(t)
	d.partners("quick", "slow")
	for i := range 20 {
		kind := []string{"sale.order.created", "account.move.validated"}[i%2]
		d.tells(fmt.Sprint("e", i), kind, "quick", "slow")
	}
	n := 0
	d.attempts(func(s store.Starting) store.Outcome {
		n++
		switch {
		case s.Endpoint == "quick":
			return received(time.Duration(n) * time.Millisecond)
		case s.Event == "e3":
			return parkedFor("webhook.too_large", "send fewer fields")
		case n%3 == 0:
			return parkedFor("webhook.refused", "correct the receiver")
		}
		return received(time.Duration(100*n) * time.Millisecond)
	})
	// Of some only the sums are left.
	hour := time.Now().UTC().Truncate(time.Hour)
	db := storetest.Query(t, d.dsn)
	_, err := db.ExecContext(t.Context(), `UPDATE delivery SET settled_at = now() - interval '2 hours' WHERE event IN ('e0', 'e1', 'e2', 'e4')`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `UPDATE delivery_attempt SET at = $1`, hour)
	require.NoError(t, err)
	_, err = d.PurgeDeliveries(t.Context(), time.Hour)
	require.NoError(t, err)
	require.NotZero(t, d.number(`SELECT count(*) FROM delivery_hour`))

	gauges := d.scraped(hour.Add(30 * time.Minute))
	read := 0
	for by, is := range map[string]struct {
		attempts   func(key, result string) string
		mean, p95  string
		ratio      string
		onlyFailed bool
	}{
		"endpoint": {attempts: func(key, result string) string { return "towpath_delivery_last_hour " + key + " " + result },
			mean: "towpath_delivery_mean_seconds ", p95: "towpath_delivery_p95_seconds ", ratio: "towpath_delivery_success_ratio "},
		"type": {attempts: func(key, result string) string { return "towpath_delivery_type_last_hour " + result + " " + key },
			mean: "towpath_delivery_type_mean_seconds ", p95: "towpath_delivery_type_p95_seconds "},
		"error": {attempts: func(key, _ string) string { return "towpath_delivery_errors_last_hour " + key }, onlyFailed: true},
	} {
		out, exit := d.run("delivery", "stats", "--by", by, "--since", hour.Add(-30*time.Minute).Format(time.RFC3339))
		require.Zero(t, exit, out)
		rows := strings.Split(strings.TrimSpace(out), "\n")
		require.Len(t, rows, 4, out)
		assert.Equal(t, "received: 20 events to tell, 0 webhooks of shops (0 settled)", rows[3])
		for _, row := range rows[1:3] {
			read++
			said := strings.Fields(row) // key, attempts, delivered, failed, success, %, mean, p95
			key := said[0]
			assert.Equal(t, said[3], fmt.Sprint(gauges[is.attempts(key, "failed")]), row)
			if is.onlyFailed {
				continue
			}
			assert.Equal(t, said[2], fmt.Sprint(gauges[is.attempts(key, "delivered")]), row)
			for i, seconds := range []float64{gauges[is.mean+key], gauges[is.p95+key]} {
				whole, err := time.ParseDuration(said[6+i]) // in milliseconds; what is less is cut off
				require.NoError(t, err, row)
				assert.InDelta(t, seconds*1000, float64(whole.Milliseconds()), 1, row)
			}
			if is.ratio != "" {
				assert.Equal(t, said[4], fmt.Sprintf("%.1f", 100*gauges[is.ratio+key]), row)
			}
		}
	}
	assert.Equal(t, 6, read)
	assert.InDelta(t, 20, gauges["towpath_events_last_hour"], 0)
}

// atHour is what is exported of the hour before a moment.
type atHour struct {
	backlog
	now time.Time
}

func (h atHour) Collect(ch chan<- prometheus.Metric) {
	h.collectHour(context.Background(), ch, h.now)
}

// scraped are the numbers of the hour before a moment, each under its name and
// labels.
func (d *desk) scraped(now time.Time) map[string]float64 {
	d.t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(d.t, registry.Register(atHour{backlog{d.Store}, now}))
	families, err := registry.Gather()
	require.NoError(d.t, err)
	gauges := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			gauges[name] = m.Gauge.GetValue()
		}
	}
	return gauges
}

// What is parked is listed with its cause and with what to do; events are listed
// whether anybody wanted them or not.
func TestParkedDeliveriesAndEventsAreListed(t *testing.T) {
	d := newDesk(t)
	out, exit := d.run("event", "list")
	require.Zero(t, exit, out)
	assert.Equal(t, "there are none\n", out)
	d.partners("partner")
	for i := range 3 {
		d.tells(fmt.Sprint("e", i), "sale.order.created", "partner")
	}
	d.tells("nobodys", "res.partner.updated")
	d.attempts(func(s store.Starting) store.Outcome {
		if s.Event == "e1" {
			return received(time.Millisecond)
		}
		return parkedFor("webhook.refused", "correct the receiver, then redeliver")
	})
	out, exit = d.run("delivery", "list", "--state", "parked")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "parked, and what to do:\n  2 × webhook.refused: the receiver refuses the content (HTTP 422)\n      correct the receiver, then redeliver\n")
	out, _ = d.run("delivery", "list", "--state", "ok")
	assert.NotContains(t, out, "what to do")

	// Counts and the last attempt outlive the attempts.
	for _, age := range []string{"0 hours", "2 hours"} {
		_, err := storetest.Query(t, d.dsn).ExecContext(t.Context(), `UPDATE delivery SET settled_at = settled_at - $1::interval`, age)
		require.NoError(t, err)
		_, err = d.PurgeDeliveries(t.Context(), time.Hour)
		require.NoError(t, err)
		out, exit = d.run("endpoint", "show", "partner")
		require.Zero(t, exit, out)
		assert.Regexp(t, `attempts   1 delivered, 2 failed; the last one 20\d\d-.* \(UTC\)`, out)
	}
	out, exit = d.run("event", "list", "--connection", "erp", "--since", "1h")
	require.Zero(t, exit, out)
	assert.Regexp(t, `res\.partner\.updated +sale\.order/7 +0 +0 +0 +nobodys`, out)
	assert.Regexp(t, `sale\.order\.created +sale\.order/7 +1 +0 +1 +e2\n`, out)
	assert.Regexp(t, `sale\.order\.created +sale\.order/7 +0 +0 +0 +e1\n`, out, "its delivery is kept no longer")
	for _, args := range [][]string{{"--type", "sale.order.*"}, {"--limit", "0", "--type", "sale.order.created"}} {
		out, _ = d.run(append([]string{"event", "list"}, args...)...)
		assert.NotContains(t, out, "nobodys", args)
		assert.Contains(t, out, "e0", args)
	}
	for _, args := range [][]string{{"--connection", "other"}, {"--record", "8"}, {"--model", "res.partner"}, {"--until", "2020-01-01"}} {
		out, _ = d.run(append([]string{"event", "list"}, args...)...)
		assert.Equal(t, "there are none\n", out, args)
	}
	out, exit = d.run("event", "list", "--since", "soon")
	assert.Equal(t, exitInput, exit, out)
	_, exit = d.run("event", "list", "--limit", "-1")
	assert.Equal(t, exitInput, exit)
}
