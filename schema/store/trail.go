package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"towpath/schema/fault"
)

// Trail is all that is known about one object: what `explain` tells.
type Trail struct {
	Key
	Epoch      int64          `db:"epoch"`
	DueAt      sql.NullTime   `db:"due_at"`
	Outcome    sql.NullString `db:"outcome"`
	Code       sql.NullString `db:"code"`
	Stage      sql.NullString `db:"stage"`
	SettledAt  sql.NullTime   `db:"settled_at"`
	FirstSeen  time.Time      `db:"first_seen_at"`
	SlowTries  int            `db:"slow_tries"`
	Target     sql.NullString `db:"target"`
	TargetID   sql.NullString `db:"target_id"`
	TargetName sql.NullString `db:"target_name"`
	Stopped    sql.NullString `db:"stopped"`
	Message    sql.NullString `db:"message"`
	Resolution sql.NullString `db:"resolution"`
	Siblings   int            `db:"siblings"` // other objects parked for the same cause
	Events     []TrailEvent   `db:"-"`
	Steps      []TrailStep    `db:"-"`
	Waits      []string       `db:"-"`
}

// TrailEvent is one inbound event.
type TrailEvent struct {
	ReceivedAt time.Time      `db:"received_at"`
	Topic      string         `db:"topic"`
	DeliveryID sql.NullString `db:"delivery_id"`
	State      string         `db:"state"`
	Outcome    sql.NullString `db:"outcome"`
}

// TrailStep is one pass that meant to write, or a person's decision.
type TrailStep struct {
	At      time.Time       `db:"at"`
	State   string          `db:"state"`
	Outcome sql.NullString  `db:"outcome"`
	Code    sql.NullString  `db:"code"`
	By      string          `db:"by"`
	Note    sql.NullString  `db:"note"`
	Attempt int             `db:"attempt"`
	Before  json.RawMessage `db:"before"`
	After   json.RawMessage `db:"after"`
}

// Trail reads what is known about an object.
func (s *Store) Trail(ctx context.Context, key Key) (*Trail, error) {
	var t Trail
	err := s.db.GetContext(ctx, &t, `
SELECT o.connection, o.kind, o.external_id, o.epoch, o.due_at, o.outcome, o.code, o.stage, o.settled_at, o.first_seen_at, o.slow_tries,
       f.target, b.target_id, b.external_name AS target_name, t.stopped, p.message, p.resolution,
       (SELECT count(*) FROM parked q WHERE q.state = 'open' AND q.fingerprint = p.fingerprint AND q.id <> p.id) AS siblings
FROM object o
LEFT JOIN flow f ON f.source = o.connection AND f.kind = o.kind
LEFT JOIN connection t ON t.name = f.target
LEFT JOIN binding b ON (b.connection, b.kind, b.external_id, b.target) = (o.connection, o.kind, o.external_id, f.target)
LEFT JOIN parked p ON (p.connection, p.kind, p.external_id, p.state) = (o.connection, o.kind, o.external_id, 'open')
WHERE o.connection = $1 AND o.kind = $2 AND o.external_id = $3`, key.Connection, key.Kind, key.ExternalID)
	if err != nil {
		if fault.Is(translate(err), fault.NotFound) {
			return nil, fault.New(fault.NotFound, "object.unknown", "nothing was ever received about it").
				WithResolution("check the id; if the shop has it, read it with: towpath backfill %s --order ID", key.Connection)
		}
		return nil, translate(err)
	}
	if err := s.db.SelectContext(ctx, &t.Events, `
SELECT received_at, topic, delivery_id, state, outcome FROM inbound_event
WHERE connection = $1 AND kind = $2 AND external_id = $3 ORDER BY id`, key.Connection, key.Kind, key.ExternalID); err != nil {
		return nil, translate(err)
	}
	if err := s.db.SelectContext(ctx, &t.Steps, `
SELECT at, state, outcome, code, by, note, attempt, coalesce(before, 'null') AS before, coalesce(after, 'null') AS after FROM journal
WHERE connection = $1 AND kind = $2 AND external_id = $3 ORDER BY id`, key.Connection, key.Kind, key.ExternalID); err != nil {
		return nil, translate(err)
	}
	return &t, translate(s.db.SelectContext(ctx, &t.Waits, `
SELECT need FROM wait WHERE connection = $1 AND kind = $2 AND external_id = $3 ORDER BY need`, key.Connection, key.Kind, key.ExternalID))
}

