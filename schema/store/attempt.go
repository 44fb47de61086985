package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
)

// Attempt is an attempt that may be made now, or why not.
type Attempt struct {
	Go      bool           `db:"go"`
	Stale   bool           `db:"stale"` // settled, or delivered again by another run: there is nothing to do
	Probe   bool           `db:"probe"` // the circuit was open; this one finds out
	Wait    sql.NullTime   `db:"wait"`  // not Go and not Stale: no attempt before
	Why     string         `db:"why"`   // code: webhook.circuit_open, webhook.draining, webhook.disabled, webhook.retry_after, webhook.paced
	Number  int            `db:"number"`
	Tried   int            `db:"tried"`
	Began   time.Time      `db:"began_at"` // of this generation
	Now     time.Time      `db:"now"`
	State   DeliveryState  `db:"state"`
	Ordered bool           `db:"ordered"` // others of its stream may wait for it
	Content sql.NullString `db:"content"` // schema/webhook.Event
}

// BeginAttempt asks for one attempt in one round trip: the delivery must still
// be of this generation, its endpoint must be on, its circuit must let it, and
// its rate limit too: who comes too early reserves the next slot, and comes back
// then. pace is the time between two attempts at the endpoint (0: no limit),
// burst how many may go at once. busyFor is how long an attempt may last.
func (s *Store) BeginAttempt(ctx context.Context, id int64, generation int, pace time.Duration, burst int, busyFor time.Duration) (a Attempt, err error) {
	err = s.db.GetContext(ctx, &a, `
WITH limits AS (
    SELECT $3::bigint * interval '1 microsecond' AS pace, $3::bigint > 0 AS paced, greatest($4::int - 1, 0) * $3::bigint * interval '1 microsecond' AS ahead,
        $5::bigint * interval '1 millisecond' AS busy
), d AS MATERIALIZED (
    SELECT * FROM delivery WHERE id = $1 AND generation = $2 AND state IN ('running', 'retrying') FOR UPDATE
), e AS MATERIALIZED (
    SELECT n.active AND n.disabled IS NULL AS switched_on, s.circuit, s.probe_at, s.cool_until,
        CASE WHEN d.reserved_at > now() - interval '1 minute' THEN d.reserved_at END AS reserved_at, -- an older slot is forfeited
        CASE WHEN d.state = 'retrying' AND s.circuit = 'closed' AND s.width < 20 -- those that waited for it come back gently, too
            THEN (SELECT count(*) FROM delivery r WHERE r.endpoint = d.endpoint AND r.state = 'running') >= s.width ELSE false END AS crowded
    FROM d JOIN webhook_endpoint n ON n.name = d.endpoint JOIN endpoint_state s ON s.endpoint = d.endpoint
), taken AS ( -- the one probe of an open circuit, or a slot of the rate limit
    UPDATE endpoint_state s SET
        circuit = CASE WHEN s.circuit = 'closed' THEN 'closed' ELSE 'half_open' END,
        probe_at = CASE WHEN s.circuit = 'closed' THEN s.probe_at ELSE now() + busy END,
        paced_at = CASE WHEN s.circuit = 'closed' THEN greatest(s.paced_at, now() - ahead) + pace ELSE s.paced_at END
    FROM d, e, limits
    WHERE s.endpoint = d.endpoint AND e.switched_on AND e.cool_until <= now() AND NOT e.crowded
      AND (s.circuit <> 'closed' AND s.probe_at <= now() OR s.circuit = 'closed' AND paced AND e.reserved_at IS NULL)
    RETURNING s.circuit <> 'closed' AS probe, CASE WHEN s.circuit = 'closed' THEN s.paced_at - pace END AS slot
), verdict AS (
    SELECT e.switched_on AND e.cool_until <= now() AND NOT e.crowded AND CASE
            WHEN e.circuit <> 'closed' THEN coalesce(t.probe, false)
            WHEN NOT paced OR e.reserved_at <= now() THEN true
            ELSE coalesce(t.slot <= now(), false) END AS go,
        coalesce(t.probe, false) AS probe, t.slot,
        CASE WHEN NOT e.switched_on THEN now() + interval '1 hour'
            WHEN e.cool_until > now() THEN e.cool_until
            WHEN e.circuit <> 'closed' THEN greatest(coalesce(e.probe_at, now() + interval '1 hour'), now() + interval '1 second')
            WHEN e.crowded THEN now() + interval '1 second'
            ELSE greatest(coalesce(t.slot, e.reserved_at), now() + interval '50 milliseconds') END AS wait,
        CASE WHEN NOT e.switched_on THEN 'webhook.disabled' WHEN e.cool_until > now() THEN 'webhook.retry_after'
            WHEN e.circuit <> 'closed' THEN 'webhook.circuit_open' WHEN e.crowded THEN 'webhook.draining' ELSE 'webhook.paced' END AS why
    FROM e CROSS JOIN limits LEFT JOIN taken t ON true
), moved AS (
    UPDATE delivery x SET attempts = x.attempts + v.go::int, tried = x.tried + v.go::int,
        state = CASE WHEN v.go THEN 'running' ELSE 'retrying' END,
        reserved_at = CASE WHEN v.why = 'webhook.paced' AND NOT v.go THEN coalesce(v.slot, x.reserved_at) END,
        due_at = CASE WHEN v.go THEN now() + busy + interval '1 minute' ELSE v.wait + interval '5 minutes' END
    FROM verdict v, limits WHERE x.id = $1 RETURNING x.attempts, x.tried
)
SELECT NOT EXISTS (SELECT 1 FROM d) AS stale, now() AS now, coalesce((SELECT state FROM delivery WHERE id = $1), '') AS state,
    coalesce(v.go, false) AS go, coalesce(v.probe, false) AS probe, v.wait, coalesce(v.why, '') AS why,
    coalesce(m.attempts, 0) AS number, coalesce(m.tried, 0) AS tried, coalesce(d.began_at, now()) AS began_at, coalesce(d.stream <> '', false) AS ordered, o.content
FROM (SELECT 1) AS one LEFT JOIN d ON true LEFT JOIN verdict v ON true LEFT JOIN moved m ON true
LEFT JOIN outbound_event o ON o.id = d.event AND v.go`,
		id, generation, pace.Microseconds(), burst, busyFor.Milliseconds())
	return a, translate(err)
}

