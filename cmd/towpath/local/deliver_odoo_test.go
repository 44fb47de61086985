package local_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	"towpath/connectors/odoo/rpc"
	odoosim "towpath/connectors/odoo/simulator"
	"towpath/schema/webhook"
)

// outboxSecret signs what Odoo sends.
const outboxSecret = "whsec_dGhlIHNlY3JldCBvZiBudWRnZXMgaW4gdGVzdHMgb2YgMzIgYg=="

// withOutbox makes the installation's Odoo tell its events.
func withOutbox(o local.Options) local.Options {
	config := map[string]any{"events": "outbox", "events_secret": outboxSecret}
	maps.Copy(config, o.OdooConfig)
	o.OdooConfig = config
	return o
}

// office is somebody who works in Odoo: contacts come and go, and each change
// writes into the city which one it is.
type office struct {
	t   *testing.T
	ctx context.Context
	rpc *rpc.Client
}

func (w *outward) office(login, password string) *office {
	w.t.Helper()
	config := w.Odoo.Settings()
	c, err := rpc.New(rpc.Config{URL: fmt.Sprint(config["url"]), Database: fmt.Sprint(config["database"]), Login: login, Password: password, Transport: rpc.JSONRPC, Private: true})
	require.NoError(w.t, err)
	return &office{t: w.t, ctx: w.ctx, rpc: c}
}

// insists repeats a call that may be repeated until Odoo has done it.
func (o *office) insists(call func() error) {
	o.t.Helper()
	var err error
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if err = call(); err == nil || time.Now().After(end) {
			break
		}
	}
	require.NoError(o.t, err)
}

// engages n contacts in one transaction. When the answer is lost, they may be
// there twice; each is then a contact of its own.
func (o *office) engages(n int) (ids []int64) {
	o.t.Helper()
	values := make([]map[string]any, n)
	for i := range values {
		values[i] = map[string]any{"name": fmt.Sprintf("Contact %d", i), "city": "1"}
	}
	o.insists(func() (err error) { ids, err = o.rpc.Create(o.ctx, "res.partner", values...); return err })
	return ids
}

// moves contacts to their n-th city in one transaction.
func (o *office) moves(ids []int64, n int) {
	o.t.Helper()
	o.insists(func() error {
		return o.rpc.Write(o.ctx, "res.partner", ids, map[string]any{"city": strconv.Itoa(n)})
	})
}

// fails begins a transaction that Odoo rolls back at its end: the second contact
// has a field that there is not.
func (o *office) fails() {
	o.t.Helper()
	_, err := o.rpc.Create(o.ctx, "res.partner", map[string]any{"name": "Rolled back", "city": "1"}, map[string]any{"name": "Rolled back", "no_such_field": 1})
	require.Error(o.t, err)
}

// fromOdoo are the events that came out of Odoo, as the book of record has them.
func (w *outward) fromOdoo() (events []webhook.Event) {
	w.t.Helper()
	rows, err := w.db.QueryContext(w.ctx, `SELECT content FROM outbound_event WHERE connection = $1 ORDER BY seq`, local.OdooName)
	require.NoError(w.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var content string
		require.NoError(w.t, rows.Scan(&content))
		var e webhook.Event
		require.NoError(w.t, json.Unmarshal([]byte(content), &e))
		events = append(events, e)
	}
	require.NoError(w.t, rows.Err())
	return events
}

// stepsIn counts, for each contact, the ids under which each of its steps came:
// one, unless Odoo did the step twice.
func stepsIn(r *receiver) map[int64]map[int]map[string]bool {
	steps := map[int64]map[int]map[string]bool{}
	for _, a := range r.came() {
		of := steps[a.about.ID]
		if of == nil {
			of = map[int]map[string]bool{}
			steps[a.about.ID] = of
		}
		if of[a.about.N] == nil {
			of[a.about.N] = map[string]bool{}
		}
		of[a.about.N][a.id] = true
	}
	return steps
}

// TestOutboxOfOdooIsTold: everything that is committed in Odoo comes out, once
// in the book of record, though the worker is killed between taking it and
// storing it, and between storing and acknowledging it, and Odoo restarts.
// Nothing of a transaction that is rolled back does.
func TestOutboxOfOdooIsTold(t *testing.T) {
	lengthy(t)
	ordered := newReceiver(t, "ordered", map[string]any{"ordering": "per_record", "models": []string{"res.partner"}}).
		wanting(func(e webhook.Event) bool { return e.Model == "res.partner" })
	w := telling(t, withOutbox(local.Options{}), ordered)
	w.SimOdoo.Watch("res.partner", "sale.order")
	w.SimOdoo.NudgeTo(w.APIURL+"/webhooks/odoo/"+local.OdooName, outboxSecret)
	office := w.office("towpath", odoosim.BotKey)

	const contacts, moves = 20, 12
	ids := office.engages(contacts)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 2; n <= moves; n++ {
			office.moves(ids[:contacts/2], n)
			office.moves(ids[contacts/2:], n)
			office.fails()
			time.Sleep(500 * time.Millisecond)
		}
	}()
	for i, point := range []string{"events pulled", "events recorded", "events pulled:3", "events recorded:2"} {
		require.NoError(t, w.Worker[0].Kill())
		doomed := w.NewWorker(fmt.Sprintf("doomed-%d", i), "TOWPATH_FAILPOINT="+point)
		require.NoError(t, doomed.Start(w.ctx))
		w.die(doomed)
		t.Logf("killed at %q", point)
	}
	require.NoError(t, w.SimOdoo.Restart())
	require.NoError(t, w.Worker[0].Start(w.ctx))
	<-done
	w.SimOdoo.Faults.Add(odoosim.Fault{Model: "towpath.outbox", Method: "ack", Times: 1, ResetAfterCommit: true})
	office.moves(ids, moves+1)
	w.eventually(patience, "the outbox is empty", func() bool { return w.SimOdoo.Waiting() == 0 })
	w.told = w.fromOdoo()
	assert.Len(t, w.told, contacts*(moves+1), "every change is one event, once")
	w.delivered(patience)
	w.allTold()
	ordered.inOrder()
	steps := stepsIn(ordered)
	assert.Len(t, steps, contacts, "nothing of what was rolled back")
	for id, of := range steps {
		for n := 1; n <= moves+1; n++ {
			assert.Len(t, of[n], 1, "contact %d, step %d", id, n)
		}
	}
}

