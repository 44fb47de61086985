package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Page is one page of a lane with all that became of its records.
type Page struct {
	Run    string
	Lane   int
	Number int
	After  string // cursor that it was read from
	Next   string // cursor behind it; "" ends the lane
	Counts map[string]int64
	IDs    []string // of the records it held, for the sweep
	Sums   []Sum    // of what both sides hold of them, for the report

	Synced    []Synced
	Bindings  []NewBinding
	Wrote     []Wrote
	Parked    []ParkedRecord
	WouldPark []ParkedRecord // of a plan: why they would be parked is kept with it
	Clear     []string       // records that need nobody any more
	Awaited   []Awaited      // records that the target does not have yet
	// SourceModel and TargetModel are what the bindings tie.
	SourceModel, TargetModel string

	Conflicts []Conflict
	// Settled are records whose fields are in conflict no longer, "" field: all.
	Settled []Conflict
}

// Synced is a record as it was when both sides were last in step.
type Synced struct {
	ExternalID     string          `db:"external_id" json:"external_id"`
	TargetID       string          `db:"target_id" json:"target_id"`
	SourceSeen     string          `db:"source_seen" json:"source_seen"` // digest of the mapped fields, as read from the source
	TargetSeen     string          `db:"target_seen" json:"target_seen"` // the same, as read back from the target
	Snapshot       json.RawMessage `db:"snapshot" json:"snapshot"`
	MappingVersion int             `db:"mapping_version" json:"mapping_version"`
}

// Wrote says what became of a change.
type Wrote struct {
	Side       string        `json:"side"`
	ExternalID string        `json:"external_id"`
	Fence      int64         `json:"fence"`
	State      string        `json:"state"` // done, refused
	RecordID   string        `json:"record_id"`
	After      record.Values `json:"after"` // as read back; nil keeps what was to be written
	Note       string        `json:"note"`
	XID        string        `json:"-"` // that it was made under; "" of a record that was there
}

// ParkedRecord needs a person, or another time.
type ParkedRecord struct {
	ExternalID string
	Fault      *fault.Fault
}

// Conflict is a field that both sides changed.
type Conflict struct {
	Job        string          `db:"job" json:"-"`
	ExternalID string          `db:"external_id" json:"external_id"`
	Field      string          `db:"field" json:"field"`
	RecordID   string          `db:"record_id" json:"record_id"`
	Base       json.RawMessage `db:"base" json:"base"`
	Source     json.RawMessage `db:"source" json:"source"`
	Target     json.RawMessage `db:"target" json:"target"`
	Decision   sql.NullString  `db:"decision" json:"-"`
	DecidedBy  sql.NullString  `db:"decided_by" json:"-"`
	Reason     sql.NullString  `db:"reason" json:"-"`
	Since      sql.NullTime    `db:"since" json:"-"`
}

