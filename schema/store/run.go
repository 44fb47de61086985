package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"towpath/schema/fault"
)

// Run is one run of a job: a row of the sync log.
type Run struct {
	ID             string         `db:"id"`
	Job            string         `db:"job"`
	Mode           string         `db:"mode"`
	JobRevision    int64          `db:"job_revision"`
	Mapping        string         `db:"mapping"`
	MappingVersion int            `db:"mapping_version"`
	SourceNow      time.Time      `db:"source_now"` // becomes the watermark if the run succeeds
	Since          sql.NullTime   `db:"since"`
	Until          sql.NullTime   `db:"until"`
	CountedBefore  int64          `db:"counted_before"`
	CountedAfter   sql.NullInt64  `db:"counted_after"`
	Status         string         `db:"status"`
	Asked          sql.NullString `db:"asked"`
	AskedBy        sql.NullString `db:"asked_by"`
	AskedWhy       sql.NullString `db:"asked_why"`
	Sentence       string         `db:"sentence"`
	StartedAt      time.Time      `db:"started_at"`
	EndedAt        sql.NullTime   `db:"ended_at"`
}

const runColumns = `id, job, mode, job_revision, mapping, mapping_version, source_now, since, until, counted_before,
counted_after, status, asked, asked_by, asked_why, sentence, started_at, ended_at`

