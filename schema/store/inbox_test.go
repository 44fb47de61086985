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

func TestInboxCountsADeliveryOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var nudged atomic.Int64
	a := w.NewInbox(func(n int) { nudged.Add(int64(n)) })
	defer a.Close()
	b := storetest.OpenAt(t, w.dsn).NewInbox(nil) // another process
	defer b.Close()
	var fresh, freshA atomic.Int64
	var g errgroup.Group
	for i := range 400 {
		g.Go(func() error {
			in := []*store.Inbox{a, b}[i%2]
			n, err := in.Accept(t.Context(), []store.Inbound{event(fmt.Sprint(i%100%40), fmt.Sprint("d", i%100), i%100)})
			fresh.Add(int64(n))
			if in == a {
				freshA.Add(int64(n))
			}
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.EqualValues(t, 100, fresh.Load())
	require.Equal(t, freshA.Load(), nudged.Load(), "the dispatcher is nudged for what is new")
	require.Equal(t, 100, one[int](t, w, `SELECT count(*) FROM inbound_event`))
	require.Equal(t, 100, one[int](t, w, `SELECT count(*) FROM inbound_body`))
	require.Equal(t, 40, one[int](t, w, `SELECT count(*) FROM object WHERE due_at <= now()`))
	w.whole(t)
}

// The same delivery id of two connections is two deliveries.
func TestInboxDeliveryIDsBelongToTheirConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := event("1", "d", 1)
	other.Connection = "shop2"
	require.Equal(t, 2, w.accept(t, event("1", "d", 1), other))
}

func TestInboxKeepsEveryEventWithoutDeliveryID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, 3, w.accept(t, event("1", "", 1), event("1", "", 1), event("1", "", 1)))
	require.Zero(t, w.accept(t), "an empty batch is nothing")
	require.Equal(t, 3, one[int](t, w, `SELECT count(*) FROM inbound_event WHERE state = 'pending' AND delivery_id IS NULL`))
}

func TestInboxKeepsBytesAsTheyWere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, body := range [][]byte{{0, 1, 0xff, '\\', '"', '{', ','}, {}, nil, []byte(`\x00`), []byte("größe\n")} {
		e := event(fmt.Sprint(i), "", 1)
		e.Body = body
		w.accept(t, e)
		p := w.begin(t, fmt.Sprint(i))
		require.Equal(t, string(body), string(p.Body))
		require.Equal(t, store.FormatHook, p.Format.String)
	}
}

