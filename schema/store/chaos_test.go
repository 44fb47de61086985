package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/storetest"
)

// Promise 1 by chaos: 3,000 objects, events pouring in over two processes,
// dispatchers that lose a third of their bells, passes that are abandoned at
// every step, zombies that settle late, content that is read late. Invariant
// (i) holds at every moment, and in the end everything is settled with the
// newest version: nothing is lost.
func TestNothingIsLostInChaos(t *testing.T) {
	t.Parallel()
	objects := 3000
	if testing.Short() {
		objects = 300
	}
	w := newWorld(t)
	c := &chaos{world: w, other: storetest.OpenAt(t, w.dsn), objects: objects}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running errgroup.Group // dispatchers, clocks and the judge
	for range 8 {
		running.Go(func() error { return c.dispatch(ctx) })
	}
	running.Go(func() error { return c.age(ctx) })
	running.Go(func() error { return c.judge(ctx) })

	c.pour(t)
	deadline := time.Now().Add(10 * time.Minute)
	for {
		b, err := w.Backlog(t.Context())
		require.NoError(t, err)
		if b.Pending == 0 && one[int](t, w, `SELECT count(*) FROM object WHERE due_at IS NOT NULL`) == 0 {
			break
		}
		require.True(t, time.Now().Before(deadline), "still open: %+v", b)
		time.Sleep(20 * time.Millisecond) // polls for the end; nothing hangs on it
	}
	stop()
	require.NoError(t, running.Wait())
	require.Equal(t, objects, one[int](t, w, `SELECT count(*) FROM object`))
	require.Equal(t, objects*3, one[int](t, w, `SELECT count(*) FROM inbound_event WHERE topic <> 'read' AND state = 'done'`))
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM object o WHERE applied_version <>
		(SELECT max(version) FROM inbound_event e WHERE e.external_id = o.external_id)`), "an object stayed behind its newest event")
	t.Logf("%d passes, %d abandoned, %d superseded, %d bells lost, %d samples of the invariant",
		c.passes.Load(), c.abandoned.Load(), c.zombies.Load(), c.lost.Load(), c.samples.Load())
	require.Positive(t, c.samples.Load())
	require.Positive(t, c.zombies.Load())
}

type chaos struct {
	*world
	other                                     *store.Store
	objects                                   int
	passes, abandoned, zombies, lost, samples atomic.Int64
}

// pour sends three events per object, shuffled, each twice.
func (c *chaos) pour(t *testing.T) {
	in := []*store.Inbox{c.NewInbox(nil), c.other.NewInbox(nil)}
	defer in[0].Close()
	defer in[1].Close()
	var all []store.Inbound
	for i := range c.objects {
		for v := range 3 {
			e := event(fmt.Sprint(i), fmt.Sprintf("%d-%d", i, v), v)
			all = append(all, e, e)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var g errgroup.Group
	g.SetLimit(24)
	var fresh atomic.Int64
	for i, e := range all {
		g.Go(func() error {
			n, err := in[i%2].Accept(t.Context(), []store.Inbound{e})
			fresh.Add(int64(n))
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.EqualValues(t, c.objects*3, fresh.Load())
}

func (c *chaos) dispatch(ctx context.Context) error {
	var late sync.WaitGroup
	defer late.Wait()
	for ctx.Err() == nil {
		s := []*store.Store{c.Store, c.other}[rand.IntN(2)]
		due, err := s.ClaimDue(ctx, 50)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		for _, d := range due {
			if rand.IntN(3) == 0 {
				c.lost.Add(1)
				continue
			}
			if err := c.pass(ctx, s, d.Key); err != nil {
				return ignoreEnd(ctx, err)
			}
		}
		if len(due) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// pass is one try at an object; it may break off anywhere.
func (c *chaos) pass(ctx context.Context, s *store.Store, key store.Key) error {
	for again := true; again; {
		if rand.IntN(20) == 0 { // a reading that nobody may be waiting for any more
			if err := s.PutContent(ctx, key, "", map[string]string{"id": key.ExternalID}); err != nil {
				return err
			}
		}
		p, err := s.Begin(ctx, key, time.Minute)
		if err != nil {
			return err
		}
		c.passes.Add(1)
		if rand.IntN(10) == 0 {
			c.abandoned.Add(1)
			return nil
		}
		if rand.IntN(4) == 0 {
			if _, err := s.Intent(ctx, p, 1, "d", nil); c.overtaken(err) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if rand.IntN(20) == 0 { // somebody else takes over
			if _, err := s.Begin(ctx, key, time.Minute); err != nil {
				return err
			}
		}
		again, _, err = s.Settle(ctx, p, store.Settlement{Outcome: "applied", Version: p.Version.String, Digest: "d"})
		if c.overtaken(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if rand.IntN(10) == 0 {
			c.abandoned.Add(1)
			return nil // died after settling: "again" is known to nobody but the row
		}
	}
	return nil
}

func (c *chaos) overtaken(err error) bool {
	if fault.Is(err, fault.Conflict) {
		c.zombies.Add(1)
		return true
	}
	return false
}

// age lets hidden objects come back within milliseconds instead of minutes.
func (c *chaos) age(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, err := c.db.ExecContext(ctx, `UPDATE object SET due_at = now() WHERE (connection, kind, external_id) IN
			(SELECT connection, kind, external_id FROM object WHERE due_at > now() AND random() < .3 ORDER BY 1, 2, 3 LIMIT 300 FOR UPDATE SKIP LOCKED)`); err != nil {
			return ignoreEnd(ctx, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func (c *chaos) judge(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := c.Broken(ctx)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		if n > 0 {
			return fmt.Errorf("%d objects are not due though events of theirs are pending", n)
		}
		c.samples.Add(1)
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// ignoreEnd drops what failed because the test is over.
func ignoreEnd(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}
