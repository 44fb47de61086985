package store

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/fault"
)

// Delivery is one event at one endpoint, as operators see it.
type Delivery struct {
	ID         int64         `db:"id"`
	Endpoint   string        `db:"endpoint"`
	Event      string        `db:"event"`
	Type       string        `db:"type"`
	Model      string        `db:"model"`
	RecordID   string        `db:"record_id"`
	State      DeliveryState `db:"state"`
	Generation int           `db:"generation"`
	Attempts   int           `db:"tried"`
	Status     sql.NullInt64 `db:"status"`
	Code       string        `db:"code"`
	Message    string        `db:"message"`
	Resolution string        `db:"resolution"`
	By         string        `db:"by"`
	DueAt      sql.NullTime  `db:"due_at"` // retrying: the next attempt; accepted: the deadline
	OccurredAt time.Time     `db:"occurred_at"`
	CreatedAt  time.Time     `db:"created_at"`
	SettledAt  sql.NullTime  `db:"settled_at"`
}

// DeliveryFilter chooses deliveries; what is empty does not restrict.
type DeliveryFilter struct {
	IDs      []int64
	Endpoint string
	Event    string
	Types    []string // as endpoints write them: * stands for one or more parts
	States   []DeliveryState
	Code     string
	Model    string
	RecordID string
	Since    time.Time // of the event, by its source's clock
	Until    time.Time
	Limit    int // 0: no limit
}

// wantedTypeSQL compares a column "type" with the patterns in $4; null wants all.
const wantedTypeSQL = `($4::text[] IS NULL OR o.type ~ ANY($4))`

// typesAsSQL are patterns for wantedTypeSQL.
func typesAsSQL(types []string) any {
	patterns := make([]string, len(types))
	for i, t := range types {
		patterns[i] = "^" + strings.ReplaceAll(regexp.QuoteMeta(t), `\*`, `.+`) + "$"
	}
	return anyOf(patterns)
}

// filterSQL restricts rows of d (delivery) and o (its event).
const filterSQL = `
    ($1::bigint[] IS NULL OR d.id = ANY($1)) AND ($2 = '' OR d.endpoint = $2) AND ($3 = '' OR d.event = $3)
AND ` + wantedTypeSQL + `
AND ($5::text[] IS NULL OR d.state = ANY($5)) AND ($6 = '' OR d.code = $6)
AND ($7 = '' OR o.model = $7) AND ($8 = '' OR o.record_id = $8)
AND ($9::timestamptz IS NULL OR o.occurred_at >= $9) AND ($10::timestamptz IS NULL OR o.occurred_at < $10)`

func (f DeliveryFilter) args() []any {
	var ids any
	if len(f.IDs) > 0 {
		ids = pq.Array(f.IDs)
	}
	return []any{ids, f.Endpoint, f.Event, typesAsSQL(f.Types), anyOf(f.States), f.Code, f.Model, f.RecordID, nullTime(f.Since), nullTime(f.Until)}
}

// anyOf is a text[] to choose from; NULL, which chooses all, for an empty list.
func anyOf[T ~string](list []T) any {
	if len(list) == 0 {
		return nil
	}
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return pq.Array(texts)
}

func nullTime(t time.Time) sql.NullTime { return sql.NullTime{Time: t.UTC(), Valid: !t.IsZero()} }

