package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"towpath/cmd/towpath/local"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/temporaltest"
)

// holds counts both sides: the promises of design section 1 that concern
// orders (1, 2, 3 and 6). expect are the expectations of all that was sent;
// the products that were missing have been mapped.
func (w *world) holds() {
	w.t.Helper()
	proof, err := w.Prove(w.ctx, w.expect, true)
	require.NoError(w.t, err)
	assert.Empty(w.t, proof.Wrong, "the proof: %d orders expected in Odoo, %d found", proof.Expected, proof.Found)
	assert.NotZero(w.t, proof.Expected, "nothing was proved")
	for _, e := range w.expect {
		if slices.ContainsFunc(proof.Wrong, func(s string) bool { return strings.HasPrefix(s, e.Name+" ") }) {
			said, _ := w.Run(w.ctx, "explain", fmt.Sprintf("order/%s/%d", local.ShopName, e.OrderID))
			w.t.Logf("%s: %s", e.Name, said)
			if trail, err := w.Store.Trail(w.ctx, store.Key{Connection: local.ShopName, Kind: record.KindOrder, ExternalID: fmt.Sprint(e.OrderID)}); err == nil {
				for _, step := range trail.Steps {
					w.t.Logf("%s at %s: before %s, after %s", e.Name, step.At.Format(time.TimeOnly), step.Before, step.After)
				}
			}
		}
	}
	w.everyAnswerKept()
	w.noCustomerTwice()
	w.noWorkflowFailed()
}

// everyAnswerKept is promise 1 to the letter: each delivery that was answered
// with 2xx, by its id, is in the inbox once and settled. What tells of no
// order (Order is nil) leaves nothing behind.
func (w *world) everyAnswerKept() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := map[string]string{}
	rows, err := w.db.QueryContext(w.ctx, `SELECT delivery_id, state FROM inbound_event WHERE delivery_id IS NOT NULL`)
	require.NoError(w.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, state string
		require.NoError(w.t, rows.Scan(&id, &state))
		kept[id] = state
	}
	require.NoError(w.t, rows.Err())
	taken := 0
	for _, r := range w.sent {
		if !r.OK() || r.Delivery.Order == nil {
			continue
		}
		taken++
		assert.Equal(w.t, "done", kept[r.Delivery.WebhookID], "delivery %s of order %d was answered %d", r.Delivery.WebhookID, r.Delivery.Order.ID, r.Status)
	}
	assert.NotZero(w.t, taken, "nothing was taken")
}

// noCustomerTwice reads Odoo's partners past Towpath: one e-mail, one person.
func (w *world) noCustomerTwice() {
	w.t.Helper()
	seen := map[string]int{}
	for _, p := range w.partners() {
		if email, _ := p["email"].(string); email != "" && p["parent_id"] == false && p["is_company"] != true {
			seen[email]++
		}
	}
	assert.NotEmpty(w.t, seen, "no customer is in Odoo")
	for email, n := range seen {
		assert.Equal(w.t, 1, n, "%s is %d persons in Odoo", email, n)
	}
}

// partners reads all partners over RPC, as any other client of Odoo would.
func (w *world) partners() (list []map[string]any) {
	w.t.Helper()
	s := w.Odoo.Settings()
	body, err := json.Marshal(map[string]any{"domain": []any{}, "fields": []string{"name", "email", "parent_id", "is_company", "type"}})
	require.NoError(w.t, err)
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, fmt.Sprint(s["url"])+"/json/2/res.partner/search_read", bytes.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "bearer "+fmt.Sprint(s["api_key"]))
	req.Header.Set("X-Odoo-Database", fmt.Sprint(s["database"]))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, resp.StatusCode, "%s", text)
	require.NoError(w.t, json.Unmarshal(text, &list))
	return list
}

// temporal is a client of the installation's Temporal, which may be away or
// stand still for a while.
func (w *world) temporal() client.Client {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client == nil {
		c, err := client.NewLazyClient(temporaltest.Patient(client.Options{HostPort: w.Temporal.Address, Namespace: w.Temporal.Namespace, Logger: silent{}}))
		require.NoError(w.t, err)
		w.client = c
	}
	return w.client
}

// noWorkflowFailed: an order that cannot be dealt with is an outcome, not a
// failed workflow, whatever was killed.
func (w *world) noWorkflowFailed() {
	w.t.Helper()
	r, err := w.temporal().CountWorkflow(w.ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: w.Temporal.Namespace,
		Query:     `WorkflowType = "Order" AND ExecutionStatus IN ("Failed", "Terminated", "TimedOut", "Canceled")`,
	})
	require.NoError(w.t, err)
	assert.Zero(w.t, r.Count, "workflows failed")
}

// silent is a logger of the SDK that says nothing.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
