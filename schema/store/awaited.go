package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/jmoiron/sqlx"
)

// Awaited is a record that was left alone since the target does not have it,
// and its job does not make it, or that referred to one in whose place another
// stands. It needs nobody; it is looked at again when one
// of its needs is bound, and now and then: after as long as it has waited, but
// five minutes at least and a day at most.
type Awaited struct {
	ExternalID string   `json:"external_id"`
	Needs      []string `json:"needs"` // as NeedOf names them
}

// NeedOf names a record of a connection that another one refers to.
func NeedOf(connection, model, id string) string { return connection + "/" + model + ":" + id }

// mostAwaited is how many awaited records one run looks for. A stock of which a
// hundred thousand levels are not sold costs each run as much as one of a
// thousand.
const mostAwaited = 1000

// TakeAwaited chooses the awaited records that a run looks for: those whose
// cause is gone first, then those that are due longest. Asked again it chooses no more
// than were left to choose.
func (s *Store) TakeAwaited(ctx context.Context, run string) error {
	_, err := s.db.ExecContext(ctx, `
WITH due AS (
    SELECT a.job, a.external_id FROM run r JOIN awaited a ON a.job = r.job
    WHERE r.id = $1 AND a.due_at <= r.started_at AND a.run <> r.id
    ORDER BY a.due_at LIMIT greatest($2 - (SELECT count(*) FROM awaited WHERE run = $1), 0)
), locked AS (
    SELECT a.job, a.external_id FROM awaited a JOIN due USING (job, external_id) ORDER BY 1, 2 FOR UPDATE OF a
)
UPDATE awaited a SET run = $1 FROM locked l WHERE (a.job, a.external_id) = (l.job, l.external_id)`, run, mostAwaited)
	return translate(err)
}

// putAwaited remembers what the page did not find, and forgets what it found or
// parked: parked records come again by themselves, too.
func putAwaited(ctx context.Context, tx *sqlx.Tx, j Job, p Page) error {
	over := slices.Clone(p.Clear)
	for _, r := range p.Parked {
		over = append(over, r.ExternalID)
	}
	still := make(map[string]bool, len(p.Awaited))
	for _, a := range p.Awaited {
		still[a.ExternalID] = true
	}
	over = slices.DeleteFunc(over, func(id string) bool { return still[id] })
	if len(over) > 0 {
		if _, err := tx.ExecContext(ctx, `DELETE FROM awaited WHERE job = $1 AND external_id = ANY($2::text[])`, j.Name, textArray(over)); err != nil {
			return err
		}
	}
	if len(p.Awaited) == 0 {
		return nil
	}
	rows, err := json.Marshal(p.Awaited)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
INSERT INTO awaited AS a (job, external_id, needs, due_at, run)
SELECT DISTINCT ON (r.external_id) $1, r.external_id, coalesce(r.needs, '{}'), now() + interval '5 minutes', $2
FROM jsonb_to_recordset($3::jsonb) AS r(external_id text, needs text[]) ORDER BY r.external_id
ON CONFLICT (job, external_id) DO UPDATE SET needs = excluded.needs, run = excluded.run,
    due_at = now() + least(greatest(now() - a.since, interval '5 minutes'), interval '1 day')`, j.Name, p.Run, string(rows))
	return err
}

// release makes records due that waited for one that is bound now, between the
// same systems. One that is being looked for meanwhile comes once more soon.
func release(ctx context.Context, tx *sqlx.Tx, j Job, needs []string) error {
	_, err := tx.ExecContext(ctx, `
WITH freed AS (
    SELECT a.job, a.external_id FROM awaited a JOIN job o ON o.name = a.job
    WHERE a.needs && $3::text[] AND ((o.source, o.target) = ($1, $2) OR (o.source, o.target) = ($2, $1))
    ORDER BY 1, 2 FOR UPDATE OF a
)
UPDATE awaited a SET due_at = '-infinity', since = now() FROM freed f WHERE (a.job, a.external_id) = (f.job, f.external_id)`,
		j.Source, j.Target, textArray(needs))
	return err
}

// lookAtReferrers makes the records of other jobs due that referred to records of
// the target in whose place others stand now: they are to refer to these, and may
// have been deleted with them. An id of another model that is the same costs a look.
func lookAtReferrers(ctx context.Context, tx *sqlx.Tx, j Job, were []string) error {
	if len(were) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
WITH referring AS (
    SELECT s.job, s.external_id FROM job o JOIN synced s ON s.job = o.name
    WHERE o.target = $1 AND o.name <> $2
      AND EXISTS (SELECT FROM jsonb_each(s.snapshot->'t') f JOIN unnest($3::text[]) AS u(was) ON f.value = to_jsonb(u.was))
    ORDER BY 1, 2 FOR UPDATE OF s
), unseen AS (
    UPDATE synced s SET source_seen = '' FROM referring r WHERE (s.job, s.external_id) = (r.job, r.external_id)
)
INSERT INTO awaited AS a (job, external_id, due_at) SELECT job, external_id, '-infinity' FROM referring
ON CONFLICT (job, external_id) DO UPDATE SET due_at = '-infinity', since = now()`, j.Target, j.Name, textArray(were))
	return err
}
