package store_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/schema/storetest"
)

// system is a name of the test's own: advisory locks know no schemas.
func system(t *testing.T, w *world) string { return t.Name() + w.dsn }

// Sixty callers of two processes, each process with fewer connections than
// callers, share two slots; others can still reach PostgreSQL meanwhile.
func TestSlotsBoundAllProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := system(t, w)
	both := []*store.Store{w.Store, storetest.OpenAt(t, w.dsn)}
	var inside, most atomic.Int64
	var g errgroup.Group
	for i := range 60 {
		g.Go(func() error {
			release, err := both[i%2].Slots().Acquire(t.Context(), name, 2)
			if err != nil {
				return err
			}
			n := inside.Add(1)
			for m := most.Load(); n > m; m = most.Load() {
				if most.CompareAndSwap(m, n) {
					break
				}
			}
			_, err = both[i%2].Backlog(t.Context()) // work needs connections, too
			inside.Add(-1)
			release()
			release() // twice is once
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.LessOrEqual(t, most.Load(), int64(2))
	require.Positive(t, most.Load())
}

func TestSlotsOfOneSystemAreNotAnothers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		release, err := w.Slots().Acquire(t.Context(), system(t, w)+fmt.Sprint(i), 1)
		require.NoError(t, err)
		t.Cleanup(release)
	}
}

func TestWaitingForASlotEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release, err := w.Slots().Acquire(t.Context(), system(t, w), 1)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	_, err = w.Slots().Acquire(ctx, system(t, w), 1)
	require.True(t, fault.Is(err, fault.Transient), "%v", err)
	release()
	release, err = w.Slots().Acquire(t.Context(), system(t, w), 1)
	require.NoError(t, err)
	release()
}

// A process that dies frees its slots with its session.
func TestACrashFreesTheSlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Slots().Acquire(t.Context(), system(t, w), 1)
	require.NoError(t, err)
	got := make(chan error, 1)
	go func() {
		release, err := storetest.OpenAt(t, w.dsn).Slots().Acquire(context.Background(), system(t, w), 1)
		if err == nil {
			release()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("two hold one slot (%v)", err)
	case <-time.After(150 * time.Millisecond):
	}
	require.NoError(t, w.Close()) // the pool's idle ones; the held one dies by the server
	w.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND pid IN
		(SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_lock%' AND state = 'idle')
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND classid = $1`, slotClass(system(t, w)))
	require.NoError(t, <-got)
}

func TestCurrentFences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked []record.FenceKey
	want := map[record.FenceKey]bool{}
	for i := range 4 {
		id := fmt.Sprint(i)
		w.accept(t, event(id, "", 1))
		old := w.begin(t, id).FenceKey()
		now := w.begin(t, id).FenceKey()
		asked = append(asked, old, now)
		want[now] = true
	}
	asked = append(asked, record.FenceKey{Connection: "shop", Kind: "order", ExternalID: "nope", Fence: 1})
	got, err := w.Current(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = w.Current(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

// slotClass is the lock class of a system's slots, as pg_locks shows it.
func slotClass(system string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte("towpath slot " + system))
	return int64(h.Sum32())
}
