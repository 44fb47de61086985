package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Job is a stored sync job: what is kept in step between which systems.
type Job struct {
	Name   string      `db:"name"`
	Source string      `db:"source"`
	Target string      `db:"target"`
	Kind   record.Kind `db:"kind"`
	// Binds is Spec's "binds", or Kind: the database derives it (see BoundAs).
	Binds     record.Kind     `db:"binds"`
	Spec      json.RawMessage `db:"spec"`
	Revision  int64           `db:"revision"`
	Active    bool            `db:"active"`
	Watermark sql.NullTime    `db:"watermark"` // source clock; null: never in step
	// WatermarkBack is that of the way back of a bidirectional job: target clock.
	WatermarkBack sql.NullTime `db:"watermark_back"`
}

// BoundAs is the kind under which its records are bound to their counterparts,
// claimed, fenced and referred to. Products and their templates are kept in step
// by jobs of one kind, and have the same numbers: their jobs bind under two.
func (j Job) BoundAs() record.Kind { return cmp.Or(j.Binds, j.Kind) }

// PutJob creates or changes a job and reports whether anything changed. The
// watermark stays, but where source, target, kind or binds are others: then nothing
// of the former window holds: a run that goes on is stopped, and the next begins anew.
//
// Faults: job.unknown_connection (Invalid).
func (s *Store) PutJob(ctx context.Context, j Job) (changed bool, err error) {
	err = s.db.GetContext(ctx, &changed, `
WITH put AS (
    INSERT INTO job AS j (name, source, target, kind, spec, active) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (name) DO UPDATE SET source = excluded.source, target = excluded.target, kind = excluded.kind,
        spec = excluded.spec, active = excluded.active, revision = j.revision + 1, updated_at = now(),
        watermark = CASE WHEN (j.source, j.target, j.kind, j.binds) = (excluded.source, excluded.target, excluded.kind, excluded.binds) THEN j.watermark END,
        watermark_back = CASE WHEN (j.source, j.target, j.kind, j.binds) = (excluded.source, excluded.target, excluded.kind, excluded.binds) THEN j.watermark_back END
    WHERE (j.source, j.target, j.kind, j.spec, j.active) IS DISTINCT FROM (excluded.source, excluded.target, excluded.kind, excluded.spec, excluded.active)
    RETURNING j.name, j.source, j.target, j.kind, j.binds
), stopped AS (
    UPDATE run SET asked = 'abort', asked_by = 'apply', asked_why = 'the job has another source, target or kind now'
    FROM put JOIN job was ON was.name = put.name
    WHERE run.job = put.name AND run.status = 'running' AND (was.source, was.target, was.kind, was.binds) <> (put.source, put.target, put.kind, put.binds)
), looked AS (
    UPDATE awaited SET due_at = '-infinity', since = now() FROM put WHERE awaited.job = put.name -- what it says now may find them
) SELECT EXISTS (SELECT 1 FROM put)`, j.Name, j.Source, j.Target, j.Kind, string(j.Spec), j.Active)
	if f := fault.Of(translate(err)); err != nil && f.Code == "store.refused" {
		return false, fault.New(fault.Invalid, "job.refused", "the job %q names a connection that is not there, or is no slug itself", j.Name).
			WithField("source, target").WithResolution("name connections of the same file, or such as towpath connection list shows").WithCause(err)
	}
	return changed, translate(err)
}

// Job gives one job; a fault of kind NotFound if there is none.
func (s *Store) Job(ctx context.Context, name string) (Job, error) {
	var j Job
	err := translate(s.db.GetContext(ctx, &j, `SELECT name, source, target, kind, binds, spec, revision, active, watermark, watermark_back FROM job WHERE name = $1`, name))
	if fault.Is(err, fault.NotFound) {
		return j, fault.New(fault.NotFound, "job.unknown", "there is no job %q", name).WithResolution("add it to towpath.yaml and apply the file")
	}
	return j, err
}

// Jobs gives all jobs by name.
func (s *Store) Jobs(ctx context.Context) (all []Job, err error) {
	err = s.db.SelectContext(ctx, &all, `SELECT name, source, target, kind, binds, spec, revision, active, watermark, watermark_back FROM job ORDER BY name`)
	return all, translate(err)
}

// Mapping is one version of a stored field mapping.
type Mapping struct {
	Name      string          `db:"name"`
	Version   int             `db:"version"`
	Spec      json.RawMessage `db:"spec"`
	Digest    string          `db:"digest"`
	CreatedAt time.Time       `db:"created_at"`
}

// PutMapping stores a mapping and gives its version: a new one if its content,
// told by digest, is not that of the newest.
func (s *Store) PutMapping(ctx context.Context, name string, spec json.RawMessage, digest string) (version int, changed bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockAll(ctx, tx, "mapping/"+name); err != nil {
			return err
		}
		var newest Mapping
		err := tx.GetContext(ctx, &newest, `SELECT name, version, spec, digest, created_at FROM mapping WHERE name = $1 ORDER BY version DESC LIMIT 1`, name)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if version = newest.Version; newest.Version > 0 && newest.Digest == digest {
			return nil
		}
		version, changed = version+1, true
		_, err = tx.ExecContext(ctx, `INSERT INTO mapping (name, version, spec, digest) VALUES ($1, $2, $3, $4)`, name, version, string(spec), digest)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE awaited SET due_at = '-infinity', since = now() FROM job j WHERE j.name = awaited.job AND j.spec->>'mapping' = $1`, name)
		return err
	})
	return version, changed, err
}

// Mapping gives a version of a mapping; version 0 is the newest.
func (s *Store) Mapping(ctx context.Context, name string, version int) (Mapping, error) {
	var m Mapping
	err := translate(s.db.GetContext(ctx, &m, `
SELECT name, version, spec, digest, created_at FROM mapping
WHERE name = $1 AND (version = $2 OR $2 = 0) ORDER BY version DESC LIMIT 1`, name, version))
	if fault.Is(err, fault.NotFound) {
		return m, fault.New(fault.NotFound, "mapping.unknown", "there is no mapping %q", name).WithResolution("add it to towpath.yaml and apply the file")
	}
	return m, err
}
