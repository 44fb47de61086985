package store

import (
	"context"
	"slices"
	"sort"
	"time"

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
// the wanted one; the other keys become its aliases. When the keys name two
// identities, the older one counts; both keep their keys.
func (s *Store) Claim(ctx context.Context, target string, kind record.Kind, matchKeys []string, wanted string) (Claim, error) {
	keys := append([]string(nil), matchKeys...)
	sort.Strings(keys) // one locking order for all contenders
	keys = slices.Compact(keys)
	var c Claim
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = "claim " + target + " " + string(kind) + " " + k
		}
		if err := lockAll(ctx, tx, names...); err != nil {
			return err
		}
		const find = `
SELECT xid, coalesce(target_id, '') AS target_id, matched FROM claim
WHERE target = $1 AND kind = $2 AND match_key = ANY($3::text[]) ORDER BY created_at, match_key`
		var found []Claim
		if err := tx.SelectContext(ctx, &found, find, target, kind, textArray(keys)); err != nil {
			return err
		}
		if len(found) == len(keys) && len(found) > 0 {
			c = found[0]
			return nil
		}
		c = Claim{XID: wanted}
		if len(found) > 0 {
			// An alias copies the answer, so nobody may give it meanwhile.
			if err := lockXID(ctx, tx, target, found[0].XID); err != nil {
				return err
			}
			found = nil
			if err := tx.SelectContext(ctx, &found, find, target, kind, textArray(keys)); err != nil {
				return err
			}
			c = found[0]
		}
		_, err := tx.ExecContext(ctx, `
INSERT INTO claim (target, kind, match_key, xid, target_id, matched)
SELECT $1, $2, u, $4, nullif($5, ''), $6 FROM unnest($3::text[]) u ON CONFLICT DO NOTHING`,
			target, kind, textArray(keys), c.XID, c.TargetID, c.Matched)
		return err
	})
	return c, err
}

// Making notes, before it happens, that an open claim's record is made under its
// external id, since none was found.
func (s *Store) Making(ctx context.Context, target string, kind record.Kind, xid string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE claim SET making = true WHERE target = $1 AND kind = $2 AND xid = $3 AND target_id IS NULL AND NOT making`, target, kind, xid)
	return translate(err)
}

// Made tells of an open claim that somebody may have made its record meanwhile,
// or began to and died: a record that was found since then is that one.
func (s *Store) Made(ctx context.Context, target string, kind record.Kind, xid string) (made bool, err error) {
	err = s.db.GetContext(ctx, &made, `SELECT coalesce(bool_or(making), false) FROM claim WHERE target = $1 AND kind = $2 AND xid = $3`, target, kind, xid)
	return made, translate(err)
}

// NotMade takes Making back: the target has refused the record.
func (s *Store) NotMade(ctx context.Context, target string, kind record.Kind, xid string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE claim SET making = false WHERE target = $1 AND kind = $2 AND xid = $3 AND target_id IS NULL AND making`, target, kind, xid)
	return translate(err)
}

// Claimed closes a claim: its record is known. The first answer wins; the
// winner's is returned.
func (s *Store) Claimed(ctx context.Context, target string, kind record.Kind, xid, targetID string, matched bool) (Claim, error) {
	var c Claim
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockXID(ctx, tx, target, xid); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
UPDATE claim SET target_id = $4, matched = $5 WHERE target = $1 AND kind = $2 AND xid = $3 AND target_id IS NULL`,
			target, kind, xid, targetID, matched); err != nil {
			return err
		}
		return tx.GetContext(ctx, &c, `
SELECT xid, target_id, matched FROM claim WHERE target = $1 AND kind = $2 AND xid = $3 LIMIT 1`, target, kind, xid)
	})
	return c, err
}

// lockXID makes those who answer a claim and those who copy its answer wait
// for each other.
func lockXID(ctx context.Context, tx *sqlx.Tx, target, xid string) error {
	return lockAll(ctx, tx, "claimed "+target+" "+xid)
}

// Forget opens a claim and its bindings again: the record vanished from the
// target, so the next who needs it looks or creates anew.
func (s *Store) Forget(ctx context.Context, target string, kind record.Kind, targetID string) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE claim SET target_id = NULL, matched = false, making = false WHERE target = $1 AND kind = $2 AND target_id = $3`,
			target, kind, targetID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM binding WHERE target = $1 AND kind = $2 AND target_id = $3`, target, kind, targetID)
		return err
	})
}

// TakeKey gives a match key that somebody does not need any more to another
// record, and the claim as it is then: that of a third one, which was faster.
func (s *Store) TakeKey(ctx context.Context, target string, kind record.Kind, key string, old Claim, xid string) (Claim, error) {
	var c Claim
	err := s.db.GetContext(ctx, &c, `
WITH taken AS (
    UPDATE claim SET xid = $4, target_id = NULL, matched = false, making = false
    WHERE target = $1 AND kind = $2 AND match_key = $3 AND xid = $5 AND target_id = $6 RETURNING xid, '' AS target_id, matched
)
SELECT * FROM taken UNION ALL
SELECT xid, coalesce(target_id, ''), matched FROM claim WHERE target = $1 AND kind = $2 AND match_key = $3 AND NOT EXISTS (SELECT FROM taken)`,
		target, kind, key, xid, old.XID, old.TargetID)
	return c, translate(err)
}

// Wanted is an identity that a record of the source needs in the target.
type Wanted struct {
	ExternalID string   `json:"external_id"`
	XID        string   `json:"xid"`
	Keys       []string `json:"keys"` // match keys, the record's own id first
}

// openKey is how long a match key stays with a record of a job that was not
// made, nor tried again: it may be gone from its source, and its successor has
// the same key. Who tries again keeps it.
const openKey = time.Hour

// Claims agrees with all others who need the same identities, for a whole page
// (protocol P2), and gives the claim of each match key.
func (s *Store) Claims(ctx context.Context, target string, kind record.Kind, wanted []Wanted) (map[string]Claim, error) {
	var keys, xids []string
	for _, w := range wanted {
		for _, k := range w.Keys {
			keys, xids = append(keys, k), append(xids, w.XID)
		}
	}
	claims := make(map[string]Claim, len(keys))
	if len(keys) == 0 {
		return claims, nil
	}
	var rows []struct {
		Key string `db:"match_key"`
		Claim
	}
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		// The first of a page that asks for a key gets it; sorted, or two pages deadlock.
		if _, err := tx.ExecContext(ctx, `
INSERT INTO claim AS c (target, kind, match_key, xid)
SELECT $1, $2, k, x FROM (SELECT DISTINCT ON (k) k, x FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS u(k, x, n) ORDER BY k, n) first
ON CONFLICT (target, kind, match_key) DO UPDATE SET xid = excluded.xid, created_at = now()
WHERE c.match_key ~ '^(key|record):' AND c.target_id IS NULL AND (c.xid = excluded.xid OR c.created_at < now() - $5 * interval '1 second')`,
			target, kind, pq.Array(keys), pq.Array(xids), int64(openKey.Seconds())); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &rows, `
SELECT c.match_key, c.xid, coalesce(c.target_id, '') AS target_id, c.matched FROM unnest($3::text[]) AS u(k)
CROSS JOIN LATERAL (SELECT * FROM claim WHERE (target, kind, match_key) = ($1, $2, u.k) OFFSET 0) c`, target, kind, pq.Array(keys))
	})
	for _, r := range rows {
		claims[r.Key] = r.Claim
	}
	return claims, translate(err)
}