// One row that PostgreSQL refuses costs its own sender, nobody else.
func TestInboxNeighboursOfAPoisonedRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.NewInbox(nil)
	defer in.Close()
	poison := map[int]string{7: "nul\x00", 23: "not utf8 \xff", 41: "\xc3("}
	var g errgroup.Group
	for i := range 60 {
		g.Go(func() error {
			e := event(fmt.Sprint(i), fmt.Sprint("d", i), 1)
			text, poisoned := poison[i]
			if poisoned {
				e.Event.Topic = text
			}
			n, err := in.Accept(t.Context(), []store.Inbound{e})
			switch {
			case poisoned && !fault.Is(err, fault.Invalid):
				return fmt.Errorf("row %d: want Invalid, have %w", i, err)
			case !poisoned && (err != nil || n != 1):
				return fmt.Errorf("row %d: %d, %w", i, n, err)
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	require.Equal(t, 57, one[int](t, w, `SELECT count(*) FROM inbound_event`))
	w.whole(t)
}

// Requests of many events each, in opposite orders, over two processes, while
// mappings wake the same objects: nobody deadlocks.
func TestInboxOppositeOrdersDoNotDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one1, two := w.NewInbox(nil), storetest.OpenAt(t, w.dsn).NewInbox(nil)
	defer one1.Close()
	defer two.Close()
	const objects = 60
	before := deadlocks(t, w)
	var g errgroup.Group
	for round := range 60 {
		g.Go(func() error {
			var batch []store.Inbound
			for i := range objects {
				id := i
				if round%2 == 0 {
					id = objects - 1 - i
				}
				batch = append(batch, event(fmt.Sprint(id), "", round))
			}
			in := []*store.Inbox{one1, two}[round%2]
			n, err := in.Accept(t.Context(), batch)
			if err == nil && n != objects {
				return fmt.Errorf("%d of %d are new", n, objects)
			}
			return err
		})
		if round%10 == 0 {
			g.Go(func() error { _, err := w.WakeAll(t.Context(), "shop", "order", false); return err })
		}
	}
	require.NoError(t, g.Wait())
	require.Equal(t, 60*objects, one[int](t, w, `SELECT count(*) FROM inbound_event`))
	require.Equal(t, before, deadlocks(t, w), "a deadlock was resolved by failing somebody")
}

func deadlocks(t *testing.T, w *world) int {
	return one[int](t, w, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`)
}

// Sessions die under load: what was answered nil is there, once per delivery.
func TestInboxKeepsItsWordWhenSessionsDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.NewInbox(nil)
	defer in.Close()
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Add(1)
	go func() {
		defer killer.Done()
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = w.db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE pid <> pg_backend_pid() AND application_name = 'towpath' AND query LIKE '%inbound_event%' AND datname = current_database()
					AND pid IN (SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
					            WHERE c.relnamespace = current_schema()::regnamespace)`)
			}
		}
	}()
	var mu sync.Mutex
	var promised []string
	refused := 0
	var g errgroup.Group
	g.SetLimit(16)
	for i := range 1500 {
		g.Go(func() error {
			id := fmt.Sprint("d", i)
			_, err := in.Accept(t.Context(), []store.Inbound{event(fmt.Sprint(rand.IntN(200)), id, i)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				promised = append(promised, id)
			case fault.Retryable(err):
				refused++
			default:
				return err
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	close(stop)
	killer.Wait()
	require.NotEmpty(t, promised)
	t.Logf("%d promised, %d refused", len(promised), refused)
	for _, id := range promised {
		require.Equal(t, 1, one[int](t, w, `SELECT count(*) FROM inbound_event JOIN inbound_body ON event_id = id WHERE delivery_id = $1`, id))
	}
	w.whole(t)
}

func TestInboxSaysSoWhenPostgresIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := storetest.OpenAt(t, w.dsn)
	in := s.NewInbox(nil)
	defer in.Close()
	require.NoError(t, s.Close())
	_, err := in.Accept(t.Context(), []store.Inbound{event("1", "d", 1)})
	require.True(t, fault.Is(err, fault.Transient), "%v", err)
	require.Zero(t, one[int](t, w, `SELECT count(*) FROM inbound_event`))
}

// A caller whose time is up is told so, even while its commit hangs.
func TestInboxAnswersInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "d1", 1))
	in := w.NewInbox(nil)
	defer in.Close()
	tx, err := w.db.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }() // before Close: it frees the flush
	_, err = tx.Exec(`SELECT FROM object FOR UPDATE`)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = in.Accept(ctx, []store.Inbound{event("1", "d2", 2)})
	require.True(t, fault.Is(err, fault.Transient), "%v", err)
	require.Equal(t, "inbox.timeout", fault.Of(err).Code)
}

func TestInboxRefusesAfterClose(t *testing.T) {
	t.Parallel()
	in := newWorld(t).NewInbox(nil)
	in.Close()
	_, err := in.Accept(t.Context(), []store.Inbound{event("1", "d", 1)})
	require.Equal(t, "inbox.closing", fault.Of(err).Code)
}

// Whoever waits when the inbox closes gets an answer, and a true one.
func TestInboxCloseLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.NewInbox(nil)
	var promised atomic.Int64
	var g errgroup.Group
	for i := range 200 {
		g.Go(func() error {
			_, err := in.Accept(t.Context(), []store.Inbound{event(fmt.Sprint(i), fmt.Sprint("d", i), 1)})
			if err == nil {
				promised.Add(1)
			} else if fault.Of(err).Code != "inbox.closing" {
				return err
			}
			return nil
		})
	}
	in.Close()
	require.NoError(t, g.Wait())
	require.EqualValues(t, promised.Load(), one[int](t, w, `SELECT count(*) FROM inbound_event`))
}

func TestAcceptRaisesUrgencyAndNeverLowersIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	prio := func() int { return one[int](t, w, `SELECT priority FROM object`) }
	urgent, backfill := event("1", "", 1), event("1", "", 2)
	urgent.Priority, backfill.Priority = 1, 5
	w.accept(t, urgent)
	w.accept(t, backfill)
	require.Equal(t, 1, prio(), "a backfill must not put off what a person waits for")
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied"})
	w.accept(t, backfill)
	require.Equal(t, 5, prio(), "nothing was open: the new event decides")
	w.accept(t, event("1", "", 3))
	require.Equal(t, 3, prio())
}