// Deliveries lists deliveries, the newest first.
func (s *Store) Deliveries(ctx context.Context, f DeliveryFilter) (all []Delivery, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT d.id, d.endpoint, d.event, d.type, o.model, o.record_id, d.state, d.generation, d.tried, d.status, d.code, d.message, d.resolution, d.by,
    CASE WHEN d.state = 'retrying' THEN d.due_at - interval '5 minutes' ELSE d.due_at END AS due_at, o.occurred_at, d.created_at, d.settled_at
FROM delivery d JOIN outbound_event o ON o.id = d.event WHERE `+filterSQL+`
ORDER BY d.id DESC LIMIT nullif($11::bigint, 0)`, append(f.args(), f.Limit)...)
	return all, translate(err)
}

// AttemptLog is one attempt as it was noted.
type AttemptLog struct {
	ID         int64     `db:"id"`
	Delivery   int64     `db:"delivery"`
	Generation int       `db:"generation"`
	Attempt    int       `db:"attempt"`
	At         time.Time `db:"at"`
	TookMS     int       `db:"took_ms"`
	Outcome    string    `db:"outcome"`
	Status     int       `db:"status"`
	Code       string    `db:"code"`
	Message    string    `db:"message"`
	Request    string    `db:"request"`
	Response   string    `db:"response"`
}

// Attempts gives all attempts of a delivery, the first one first.
func (s *Store) Attempts(ctx context.Context, delivery int64) (all []AttemptLog, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT id, delivery, generation, attempt, at, took_ms, outcome, status, code, message, request, response
FROM delivery_attempt WHERE delivery = $1 ORDER BY id`, delivery)
	return all, translate(err)
}

// anew lets a delivery d begin again, but for its state.
const anew = `generation = d.generation + 1, attempts = 0, began_at = now(), settled_at = NULL, reserved_at = NULL, due_at = now(), code = '', message = '', resolution = ''`

// Redeliver makes deliveries due anew, whatever became of them: each gets a new
// generation, its retry profile begins again, and its event keeps its id. Those
// whose attempt is under way, or that wait for their turn, are left alone.
func (s *Store) Redeliver(ctx context.Context, f DeliveryFilter, by string, priority int) (n int64, err error) {
	return s.steer(ctx, f, `
UPDATE delivery d SET priority = $13, by = $12, `+anew+`, state = CASE WHEN d.stream = '' THEN 'ready' ELSE 'waiting' END,
    holds = (coalesce(e.spec->>'ordering', '') = 'per_record' OR coalesce(e.spec->>'collapse', '') = 'true') -- which asks for an order, said or not
        AND coalesce(e.spec->>'on_park', '') <> 'go_on' -- HoldStreams leaves out what is settled
FROM chosen, webhook_endpoint e WHERE d.id = chosen.id AND e.name = d.endpoint`,
		`d.state IN ('retrying', 'accepted', 'ok', 'parked', 'superseded', 'discarded')`, by, priority)
}

// Discard ends deliveries without sending them. What was received already stays
// as it is.
func (s *Store) Discard(ctx context.Context, f DeliveryFilter, by string) (n int64, err error) {
	return s.steer(ctx, f, `
UPDATE delivery d SET generation = d.generation + 1, state = 'discarded', settled_at = now(), due_at = NULL, by = $12
FROM chosen WHERE d.id = chosen.id AND $13::int IS NOT NULL`,
		`d.state IN ('waiting', 'ready', 'retrying', 'accepted', 'parked')`, by, 0)
}

// steerSize is how many deliveries one transaction of steer changes: attempts of
// ordered endpoints wait for it before they are noted.
const steerSize = 1000

// steered is how far steer has come: events go in the order in which they were
// stored, so that a record's later one never goes before an earlier one that is
// in another batch.
type steered struct{ seq, id int64 }

// steer changes the chosen deliveries, some at a time, and lets their streams go
// on. After a fault, n have been changed; the rest are as they were.
func (s *Store) steer(ctx context.Context, f DeliveryFilter, update, states, by string, priority int) (n int64, err error) {
	for after, limit := (steered{}), f.Limit; ; {
		size := steerSize
		if limit > 0 {
			size = min(size, limit-int(n))
		}
		changed, last, err := s.steerSome(ctx, f, update, states, by, priority, after, size)
		if n += changed; err != nil || changed < int64(size) || n == int64(limit) {
			return n, err
		}
		after = last
	}
}

