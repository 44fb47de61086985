package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"

	"github.com/jmoiron/sqlx"

	"towpath/schema/fault"
	"towpath/schema/seal"
)

// Endpoint is a stored receiver of webhooks. Secrets rest sealed; Opened opens
// them.
type Endpoint struct {
	Name       string          `db:"name"`
	Spec       json.RawMessage `db:"spec"` // schema/webhook.Endpoint, without secrets
	Secrets    json.RawMessage `db:"secrets"`
	Revision   int64           `db:"revision"`
	Active     bool            `db:"active"`
	Disabled   sql.NullString  `db:"disabled"` // why Towpath stopped delivering
	DisabledAt sql.NullTime    `db:"disabled_at"`
	OldUntil   sql.NullTime    `db:"old_until"` // then signing secrets and tokens but the newest count no more; null: they do
}

const endpointColumns = `name, spec, secrets, revision, active, disabled, disabled_at, old_until`

// Endpoints gives all endpoints by name.
func (s *Store) Endpoints(ctx context.Context) (all []Endpoint, err error) {
	err = s.db.SelectContext(ctx, &all, `SELECT `+endpointColumns+` FROM webhook_endpoint ORDER BY name`)
	return all, translate(err)
}

// EndpointsAsOf says how all endpoints stand, in a number that every change of
// one raises, and so does a new one. It is never 0.
func EndpointsAsOf(all []Endpoint) int64 {
	asOf := int64(1)
	for _, e := range all {
		asOf += e.Revision
	}
	return asOf
}

// Endpoint gives one endpoint; NotFound names the way out.
func (s *Store) Endpoint(ctx context.Context, name string) (Endpoint, error) {
	var e Endpoint
	err := translate(s.db.GetContext(ctx, &e, `SELECT `+endpointColumns+` FROM webhook_endpoint WHERE name = $1`, name))
	if fault.Is(err, fault.NotFound) {
		return e, UnknownEndpoint(name)
	}
	return e, err
}

// UnknownEndpoint is the fault of a name that no endpoint has.
func UnknownEndpoint(name string) error {
	return fault.New(fault.NotFound, "endpoint.unknown", "there is no endpoint %q", name).WithField("endpoint").
		WithResolution("towpath endpoint list shows them; add it under endpoints in towpath.yaml and run: towpath apply -f towpath.yaml")
}

// Opened gives the endpoint's secrets: what was given to PutEndpoint.
func (e Endpoint) Opened(ring *seal.Ring) (map[string]json.RawMessage, error) {
	var sealed map[string]string
	if err := json.Unmarshal(e.Secrets, &sealed); err != nil {
		return nil, err
	}
	open := make(map[string]json.RawMessage, len(sealed))
	for field, envelope := range sealed {
		plain, err := ring.Open(envelope, endpointSecret(e.Name, field))
		if err != nil {
			return nil, err
		}
		open[field] = json.RawMessage(plain)
	}
	return open, nil
}

func endpointSecret(endpoint, field string) string {
	return "webhook_endpoint/" + endpoint + "/" + field
}

// firstWidth is how many deliveries of a new endpoint may be under way: it shows
// first that it takes them, and each that it takes doubles it.
const firstWidth = 1

// PutEndpoint creates or changes an endpoint. Each secret is given as JSON and
// sealed here; one that is not given stays as it was. changed is false when
// everything was so already.
func (s *Store) PutEndpoint(ctx context.Context, ring *seal.Ring, name string, spec json.RawMessage, secrets map[string]json.RawMessage, active bool) (changed bool, err error) {
	woken := false
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockAll(ctx, tx, "endpoint/"+name); err != nil {
			return err
		}
		var old Endpoint
		err := tx.GetContext(ctx, &old, `SELECT `+endpointColumns+` FROM webhook_endpoint WHERE name = $1`, name)
		if err != nil && !fault.Is(translate(err), fault.NotFound) {
			return err
		}
		isNew := err != nil
		sealed, fresh, err := resealed(ring, old, name, secrets)
		if err != nil {
			return err
		}
		if !isNew && !fresh && old.Active == active && equalJSON(old.Spec, spec) {
			return nil
		}
		changed, woken = true, !isNew && active && !old.Active
		_, signing := secrets["signing"] // all those given sign, whatever was rotated before
		_, former := secrets["former_bearer"]
		if _, err := tx.ExecContext(ctx, `
INSERT INTO webhook_endpoint AS e (name, spec, secrets, active) VALUES ($1, $2::jsonb, $3::jsonb, $4)
ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, secrets = excluded.secrets, active = excluded.active,
    old_until = CASE WHEN $5 THEN NULL ELSE e.old_until END, revision = e.revision + 1, updated_at = now()`, name, string(spec), string(sealed), active, fresh && (signing || former)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO endpoint_state AS s (endpoint, width) VALUES ($1, $2) ON CONFLICT (endpoint) DO UPDATE SET paced_at = least(s.paced_at, now())`, name, firstWidth)
		return err
	})
	if err == nil && woken {
		err = s.wakeDeliveries(ctx, name)
	}
	return changed, err
}

// resealed gives the envelope of all secrets: the old ones, and over them those
// given. fresh says whether any is new.
func resealed(ring *seal.Ring, old Endpoint, name string, secrets map[string]json.RawMessage) (envelope []byte, fresh bool, err error) {
	sealed := map[string]string{}
	if len(old.Secrets) > 0 {
		if err := json.Unmarshal(old.Secrets, &sealed); err != nil {
			return nil, false, err
		}
	}
	for field, plain := range secrets {
		if was, ok := sealed[field]; ok && ring.Active(was) {
			if open, err := ring.Open(was, endpointSecret(name, field)); err == nil && open == string(plain) {
				continue
			}
		}
		if sealed[field], err = ring.Seal(string(plain), endpointSecret(name, field)); err != nil {
			return nil, false, err
		}
		fresh = true
	}
	envelope, err = json.Marshal(sealed)
	return envelope, fresh, err
}

// PutEndpointSecrets replaces some secrets, each given as JSON. oldUntil, where it
// is set, ends the validity of all signing secrets and tokens but the newest.
func (s *Store) PutEndpointSecrets(ctx context.Context, ring *seal.Ring, name string, fields map[string]json.RawMessage, oldUntil sql.NullTime) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		var old Endpoint
		err := tx.GetContext(ctx, &old, `SELECT `+endpointColumns+` FROM webhook_endpoint WHERE name = $1 FOR UPDATE`, name)
		if fault.Is(translate(err), fault.NotFound) {
			return UnknownEndpoint(name)
		}
		if err != nil {
			return err
		}
		sealed, _, err := resealed(ring, old, name, fields)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE webhook_endpoint SET secrets = $2::jsonb, old_until = $3, revision = revision + 1, updated_at = now() WHERE name = $1`,
			name, string(sealed), oldUntil)
		return err
	})
}

