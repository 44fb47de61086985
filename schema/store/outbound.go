package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/fault"
)

// OutboundEvent is something that happened and is to be told, with the
// endpoints that want to know.
type OutboundEvent struct {
	ID         string    `db:"id"` // the webhook-id of all its deliveries, stable for ever
	Connection string    `db:"connection"`
	Type       string    `db:"type"`
	Model      string    `db:"model"`
	RecordID   string    `db:"record_id"`
	Content    string    `db:"content"` // schema/webhook.Event as JSON
	Test       bool      `db:"test"`
	OccurredAt time.Time `db:"occurred_at"`
	ReceivedAt time.Time `db:"received_at"`
	Seq        int64     `db:"seq"` // the order in which events were stored, which is that of each record's

	Receivers []Receiver `db:"-"`
	// AsOf is how the endpoints stood when Receivers was chosen (EndpointsAsOf).
	// Where they stand otherwise by now nothing is stored. 0: however they stand.
	AsOf int64 `db:"-"`
	// Export is what the event asks Towpath itself to do; nil: nothing.
	Export *ExportRequest `db:"-"`
}

// Receiver is an endpoint that wants an event.
type Receiver struct {
	Endpoint string
	Stream   string // deliveries of one stream keep their order; empty: any order
	Holds    bool   // parked, it holds its stream
	Collapse bool   // earlier deliveries of its stream and type that have not been sent are superseded
	Priority int    // 1 a person waits … 5 replay; 0 is 3
}

// Record stores events and their deliveries in one transaction and reports how
// many events were new: the others were stored before, and nothing is done for
// them. cursor, when not empty, is how far the connection has been read now.
// When it returns nil, the events may be acknowledged to where they came from
// (promise 4, TestPromise4).
//
// Faults: webhook.event_taken (Conflict): another connection has an event of
// that id, as of a copied database; webhook.endpoints_changed (Transient).
func (s *Store) Record(ctx context.Context, connection string, events []OutboundEvent, cursor string) (fresh int, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		added, err := insertEvents(ctx, tx, events)
		if err != nil {
			return err
		}
		fresh = len(added)
		if err := insertExports(ctx, tx, added); err != nil {
			return err
		}
		if _, err := insertDeliveries(ctx, tx, added); err != nil {
			return err
		}
		if cursor != "" {
			_, err := tx.ExecContext(ctx, `
INSERT INTO event_cursor (connection, cursor) VALUES ($1, $2)
ON CONFLICT (connection) DO UPDATE SET cursor = excluded.cursor, moved_at = now()`, connection, cursor)
			return err
		}
		return nil
	})
	return fresh, err
}

// insertEvents gives those that were not there, each once, in their order.
func insertEvents(ctx context.Context, tx *sqlx.Tx, events []OutboundEvent) (added []OutboundEvent, err error) {
	var id, connection, kind, model, record, content []string
	var test []bool
	var occurred []time.Time
	for _, e := range events {
		id, connection, kind = append(id, e.ID), append(connection, e.Connection), append(kind, e.Type)
		model, record, content = append(model, e.Model), append(record, e.RecordID), append(content, e.Content)
		test, occurred = append(test, e.Test), append(occurred, e.OccurredAt.UTC())
	}
	var rows []struct {
		ID       string
		Seq, Now int64
	}
	if err := tx.SelectContext(ctx, &rows, `
INSERT INTO outbound_event (id, connection, type, model, record_id, content, test, occurred_at)
SELECT id, connection, type, model, record_id, content, test, occurred_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::timestamptz[])
    WITH ORDINALITY AS u(id, connection, type, model, record_id, content, test, occurred_at, n) ORDER BY n
ON CONFLICT (id) DO NOTHING RETURNING id, seq, `+endpointsNow+` AS now`,
		textArray(id), textArray(connection), textArray(kind), textArray(model), textArray(record), textArray(content), pq.Array(test), pq.Array(occurred)); err != nil {
		return nil, err
	}
	if len(rows) > 0 { // an endpoint that has come, or wants events again, is missing among the receivers
		if err := asChosen(events, rows[0].Now); err != nil {
			return nil, err
		}
	}
	fresh := make(map[string]int64, len(rows))
	for _, r := range rows {
		fresh[r.ID] = r.Seq
	}
	for _, e := range events {
		if seq, ok := fresh[e.ID]; ok {
			e.Seq = seq
			added = append(added, e)
			delete(fresh, e.ID) // the same event twice in one batch
		}
	}
	if len(added) == len(events) {
		return added, nil
	}
	var taken []string
	if err := tx.SelectContext(ctx, &taken, `
SELECT o.id FROM outbound_event o JOIN unnest($1::text[], $2::text[]) AS u(id, connection) USING (id) WHERE o.connection <> u.connection`,
		textArray(id), textArray(connection)); err != nil {
		return nil, err
	}
	if len(taken) > 0 {
		return nil, fault.New(fault.Conflict, "webhook.event_taken", "an event %s came from another connection already", taken[0]).
			WithResolution("two connections read copies of one database: switch one of them off, or empty the outbox of the copy")
	}
	return added, nil
}

