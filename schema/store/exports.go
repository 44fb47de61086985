package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/fault"
)

// ExportState is how far a request to export records is.
type ExportState string

// The states of a request.
const (
	ExportWaiting   ExportState = "waiting" // for its run: of a job, once one is chosen
	ExportRunning   ExportState = "running" // Run is chosen, and started or about to be
	ExportDone      ExportState = "done"
	ExportParked    ExportState = "parked" // needs a person
	ExportDiscarded ExportState = "discarded"
)

// ExportRequest is records that somebody in a system chose to be exported to
// another: what one event asks of one job.
type ExportRequest struct {
	ID         int64          `db:"id"`
	Event      string         `db:"event"`
	Job        string         `db:"job"` // empty: none was chosen yet
	Connection string         `db:"connection"`
	System     string         `db:"system"`
	Model      string         `db:"model"`
	IDs        pq.StringArray `db:"ids"`
	By         string         `db:"by"`
	Asker      string         `db:"asker"` // who chose them, by their id in the system
	State      ExportState    `db:"state"`
	Run        string         `db:"run"`
	Attempt    int            `db:"attempt"`
	Code       string         `db:"code"`
	Message    string         `db:"message"`
	Resolution string         `db:"resolution"`
	Note       string         `db:"note"`
	// Counts are of the run that ended, whose requests are told together.
	Counts      json.RawMessage `db:"counts"`
	RequestedAt time.Time       `db:"requested_at"`
	ReceivedAt  time.Time       `db:"received_at"`
	SettledAt   sql.NullTime    `db:"settled_at"`
	// Told is how many endpoints were told of the event.
	Told int `db:"told"`
	// Behind is the run of its job that goes on, which a waiting one waits for.
	Behind string `db:"behind"`
	// Age is how many seconds ago it was received.
	Age float64 `db:"age"`
}

const exportColumns = `e.id, e.event, e.job, e.connection, e.system, e.model, e.ids, e.by, e.asker, e.state, e.run, e.attempt, e.code, e.message,
    e.resolution, e.note, e.counts, e.requested_at, e.received_at, e.settled_at,
    (SELECT count(*) FROM delivery d WHERE d.event = e.event) AS told,
    coalesce((SELECT r.id FROM run r WHERE r.job = e.job AND r.status = 'running' AND e.state = 'waiting'), '') AS behind,
    extract(epoch FROM now() - e.received_at)::float8 AS age`

// insertExports stores what new events ask for, with them.
func insertExports(ctx context.Context, tx *sqlx.Tx, events []OutboundEvent) error {
	type asked struct {
		Event       string      `json:"event"`
		Connection  string      `json:"connection"`
		System      string      `json:"system"`
		Model       string      `json:"model"`
		IDs         []string    `json:"ids"`
		By          string      `json:"by"`
		Asker       string      `json:"asker"`
		State       ExportState `json:"state"`
		Code        string      `json:"code"`
		Message     string      `json:"message"`
		Resolution  string      `json:"resolution"`
		RequestedAt time.Time   `json:"requested_at"`
	}
	var all []asked
	for _, e := range events {
		if x := e.Export; x != nil {
			one := asked{e.ID, e.Connection, x.System, x.Model, append([]string{}, x.IDs...), x.By, x.Asker, ExportWaiting, x.Code, x.Message, x.Resolution, e.OccurredAt.UTC()}
			if x.Code != "" {
				one.State = ExportParked
			}
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
INSERT INTO export_request (event, connection, system, model, ids, by, asker, state, code, message, resolution, requested_at)
SELECT event, connection, system, model, ids, by, asker, state, code, message, resolution, requested_at
FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (event text, connection text, system text, model text, ids text[], by text, asker text,
    state text, code text, message text, resolution text, requested_at timestamptz)) WITH ORDINALITY AS u
ORDER BY ordinality ON CONFLICT DO NOTHING`, string(raw))
	return err
}

// SomeOpenExports tells whether any request waits or runs.
func (s *Store) SomeOpenExports(ctx context.Context) (some bool, err error) {
	err = s.db.GetContext(ctx, &some, `SELECT EXISTS (SELECT 1 FROM export_request WHERE state IN ('waiting', 'running'))`)
	return some, translate(err)
}

// OpenExports gives the requests that wait or run, in the order in which they
// came; of those that wait for the same job the first, so that a job which is
// held up holds up no other.
func (s *Store) OpenExports(ctx context.Context) (all []ExportRequest, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT `+exportColumns+` FROM (
    SELECT *, row_number() OVER (PARTITION BY job ORDER BY id) AS nth FROM export_request WHERE state = 'waiting'
    UNION ALL SELECT *, 0 FROM export_request WHERE state = 'running'
) e WHERE e.nth <= 200 ORDER BY e.id`)
	return all, translate(err)
}

