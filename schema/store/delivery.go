package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/fault"
)

// DeliveryState says where one event stands at one endpoint.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting    DeliveryState = "waiting"    // for earlier ones of its stream
	DeliveryReady      DeliveryState = "ready"      // may start
	DeliveryRunning    DeliveryState = "running"    // its workflow makes an attempt
	DeliveryRetrying   DeliveryState = "retrying"   // its workflow waits for the next attempt
	DeliveryAccepted   DeliveryState = "accepted"   // 202: the receiver will say when it is applied
	DeliveryOK         DeliveryState = "ok"         // received
	DeliveryParked     DeliveryState = "parked"     // needs a person
	DeliverySuperseded DeliveryState = "superseded" // a later state of the record goes instead
	DeliveryDiscarded  DeliveryState = "discarded"  // a person said: not any more
)

// Starting is a delivery whose workflow is to be started.
type Starting struct {
	ID         int64  `db:"id"`
	Endpoint   string `db:"endpoint"`
	Event      string `db:"event"`
	Type       string `db:"type"`
	Generation int    `db:"generation"`
	Priority   int    `db:"priority"` // 1 a person waits … 5 replay
	// Again: a run of its workflow may wait for a later attempt, and is to be told.
	// One whose attempt is under way, or queued, is not: it would begin anew.
	Again bool `db:"again"`
	Trial bool `db:"trial"` // the endpoint has yet to show that it takes deliveries
}

// silence is how long a delivery that was started may say nothing before it is
// started again: its workflow may have been lost with Temporal's database.
const silence = 5 * time.Minute

// unbegun is the same before its first attempt: whoever claimed it may have died
// before it could start the workflow. Starting twice starts nothing.
const unbegun = 30 * time.Second

// retryingMost bounds the workflows of one endpoint that wait for their next
// attempt: beyond it new ones are started one at a time, since the endpoint may
// well take those.
const retryingMost = 1000

// ClaimDeliveries takes deliveries to be started: those that are ready, within
// each endpoint's width and while its circuit lets it, and those whose workflow
// has been silent for too long. Endpoints take turns: each gets its first before
// any gets its second. Who claims for one at the same moment is passed over. Of
// an endpoint whose circuit is not closed at most one is taken, to probe. At most
// trials are for endpoints that have not taken their first delivery yet, or not
// their last: many that find out together that they are dead would take the
// processor from those that work. Which of them try, a draw decides, so that none
// waits for another's backlog.
func (s *Store) ClaimDeliveries(ctx context.Context, limit, trials int) (all []Starting, err error) {
	err = s.db.SelectContext(ctx, &all, `
WITH turn AS MATERIALIZED (
    SELECT e.name, s.width, s.circuit <> 'closed' AS probing, s.circuit <> 'closed' OR s.failures > 0 OR s.width = 1 AS trying
    FROM webhook_endpoint e JOIN endpoint_state s ON s.endpoint = e.name
    WHERE e.active AND e.disabled IS NULL AND s.cool_until <= now() AND s.paced_at <= now() + interval '1 second'
      AND (s.circuit = 'closed' OR s.probe_at <= now())
      AND (EXISTS (SELECT 1 FROM delivery d WHERE d.endpoint = e.name AND d.state = 'ready' AND d.due_at <= now())
        OR EXISTS (SELECT 1 FROM delivery d WHERE d.endpoint = e.name AND d.state IN ('running', 'retrying') AND d.due_at <= now()))
), mine AS MATERIALIZED (
    SELECT * FROM turn WHERE pg_try_advisory_xact_lock(hashtextextended(current_schema() || ' starter ' || name, 0))
), room AS MATERIALIZED (
    SELECT name, width, probing, trying, greatest(0, CASE WHEN probing THEN 1 ELSE width END - (SELECT count(*) FROM delivery r WHERE r.endpoint = name AND r.state = 'running')) AS free,
        (SELECT count(*) FROM (SELECT 1 FROM delivery r WHERE r.endpoint = name AND r.state = 'retrying' LIMIT $2) AS many) >= $2 AS crowded
    FROM mine
), silent AS MATERIALIZED ( -- they are under way already, and need no room
    SELECT p.id FROM room CROSS JOIN LATERAL (
        SELECT d.id FROM delivery d WHERE d.endpoint = room.name AND d.state = 'running' AND d.due_at <= now()
        ORDER BY d.due_at LIMIT width FOR UPDATE SKIP LOCKED
    ) AS p LIMIT greatest(1, $1::bigint / 2)
), open AS MATERIALIZED (
    SELECT name, trying, crowded, free = CASE WHEN probing THEN 1 ELSE width END AS idle,
        least(free, ceil($1::numeric / (count(*) FILTER (WHERE NOT trying) OVER () + least($4::bigint, count(*) FILTER (WHERE trying) OVER ())))) AS share
    FROM room WHERE free > 0 AND (NOT trying OR $4 > 0)
), fresh AS MATERIALIZED (
    SELECT p.* FROM open CROSS JOIN LATERAL (
        SELECT d.id, d.endpoint, d.priority, d.due_at FROM delivery d WHERE d.endpoint = open.name AND d.state = 'ready' AND d.due_at <= now()
        ORDER BY d.priority, d.due_at, d.id LIMIT CASE WHEN crowded THEN idle::int ELSE share END FOR UPDATE SKIP LOCKED
    ) AS p
), woken AS MATERIALIZED (
    SELECT p.* FROM open CROSS JOIN LATERAL (
        SELECT d.id, d.endpoint, d.priority, d.due_at FROM delivery d WHERE d.endpoint = open.name AND d.state = 'retrying' AND d.due_at <= now()
        ORDER BY d.due_at LIMIT share FOR UPDATE SKIP LOCKED
    ) AS p
), turns AS MATERIALIZED (
    SELECT id, waits, priority, due_at, endpoint, row_number() OVER (PARTITION BY endpoint ORDER BY waits DESC, priority, due_at, id) AS round
    FROM (SELECT *, false AS waits FROM fresh UNION ALL SELECT *, true FROM woken) AS found
), lots AS (
    SELECT t.*, trying, row_number() OVER (PARTITION BY trying ORDER BY round, random()) AS lot FROM turns t JOIN open ON open.name = endpoint WHERE round <= share
), chosen AS (
    SELECT id, false AS waits, false AS trying FROM silent UNION ALL
    (SELECT id, waits, trying FROM lots WHERE NOT trying OR lot <= $4
     ORDER BY round, priority, due_at LIMIT $1 - (SELECT count(*) FROM silent))
)
UPDATE delivery d SET state = 'running', due_at = now() + $3 * interval '1 second',
    began_at = CASE WHEN d.state = 'ready' THEN now() ELSE d.began_at END
FROM chosen WHERE d.id = chosen.id
RETURNING d.id, d.endpoint, d.event, d.type, d.generation, d.priority, d.generation > 1 OR chosen.waits AS again, chosen.trying AS trial`,
		limit, retryingMost, int(unbegun.Seconds()), trials)
	return all, translate(err)
}