// insertDeliveries makes a delivery per stored event and receiver, where there
// is none, and says how many it made. Ordered ones wait until they are promoted,
// so that there is one way to the head of a stream.
func insertDeliveries(ctx context.Context, tx *sqlx.Tx, events []OutboundEvent) (made int64, err error) {
	var endpoint, event, kind, stream []string
	var holds, collapse []bool
	var priority, seq []int64
	ordered := map[string][]string{} // streams by endpoint
	for _, e := range events {
		for _, r := range e.Receivers {
			endpoint, event, kind = append(endpoint, r.Endpoint), append(event, e.ID), append(kind, e.Type)
			stream, holds, collapse = append(stream, r.Stream), append(holds, r.Holds), append(collapse, r.Collapse)
			p := int64(r.Priority)
			if p == 0 {
				p = 3
			}
			priority, seq = append(priority, p), append(seq, e.Seq)
			if r.Stream != "" {
				ordered[r.Endpoint] = append(ordered[r.Endpoint], r.Stream)
			}
		}
	}
	if len(endpoint) == 0 {
		return 0, nil
	}
	if err := lockStreams(ctx, tx, slices.Collect(maps.Keys(ordered))...); err != nil {
		return 0, err
	}
	var done struct{ Made, Now int64 }
	err = tx.GetContext(ctx, &done, `
WITH made AS (
INSERT INTO delivery (endpoint, event, type, stream, seq, holds, state, priority, due_at)
SELECT endpoint, event, type, stream, CASE WHEN stream <> '' THEN seq END, holds, CASE WHEN stream = '' THEN 'ready' ELSE 'waiting' END, priority, now()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::smallint[], $7::bigint[]) WITH ORDINALITY AS u(endpoint, event, type, stream, holds, priority, seq, n)
ORDER BY n
ON CONFLICT (endpoint, event) DO NOTHING RETURNING id
) SELECT count(*) AS made, `+endpointsNow+` AS now FROM made`,
		textArray(endpoint), textArray(event), textArray(kind), textArray(stream), pq.Array(holds), pq.Array(priority), pq.Array(seq))
	if err == nil { // HoldStreams comes before the lock of streams, and is seen, or after it, and sees these
		made, err = done.Made, asChosen(events, done.Now)
	}
	if err == nil {
		err = supersede(ctx, tx, endpoint, event, stream, collapse)
	}
	if err == nil {
		err = promoteAll(ctx, tx, ordered)
	}
	if err != nil {
		return made, err
	}
	return made, notifyDeliveries(ctx, tx)
}

// endpointsNow is EndpointsAsOf in PostgreSQL.
const endpointsNow = `(SELECT 1 + coalesce(sum(revision), 0)::bigint FROM webhook_endpoint)`

// asChosen refuses events whose receivers were chosen when the endpoints stood
// otherwise than now.
func asChosen(events []OutboundEvent, now int64) error {
	if !slices.ContainsFunc(events, func(e OutboundEvent) bool { return e.AsOf != 0 && e.AsOf != now }) {
		return nil
	}
	return fault.New(fault.Transient, endpointsChanged, "endpoints were changed while events were stored for them").
		WithResolution("nothing to do: it is done anew, for the endpoints as they are")
}

const endpointsChanged = "webhook.endpoints_changed"

// EndpointsChanged tells whether a fault says that receivers are to be chosen anew.
func EndpointsChanged(err error) bool { return err != nil && fault.Of(err).Code == endpointsChanged }