// StartRun opens a run and with it takes the job's lease. Asked again with the
// same id it gives the run as it stands, with the window it was opened with.
//
// Faults: run.underway (Conflict) while another run of the job goes on.
func (s *Store) StartRun(ctx context.Context, r Run) (Run, error) {
	_, err := s.db.ExecContext(ctx, `
INSERT INTO run (id, job, mode, job_revision, mapping, mapping_version, source_now, since, until, counted_before)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
WHERE NOT EXISTS (SELECT 1 FROM run WHERE job = $2 AND status = 'running')
ON CONFLICT DO NOTHING`,
		r.ID, r.Job, r.Mode, r.JobRevision, r.Mapping, r.MappingVersion, r.SourceNow, r.Since, r.Until, r.CountedBefore)
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

// Page is one page of a lane, as far as it got.
type Page struct {
	Run    string
	Lane   int
	Number int
	After  string // cursor that it was read from
	Next   string // cursor behind it; "" ends the lane
	Counts map[string]int64
	Synced []Synced
}

// Synced is a record as it was when both sides were last in step.
type Synced struct {
	ExternalID     string          `db:"external_id"`
	TargetID       string          `db:"target_id"`
	SourceSeen     string          `db:"source_seen"` // digest of the mapped fields, as read from the source
	TargetSeen     string          `db:"target_seen"` // the same, as read back from the target
	Snapshot       json.RawMessage `db:"snapshot"`
	MappingVersion int             `db:"mapping_version"`
}

// SettlePage writes a page into the ledger together with what its records now
// are, in one transaction. Done again it replaces itself, so that a page which
// a dead worker had settled already counts once.
//
// Faults: run.over (Conflict) when the run has ended meanwhile.
func (s *Store) SettlePage(ctx context.Context, p Page) error {
	counts, err := json.Marshal(p.Counts)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		var job string
		err := tx.GetContext(ctx, &job, `SELECT job FROM run WHERE id = $1 AND status = 'running' FOR SHARE`, p.Run)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.Conflict, "run.over", "the run has ended; the page was not counted").
				WithResolution("the next run reads it again")
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
INSERT INTO run_page (run, lane, page, after, next, counts) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (run, lane, page) DO UPDATE SET after = excluded.after, next = excluded.next, counts = excluded.counts, at = now()`,
			p.Run, p.Lane, p.Number, p.After, p.Next, string(counts)); err != nil {
			return err
		}
		return putSynced(ctx, tx, job, p)
	})
}

func putSynced(ctx context.Context, tx *sqlx.Tx, job string, p Page) error {
	if len(p.Synced) == 0 {
		return nil
	}
	rows, err := json.Marshal(wireSynced(p.Synced))
	if err != nil {
		return err
	}
	// One record may stand twice in a page of a source that repeats itself: the later one holds.
	_, err = tx.ExecContext(ctx, `
INSERT INTO synced (job, external_id, target_id, source_seen, target_seen, snapshot, mapping_version, run)
SELECT DISTINCT ON (r.external_id) $1, r.external_id, r.target_id, r.source_seen, r.target_seen, r.snapshot, r.mapping_version, $2
FROM jsonb_to_recordset($3::jsonb) AS r(n int, external_id text, target_id text, source_seen text, target_seen text, snapshot jsonb, mapping_version int)
ORDER BY r.external_id, r.n DESC
ON CONFLICT (job, external_id) DO UPDATE SET target_id = excluded.target_id, source_seen = excluded.source_seen,
    target_seen = excluded.target_seen, snapshot = excluded.snapshot, mapping_version = excluded.mapping_version, run = excluded.run, at = now()`,
		job, p.Run, string(rows))
	return err
}

type syncedRow struct {
	N              int             `json:"n"`
	ExternalID     string          `json:"external_id"`
	TargetID       string          `json:"target_id"`
	SourceSeen     string          `json:"source_seen"`
	TargetSeen     string          `json:"target_seen"`
	Snapshot       json.RawMessage `json:"snapshot"`
	MappingVersion int             `json:"mapping_version"`
}

func wireSynced(list []Synced) []syncedRow {
	rows := make([]syncedRow, len(list))
	for i, one := range list {
		if len(one.Snapshot) == 0 {
			one.Snapshot = json.RawMessage(`{}`)
		}
		rows[i] = syncedRow{i, one.ExternalID, one.TargetID, one.SourceSeen, one.TargetSeen, one.Snapshot, one.MappingVersion}
	}
	return rows
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

// Totals sums the ledger of a run up.
func (s *Store) Totals(ctx context.Context, run string) (map[string]int64, error) {
	var rows []struct {
		Name string `db:"name"`
		Sum  int64  `db:"sum"`
	}
	err := s.db.SelectContext(ctx, &rows, `
SELECT c.key AS name, sum(c.value::bigint)::bigint AS sum FROM run_page p, jsonb_each_text(p.counts) c WHERE p.run = $1 GROUP BY c.key`, run)
	totals := make(map[string]int64, len(rows))
	for _, r := range rows {
		totals[r.Name] = r.Sum
	}
	return totals, translate(err)
}

// Synced gives what is known of some records of a job, by external id.
func (s *Store) Synced(ctx context.Context, job string, ids []string) (map[string]Synced, error) {
	var rows []Synced
	err := s.db.SelectContext(ctx, &rows, `
SELECT external_id, target_id, source_seen, target_seen, snapshot, mapping_version FROM synced
WHERE job = $1 AND external_id = ANY($2::text[])`, job, textArray(ids))
	known := make(map[string]Synced, len(rows))
	for _, r := range rows {
		known[r.ExternalID] = r
	}
	return known, translate(err)
}

// Ask notes what a person wants of a job's run: pause, resume or abort.
//
// Faults: run.none (NotFound) when no run goes on.
func (s *Store) Ask(ctx context.Context, job, what, by, why string) error {
	if what == "resume" {
		what = ""
	}
	r, err := s.db.ExecContext(ctx, `
UPDATE run SET asked = nullif($2, ''), asked_by = $3, asked_why = $4 WHERE job = $1 AND status = 'running'`, job, what, by, why)
	if err != nil {
		return translate(err)
	}
	if n, _ := r.RowsAffected(); n == 0 {
		return fault.New(fault.NotFound, "run.none", "no run of %q goes on", job).WithResolution("it may have ended meanwhile")
	}
	return nil
}

// EndRun closes a run and frees the job's lease. Only a run whose proof holds
// moves the watermark, to the source's own time when it began, and never back.
// Ending a run that has ended changes nothing.
func (s *Store) EndRun(ctx context.Context, id, status, sentence string, countedAfter int64, proved bool) error {
	_, err := s.db.ExecContext(ctx, `
WITH ended AS (
    UPDATE run SET status = $2, sentence = $3, counted_after = $4, ended_at = now() WHERE id = $1 AND status = 'running'
    RETURNING job, source_now
)
UPDATE job SET watermark = greatest(watermark, ended.source_now) FROM ended WHERE job.name = ended.job AND $5`,
		id, status, sentence, countedAfter, proved)
	return translate(err)
}
