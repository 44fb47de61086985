package store

import (
	"context"
	"time"

	"github.com/lib/pq"
	"github.com/shopspring/decimal"
)

// PlanSummary says what the changes of a run come to: of a plan what would be
// written, of another run what was.
type PlanSummary struct {
	Totals []PlanTotal `json:"totals"`
	Fields []PlanField `json:"fields"`
}

// PlanTotal counts changes of one kind.
type PlanTotal struct {
	Side  string `db:"side" json:"side"`
	Op    string `db:"op" json:"op"`
	Cause string `db:"cause" json:"cause"`
	State string `db:"state" json:"state"`
	N     int64  `db:"n" json:"n"`
}

// PlanField counts how many changes write a field. Of a field that holds
// numbers it sums them up, before and after, over all changes that write it: a
// record that is made held nothing before.
type PlanField struct {
	Side    string          `db:"side" json:"side"`
	Field   string          `db:"field" json:"field"`
	Updates int64           `db:"updates" json:"updates"` // of records that are there
	All     int64           `db:"all_of_it" json:"all"`   // and of those that are made
	Number  bool            `db:"number" json:"number"`
	Before  decimal.Decimal `db:"before" json:"before"`
	After   decimal.Decimal `db:"after" json:"after"`
}

// Swing is how much the sum of a field of numbers changes.
func (f PlanField) Swing() decimal.Decimal { return f.After.Sub(f.Before) }

// PlanSummary sums the changes of a run up.
func (s *Store) PlanSummary(ctx context.Context, run string) (p PlanSummary, err error) {
	if err := s.db.SelectContext(ctx, &p.Totals, `
SELECT side, op, cause, state, count(*) AS n FROM change WHERE run = $1 GROUP BY side, op, cause, state ORDER BY side DESC, n DESC, op, cause, state`, run); err != nil {
		return p, translate(err)
	}
	err = s.db.SelectContext(ctx, &p.Fields, `
SELECT c.side, f.key AS field, count(*) FILTER (WHERE c.op = 'update') AS updates, count(*) AS all_of_it,
       coalesce(bool_or('number' IN (jsonb_typeof(f.value), jsonb_typeof(c.before->f.key))), false) AS number,
       coalesce(sum(CASE WHEN jsonb_typeof(c.before->f.key) = 'number' THEN (c.before->>f.key)::numeric END), 0) AS before,
       coalesce(sum(CASE WHEN jsonb_typeof(f.value) = 'number' THEN (c.after->>f.key)::numeric END), 0) AS after
FROM change c, jsonb_each(c.after) f WHERE c.run = $1 GROUP BY c.side, f.key ORDER BY c.side DESC, updates DESC, all_of_it DESC, f.key`, run)
	return p, translate(err)
}

// ChangeAt is the place of a change in the changes of its run.
type ChangeAt struct{ ExternalID, Side string }

// Place is where the change stands.
func (c Change) Place() ChangeAt { return ChangeAt{ExternalID: c.ExternalID, Side: c.Side} }

// ChangesIn gives changes of a run that are in one of the states (all, where
// none is named) behind a place, in the order of their records.
func (s *Store) ChangesIn(ctx context.Context, run string, states []string, after ChangeAt, limit int) (all []Change, err error) {
	// Side by side, as the key has them: a page must not read all of a plan.
	const ofSide = `SELECT ` + changeColumns + ` FROM change
WHERE run = $1 AND ($2::text[] IS NULL OR state = ANY($2::text[])) AND external_id >= $3 AND (external_id, side) > ($3, $4)`
	err = s.db.SelectContext(ctx, &all, `
(`+ofSide+` AND side = 'source' ORDER BY external_id LIMIT $5) UNION ALL (`+ofSide+` AND side = 'target' ORDER BY external_id LIMIT $5)
ORDER BY external_id, side LIMIT $5`, run, pq.Array(states), after.ExternalID, after.Side, limit)
	return all, translate(err)
}

// Noted gives changes of a run of which something is to be told to a person:
// what an undo left, or put back only in part.
func (s *Store) Noted(ctx context.Context, run string, limit int) (all []Change, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT `+changeColumns+` FROM change
WHERE run = $1 AND (state IN ('left', 'refused') OR note <> '') ORDER BY external_id, side LIMIT $2`, run, limit)
	return all, translate(err)
}

// Approval is how far a plan was carried out.
type Approval struct {
	Planned int64 `db:"planned"`
	Done    int64 `db:"done"` // of them, exactly as planned, by whichever run
}

// Approval tells how much of a plan was carried out already.
func (s *Store) Approval(ctx context.Context, plan string) (a Approval, err error) {
	err = s.db.GetContext(ctx, &a, `
SELECT count(*) AS planned, count(*) FILTER (WHERE EXISTS (
    SELECT FROM change d JOIN run r ON r.id = d.run
    WHERE r.base_run = p.run AND r.purpose = 'approve' AND (d.side, d.external_id, d.op, d.digest, d.state) = (p.side, p.external_id, p.op, p.digest, 'done')
)) AS done
FROM change p WHERE p.run = $1 AND p.state = 'planned'`, plan)
	return a, translate(err)
}

// UndoneBy gives the newest run that put back what another wrote, "" for none.
// all says that nothing of it is left to be put back.
func (s *Store) UndoneBy(ctx context.Context, run string) (by string, all bool, err error) {
	var row struct {
		By  string `db:"by"`
		All bool   `db:"all_of_it"`
	}
	err = s.db.GetContext(ctx, &row, `
WITH undone AS (
    SELECT c.side, c.external_id, r.id, r.started_at FROM run r JOIN change c ON c.run = r.id
    WHERE r.base_run = $1 AND r.purpose = 'undo' AND c.state = 'done' AND c.note = '' -- a note says what was left
)
SELECT coalesce((SELECT id FROM undone ORDER BY started_at DESC LIMIT 1), '') AS by, NOT EXISTS (
    SELECT FROM change d WHERE d.run = $1 AND d.state IN ('done', 'intent')
      AND NOT EXISTS (SELECT FROM undone u WHERE (u.side, u.external_id) = (d.side, d.external_id))) AS all_of_it`, run)
	return row.By, row.All && row.By != "", translate(err)
}

// ChangeOf is a change of a record with the run that it belongs to.
type ChangeOf struct {
	Change
	Run     string    `db:"run"`
	Purpose string    `db:"purpose"`
	When    time.Time `db:"changed_at"`
}

// ChangesOf gives the newest changes of one record, over all runs of a job,
// newest first.
func (s *Store) ChangesOf(ctx context.Context, job, externalID string, limit int) (all []ChangeOf, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT c.side, c.external_id, c.op, c.record_id, c.xid, c.label, c.before, c.after, c.digest, c.cause, c.state, c.note, c.fence, c.at,
       c.run, r.purpose, c.at AS changed_at
FROM run r JOIN change c ON c.run = r.id AND c.side IN ('source', 'target') AND c.external_id = $2
WHERE r.job = $1 ORDER BY c.at DESC, c.side LIMIT $3`, job, externalID, limit)
	return all, translate(err)
}

