package activities

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// books is a shop and an Odoo that have been in step for two days.
type books struct {
	*world
	shop *shop.Shop
	odoo *simulator.Server
	pass func(time.Duration)
	days [2]string
}

func newBooks(t *testing.T, rules orders.Rules) *books {
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(-36 * time.Hour)
	now, pass := clockFrom(noon)
	w, s, server := orderWorld(t, shop.Options{Now: now})
	w.flow(rules)
	w.orderJob()
	return &books{world: w, shop: s, odoo: server, pass: pass, days: [2]string{noon.Format(time.DateOnly), noon.AddDate(0, 0, 1).Format(time.DateOnly)}}
}

func (b *books) place(change ...func(*shop.Draft)) *shop.Order {
	d := draft(shop.Catalog(1)[0], buyer(1))
	d.Lines[0].Price = decimal.NewFromInt(10)
	for _, f := range change {
		f(&d)
	}
	o := b.shop.Ledger.Place(d)
	b.shop.Put(o)
	return o
}

func costs(price int64) func(*shop.Draft) {
	return func(d *shop.Draft) { d.Lines[0].Price = decimal.NewFromInt(price) }
}

func key(o *shop.Order) string { return fmt.Sprint(o.ID) }

// inOdoo is the order as Odoo has it.
func (b *books) inOdoo(o *shop.Order) simulator.Order {
	b.Helper()
	got, ok := b.odoo.Order(record.XID("shop", "order", key(o)))
	require.True(b, ok, "order %d is not in Odoo", o.ID)
	return got
}

// compare reconciles, or plans, and gives the run with its report.
func (b *books) compare(change ...func(*contract.SyncOpen)) (store.Run, jobs.Report, contract.SyncResult) {
	b.Helper()
	result := b.run(change...)
	stored, err := b.store.Run(b.Context(), fmt.Sprintf("sync/things-%04d", b.runs))
	require.NoError(b, err)
	var report jobs.Report
	require.NoError(b, json.Unmarshal(stored.Report, &report))
	return stored, report, result
}

// causes tells a plan: cause, operation and state by order.
func (b *books) planned(run string) map[string]string {
	b.Helper()
	all, err := b.store.Changes(b.Context(), run, nil, "", 1000)
	require.NoError(b, err)
	told := map[string]string{}
	for _, c := range all {
		told[c.ExternalID] = c.Op + " " + c.Cause + " " + c.State
	}
	return told
}

// tell writes money down as people read it.
func tell(list []jobs.Money) (lines []string) {
	for _, m := range list {
		line := fmt.Sprintf("%s %d %s: %s and %s, %s;", cmp.Or(m.Day, "all"), m.Orders, m.Currency, m.Source.StringFixed(2), m.Target.StringFixed(2), m.Difference().StringFixed(2))
		var causes []string
		for cause, share := range m.Causes {
			causes = append(causes, fmt.Sprintf(" %s %d %s", cause, share.Orders, share.Difference.StringFixed(2)))
		}
		slices.Sort(causes)
		for _, c := range causes {
			line += c
		}
		lines = append(lines, line)
	}
	return lines
}