// SwitchEndpoint makes an endpoint active, or inactive: then no deliveries are
// made for it, and those that are due wait. Active again, what waits for its
// next attempt is tried now, and the days of only failures begin anew.
func (s *Store) SwitchEndpoint(ctx context.Context, name string, active bool) error {
	return s.changeEndpoint(ctx, name, `WITH anew AS (UPDATE endpoint_state SET failing_since = NULL WHERE endpoint = $1 AND $2)
UPDATE webhook_endpoint SET active = $2,
    disabled = CASE WHEN $2 THEN NULL ELSE disabled END, disabled_at = CASE WHEN $2 THEN NULL ELSE disabled_at END,
    revision = revision + 1, updated_at = now() WHERE name = $1`, active, active)
}

// SwitchOff is Towpath's own stop of an endpoint, which is gone, or has only
// failed for days. Deliveries go on being made, and wait.
type SwitchOff struct {
	Why  string
	Told OutboundEvent // tells of it, stored in the same transaction: nobody fails silently
}

// DisableEndpoint switches an endpoint off. first is false when it was disabled
// already; then nothing is told.
func (s *Store) DisableEndpoint(ctx context.Context, name string, off SwitchOff) (first bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockStreams(ctx, tx, off.streams()...); err != nil {
			return err
		}
		first, err = disableEndpoint(ctx, tx, name, off)
		return err
	})
	return first && err == nil, err
}

// streams are the endpoints that are told of it.
func (off SwitchOff) streams() (endpoints []string) {
	for _, r := range off.Told.Receivers {
		endpoints = append(endpoints, r.Endpoint)
	}
	return endpoints
}

// disableEndpoint is DisableEndpoint within a transaction, which has the locks of
// off.streams already: they go before the endpoint's row.
func disableEndpoint(ctx context.Context, tx *sqlx.Tx, name string, off SwitchOff) (first bool, err error) {
	r, err := tx.ExecContext(ctx, `UPDATE webhook_endpoint SET disabled = $2, disabled_at = now(), revision = revision + 1 WHERE name = $1 AND disabled IS NULL`, name, off.Why)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	if err != nil || n == 0 {
		return false, err
	}
	if off.Told.AsOf != 0 {
		off.Told.AsOf++ // by this very change
	}
	added, err := insertEvents(ctx, tx, []OutboundEvent{off.Told})
	if err == nil {
		_, err = insertDeliveries(ctx, tx, added)
	}
	return true, err
}

// changeEndpoint runs a statement about one endpoint. wake makes the deliveries
// due whose workflows wait for their next attempt: in a transaction of its own,
// since who begins an attempt has its delivery and may want the endpoint's row.
func (s *Store) changeEndpoint(ctx context.Context, name, query string, wake bool, args ...any) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		r, err := tx.ExecContext(ctx, query, append([]any{name}, args...)...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, UnknownEndpoint(name))
		}
		return notifyDeliveries(ctx, tx)
	})
	if err != nil || !wake {
		return err
	}
	return s.wakeDeliveries(ctx, name)
}

// wakeDeliveries makes what waits for its next attempt due now.
func (s *Store) wakeDeliveries(ctx context.Context, name string) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockStreams(ctx, tx, name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE delivery SET due_at = now() WHERE endpoint = $1 AND state = 'retrying'`, name); err != nil {
			return err
		}
		return notifyDeliveries(ctx, tx)
	})
}

// HoldStreams says whether a parked delivery of an endpoint holds its stream,
// also of those that are there: the streams that none holds any more go on.
func (s *Store) HoldStreams(ctx context.Context, name string, holds bool) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockStreams(ctx, tx, name); err != nil {
			return err
		}
		var streams []string
		err := tx.SelectContext(ctx, &streams, `
UPDATE delivery SET holds = $2 WHERE endpoint = $1 AND holds <> $2 AND stream <> '' AND state IN ('waiting', 'ready', 'running', 'retrying', 'accepted', 'parked')
RETURNING stream`, name, holds)
		if err != nil || len(streams) == 0 {
			return err
		}
		if err := promote(ctx, tx, name, streams); err != nil {
			return err
		}
		return notifyDeliveries(ctx, tx)
	})
}

// deliveryChannel is where processes are told that a delivery became due.
const deliveryChannel = "towpath_delivery"

func notifyDeliveries(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `SELECT pg_notify($1, '')`, deliveryChannel)
	return err
}
