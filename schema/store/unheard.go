package store

import (
	"context"
	"encoding/json"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Supersede takes records of a run that has ended away from whoever may still
// work for it: what it has not sent by now it sends never.
func (s *Store) Supersede(ctx context.Context, run string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		j, err := jobOfRun(ctx, tx, run)
		if err != nil {
			return err
		}
		_, err = raiseFences(ctx, tx, j, ids)
		return err
	})
}

// EndIntents ends open changes of a run that has ended, by what their records
// were found to hold. A state of intent leaves one open and keeps the note.
func (s *Store) EndIntents(ctx context.Context, run string, found []Wrote) error {
	if len(found) == 0 {
		return nil
	}
	rows, err := json.Marshal(found)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `
UPDATE change c SET state = w.state, record_id = coalesce(nullif(w.record_id, ''), c.record_id), note = coalesce(w.note, '')
FROM jsonb_to_recordset($2::jsonb) AS w(side text, external_id text, state text, record_id text, note text), run r
WHERE r.id = $1 AND r.status <> 'running' AND (c.run, c.side, c.external_id) = ($1, w.side, w.external_id) AND c.state = 'intent'`, run, string(rows))
	return translate(err)
}

// WrittenLater gives what later runs of a run's job wrote to some of its records,
// in the order in which they did; undoing is no writing.
func (s *Store) WrittenLater(ctx context.Context, run string, ids []string) ([]ChangeOf, error) {
	return s.changesBy(ctx, `r.job = b.job AND r.started_at > b.started_at AND r.purpose <> 'undo'`, run, ids)
}

// PutBack gives what runs that undid a run put back of some of its records, in
// the order in which they did.
func (s *Store) PutBack(ctx context.Context, run string, ids []string) ([]ChangeOf, error) {
	return s.changesBy(ctx, `r.base_run = b.id AND r.purpose = 'undo' AND r.status <> 'running'`, run, ids)
}

// changesBy gives what the runs that are so related to another, b, have written.
func (s *Store) changesBy(ctx context.Context, related, run string, ids []string) (all []ChangeOf, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT c.side, c.external_id, c.op, c.record_id, c.xid, c.label, c.before, c.after, c.digest, c.cause, c.state, c.note, c.fence, c.at,
       c.run, r.purpose, c.at AS changed_at
FROM run b JOIN run r ON `+related+` JOIN change c ON c.run = r.id AND c.side IN ('source', 'target') AND c.external_id = ANY($2::text[])
WHERE b.id = $1 AND c.state = 'done' ORDER BY r.started_at, c.side`, run, pq.Array(ids))
	return all, translate(err)
}
