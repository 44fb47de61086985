package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// ranAs puts a run into the book that has ended.
func (d *desk) ranAs(id, purpose string, report any, changes ...store.Change) {
	d.t.Helper()
	d.opensAs(id, purpose)
	require.NoError(d.t, d.Plan(d.t.Context(), id, changes))
	require.NoError(d.t, d.EndRun(d.t.Context(), id, store.Ending{Status: "success", Sentence: "all well", Report: report}))
}

func (d *desk) opensAs(id, purpose string) {
	d.t.Helper()
	mode := "full"
	if strings.Contains(id, "drift") {
		mode = "reconcile"
	}
	_, err := d.StartRun(d.t.Context(), store.Run{ID: id, Job: "products", Mode: mode, JobRevision: 1, Mapping: "products", MappingVersion: 1, SourceNow: time.Now(), Purpose: purpose, By: "anna"})
	require.NoError(d.t, err)
}

func plannedChanges() []store.Change {
	price := func(text string) decimal.Decimal { return decimal.RequireFromString(text) }
	return []store.Change{
		{Side: "target", ExternalID: "A-1", Op: "update", Cause: "changed_in_source", Label: "Bolt", Before: record.Values{"price": price("1.50")}, After: record.Values{"price": price("1.25")}, Digest: "1", State: store.ChangePlanned},
		{Side: "target", ExternalID: "A-2", Op: "create", Cause: "missing_in_target", After: record.Values{"title": "Nut", "price": price("2")}, Digest: "2", State: store.ChangePlanned},
		{Side: "source", ExternalID: "A-3", Op: "update", Cause: "changed_in_target", Before: record.Values{"title": nil}, After: record.Values{"title": "Washer"}, Digest: "3", State: store.ChangePlanned},
	}
}

// plannedAs are the first of them, in other states.
func plannedAs(states ...string) []store.Change {
	all := plannedChanges()[:len(states)]
	for i := range all {
		all[i].State = states[i]
	}
	return all
}

func TestPlansAreTold(t *testing.T) {
	d := newDesk(t)
	d.applied()
	out, exit := d.run("sync", "plan", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `the job "products" has never run`)
	d.ranAs("sync/products-0", contract.PurposeSync, nil)
	out, exit = d.run("sync", "plan", "products")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "make one: towpath sync run products --dry-run --watch")
	d.ranAs("sync/products-1", contract.PurposePlan, nil, plannedChanges()...)
	d.ranAs("sync/products-2", contract.PurposeSync, nil)

	out, exit = d.run("sync", "plan", "products")
	require.Zero(t, exit, out)
	for _, line := range []string{
		"the plan of sync/products-1, full, plan, success, asked for by anna\n3 changes: 3 planned\n",
		"\nupdate A-1 (Bolt): changed in the source\n  price: 1.5 → 1.25\ncreate A-2: missing in the target\n  price: 2\n  title: \"Nut\"\nupdate A-3 in the source: changed in the target\n  title: (empty) → \"Washer\"\n",
		"nothing of it is written yet. To write exactly this: towpath sync approve sync/products-1 --reason WHY\n",
	} {
		assert.Contains(t, out, line)
	}
	assert.Regexp(t, `(?m)^1 +create +target +missing in the target$`, out)
	assert.Regexp(t, `(?m)^price +target +1 +1\.5 +3\.25 +\+1\.75$`, out)
	assert.Regexp(t, `(?m)^title +source +1 *$`, out)
	out, exit = d.run("sync", "plan", "sync/products-1", "--limit", "1")
	require.Zero(t, exit)
	assert.Contains(t, out, "… and 2 more: towpath sync plan sync/products-1 --all\n")
	assert.NotContains(t, out, "A-2")
	out, exit = d.run("sync", "plan", "sync/products-2")
	require.Zero(t, exit)
	assert.Contains(t, out, "it holds no changes")

	for args, n := range map[string]int{"--all": 3, "--limit=2": 2, "--limit=0": 0} {
		out, exit = d.run("sync", "plan", "products", "--json", args)
		require.Zero(t, exit)
		var plan planFor
		require.NoError(t, json.Unmarshal([]byte(out), &plan), out)
		require.Len(t, plan.Changes, n)
		assert.Len(t, plan.Summary.Totals, 3)
		assert.Equal(t, "sync/products-1", plan.Run)
		if n > 0 {
			assert.Equal(t, "1.25", plan.Changes[0].After["price"].(decimal.Decimal).String())
		}
	}
}

