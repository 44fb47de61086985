package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"github.com/jmoiron/sqlx"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/seal"
)

// Connection is one stored door to a system. Secrets rest sealed; Merged opens
// them.
type Connection struct {
	Name         string          `db:"name"`
	Kind         string          `db:"kind"`
	Config       json.RawMessage `db:"config"`
	Secrets      json.RawMessage `db:"secrets"`
	Revision     int64           `db:"revision"`
	Active       bool            `db:"active"`
	Identity     sql.NullString  `db:"identity"`
	Stopped      sql.NullString  `db:"stopped"`
	CaughtUpTo   sql.NullTime    `db:"caught_up_to"`
	HooksChecked sql.NullTime    `db:"hooks_checked_at"`
}

const connectionColumns = `name, kind, config, secrets, revision, active, identity, stopped, caught_up_to, hooks_checked_at`

// Connections gives all connections by name.
func (s *Store) Connections(ctx context.Context) ([]Connection, error) {
	var all []Connection
	err := s.db.SelectContext(ctx, &all, `SELECT `+connectionColumns+` FROM connection ORDER BY name`)
	return all, translate(err)
}

// Connection gives one connection; NotFound names the way out.
func (s *Store) Connection(ctx context.Context, name string) (Connection, error) {
	var c Connection
	err := s.db.GetContext(ctx, &c, `SELECT `+connectionColumns+` FROM connection WHERE name = $1`, name)
	if f := fault.Of(translate(err)); f != nil && f.Kind == fault.NotFound {
		return c, fault.New(fault.NotFound, "connection.unknown", "there is no connection %q", name).
			WithResolution("add it to towpath.yaml and run: towpath apply -f towpath.yaml")
	}
	return c, translate(err)
}

// Merged gives the connection's settings with its secrets opened.
func (c Connection) Merged(ring *seal.Ring) (json.RawMessage, error) {
	var settings, sealed map[string]json.RawMessage
	if err := json.Unmarshal(c.Config, &settings); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(c.Secrets, &sealed); err != nil {
		return nil, err
	}
	for field, envelope := range sealed {
		var text string
		if err := json.Unmarshal(envelope, &text); err != nil {
			return nil, err
		}
		plain, err := ring.Open(text, secretPlace(c.Name, field))
		if err != nil {
			return nil, err
		}
		settings[field] = json.RawMessage(plain) // the field's JSON, sealed as a whole
	}
	return json.Marshal(settings)
}

func secretPlace(connection, field string) string { return "connection/" + connection + "/" + field }

