package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/record"
)

// Change is what a run means to write to one record, is writing, or wrote.
type Change struct {
	Side       string        `json:"side" db:"side"` // target, source: the side that is written
	ExternalID string        `json:"external_id" db:"external_id"`
	Op         string        `json:"op" db:"op"` // create, update, archive
	RecordID   string        `json:"record_id" db:"record_id"`
	XID        string        `json:"xid" db:"xid"`
	Label      string        `json:"label" db:"label"`
	Before     record.Values `json:"before" db:"before"`
	After      record.Values `json:"after" db:"after"`
	Digest     string        `json:"digest" db:"digest"`
	Cause      string        `json:"cause" db:"cause"`
	State      string        `json:"state" db:"state"` // planned, intent; later done, refused, stale, left
	Note       string        `json:"note" db:"note"`
	Fence      int64         `json:"fence" db:"fence"`

	At time.Time `json:"-" db:"at"`
}

// The states of changes.
const (
	ChangePlanned = "planned"
	ChangeIntent  = "intent"
	ChangeDone    = "done"
	ChangeRefused = "refused"
	ChangeLeft    = "left" // of an undo: somebody changed it since
)

// FencedBetween is the connection under which records that flow between two
// systems are fenced: a source's records may flow to several targets at once.
func FencedBetween(source, target string) string { return source + ">" + target }

// Plan stores what a run would write.
func (s *Store) Plan(ctx context.Context, run string, changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		j, err := jobOfRun(ctx, tx, run)
		if err != nil {
			return err
		}
		return putChanges(ctx, tx, run, j, changes)
	})
}

// Intend commits what is about to be written, with what it overwrites, and
// takes the records: their fences are raised, so that every earlier writer is a
// zombie from now on (protocol P3.1). The fences are put into changes.
func (s *Store) Intend(ctx context.Context, run string, changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		j, err := jobOfRun(ctx, tx, run)
		if err != nil {
			return err
		}
		ids := make([]string, len(changes))
		for i, c := range changes {
			ids[i] = c.ExternalID
		}
		fences, err := raiseFences(ctx, tx, j, ids)
		if err != nil {
			return err
		}
		for i := range changes {
			changes[i].Fence = fences[changes[i].ExternalID]
		}
		return putChanges(ctx, tx, run, j, changes)
	})
}

// raiseFences makes every earlier writer of the records a zombie.
func raiseFences(ctx context.Context, tx *sqlx.Tx, j Job, ids []string) (map[string]int64, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	var rows []struct {
		ExternalID string `db:"external_id"`
		Fence      int64  `db:"fence"`
	}
	err := tx.SelectContext(ctx, &rows, `
INSERT INTO object AS o (connection, kind, external_id, fence, outcome, settled_at)
SELECT DISTINCT $1, $2, e, 1, 'synced', now() FROM unnest($3::text[]) e ORDER BY e
ON CONFLICT (connection, kind, external_id) DO UPDATE SET fence = o.fence + 1
RETURNING o.external_id, o.fence`, FencedBetween(j.Source, j.Target), j.BoundAs(), pq.Array(ids))
	fences := make(map[string]int64, len(rows))
	for _, r := range rows {
		fences[r.ExternalID] = r.Fence
	}
	return fences, err
}

func jobOfRun(ctx context.Context, tx *sqlx.Tx, run string) (j Job, err error) {
	err = tx.GetContext(ctx, &j, `SELECT j.name, j.source, j.target, j.kind, j.binds FROM run r JOIN job j ON j.name = r.job WHERE r.id = $1`, run)
	return j, err
}