// A plan tells which records would be parked, why, and what to do about each.
func TestPlansTellWhatWouldBeParked(t *testing.T) {
	d := newDesk(t)
	d.applied()
	d.opensAs("sync/products-1", contract.PurposePlan)
	page := store.Page{Run: "sync/products-1", Counts: map[string]int64{"fetched": 5, "unchanged": 2, "parked": 3}}
	for _, id := range []string{"A-7", "A-8"} {
		page.WouldPark = append(page.WouldPark, store.ParkedRecord{ExternalID: id, Fault: fault.New(fault.Invalid, "mapping.wrong_type", "the text is not a number").
			WithField("price").WithResolution("write it as 1234.56").WithDetail("n/a")})
	}
	page.WouldPark = append(page.WouldPark, store.ParkedRecord{ExternalID: "A-9", Fault: fault.New(fault.Invalid, "mapping.too_long", "too long").WithField("title").WithResolution("shorten it")})
	require.NoError(t, d.SettlePage(t.Context(), page))
	require.NoError(t, d.EndRun(t.Context(), "sync/products-1", store.Ending{Status: "partial", Counts: page.Counts}))

	const causes = "3 records would be parked, the others synced. By cause:\n" +
		"     2 × the text is not a number (field price)\n         what to do: write it as 1234.56\n         for example A-7 (mapping.wrong_type)\n" +
		"     1 × too long (field title)\n         what to do: shorten it\n         for example A-9 (mapping.too_long)\n"
	out, exit := d.run("sync", "show", "products")
	require.Zero(t, exit, out)
	assert.Contains(t, out, causes)
	out, exit = d.run("sync", "plan", "products")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "it holds no changes\n\n"+causes+"\npark A-7: the text is not a number (field price)\n  it holds: \"n/a\"\npark A-8:")
	assert.Contains(t, out, "park A-9: too long (field title)\n")
	out, _ = d.run("sync", "plan", "products", "--limit", "1")
	assert.NotContains(t, out, "park A-8")
	assert.Contains(t, out, "towpath sync plan sync/products-1 --all")
	for args, n := range map[string]int{"--all": 3, "--limit=2": 2, "--limit=0": 0} {
		out, exit = d.run("sync", "plan", "products", "--json", args)
		require.Zero(t, exit, out)
		var plan planFor
		require.NoError(t, json.Unmarshal([]byte(out), &plan), out)
		require.Len(t, plan.Parked, n)
		if n > 0 {
			assert.Equal(t, store.PlanParked{ExternalID: "A-7", Code: "mapping.wrong_type", Message: "the text is not a number", Resolution: "write it as 1234.56", Field: "price", Detail: "n/a"}, plan.Parked[0])
		}
	}
}

