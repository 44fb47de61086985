package local_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq" // the tests look into the book of record
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	shopsim "towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/scenario"
	"towpath/schema/fault"
)

func TestMain(m *testing.M) {
	if err := manyAtOnce(); err != nil {
		panic(err)
	}
	go room.watch()
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// binary is towpath itself: TOWPATH_TEST_BIN, or built once per test process.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.path = os.Getenv("TOWPATH_TEST_BIN"); built.path != "" {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "towpath-test-"); built.err != nil { //nolint:usetesting // it outlives the test that builds it
			return
		}
		built.path = filepath.Join(built.dir, "towpath")
		if out, err := exec.Command("go", "build", "-o", built.path, "towpath/cmd/towpath").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build towpath: %w\n%s", err, out)
		}
	})
	require.NoError(t, built.err)
	return built.path
}

// patience is how long a test waits for what must come in the end. It is long,
// since a slow machine may only be slower: a bell that such a one loses is rung
// again after a minute, and after some more the next time; an order whose calls
// it answers too late is postponed by minutes, too. What must come soon has a
// limit of its own in its test.
const patience = 10 * time.Minute

// unhurt is the environment of a worker whom nobody kills and whose attempts are
// counted: it may be late with a heartbeat, on a busy machine, and is not dead.
const unhurt = "TOWPATH_HEARTBEAT=30s"

// steady is the same where something must be heard by a heartbeat all the same.
const steady = "TOWPATH_HEARTBEAT=8s"

// world is an installation under test, with all that was sent to it and all
// that must come of it.
type world struct {
	*local.Installation
	t      *testing.T
	ctx    context.Context
	db     *sql.DB // the book of record, for counting
	expect []scenario.Expectation

	mu     sync.Mutex
	sent   []shopsim.Result
	client client.Client // of its Temporal, once somebody needed it
}

// up starts an installation that ends with the test. Senders retry for some
// fourteen seconds unless the options say otherwise. A part that cannot be had
// on this machine skips the test; with TOWPATH_REQUIRE_REAL=1 it fails it.
func up(t *testing.T, o local.Options) *world {
	t.Helper()
	if o.Binary == "" {
		o.Binary = binary(t)
	}
	if o.Shop.TimeScale == 0 {
		o.Shop.TimeScale = 0.001
	}
	if o.Shop.AnswerTimeout == 0 {
		o.Shop.AnswerTimeout = time.Minute // the API answers before a real shop hangs up: api.TestASlowInboxIsAnsweredInTime
	}
	needs := 1
	if o.RealOdoo {
		needs = 2 // it does not wait, it works
	}
	t.Cleanup(room.enter(t.Name(), needs))
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	in, err := local.Up(ctx, o)
	if fault.Is(err, fault.Unsupported) && os.Getenv("TOWPATH_REQUIRE_REAL") != "1" {
		t.Skipf("SKIPPED, a real part cannot be had here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(in.Close)
	db, err := sql.Open("postgres", in.PG.DSN("towpath"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	w := &world{Installation: in, t: t, ctx: ctx, db: db}
	t.Cleanup(func() {
		if w.client != nil {
			w.client.Close()
		}
	})
	t.Cleanup(w.tellLogs)
	return w
}

// tellLogs shows the ends of the logs of a failed test.
func (w *world) tellLogs() {
	if !w.t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(w.Stack.Dir(), "*.log"))
	for _, path := range logs {
		text, _ := os.ReadFile(path)
		if tail := text[max(0, len(text)-3000):]; len(tail) > 0 && !strings.HasSuffix(path, "postgres.log") {
			w.t.Logf("%s ends:\n%s", filepath.Base(path), tail)
		}
	}
}

// day makes orders to send: all stories of a shop's day, at least 60 orders,
// none of them from the future. Days of different seeds share no order.
func day(seed uint64, orders int) scenario.Scenario {
	return scenario.Generate(seed, orders, scenario.Options{Start: time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)})
}

// rush makes plain work in one phase: three lines, two addresses, 40 % new
// customers, 5 % edits, 1 % with an unknown tax.
func rush(seed uint64, orders int) scenario.Scenario {
	return scenario.Bench(seed, orders, scenario.Options{Start: time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)})
}

// send delivers as the shop does, with retries, and keeps the answers.
func (w *world) send(list []scenario.Delivery) []shopsim.Result {
	results := w.Shop.Deliver(w.ctx, scenario.Messages(list), nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, results...)
	return results
}

// sendAll delivers and insists that all but the forged are taken in the end.
func (w *world) sendAll(list []scenario.Delivery) {
	w.t.Helper()
	for i, r := range w.send(list) {
		if list[i].Forged {
			require.Equal(w.t, http.StatusUnauthorized, r.Status)
			continue
		}
		require.True(w.t, r.OK(), "%s of %d: status %d after %d attempts, %v", r.Delivery.Topic, list[i].OrderID, r.Status, r.Attempts, r.Err)
	}
}

// during sends in the background; the func it gives waits for the end.
func (w *world) during(list []scenario.Delivery) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.send(list)
	}()
	return func() { <-done }
}

// begin sends all of a scenario in the background, and expects what must come
// of it; the func it gives waits for the end of the sending.
func (w *world) begin(s scenario.Scenario) (wait func()) {
	w.expect = append(w.expect, s.Expect...)
	return w.during(s.Deliveries)
}