// RouteExport gives a request to the jobs that export its records, each of which
// answers for it from now on. Of one that was routed already nothing changes.
func (s *Store) RouteExport(ctx context.Context, id int64, jobs []string) error {
	if len(jobs) == 0 {
		return nil
	}
	_, err := s.db.ExecContext(ctx, `
WITH one AS (
    UPDATE export_request SET job = $2 WHERE id = $1 AND job = '' AND state = 'waiting' RETURNING *
)
INSERT INTO export_request (event, job, connection, system, model, ids, by, asker, requested_at, received_at)
SELECT event, u.job, connection, system, model, ids, by, asker, requested_at, received_at FROM one, unnest($3::text[]) AS u(job)
ON CONFLICT (event, job) DO NOTHING`, id, jobs[0], textArray(jobs[1:]))
	return translate(err)
}

// ClaimExports chooses the run that carries requests out. Which requests a run
// has is fixed with that: whoever starts it starts the same.
func (s *Store) ClaimExports(ctx context.Context, ids []int64, run string) error {
	_, err := s.db.ExecContext(ctx, `
UPDATE export_request SET state = 'running', run = $2, attempt = attempt + 1 WHERE id = ANY($1) AND state = 'waiting' AND job <> ''`, pq.Array(ids), run)
	return translate(err)
}

// ExportsOfRun gives the requests that a run carries out.
func (s *Store) ExportsOfRun(ctx context.Context, run string) (all []ExportRequest, err error) {
	err = s.db.SelectContext(ctx, &all, `SELECT `+exportColumns+` FROM export_request e WHERE e.run = $1 ORDER BY e.id`, run)
	return all, translate(err)
}

// SettleExports ends the requests of a run, with what became of them in words
// and numbers.
func (s *Store) SettleExports(ctx context.Context, run, note string, counts map[string]int64) error {
	raw, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `
UPDATE export_request SET state = 'done', note = $2, counts = $3, code = '', message = '', resolution = '', settled_at = now() WHERE run = $1 AND state = 'running'`,
		run, note, string(raw))
	return translate(err)
}