// putChanges keeps one row of each record. One that the run has written already,
// and writes again, keeps of each field what it held before the run: undo puts
// that back.
func putChanges(ctx context.Context, tx *sqlx.Tx, run string, j Job, changes []Change) error {
	rows, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
INSERT INTO change (run, side, external_id, connection, kind, op, record_id, xid, label, before, after, digest, cause, state, note, fence)
SELECT $1, r.side, r.external_id, $2, $3, r.op, r.record_id, r.xid, r.label, coalesce(r.before, '{}'), coalesce(r.after, '{}'), r.digest, r.cause, r.state, r.note, r.fence
FROM jsonb_to_recordset($4::jsonb) AS r(side text, external_id text, op text, record_id text, xid text, label text, before jsonb, after jsonb,
    digest text, cause text, state text, note text, fence bigint)
ON CONFLICT (run, side, external_id) DO UPDATE SET op = excluded.op, record_id = excluded.record_id, xid = excluded.xid, label = excluded.label,
    before = CASE WHEN change.state IN ('intent', 'done') AND change.op = excluded.op THEN excluded.before || change.before ELSE excluded.before END,
    after = CASE WHEN change.state = 'done' AND change.op = excluded.op THEN change.after || excluded.after ELSE excluded.after END, digest = excluded.digest, cause = excluded.cause, state = excluded.state, note = excluded.note, fence = excluded.fence, at = now()`,
		run, j.Source, j.BoundAs(), string(rows))
	return err
}

// Known is what the book says of one of the source's records.
type Known struct {
	ExternalID     string          `db:"external_id"`
	Synced         bool            `db:"synced"`
	TargetID       string          `db:"target_id"` // of its binding; "" without one
	XID            string          `db:"xid"`       // "" if it was adopted
	NoExport       bool            `db:"no_export"`
	Gone           bool            `db:"gone"` // a person deleted it in the target
	SourceSeen     string          `db:"source_seen"`
	TargetSeen     string          `db:"target_seen"`
	Snapshot       json.RawMessage `db:"snapshot"`
	MappingVersion int             `db:"mapping_version"`
	Parked         bool            `db:"parked"`
	Awaited        bool            `db:"awaited"` // the target did not have it
	// Made is the external id under which this run was making the record when
	// its worker died.
	Made string `db:"made"`
	// Begun are the fields that this run was changing when its worker died.
	Begun json.RawMessage `db:"begun"`
	// Unheard is when something was last sent of which nothing was heard since,
	// Sent the digest of it, "several" of different content.
	Unheard sql.NullTime `db:"unheard"`
	Sent    string       `db:"sent"`
}

// Known looks up records by their ids in the source, in one round trip. Writes
// older than linger count as landed or lost.
func (s *Store) Known(ctx context.Context, run string, side string, ids []string, linger time.Duration) (map[string]Known, error) {
	known := make(map[string]Known, len(ids))
	if len(ids) == 0 {
		return known, nil
	}
	// OFFSET 0: record by record, also before there are statistics (settleWrites).
	var rows []Known
	err := s.db.SelectContext(ctx, &rows, `
SELECT u.id AS external_id, s.job IS NOT NULL AS synced, coalesce(b.target_id, '') AS target_id, coalesce(b.xid, '') AS xid,
       coalesce(b.no_export, false) AS no_export, coalesce(b.status = 'deleted_in_target', false) AS gone,
       coalesce(s.source_seen, '') AS source_seen, coalesce(s.target_seen, '') AS target_seen,
       coalesce(s.snapshot, '{}') AS snapshot, coalesce(s.mapping_version, 0) AS mapping_version,
       EXISTS (SELECT FROM parked p WHERE (p.connection, p.kind, p.external_id, p.job) = (j.source, j.kind, u.id, j.name) AND p.state = 'open') AS parked,
       EXISTS (SELECT FROM awaited a WHERE (a.job, a.external_id) = (j.name, u.id)) AS awaited,
       CASE WHEN own.op = 'create' AND own.state IN ('intent', 'done') THEN own.xid ELSE '' END AS made,
       CASE WHEN own.op = 'update' AND own.state = 'intent' THEN own.after ELSE '{}' END AS begun, lost.at AS unheard, coalesce(lost.digest, '') AS sent
FROM run r JOIN job j ON j.name = r.job
CROSS JOIN unnest($3::text[]) AS u(id)
LEFT JOIN LATERAL (SELECT * FROM synced WHERE (job, external_id) = (j.name, u.id) OFFSET 0) s ON true
LEFT JOIN LATERAL (SELECT * FROM binding WHERE (connection, kind, external_id) = (j.source, j.binds, u.id) OFFSET 0) b ON b.target = j.target
LEFT JOIN LATERAL (
    SELECT op, state, xid, after FROM change WHERE (run, side, external_id) = (r.id, $2, u.id) OFFSET 0) own ON true
LEFT JOIN LATERAL (
    SELECT max(c.at) AS at, CASE WHEN count(DISTINCT c.digest) = 1 THEN min(c.digest) ELSE 'several' END AS digest FROM change c
    WHERE (c.connection, c.kind, c.external_id, c.state, c.side) = (j.source, j.binds, u.id, 'intent', $2) AND c.at > now() - $4 * interval '1 millisecond'
    HAVING count(*) > 0
) lost ON true
WHERE r.id = $1`, run, side, textArray(ids), linger.Milliseconds())
	for _, r := range rows {
		known[r.ExternalID] = r
	}
	return known, translate(err)
}

// ofRecords leaves out what orders know records by besides their ids: one
// customer is bound as "shopid:7" and as "email:a@b.c", an item without a variant
// as "sku:A-1". No record of the shop is called so.
const ofRecords = `NOT (b.external_id ~ '^(email|company|order|sku|barcode|custom):' AND b.connection IN (SELECT source FROM flow))`

// ExternalIDs gives the source's records that some of the target's are bound to.
func (s *Store) ExternalIDs(ctx context.Context, j Job, targetIDs []string) (map[string]string, error) {
	var rows []struct {
		TargetID   string `db:"target_id"`
		ExternalID string `db:"external_id"`
	}
	err := s.db.SelectContext(ctx, &rows, `
SELECT DISTINCT ON (b.target_id) b.target_id, b.external_id FROM binding b
LEFT JOIN synced s ON s.job = $4 AND s.external_id = b.external_id
WHERE b.target = $2 AND b.kind = $3 AND b.target_id = ANY($5::text[]) AND b.connection = $1 AND b.status = 'active' AND `+ofRecords+`
ORDER BY b.target_id, s.job IS NULL, b.external_id`, j.Source, j.Target, j.BoundAs(), j.Name, textArray(targetIDs))
	ids := make(map[string]string, len(rows))
	for _, r := range rows {
		ids[r.TargetID] = r.ExternalID
	}
	return ids, translate(err)
}

// References gives what records of one connection, of a kind, are in another:
// the way references between records are written.
func (s *Store) References(ctx context.Context, from, to string, kind record.Kind, ids []string, back bool) (map[string]string, error) {
	query := `SELECT external_id AS a, target_id AS b FROM binding WHERE connection = $1 AND target = $2 AND kind = $3 AND external_id = ANY($4::text[]) AND status = 'active'`
	if back {
		query = `SELECT target_id AS a, min(external_id) AS b FROM binding b
WHERE connection = $2 AND target = $1 AND kind = $3 AND target_id = ANY($4::text[]) AND status = 'active' AND ` + ofRecords + ` GROUP BY 1`
	}
	var rows []struct {
		A string `db:"a"`
		B string `db:"b"`
	}
	err := s.db.SelectContext(ctx, &rows, query, from, to, kind, textArray(ids))
	found := make(map[string]string, len(rows))
	for _, r := range rows {
		found[r.A] = r.B
	}
	return found, translate(err)
}

// ParkedDue gives records of a job that are to be looked at though nothing in
// them may have changed: those that are parked and may be tried again, each time
// after twice as long, a day at most; those about which somebody decided; and the
// awaited ones that the job's run has taken (TakeAwaited).
//
// What was parked since the run began waits for the next one, but for unknown
// references: what they refer to may have come on a later page.
func (s *Store) ParkedDue(ctx context.Context, j Job, since time.Time, after string, limit int) (ids []string, err error) {
	err = s.db.SelectContext(ctx, &ids, `
(SELECT external_id FROM parked
WHERE connection = $1 AND kind = $2 AND job = $3 AND state = 'open' AND external_id > $4
  AND (last_at < $6 AND last_at + least(30 * power(2, least(times, 20)), 86400) * interval '1 second' < now()
       OR code IN ('sync.unknown_reference', 'sync.stands_in') AND (times = 1 OR last_at >= $6))
ORDER BY external_id LIMIT $5)
UNION (SELECT external_id FROM conflict WHERE job = $3 AND decision IS NOT NULL AND external_id > $4 GROUP BY external_id ORDER BY external_id LIMIT $5)
UNION (SELECT a.external_id FROM run r JOIN awaited a ON a.run = r.id
    WHERE r.job = $3 AND r.status = 'running' AND a.due_at <= r.started_at AND a.external_id > $4 ORDER BY a.external_id LIMIT $5)
ORDER BY external_id LIMIT $5`, j.Source, j.Kind, j.Name, after, limit, since)
	return ids, translate(err)
}

// ChangeIDs gives the records of which a run has changes in one of the states,
// page by page.
func (s *Store) ChangeIDs(ctx context.Context, run string, states []string, after string, limit int) (ids []string, err error) {
	// Side by side, as the key has them: a page must not read all of a plan.
	const ofSide = `SELECT external_id FROM change WHERE run = $1 AND state = ANY($2::text[]) AND external_id > $3`
	err = s.db.SelectContext(ctx, &ids, `
(`+ofSide+` AND side = 'source' ORDER BY external_id LIMIT $4) UNION (`+ofSide+` AND side = 'target' ORDER BY external_id LIMIT $4)
ORDER BY external_id LIMIT $4`, run, pq.Array(states), after, limit)
	return ids, translate(err)
}

const changeColumns = `side, external_id, op, record_id, xid, label, before, after, digest, cause, state, note, fence, at`

// Changes gives changes of a run: those of the records named, or the first ones
// after a record where none is.
func (s *Store) Changes(ctx context.Context, run string, ids []string, after string, limit int) (all []Change, err error) {
	which := `side IN ('source', 'target') AND external_id = ANY($2::text[])`
	if ids == nil {
		which = `$2::text[] IS NULL`
	}
	err = s.db.SelectContext(ctx, &all, `
SELECT `+changeColumns+` FROM change WHERE run = $1 AND `+which+` AND external_id > $3 ORDER BY external_id, side LIMIT $4`, run, pq.Array(ids), after, limit)
	return all, translate(err)
}

// PageIDs gives the ids of the records that the lanes of a run held.
func (s *Store) PageIDs(ctx context.Context, run string, first, last int, each func(id string)) error {
	rows, err := s.db.QueryContext(ctx, `SELECT ids FROM run_page WHERE run = $1 AND lane BETWEEN $2 AND $3`, run, first, last)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var ids string
		if err := rows.Scan(&ids); err != nil {
			return translate(err)
		}
		for id := range strings.SplitSeq(ids, "\n") {
			if id != "" {
				each(asJoined.from.Replace(id))
			}
		}
	}
	return translate(rows.Err())
}

// ConflictsOf gives the conflicts of some records of a job.
func (s *Store) ConflictsOf(ctx context.Context, job string, ids []string) (all []Conflict, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT job, external_id, field, record_id, base, source, target, decision, decided_by, reason, since FROM conflict
WHERE job = $1 AND external_id = ANY($2::text[]) ORDER BY external_id, field`, job, textArray(ids))
	return all, translate(err)
}

// SentAgain notes that open changes of a run are sent once more.
func (s *Store) SentAgain(ctx context.Context, run string, ids []string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE change SET at = now() WHERE run = $1 AND external_id = ANY($2::text[]) AND state = 'intent'`, run, textArray(ids))
	return translate(err)
}
