package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"towpath/cmd/towpath/local"
	"towpath/workflows/contract"
)

// TestSyncIsPlannedDecidedAndUndone is what an operator does beside running
// jobs: a plan is looked at and approved, a field that both sides changed is
// decided in Temporal, by hand and by its deadline, a run is undone.
func TestSyncIsPlannedDecidedAndUndone(t *testing.T) {
	lengthy(t)
	s := goodsSheet("plan", 30).with("conflict", "manual").with("conflict_deadline", "1m").with("conflict_default", "source")
	w := syncing(t, local.Options{}, s)

	run := w.start(s, "--dry-run")
	require.Equal(t, "success", w.ended(run, patience).Status)
	require.Empty(t, w.inOdoo(s), "a plan writes nothing")
	assert.Contains(t, w.towpath("sync", "plan", s.name), "30 changes: 30 planned")
	said := w.towpath("sync", "approve", run, "--reason", "looked at", "--watch")
	assert.Contains(t, said, "30 changes of the plan carried out")
	w.inStep(s)
	_, err := w.Run(w.ctx, "sync", "approve", run, "--reason", "again")
	require.Error(t, err, "all of it was carried out")

	// Both sides change two names; one is decided in Temporal, one on the desk.
	w.proved(s, w.start(s))
	ids := map[string]int64{}
	for _, g := range w.inOdoo(s) {
		ids[g.SKU] = g.ID
	}
	for i := range 2 {
		w.rename(ids[s.sku(i)], fmt.Sprintf("changed in Odoo %d", i))
		g := s.goods[s.sku(i)]
		g.name = fmt.Sprintf("changed in the file %d", i)
		s.goods[s.sku(i)] = g
	}
	w.deliver(s)
	w.ended(w.start(s), patience)
	for i := range 2 {
		w.eventually(patience, "it waits for a person, visibly", func() bool { return w.conflict(s, i) == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING })
	}
	assert.Contains(t, w.towpath("sync", "conflicts", s.name), "decided by itself in")
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	handle, err := w.temporal().UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: contract.ConflictWorkflowID(s.name, s.sku(0)), UpdateName: contract.UpdateDecide, WaitForStage: client.WorkflowUpdateStageCompleted,
		Args: []any{contract.ConflictDecision{Field: "name", Side: "source", By: "ada", Reason: "the file is right"}},
	})
	require.NoError(t, err)
	require.NoError(t, handle.Get(ctx, nil))
	w.eventually(patience, "the workflow ends", func() bool { return w.conflict(s, 0) == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED })
	w.eventually(patience, "the deadline decides", func() bool { return w.conflict(s, 1) == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED })
	assert.Equal(t, 1, w.count(`SELECT count(*) FROM conflict WHERE decided_by = $1`, contract.ByDeadline))
	decided := w.start(s)
	w.proved(s, decided)
	assert.Zero(t, w.count(`SELECT count(*) FROM conflict`))

	// What the last run wrote is put back, but for what somebody changed since.
	w.rename(ids[s.sku(1)], "changed again")
	said = w.towpath("sync", "undo", decided, "--reason", "the file was wrong", "--watch")
	assert.Contains(t, said, "1 record put back")
	assert.Contains(t, said, "changed since: name")
	names := map[string]string{}
	for _, g := range w.inOdoo(s) {
		names[g.SKU] = g.Name
	}
	assert.Equal(t, []string{"changed in Odoo 0", "changed again"}, []string{names[s.sku(0)], names[s.sku(1)]})

	said, err = w.Run(w.ctx, "sync", "drift", s.name, "--watch")
	require.NoError(t, err, said)
	assert.Contains(t, said, "30 kept in step by this job")
	said = w.towpath("explain", "product/"+filesName+"/"+s.sku(0))
	assert.Contains(t, said, fmt.Sprintf("is %d in %s (job %s)", ids[s.sku(0)], local.OdooName, s.name))
}

// conflict is how the workflow of a record in conflict stands; unspecified: there
// is none yet.
func (w *world) conflict(s *sheet, i int) enumspb.WorkflowExecutionStatus {
	w.t.Helper()
	d, err := w.temporal().DescribeWorkflow(w.ctx, contract.ConflictWorkflowID(s.name, s.sku(i)), "")
	if err != nil {
		return enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	}
	needed, _ := d.TypedSearchAttributes.GetBool(contract.AttrNeedsAttention)
	if d.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		assert.True(w.t, needed)
	}
	return d.Status
}

// rename changes a product in Odoo, as a person there would.
func (w *world) rename(id int64, name string) {
	w.t.Helper()
	settings := w.Odoo.Settings()
	body, err := json.Marshal(map[string]any{"ids": []int64{id}, "vals": map[string]any{"name": name}})
	require.NoError(w.t, err)
	q, err := http.NewRequestWithContext(w.ctx, http.MethodPost, settings["url"].(string)+"/json/2/product.product/write", bytes.NewReader(body))
	require.NoError(w.t, err)
	q.Header.Set("Authorization", "bearer "+settings["api_key"].(string))
	q.Header.Set("X-Odoo-Database", settings["database"].(string))
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	require.NoError(w.t, err)
	defer func() { _ = r.Body.Close() }()
	require.Equal(w.t, http.StatusOK, r.StatusCode)
}
