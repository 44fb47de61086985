package store

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/jmoiron/sqlx"
)

func putParked(ctx context.Context, tx *sqlx.Tx, j Job, p Page) error {
	if len(p.Parked) == 0 {
		return nil
	}
	rows, err := json.Marshal(parkedRows(p.Parked))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
INSERT INTO parked (connection, kind, external_id, job, code, message, resolution, field, fingerprint, detail)
SELECT DISTINCT ON (r.external_id) $1, $2, r.external_id, $3, r.code, r.message, r.resolution, r.field, r.fingerprint, r.detail
FROM jsonb_to_recordset($4::jsonb) AS r(external_id text, code text, message text, resolution text, field text, fingerprint text, detail text)
ORDER BY r.external_id
ON CONFLICT (connection, kind, external_id, job) WHERE state = 'open' DO UPDATE
SET code = excluded.code, message = excluded.message, resolution = excluded.resolution, field = excluded.field,
    fingerprint = excluded.fingerprint, detail = excluded.detail, times = parked.times + 1, last_at = now()`,
		j.Source, j.Kind, j.Name, string(rows))
	return err
}

// parkedRow is a parked record as PostgreSQL reads it.
type parkedRow struct {
	ExternalID  string `json:"external_id"`
	Code        string `json:"code"`
	Message     string `json:"message"`
	Resolution  string `json:"resolution"`
	Field       string `json:"field"`
	Fingerprint string `json:"fingerprint"`
	Detail      string `json:"detail"`
}

func parkedRows(all []ParkedRecord) []parkedRow {
	rows := make([]parkedRow, len(all))
	for i, r := range all {
		f := r.Fault
		rows[i] = parkedRow{r.ExternalID, f.Code, f.Message, f.Resolution, f.Field, f.Fingerprint(), strings.ReplaceAll(f.Detail, "\x00", "")} // PostgreSQL holds no NUL
	}
	return rows
}

func clearParked(ctx context.Context, tx *sqlx.Tx, j Job, p Page) error {
	if len(p.Clear) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
UPDATE parked SET state = 'resolved', resolved_at = now(), resolved_by = 'towpath'
WHERE connection = $1 AND kind = $2 AND job = $3 AND state = 'open' AND external_id = ANY($4::text[])`, j.Source, j.Kind, j.Name, textArray(p.Clear))
	return err
}

// How many records that would be parked a plan keeps: of one cause, and in all.
// A file of which every line is wrong must not fill the database, nor crowd the
// one line out that is wrong for another reason. Lanes that settle at once may
// exceed it by a page each.
const (
	planParkedOfCause = 1_000
	planParkedAll     = 20_000
)

// PlanParked is a record that a plan could not carry over.
type PlanParked struct {
	ExternalID string `db:"external_id" json:"external_id"`
	Code       string `db:"code" json:"code"`
	Message    string `db:"message" json:"message"`
	Resolution string `db:"resolution" json:"resolution"`
	Field      string `db:"field" json:"field,omitempty"`
	Detail     string `db:"detail" json:"detail,omitempty"`
}

// putPlanParked keeps why records of a plan's page would be parked, as far as
// there is room.
func putPlanParked(ctx context.Context, tx *sqlx.Tx, _ Job, p Page) error {
	if len(p.WouldPark) == 0 {
		return nil
	}
	rows, err := json.Marshal(parkedRows(p.WouldPark))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
WITH r AS (
    SELECT DISTINCT ON (external_id) * FROM jsonb_to_recordset($2::jsonb)
        AS r(external_id text, code text, message text, resolution text, field text, fingerprint text, detail text) ORDER BY external_id
), kept AS (
    SELECT fingerprint, count(*) AS n FROM plan_parked WHERE run = $1 GROUP BY fingerprint
), ranked AS (
    SELECT r.external_id, r.code, r.message, r.resolution, r.field, r.fingerprint, r.detail, coalesce(kept.n, 0) + row_number() OVER (PARTITION BY r.fingerprint ORDER BY external_id) AS of_cause,
           coalesce((SELECT sum(n) FROM kept), 0) + row_number() OVER (ORDER BY external_id) AS of_all
    FROM r LEFT JOIN kept USING (fingerprint)
)
INSERT INTO plan_parked (run, external_id, code, message, resolution, field, fingerprint, detail)
SELECT $1, external_id, code, message, resolution, field, fingerprint, detail FROM ranked
WHERE of_cause <= $3 AND of_all <= $4
ON CONFLICT (run, external_id) DO UPDATE SET code = excluded.code, message = excluded.message, resolution = excluded.resolution,
    field = excluded.field, fingerprint = excluded.fingerprint, detail = excluded.detail`, p.Run, string(rows), planParkedOfCause, planParkedAll)
	return err
}

// PlanParked gives records that a plan could not carry over, in the order of
// their ids, behind one of them.
func (s *Store) PlanParked(ctx context.Context, run, after string, limit int) (all []PlanParked, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT external_id, code, message, resolution, field, detail FROM plan_parked WHERE run = $1 AND external_id > $2 ORDER BY external_id LIMIT $3`, run, after, limit)
	return all, translate(err)
}

// PlanParkedOf groups the records that a plan could not carry over by cause, the
// largest first. Of a cause that has very many records some are kept: then Full
// is true, and N says how many at least.
func (s *Store) PlanParkedOf(ctx context.Context, run string, limit int) (all []ParkedFamily, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT min(code) AS code, (array_agg(message ORDER BY external_id))[1] AS message, (array_agg(resolution ORDER BY external_id))[1] AS resolution, min(field) AS field,
       count(*) AS n, (array_agg(external_id ORDER BY external_id))[1] AS example, count(*) >= $3 OR sum(count(*)) OVER () >= $4 AS full
FROM plan_parked WHERE run = $1 GROUP BY fingerprint ORDER BY n DESC, fingerprint LIMIT $2`, run, limit, planParkedOfCause, planParkedAll)
	return all, translate(err)
}
