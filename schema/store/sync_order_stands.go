package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// OrderStand is what the book says of an order of a job's source, to be compared
// with both systems.
type OrderStand struct {
	ExternalID string `db:"external_id"`
	// Pending: something about it waits to be dealt with, or is being dealt with.
	Pending bool            `db:"pending"`
	Outcome string          `db:"outcome"` // of its last pass; "" where there was none
	Code    string          `db:"code"`
	Stage   string          `db:"stage"`
	Version string          `db:"version"` // of the content that was last dealt with
	Digest  string          `db:"digest"`  // of what was last written; "" where it is not finished
	Patch   json.RawMessage `db:"patch"`   // an operator's correction; null: none
	// TargetID and XID are its binding: "" TargetID where it is not bound, ""
	// XID where it was adopted.
	TargetID string `db:"target_id"`
	XID      string `db:"xid"`
	// Fault is the code for which it is parked, "" where it is not.
	Fault      string `db:"fault"`
	Message    string `db:"message"`
	Resolution string `db:"resolution"`
}

// OrderStands tells how orders of a job's source stand, in one round trip. Every
// id has an answer, those that were never received as well.
func (s *Store) OrderStands(ctx context.Context, run string, ids []string) (map[string]OrderStand, error) {
	var rows []OrderStand
	// OFFSET 0: order by order, also before there are statistics (Known).
	err := s.db.SelectContext(ctx, &rows, `
SELECT u.id AS external_id, coalesce(o.outcome, '') AS outcome, coalesce(o.code, '') AS code, coalesce(o.stage, '') AS stage,
       coalesce(o.applied_version, '') AS version, coalesce(o.applied_digest, '') AS digest, coalesce(o.override, 'null') AS patch,
       o.external_id IS NOT NULL AND (o.settled_at IS NULL OR coalesce(o.due_at <= now(), false) OR EXISTS (
           SELECT FROM inbound_event e WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id) AND e.state = 'pending')) AS pending,
       coalesce(b.target_id, '') AS target_id, coalesce(b.xid, '') AS xid, coalesce(p.code, '') AS fault, coalesce(p.message, '') AS message,
       coalesce(p.resolution, '') AS resolution
FROM run r JOIN job j ON j.name = r.job
CROSS JOIN unnest($3::text[]) AS u(id)
LEFT JOIN LATERAL (SELECT * FROM object WHERE (connection, kind, external_id) = (j.source, $2, u.id) OFFSET 0) o ON true
LEFT JOIN LATERAL (SELECT * FROM binding WHERE (connection, kind, external_id, target) = (j.source, $2, u.id, j.target) AND status = 'active' OFFSET 0) b ON true
LEFT JOIN LATERAL (SELECT * FROM parked WHERE (connection, kind, external_id, job, state) = (j.source, $2, u.id, '', 'open') OFFSET 0) p ON true
WHERE r.id = $1`, run, record.KindOrder, textArray(ids))
	all := make(map[string]OrderStand, len(rows))
	for _, r := range rows {
		all[r.ExternalID] = r
	}
	return all, translate(err)
}

// LookAgain makes objects due, so that their passes look into the target though
// nothing in the source has changed since the last one. Objects that are not
// there are passed over.
func (s *Store) LookAgain(ctx context.Context, connection string, kind record.Kind, ids []string) error {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	_, err := s.db.ExecContext(ctx, `
WITH locked AS (
    SELECT connection, kind, external_id FROM object
    WHERE connection = $1 AND kind = $2 AND external_id = ANY($3::text[]) ORDER BY 1, 2, 3 FOR UPDATE
)
UPDATE object o SET epoch = o.epoch + 1, calls = 0, slow_tries = 0, priority = 4, due_at = now(), applied_digest = ''
FROM locked w WHERE (o.connection, o.kind, o.external_id) = (w.connection, w.kind, w.external_id)`, connection, kind, pq.Array(ids))
	return translate(err)
}

// Sum is what both sides hold of some records in one group, such as a day, and
// one unit, such as a currency. Cause is why they differ, "" where they do not.
type Sum struct {
	Group  string          `db:"group" json:"group"`
	Unit   string          `db:"unit" json:"unit"`
	Cause  string          `db:"cause" json:"cause"`
	N      int64           `db:"n" json:"n"` // records
	Source decimal.Decimal `db:"source" json:"source"`
	Target decimal.Decimal `db:"target" json:"target"`
}

// Add adds another one in.
func (s *Sum) Add(o Sum) {
	s.N += o.N
	s.Source, s.Target = s.Source.Add(o.Source), s.Target.Add(o.Target)
}

// Sums adds up those of all pages of a run, by group, unit and cause.
func (s *Store) Sums(ctx context.Context, run string) (all []Sum, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT s."group", s.unit, s.cause, sum(s.n)::bigint AS n, sum(s.source) AS source, sum(s.target) AS target
FROM run_page p, jsonb_to_recordset(p.sums) AS s("group" text, unit text, cause text, n bigint, source numeric, target numeric)
WHERE p.run = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, run)
	return all, translate(err)
}
