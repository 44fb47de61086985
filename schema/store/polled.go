package store

import (
	"context"
	"maps"
	"slices"

	"github.com/lib/pq"
)

// PolledStates gives the states, as told last, of those of the records that a
// polled connection is known to have.
func (s *Store) PolledStates(ctx context.Context, connection, model string, ids []int64) (map[int64]string, error) {
	var rows []struct {
		ID    int64  `db:"record_id"`
		State string `db:"state"`
	}
	if err := s.db.SelectContext(ctx, &rows, `
SELECT record_id, state FROM polled_record WHERE connection = $1 AND model = $2 AND record_id = ANY($3)`,
		connection, model, pq.Array(ids)); err != nil {
		return nil, translate(err)
	}
	states := make(map[int64]string, len(rows))
	for _, row := range rows {
		states[row.ID] = row.State
	}
	return states, nil
}

// NotePolled remembers records with their states, where they are not known.
func (s *Store) NotePolled(ctx context.Context, connection, model string, states map[int64]string) error {
	return s.putPolled(ctx, connection, model, states, `NOTHING`)
}

// KeepPolled remembers records with their states, known ones, too.
func (s *Store) KeepPolled(ctx context.Context, connection, model string, states map[int64]string) error {
	return s.putPolled(ctx, connection, model, states, `UPDATE SET state = excluded.state WHERE p.state <> excluded.state`)
}

func (s *Store) putPolled(ctx context.Context, connection, model string, states map[int64]string, known string) error {
	ids := slices.Sorted(maps.Keys(states)) // one locking order for all
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = states[id]
	}
	_, err := s.db.ExecContext(ctx, `
INSERT INTO polled_record AS p (connection, model, record_id, state)
SELECT $1, $2, u.id, u.state FROM unnest($3::bigint[], $4::text[]) AS u(id, state)
ON CONFLICT (connection, model, record_id) DO `+known, connection, model, pq.Array(ids), textArray(texts))
	return translate(err)
}

// PolledAfter gives known records in the order of their ids, at most limit.
func (s *Store) PolledAfter(ctx context.Context, connection, model string, after int64, limit int) (ids []int64, err error) {
	err = s.db.SelectContext(ctx, &ids, `
SELECT record_id FROM polled_record WHERE connection = $1 AND model = $2 AND record_id > $3 ORDER BY record_id LIMIT $4`,
		connection, model, after, limit)
	return ids, translate(err)
}

// CountPolled counts the known records.
func (s *Store) CountPolled(ctx context.Context, connection, model string) (n int64, err error) {
	err = s.db.GetContext(ctx, &n, `SELECT count(*) FROM polled_record WHERE connection = $1 AND model = $2`, connection, model)
	return n, translate(err)
}

// ForgetPolled forgets records that were deleted.
func (s *Store) ForgetPolled(ctx context.Context, connection, model string, ids []int64) error {
	_, err := s.db.ExecContext(ctx, `
DELETE FROM polled_record WHERE connection = $1 AND model = $2 AND record_id = ANY($3)`, connection, model, pq.Array(ids))
	return translate(err)
}

// ForgetUnpolled forgets the records of models that a connection is not polled
// for any more, and says how many. Where it is polled for none, how far it has
// been read is forgotten first: should it be polled again, that begins anew, with
// what there is then.
func (s *Store) ForgetUnpolled(ctx context.Context, connection string, polled []string) (total int64, err error) {
	if len(polled) == 0 {
		if _, err := s.db.ExecContext(ctx, `DELETE FROM event_cursor WHERE connection = $1`, connection); err != nil {
			return 0, translate(err)
		}
	}
	for ctx.Err() == nil {
		r, err := s.db.ExecContext(ctx, `
DELETE FROM polled_record WHERE ctid = ANY(ARRAY(SELECT ctid FROM polled_record WHERE connection = $1 AND model <> ALL($2::text[]) LIMIT 10000))`, connection, textArray(polled))
		if err != nil {
			return total, translate(err)
		}
		n, _ := r.RowsAffected()
		if total += n; n < 10000 {
			break
		}
	}
	return total, ctx.Err()
}
