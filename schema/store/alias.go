package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"towpath/schema/fault"
)

// Aliases gives the names by which records in conflict may be called outside of
// PostgreSQL, in the order of the ids: their own, or an alias where that may be
// personal data (promise 7). Ids of customers may be anything that people typed
// into a file; others may be e-mail addresses.
func (s *Store) Aliases(ctx context.Context, job string, ids []string) (names []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `
INSERT INTO record_alias (job, external_id)
SELECT j.name, u.id FROM job j CROSS JOIN unnest($2::text[]) AS u(id)
WHERE j.name = $1 AND (j.kind = 'customer' OR position('@' IN u.id) > 0)
  AND NOT EXISTS (SELECT FROM record_alias a WHERE (a.job, a.external_id) = (j.name, u.id))
ORDER BY u.id ON CONFLICT DO NOTHING`, job, textArray(ids)); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &names, `
SELECT coalesce(a.name, u.id) FROM unnest($2::text[]) WITH ORDINALITY AS u(id, n)
LEFT JOIN record_alias a ON (a.job, a.external_id) = ($1, u.id) ORDER BY u.n`, job, textArray(ids))
	})
	return names, err
}

// Aliased gives the own id of a record that may be called by an alias. A name
// that is none, or none any more, is given back.
func (s *Store) Aliased(ctx context.Context, job, name string) (id string, err error) {
	err = s.db.GetContext(ctx, &id, `SELECT coalesce((SELECT external_id FROM record_alias WHERE (job, name) = ($1, $2)), $2)`, job, name)
	return id, translate(err)
}

func noConflict(job string) *fault.Fault {
	return fault.New(fault.NotFound, "conflict.none", "no such field of this record waits for a decision").
		WithResolution("it may be settled; see: towpath sync conflicts %s", job)
}
