package store

import (
	"context"
	"sort"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/record"
)

// Claim is one identity that many objects may need at once (protocol P2).
// All who claim one of its match keys share its external id, so however many
// create the record, it is created once.
type Claim struct {
	XID      string `db:"xid"`
	TargetID string `db:"target_id"` // empty while open
	Matched  bool   `db:"matched"`   // found in the target, not made by us
}

// Claim gives the identity that one of the match keys already has, or makes
// the wanted one; the other keys become its aliases. Keys that name two
// identities keep the first by key order.
func (s *Store) Claim(ctx context.Context, target string, kind record.Kind, matchKeys []string, wanted string) (Claim, error) {
	keys := append([]string(nil), matchKeys...)
	sort.Strings(keys) // one locking order for all contenders
	var c Claim
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		for _, k := range keys {
			if err := lockNeed(ctx, tx, "claim "+target+" "+string(kind)+" "+k); err != nil {
				return err
			}
		}
		var found []Claim
		if err := tx.SelectContext(ctx, &found, `
SELECT xid, coalesce(target_id, '') AS target_id, matched FROM claim
WHERE target = $1 AND kind = $2 AND match_key = ANY($3::text[]) ORDER BY created_at, match_key`,
			target, kind, pq.Array(keys)); err != nil {
			return err
		}
		c = Claim{XID: wanted}
		if len(found) > 0 {
			c = found[0]
		}
		if len(found) == len(keys) {
			return nil
		}
		_, err := tx.ExecContext(ctx, `
INSERT INTO claim (target, kind, match_key, xid, target_id, matched)
SELECT $1, $2, u, $4, nullif($5, ''), $6 FROM unnest($3::text[]) u ON CONFLICT DO NOTHING`,
			target, kind, pq.Array(keys), c.XID, c.TargetID, c.Matched)
		return err
	})
	return c, err
}

// Claimed closes a claim: its record is known. The first answer wins; the
// winner's is returned.
func (s *Store) Claimed(ctx context.Context, target string, kind record.Kind, xid, targetID string, matched bool) (Claim, error) {
	var c Claim
	err := s.db.GetContext(ctx, &c, `
WITH won AS (
    UPDATE claim SET target_id = $4, matched = $5 WHERE target = $1 AND kind = $2 AND xid = $3 AND target_id IS NULL
    RETURNING xid, target_id, matched
)
SELECT * FROM won UNION ALL
SELECT xid, target_id, matched FROM claim WHERE target = $1 AND kind = $2 AND xid = $3 AND target_id IS NOT NULL
LIMIT 1`, target, kind, xid, targetID, matched)
	return c, translate(err)
}

// Forget opens a claim and its bindings again: the record vanished from the
// target, so the next who needs it looks or creates anew.
func (s *Store) Forget(ctx context.Context, target string, kind record.Kind, targetID string) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE claim SET target_id = NULL, matched = false WHERE target = $1 AND kind = $2 AND target_id = $3`,
			target, kind, targetID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM binding WHERE target = $1 AND kind = $2 AND target_id = $3`, target, kind, targetID)
		return err
	})
}