// Outcome is what became of an attempt, and of its delivery.
type Outcome struct {
	Delivery             int64
	Generation, Attempt  int
	Endpoint, Type       string
	Took                 time.Duration
	Outcome              string // delivered, retry, park, disable: the attempt's
	Status               int
	Code, Message, Fix   string
	Request, Response    string // cut and redacted
	State                DeliveryState
	Ordered              bool          // as Attempt has it
	DueAt                time.Time     // of retrying: the next attempt; of accepted: the deadline
	Success, Broken      bool          // for the circuit: the endpoint works; it does not
	Failed               bool          // for the disabling after days of only failures
	Probe                bool          // it was the circuit's probe
	Cooldown             time.Duration // no attempt at this endpoint before: Retry-After
	Threshold            int           // failures in a row that open the circuit
	Recovery, RecoverMax time.Duration // until the first probe, and at most
	Off                  *SwitchOff    // the endpoint is switched off with it; nil: it is not
}

// Finished is what an attempt has changed.
type Finished struct {
	Stale        bool         // the delivery went on without this attempt, which is noted all the same
	Off          bool         // the endpoint is switched off by it, and was not before
	Tripped      bool         `db:"tripped"`       // the endpoint's circuit has opened by it
	FailingSince sql.NullTime `db:"failing_since"` // the endpoint has only failed since then
}

// FinishAttempt notes an attempt and its delivery's state in one transaction.
func (s *Store) FinishAttempt(ctx context.Context, o Outcome) (f Finished, err error) {
	if o.Success && !o.Ordered {
		if done, err := s.finishWell(ctx, o); done || err != nil {
			return f, err
		}
	}
	stale, off := false, false
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockStreams(ctx, tx, o.streams()...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
INSERT INTO delivery_attempt (delivery, endpoint, type, generation, attempt, took_ms, outcome, status, code, message, request, response)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			o.Delivery, o.Endpoint, o.Type, o.Generation, o.Attempt, o.Took.Milliseconds(), o.Outcome, o.Status, o.Code, o.Message, o.Request, o.Response); err != nil {
			return err
		}
		stream, err := settleDelivery(ctx, tx, o)
		if errors.Is(err, sql.ErrNoRows) {
			stale, err = true, nil
		}
		if err != nil {
			return err
		}
		if stream != "" && o.State != DeliveryRetrying {
			if err := promote(ctx, tx, o.Endpoint, []string{stream}); err != nil {
				return err
			}
		}
		if o.Off != nil { // before its state: who changes an endpoint takes its row first, too
			if off, err = disableEndpoint(ctx, tx, o.Endpoint, *o.Off); err != nil {
				return err
			}
		}
		f, err = moveCircuit(ctx, tx, o)
		return err
	})
	f.Stale, f.Off = stale, off && err == nil
	return f, err
}

// streams are the endpoints whose streams an attempt may move on.
func (o Outcome) streams() (endpoints []string) {
	if o.Off != nil {
		endpoints = o.Off.streams()
	}
	if o.Ordered && o.State != DeliveryRetrying || o.Off != nil {
		endpoints = append(endpoints, o.Endpoint)
	}
	return endpoints
}

