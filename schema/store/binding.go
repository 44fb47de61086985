package store

import (
	"context"
	"hash/fnv"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/record"
)

// Kinds of bindings that are no objects of their own.
const (
	BindProduct  record.Kind = record.KindProduct  // external id "variant:ID" or "sku:SKU"
	BindCustomer record.Kind = record.KindCustomer // the shop's customer id
	BindAddress  record.Kind = "address"           // digest of party and address
)

// Need names a mapping that an object waits for.
func Need(connection string, kind record.Kind, externalID string) string {
	return string(kind) + ":" + connection + ":" + externalID
}

// BindingKey names an external record of one connection.
type BindingKey struct {
	Kind       record.Kind `db:"kind"`
	ExternalID string      `db:"external_id"`
}

// Bound is where an external record lives in the target.
type Bound struct {
	BindingKey
	TargetID   string `db:"target_id"`
	ContentKey string `db:"content_key"`
}

// Bindings gives those external records that are bound, in one round trip for
// all that an order refers to.
func (s *Store) Bindings(ctx context.Context, connection, target string, keys []BindingKey) (map[BindingKey]Bound, error) {
	bound := map[BindingKey]Bound{}
	if len(keys) == 0 {
		return bound, nil
	}
	var kinds, ids []string
	for _, k := range keys {
		kinds, ids = append(kinds, string(k.Kind)), append(ids, k.ExternalID)
	}
	var rows []Bound
	err := s.db.SelectContext(ctx, &rows, `
SELECT b.kind, b.external_id, b.target_id, b.content_key FROM unnest($3::text[], $4::text[]) AS u(k, e)
JOIN binding b ON b.connection = $1 AND b.target = $2 AND b.kind = u.k AND b.external_id = u.e AND b.status = 'active'`,
		connection, target, pq.Array(kinds), pq.Array(ids))
	for _, r := range rows {
		bound[r.BindingKey] = r
	}
	return bound, translate(err)
}

// BoundTargets tells which of the target's records belong to some external
// one already.
func (s *Store) BoundTargets(ctx context.Context, target string, kind record.Kind, ids []string) (map[string]bool, error) {
	var rows []string
	err := s.db.SelectContext(ctx, &rows, `SELECT target_id FROM binding WHERE target = $1 AND kind = $2 AND target_id = ANY($3::text[])`,
		target, kind, pq.Array(ids))
	taken := make(map[string]bool, len(rows))
	for _, id := range rows {
		taken[id] = true
	}
	return taken, translate(err)
}

// NewBinding ties an external record to one in the target.
type NewBinding struct {
	Connection string
	Kind       record.Kind
	ExternalID string
	Target     string
	TargetID   string
	XID        string // empty: found or given, not made by us
	SKU        string
	Name       string
	ContentKey string
	By         string
	// Was is the record that it was tied to, in whose place TargetID stands now,
	// and ClaimedAs the external id under which all have agreed on it.
	Was, ClaimedAs string
}

// Remember stores bindings that passes found by themselves. Existing ones stay.
// Orders that waited for a product go on, as when a person maps it.
func (s *Store) Remember(ctx context.Context, bindings ...NewBinding) error {
	if len(bindings) == 0 {
		return nil
	}
	bindings = append([]NewBinding(nil), bindings...)
	sort.Slice(bindings, func(i, j int) bool { // one locking order for all
		a, b := bindings[i], bindings[j]
		return a.Kind < b.Kind || a.Kind == b.Kind && a.ExternalID < b.ExternalID
	})
	var needs []string
	for _, b := range bindings {
		if b.Kind == BindProduct {
			needs = append(needs, Need(b.Connection, b.Kind, b.ExternalID))
		}
	}
	if len(needs) == 0 { // nobody waits for customers and addresses
		return translate(insertBindings(ctx, s.db, bindings))
	}
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockAll(ctx, tx, needs...); err != nil {
			return err
		}
		if err := insertBindings(ctx, tx, bindings); err != nil {
			return err
		}
		_, err := wake(ctx, tx, needs...)
		return err
	})
}

func insertBindings(ctx context.Context, db sqlx.ExtContext, bindings []NewBinding) error {
	_, err := sqlx.NamedExecContext(ctx, db, `
INSERT INTO binding (connection, kind, external_id, target, target_id, xid, external_sku, external_name, content_key)
VALUES (:connection, :kind, :external_id, :target, :target_id, nullif(:xid, ''), nullif(:sku, ''), nullif(:name, ''), :content_key)
ON CONFLICT DO NOTHING`, rowsOf(bindings))
	return err
}

func rowsOf(bindings []NewBinding) []map[string]any {
	rows := make([]map[string]any, len(bindings))
	for i, b := range bindings {
		rows[i] = map[string]any{
			"connection": b.Connection, "kind": string(b.Kind), "external_id": b.ExternalID, "target": b.Target,
			"target_id": b.TargetID, "xid": b.XID, "sku": b.SKU, "name": b.Name, "content_key": b.ContentKey,
		}
	}
	return rows
}