func TestOnlyAPlanThatHoldsIsApproved(t *testing.T) {
	d := newDesk(t)
	d.applied()
	d.ranAs("sync/products-1", contract.PurposePlan, nil, plannedChanges()...)
	d.ranAs("sync/products-2", contract.PurposePlan, nil)
	d.ranAs("sync/products-3", contract.PurposeSync, nil)
	refused := func(says string, args ...string) {
		t.Helper()
		out, exit := d.run(append([]string{"sync"}, args...)...)
		assert.NotZero(t, exit, out)
		assert.Contains(t, out, says)
	}
	refused("an approval needs a reason", "approve", "sync/products-1")
	refused("give a run's id", "approve", "sync/none", "--reason", "r")
	refused("give a run's id", "undo", "products", "--reason", "r")
	refused("sync/products-3 is no plan: its purpose is sync\n  what to do: re-plan: towpath sync run products --dry-run", "approve", "sync/products-3", "--reason", "r")
	refused("the plan holds no changes", "approve", "sync/products-2", "--reason", "r")
	refused("Temporal does not answer", "approve", "sync/products-1", "--reason", "r")
	refused("sync/products-1 is a plan: it wrote nothing", "undo", "sync/products-1", "--reason", "r")
	refused("sync/products-3 wrote nothing that could be put back", "undo", "sync/products-3", "--reason", "r")
	refused("an undo needs a reason", "undo", "sync/products-3")

	refused("Temporal does not answer", "approve", "products", "--reason", "r") // the one plan that waits
	d.ranAs("sync/products-5", contract.PurposePlan, nil, plannedChanges()...)
	refused(`2 plans of "products" wait to be approved: sync/products-5, sync/products-1`, "approve", "products", "--reason", "r")

	d.opensAs("sync/products-4", contract.PurposePlan)
	refused("the plan is still being made", "approve", "sync/products-4", "--reason", "r")
	require.NoError(t, d.EndRun(t.Context(), "sync/products-4", store.Ending{Status: "success"}))

	_, exit := d.apply(strings.Replace(deskFile, "title", "label", 1))
	require.Zero(t, exit)
	refused(`no plan of "products" waits to be approved`, "approve", "products", "--reason", "r")
	refused("the mapping has changed since the plan was made (products version 1, now products version 2)", "approve", "sync/products-1", "--reason", "r")
	_, exit = d.apply(strings.Replace(deskFile, "04:30", "05:30", 1))
	require.Zero(t, exit)
	refused("the job has changed since the plan was made (revision 1, now 2)\n  what to do: re-plan", "approve", "sync/products-1", "--reason", "r")
}

func TestApprovingAndUndoingAreWatched(t *testing.T) {
	d := newDesk(t)
	fastWatch(t)
	c, _ := d.withTemporal()
	d.applied()
	d.ranAs("sync/products-1", contract.PurposePlan, nil, plannedChanges()...)
	wrote := func(states ...string) func(context.Context, string) error {
		return func(ctx context.Context, id string) error {
			changes := plannedChanges()
			for i := range changes {
				changes[i].State = states[i]
				if states[i] == store.ChangeLeft || states[i] == store.ChangeRefused {
					changes[i].Note = "changed since: title"
				}
			}
			return d.Plan(ctx, id, changes)
		}
	}
	b := d.engine(c, &engine{ending: jobs.Success})
	b.opened = wrote(store.ChangeDone, store.ChangePlanned, store.ChangeRefused)
	out, exit := d.run("sync", "approve", "sync/products-1", "--reason", "checked", "--by", "ben", "--watch")
	require.Zero(t, exit, out)
	assert.Equal(t, contract.SyncInput{Job: "products", Mode: "full", Purpose: contract.PurposeApprove, Base: "sync/products-1", By: "ben", Reason: "checked"}, *b.input.Load())
	assert.Contains(t, out, "1 change of the plan carried out\n1 stale: the records are not what the plan was made for, and were planned anew.\n  look at it: towpath sync plan sync/products-20")
	assert.Contains(t, out, "refused by the target:\n  A-3: changed since: title\n")

	b.opened = wrote(store.ChangeDone, store.ChangeDone, store.ChangeLeft)
	d.ranAs("sync/products-2", contract.PurposeSync, nil)
	require.NoError(t, wrote(store.ChangeDone, store.ChangeDone, store.ChangeDone)(t.Context(), "sync/products-2"))
	out, exit = d.run("sync", "undo", "sync/products-2", "--reason", "wrong prices", "--watch")
	require.Zero(t, exit, out)
	assert.Equal(t, []string{contract.PurposeUndo, "sync/products-2"}, []string{b.input.Load().Purpose, b.input.Load().Base})
	assert.Contains(t, out, "2 records put back\nleft as they are, whole or in part:\n  A-3: changed since: title\n")
	out, exit = d.run("sync", "undo", "sync/products-2", "--reason", "wrong prices")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "then see what it did: towpath sync plan sync/products-20")
}