// ReleaseDeliveries gives back what could not be started. A run that is to be
// told is told when it is claimed the next time; where a first attempt has begun
// all the same, the answer to the start was lost, not the start.
func (s *Store) ReleaseDeliveries(ctx context.Context, refused []Starting, after time.Duration) error {
	ids, told := make([]int64, len(refused)), make([]bool, len(refused))
	for i, r := range refused {
		ids[i], told[i] = r.ID, r.Again
	}
	_, err := s.db.ExecContext(ctx, `
UPDATE delivery d SET state = CASE WHEN u.told THEN 'retrying' ELSE 'ready' END, due_at = now() + $3 * interval '1 millisecond'
FROM unnest($1::bigint[], $2::bool[]) AS u(id, told) WHERE d.id = u.id AND d.state = 'running' AND (u.told OR d.attempts = 0)`,
		pq.Array(ids), pq.Array(told), after.Milliseconds())
	return translate(err)
}

// ParkDelivery gives a delivery to a person. parked is empty where the delivery
// went on without whoever parks it: then it is as it was.
func (s *Store) ParkDelivery(ctx context.Context, id int64, generation int, f *fault.Fault) (parked Parked, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		var d struct{ Endpoint, Stream string }
		err := tx.GetContext(ctx, &d, `SELECT endpoint, stream FROM delivery WHERE id = $1`, id)
		if err == nil && d.Stream != "" {
			err = lockStreams(ctx, tx, d.Endpoint)
		}
		if err != nil {
			return err
		}
		err = tx.GetContext(ctx, &parked, `
UPDATE delivery SET state = 'parked', due_at = NULL, settled_at = now(), code = $3, message = $4, resolution = $5
WHERE id = $1 AND generation = $2 AND state IN ('running', 'retrying', 'accepted') RETURNING type, tried`, id, generation, f.Code, f.Message, f.Resolution)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil || d.Stream == "" {
			return err
		}
		return promote(ctx, tx, d.Endpoint, []string{d.Stream})
	})
	return parked, err
}

// Parked is a delivery that ParkDelivery has parked.
type Parked struct {
	Type  string `db:"type"`
	Tried int    `db:"tried"`
}
