package store

import (
	"context"
	"time"
)

// DeliveryStat sums attempts up. Times are in milliseconds.
type DeliveryStat struct {
	Key       string  `db:"key"` // endpoint, event type, hour or day, or error code
	Attempts  int64   `db:"attempts"`
	Delivered int64   `db:"delivered"`
	Failed    int64   `db:"failed"`
	MeanMS    float64 `db:"mean_ms"`
	P95MS     float64 `db:"p95_ms"` // of the attempts that are still kept
}

// SuccessRate is the share of attempts that delivered, 0 to 1; 1 without any.
func (d DeliveryStat) SuccessRate() float64 {
	if d.Attempts == 0 {
		return 1
	}
	return float64(d.Delivered) / float64(d.Attempts)
}

// statKeys are what attempts can be summed by.
var statKeys = map[string]string{
	"":         `'all'`,
	"endpoint": `endpoint`,
	"type":     `type`,
	"hour":     `to_char(date_trunc('hour', at AT TIME ZONE 'UTC'), 'YYYY-MM-DD"T"HH24:00"Z"')`,
	"day":      `to_char(date_trunc('day', at AT TIME ZONE 'UTC'), 'YYYY-MM-DD')`,
	"error":    `code`,
}

// StatKeys are what DeliveryStats can sum by.
func StatKeys() []string { return []string{"endpoint", "type", "hour", "day", "error"} }

// DeliveryStats sums the attempts of a window up: by endpoint, type, hour, day
// or error, or ("") all together; of one endpoint, or ("") of all.
func (s *Store) DeliveryStats(ctx context.Context, by, endpoint string, since, until time.Time) (all []DeliveryStat, err error) {
	key := statKeys[by]
	failedOnly := ``
	if by == "error" {
		failedOnly = ` AND outcome <> 'delivered'`
	}
	err = s.db.SelectContext(ctx, &all, `
WITH kept AS (
    SELECT `+key+` AS key, count(*) AS attempts, count(*) FILTER (WHERE outcome = 'delivered') AS delivered, sum(took_ms) AS took_ms,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY took_ms) AS p95_ms
    FROM delivery_attempt WHERE at >= $1 AND at < $2 AND ($3 = '' OR endpoint = $3)`+failedOnly+` GROUP BY 1
), gone AS (
    SELECT `+key+` AS key, sum(attempts) AS attempts, coalesce(sum(attempts) FILTER (WHERE outcome = 'delivered'), 0) AS delivered, sum(took_ms) AS took_ms, 0::float AS p95_ms
    FROM (SELECT endpoint, type, hour AS at, outcome, code, attempts, took_ms FROM delivery_hour) h
    WHERE at >= $1 AND at < $2 AND ($3 = '' OR endpoint = $3)`+failedOnly+` GROUP BY 1
), both_of_them AS (SELECT * FROM kept UNION ALL SELECT * FROM gone)
SELECT key, sum(attempts)::bigint AS attempts, sum(delivered)::bigint AS delivered, (sum(attempts) - sum(delivered))::bigint AS failed,
    (sum(took_ms)::float / greatest(sum(attempts), 1)::float) AS mean_ms, max(p95_ms) AS p95_ms
FROM both_of_them GROUP BY key ORDER BY key`, since.UTC(), until.UTC(), endpoint)
	return all, translate(err)
}

// DeliveryNumbers are DeliveryStats of all endpoints by endpoint, by type and by
// error, from one reading.
func (s *Store) DeliveryNumbers(ctx context.Context, since, until time.Time) (endpoints, types, errs []DeliveryStat, err error) {
	var all []struct {
		By string `db:"by"`
		DeliveryStat
	}
	// A delivered attempt has no error: its group is left out.
	err = s.db.SelectContext(ctx, &all, `
WITH sums AS (
    SELECT endpoint, type, CASE WHEN outcome <> 'delivered' THEN code END AS error, took_ms::bigint AS took_ms, outcome = 'delivered' AS delivered, 1::bigint AS n, took_ms::float AS one
    FROM delivery_attempt WHERE at >= $1 AND at < $2
    UNION ALL
    SELECT endpoint, type, CASE WHEN outcome <> 'delivered' THEN code END, took_ms, outcome = 'delivered', attempts, NULL
    FROM delivery_hour WHERE hour >= $1 AND hour < $2
)
SELECT CASE WHEN grouping(endpoint) = 0 THEN 'endpoint' WHEN grouping(type) = 0 THEN 'type' ELSE 'error' END AS by, coalesce(endpoint, type, error) AS key,
    sum(n)::bigint AS attempts, coalesce(sum(n) FILTER (WHERE delivered), 0)::bigint AS delivered, coalesce(sum(n) FILTER (WHERE NOT delivered), 0)::bigint AS failed,
    sum(took_ms)::float / greatest(sum(n), 1)::float AS mean_ms, coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY one), 0) AS p95_ms
FROM sums GROUP BY GROUPING SETS ((endpoint), (type), (error)) HAVING grouping(error) = 1 OR error IS NOT NULL ORDER BY 1, 2`, since.UTC(), until.UTC())
	for _, d := range all {
		switch d.By {
		case "endpoint":
			endpoints = append(endpoints, d.DeliveryStat)
		case "type":
			types = append(types, d.DeliveryStat)
		case "error":
			errs = append(errs, d.DeliveryStat)
		}
	}
	return endpoints, types, errs, translate(err)
}

