package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"towpath/schema/fault"
)

// Run is one run of a job: a row of the sync log.
type Run struct {
	ID             string          `db:"id"`
	Job            string          `db:"job"`
	Mode           string          `db:"mode"`
	JobRevision    int64           `db:"job_revision"`
	Mapping        string          `db:"mapping"`
	MappingVersion int             `db:"mapping_version"`
	SourceNow      time.Time       `db:"source_now"` // becomes the watermark if the run succeeds
	Since          sql.NullTime    `db:"since"`
	Until          sql.NullTime    `db:"until"`
	CountedBefore  int64           `db:"counted_before"`
	CountedAfter   sql.NullInt64   `db:"counted_after"`
	Status         string          `db:"status"`
	Purpose        string          `db:"purpose"`
	BaseRun        sql.NullString  `db:"base_run"`
	By             string          `db:"by"`
	Reason         string          `db:"reason"`
	Plan           json.RawMessage `db:"plan"`       // windows and lanes
	TargetNow      sql.NullTime    `db:"target_now"` // bidirectional: the target's clock when it began
	Unlimited      bool            `db:"unlimited"`  // a person let it go on beyond its limits
	Counts         json.RawMessage `db:"counts"`     // of a run that has ended
	Report         json.RawMessage `db:"report"`     // of a reconcile: what both sides hold
	Code           string          `db:"code"`       // the fault it ended with
	Asked          sql.NullString  `db:"asked"`
	AskedBy        sql.NullString  `db:"asked_by"`
	AskedWhy       sql.NullString  `db:"asked_why"`
	Halted         string          `db:"halted"` // the limit that has stopped it, while it waits for a person
	Sentence       string          `db:"sentence"`
	StartedAt      time.Time       `db:"started_at"`
	EndedAt        sql.NullTime    `db:"ended_at"`
}

const runColumns = `id, job, mode, job_revision, mapping, mapping_version, source_now, since, until, counted_before,
counted_after, status, purpose, base_run, by, reason, plan, target_now, unlimited, counts, report, code, asked, asked_by, asked_why, halted, sentence, started_at, ended_at`

// StartRun opens a run and with it takes the job's lease. Asked again with the
// same id it gives the run as it stands, with the window it was opened with.
//
// Faults: run.underway (Conflict) while another run of the job goes on.
func (s *Store) StartRun(ctx context.Context, r Run) (Run, error) {
	_, err := s.db.ExecContext(ctx, `
INSERT INTO run (id, job, mode, job_revision, mapping, mapping_version, source_now, since, until, counted_before,
    purpose, base_run, by, reason, plan, target_now)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
WHERE NOT EXISTS (SELECT 1 FROM run WHERE job = $2 AND status = 'running')
ON CONFLICT DO NOTHING`,
		r.ID, r.Job, r.Mode, r.JobRevision, r.Mapping, r.MappingVersion, r.SourceNow, r.Since, r.Until, r.CountedBefore,
		cmp.Or(r.Purpose, "sync"), r.BaseRun, r.By, r.Reason, string(orEmpty(r.Plan)), r.TargetNow)
	if err != nil {
		return r, translate(err)
	}
	opened, err := s.Run(ctx, r.ID)
	if fault.Is(err, fault.NotFound) {
		return r, fault.New(fault.Conflict, "run.underway", "another run of %q goes on", r.Job).
			WithResolution("wait until it has ended, or abort it")
	}
	return opened, err
}

// Run gives one run; a fault of kind NotFound if there is none.
func (s *Store) Run(ctx context.Context, id string) (Run, error) {
	var r Run
	err := s.db.GetContext(ctx, &r, `SELECT `+runColumns+` FROM run WHERE id = $1`, id)
	return r, translate(err)
}

// Runs gives a job's newest runs, newest first.
func (s *Store) Runs(ctx context.Context, job string, limit int) (all []Run, err error) {
	err = s.db.SelectContext(ctx, &all, `SELECT `+runColumns+` FROM run WHERE job = $1 ORDER BY started_at DESC, id LIMIT $2`, job, limit)
	return all, translate(err)
}