// What was undone is not undone twice: who tries hears by which run it was. What
// an undo had to leave may be tried again.
func TestASecondUndoSaysWhoWasFirst(t *testing.T) {
	d := newDesk(t)
	d.applied()
	undone := func(id string, changes ...store.Change) {
		t.Helper()
		_, err := d.StartRun(t.Context(), store.Run{ID: id, Job: "products", Mode: "full", SourceNow: time.Now(), Purpose: contract.PurposeUndo,
			BaseRun: sql.NullString{String: "sync/products-1", Valid: true}})
		require.NoError(t, err)
		require.NoError(t, d.Plan(t.Context(), id, changes))
		require.NoError(t, d.EndRun(t.Context(), id, store.Ending{Status: "success"}))
	}
	d.ranAs("sync/products-1", contract.PurposeSync, nil, plannedAs(store.ChangeDone, store.ChangeDone, store.ChangeRefused)...)
	undone("sync/products-2", plannedAs(store.ChangeDone, store.ChangeLeft)...)
	out, _ := d.run("sync", "undo", "sync/products-1", "--reason", "r")
	assert.Contains(t, out, "Temporal does not answer", "it left one, which somebody may have put right")
	d.ranAs("sync/products-4", contract.PurposeSync, nil, plannedAs(store.ChangeDone, store.ChangeIntent)...)
	out, _ = d.run("sync", "undo", "sync/products-4", "--reason", "r")
	assert.Contains(t, out, "note: 1 write of that run had no answer; the undo looks at the records first, and lists what it cannot tell\n")
	undone("sync/products-3", plannedAs(store.ChangeLeft, store.ChangeDone)...)
	out, exit := d.run("sync", "undo", "sync/products-1", "--reason", "r")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, "sync/products-1 was undone already, by sync/products-3\n  what to do: see what that put back: towpath sync plan sync/products-3")
}

func TestDriftIsTold(t *testing.T) {
	d := newDesk(t)
	d.applied()
	d.ranAs("sync/products-drift", contract.PurposePlan, jobs.Report{
		Source: 1200, Target: 1190, Bound: 1180, Extra: 10, ExtraIDs: []string{"77", "78"}, Vanished: 2, InStep: 1170,
		Causes: map[string]int64{"changed_in_target": 20, "missing_in_target": 10}, Fields: map[string]int64{"price": 15, "title": 5},
		Sums:  []jobs.Sum{{Field: "qty", Group: "Berlin", Source: decimal.NewFromInt(5), Target: decimal.NewFromInt(3)}},
		Notes: []string{"the colour of the sky"},
	}, plannedChanges()...)
	out, exit := d.run("sync", "drift", "sync/products-drift")
	require.Zero(t, exit, out)
	for _, line := range []string{
		"source      1,200 records\n", "target      1,190 records: 1,180 kept in step by this job, 10 extra\n            extra, for example: 77, 78\n            2 that were kept in step are not there any more\n",
		"in step     1,170\ndiffer      30\n", "not compared: the colour of the sky\n", "carry it out: towpath sync approve sync/products-drift --reason WHY\n",
	} {
		assert.Contains(t, out, line)
	}
	assert.Regexp(t, `(?m)^20 +changed in the target\n10 +missing in the target$`, out)
	assert.Regexp(t, `(?m)^qty +Berlin +5 +3 +-2$`, out)
	d.ranAs("sync/products-1", contract.PurposeSync, nil)
	out, exit = d.run("sync", "drift", "sync/products-1")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, out, "sync/products-1 compared nothing: its mode was full")
	d.ranAs("sync/products-drift-broken", contract.PurposePlan, nil)
	out, _ = d.run("sync", "drift", "sync/products-drift-broken")
	assert.Contains(t, out, "ended without a report: all well")
	_, exit = d.run("sync", "drift", "sync/none")
	assert.Equal(t, exitInput, exit)
	out, _ = d.run("sync", "drift", "products")
	assert.Contains(t, out, "Temporal does not answer")
}
