package store

import (
	"context"
	"encoding/json"

	"towpath/schema/seal"
)

// Reseal seals every secret of connections and endpoints anew with the active
// key and gives their number.
func (s *Store) Reseal(ctx context.Context, ring *seal.Ring) (n int, err error) {
	for _, t := range []struct {
		table string
		place func(name, field string) string
	}{{"connection", secretPlace}, {"webhook_endpoint", endpointSecret}} {
		done, err := s.reseal(ctx, ring, t.table, t.place)
		if n += done; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (s *Store) reseal(ctx context.Context, ring *seal.Ring, table string, place func(name, field string) string) (n int, err error) {
	var rows []struct {
		Name    string          `db:"name"`
		Secrets json.RawMessage `db:"secrets"`
	}
	if err := s.db.SelectContext(ctx, &rows, `SELECT name, secrets FROM `+table+` ORDER BY name`); err != nil {
		return 0, translate(err)
	}
	for _, r := range rows {
		var sealed map[string]string
		if err := json.Unmarshal(r.Secrets, &sealed); err != nil {
			return n, err
		}
		fresh := 0
		for field, envelope := range sealed {
			if ring.Active(envelope) {
				continue
			}
			plain, err := ring.Open(envelope, place(r.Name, field))
			if err != nil {
				return n, err
			}
			if sealed[field], err = ring.Seal(plain, place(r.Name, field)); err != nil {
				return n, err
			}
			fresh++
		}
		if fresh == 0 {
			continue
		}
		out, err := json.Marshal(sealed)
		if err != nil {
			return n, err
		}
		// Who changed them meanwhile sealed them with the active key.
		if _, err := s.db.ExecContext(ctx, `UPDATE `+table+` SET secrets = $2::jsonb WHERE name = $1 AND secrets = $3::jsonb`, r.Name, string(out), string(r.Secrets)); err != nil {
			return n, translate(err)
		}
		n += fresh
	}
	return n, nil
}