// ReleaseExports lets the requests of a run wait for another one.
func (s *Store) ReleaseExports(ctx context.Context, run string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE export_request SET state = 'waiting' WHERE run = $1 AND state = 'running'`, run)
	return translate(err)
}

// ParkExports keeps open requests for a person, with the cause.
func (s *Store) ParkExports(ctx context.Context, ids []int64, why error, note string) error {
	f := fault.Of(why)
	_, err := s.db.ExecContext(ctx, `
UPDATE export_request SET state = 'parked', code = $2, message = $3, resolution = $4, note = $5
WHERE id = ANY($1) AND state IN ('waiting', 'running')`, pq.Array(ids), f.Code, f.Message, f.Resolution, note)
	return translate(err)
}

// LeaveExport closes a request that somebody else sees to.
func (s *Store) LeaveExport(ctx context.Context, id int64, note string) error {
	_, err := s.db.ExecContext(ctx, `
UPDATE export_request SET state = 'done', note = $2, settled_at = now() WHERE id = $1 AND state = 'waiting' AND job = ''`, id, note)
	return translate(err)
}

// ExportFilter chooses requests; what is empty does not restrict.
type ExportFilter struct {
	Event  string
	States []ExportState
	Limit  int // 0: no limit
}

func (f ExportFilter) args() []any {
	return []any{f.Event, anyOf(f.States)}
}

const exportFilterSQL = `($1 = '' OR e.event = $1) AND ($2::text[] IS NULL OR e.state = ANY($2))`

// ExportCounts counts requests that are open or parked, by state.
func (s *Store) ExportCounts(ctx context.Context) (map[ExportState]int64, error) {
	counts := map[ExportState]int64{ExportWaiting: 0, ExportRunning: 0, ExportParked: 0}
	var rows []struct {
		State ExportState `db:"state"`
		N     int64       `db:"n"`
	}
	err := s.db.SelectContext(ctx, &rows, `SELECT state, count(*) AS n FROM export_request WHERE state IN ('waiting', 'running', 'parked') GROUP BY state`)
	for _, r := range rows {
		counts[r.State] = r.N
	}
	return counts, translate(err)
}

// Exports lists requests, the newest first.
func (s *Store) Exports(ctx context.Context, f ExportFilter) (all []ExportRequest, err error) {
	err = s.db.SelectContext(ctx, &all, `SELECT `+exportColumns+` FROM export_request e WHERE `+exportFilterSQL+` ORDER BY e.id DESC LIMIT nullif($3::bigint, 0)`,
		append(f.args(), f.Limit)...)
	return all, translate(err)
}

// ExportAgain carries parked requests out once more, and reports how many.
func (s *Store) ExportAgain(ctx context.Context, f ExportFilter) (int64, error) {
	return s.steerExports(ctx, `UPDATE export_request e SET state = 'waiting', code = '', message = '', resolution = '', note = '', received_at = now(), reported_at = NULL,
    job = CASE WHEN (SELECT count(*) FROM export_request o WHERE o.event = e.event) = 1 THEN '' ELSE job END -- another job may do it now
WHERE e.state = 'parked' AND e.ids <> '{}' AND `+exportFilterSQL, f.args()...)
}

// DiscardExports gives parked requests up, and reports how many.
func (s *Store) DiscardExports(ctx context.Context, f ExportFilter, note string) (int64, error) {
	return s.steerExports(ctx, `UPDATE export_request e SET state = 'discarded', note = $3, settled_at = now() WHERE e.state = 'parked' AND `+exportFilterSQL,
		append(f.args(), note)...)
}

func (s *Store) steerExports(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, translate(err)
	}
	n, err := r.RowsAffected()
	return n, translate(err)
}

// UnreportedExports gives the requests of a connection that have ended, well or
// not, and of which nobody there was told yet.
func (s *Store) UnreportedExports(ctx context.Context, connection string) (all []ExportRequest, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT `+exportColumns+` FROM export_request e WHERE e.connection = $1 AND e.reported_at IS NULL AND e.state IN ('done', 'parked') ORDER BY e.id LIMIT 1000`, connection)
	return all, translate(err)
}

// ReportedExports notes that somebody was told of requests, as they stood: what was
// begun again meanwhile is told anew when it ends.
func (s *Store) ReportedExports(ctx context.Context, told []ExportRequest) error {
	var ids []int64
	var states []string
	var received []time.Time
	for _, x := range told {
		ids, states, received = append(ids, x.ID), append(states, string(x.State)), append(received, x.ReceivedAt)
	}
	_, err := s.db.ExecContext(ctx, `
UPDATE export_request e SET reported_at = now() FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS told (id, state, received_at)
WHERE e.id = told.id AND e.state = told.state AND e.received_at = told.received_at`, pq.Array(ids), pq.Array(states), pq.Array(received))
	return translate(err)
}

// PurgeExports deletes requests that were settled longer ago.
func (s *Store) PurgeExports(ctx context.Context, keep time.Duration) (int64, error) {
	return s.purge(ctx, `
DELETE FROM export_request WHERE id IN (SELECT id FROM export_request WHERE settled_at < now() - $1 * interval '1 second' LIMIT 1000)`, keep)
}

// ExportOffer is what a connection was told last of the systems to export to; nil
// where it was told nothing yet.
func (s *Store) ExportOffer(ctx context.Context, connection string) (json.RawMessage, error) {
	var told []byte
	err := s.db.GetContext(ctx, &told, `SELECT (SELECT systems FROM export_offer WHERE connection = $1)`, connection)
	return told, translate(err)
}

// PutExportOffer remembers it.
func (s *Store) PutExportOffer(ctx context.Context, connection string, told json.RawMessage) error {
	_, err := s.db.ExecContext(ctx, `
INSERT INTO export_offer (connection, systems) VALUES ($1, $2)
ON CONFLICT (connection) DO UPDATE SET systems = excluded.systems, told_at = now()`, connection, string(told))
	return translate(err)
}