// SyncedIn gives what the book says of a record in a job: in step or not, bound
// or not.
type SyncedIn struct {
	Known
	At  *time.Time `db:"at"`  // when both sides were last in step
	Run string     `db:"run"` // that saw to it
	// Parked needs a person, or another time; nil: it does not.
	ParkedAs *ParkedAs `db:"-"`
}

// ParkedAs says why a record is parked.
type ParkedAs struct {
	Code       string    `db:"code"`
	Message    string    `db:"message"`
	Resolution string    `db:"resolution"`
	Field      string    `db:"field"`
	Times      int       `db:"times"`
	Since      time.Time `db:"since"`
	LastAt     time.Time `db:"last_at"`
}

// SyncedIn looks one record of a job up. known is false where nothing was ever
// noted of it.
func (s *Store) SyncedIn(ctx context.Context, j Job, externalID string) (in SyncedIn, known bool, err error) {
	err = s.db.GetContext(ctx, &in, `
SELECT $4 AS external_id, s.job IS NOT NULL AS synced, coalesce(nullif(b.target_id, ''), s.target_id, '') AS target_id, coalesce(b.xid, '') AS xid,
       coalesce(b.no_export, false) AS no_export, coalesce(b.status = 'deleted_in_target', false) AS gone,
       coalesce(s.snapshot, '{}') AS snapshot, coalesce(s.mapping_version, 0) AS mapping_version, s.at, coalesce(s.run, '') AS run
FROM (VALUES (1)) AS one(row)
LEFT JOIN synced s ON s.job = $5 AND s.external_id = $4
LEFT JOIN binding b ON (b.connection, b.kind, b.external_id, b.target) = ($1, $2, $4, $3)`, j.Source, j.BoundAs(), j.Target, externalID, j.Name)
	if err != nil {
		return in, false, translate(err)
	}
	var parked []ParkedAs
	if err := s.db.SelectContext(ctx, &parked, `
SELECT code, message, resolution, field, times, since, greatest(since, last_at) AS last_at FROM parked -- '-infinity': due again
WHERE connection = $1 AND kind = $2 AND external_id = $3 AND job = $4 AND state = 'open'`, j.Source, j.Kind, externalID, j.Name); err != nil {
		return in, false, translate(err)
	}
	if len(parked) > 0 {
		in.ParkedAs = &parked[0]
	}
	return in, in.Synced || in.TargetID != "" || in.NoExport || in.Gone || in.ParkedAs != nil, nil
}

// JobsFrom gives the jobs that carry records of a kind out of a connection.
func (s *Store) JobsFrom(ctx context.Context, connection, kind string) (all []Job, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT name, source, target, kind, binds, spec, revision, active, watermark, watermark_back FROM job WHERE source = $1 AND kind = $2 ORDER BY name`, connection, kind)
	return all, translate(err)
}

// InStepWith gives, of some of the target's records, those that a job keeps in step
// with a record of its source, and which.
func (s *Store) InStepWith(ctx context.Context, job string, targetIDs []string) (map[string]string, error) {
	var rows []struct {
		TargetID   string `db:"target_id"`
		ExternalID string `db:"external_id"`
	}
	err := s.db.SelectContext(ctx, &rows, `
SELECT DISTINCT ON (target_id) target_id, external_id FROM synced WHERE job = $1 AND target_id = ANY($2::text[]) ORDER BY target_id, at, external_id`,
		job, textArray(targetIDs))
	holders := make(map[string]string, len(rows))
	for _, r := range rows {
		holders[r.TargetID] = r.ExternalID
	}
	return holders, translate(err)
}

// SyncedTargets gives the target's records that a job keeps in step.
func (s *Store) SyncedTargets(ctx context.Context, job string, each func(id string)) error {
	rows, err := s.db.QueryContext(ctx, `SELECT target_id FROM synced WHERE job = $1`, job)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return translate(err)
		}
		each(id)
	}
	return translate(rows.Err())
}
