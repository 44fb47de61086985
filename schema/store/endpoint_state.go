package store

import (
	"context"
	"database/sql"

	"towpath/schema/fault"
)

// EndpointState is how an endpoint does.
type EndpointState struct {
	Endpoint     string         `db:"endpoint"`
	Circuit      string         `db:"circuit"` // closed, open, half_open
	Failures     int            `db:"failures"`
	FailingSince sql.NullTime   `db:"failing_since"`
	OpenedAt     sql.NullTime   `db:"opened_at"`
	ProbeAt      sql.NullTime   `db:"probe_at"`
	Trips        int            `db:"trips"`
	HeldBy       sql.NullString `db:"held_by"`
	Width        int            `db:"width"`
	CoolUntil    sql.NullTime   `db:"cool_until"`
	Disabled     sql.NullString `db:"disabled"`
	Active       bool           `db:"active"`
	Open         int64          `db:"open"`         // deliveries that are not settled
	Parked       int64          `db:"parked"`       // waiting for a person
	LastAttempt  sql.NullTime   `db:"last_attempt"` // the hour of it, where attempts of that age are only summed up
}

const endpointStateSQL = `
SELECT s.endpoint, s.circuit, s.failures, s.failing_since, s.opened_at, s.probe_at, s.trips, s.held_by, s.width,
    nullif(s.cool_until, '-infinity') AS cool_until, e.disabled, e.active,
    coalesce((SELECT max(at) FROM delivery_attempt a WHERE a.endpoint = e.name), (SELECT max(hour) FROM delivery_hour h WHERE h.endpoint = e.name)) AS last_attempt,
    o.open, o.parked
FROM endpoint_state s JOIN webhook_endpoint e ON e.name = s.endpoint CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state <> 'parked') AS open, count(*) FILTER (WHERE state = 'parked') AS parked
    FROM (` + openDeliveries + `) AS d WHERE d.endpoint = e.name) AS o`

// EndpointStates tells how all endpoints do.
func (s *Store) EndpointStates(ctx context.Context) (all []EndpointState, err error) {
	err = s.db.SelectContext(ctx, &all, endpointStateSQL+` ORDER BY 1`)
	return all, translate(err)
}

// EndpointState tells how one does.
func (s *Store) EndpointState(ctx context.Context, name string) (st EndpointState, err error) {
	err = translate(s.db.GetContext(ctx, &st, endpointStateSQL+` WHERE s.endpoint = $1`, name))
	if fault.Is(err, fault.NotFound) {
		return st, UnknownEndpoint(name)
	}
	return st, err
}

// UnwellEndpoints names those whose circuit is not closed, or that Towpath has
// switched off.
func (s *Store) UnwellEndpoints(ctx context.Context) (names []string, err error) {
	err = s.db.SelectContext(ctx, &names, `
SELECT e.name FROM webhook_endpoint e JOIN endpoint_state s ON s.endpoint = e.name
WHERE e.active AND (s.circuit <> 'closed' OR e.disabled IS NOT NULL) ORDER BY 1`)
	return names, translate(err)
}

// EndpointsToWatch names those of UnwellEndpoints that somebody must know of: an
// open circuit closes by itself, but for what waits.
func (s *Store) EndpointsToWatch(ctx context.Context) (names []string, err error) {
	err = s.db.SelectContext(ctx, &names, `
SELECT e.name FROM webhook_endpoint e JOIN endpoint_state s ON s.endpoint = e.name
WHERE e.active AND (e.disabled IS NOT NULL OR s.circuit <> 'closed' AND EXISTS (SELECT 1 FROM (`+openDeliveries+`) d WHERE d.endpoint = e.name AND d.state <> 'parked'))
ORDER BY 1`)
	return names, translate(err)
}

// Trip opens an endpoint's circuit by hand: nothing is sent until Reset.
func (s *Store) Trip(ctx context.Context, endpoint, by string) error {
	return s.changeEndpoint(ctx, endpoint, `UPDATE endpoint_state SET circuit = 'open', opened_at = coalesce(opened_at, now()), probe_at = NULL, held_by = $2 WHERE endpoint = $1`, false, by)
}

// Reset closes an endpoint's circuit by hand; what waits for its next attempt
// is tried now, gently.
func (s *Store) Reset(ctx context.Context, endpoint string) error {
	return s.changeEndpoint(ctx, endpoint, `UPDATE endpoint_state SET circuit = 'closed', failures = 0, trips = 0, opened_at = NULL, probe_at = NULL,
    held_by = NULL, width = 1, failing_since = NULL, cool_until = '-infinity', paced_at = least(paced_at, now()) WHERE endpoint = $1`, true)
}

// Failing gives the active endpoints that have only failed for longer than
// their spec's disable_after allows; the caller knows the spec.
func (s *Store) Failing(ctx context.Context) (all []EndpointState, err error) {
	err = s.db.SelectContext(ctx, &all, endpointStateSQL+` WHERE s.failing_since IS NOT NULL AND e.active AND e.disabled IS NULL ORDER BY 1`)
	return all, translate(err)
}