func (s *Store) steerSome(ctx context.Context, f DeliveryFilter, update, states, by string, priority int, after steered, size int) (n int64, last steered, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		var endpoints []string
		if err := tx.SelectContext(ctx, &endpoints, `SELECT name FROM webhook_endpoint WHERE $1 IN ('', name)`, f.Endpoint); err != nil {
			return err
		}
		if err := lockStreams(ctx, tx, endpoints...); err != nil {
			return err
		}
		var changed []struct {
			ID, Seq          int64
			Endpoint, Stream string
		}
		if err := tx.SelectContext(ctx, &changed, `
WITH chosen AS (
    SELECT d.id, o.seq FROM delivery d JOIN outbound_event o ON o.id = d.event WHERE `+filterSQL+` AND `+states+` AND (o.seq, d.id) > ($14, $15)
    ORDER BY o.seq, d.id LIMIT $11 FOR UPDATE OF d
) `+update+` RETURNING d.id, chosen.seq, d.endpoint, d.stream`, append(f.args(), size, by, priority, after.seq, after.id)...); err != nil {
			return err
		}
		n = int64(len(changed))
		streams := map[string][]string{}
		for _, c := range changed {
			if c.Seq > last.seq || c.Seq == last.seq && c.ID > last.id {
				last = steered{c.Seq, c.ID}
			}
			streams[c.Endpoint] = append(streams[c.Endpoint], c.Stream)
		}
		if err := promoteAll(ctx, tx, streams); err != nil {
			return err
		}
		return notifyDeliveries(ctx, tx)
	})
	if err != nil {
		return 0, after, err
	}
	return n, last, nil
}

// Applied closes a delivery whose receiver said that it has applied it, or that
// it cannot. It may say so more than once.
//
// Faults: webhook.no_acknowledgement (NotFound).
func (s *Store) Applied(ctx context.Context, event, endpoint string, ok bool, message string) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		var stream string
		if err := lockStreams(ctx, tx, endpoint); err != nil {
			return err
		}
		err := tx.GetContext(ctx, &stream, `
UPDATE delivery SET state = CASE WHEN $3 THEN 'ok' ELSE 'parked' END, settled_at = now(), due_at = NULL,
    code = CASE WHEN $3 THEN '' ELSE 'webhook.refused_later' END, message = CASE WHEN $3 THEN '' ELSE $4 END,
    resolution = CASE WHEN $3 THEN '' ELSE 'ask the receiver; then deliver it again or discard it' END
WHERE endpoint = $2 AND event = $1 AND (state IN ('accepted', 'running', 'retrying', 'ok') OR state = 'parked' AND code IN ('webhook.not_applied', 'webhook.refused_later')) RETURNING stream`,
			event, endpoint, ok, message)
		if f := fault.Of(translate(err)); err != nil && f.Kind == fault.NotFound {
			return fault.New(fault.NotFound, "webhook.no_acknowledgement", "no delivery of that event waits to be acknowledged").
				WithResolution("acknowledge an event once, with the address that its delivery carried")
		}
		if err != nil || stream == "" {
			return err
		}
		if err := promote(ctx, tx, endpoint, []string{stream}); err != nil {
			return err
		}
		return notifyDeliveries(ctx, tx)
	})
}

// ParkUnapplied gives deliveries to a person whose receivers took them and did
// not say in time that they were applied.
func (s *Store) ParkUnapplied(ctx context.Context) (n int64, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		var endpoints []string
		if err := tx.SelectContext(ctx, &endpoints, `SELECT DISTINCT endpoint FROM delivery WHERE state = 'accepted' AND due_at <= now()`); err != nil {
			return err
		}
		if len(endpoints) == 0 {
			return nil
		}
		if err := lockStreams(ctx, tx, endpoints...); err != nil {
			return err
		}
		var late []struct{ Endpoint, Stream string }
		if err := tx.SelectContext(ctx, &late, `
UPDATE delivery SET state = 'parked', settled_at = now(), due_at = NULL, code = 'webhook.not_applied',
    message = 'the receiver took the event and did not say in time that it was applied',
    resolution = 'ask the receiver; then deliver it again, or discard it'
WHERE id IN (SELECT id FROM delivery WHERE state = 'accepted' AND due_at <= now() AND endpoint = ANY($1::text[]) ORDER BY due_at LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING endpoint, stream`, pq.Array(endpoints)); err != nil {
			return err
		}
		n = int64(len(late))
		streams := map[string][]string{}
		for _, d := range late {
			streams[d.Endpoint] = append(streams[d.Endpoint], d.Stream)
		}
		return promoteAll(ctx, tx, streams)
	})
	return n, err
}