// SettlePage writes a page into the ledger together with what its records now
// are, in one transaction. Done again it replaces itself, so that a page which
// a dead worker had settled already counts once.
//
// Faults: run.over (Conflict) when the run has ended meanwhile,
// object.superseded (Conflict) when another worker has settled the lane's pages
// within other bounds, or somebody else has taken one of the records
// over: then nothing of the page is counted.
func (s *Store) SettlePage(ctx context.Context, p Page) error {
	counts, err := json.Marshal(p.Counts)
	if err != nil {
		return err
	}
	sums, err := json.Marshal(append([]Sum{}, p.Sums...))
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		var j Job
		err := tx.GetContext(ctx, &j, `
SELECT j.name, j.source, j.target, j.kind, j.binds FROM run r JOIN job j ON j.name = r.job WHERE r.id = $1 AND r.status = 'running' FOR SHARE OF r`, p.Run)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.Conflict, "run.over", "the run has ended; the page was not counted").
				WithResolution("the next run reads it again")
		}
		if err != nil {
			return err
		}
		// A page that is settled keeps its bounds, and each begins where the one
		// before it ended: two workers at one lane would count records twice else.
		put, err := tx.ExecContext(ctx, `
INSERT INTO run_page (run, lane, page, after, next, counts, ids, sums)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE NOT EXISTS (SELECT FROM run_page p WHERE (p.run, p.lane, p.page) = ($1, $2, $3 - 1) AND p.next <> $4)
ON CONFLICT (run, lane, page) DO UPDATE SET counts = excluded.counts, ids = excluded.ids, sums = excluded.sums, at = now()
WHERE (run_page.after, run_page.next) = (excluded.after, excluded.next)`,
			p.Run, p.Lane, p.Number, p.After, p.Next, string(counts), joinIDs(p.IDs), string(sums))
		if err != nil {
			return err
		}
		if n, err := put.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, error(Superseded()))
		}
		for _, step := range []func(context.Context, *sqlx.Tx, Job, Page) error{
			byKeys, settleWrites, putBindings, putSynced, putParked, putPlanParked, clearParked, putAwaited, putConflicts,
		} {
			if err := step(ctx, tx, j, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// byKeys has the rows of the page looked up by their keys, one by one. While a
// first run fills the tables, nothing is known of their sizes yet, and a plan
// that reads them whole looks cheap: each page would cost more than the last.
func byKeys(ctx context.Context, tx *sqlx.Tx, _ Job, p Page) error {
	if len(p.Wrote)+len(p.Bindings)+len(p.Synced)+len(p.Parked)+len(p.WouldPark)+len(p.Clear)+len(p.Conflicts)+len(p.Settled) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT set_config(s, 'off', true) FROM unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin}'::text[]) s`)
	return err
}

// settleWrites ends the intents of the page, if all of them are still current.
func settleWrites(ctx context.Context, tx *sqlx.Tx, j Job, p Page) error {
	if len(p.Wrote) == 0 {
		return nil
	}
	rows, err := json.Marshal(p.Wrote)
	if err != nil {
		return err
	}
	// The run comes out of the rows: with a constant, a plan made before there are
	// statistics would go through all changes of the run, for each page.
	var current int
	if err := tx.GetContext(ctx, &current, `
WITH w AS (SELECT * FROM jsonb_to_recordset($4::jsonb) AS w(side text, external_id text, fence bigint, state text, record_id text, after jsonb, note text)),
mine AS (
    SELECT $1::text AS run, w.* FROM w CROSS JOIN LATERAL (
        SELECT FROM object o WHERE (o.connection, o.kind, o.external_id, o.fence) = ($2, $3, w.external_id, w.fence) OFFSET 0) current
), ended AS (
    UPDATE change c SET state = m.state, record_id = coalesce(nullif(m.record_id, ''), c.record_id),
        after = CASE WHEN m.after IS NULL OR m.after = 'null' THEN c.after ELSE c.after || m.after END, note = m.note, at = now()
    FROM mine m WHERE (c.run, c.side, c.external_id) = (m.run, m.side, m.external_id)
)
SELECT count(*) FROM mine`, p.Run, FencedBetween(j.Source, j.Target), j.BoundAs(), string(rows)); err != nil {
		return err
	}
	if current != len(p.Wrote) {
		return Superseded()
	}
	return closeClaims(ctx, tx, j, p.Wrote)
}

// closeClaims tells all who need a record that the page made where it is.
func closeClaims(ctx context.Context, tx *sqlx.Tx, j Job, wrote []Wrote) error {
	var xids, ids []string
	for _, w := range wrote {
		if w.XID != "" && w.State == ChangeDone && w.Side == "target" {
			xids, ids = append(xids, w.XID), append(ids, w.RecordID)
		}
	}
	if len(xids) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
WITH made AS MATERIALIZED (SELECT $1::text AS target, $2::text AS kind, u.* FROM unnest($3::text[], $4::text[]) AS u(xid, id)) -- as in settleWrites
UPDATE claim c SET target_id = m.id FROM made m
WHERE (c.target, c.kind, c.xid) = (m.target, m.kind, m.xid) AND c.target_id IS NULL`, j.Target, j.BoundAs(), textArray(xids), textArray(ids))
	return err
}

// putBindings ties records of the page to theirs in the target. Orders that
// waited for one of the products go on, and records that waited for
// one of them are looked for again.
func putBindings(ctx context.Context, tx *sqlx.Tx, j Job, p Page) error {
	if len(p.Bindings) == 0 {
		return nil
	}
	list := slices.Clone(p.Bindings)
	slices.SortFunc(list, func(a, b NewBinding) int { return strings.Compare(a.ExternalID, b.ExternalID) })
	var ids, targets, xids, needs, bound, were, heirs, claims []string
	for _, b := range list {
		if b.Was != "" {
			were, heirs, claims = append(were, b.Was), append(heirs, b.TargetID), append(claims, b.ClaimedAs)
		}
		bound = append(bound, NeedOf(j.Source, p.SourceModel, b.ExternalID), NeedOf(j.Target, p.TargetModel, b.TargetID))
		ids, targets, xids = append(ids, b.ExternalID), append(targets, b.TargetID), append(xids, b.XID)
		if j.BoundAs() == BindProduct {
			needs = append(needs, Need(j.Source, j.BoundAs(), b.ExternalID))
		}
	}
	if len(needs) > 0 {
		if err := lockAll(ctx, tx, needs...); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `
INSERT INTO binding (connection, kind, external_id, target, target_id, xid)
SELECT DISTINCT ON (u.e) $1, $2, u.e, $3, u.t, nullif(u.x, '') FROM unnest($4::text[], $5::text[], $6::text[]) AS u(e, t, x)
ON CONFLICT (connection, kind, external_id, target) DO UPDATE
SET target_id = excluded.target_id, xid = excluded.xid, status = 'active', updated_at = now()
WHERE (binding.target_id, binding.xid, binding.status) IS DISTINCT FROM (excluded.target_id, excluded.xid, 'active')`,
		j.Source, j.BoundAs(), j.Target, pq.Array(ids), pq.Array(targets), pq.Array(xids)); err != nil {
		return err
	}
	if err := inherit(ctx, tx, j, were, heirs, claims); err != nil {
		return err
	}
	if err := lookAtReferrers(ctx, tx, j, were); err != nil {
		return err
	}
	if err := release(ctx, tx, j, bound); err != nil {
		return err
	}
	if len(needs) == 0 {
		return nil
	}
	_, err := wake(ctx, tx, needs...)
	return err
}

// inherit has those who agreed on a record that is gone find the one in its place.
func inherit(ctx context.Context, tx *sqlx.Tx, j Job, were, heirs, claims []string) error {
	if len(were) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
UPDATE claim c SET target_id = u.heir FROM unnest($3::text[], $4::text[], $5::text[]) AS u(was, heir, xid)
WHERE c.target = $1 AND c.xid = u.xid AND c.kind = $2 AND c.target_id = u.was`, j.Target, j.BoundAs(), textArray(were), textArray(heirs), textArray(claims))
	return err
}

