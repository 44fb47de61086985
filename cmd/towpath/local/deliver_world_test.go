package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"towpath/cmd/towpath/local"
	"towpath/schema/outbound"
	"towpath/schema/seal"
	"towpath/schema/webhook"
)

// shortCircuit lets a circuit that opened try again soon.
var shortCircuit = []string{"TOWPATH_CIRCUIT_RECOVERY=1s", "TOWPATH_CIRCUIT_RECOVERY_MAX=2s"}

// outward is an installation that tells events to receivers.
type outward struct {
	*world
	out       *outbound.Outbound
	receivers []*receiver

	mu    sync.Mutex
	told  []webhook.Event // every event that is recorded
	steps map[int64]int   // how many a record has had
}

// telling is an installation with an endpoint per receiver.
func telling(t *testing.T, o local.Options, receivers ...*receiver) *outward {
	t.Helper()
	o.Env = append(append([]string(nil), shortCircuit...), o.Env...)
	w := &outward{world: up(t, o), receivers: receivers, steps: map[int64]int{}}
	w.out = outbound.New(w.Store, w.ring(), zerolog.Nop())
	w.applyEndpoints(receivers...)
	return w
}

// ring opens what the installation has sealed.
func (w *outward) ring() *seal.Ring {
	w.t.Helper()
	for _, pair := range w.Environment() {
		if keys, ok := strings.CutPrefix(pair, "TOWPATH_KEYS="); ok {
			ring, err := seal.ParseRing(keys)
			require.NoError(w.t, err)
			return ring
		}
	}
	require.Fail(w.t, "no keys")
	return nil
}

// applyEndpoints does what an operator does with a file.
func (w *outward) applyEndpoints(receivers ...*receiver) {
	w.t.Helper()
	var list []any
	for _, r := range receivers {
		list = append(list, r.endpoint())
	}
	text, err := yaml.Marshal(map[string]any{"endpoints": list})
	require.NoError(w.t, err)
	file := filepath.Join(w.Stack.Dir(), "endpoints.yaml")
	require.NoError(w.t, os.WriteFile(file, text, 0o600))
	w.towpath("apply", "-f", file)
}

// types of the events that happen, in turns.
var happenings = []struct {
	kind   string
	model  string
	action webhook.Action
}{
	{"res.partner.updated", "res.partner", webhook.Write},
	{"sale.order.created", "sale.order", webhook.Create},
	{"sale.order.updated", "sale.order", webhook.Write},
}

// events makes n events of so many records, each record's numbered from 1.
func (w *outward) events(n, records int) []webhook.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]webhook.Event, n)
	for i := range list {
		id := int64(i%records) + 1
		w.steps[id]++
		kind := happenings[int(id)%len(happenings)]
		data, err := json.Marshal(story{ID: id, N: w.steps[id]})
		require.NoError(w.t, err)
		list[i] = webhook.Event{
			ID: fmt.Sprintf("%08x-0000-4000-8000-%012x", id, w.steps[id]), Type: kind.kind, Model: kind.model, RecordID: strconv.FormatInt(id, 10),
			Action: kind.action, OccurredAt: time.Now().UTC(), Sequence: int64(w.steps[id]), Data: data,
		}
	}
	return list
}

// happen records n events of so many records, as a pull does: in batches, each
// again until PostgreSQL has it.
func (w *outward) happen(n, records int) {
	w.t.Helper()
	list := w.events(n, records)
	for len(list) > 0 {
		batch := list[:min(20, len(list))]
		require.Eventually(w.t, func() bool {
			_, err := w.out.Record(w.ctx, local.OdooName, batch, "")
			return err == nil
		}, patience, 50*time.Millisecond)
		list = list[len(batch):]
		w.mu.Lock()
		w.told = append(w.told, batch...)
		w.mu.Unlock()
	}
}

// happening records events in the background; the func it gives waits.
func (w *outward) happening(n, records int) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.happen(n, records)
	}()
	return func() { <-done }
}

