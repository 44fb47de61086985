package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// OpenConflict is a field that both sides changed, and when something happens
// about it if nobody decides.
type OpenConflict struct {
	Conflict
	RemindAt  sql.NullTime `db:"remind_at"`
	DueAt     sql.NullTime `db:"due_at"`
	DecidedAt sql.NullTime `db:"decided_at"`
}

const conflictColumns = `job, external_id, field, record_id, base, source, target, decision, decided_by, reason, since, remind_at, due_at, decided_at`

// Conflicts gives the fields of a job that both sides changed, the oldest
// first: those of one record, or of all where none is named. The decided ones
// are among them until a run has carried the decision out.
func (s *Store) Conflicts(ctx context.Context, job, externalID string, limit int) (all []OpenConflict, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT `+conflictColumns+` FROM conflict WHERE job = $1 AND $2 IN ('', external_id) ORDER BY since, external_id, field LIMIT $3`, job, externalID, limit)
	return all, translate(err)
}

// AnyConflict says whether fields of a job's records are in conflict, decided or not.
func (s *Store) AnyConflict(ctx context.Context, job string) (found bool, err error) {
	err = s.db.GetContext(ctx, &found, `SELECT EXISTS (SELECT FROM conflict WHERE job = $1)`, job)
	return found, translate(err)
}

// Deadline is what a job says of conflicts that nobody decides: after a time
// (0: never) they are reminded of, or decided.
type Deadline struct {
	Remind time.Duration
	Decide time.Duration
}

// WatchConflicts gives records of a job with fields that wait for a decision,
// those first that were longest not looked after, and notes when their people
// are to be reminded and when they are decided without them.
func (s *Store) WatchConflicts(ctx context.Context, job string, d Deadline, limit int) (ids []string, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `
UPDATE conflict c SET due_at = w.due, remind_at = w.remind
FROM (SELECT external_id, field, CASE WHEN $3 > 0 THEN since + $3 * interval '1 millisecond' END AS due,
          CASE WHEN remind_at > since THEN remind_at WHEN $2 > 0 THEN since + $2 * interval '1 millisecond' END AS remind
      FROM conflict WHERE job = $1 AND decision IS NULL) w
WHERE (c.job, c.external_id, c.field) = ($1, w.external_id, w.field) AND (c.due_at, c.remind_at) IS DISTINCT FROM (w.due, w.remind)`, job, d.Remind.Milliseconds(), d.Decide.Milliseconds()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
DELETE FROM record_alias a WHERE a.job = $1 AND NOT EXISTS (SELECT FROM conflict c WHERE (c.job, c.external_id) = (a.job, a.external_id))`, job); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &ids, `
WITH waiting AS (
    SELECT external_id, min(watched_at) AS watched, min(since) AS since, bool_or(watched_at IS NULL) AS fresh FROM conflict
    WHERE job = $1 AND decision IS NULL GROUP BY external_id ORDER BY fresh DESC, watched, since, external_id LIMIT $2
), noted AS (
    UPDATE conflict c SET watched_at = now() FROM waiting w WHERE c.job = $1 AND c.external_id = w.external_id
)
SELECT external_id FROM waiting ORDER BY external_id`, job, limit)
	})
	return ids, err
}

// Decision is what a person, or a deadline, says of a field in conflict.
type Decision struct {
	Field  string // "" is every field of the record that waits
	Side   string // source, target: whose value holds
	By     string
	Reason string
}

// Decide notes a decision, for the next run to carry it out, and in the
// record's journal. It gives the fields that it is about. A decision may be
// changed until it was carried out.
//
// Faults: conflict.none (NotFound).
func (s *Store) Decide(ctx context.Context, job, externalID string, d Decision) (fields []string, err error) {
	return s.decide(ctx, job, externalID, d, `($3 = field OR $3 = '' AND decision IS NULL)`)
}

// DecideDue carries out what the job says of fields whose deadline has passed.
// It gives those fields; none is no fault.
func (s *Store) DecideDue(ctx context.Context, job, externalID string, d Decision) (fields []string, err error) {
	fields, err = s.decide(ctx, job, externalID, d, `$3 IN ('', field) AND decision IS NULL AND due_at <= now()`)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return fields, err
}

func (s *Store) decide(ctx context.Context, job, externalID string, d Decision, which string) (fields []string, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := tx.SelectContext(ctx, &fields, `
UPDATE conflict SET decision = $4, decided_by = $5, reason = $6, decided_at = now() WHERE job = $1 AND external_id = $2 AND `+which+` RETURNING field`,
			job, externalID, d.Field, d.Side, d.By, d.Reason); err != nil {
			return err
		}
		if len(fields) == 0 {
			return noConflict(job)
		}
		for _, field := range fields {
			if err := note(ctx, tx, job, externalID, "decided", d.By, field+": "+d.Side+" ("+d.Reason+")"); err != nil {
				return err
			}
		}
		return nil
	})
	return fields, err
}

// note puts into the journal what a person did with a record of a job.
func note(ctx context.Context, tx *sqlx.Tx, job, externalID, what, by, text string) error {
	_, err := tx.ExecContext(ctx, `
INSERT INTO journal (connection, kind, external_id, epoch, fence, state, outcome, by, note, settled_at)
SELECT source, kind, $2, 0, 0, 'settled', $3, $4, name || ': ' || $5, now() FROM job WHERE name = $1`, job, externalID, what, by, text)
	return err
}