// TestOrdersDrift: a reconcile of orders tells the money of both sides per day
// and currency, by what makes it differ, and changes nothing; approving it makes
// the orders due, and what the rules allow is put right by their workflow.
func TestOrdersDrift(t *testing.T) {
	t.Parallel()
	b := newBooks(t, orders.Rules{})
	inDollars := func(d *shop.Draft) { d.Currency = "USD" }
	fine, edited, raised, cancelled := b.place(), b.place(costs(20)), b.place(costs(30)), b.place(costs(40))
	dollars := b.place(inDollars, costs(50))
	b.pass(24 * time.Hour)
	withdrawn, unbound, deleted := b.place(costs(60)), b.place(costs(70)), b.place(costs(80))
	unpaid := b.place(costs(90), func(d *shop.Draft) { d.Unpaid = true })
	unknown := b.place(costs(100), func(d *shop.Draft) { d.Lines[0].Variant.ID, d.Lines[0].Variant.SKU = 1, "NOT-IN-ODOO" })
	b.place(costs(1000), func(d *shop.Draft) { d.Test = true })
	b.pass(time.Hour)
	b.orderly()
	result := b.run(mode(jobs.Full))
	require.Equal(t, counts(11, "created", 8, "parked", 1, "skipped.test_order", 1, "skipped.waiting_not_paid", 1), result.Counts, result.Sentence)

	// Both sides agree, but for what is known to be under way.
	_, report, result := b.compare(mode(jobs.Reconcile))
	require.Equal(t, "partial", result.Status, result.Sentence)
	require.Equal(t, counts(11, "unchanged", 8, "parked", 1, "skipped.test_order", 1, "skipped.waiting_not_paid", 1), result.Counts)
	assert.Equal(t, []string{
		b.days[1] + " 5 EUR: 400.00 and 210.00, -190.00; parked:orders.product_unmapped 1 -100.00 waiting:not_paid 1 -90.00",
	}, tell(report.Days))
	assert.Equal(t, []int64{11, 8, 8, 8, 0, 0}, []int64{report.Source, report.Target, report.Bound, report.InStep, report.Matched, report.Vanished})

	// What nobody was told of.
	lost := b.place(costs(110))
	line := b.inOdoo(edited).Lines[0].ID
	require.NoError(t, b.odoo.Edit("sale.order.line", line, map[string]any{"price_unit": json.Number("12.5")}))
	b.shop.Put(b.shop.Ledger.Edit(raised, shop.Edit{Quantities: map[int]int{0: 2}}))
	require.NoError(t, b.odoo.Edit("sale.order", b.inOdoo(cancelled).ID, map[string]any{"state": "cancel"}))
	b.shop.Put(b.shop.Ledger.Cancel(withdrawn, "customer"))
	b.exec(`DELETE FROM binding WHERE kind = 'order' AND external_id = $1`, key(unbound))
	require.NoError(t, b.odoo.Edit("sale.order", b.inOdoo(deleted).ID, map[string]any{"state": "cancel"}))
	require.NoError(t, b.odoo.Delete("sale.order", b.inOdoo(deleted).ID))
	b.pass(time.Hour)
	before := b.odoo.Orders()
	run, report, result := b.compare(mode(jobs.Reconcile))
	assert.Equal(t, before, b.odoo.Orders(), "nothing is written")
	assert.Zero(t, b.number(`SELECT count(*) FROM object WHERE due_at <= now() OR external_id = $1`, key(lost)), "and nothing is due")
	assert.Equal(t, []string{
		b.days[0] + " 4 EUR: 130.00 and 52.50, -77.50; cancelled_in_target 1 -40.00 total_differs 2 -37.50",
		b.days[1] + " 6 EUR: 450.00 and 130.00, -320.00; cancelled_in_source 1 60.00 deleted_in_target 1 -80.00 missing_in_target 1 -110.00" +
			" not_bound 1 0.00 parked:orders.product_unmapped 1 -100.00 waiting:not_paid 1 -90.00",
	}, tell(report.Days))
	require.Len(t, report.Totals, 2)
	assert.Equal(t, "all 1 USD: 50.00 and 50.00, 0.00;", tell(report.Totals)[1], "each currency by itself")
	assert.Equal(t, []int64{12, 7, 6, 1, 2, 1}, []int64{report.Source, report.Target, report.Bound, report.Matched, report.InStep, report.Vanished})
	assert.Equal(t, map[string]string{
		key(lost): "create missing_in_target planned", key(edited): "update total_differs planned", key(raised): "update total_differs planned",
		key(cancelled): "update cancelled_in_target planned", key(withdrawn): "update cancelled_in_source planned",
		key(unbound): "update not_bound planned", key(deleted): "create deleted_in_target planned",
	}, b.planned(run.ID))
	parked, err := b.store.PlanParked(t.Context(), run.ID, "", 10)
	require.NoError(t, err)
	require.Len(t, parked, 1)
	assert.Equal(t, []string{key(unknown), "orders.product_unmapped"}, []string{parked[0].ExternalID, parked[0].Code})
	assert.NotEmpty(t, parked[0].Resolution)
	assert.EqualValues(t, 1, jobs.CountsOf(result.Counts).Skipped["waiting_not_paid"], "order %d", unpaid.ID)

	// A person agrees.
	approval := b.run(func(in *contract.SyncOpen) {
		in.Purpose, in.Base, in.Mode = contract.PurposeApprove, run.ID, string(jobs.Reconcile)
	})
	require.EqualValues(t, 7, jobs.CountsOf(approval.Counts).Fetched, approval.Sentence)
	assert.Equal(t, "110.00", b.inOdoo(lost).Total.StringFixed(2))
	assert.Equal(t, "20.00", b.inOdoo(edited).Total.StringFixed(2), "written again")
	assert.Equal(t, "60.00", b.inOdoo(raised).Total.StringFixed(2))
	assert.Equal(t, "cancel", b.inOdoo(withdrawn).State)
	assert.Equal(t, "cancel", b.inOdoo(cancelled).State, "that is a person's to decide")
	assert.Equal(t, b.number(`SELECT target_id::int FROM binding WHERE kind = 'order' AND external_id = $1`, key(unbound)), int(b.inOdoo(unbound).ID))
	assert.Equal(t, 2, b.number(`SELECT count(*) FROM parked WHERE state = 'open' AND code IN ('orders.cancelled_in_target', 'order.deleted_in_target')`))
	assert.Equal(t, map[string]string{
		key(lost): "create missing_in_target done", key(edited): "update total_differs done", key(raised): "update total_differs done",
		key(cancelled): "update cancelled_in_target refused", key(withdrawn): "update cancelled_in_source done",
		key(unbound): "update not_bound done", key(deleted): "create deleted_in_target refused",
	}, b.planned(fmt.Sprintf("sync/things-%04d", b.runs)))
	a, err := b.store.Approval(t.Context(), run.ID)
	require.NoError(t, err)
	assert.Equal(t, store.Approval{Planned: 7, Done: 5}, a)

	_, report, _ = b.compare(mode(jobs.Reconcile))
	assert.Equal(t, map[string]int64{
		"parked:orders.cancelled_in_target": 1, "parked:order.deleted_in_target": 1, "parked:orders.product_unmapped": 1, "waiting:not_paid": 1,
	}, report.Causes, "what is left needs a person, or its time")
	assert.Equal(t, []string{"50", "10"}, []string{b.inOdoo(dollars).Total.String(), b.inOdoo(fine).Total.String()})
}

