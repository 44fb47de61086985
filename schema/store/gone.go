package store

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"
)

// FindGone notes the records of a run's job that are in step by the book and
// that its lanes from first to last did not hold. Both lists are sorted, on disk
// where they are long, and compared once: a million records cost what they are
// many, and no worker holds them. It is done once the lanes are read to their end;
// done again it notes the same.
func (s *Store) FindGone(ctx context.Context, run string, first, last int) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `SELECT set_config('enable_hashagg', 'off', true)`); err != nil { // a hash of all would be held in memory
			return err
		}
		_, err := tx.ExecContext(ctx, `
INSERT INTO run_gone (run, external_id)
SELECT $1, gone.id FROM (
    SELECT s.external_id AS id FROM run r JOIN synced s ON s.job = r.job WHERE r.id = $1
    EXCEPT
    SELECT replace(replace(i.id, E'\x1b1', E'\n'), E'\x1b0', E'\x1b') FROM run_page p, unnest(string_to_array(p.ids, E'\n')) i(id) WHERE p.run = $1 AND p.lane BETWEEN $2 AND $3
) gone ON CONFLICT DO NOTHING`, run, first, last)
		return err
	})
}

// asJoined is how a page keeps the ids that it held: a line each. One that holds a line
// break itself, as a cell of a file may, has an escape in its place.
var asJoined = struct{ into, from *strings.Replacer }{
	into: strings.NewReplacer("\x1b", "\x1b0", "\n", "\x1b1"), from: strings.NewReplacer("\x1b0", "\x1b", "\x1b1", "\n"),
}

func joinIDs(ids []string) string {
	lines := make([]string, len(ids))
	for i, id := range ids {
		lines[i] = asJoined.into.Replace(id)
	}
	return strings.Join(lines, "\n")
}

// GoneIDs gives what FindGone noted, page by page.
func (s *Store) GoneIDs(ctx context.Context, run, after string, limit int) (ids []string, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		// In the order of the key: before there are statistics, sorting all that is left looks cheaper, page after page.
		if _, err := tx.ExecContext(ctx, `SELECT set_config(s, 'off', true) FROM unnest('{enable_seqscan,enable_bitmapscan,enable_sort}'::text[]) s`); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &ids, `SELECT external_id FROM run_gone WHERE run = $1 AND external_id > $2 ORDER BY external_id LIMIT $3`, run, after, limit)
	})
	return ids, err
}