const undelivered = `SELECT count(*) FROM delivery WHERE state NOT IN ('ok', 'superseded', 'discarded')`

// delivered waits until every delivery has been received.
func (w *outward) delivered(within time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	for w.count(undelivered) != 0 {
		select {
		case <-ctx.Done():
			require.Fail(w.t, "not everything was delivered", "%s", w.waiting())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// waiting lists what was not delivered, for a failed test.
func (w *outward) waiting() string {
	rows, err := w.db.QueryContext(w.ctx, `
SELECT d.endpoint, d.state, count(*), max(d.code), coalesce(min(extract(epoch FROM d.due_at - now()))::int, 0), max(s.circuit), max(d.tried), min(d.id)
FROM delivery d JOIN endpoint_state s USING (endpoint) WHERE d.state NOT IN ('ok', 'superseded', 'discarded') GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rows.Close() }()
	var b strings.Builder
	for rows.Next() {
		var endpoint, state, code, circuit string
		var n, due, tried, id int
		if err := rows.Scan(&endpoint, &state, &n, &code, &due, &circuit, &tried, &id); err != nil {
			return err.Error()
		}
		fmt.Fprintf(&b, "  %s: %d %s (%s), due in %d s, circuit %s, tried %d times at most, first %d\n", endpoint, n, state, code, due, circuit, tried, id)
	}
	if err := rows.Err(); err != nil {
		fmt.Fprintln(&b, err)
	}
	return b.String()
}

// awaitTaken waits until a receiver has taken so many events.
func (w *outward) awaitTaken(r *receiver, n int) {
	w.t.Helper()
	w.eventually(patience, fmt.Sprintf("%s takes %d events", r.name, n), func() bool { return len(r.taken()) >= n })
}

// allTold is promise 4, counted on both sides: what was recorded is at every
// endpoint that wants it, and what the book of record says of deliveries is so.
func (w *outward) allTold() {
	w.t.Helper()
	require.Equal(w.t, len(w.told), w.count(`SELECT count(*) FROM outbound_event WHERE NOT test AND connection <> 'towpath'`))
	for _, r := range w.receivers {
		r.gotAll(w.told)
		meant := 0
		for _, e := range w.told {
			if r.wants(e) {
				meant++
			}
		}
		assert.Equal(w.t, meant, w.count(`SELECT count(*) FROM delivery WHERE endpoint = $1 AND state = 'ok'`, r.name), "%s, by the book of record", r.name)
	}
	w.noDeliveryFailed()
}

// noDeliveryFailed: a delivery that cannot be made is an outcome, not a failed
// workflow, whatever was killed.
func (w *outward) noDeliveryFailed() {
	w.t.Helper()
	r, err := w.temporal().CountWorkflow(w.ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: w.Temporal.Namespace,
		Query:     `WorkflowType IN ("Delivery", "EndpointMonitor") AND ExecutionStatus IN ("Failed", "Terminated", "TimedOut", "Canceled")`,
	})
	require.NoError(w.t, err)
	assert.Zero(w.t, r.Count, "workflows failed")
}

// hurryDeliveries lets the time pass after which a delivery whose workflow says
// nothing is started again.
func (w *outward) hurryDeliveries() {
	w.t.Helper()
	w.exec(`UPDATE delivery SET due_at = now() WHERE state IN ('running', 'retrying')`)
}

// orders only: an endpoint that is told of sales orders.
func aboutOrders(e webhook.Event) bool { return e.Model == "sale.order" }

// partners is the usual set: one receiver of everything in each record's order,
// and one of sales orders as they come.
func usual(t *testing.T) (ordered, orders *receiver) {
	return newReceiver(t, "ordered", map[string]any{"ordering": "per_record"}),
		newReceiver(t, "orders", map[string]any{"events": []string{"sale.order.*"}}).wanting(aboutOrders)
}