// Bind is an operator's mapping: it stores the binding and, in the same
// transaction, makes all objects due that waited for it, spread out and at low
// priority (protocol P1.6). It gives the number of objects woken.
func (s *Store) Bind(ctx context.Context, b NewBinding) (woken int, err error) {
	need := Need(b.Connection, b.Kind, b.ExternalID)
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockAll(ctx, tx, need); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
INSERT INTO binding (connection, kind, external_id, target, target_id, external_sku, external_name, bound_by)
VALUES ($1, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), $8)
ON CONFLICT (connection, kind, external_id, target) DO UPDATE
SET target_id = excluded.target_id, xid = NULL, bound_by = excluded.bound_by, status = 'active', updated_at = now()`,
			b.Connection, b.Kind, b.ExternalID, b.Target, b.TargetID, b.SKU, b.Name, b.By); err != nil {
			return err
		}
		woken, err = wake(ctx, tx, need)
		return err
	})
	return woken, err
}

// wake makes the waiters of the needs due: the first at once, the rest spread
// over time so that a common product does not stampede. Objects are locked in
// the order in which the inbox locks them, or the two would deadlock.
func wake(ctx context.Context, tx *sqlx.Tx, needs ...string) (int, error) {
	r, err := tx.ExecContext(ctx, `
WITH waiter AS (DELETE FROM wait WHERE need = ANY($1::text[]) RETURNING connection, kind, external_id),
locked AS (
    SELECT o.connection, o.kind, o.external_id FROM object o
    WHERE (o.connection, o.kind, o.external_id) IN (SELECT connection, kind, external_id FROM waiter)
    ORDER BY 1, 2, 3 FOR UPDATE OF o
), `+wakeLocked, textArray(needs))
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// wakeLocked makes the objects of the CTE "locked" due, 20 ms apart.
const wakeLocked = `
ranked AS (SELECT *, row_number() OVER (ORDER BY connection, kind, external_id) - 1 AS n FROM locked)
UPDATE object o SET epoch = o.epoch + 1, calls = 0, slow_tries = 0, priority = 4, due_at = now() + n * interval '20 milliseconds'
FROM ranked w WHERE (o.connection, o.kind, o.external_id) = (w.connection, w.kind, w.external_id)`

// lockNeeds takes the advisory lock of each need, looks for its mapping once
// more, and registers the object as a waiter. Whoever binds takes the same
// lock, so no wake-up falls between looking and waiting.
func lockNeeds(ctx context.Context, tx *sqlx.Tx, p *Pass, needs []string) (mapped bool, err error) {
	if err := lockAll(ctx, tx, needs...); err != nil {
		return false, err
	}
	var kinds, ids []string // as Need composed them; neither a kind nor a slug holds a colon
	for _, need := range needs {
		if part := strings.SplitN(need, ":", 3); len(part) == 3 {
			kinds, ids = append(kinds, part[0]), append(ids, part[2])
		}
	}
	if err := tx.GetContext(ctx, &mapped, `
SELECT EXISTS (SELECT 1 FROM unnest($3::text[], $4::text[]) AS u(k, e) JOIN binding b
    ON b.connection = $1 AND b.kind = u.k AND b.external_id = u.e AND b.target = $2 AND b.status = 'active')`,
		p.Connection, p.Target, textArray(kinds), textArray(ids)); err != nil || mapped {
		return mapped, err
	}
	_, err = tx.ExecContext(ctx, `
INSERT INTO wait (need, connection, kind, external_id) SELECT u, $1, $2, $3 FROM unnest($4::text[]) u ON CONFLICT DO NOTHING`,
		p.Connection, p.Kind, p.ExternalID, textArray(needs))
	return false, err
}

// lockAll takes the advisory locks of the names until the transaction ends, in
// one order for all contenders and one round trip.
func lockAll(ctx context.Context, tx *sqlx.Tx, names ...string) error {
	hashes := make([]int64, len(names))
	for i, name := range names {
		h := fnv.New64a()
		_, _ = h.Write([]byte("towpath need " + name))
		hashes[i] = int64(h.Sum64())
	}
	slices.Sort(hashes)
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(h) FROM unnest($1::bigint[]) WITH ORDINALITY AS u(h, n) ORDER BY n`, pq.Array(slices.Compact(hashes)))
	return err
}

// WakeAll makes objects of a flow due: parked ones after its rules changed,
// or everything by a person's wish. It gives the number of objects woken.
func (s *Store) WakeAll(ctx context.Context, connection string, kind record.Kind, onlyParked bool) (int64, error) {
	n, err := wakeAll(ctx, s.db, connection, kind, onlyParked)
	return n, translate(err)
}

func wakeAll(ctx context.Context, db sqlx.ExecerContext, connection string, kind record.Kind, onlyParked bool) (int64, error) {
	r, err := db.ExecContext(ctx, `
WITH locked AS (
    SELECT connection, kind, external_id FROM object
    WHERE connection = $1 AND kind = $2 AND (NOT $3 OR outcome IN ('parked', 'waiting')) ORDER BY 1, 2, 3 FOR UPDATE
), `+wakeLocked, connection, kind, onlyParked)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Wake makes one object due now, as a person asked.
func (s *Store) Wake(ctx context.Context, key Key, at time.Time) (bool, error) {
	r, err := s.db.ExecContext(ctx, `
UPDATE object SET epoch = epoch + 1, calls = 0, slow_tries = 0, priority = 1, due_at = $4
WHERE connection = $1 AND kind = $2 AND external_id = $3`, key.Connection, key.Kind, key.ExternalID, at)
	if err != nil {
		return false, translate(err)
	}
	n, _ := r.RowsAffected()
	return n == 1, nil
}