// Resume tells where a lane goes on: behind its last settled page. done says
// that the lane was read to its end.
func (s *Store) Resume(ctx context.Context, run string, lane int) (page int, after string, done bool, err error) {
	var last []struct {
		Page int    `db:"page"`
		Next string `db:"next"`
	}
	err = s.db.SelectContext(ctx, &last, `SELECT page, next FROM run_page WHERE run = $1 AND lane = $2 ORDER BY page DESC LIMIT 1`, run, lane)
	if err != nil || len(last) == 0 {
		return 0, "", false, translate(err)
	}
	return last[0].Page + 1, last[0].Next, last[0].Next == "", nil
}

// Totals sums the ledger of a run up, over the lanes from first to last.
func (s *Store) Totals(ctx context.Context, run string, first, last int) (map[string]int64, error) {
	var rows []struct {
		Name string `db:"name"`
		Sum  int64  `db:"sum"`
	}
	err := s.db.SelectContext(ctx, &rows, `
SELECT c.key AS name, sum(c.value::bigint)::bigint AS sum FROM run_page p, jsonb_each_text(p.counts) c
WHERE p.run = $1 AND p.lane BETWEEN $2 AND $3 GROUP BY c.key`, run, first, last)
	totals := make(map[string]int64, len(rows))
	for _, r := range rows {
		totals[r.Name] = r.Sum
	}
	return totals, translate(err)
}

// LogUnopened keeps that a run could not even begin, with who wanted it and
// what for. Of a job that is not there nothing is kept.
func (s *Store) LogUnopened(ctx context.Context, r Run) error {
	_, err := s.db.ExecContext(ctx, `
INSERT INTO run (id, job, mode, job_revision, mapping, mapping_version, source_now, counted_before, status, code, sentence, purpose, base_run, by, reason, ended_at)
SELECT $1, name, coalesce(nullif($5, ''), spec->>'mode', 'incremental'), revision, '', 0, now(), 0, 'failed', $3, $4, $6, $7, $8, $9, now() FROM job WHERE name = $2
ON CONFLICT DO NOTHING`, r.ID, r.Job, r.Code, r.Sentence, r.Mode, cmp.Or(r.Purpose, "sync"), r.BaseRun, r.By, r.Reason)
	return translate(err)
}

