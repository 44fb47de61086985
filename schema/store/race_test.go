package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/store"
)

// afterBlocking runs f while tx holds a row that f needs, lets tx commit once
// f is seen waiting for it, and gives back when f has ended.
func (w *world) afterBlocking(t *testing.T, hold string, f func()) {
	t.Helper()
	tx, err := w.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	var holder int
	require.NoError(t, tx.QueryRow(`SELECT pg_backend_pid()`).Scan(&holder))
	_, err = tx.Exec(hold)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	require.Eventually(t, func() bool {
		return one[int](t, w, `SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))`, holder) > 0
	}, 2*time.Minute, 2*time.Millisecond, "nobody waits for the held row")
	require.NoError(t, tx.Commit())
	<-done
}

// An event that is committed while a pass waits for the object's row must be
// part of that pass, or make it go again: its epoch may not be read without it.
func TestBeginSeesTheEventThatItWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "d1", 1))
	var p *store.Pass
	var err error
	w.afterBlocking(t, `
WITH e AS (INSERT INTO inbound_event (connection, kind, external_id, delivery_id, topic, version, complete)
           VALUES ('shop', 'order', '1', 'd2', 'orders/updated', '9', true))
UPDATE object SET epoch = epoch + 1, due_at = now() WHERE external_id = '1'`, func() {
		p, err = w.Begin(context.Background(), order("1"), time.Minute)
	})
	require.NoError(t, err)
	w.settle(t, p, store.Settlement{Outcome: "applied"})
	w.whole(t)
}

// A pass that waited for another's settling starts from what that one wrote.
func TestBeginSeesTheSettlingThatItWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "d1", 1))
	var p *store.Pass
	var err error
	w.afterBlocking(t, `
WITH b AS (INSERT INTO binding (connection, kind, external_id, target, target_id, xid) VALUES ('shop', 'order', '1', 'odoo', '77', 'x'))
UPDATE object SET settled_at = now(), applied_digest = 'd' WHERE external_id = '1'`, func() {
		p, err = w.Begin(context.Background(), order("1"), time.Minute)
	})
	require.NoError(t, err)
	require.Equal(t, "d", p.AppliedDigest)
	require.Equal(t, "77", p.BoundID.String, "the digest is known, so the binding must be, too")
}

// Two passes that close one claim at once both learn the winner.
func TestClaimedByTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.Claim(t.Context(), "odoo", store.BindCustomer, []string{"email:a"}, "x1")
	require.NoError(t, err)
	w.afterBlocking(t, `UPDATE claim SET target_id = '7' WHERE xid = 'x1'`, func() {
		c, err = w.Claimed(context.Background(), "odoo", store.BindCustomer, "x1", "8", false)
	})
	require.NoError(t, err)
	require.Equal(t, "7", c.TargetID)
}
