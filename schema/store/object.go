package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Key names a business object by its source.
type Key struct {
	Connection string      `db:"connection"`
	Kind       record.Kind `db:"kind"`
	ExternalID string      `db:"external_id"`
}

// Due is an object that the dispatcher claimed.
type Due struct {
	Key
	Epoch  int64  `db:"epoch"`
	Target string `db:"target"`
	Fetch  bool   `db:"fetch"` // its newest event holds no content
}

// visibility is the SQL of the visibility timeout: a bell that is lost comes
// back by itself, after 60 s, then 2, 4, 8 and at most 15 minutes.
const visibility = `least(60 * power(2, o.calls), 900) * interval '1 second'`

const claimDueSQL = `
WITH ready AS (
    SELECT o.connection, o.kind, o.external_id, f.target
    FROM object o
    JOIN flow f ON f.source = o.connection AND f.kind = o.kind AND f.active
    JOIN connection t ON t.name = f.target AND t.stopped IS NULL AND t.active
    WHERE o.due_at <= now()
    ORDER BY o.priority, o.due_at LIMIT $1 FOR UPDATE OF o SKIP LOCKED
)
UPDATE object o SET due_at = now() + ` + visibility + `, calls = o.calls + 1
FROM ready r WHERE (o.connection, o.kind, o.external_id) = (r.connection, r.kind, r.external_id)
RETURNING o.connection, o.kind, o.external_id, o.epoch, r.target,
    coalesce((SELECT NOT e.complete FROM inbound_event e
              WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id)
              ORDER BY e.version DESC, e.id DESC LIMIT 1), true) AS fetch`

// ClaimDue takes up to limit due objects for this process and hides them for
// their visibility timeout (protocol P1.2). Objects whose flow is missing or
// whose target is stopped stay where they are.
func (s *Store) ClaimDue(ctx context.Context, limit int) ([]Due, error) {
	var due []Due
	err := s.db.SelectContext(ctx, &due, claimDueSQL, limit)
	return due, translate(err)
}

// Release makes claimed objects due at once again: Temporal refused the bell.
func (s *Store) Release(ctx context.Context, keys []Key, after time.Duration) error {
	if len(keys) == 0 {
		return nil
	}
	c, k, e := columns(keys)
	_, err := s.db.ExecContext(ctx, `
UPDATE object o SET due_at = least(o.due_at, now() + $4 * interval '1 millisecond'), calls = greatest(o.calls - 1, 0)
FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS u(c, k, e) ORDER BY c, k, e) u
WHERE (o.connection, o.kind, o.external_id) = (u.c, u.k, u.e) AND o.due_at IS NOT NULL`,
		pq.Array(c), pq.Array(k), pq.Array(e), after.Milliseconds())
	return translate(err)
}

func columns(keys []Key) (c, k, e []string) {
	for _, key := range keys {
		c, k, e = append(c, key.Connection), append(k, string(key.Kind)), append(e, key.ExternalID)
	}
	return c, k, e
}

// NextDue tells when the earliest hidden or future object becomes due.
func (s *Store) NextDue(ctx context.Context) (*time.Time, error) {
	var at sql.NullTime
	err := s.db.GetContext(ctx, &at, `SELECT min(due_at) FROM object WHERE due_at IS NOT NULL`)
	if err != nil || !at.Valid {
		return nil, translate(err)
	}
	return &at.Time, nil
}

// Pass is what a pass over an object starts from: one row, read and fenced in
// one statement.
type Pass struct {
	Key
	Epoch           int64           `db:"epoch"`
	Fence           int64           `db:"fence"`
	Outcome         sql.NullString  `db:"outcome"`
	Stage           sql.NullString  `db:"stage"`
	AppliedVersion  string          `db:"applied_version"`
	AppliedDigest   string          `db:"applied_digest"`
	Override        json.RawMessage `db:"override"`
	SkipVersion     sql.NullString  `db:"skip_version"`
	SlowTries       int             `db:"slow_tries"`
	FirstSeenAt     time.Time       `db:"first_seen_at"`
	QuarantineUntil sql.NullTime    `db:"quarantine_until"`
	QuarantineDig   string          `db:"quarantine_digest"`

	Target   string          `db:"target"`
	Rules    json.RawMessage `db:"rules"`
	Revision int64           `db:"revision"`

	BoundID  sql.NullString `db:"bound_id"`
	BoundXID sql.NullString `db:"bound_xid"`
	// LineXIDs are the lines that earlier passes wrote, or meant to write and
	// died.
	LineXIDs pq.StringArray `db:"line_xids"`
	// Writing are the lines that this pass is about to write: Intent keeps them.
	Writing []string `db:"-"`
	// Attempts counts intents since the object was last settled: more than
	// none means that an earlier pass may have written.
	Attempts int `db:"attempts"`

	Events   pq.Int64Array  `db:"events"` // pending ones, settled with this pass
	EventID  sql.NullInt64  `db:"event_id"`
	Topic    sql.NullString `db:"topic"`
	Version  sql.NullString `db:"version"`
	Complete sql.NullBool   `db:"complete"`
	Format   sql.NullString `db:"format"`
	Body     []byte         `db:"body"`
}