// finishWell is FinishAttempt for what nearly all attempts are, in one round
// trip: received, and nothing waits for it. done is false when it is not so, and
// then nothing was written.
func (s *Store) finishWell(ctx context.Context, o Outcome) (done bool, err error) {
	err = s.db.GetContext(ctx, &done, `
WITH settled AS (
    UPDATE delivery SET state = $13, due_at = $14, status = nullif($8, 0), code = $9, message = $10, resolution = '', settled_at = CASE WHEN $13 = 'ok' THEN now() END
    WHERE id = $2 AND generation = $4 AND state IN ('running', 'retrying') AND stream = '' RETURNING id
), noted AS (
    INSERT INTO delivery_attempt (delivery, endpoint, type, generation, attempt, took_ms, outcome, status, code, message, request, response)
    SELECT id, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM settled
), works AS (`+endpointWorks+` AND EXISTS (SELECT 1 FROM settled))
SELECT EXISTS (SELECT 1 FROM settled)`,
		o.Endpoint, o.Delivery, o.Type, o.Generation, o.Attempt, o.Took.Milliseconds(), o.Outcome, o.Status, o.Code, o.Message, o.Request, o.Response, o.State, o.due())
	return done, translate(err)
}

// due is when somebody looks at the delivery again.
func (o Outcome) due() (due sql.NullTime) {
	switch o.State {
	case DeliveryRetrying: // visible again when its workflow has missed the attempt
		due = sql.NullTime{Time: o.DueAt.Add(silence), Valid: true}
	case DeliveryAccepted:
		due = sql.NullTime{Time: o.DueAt, Valid: true}
	}
	return due
}

// settleDelivery moves the delivery on. What was received counts also when
// another attempt, of a worker that was thought dead, has failed meanwhile.
func settleDelivery(ctx context.Context, tx *sqlx.Tx, o Outcome) (stream string, err error) {
	err = tx.GetContext(ctx, &stream, `
UPDATE delivery SET state = $3, due_at = $4, status = nullif($5, 0), code = $6, message = $7, resolution = $8,
    settled_at = CASE WHEN $3 IN ('ok', 'parked') THEN now() END
WHERE id = $1 AND generation = $2 AND (state = 'running' OR state = 'retrying' AND $3 IN ('ok', 'accepted')) RETURNING stream`,
		o.Delivery, o.Generation, o.State, o.due(), o.Status, o.Code, o.Message, o.Fix)
	return stream, err
}

// endpointWorks notes that endpoint $1 works, where that is news.
const endpointWorks = `
UPDATE endpoint_state SET circuit = 'closed', failures = 0, trips = 0, failing_since = NULL, opened_at = NULL, probe_at = NULL,
    width = CASE WHEN circuit = 'closed' THEN least(20, width * 2) ELSE 1 END
WHERE endpoint = $1 AND held_by IS NULL AND (circuit <> 'closed' OR failures > 0 OR failing_since IS NOT NULL OR width < 20)`

// moveCircuit writes only where there is something to write: an endpoint that
// works costs nothing here, and nobody waits for its row.
func moveCircuit(ctx context.Context, tx *sqlx.Tx, o Outcome) (f Finished, err error) {
	switch {
	case o.Success:
		_, err = tx.ExecContext(ctx, endpointWorks, o.Endpoint)
	case o.Broken:
		err = tx.GetContext(ctx, &f, `
WITH s AS (SELECT * FROM endpoint_state WHERE endpoint = $1 FOR UPDATE), trip AS (
    SELECT (s.circuit = 'closed' AND s.failures + 1 >= $2) OR (s.circuit <> 'closed' AND $3) AS now, s.circuit = 'closed' AS first FROM s
)
UPDATE endpoint_state u SET failures = u.failures + 1, width = greatest(1, u.width / 2), failing_since = coalesce(u.failing_since, now()),
    circuit = CASE WHEN trip.now THEN 'open' ELSE u.circuit END,
    opened_at = CASE WHEN trip.now THEN coalesce(u.opened_at, now()) ELSE u.opened_at END,
    trips = CASE WHEN trip.now THEN u.trips + 1 ELSE u.trips END,
    probe_at = CASE WHEN trip.now AND u.held_by IS NULL THEN now() + least($5, $4 * power(2, least(u.trips, 20))) * interval '1 millisecond' ELSE u.probe_at END
FROM trip WHERE u.endpoint = $1 RETURNING trip.now AND trip.first AS tripped, u.failing_since`,
			o.Endpoint, o.Threshold, o.Probe, o.Recovery.Milliseconds(), o.RecoverMax.Milliseconds())
	case o.Failed || o.Cooldown > 0 || o.Probe:
		// A probe that was refused for what it carries says that the endpoint works.
		err = tx.GetContext(ctx, &f, `
UPDATE endpoint_state SET cool_until = greatest(cool_until, now() + $2 * interval '1 millisecond'),
    failing_since = CASE WHEN $3 THEN coalesce(failing_since, now()) ELSE failing_since END,
    circuit = CASE WHEN $4 AND held_by IS NULL THEN 'closed' ELSE circuit END, probe_at = CASE WHEN $4 THEN NULL ELSE probe_at END,
    failures = CASE WHEN $4 THEN 0 ELSE failures END, width = CASE WHEN $4 THEN 1 ELSE width END
WHERE endpoint = $1 RETURNING failing_since`, o.Endpoint, o.Cooldown.Milliseconds(), o.Failed, o.Probe)
	}
	if errors.Is(err, sql.ErrNoRows) { // the endpoint is no more
		err = nil
	}
	return f, err
}
