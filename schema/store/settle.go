package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"towpath/schema/fault"
)

// Settlement is how a pass ends.
type Settlement struct {
	Outcome  string
	Code     string
	Stage    string     // new stage in the target; empty keeps it
	Version  string     // content this pass dealt with; empty keeps applied_version
	Digest   string     // stored only when the last stage is done; empty keeps the old one
	WakeAt   *time.Time // due again then; nil: only when something happens
	Slow     bool       // counts as one more slow try
	Bind     *Bind      // the order's record in the target
	After    json.RawMessage
	By       string
	Note     string
	Fault    *fault.Fault // opens or refreshes the parked row
	Needs    []string     // wait for these mappings (protocol P1.6)
	Override json.RawMessage
	SkipAll  bool // an operator said: leave this version alone
}

// Bind ties the object to its record in the target.
type Bind struct {
	TargetID string
	XID      string // empty: adopted
	Name     string
	LineXIDs []string
}

// Settle ends a pass in one transaction, guarded by its fence (protocol P1.4):
// a zombie changes nothing and gets the Conflict fault "object.superseded".
// again reports that something came in while the pass ran.
func (s *Store) Settle(ctx context.Context, p *Pass, st Settlement) (again bool, parkedID int64, err error) {
	if st.By == "" {
		st.By = "towpath"
	}
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if len(st.Needs) > 0 {
			mapped, err := lockNeeds(ctx, tx, p, st.Needs)
			if err != nil {
				return err
			}
			if mapped { // it was mapped while this pass ran: go again at once
				now := time.Now()
				st.WakeAt = &now
			}
		}
		if again, err = settleObject(ctx, tx, p, st); err != nil {
			return err
		}
		if err = settleRest(ctx, tx, p, st); err != nil {
			return err
		}
		if st.Fault != nil {
			parkedID, err = park(ctx, tx, p, *st.Fault)
		}
		return err
	})
	return again, parkedID, err
}

// settleObject ends the pass on the object. One that was made due meanwhile has
// not settled: its next pass follows at once. Where that was for looking into the
// target (LookAgain), what this pass wrote does not keep the next from looking.
func settleObject(ctx context.Context, tx *sqlx.Tx, p *Pass, st Settlement) (again bool, err error) {
	slow := 0
	if st.Slow {
		slow = p.SlowTries + 1
	}
	override := any(nil)
	if st.Override != nil {
		override = string(st.Override)
	}
	err = tx.GetContext(ctx, &again, `
UPDATE object SET
    due_at = CASE WHEN epoch = $5 THEN $6::timestamptz ELSE now() + `+`interval '60 seconds'`+` END,
    calls = 0, outcome = $7, code = nullif($8, ''), stage = coalesce(nullif($9, ''), stage),
    applied_version = greatest(applied_version, $10), slow_tries = $12,
    applied_digest = CASE WHEN applied_digest = '' AND $16 <> '' THEN '' ELSE coalesce(nullif($11, ''), applied_digest) END,
    settled_at = CASE WHEN epoch = $5 THEN now() END,
    override = coalesce($13::jsonb, override),
    skip_version = CASE WHEN $14 THEN $15 ELSE skip_version END
WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence = $4
RETURNING epoch <> $5`,
		p.Connection, p.Kind, p.ExternalID, p.Fence, p.Epoch, st.WakeAt, st.Outcome, st.Code, st.Stage,
		st.Version, st.Digest, slow, override, st.SkipAll, p.Version.String, p.AppliedDigest)
	if err != nil {
		if f := fault.Of(translate(err)); f.Kind == fault.NotFound {
			return false, Superseded()
		}
	}
	return again, err
}

