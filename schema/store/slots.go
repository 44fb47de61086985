package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"hash/fnv"
	"sync"
	"time"

	"github.com/lib/pq"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Slots bounds calls in flight per system over all processes by session
// advisory locks, each on a connection of its own: a crashed process frees its
// slots with its connection (protocol P4). It implements connectors.Slots.
type Slots struct{ store *Store }

// Slots gives the slots of this store.
func (s *Store) Slots() Slots { return Slots{s} }

// tryEvery is how often a slot is asked for; between two tries the connection
// goes back to the pool, so that waiting costs the rest of the process nothing.
const tryEvery = 50 * time.Millisecond

// Acquire waits for one of n slots of the system; release gives it back.
func (s Slots) Acquire(ctx context.Context, system string, n int) (release func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte("towpath slot " + system))
	class := int32(h.Sum32())
	for {
		release, err := s.try(ctx, class, n)
		if err != nil || release != nil {
			return release, translate(err)
		}
		select {
		case <-ctx.Done():
			return nil, fault.New(fault.Transient, "store.no_slot", "no call slot of %q became free in time", system).WithCause(ctx.Err())
		case <-time.After(tryEvery):
		}
	}
}

// try takes the first free slot, and the connection that holds it; release is
// nil when there is none.
func (s Slots) try(ctx context.Context, class int32, n int) (release func(), err error) {
	conn, err := s.store.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for slot := range n {
		var got bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1, $2)`, class, slot).Scan(&got); err != nil {
			dropSession(conn) // the lock may have been taken: nobody would ever give it back
			return nil, err
		}
		if got {
			return sync.OnceFunc(func() { unlock(context.WithoutCancel(ctx), conn, class, slot) }), nil
		}
	}
	return nil, conn.Close()
}

func unlock(ctx context.Context, conn *sql.Conn, class int32, slot int) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock($1, $2)`, class, slot); err != nil {
		dropSession(conn)
		return
	}
	_ = conn.Close()
}

// dropSession ends the session, and its locks with it, instead of giving the
// connection back to the pool.
func dropSession(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
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