// Tally counts objects by how their last pass ended.
type Tally struct {
	Outcome string `db:"outcome"` // empty: no pass has ended yet
	Code    string `db:"code"`
	Stage   string `db:"stage"`
	N       int    `db:"n"`
	Due     int    `db:"due"` // of them, with something left to do
}

// Tallies counts the objects of a connection; an empty name counts all.
func (s *Store) Tallies(ctx context.Context, connection string) ([]Tally, error) {
	var all []Tally
	err := s.db.SelectContext(ctx, &all, `
SELECT coalesce(outcome, '') AS outcome, coalesce(code, '') AS code, coalesce(stage, '') AS stage, count(*) AS n, count(due_at) AS due
FROM object WHERE $1 IN ('', connection) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, connection)
	return all, translate(err)
}

// Family is a group of objects parked for the same cause.
type Family struct {
	Fingerprint string    `db:"fingerprint"`
	Code        string    `db:"code"`
	Message     string    `db:"message"`
	Resolution  string    `db:"resolution"`
	N           int       `db:"n"`
	Oldest      time.Time `db:"oldest"`
	Example     string    `db:"example"`
}

// Families groups what is parked by cause, largest first.
func (s *Store) Families(ctx context.Context) ([]Family, error) {
	var all []Family
	err := s.db.SelectContext(ctx, &all, `
SELECT fingerprint, min(code) AS code, min(message) AS message, min(resolution) AS resolution, count(*) AS n, min(since) AS oldest,
       min(kind || '/' || connection || '/' || external_id) AS example
FROM parked WHERE state = 'open' GROUP BY fingerprint ORDER BY n DESC, fingerprint`)
	return all, translate(err)
}

// Backlog tells how much waits and for how long: the numbers of /metrics and
// of the doctor.
type Backlog struct {
	Pending   int           `db:"pending"`
	Due       int           `db:"due"`
	Overdue   int           `db:"overdue"` // due for more than a minute
	OldestSec float64       `db:"oldest"`
	Parked    int           `db:"parked"`
	Broken    int           `db:"-"`
	Oldest    time.Duration `db:"-"`
}

// Backlog reads the numbers.
func (s *Store) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	err := s.db.GetContext(ctx, &b, `
SELECT (SELECT count(*) FROM inbound_event WHERE state = 'pending') AS pending,
       (SELECT count(*) FROM object WHERE due_at <= now()) AS due,
       (SELECT count(*) FROM object WHERE due_at <= now() - interval '1 minute') AS overdue,
       (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM object WHERE due_at <= now()) AS oldest,
       (SELECT count(*) FROM parked WHERE state = 'open') AS parked`)
	if err != nil {
		return b, translate(err)
	}
	b.Oldest = time.Duration(b.OldestSec * float64(time.Second))
	b.Broken, err = s.Broken(ctx)
	return b, err
}

// SaveEdit keeps an operator's correction for the pass that carries it out.
func (s *Store) SaveEdit(ctx context.Context, key Key, patch json.RawMessage, by, reason string) (id int64, err error) {
	err = s.db.GetContext(ctx, &id, `
INSERT INTO edit (connection, kind, external_id, patch, by, reason) VALUES ($1, $2, $3, $4::jsonb, $5, $6) RETURNING id`,
		key.Connection, key.Kind, key.ExternalID, string(patch), by, reason)
	return id, translate(err)
}

// Edit reads a correction.
func (s *Store) Edit(ctx context.Context, key Key, id int64) (patch json.RawMessage, err error) {
	err = s.db.GetContext(ctx, &patch, `
SELECT patch FROM edit WHERE id = $4 AND connection = $1 AND kind = $2 AND external_id = $3`, key.Connection, key.Kind, key.ExternalID, id)
	return patch, translate(err)
}

// Busy counts a connection's objects that are being worked on or wait to be:
// those with pending events, and those never settled or due now. done counts
// those that were settled at least once.
func (s *Store) Busy(ctx context.Context, connection string) (busy, done int, err error) {
	var n struct {
		Busy int `db:"busy"`
		Done int `db:"done"`
	}
	err = s.db.GetContext(ctx, &n, `
SELECT count(*) FILTER (WHERE o.settled_at IS NULL OR o.due_at <= now() OR EXISTS (
           SELECT 1 FROM inbound_event e WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id) AND e.state = 'pending')) AS busy,
       count(o.settled_at) AS done
FROM object o WHERE o.connection = $1`, connection)
	return n.Busy, n.Done, translate(err)
}