// Reminded notes that people were reminded of a record's conflicts, until the
// next time. It says how many fields wait.
func (s *Store) Reminded(ctx context.Context, job, externalID string, again time.Duration) (waiting int64, err error) {
	r, err := s.db.ExecContext(ctx, `
UPDATE conflict SET remind_at = now() + $3 * interval '1 millisecond' WHERE job = $1 AND external_id = $2 AND decision IS NULL`,
		job, externalID, again.Milliseconds())
	if err != nil {
		return 0, translate(err)
	}
	return r.RowsAffected()
}

// Untie lets a record and its counterpart go: the next run matches it anew, or
// makes it again. The record of the target is left as it is. known is false
// where nothing was bound.
func (s *Store) Untie(ctx context.Context, j Job, externalID, by, reason string) (targetID string, known bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		var found []string
		if err := tx.SelectContext(ctx, &found, `
SELECT coalesce(nullif(b.target_id, ''), s.target_id, '') FROM (VALUES (1)) AS one(row)
LEFT JOIN binding b ON (b.connection, b.kind, b.external_id, b.target) = ($1, $2, $3, $4)
LEFT JOIN synced s ON s.job = $5 AND s.external_id = $3 WHERE b.target_id IS NOT NULL OR s.job IS NOT NULL`,
			j.Source, j.BoundAs(), externalID, j.Target, j.Name); err != nil {
			return err
		}
		if known = len(found) > 0; !known {
			return nil
		}
		targetID = found[0]
		for _, query := range []string{
			`DELETE FROM claim c USING binding b WHERE (b.connection, b.kind, b.external_id, b.target) = ($1, $2, $3, $4) AND c.target = $4 AND c.kind = $2
			    AND (c.target_id = nullif(b.target_id, '') OR c.match_key = $1 || '/' || $3 OR c.xid = b.xid)`,
			`DELETE FROM claim WHERE target = $4 AND kind = $2 AND match_key = $1 || '/' || $3`,
			`UPDATE binding SET target_id = '', xid = NULL, status = 'left_out', updated_at = now() WHERE (connection, kind, external_id, target) = ($1, $2, $3, $4) AND no_export`,
			`DELETE FROM binding WHERE (connection, kind, external_id, target) = ($1, $2, $3, $4) AND NOT no_export`,
			// Another job between the same systems goes by the same binding.
			`DELETE FROM synced USING job j WHERE synced.job = j.name AND (j.source, j.binds, synced.external_id, j.target) = ($1, $2, $3, $4)`,
			`DELETE FROM conflict USING job j WHERE conflict.job = j.name AND (j.source, j.binds, conflict.external_id, j.target) = ($1, $2, $3, $4)`,
		} {
			if _, err := tx.ExecContext(ctx, query, j.Source, j.BoundAs(), externalID, j.Target); err != nil {
				return err
			}
		}
		// Its keys as well, and the record that it had adopted: they are another's, perhaps.
		if _, err := tx.ExecContext(ctx, `DELETE FROM claim WHERE target = $1 AND kind = $2 AND xid = $3`,
			j.Target, j.BoundAs(), record.XID(j.Source, string(j.BoundAs()), externalID)); err != nil {
			return err
		}
		if err := dueAgain(ctx, tx, j, externalID, "sync.untied", "it was untied from its record and waits for the next run"); err != nil {
			return err
		}
		return note(ctx, tx, j.Name, externalID, "untied", by, "from "+targetID+" ("+reason+")")
	})
	return targetID, known, err
}

// dueAgain makes the next run look at a record though nothing in it changed:
// parked records are read again by their ids, from the first second on.
func dueAgain(ctx context.Context, tx *sqlx.Tx, j Job, externalID, code, message string) error {
	_, err := tx.ExecContext(ctx, `
INSERT INTO parked (connection, kind, external_id, job, code, message, resolution, fingerprint, since, last_at)
VALUES ($1, $2, $3, $4, $5, $6, 'nothing; or run it now: towpath sync run ' || $4, $5, now(), '-infinity')
ON CONFLICT (connection, kind, external_id, job) WHERE state = 'open' DO UPDATE SET last_at = '-infinity'`,
		j.Source, j.Kind, externalID, j.Name, code, message)
	return err
}

// LeaveOut says that a record is not written to the job's target any more, or
// takes that back. What is there stays. changed is false where it was so.
func (s *Store) LeaveOut(ctx context.Context, j Job, externalID string, out bool, by, reason string) (changed bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		query, what, code := `
INSERT INTO binding (connection, kind, external_id, target, target_id, status, no_export, bound_by) VALUES ($1, $2, $3, $4, '', 'left_out', true, $5)
ON CONFLICT (connection, kind, external_id, target) DO UPDATE SET no_export = true, updated_at = now() WHERE NOT binding.no_export`, "left out", ""
		if !out {
			query, what, code = `
WITH bare AS (
    DELETE FROM binding WHERE (connection, kind, external_id, target) = ($1, $2, $3, $4) AND no_export AND target_id = '' RETURNING 1
), others AS (
    UPDATE binding SET no_export = false, updated_at = now()
    WHERE (connection, kind, external_id, target) = ($1, $2, $3, $4) AND no_export AND target_id <> '' AND $5 <> '' RETURNING 1
) SELECT FROM bare UNION ALL SELECT FROM others`, "taken in again", "sync.taken_in_again"
		}
		r, err := tx.ExecContext(ctx, query, j.Source, j.BoundAs(), externalID, j.Target, by)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if changed = n > 0; err != nil || !changed {
			return err
		}
		if code != "" {
			if err := dueAgain(ctx, tx, j, externalID, code, "it was taken in again and waits for the next run"); err != nil {
				return err
			}
		}
		return note(ctx, tx, j.Name, externalID, what, by, reason)
	})
	return changed, err
}