func putSynced(ctx context.Context, tx *sqlx.Tx, j Job, p Page) error {
	if len(p.Synced) == 0 {
		return nil
	}
	list := slices.Clone(p.Synced)
	for i := range list {
		list[i].Snapshot = orEmpty(list[i].Snapshot)
	}
	rows, err := json.Marshal(list)
	if err != nil {
		return err
	}
	// One record may stand twice in a page of a source that repeats itself: the later one holds.
	_, err = tx.ExecContext(ctx, `
INSERT INTO synced (job, external_id, target_id, source_seen, target_seen, snapshot, mapping_version, run)
SELECT DISTINCT ON (r.external_id) $1, r.external_id, r.target_id, r.source_seen, r.target_seen, r.snapshot, r.mapping_version, $2
FROM ROWS FROM (jsonb_to_recordset($3::jsonb) AS (external_id text, target_id text, source_seen text, target_seen text, snapshot jsonb, mapping_version int))
    WITH ORDINALITY AS r(external_id, target_id, source_seen, target_seen, snapshot, mapping_version, n)
ORDER BY r.external_id, r.n DESC
ON CONFLICT (job, external_id) DO UPDATE SET target_id = excluded.target_id, source_seen = excluded.source_seen,
    target_seen = excluded.target_seen, snapshot = excluded.snapshot, mapping_version = excluded.mapping_version, run = excluded.run, at = now()`,
		j.Name, p.Run, string(rows))
	return err
}

func putConflicts(ctx context.Context, tx *sqlx.Tx, j Job, p Page) error {
	if len(p.Settled) > 0 {
		gone, err := json.Marshal(p.Settled)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
DELETE FROM conflict c USING jsonb_to_recordset($2::jsonb) AS r(external_id text, field text)
WHERE c.job = $1 AND c.external_id = r.external_id AND r.field IN ('', c.field)`, j.Name, string(gone)); err != nil {
			return err
		}
	}
	if len(p.Conflicts) == 0 {
		return nil
	}
	rows, err := json.Marshal(p.Conflicts)
	if err != nil {
		return err
	}
	// A decision about other values is none about these.
	_, err = tx.ExecContext(ctx, `
INSERT INTO conflict AS c (job, external_id, field, record_id, base, source, target)
SELECT $1, r.external_id, r.field, r.record_id, coalesce(r.base, 'null'), coalesce(r.source, 'null'), coalesce(r.target, 'null')
FROM jsonb_to_recordset($2::jsonb) AS r(external_id text, field text, record_id text, base jsonb, source jsonb, target jsonb)
ON CONFLICT (job, external_id, field) DO UPDATE SET base = excluded.base, source = excluded.source, target = excluded.target, record_id = excluded.record_id,
    decision = NULL, decided_by = NULL, reason = NULL, decided_at = NULL, since = now()
WHERE (c.source, c.target) IS DISTINCT FROM (excluded.source, excluded.target)`, j.Name, string(rows))
	return err
}

// PageCount is how many records of a page had some outcome.
type PageCount struct {
	Lane int   `db:"lane"`
	Page int   `db:"page"`
	N    int64 `db:"n"`
}

// PageCounts gives one count of all pages of a run.
func (s *Store) PageCounts(ctx context.Context, run, name string) (all []PageCount, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT lane, page, coalesce((counts->>$2)::bigint, 0) AS n FROM run_page WHERE run = $1 ORDER BY lane, page`, run, name)
	return all, translate(err)
}

// ClearVanished closes the parked records and lines of a source that a complete
// reading, begun with the run, did not meet any more: it would have parked them
// again, or written them. onlyLines leaves records open, of a reading that held
// some of them only.
func (s *Store) ClearVanished(ctx context.Context, j Job, run string, onlyLines bool) error {
	_, err := s.db.ExecContext(ctx, `
UPDATE parked SET state = 'resolved', resolved_at = now(), resolved_by = 'towpath'
FROM run r WHERE r.id = $4 AND parked.connection = $1 AND parked.kind = $2 AND parked.job = $3 AND parked.state = 'open'
  AND greatest(parked.since, parked.last_at) < r.started_at -- a person has made it due meanwhile: last_at is '-infinity'
  AND ($5 = false OR parked.code = 'sync.unreadable')`, j.Source, j.Kind, j.Name, run, onlyLines)
	return translate(err)
}