// beginSQL reads a pass in one round trip. steady tells whether it is whole: a
// statement sees what was committed when it began, but an UPDATE that had to
// wait for a row gets that row as it is now. An epoch, digest or stage read so
// would come without the event or binding that was committed with it, and the
// event would be lost at settling. "was" is the row as the statement sees it.
const beginSQL = `
WITH o AS (
    UPDATE object SET fence = fence + 1, due_at = now() + $4 * interval '1 second'
    WHERE connection = $1 AND kind = $2 AND external_id = $3
    RETURNING *
)
SELECT o.connection, o.kind, o.external_id, o.epoch, o.fence, o.outcome, o.stage, o.applied_version, o.applied_digest,
       coalesce(o.override, 'null') AS override, o.skip_version, o.slow_tries, o.first_seen_at, o.quarantine_until, o.quarantine_digest,
       f.target, f.rules, f.revision,
       b.target_id AS bound_id, b.xid AS bound_xid, coalesce(b.line_xids, '{}') || ARRAY(
           SELECT unnest(j.line_xids) FROM journal j WHERE (j.connection, j.kind, j.external_id) = (o.connection, o.kind, o.external_id)
           EXCEPT SELECT unnest(b.line_xids) ORDER BY 1) AS line_xids,
       (SELECT count(*) FROM journal j WHERE (j.connection, j.kind, j.external_id) = (o.connection, o.kind, o.external_id) AND j.state <> 'settled') AS attempts,
       coalesce(pending.ids, '{}') AS events,
       newest.id AS event_id, newest.topic, newest.version, newest.complete, newest.format, newest.body,
       (was.epoch, was.fence + 1, was.settled_at) IS NOT DISTINCT FROM (o.epoch, o.fence, o.settled_at) AS steady
FROM o
LEFT JOIN object was USING (connection, kind, external_id)
JOIN flow f ON f.source = o.connection AND f.kind = o.kind
LEFT JOIN binding b ON (b.connection, b.kind, b.external_id, b.target) = (o.connection, o.kind, o.external_id, f.target)
LEFT JOIN LATERAL (
    SELECT array_agg(e.id) AS ids FROM inbound_event e
    WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id) AND e.state = 'pending'
) pending ON true
LEFT JOIN LATERAL (
    SELECT e.id, e.topic, e.version, e.complete, i.format, i.body FROM inbound_event e LEFT JOIN inbound_body i ON i.event_id = e.id
    WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id)
    ORDER BY e.version DESC, e.id DESC LIMIT 1
) newest ON true`

// Begin opens a pass: it raises the fence, so that every earlier pass over the
// object is a zombie from now on, hides the object for the given time, and
// reads all that a pass needs (protocol P1.3).
func (s *Store) Begin(ctx context.Context, key Key, hide time.Duration) (*Pass, error) {
	p, steady, err := begin(ctx, s.db, key, hide)
	if err == nil && !steady { // rare: take the row first, then read
		err = s.inTx(ctx, func(tx *sqlx.Tx) error {
			if _, err := tx.ExecContext(ctx, `SELECT FROM object WHERE connection = $1 AND kind = $2 AND external_id = $3 FOR UPDATE`,
				key.Connection, key.Kind, key.ExternalID); err != nil {
				return err
			}
			p, _, err = begin(ctx, tx, key, hide)
			return err
		})
	}
	if fault.Is(translate(err), fault.NotFound) {
		return nil, fault.New(fault.NotFound, "object.no_flow", "no flow takes objects of this connection anywhere").
			WithResolution("add a flow from %q to towpath.yaml and run towpath apply", key.Connection)
	}
	return p, translate(err)
}

func begin(ctx context.Context, db sqlx.QueryerContext, key Key, hide time.Duration) (*Pass, bool, error) {
	var read struct {
		Pass
		Steady bool `db:"steady"`
	}
	err := sqlx.GetContext(ctx, db, &read, beginSQL, key.Connection, key.Kind, key.ExternalID, int64(hide.Seconds()))
	if err != nil {
		return nil, false, err
	}
	return &read.Pass, read.Steady, nil
}

// FenceKey gives the pass's fence for writes.
func (p *Pass) FenceKey() record.FenceKey {
	return record.FenceKey{Connection: p.Connection, Kind: p.Kind, ExternalID: p.ExternalID, Fence: p.Fence}
}

// Hide keeps a long pass's object hidden, and tells whether the pass is still
// the current one.
func (s *Store) Hide(ctx context.Context, p *Pass, hide time.Duration) (current bool, err error) {
	r, err := s.db.ExecContext(ctx, `
UPDATE object SET due_at = greatest(due_at, now() + $5 * interval '1 second')
WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence = $4`,
		p.Connection, p.Kind, p.ExternalID, p.Fence, int64(hide.Seconds()))
	if err != nil {
		return false, translate(err)
	}
	n, _ := r.RowsAffected()
	return n == 1, nil
}