// watch samples, until the func it gives is called, the invariant that must
// hold at every moment: no pending event whose object is not due. PostgreSQL
// may be away meanwhile.
func (w *world) watch() (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	samples, broken := 0, 0
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if n, err := w.Store.Broken(ctx); err == nil {
				samples++
				broken += n
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() {
		w.t.Helper()
		cancel()
		<-done
		assert.NotZero(w.t, samples, "nothing was watched")
		assert.Zero(w.t, broken, "pending events whose object is not due, in %d samples", samples)
	}
}

// watched is up, with the invariant watched for as long as the test lasts.
func watched(t *testing.T, o local.Options) *world {
	t.Helper()
	w := up(t, o)
	t.Cleanup(w.watch())
	return w
}

// settle waits until nothing is left to do now: neither what Settled looks for,
// nor passes that no event asked for, which a mapping or the end of a short
// wait brought about.
func (w *world) settle(within time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	for {
		if err := w.Settled(ctx, nil); err != nil {
			require.NoError(w.t, err, "what is open:\n%s", w.open())
		}
		if w.count(`SELECT count(*) FROM object WHERE calls > 0 OR due_at < now() + interval '20 seconds'`) == 0 {
			return
		}
	}
}

// settleHurried is settle after the death of what rings bells. On a busy
// machine, bells of those that came back can be lost as well, again and again.
func (w *world) settleHurried() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for settled := false; !settled; {
		w.hurry()
		soon, done := context.WithTimeout(ctx, 5*time.Second)
		settled = w.Settled(soon, nil) == nil
		done()
		require.NoError(w.t, ctx.Err(), "what is open:\n%s", w.open())
	}
	w.settle(patience)
}

// open lists what is not settled, for a failed test.
func (w *world) open() string {
	rows, err := w.db.QueryContext(w.ctx, `
SELECT o.external_id, coalesce(o.outcome, '-'), coalesce(o.code, '-'), o.epoch, o.calls, o.slow_tries, coalesce(extract(epoch FROM o.due_at - now())::int::text, '-'),
       (SELECT count(*) FROM inbound_event e WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id) AND e.state = 'pending')
FROM object o WHERE o.settled_at IS NULL OR o.calls > 0 OR o.due_at < now() + interval '20 seconds' OR EXISTS (
    SELECT 1 FROM inbound_event e WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id) AND e.state = 'pending') LIMIT 20`)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rows.Close() }()
	var b strings.Builder
	for rows.Next() {
		var id, outcome, code, due string
		var epoch, calls, slow, pending int
		if err := rows.Scan(&id, &outcome, &code, &epoch, &calls, &slow, &due, &pending); err != nil {
			return err.Error()
		}
		fmt.Fprintf(&b, "  order %s: %s (%s), epoch %d, calls %d, slow tries %d, due in %s s, %d events pending\n", id, outcome, code, epoch, calls, slow, due, pending)
	}
	if err := rows.Err(); err != nil {
		fmt.Fprintf(&b, "  and more, but: %v\n", err)
	}
	return b.String()
}

// byName goes through what is done one after another on the same installation: in
// the same order each time, so that what failed once fails again.
func byName[V any](all map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if !yield(name, all[name]) {
				return
			}
		}
	}
}

// eventually waits for a predicate. It looks often at first, so that what is
// under way is met under way; who waits for longer, mostly for some timeout,
// leaves the machine to the others.
func (w *world) eventually(within time.Duration, what string, holds func() bool) {
	w.t.Helper()
	const often, seldom = 25 * time.Millisecond, 100 * time.Millisecond
	for began := time.Now(); !holds(); {
		waited := time.Since(began)
		require.Less(w.t, waited, within, "%s: not yet", what)
		if waited < 3*time.Second {
			time.Sleep(often)
			continue
		}
		time.Sleep(seldom)
	}
}

// count reads one number from the book of record; -1 while it is away.
func (w *world) count(query string, args ...any) int {
	n := -1
	_ = w.db.QueryRowContext(w.ctx, query, args...).Scan(&n)
	return n
}

// exec changes the book of record behind Towpath's back.
func (w *world) exec(query string, args ...any) int64 {
	w.t.Helper()
	r, err := w.db.ExecContext(w.ctx, query, args...)
	require.NoError(w.t, err)
	n, err := r.RowsAffected()
	require.NoError(w.t, err)
	return n
}

// hurry lets the visibility timeouts of claimed objects pass at once, instead
// of waiting a minute and more for bells that were lost. It tells how many
// objects were hidden.
func (w *world) hurry() int64 {
	w.t.Helper()
	return w.exec(`
UPDATE object o SET due_at = now() WHERE due_at > now() AND EXISTS (
    SELECT 1 FROM inbound_event e WHERE (e.connection, e.kind, e.external_id) = (o.connection, o.kind, o.external_id) AND e.state = 'pending')`)
}

// mapProducts is a person at work.
func (w *world) mapProducts(missing []scenario.Mapping) {
	w.t.Helper()
	for _, m := range missing {
		id, err := w.Odoo.ProductID(w.ctx, m.To)
		require.NoError(w.t, err)
		_, err = w.Run(w.ctx, "map", "product", local.ShopName, fmt.Sprintf("variant:%d", m.Variant.ID), id)
		require.NoError(w.t, err)
	}
}

// die waits for a process to be killed at its failpoint.
func (w *world) die(p *stack.Process) {
	w.t.Helper()
	select {
	case <-p.Exited():
	case <-time.After(patience):
		require.Fail(w.t, "the failpoint was not reached", "%s lives; what is open:\n%s", p.Name(), w.open())
	}
	var exit *exec.ExitError
	require.ErrorAs(w.t, p.Wait(), &exit)
	require.Equal(w.t, "signal: killed", exit.Error(), "%s ended otherwise:\n%s", p.Name(), p.Tail())
}