// DeliveryCount is how many deliveries of an endpoint are in a state.
type DeliveryCount struct {
	Endpoint string        `db:"endpoint"`
	State    DeliveryState `db:"state"`
	N        int64         `db:"n"`
	Oldest   float64       `db:"oldest"` // seconds since the first of them was made
}

// openDeliveries are those that are not settled, and those that are parked: each
// part by the index that has it, since a month of settled ones lies beside them.
const openDeliveries = `
SELECT endpoint, state, created_at FROM delivery WHERE state = 'ready'
UNION ALL SELECT endpoint, state, created_at FROM delivery WHERE state IN ('running', 'retrying')
UNION ALL SELECT endpoint, state, created_at FROM delivery WHERE state = 'accepted'
UNION ALL SELECT endpoint, state, created_at FROM delivery WHERE state = 'waiting' AND stream <> ''
UNION ALL SELECT endpoint, state, created_at FROM delivery WHERE state = 'parked'`

// OpenDeliveries counts what is not settled, and what is parked, by endpoint.
func (s *Store) OpenDeliveries(ctx context.Context) (all []DeliveryCount, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT endpoint, state, count(*) AS n, extract(epoch FROM now() - min(created_at)) AS oldest FROM (`+openDeliveries+`) o GROUP BY 1, 2 ORDER BY 1, 2`)
	return all, translate(err)
}

// PurgeDeliveries deletes settled deliveries, and then events without any,
// older than the given age. What the attempts counted is summed up first, in
// the same statement. Parked deliveries stay until a person has decided.
func (s *Store) PurgeDeliveries(ctx context.Context, keep time.Duration) (int64, error) {
	n, err := s.purge(ctx, `
WITH old AS MATERIALIZED (
    SELECT id FROM delivery WHERE settled_at < now() - $1 * interval '1 second' AND state IN ('ok', 'superseded', 'discarded') LIMIT 1000 FOR UPDATE SKIP LOCKED
), summed AS (
    INSERT INTO delivery_hour AS h (endpoint, type, hour, outcome, code, attempts, took_ms)
    SELECT endpoint, type, date_trunc('hour', at, 'UTC'), outcome, code, count(*), sum(took_ms) FROM delivery_attempt JOIN old ON old.id = delivery GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (endpoint, type, hour, outcome, code) DO UPDATE SET attempts = h.attempts + excluded.attempts, took_ms = h.took_ms + excluded.took_ms
)
DELETE FROM delivery WHERE id IN (SELECT id FROM old)`, keep)
	if err != nil {
		return n, err
	}
	m, err := s.purge(ctx, `
DELETE FROM outbound_event WHERE id IN (
    SELECT o.id FROM outbound_event o WHERE o.received_at < now() - $1 * interval '1 second'
      AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event = o.id) LIMIT 1000)`, keep)
	return n + m, err
}

// PurgeDeliveryHours deletes the sums of hours older than the given age.
func (s *Store) PurgeDeliveryHours(ctx context.Context, keep time.Duration) (int64, error) {
	return s.purge(ctx, `
DELETE FROM delivery_hour WHERE ctid = ANY(ARRAY(SELECT ctid FROM delivery_hour WHERE hour < now() - $1 * interval '1 second' LIMIT 1000))`, keep)
}

// Received counts what came in.
type Received struct {
	Events  int64 `db:"events"`  // to be told to endpoints
	Inbound int64 `db:"inbound"` // of shops
	Settled int64 `db:"settled"` // of them, dealt with
}

// EventsReceived counts the events that came in since a time and are still kept.
func (s *Store) EventsReceived(ctx context.Context, since time.Time) (n int64, err error) {
	err = s.db.GetContext(ctx, &n, `SELECT count(*) FROM outbound_event WHERE received_at >= $1`, since.UTC())
	return n, translate(err)
}

// ReceivedStats counts what came in since a time and is still kept.
func (s *Store) ReceivedStats(ctx context.Context, since time.Time) (r Received, err error) {
	err = s.db.GetContext(ctx, &r, `
SELECT (SELECT count(*) FROM outbound_event WHERE received_at >= $1) AS events,
    (SELECT count(*) FROM inbound_event WHERE received_at >= $1) AS inbound,
    (SELECT count(*) FROM inbound_event WHERE received_at >= $1 AND state = 'done') AS settled`, since.UTC())
	return r, translate(err)
}