// PutConnection creates or changes a connection. Secrets are given as the JSON
// of each secret field and are sealed here. changed is false when everything
// was so already: applying a file twice does nothing.
func (s *Store) PutConnection(ctx context.Context, ring *seal.Ring, name, kind string, config json.RawMessage, secrets map[string]json.RawMessage) (changed bool, err error) {
	old, err := s.Connection(ctx, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	sealed := map[string]string{}
	same := err == nil && old.Kind == kind && equalJSON(old.Config, config)
	if err == nil && old.Kind != kind {
		return false, fault.New(fault.Invalid, "connection.kind_changed", "connection %q is of kind %s and stays so", name, old.Kind).
			WithField("kind").WithResolution("use another name for the new connection")
	}
	var before map[string]string
	if err == nil {
		if err := json.Unmarshal(old.Secrets, &before); err != nil {
			return false, err
		}
	}
	for field, plain := range secrets {
		if was, ok := before[field]; ok && ring.Active(was) {
			if opened, err := ring.Open(was, secretPlace(name, field)); err == nil && opened == string(plain) {
				sealed[field] = was
				continue
			}
		}
		same = false
		if sealed[field], err = ring.Seal(string(plain), secretPlace(name, field)); err != nil {
			return false, err
		}
	}
	if same && len(before) == len(sealed) {
		return false, nil
	}
	envelope, err := json.Marshal(sealed)
	if err != nil {
		return false, err
	}
	_, err = s.db.ExecContext(ctx, `
INSERT INTO connection (name, kind, config, secrets) VALUES ($1, $2, $3::jsonb, $4::jsonb)
ON CONFLICT (name) DO UPDATE SET config = excluded.config, secrets = excluded.secrets, revision = connection.revision + 1, updated_at = now()`,
		name, kind, string(config), string(envelope))
	return true, translate(err)
}

func equalJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// SwitchConnection switches a connection on or off. Off, nothing is received
// from it or written to it; what waits for it stays where it is.
func (s *Store) SwitchConnection(ctx context.Context, name string, active bool) (changed bool, err error) {
	r, err := s.db.ExecContext(ctx, `UPDATE connection SET active = $2, revision = revision + 1, updated_at = now() WHERE name = $1 AND active <> $2`, name, active)
	if err != nil {
		return false, translate(err)
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// Flow says where a source's objects go, and by which rules.
type Flow struct {
	Source   string          `db:"source"`
	Kind     record.Kind     `db:"kind"`
	Target   string          `db:"target"`
	Rules    json.RawMessage `db:"rules"`
	Revision int64           `db:"revision"`
	Active   bool            `db:"active"`
}

// Flows gives all flows.
func (s *Store) Flows(ctx context.Context) ([]Flow, error) {
	var all []Flow
	err := s.db.SelectContext(ctx, &all, `SELECT source, kind, target, rules, revision, active FROM flow ORDER BY source, kind`)
	return all, translate(err)
}

// PutFlow creates or changes a flow; what is parked under the old rules
// becomes due again.
func (s *Store) PutFlow(ctx context.Context, f Flow) (changed bool, woken int64, err error) {
	var old Flow
	err = s.db.GetContext(ctx, &old, `SELECT source, kind, target, rules, revision, active FROM flow WHERE source = $1 AND kind = $2`, f.Source, f.Kind)
	switch {
	case err == nil && old.Target == f.Target && old.Active == f.Active && equalJSON(old.Rules, f.Rules):
		return false, 0, nil
	case err == nil && old.Target != f.Target:
		return false, 0, fault.New(fault.Invalid, "flow.target_changed", "orders of %q go to %q already", f.Source, old.Target).
			WithField("to").WithResolution("a flow keeps its target: its bindings live there; add another source connection instead")
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, 0, translate(err)
	}
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `
INSERT INTO flow (source, kind, target, rules, active) VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (source, kind) DO UPDATE SET rules = excluded.rules, active = excluded.active, revision = flow.revision + 1, updated_at = now()`,
			f.Source, f.Kind, f.Target, string(f.Rules), f.Active); err != nil {
			return err
		}
		woken, err = wakeAll(ctx, tx, f.Source, f.Kind, true)
		return err
	})
	return err == nil, woken, err
}

// Pin stores a system's identity at first contact and compares it later. A
// different one stops writing until a person decides; stopped says why.
func (s *Store) Pin(ctx context.Context, connection, identity string) (stopped string, err error) {
	var row struct {
		Identity string         `db:"identity"`
		Stopped  sql.NullString `db:"stopped"`
	}
	err = s.db.GetContext(ctx, &row, `
UPDATE connection SET
    identity = coalesce(identity, $2),
    stopped = CASE WHEN identity IS NOT NULL AND identity <> $2 THEN
        'the database is not the one that was connected (identity ' || $2 || ', was ' || identity || '): restored or cloned?' ELSE stopped END
WHERE name = $1 RETURNING identity, stopped`, connection, identity)
	return row.Stopped.String, translate(err)
}

// AcceptIdentity lets a stopped connection write again, taking the identity that the
// system has now for its own.
func (s *Store) AcceptIdentity(ctx context.Context, connection, identity string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE connection SET identity = $2, stopped = NULL, updated_at = now() WHERE name = $1`, connection, identity)
	return translate(err)
}

// CaughtUp moves a source's watermark forward: everything it changed before
// that time, by its own clock, is in the inbox.
func (s *Store) CaughtUp(ctx context.Context, connection string, to time.Time) error {
	_, err := s.db.ExecContext(ctx, `UPDATE connection SET caught_up_to = greatest(caught_up_to, $2) WHERE name = $1`, connection, to)
	return translate(err)
}

// HooksChecked notes that the subscriptions of a source were checked.
func (s *Store) HooksChecked(ctx context.Context, connection string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE connection SET hooks_checked_at = now() WHERE name = $1`, connection)
	return translate(err)
}