// supersede closes what a later state of the same record makes needless.
func supersede(ctx context.Context, tx *sqlx.Tx, endpoint, event, stream []string, collapse []bool) error {
	if !slices.Contains(collapse, true) {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
WITH later AS (
    SELECT u.endpoint, u.stream, d.type, max(d.seq) AS seq
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[]) AS u(endpoint, event, stream, collapse)
    JOIN delivery d ON (d.endpoint, d.event) = (u.endpoint, u.event)
    WHERE u.collapse AND u.stream <> '' GROUP BY u.endpoint, u.stream, d.type
)
UPDATE delivery d SET state = 'superseded', settled_at = now(), due_at = NULL
FROM later l WHERE (d.endpoint, d.stream, d.type) = (l.endpoint, l.stream, l.type) AND d.seq < l.seq AND d.state IN ('waiting', 'ready', 'retrying')`,
		textArray(endpoint), textArray(event), textArray(stream), pq.Array(collapse))
	return err
}

// lockStreams keeps the streams of endpoints to the transaction: two promoters
// would see different heads. It is taken before any row of theirs: who promotes
// must not wait for a row of somebody who waits to promote.
func lockStreams(ctx context.Context, tx *sqlx.Tx, endpoints ...string) error {
	if len(endpoints) == 0 {
		return nil
	}
	names := make([]string, len(endpoints))
	for i, e := range endpoints {
		names[i] = "streams/" + e
	}
	return lockAll(ctx, tx, names...)
}

// promoteAll promotes streams by endpoint.
func promoteAll(ctx context.Context, tx *sqlx.Tx, streams map[string][]string) error {
	for _, endpoint := range slices.Sorted(maps.Keys(streams)) {
		if err := promote(ctx, tx, endpoint, streams[endpoint]); err != nil {
			return err
		}
	}
	return nil
}

// promote makes the head of each of an endpoint's streams ready, where nothing
// of the stream is under way or holds it. The transaction has lockStreams. Each
// stream is read once, however many wait in it.
func promote(ctx context.Context, tx *sqlx.Tx, endpoint string, streams []string) error {
	_, err := tx.ExecContext(ctx, `
UPDATE delivery SET state = 'ready', due_at = now() WHERE id IN (
    SELECT head.id FROM (SELECT DISTINCT unnest($2::text[]) AS stream) AS s CROSS JOIN LATERAL (
        SELECT w.id, w.seq FROM delivery w WHERE w.endpoint = $1 AND w.stream = s.stream AND w.stream <> '' AND w.state = 'waiting' ORDER BY w.seq LIMIT 1
    ) AS head
    WHERE (SELECT true FROM delivery o WHERE o.endpoint = $1 AND o.stream = s.stream AND o.stream <> ''
        AND (o.state IN ('ready', 'running', 'retrying', 'accepted') OR o.state = 'parked' AND o.holds AND o.seq < head.seq) LIMIT 1) IS NULL)`, endpoint, textArray(streams))
	return err
}

// EventCursor is how far the events of a connection have been read; empty when
// never.
func (s *Store) EventCursor(ctx context.Context, connection string) (cursor string, err error) {
	err = s.db.GetContext(ctx, &cursor, `SELECT coalesce((SELECT cursor FROM event_cursor WHERE connection = $1), '')`, connection)
	return cursor, translate(err)
}

// OutboundEvent gives one event.
func (s *Store) OutboundEvent(ctx context.Context, id string) (e OutboundEvent, err error) {
	err = translate(s.db.GetContext(ctx, &e, `
SELECT id, connection, type, model, record_id, content, test, occurred_at, received_at, seq FROM outbound_event WHERE id = $1`, id))
	if fault.Is(err, fault.NotFound) {
		return e, fault.New(fault.NotFound, "webhook.unknown_event", "there is no event %s", id).WithField("event").
			WithResolution("towpath delivery list shows events; they are kept for 30 days")
	}
	return e, err
}

// EventFilter chooses stored events; what is empty does not restrict.
type EventFilter struct {
	Connection, Model, RecordID string
	Types                       []string // as endpoints write them: * stands for one or more parts
	Since, Until                time.Time
	Limit                       int // 0: no limit
}

// ListedEvent is an event and what became of it.
type ListedEvent struct {
	OutboundEvent
	Told   int `db:"told"` // to so many endpoints
	OK     int `db:"ok"`   // so many of them have it
	Parked int `db:"parked"`
}

// OutboundEvents lists events, the newest first.
func (s *Store) OutboundEvents(ctx context.Context, f EventFilter) (all []ListedEvent, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT o.id, o.connection, o.type, o.model, o.record_id, o.test, o.occurred_at, o.received_at, o.seq, d.told, d.ok, d.parked
FROM outbound_event o CROSS JOIN LATERAL (
    SELECT count(*) AS told, count(*) FILTER (WHERE state = 'ok') AS ok, count(*) FILTER (WHERE state = 'parked') AS parked FROM delivery WHERE event = o.id
) AS d
WHERE ($1 = '' OR o.connection = $1) AND ($2 = '' OR o.model = $2) AND ($3 = '' OR o.record_id = $3) AND `+wantedTypeSQL+`
  AND ($5::timestamptz IS NULL OR o.occurred_at >= $5) AND ($6::timestamptz IS NULL OR o.occurred_at < $6)
ORDER BY o.seq DESC LIMIT nullif($7::bigint, 0)`, f.Connection, f.Model, f.RecordID, typesAsSQL(f.Types), nullTime(f.Since), nullTime(f.Until), f.Limit)
	return all, translate(err)
}
