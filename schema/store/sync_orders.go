package store

import (
	"context"

	"towpath/schema/record"
)

// OrderOutcome is how an order stands, seen from a run that reads it.
type OrderOutcome struct {
	ExternalID string `db:"external_id"`
	// Pending: something about it waits to be dealt with, or is being dealt with.
	Pending bool   `db:"pending"`
	Outcome string `db:"outcome"` // of its last pass: applied, unchanged, skipped, waiting, parked
	Code    string `db:"code"`
	Fresh   bool   `db:"fresh"` // that pass ended after the run began
	Made    bool   `db:"made"`  // it came into the target after the run began
}

// OrderOutcomes tells how orders of a job's source stand. Told by the run's
// beginning and not by what was asked before, it is the same however often a
// page is done again.
func (s *Store) OrderOutcomes(ctx context.Context, run string, ids []string) (map[string]OrderOutcome, error) {
	var rows []OrderOutcome
	err := s.db.SelectContext(ctx, &rows, `
SELECT o.external_id, coalesce(o.outcome, '') AS outcome, coalesce(o.code, '') AS code,
       o.settled_at IS NULL OR coalesce(o.due_at <= now(), false) OR EXISTS (
           SELECT FROM inbound_event e WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id) AND e.state = 'pending') AS pending,
       coalesce(o.settled_at >= r.started_at, false) AS fresh, coalesce(b.created_at >= r.started_at, false) AS made
FROM run r JOIN job j ON j.name = r.job
JOIN object o ON (o.connection, o.kind) = (j.source, $2) AND o.external_id = ANY($3::text[])
LEFT JOIN binding b ON (b.connection, b.kind, b.external_id, b.target) = (o.connection, o.kind, o.external_id, j.target)
WHERE r.id = $1`, run, record.KindOrder, textArray(ids))
	all := make(map[string]OrderOutcome, len(rows))
	for _, r := range rows {
		all[r.ExternalID] = r
	}
	return all, translate(err)
}
