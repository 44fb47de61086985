package store

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/jmoiron/sqlx"

	"towpath/schema/record"
)

// Heir is a record of a source that stands in the place of another one, which its
// source does not have any more.
type Heir struct {
	ExternalID string `json:"external_id"`
	From       string `json:"from"`
	TargetID   string `json:"target_id"`
}

// Bequeath hands what the book knows of records on to those that stand in their
// place: their counterparts, and what both sides held when they were last in step,
// of all jobs that go by the same binding. Should one come back, it is another
// record.
//
// Faults: object.superseded (Conflict) when one of them is bound otherwise by now, or
// left out by a person: then nothing is done.
func (s *Store) Bequeath(ctx context.Context, j Job, sourceModel string, heirs []Heir) error {
	if len(heirs) == 0 {
		return nil
	}
	rows, err := json.Marshal(heirs)
	if err != nil {
		return err
	}
	var needs, bound []string
	for _, h := range heirs {
		needs, bound = append(needs, Need(j.Source, j.BoundAs(), h.ExternalID)), append(bound, NeedOf(j.Source, sourceModel, h.ExternalID))
	}
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockAll(ctx, tx, needs...); err != nil {
			return err
		}
		const (
			heir = ` jsonb_to_recordset($4::jsonb) AS h(external_id text, "from" text, target_id text) `
			mine = ` (j.source, j.binds, j.target) = ($1, $2, $3) `
		)
		if _, err := tx.ExecContext(ctx, `DELETE FROM binding b USING`+heir+`WHERE (b.connection, b.kind, b.target, b.external_id) = ($1, $2, $3, h.external_id) AND b.target_id = ''`,
			j.Source, j.BoundAs(), j.Target, string(rows)); err != nil {
			return err
		}
		moved, err := tx.ExecContext(ctx, `
UPDATE binding b SET external_id = h.external_id, external_sku = NULL, external_name = NULL, updated_at = now() FROM`+heir+`
WHERE (b.connection, b.kind, b.target, b.external_id, b.target_id) = ($1, $2, $3, h."from", h.target_id) AND b.status = 'active' AND NOT b.no_export
  AND NOT EXISTS (SELECT FROM binding o WHERE (o.connection, o.kind, o.target, o.external_id) = ($1, $2, $3, h.external_id))`,
			j.Source, j.BoundAs(), j.Target, string(rows))
		if err != nil {
			return err
		}
		if n, err := moved.RowsAffected(); err != nil || n != int64(len(heirs)) {
			return cmp.Or(err, error(Superseded()))
		}
		for _, query := range []string{
			`UPDATE synced s SET external_id = h.external_id FROM job j,` + heir + `
			 WHERE s.job = j.name AND` + mine + `AND (s.external_id, s.target_id) = (h."from", h.target_id)
			   AND NOT EXISTS (SELECT FROM synced o WHERE (o.job, o.external_id) = (s.job, h.external_id))`,
			`DELETE FROM synced s USING job j,` + heir + `WHERE s.job = j.name AND` + mine + `AND s.external_id = h."from"`,
			`DELETE FROM conflict c USING job j,` + heir + `WHERE c.job = j.name AND` + mine + `AND c.external_id = h."from"`,
		} {
			if _, err := tx.ExecContext(ctx, query, j.Source, j.BoundAs(), j.Target, string(rows)); err != nil {
				return err
			}
		}
		for _, h := range heirs {
			if err := ifItComesBack(ctx, tx, j, h.From); err != nil {
				return err
			}
			if err := note(ctx, tx, j.Name, h.ExternalID, "tied", "towpath", "to "+h.TargetID+" in the place of "+h.From+", which the source does not have any more"); err != nil {
				return err
			}
		}
		if err := release(ctx, tx, j, bound); err != nil {
			return err
		}
		_, err = wake(ctx, tx, needs...)
		return err
	})
}

// ifItComesBack has a record that comes back made under an external id of its own: the one
// that it had belongs to its heir's counterpart.
func ifItComesBack(ctx context.Context, tx *sqlx.Tx, j Job, externalID string) error {
	_, err := tx.ExecContext(ctx, `
INSERT INTO claim AS c (target, kind, match_key, xid) VALUES ($1, $2, $3, $4 || '.again')
ON CONFLICT (target, kind, match_key) DO UPDATE SET xid = c.xid || '.again', target_id = NULL, matched = false, making = false`,
		j.Target, j.BoundAs(), j.Source+"/"+externalID, record.XID(j.Source, string(j.BoundAs()), externalID))
	return err
}