// Intent commits, before anything is written to the target, what the pass
// means to write and what it would overwrite. A pass that is no longer current
// gets a Conflict fault "object.superseded".
func (s *Store) Intent(ctx context.Context, p *Pass, attempt int, digest string, before json.RawMessage) (int64, error) {
	var id int64
	err := s.db.GetContext(ctx, &id, `
INSERT INTO journal (connection, kind, external_id, epoch, fence, attempt, version, digest, before, line_xids)
SELECT connection, kind, external_id, $5, fence, $6, $7, $8, nullif($9, '')::jsonb, $10::text[] FROM object
WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence = $4
RETURNING id`, p.Connection, p.Kind, p.ExternalID, p.Fence, p.Epoch, attempt, p.Version.String, digest, string(before), textArray(p.Writing))
	if err != nil {
		if f := fault.Of(translate(err)); f.Kind == fault.NotFound {
			return 0, Superseded()
		}
		return 0, translate(err)
	}
	return id, nil
}

// Superseded says that another pass has taken over and will do the work.
func Superseded() *fault.Fault {
	return fault.New(fault.Conflict, "object.superseded", "another pass has taken this object over; nothing was written")
}

// Broken counts objects that violate invariant (i) of protocol P1: a pending
// event whose object is not due. It must be zero at every moment.
func (s *Store) Broken(ctx context.Context) (n int, err error) {
	err = s.db.GetContext(ctx, &n, `
SELECT count(DISTINCT (e.connection, e.kind, e.external_id)) FROM inbound_event e
LEFT JOIN object o USING (connection, kind, external_id)
WHERE e.state = 'pending' AND o.due_at IS NULL`)
	return n, translate(err)
}

// PutContent stores what was just read about an object as its newest event. It
// was read after every event that is in the inbox by now, so its version is at
// least theirs. The object stays hidden while the pass that asked for the
// content follows; a reading that comes too late for its pass makes it due, as
// any event does (invariant (i) of protocol P1).
func (s *Store) PutContent(ctx context.Context, key Key, version string, content any) error {
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `
WITH event AS (
    INSERT INTO inbound_event (connection, kind, external_id, topic, version, complete)
    SELECT $1, $2, $3, 'read', greatest($4, (SELECT max(version) FROM inbound_event WHERE connection = $1 AND kind = $2 AND external_id = $3)), true
    RETURNING id
), due AS (
    INSERT INTO object AS o (connection, kind, external_id, due_at) VALUES ($1, $2, $3, now())
    ON CONFLICT (connection, kind, external_id) DO UPDATE SET epoch = o.epoch + 1, due_at = coalesce(o.due_at, now())
)
INSERT INTO inbound_body (event_id, format, body) SELECT id, 'record', $5 FROM event`,
		key.Connection, key.Kind, key.ExternalID, version, body)
	return translate(err)
}

// OlderThan tells of which objects the inbox holds nothing at least as new as
// the given versions (external id -> version).
func (s *Store) OlderThan(ctx context.Context, connection string, kind record.Kind, versions map[string]string) (map[string]bool, error) {
	var ids, wanted []string
	for id, v := range versions {
		ids, wanted = append(ids, id), append(wanted, v)
	}
	var rows []string
	err := s.db.SelectContext(ctx, &rows, `
SELECT u.e FROM unnest($3::text[], $4::text[]) AS u(e, v)
WHERE NOT EXISTS (SELECT 1 FROM inbound_event i WHERE i.connection = $1 AND i.kind = $2 AND i.external_id = u.e AND i.version >= u.v COLLATE "C")
  AND NOT EXISTS (SELECT 1 FROM object o WHERE o.connection = $1 AND o.kind = $2 AND o.external_id = u.e AND o.applied_version >= u.v COLLATE "C")`,
		connection, kind, pq.Array(ids), pq.Array(wanted))
	older := make(map[string]bool, len(rows))
	for _, id := range rows {
		older[id] = true
	}
	return older, translate(err)
}

// Unbind unties an object from its record in the target and makes it due: the
// next pass adopts or writes a new one.
func (s *Store) Unbind(ctx context.Context, key Key, by string) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		r, err := tx.ExecContext(ctx, `
UPDATE object SET epoch = epoch + 1, calls = 0, slow_tries = 0, priority = 1, due_at = now(), stage = NULL, applied_digest = ''
WHERE connection = $1 AND kind = $2 AND external_id = $3`, key.Connection, key.Kind, key.ExternalID)
		if err != nil {
			return err
		}
		if n, _ := r.RowsAffected(); n == 0 {
			return fault.New(fault.NotFound, "object.unknown", "nothing was ever received about it").WithResolution("check the id")
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM binding WHERE connection = $1 AND kind = $2 AND external_id = $3`,
			key.Connection, key.Kind, key.ExternalID); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
INSERT INTO journal (connection, kind, external_id, epoch, fence, state, outcome, by, note, settled_at)
SELECT connection, kind, external_id, epoch, fence, 'settled', 'untied', $4, 'untied from its record', now() FROM object
WHERE connection = $1 AND kind = $2 AND external_id = $3`, key.Connection, key.Kind, key.ExternalID, by)
		return err
	})
}
