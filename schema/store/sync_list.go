package store

import (
	"context"
	"time"
)

// MappingInfo is the newest version of a mapping, without its content.
type MappingInfo struct {
	Name      string    `db:"name"`
	Version   int       `db:"version"`
	CreatedAt time.Time `db:"created_at"`
	Jobs      string    `db:"jobs"` // that name it, joined by commas
}

// Mappings gives all mappings by name.
func (s *Store) Mappings(ctx context.Context) (all []MappingInfo, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT DISTINCT ON (m.name) m.name, m.version, m.created_at,
       coalesce((SELECT string_agg(j.name, ', ' ORDER BY j.name) FROM job j WHERE j.spec->>'mapping' = m.name), '') AS jobs
FROM mapping m ORDER BY m.name, m.version DESC`)
	return all, translate(err)
}

// ParkedFamily are records of a job that need a person for one cause. What is
// told of it is told of Example.
type ParkedFamily struct {
	Code       string `db:"code"`
	Message    string `db:"message"`
	Resolution string `db:"resolution"`
	Field      string `db:"field"`
	N          int    `db:"n"`
	Example    string `db:"example"` // external id of one of them
	Full       bool   `db:"full"`    // of a plan: more of them are not kept
}

// ParkedOf groups what is parked of a job at this moment by cause, the largest
// first.
func (s *Store) ParkedOf(ctx context.Context, job string, limit int) (all []ParkedFamily, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT min(code) AS code, (array_agg(message ORDER BY external_id))[1] AS message, (array_agg(resolution ORDER BY external_id))[1] AS resolution, min(coalesce(field, '')) AS field,
       count(*) AS n, (array_agg(external_id ORDER BY external_id))[1] AS example
FROM parked WHERE job = $1 AND state = 'open' GROUP BY fingerprint ORDER BY n DESC, fingerprint LIMIT $2`, job, limit)
	return all, translate(err)
}
