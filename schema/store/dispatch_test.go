package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/schema/storetest"
)

func (w *world) claim(t testing.TB, limit int) (ids []string) {
	t.Helper()
	due, err := w.ClaimDue(t.Context(), limit)
	require.NoError(t, err)
	for _, d := range due {
		ids = append(ids, d.ExternalID)
	}
	return ids
}

func TestClaimDueGivesEachObjectToOneDispatcher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []store.Inbound
	for i := range 500 {
		all = append(all, event(fmt.Sprint(i), "", 1))
	}
	w.accept(t, all...)
	var mu sync.Mutex
	seen := map[string]int{}
	var g errgroup.Group
	for range 3 {
		s := storetest.OpenAt(t, w.dsn)
		for range 4 {
			g.Go(func() error {
				for empty := 0; empty < 3; {
					due, err := s.ClaimDue(t.Context(), 17)
					if err != nil {
						return err
					}
					if len(due) == 0 {
						empty++ // what others hold just now is skipped
					}
					mu.Lock()
					for _, d := range due {
						seen[d.ExternalID]++
					}
					mu.Unlock()
				}
				return nil
			})
		}
	}
	require.NoError(t, g.Wait())
	require.Len(t, seen, 500)
	for id, n := range seen {
		require.Equal(t, 1, n, "object %s", id)
	}
}

func TestVisibilityTimeoutGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	for _, minutes := range []int{1, 2, 4, 8, 15, 15} {
		began := time.Now()
		require.Equal(t, []string{"1"}, w.claim(t, 10))
		require.Empty(t, w.claim(t, 10), "hidden")
		ahead(t, time.Duration(minutes)*time.Minute, began, w.dueAt(t, "1").Time)
		w.exec(t, `UPDATE object SET due_at = now()`) // the time has passed
	}
	w.accept(t, event("1", "", 2)) // a new event starts afresh
	began := time.Now()
	w.claim(t, 10)
	ahead(t, time.Minute, began, w.dueAt(t, "1").Time)
}

func TestReleaseGivesBackAtOnceWithoutSpendingATry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1), event("2", "", 1))
	require.Len(t, w.claim(t, 10), 2)
	require.NoError(t, w.Release(t.Context(), []store.Key{order("2"), order("1"), order("unknown")}, 0))
	require.NoError(t, w.Release(t.Context(), nil, 0))
	began := time.Now()
	require.ElementsMatch(t, []string{"1", "2"}, w.claim(t, 10))
	ahead(t, time.Minute, began, w.dueAt(t, "1").Time)
	w.settle(t, w.begin(t, "1"), store.Settlement{Outcome: "applied"})
	require.NoError(t, w.Release(t.Context(), []store.Key{order("1")}, 0))
	require.False(t, w.dueAt(t, "1").Valid, "what is settled meanwhile stays so")
}

func TestOnlyWhatCanBeWrittenIsClaimed(t *testing.T) {
	t.Parallel()
	for name, break_ := range map[string]struct{ off, on string }{
		"target stopped":  {`UPDATE connection SET stopped = 'cloned?' WHERE name = 'odoo'`, `UPDATE connection SET stopped = NULL`},
		"target inactive": {`UPDATE connection SET active = false WHERE name = 'odoo'`, `UPDATE connection SET active = true`},
		"flow inactive":   {`UPDATE flow SET active = false`, `UPDATE flow SET active = true`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.accept(t, event("1", "", 1))
			w.exec(t, break_.off)
			require.Empty(t, w.claim(t, 10))
			w.whole(t)
			w.exec(t, break_.on)
			require.Equal(t, []string{"1"}, w.claim(t, 10))
		})
	}
	t.Run("no flow", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		e := event("1", "", 1)
		e.Connection = "elsewhere"
		w.accept(t, e)
		require.Empty(t, w.claim(t, 10))
		_, err := w.Begin(t.Context(), store.Key{Connection: "elsewhere", Kind: record.KindOrder, ExternalID: "1"}, time.Minute)
		require.Equal(t, "object.no_flow", fault.Of(err).Code)
		_, err = w.Begin(t.Context(), order("unknown"), time.Minute)
		require.True(t, fault.Is(err, fault.NotFound))
	})
}

func TestFetchFollowsTheNewestEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bare := func(at int) store.Inbound { e := event("1", "", at); e.Event.Complete = false; return e }
	fetch := func() bool {
		w.exec(t, `UPDATE object SET due_at = now()`)
		due, err := w.ClaimDue(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, due, 1)
		require.Equal(t, store.Due{Key: order("1"), Target: "odoo", Epoch: due[0].Epoch, Fetch: due[0].Fetch}, due[0])
		return due[0].Fetch
	}
	w.accept(t, bare(5))
	require.True(t, fetch())
	w.accept(t, event("1", "", 4))
	require.True(t, fetch(), "content that is older does not help")
	w.accept(t, event("1", "", 6))
	require.False(t, fetch())
	w.exec(t, `DELETE FROM inbound_event`)
	require.True(t, fetch(), "nothing is known: read it")
}

func TestUrgentFirstThenLongestDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, priority := range []int{5, 3, 1, 3} {
		e := event(fmt.Sprint(i), "", 1)
		e.Priority = priority
		w.accept(t, e)
	}
	w.exec(t, `UPDATE object SET due_at = now() - (external_id || ' minutes')::interval`)
	var got []string
	for range 4 {
		got = append(got, w.claim(t, 1)...)
	}
	require.Equal(t, []string{"2", "3", "1", "0"}, got)
}

func TestNextDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at, err := w.NextDue(t.Context())
	require.NoError(t, err)
	require.Nil(t, at)
	began := time.Now()
	w.accept(t, event("1", "", 1))
	at, err = w.NextDue(t.Context())
	require.NoError(t, err)
	ahead(t, 0, began, *at)
}

func TestBeginReadsAllThatAPassNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "d1", 2), event("1", "d2", 1))
	p := w.begin(t, "1")
	require.Equal(t, order("1"), p.Key)
	require.EqualValues(t, 1, p.Fence)
	require.Len(t, p.Events, 2, "all pending ones are dealt with")
	require.Equal(t, event("1", "d1", 2).Body, p.Body, "by the newest")
	require.Equal(t, version(2), p.Version.String)
	require.True(t, p.Complete.Bool)
	require.Equal(t, "orders/updated", p.Topic.String)
	require.Equal(t, "odoo", p.Target)
	require.JSONEq(t, `{}`, string(p.Rules))
	require.Equal(t, "null", string(p.Override))
	require.False(t, p.BoundID.Valid)
	require.Zero(t, p.Attempts)
	require.Equal(t, record.FenceKey{Connection: "shop", Kind: "order", ExternalID: "1", Fence: 1}, p.FenceKey())

	again, _ := w.settle(t, p, store.Settlement{
		Outcome: "applied", Stage: "confirmed", Version: version(2), Digest: "abc", Override: json.RawMessage(`{"note":"x"}`),
		Bind: &store.Bind{TargetID: "77", XID: "__towpath__.shop.order.1", Name: "S0001", LineXIDs: []string{"l1", `l"2,{}`}},
	})
	require.False(t, again)
	p = w.begin(t, "1")
	require.EqualValues(t, 2, p.Fence)
	require.Empty(t, p.Events)
	require.Equal(t, "confirmed", p.Stage.String)
	require.Equal(t, "applied", p.Outcome.String)
	require.Equal(t, version(2), p.AppliedVersion)
	require.Equal(t, "abc", p.AppliedDigest)
	require.JSONEq(t, `{"note":"x"}`, string(p.Override))
	require.Equal(t, "77", p.BoundID.String)
	require.Equal(t, "__towpath__.shop.order.1", p.BoundXID.String)
	require.EqualValues(t, []string{"l1", `l"2,{}`}, p.LineXIDs)
}

// A pass that died may have written its lines; the next one knows them, though
// nothing was settled and no binding tied, and however the object is settled.
func TestBeginKnowsTheLinesOfAPassThatDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	died := w.begin(t, "1")
	died.Writing = []string{"l1", "l2"}
	_, err := w.Intent(t.Context(), died, 1, "abc", nil)
	require.NoError(t, err)
	p := w.begin(t, "1")
	require.EqualValues(t, []string{"l1", "l2"}, p.LineXIDs)
	w.settle(t, p, store.Settlement{Outcome: "waiting", Code: "uncertain_write"})
	p = w.begin(t, "1")
	require.EqualValues(t, []string{"l1", "l2"}, p.LineXIDs)
	w.settle(t, p, store.Settlement{Outcome: "applied", Bind: &store.Bind{TargetID: "7", LineXIDs: []string{"l2", "l3"}}})
	require.EqualValues(t, []string{"l2", "l3", "l1"}, w.begin(t, "1").LineXIDs, "each once")
}

func TestHideKeepsAPassHiddenWhileItIsCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(t, event("1", "", 1))
	p := w.begin(t, "1")
	began := time.Now()
	current, err := w.Hide(t.Context(), p, 10*time.Minute)
	require.NoError(t, err)
	require.True(t, current)
	ahead(t, 10*time.Minute, began, w.dueAt(t, "1").Time)
	w.begin(t, "1")
	current, err = w.Hide(t.Context(), p, 20*time.Minute)
	require.NoError(t, err)
	require.False(t, current)
}

// The hot statements find their rows by index however many objects there are.
func TestHotStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(t, `INSERT INTO object (connection, kind, external_id, due_at, priority)
		SELECT 'shop', 'order', i, CASE WHEN i % 50 = 0 THEN now() WHEN i % 7 = 0 THEN now() + interval '1 hour' END, 1 + i % 5 FROM generate_series(1, 50000) i`)
	w.exec(t, `INSERT INTO inbound_event (connection, kind, external_id, topic, version, complete, state)
		SELECT 'shop', 'order', i % 50000, 't', i, true, CASE WHEN i % 500 = 0 THEN 'pending' ELSE 'done' END FROM generate_series(1, 100000) i`)
	w.exec(t, `INSERT INTO inbound_body (event_id, format, body) SELECT id, 'hook', 'x' FROM inbound_event WHERE id % 10 = 0`)
	w.exec(t, `INSERT INTO journal (connection, kind, external_id, epoch, fence) SELECT 'shop', 'order', i, 1, 1 FROM generate_series(1, 50000) i`)
	w.exec(t, `INSERT INTO binding (connection, kind, external_id, target, target_id) SELECT 'shop', 'order', i, 'odoo', i FROM generate_series(1, 50000) i`)
	w.exec(t, `ANALYZE`)
	for name, statement := range map[string]struct {
		sql  string
		args []any
	}{
		"ClaimDue": {store.ClaimDueSQL, []any{100}},
		"Begin":    {store.BeginSQL, []any{"shop", "order", "777", 60}},
	} {
		plan := w.explain(t, statement.sql, statement.args...)
		for _, table := range []string{"object", "inbound_event", "inbound_body", "journal", "binding"} {
			require.NotContains(t, plan, "Seq Scan on "+table, "%s:\n%s", name, plan)
		}
	}
	began := time.Now()
	require.Len(t, w.claim(t, 100), 100)
	t.Logf("100 of 1,000 due among 50,000 claimed in %s", time.Since(began))
}

func (w *world) explain(t *testing.T, query string, args ...any) string {
	rows, err := w.db.Query(`EXPLAIN `+query, args...)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		plan.WriteString(line + "\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