// settleRest ends the events, the intents and the waits of the pass, closes the
// parked row of one that got through, and ties the binding: one round trip for all. Intents end only when the target was
// read back; else the next pass looks there before it decides anything, since
// one of them may have landed.
func settleRest(ctx context.Context, tx *sqlx.Tx, p *Pass, st Settlement) error {
	b := Bind{}
	if st.Bind != nil {
		b = *st.Bind
	}
	parked := "resolved"
	switch {
	case st.Fault != nil:
		parked = "open" // parked again
	case st.SkipAll:
		parked = "ignored"
	}
	_, err := tx.ExecContext(ctx, `
WITH done AS (
    UPDATE inbound_event SET state = 'done', outcome = $5, settled_at = now() WHERE id = ANY($4::bigint[])
), journalled AS (
    UPDATE journal SET state = 'settled', outcome = $5, code = nullif($6, ''), after = nullif($7, '')::jsonb, by = $8, note = nullif($9, ''), settled_at = now()
    WHERE connection = $1 AND kind = $2 AND external_id = $3 AND state <> 'settled' AND $5 IN ('applied', 'unchanged')
    RETURNING 1
), trail AS (
    INSERT INTO journal (connection, kind, external_id, epoch, fence, version, state, outcome, code, by, note, settled_at)
    SELECT $1, $2, $3, $10, $11, $12, 'settled', $5, nullif($6, ''), $8, nullif($9, ''), now()
    WHERE NOT EXISTS (SELECT 1 FROM journalled) AND $5 <> 'unchanged'
), bound AS (
    INSERT INTO binding (connection, kind, external_id, target, target_id, xid, external_name, line_xids)
    SELECT $1, $2, $3, $13, $14, nullif($15, ''), $16, $17::text[] WHERE $14 <> ''
    ON CONFLICT (connection, kind, external_id, target) DO UPDATE
    SET target_id = excluded.target_id, xid = excluded.xid, external_name = excluded.external_name, line_xids = excluded.line_xids,
        status = 'active', retry_count = 0, updated_at = now()
), got_through AS (
    UPDATE parked SET state = $19, resolved_at = now(), resolved_by = $8
    WHERE connection = $1 AND kind = $2 AND external_id = $3 AND state = 'open' AND $19 <> 'open'
)
DELETE FROM wait WHERE connection = $1 AND kind = $2 AND external_id = $3 AND NOT (need = ANY($18::text[]))`,
		p.Connection, p.Kind, p.ExternalID, pq.Array([]int64(p.Events)), st.Outcome, st.Code, string(st.After), st.By, st.Note,
		p.Epoch, p.Fence, p.Version.String, p.Target, b.TargetID, b.XID, b.Name, textArray(b.LineXIDs), textArray(st.Needs), parked)
	return err
}

// park opens or refreshes the object's parked row.
func park(ctx context.Context, tx *sqlx.Tx, p *Pass, f fault.Fault) (id int64, err error) {
	err = tx.GetContext(ctx, &id, `
INSERT INTO parked (connection, kind, external_id, code, message, resolution, field, fingerprint, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (connection, kind, external_id, job) WHERE state = 'open' DO UPDATE
SET code = excluded.code, message = excluded.message, resolution = excluded.resolution, field = excluded.field,
    fingerprint = excluded.fingerprint, detail = excluded.detail, times = parked.times + 1, last_at = now()
RETURNING id`, p.Connection, p.Kind, p.ExternalID, f.Code, f.Message, f.Resolution, f.Field, f.Fingerprint(), f.Detail)
	return id, err
}

// Quarantine remembers that a write may have landed or may still be running:
// until then no other content is sent (protocol P3.4).
func (s *Store) Quarantine(ctx context.Context, p *Pass, digest string, until time.Time) error {
	_, err := s.db.ExecContext(ctx, `
WITH j AS (UPDATE journal SET state = 'uncertain' WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence = $4 AND state = 'intent')
UPDATE object SET quarantine_until = $5, quarantine_digest = $6
WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence = $4`,
		p.Connection, p.Kind, p.ExternalID, p.Fence, until.UTC(), digest)
	return translate(err)
}

// Presume takes intents of earlier passes, of which nothing more was heard, for
// writes that may still land: their worker died with a request under way. Until
// then no other content is sent. Intents of different content quarantine all.
func (s *Store) Presume(ctx context.Context, p *Pass, until time.Time) error {
	err := s.db.QueryRowContext(ctx, `
WITH lost AS (
    UPDATE journal SET state = 'uncertain' WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence < $4 AND state = 'intent'
    RETURNING digest
), content AS (
    SELECT digest FROM lost UNION SELECT quarantine_digest FROM object
    WHERE connection = $1 AND kind = $2 AND external_id = $3 AND quarantine_until > now()
)
UPDATE object SET quarantine_until = $5, quarantine_digest = (SELECT CASE WHEN count(*) = 1 THEN min(digest) ELSE 'several' END FROM content)
WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence = $4 AND EXISTS (SELECT FROM lost)
RETURNING quarantine_until, quarantine_digest`,
		p.Connection, p.Kind, p.ExternalID, p.Fence, until.UTC()).Scan(&p.QuarantineUntil, &p.QuarantineDig)
	if errors.Is(err, sql.ErrNoRows) { // all of them were heard of
		return nil
	}
	return translate(err)
}

// Answered notes that the target has answered what the pass sent: nothing of
// it is under way any more, whatever became of the pass.
func (s *Store) Answered(ctx context.Context, p *Pass) error {
	_, err := s.db.ExecContext(ctx, `
UPDATE journal SET state = 'answered' WHERE connection = $1 AND kind = $2 AND external_id = $3 AND fence = $4 AND state = 'intent'`,
		p.Connection, p.Kind, p.ExternalID, p.Fence)
	return translate(err)
}
