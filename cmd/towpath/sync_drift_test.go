package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// The drift of orders is told in money: each day that differs, and all days, by
// currency; its plan is approved without a mapping.
func TestDriftOfOrdersIsToldInMoney(t *testing.T) {
	d := newDesk(t)
	d.applied()
	raw, err := json.Marshal(jobs.Job{Name: "orders", Source: "supplier", Target: "copies", Kind: jobs.Order})
	require.NoError(t, err)
	_, err = d.PutJob(t.Context(), store.Job{Name: "orders", Source: "supplier", Target: "copies", Kind: jobs.Order, Spec: raw, Active: true})
	require.NoError(t, err)
	amount := decimal.RequireFromString
	monday := jobs.Money{Day: "2026-11-23", Currency: "EUR"}
	monday.Add("", 1200, amount("54321.10"), amount("54321.10"))
	monday.Add("missing_in_target", 2, amount("100.5"), decimal.Zero)
	monday.Add("cancelled_in_source", 1, decimal.Zero, amount("20"))
	monday.Add("parked:orders.product_unmapped", 1, amount("7"), decimal.Zero)
	yen := jobs.Money{Day: "2026-11-24", Currency: "JPY"}
	yen.Add("total_differs", 1, amount("1300"), amount("1200"))
	all := monday
	all.Day = ""
	allYen := yen
	allYen.Day = ""
	_, err = d.StartRun(t.Context(), store.Run{ID: "sync/orders-drift", Job: "orders", Mode: "reconcile", JobRevision: 1, SourceNow: time.Now(), Purpose: contract.PurposePlan})
	require.NoError(t, err)
	require.NoError(t, d.Plan(t.Context(), "sync/orders-drift", []store.Change{
		{Side: "target", ExternalID: "5001", Label: "#1001", Op: "create", Cause: "missing_in_target", After: record.Values{"total EUR": amount("50.25")}, Digest: "1", State: store.ChangePlanned},
	}))
	require.NoError(t, d.EndRun(t.Context(), "sync/orders-drift", store.Ending{Status: "partial", Report: jobs.Report{
		Source: 1205, Target: 1202, Bound: 1202, InStep: 1200, Causes: map[string]int64{"missing_in_target": 2, "cancelled_in_source": 1, "parked:orders.product_unmapped": 1, "total_differs": 1},
		Days: []jobs.Money{monday, yen}, Totals: []jobs.Money{all, allYen},
	}}))
	out, exit := d.run("sync", "drift", "sync/orders-drift")
	require.Zero(t, exit, out)
	why := `2 missing in the target: -100\.50; 1 cancelled in the source only: \+20\.00; 1 parked here \(orders\.product_unmapped\): -7\.00`
	assert.Regexp(t, `(?m)^2026-11-23 +1,204 +54428\.60 +54341\.10 +-87\.50 +EUR +`+why+`$`, out)
	assert.Regexp(t, `(?m)^2026-11-24 +1 +1300 +1200 +-100 +JPY +1 another total: -100$`, out)
	assert.Regexp(t, `(?m)^all days +1,204 +54428\.60 +54341\.10 +-87\.50 +EUR +`+why+`$`, out)
	assert.Contains(t, out, "differ      5\n")
	out, exit = d.run("sync", "plan", "orders")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "1 change: 1 planned\n")
	assert.Contains(t, out, "create 5001 (#1001): missing in the target\n  total EUR: 50.25\n")
	out, _ = d.run("sync", "approve", "sync/orders-drift", "--reason", "r")
	assert.Contains(t, out, "Temporal does not answer", "nothing else stands against it")
}
