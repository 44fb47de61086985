package store

import (
	"context"
	"database/sql"
	"hash/fnv"
	"time"

	"github.com/lib/pq"

	"towpath/schema/record"
)

// Slots bounds calls in flight per system over all processes by session
// advisory locks, each on a connection of its own: a crashed process frees its
// slots with its connection (protocol P4). It implements connectors.Slots.
type Slots struct{ store *Store }

// Slots gives the slots of this store.
func (s *Store) Slots() Slots { return Slots{s} }

// Acquire waits for one of n slots of the system; release gives it back.
func (s Slots) Acquire(ctx context.Context, system string, n int) (release func(), err error) {
	conn, err := s.store.db.Conn(ctx)
	if err != nil {
		return nil, translate(err)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte("towpath slot " + system))
	class := int32(h.Sum32())
	const tryEvery = 50 * time.Millisecond
	for {
		slot, err := trySlots(ctx, conn, class, n)
		if err != nil {
			_ = conn.Close()
			return nil, translate(err)
		}
		if slot >= 0 {
			return func() {
				bg, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
				defer cancel()
				if _, err := conn.ExecContext(bg, `SELECT pg_advisory_unlock($1, $2)`, class, slot); err != nil {
					_ = conn.Raw(func(any) error { return sql.ErrConnDone }) // drop the session, and its lock with it
				}
				_ = conn.Close()
			}, nil
		}
		select {
		case <-ctx.Done():
			_ = conn.Close()
			return nil, translate(ctx.Err())
		case <-time.After(tryEvery):
		}
	}
}

// trySlots takes the first free slot, or gives -1.
func trySlots(ctx context.Context, conn *sql.Conn, class int32, n int) (int, error) {
	for slot := range n {
		var got bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1, $2)`, class, slot).Scan(&got); err != nil {
			return -1, err
		}
		if got {
			return slot, nil
		}
	}
	return -1, nil
}

// Current gives those keys whose fence is still the object's own. It
// implements connectors.Fences: one query for a whole flush.
func (s *Store) Current(ctx context.Context, keys []record.FenceKey) (map[record.FenceKey]bool, error) {
	var c, k, e []string
	var fences []int64
	for _, key := range keys {
		c, k, e = append(c, key.Connection), append(k, string(key.Kind)), append(e, key.ExternalID)
		fences = append(fences, key.Fence)
	}
	var rows []struct {
		Key
		Fence int64 `db:"fence"`
	}
	err := s.db.SelectContext(ctx, &rows, `
SELECT o.connection, o.kind, o.external_id, o.fence
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS u(c, k, e, f)
JOIN object o ON (o.connection, o.kind, o.external_id, o.fence) = (u.c, u.k, u.e, u.f)`,
		pq.Array(c), pq.Array(k), pq.Array(e), pq.Array(fences))
	if err != nil {
		return nil, translate(err)
	}
	current := make(map[record.FenceKey]bool, len(rows))
	for _, r := range rows {
		current[record.FenceKey{Connection: r.Connection, Kind: r.Kind, ExternalID: r.ExternalID, Fence: r.Fence}] = true
	}
	return current, nil
}