// TestOrdersDryRun: a plan of a window lists what would be made and written
// again; an order whose content alone differs has no money in it.
func TestOrdersDryRun(t *testing.T) {
	t.Parallel()
	b := newBooks(t, orders.Rules{})
	first := b.place()
	b.pass(time.Hour)
	b.orderly()
	b.run()
	second := b.place(costs(25))
	noted := b.shop.Ledger.Touch(first)
	noted.Note = "ring twice"
	b.shop.Put(noted)
	b.pass(time.Hour)
	run, report, result := b.compare(func(in *contract.SyncOpen) { in.Purpose = contract.PurposePlan })
	require.Equal(t, "success", result.Status, result.Sentence)
	assert.Contains(t, result.Sentence, "nothing was written: this is a plan")
	assert.Equal(t, counts(2, "created", 1, "updated", 1), result.Counts)
	assert.Equal(t, map[string]string{key(first): "update content_differs planned", key(second): "create missing_in_target planned"}, b.planned(run.ID))
	assert.Empty(t, report, "a report is a reconcile's")
	assert.Equal(t, 1, shopOrders(b.odoo))
	sum, err := b.store.PlanSummary(t.Context(), run.ID)
	require.NoError(t, err)
	require.NotEmpty(t, sum.Fields)
	assert.Equal(t, []string{"total EUR", "10", "35"}, []string{sum.Fields[0].Field, sum.Fields[0].Before.String(), sum.Fields[0].After.String()})
}