// Halt notes the limit that has stopped a run, "" that none does.
func (s *Store) Halt(ctx context.Context, run, limit string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE run SET halted = $2 WHERE id = $1 AND status = 'running' AND halted <> $2`, run, limit)
	return translate(err)
}

// Steering is what the pages of a run go by while it runs.
type Steering struct {
	Status    string          `db:"status"`
	Asked     string          `db:"asked"`
	Unlimited bool            `db:"unlimited"`
	Spec      json.RawMessage `db:"spec"` // the job as it is now
}

// Steering reads what persons want of a run at this moment.
func (s *Store) Steering(ctx context.Context, run string) (st Steering, err error) {
	err = s.db.GetContext(ctx, &st, `
SELECT r.status, coalesce(r.asked, '') AS asked, r.unlimited, j.spec FROM run r JOIN job j ON j.name = r.job WHERE r.id = $1`, run)
	return st, translate(err)
}

// RunningRun gives the run of a job that goes on.
//
// Faults: run.none (NotFound).
func (s *Store) RunningRun(ctx context.Context, job string) (Run, error) {
	var r Run
	err := translate(s.db.GetContext(ctx, &r, `SELECT `+runColumns+` FROM run WHERE job = $1 AND status = 'running'`, job))
	if fault.Is(err, fault.NotFound) {
		return r, noRun(job)
	}
	return r, err
}

func noRun(job string) *fault.Fault {
	return fault.New(fault.NotFound, "run.none", "no run of %q goes on", job).WithResolution("it may have ended meanwhile; see: towpath sync runs %s", job)
}

// Ask notes what a person wants of a run: pause, resume or abort. beyond lets
// it go on whatever its limits say.
//
// Faults: run.none (NotFound) when the run has ended.
func (s *Store) Ask(ctx context.Context, run, what, by, why string, beyond bool) error {
	if what == "resume" {
		what = ""
	}
	r, err := s.db.ExecContext(ctx, `
UPDATE run SET asked = nullif($2, ''), asked_by = $3, asked_why = $4, unlimited = unlimited OR $5,
    halted = CASE WHEN $2 = 'pause' THEN halted ELSE '' END WHERE id = $1 AND status = 'running'`,
		run, what, by, why, beyond)
	if err != nil {
		return translate(err)
	}
	if n, _ := r.RowsAffected(); n == 0 {
		return fault.New(fault.NotFound, "run.none", "the run has ended").WithResolution("see how: towpath sync show %s", run)
	}
	return nil
}

// Ending is how a run ends.
type Ending struct {
	Status, Sentence, Code string
	CountedAfter           int64
	Counts                 map[string]int64
	Report                 any // of a reconcile; nil: none
	// Proved moves the watermarks.
	Proved bool
}

// EndRun closes a run and frees the job's lease. Only a run whose proof holds
// moves the watermarks, to the systems' own time when it began: back as well,
// after a clock was set back, or all that is stamped until it has caught up
// would be lost. One that is to be stopped moves none: its job may be another by
// now (PutJob). Ending a run that has ended changes nothing.
func (s *Store) EndRun(ctx context.Context, id string, e Ending) error {
	counts, err := json.Marshal(e.Counts)
	if err != nil {
		return err
	}
	report := []byte("{}")
	if e.Report != nil {
		if report, err = json.Marshal(e.Report); err != nil {
			return err
		}
	}
	_, err = s.db.ExecContext(ctx, `
WITH ended AS (
    UPDATE run SET status = $2, sentence = $3, counted_after = $4, counts = $6, code = $7, report = $8, halted = '', ended_at = now() WHERE id = $1 AND status = 'running'
    RETURNING job, source_now, target_now, asked
), slim AS (
    UPDATE run_page SET ids = '' FROM ended WHERE run_page.run = $1
), found AS (
    DELETE FROM run_gone USING ended WHERE run_gone.run = $1
)
UPDATE job SET watermark = ended.source_now, watermark_back = coalesce(ended.target_now, watermark_back)
FROM ended WHERE job.name = ended.job AND $5 AND ended.asked IS DISTINCT FROM 'abort'`,
		id, e.Status, e.Sentence, e.CountedAfter, e.Proved, string(counts), e.Code, string(report))
	return translate(err)
}

func orEmpty(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

// Freshness tells how far behind an active job is.
type Freshness struct {
	Job    string          `db:"job"`
	Behind sql.NullFloat64 `db:"behind"` // seconds since its watermark
	Ended  bool            `db:"ended"`  // a run of it has ended
	OK     bool            `db:"ok"`     // the last one well enough
}

// Freshness gives that of all active jobs: a schedule that does not run, or runs
// in vain, is seen by nothing else.
func (s *Store) Freshness(ctx context.Context) (all []Freshness, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT j.name AS job, extract(epoch FROM now() - j.watermark)::float8 AS behind, last.status IS NOT NULL AS ended,
       coalesce(last.status IN ('success', 'partial'), false) AS ok
FROM job j LEFT JOIN LATERAL (
    SELECT status FROM run r WHERE r.job = j.name AND r.status <> 'running' AND r.purpose = 'sync' ORDER BY r.started_at DESC LIMIT 1
) last ON true
WHERE j.active ORDER BY j.name`)
	return all, translate(err)
}

// PurgeRuns deletes runs older than the given age with their pages and changes.
// The newest run of each job stays.
func (s *Store) PurgeRuns(ctx context.Context, keep time.Duration) (int64, error) {
	return s.purge(ctx, `
DELETE FROM run WHERE id IN (
    SELECT r.id FROM run r WHERE r.status <> 'running' AND r.ended_at < now() - $1 * interval '1 second'
      AND EXISTS (SELECT 1 FROM run n WHERE n.job = r.job AND n.started_at > r.started_at)
    LIMIT 1000)`, keep)
}
