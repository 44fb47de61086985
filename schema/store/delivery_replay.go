package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Retold is a stored event that a replay may tell an endpoint again.
type Retold struct {
	OutboundEvent
	State DeliveryState `db:"state"` // of its delivery there; empty: there is none
}

// EventsToRetell pages through the events of a window, in the order they came,
// that an endpoint has no delivery of, or one in one of the states; of test
// events only those it has one of. next is where to go on; 0 at the end.
func (s *Store) EventsToRetell(ctx context.Context, endpoint string, since, until time.Time, types []string, states []DeliveryState, after int64, limit int) (events []Retold, next int64, err error) {
	args := DeliveryFilter{Types: types, States: states}.args()
	err = s.db.SelectContext(ctx, &events, `
SELECT o.seq, o.id, o.connection, o.type, o.model, o.record_id, o.content, o.test, o.occurred_at, o.received_at, coalesce(d.state, '') AS state
FROM outbound_event o LEFT JOIN delivery d ON (d.endpoint, d.event) = ($6, o.id)
WHERE o.seq > $1 AND ($2::timestamptz IS NULL OR o.occurred_at >= $2) AND ($3::timestamptz IS NULL OR o.occurred_at < $3)
  AND `+wantedTypeSQL+` AND (d.state = ANY($5::text[]) OR d.id IS NULL AND NOT o.test)
ORDER BY o.seq LIMIT $7`, after, nullTime(since), nullTime(until), args[3], args[4], endpoint, limit)
	if err != nil {
		return nil, 0, translate(err)
	}
	if len(events) == limit {
		next = events[limit-1].Seq
	}
	return events, next, nil
}

// Retell tells an endpoint stored events, in their order: again, where it has a
// delivery of them in one of the states, which begins anew as in Redeliver; for
// the first time, where it has none. Each event has one receiver, the endpoint:
// what it wants now counts, not what it wanted then. Nothing is superseded: what
// is told again is older than what waits.
func (s *Store) Retell(ctx context.Context, endpoint string, events []OutboundEvent, states []DeliveryState, by string) (again, first int64, err error) {
	var ids, streams []string
	var holds []bool
	var seqs []int64
	for _, e := range events {
		to := e.Receivers[0]
		ids, streams, holds, seqs = append(ids, e.ID), append(streams, to.Stream), append(holds, to.Holds), append(seqs, e.Seq)
	}
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockStreams(ctx, tx, endpoint); err != nil {
			return err
		}
		var left []string // streams, for those who waited there
		if err := tx.SelectContext(ctx, &left, `
WITH chosen AS (
    SELECT d.id, d.stream AS was, u.* FROM delivery d JOIN unnest($2::text[], $3::text[], $4::bool[], $5::bigint[]) AS u(event, stream, holds, seq) USING (event)
    WHERE d.endpoint = $1 AND d.state = ANY($6::text[]) ORDER BY d.id FOR UPDATE OF d
)
UPDATE delivery d SET stream = c.stream, holds = c.holds, seq = CASE WHEN c.stream <> '' THEN c.seq END, priority = $8, by = $7, `+anew+`,
    state = CASE WHEN c.stream = '' THEN 'ready' ELSE 'waiting' END
FROM chosen c WHERE d.id = c.id RETURNING c.was`,
			endpoint, textArray(ids), textArray(streams), pq.Array(holds), pq.Array(seqs), DeliveryFilter{States: states}.args()[4], by, events[0].Receivers[0].Priority); err != nil {
			return err
		}
		again = int64(len(left))
		if first, err = insertDeliveries(ctx, tx, events); err != nil {
			return err
		}
		if err := promote(ctx, tx, endpoint, append(left, streams...)); err != nil {
			return err
		}
		return notifyDeliveries(ctx, tx)
	})
	return again, first, err
}
