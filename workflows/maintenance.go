package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"towpath/workflows/contract"
)

// Tasks of Maintenance.
const (
	TaskCatchUp   = "catch-up"
	TaskHooks     = "hooks"
	TaskRetain    = "retain"
	TaskEndpoints = "endpoints"
)

// Maintenance keeps the house: it reads what webhooks did not bring, repairs
// subscriptions and deletes what is past its retention. One source's failure
// never stops the others'.
func Maintenance(ctx workflow.Context, in contract.MaintenanceInput) (contract.MaintenanceResult, error) {
	m := &maintenance{in: in}
	if m.wants(TaskRetain) {
		m.do(ctx, long(ctx, contract.QueueMain, "delete what is past its retention"), TaskRetain, contract.ActivityRetain)
	}
	if m.wants(TaskEndpoints) {
		m.do(ctx, keeping(ctx, "switch off endpoints that have only failed for days"), TaskEndpoints, contract.ActivityCheckEndpoints)
	}
	if !m.wants(TaskCatchUp) && !m.wants(TaskHooks) {
		return m.sum, nil
	}
	var sources []string
	if err := workflow.ExecuteActivity(keeping(ctx, "list the sources"), contract.ActivitySources).Get(ctx, &sources); err != nil {
		return m.sum, err
	}
	for _, source := range sources {
		queue := contract.QueueSource(source)
		if m.wants(TaskHooks) {
			m.do(ctx, long(ctx, queue, "check subscriptions of "+source), TaskHooks+" "+source, contract.ActivityCheckHooks, source)
		}
		if m.wants(TaskCatchUp) {
			m.do(ctx, long(ctx, queue, "read what was missed from "+source), TaskCatchUp+" "+source, contract.ActivityCatchUp, source)
		}
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("read %d, new %d, subscriptions repaired %d, rows deleted %d, failures %d",
		m.sum.Read, m.sum.Queued, m.sum.Repaired, m.sum.Purged, len(m.sum.Failures)))
	return m.sum, nil
}

type maintenance struct {
	in  contract.MaintenanceInput
	sum contract.MaintenanceResult
}

func (m *maintenance) wants(task string) bool {
	return len(m.in.Only) == 0 || slices.Contains(m.in.Only, task)
}

func (m *maintenance) do(ctx, options workflow.Context, task, activity string, args ...any) {
	var r contract.MaintenanceResult
	if err := workflow.ExecuteActivity(options, activity, args...).Get(ctx, &r); err != nil {
		code := "unknown"
		var app *temporal.ApplicationError
		if errors.As(err, &app) {
			code = app.Type()
		}
		m.sum.Failures = append(m.sum.Failures, task+": "+code)
	}
	m.sum.Read += r.Read
	m.sum.Queued += r.Queued
	m.sum.Repaired += r.Repaired
	m.sum.Purged += r.Purged
}