// nudged counts the nudges that the API has taken.
func (w *outward) nudged() (n int) {
	w.t.Helper()
	answer, err := http.Get(w.APIURL + "/metrics")
	require.NoError(w.t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(w.t, err)
	if found := nudgesTaken.FindSubmatch(text); found != nil {
		n, err = strconv.Atoi(string(found[1]))
		require.NoError(w.t, err)
	}
	return n
}

var nudgesTaken = regexp.MustCompile(`(?m)^towpath_hooks_received_total\{[^}]*result="nudge"[^}]*\} (\d+)$`)

// TestTwoThousandEventsOfARealOdoo: on a real Odoo 19 with towpath_outbox, Odoo
// and the worker are killed in the middle of 2,000 events. What Odoo's own
// outbox says is what the receiver got, counted with SQL. Then, idle, it nudges.
func TestTwoThousandEventsOfARealOdoo(t *testing.T) {
	needRealOdoo(t)
	lengthy(t)
	r := newReceiver(t, "partner", map[string]any{"ordering": "per_record"})
	w := telling(t, withOutbox(local.Options{RealOdoo: true, Outbox: true}), r)
	admin, office := w.office("admin", "admin"), w.office(w.RealOdoo.Login, w.RealOdoo.Password)
	model, err := admin.rpc.Search(w.ctx, "ir.model", []any{[]any{"model", "=", "res.partner"}}, rpc.Query{})
	require.NoError(t, err)
	_, err = admin.rpc.Create(w.ctx, "towpath.rule", map[string]any{"name": "contacts", "model_id": model[0]})
	require.NoError(t, err)
	_, err = admin.rpc.Create(w.ctx, "towpath.connection", map[string]any{"name": "Towpath", "url": w.APIURL + "/webhooks/odoo/" + local.OdooName, "secret": outboxSecret})
	require.NoError(t, err)

	outbox, err := sql.Open("postgres", w.RealOdoo.PGDSN)
	require.NoError(t, err)
	t.Cleanup(func() { _ = outbox.Close() })
	inOutbox := func(where string) (n int) {
		n = -1
		_ = outbox.QueryRowContext(w.ctx, `SELECT count(*) FROM towpath_outbox `+where).Scan(&n)
		return n
	}

	const contacts, each = 100, 20
	ids := office.engages(contacts)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 2; n <= each; n++ {
			for part := 0; part < contacts; part += 50 {
				office.moves(ids[part:part+50], n)
			}
			office.fails()
		}
	}()
	w.awaitTaken(r, 200)
	require.NoError(t, w.Worker[0].Kill())
	doomed := w.NewWorker("doomed", "TOWPATH_FAILPOINT=events recorded")
	require.NoError(t, doomed.Start(w.ctx))
	w.die(doomed)
	require.NoError(t, w.RealOdoo.Kill())
	require.NoError(t, w.RealOdoo.Start(w.ctx))
	require.NoError(t, w.Worker[0].Start(w.ctx))
	<-done
	w.eventually(patience, "everything is acknowledged", func() bool { return inOutbox(`WHERE state <> 'done'`) == 0 })
	w.told = w.fromOdoo()
	w.delivered(patience)
	w.allTold()
	r.inOrder()

	taken := r.taken()
	assert.GreaterOrEqual(t, len(taken), contacts*each)
	assert.Len(t, taken, inOutbox(""), "as many as Odoo's outbox has")
	rows, err := outbox.QueryContext(w.ctx, `SELECT event_id FROM towpath_outbox`)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		require.NoError(t, rows.Scan(&id))
		assert.NotZero(t, taken[id], "%s was committed in Odoo", id)
	}
	require.NoError(t, rows.Err())
	for id, of := range stepsIn(r) {
		assert.Len(t, of, each, "contact %d", id)
	}
	t.Logf("%d events, %d arrivals", len(taken), len(r.came()))

	// What does not come from Odoo takes the same way but for the nudge and the
	// pull, on the same machine, however busy it is.
	before, pulled, nudges := len(r.came()), len(w.told), w.nudged()
	const quick = 40
	for n := range quick {
		office.moves(ids[n:n+1], each+1)
		time.Sleep(150 * time.Millisecond) // idle in between
		w.happen(1, 1)
		time.Sleep(150 * time.Millisecond)
	}
	w.awaitTaken(r, contacts*each+2*quick)
	direct, occurred := map[string]bool{}, map[string]time.Time{}
	for _, e := range w.told[pulled:] {
		direct[e.ID] = true
	}
	for _, e := range w.fromOdoo() {
		occurred[e.ID] = e.OccurredAt
	}
	took := map[bool][]time.Duration{}
	for _, a := range r.came()[before:] {
		took[direct[a.id]] = append(took[direct[a.id]], a.at.Sub(occurred[a.id]))
	}
	t.Logf("idle, from Odoo's commit to the first attempt: p50 %s, p99 %s; without Odoo p50 %s",
		percentile(took[false], 50), percentile(took[false], 99), percentile(took[true], 50))
	assert.Greater(t, w.nudged(), nudges, "Towpath is told that there is something, before it looks by itself; towpath bench measures how soon")
}
