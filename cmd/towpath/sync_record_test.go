package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// conflicted puts a record into step, and into conflict over its title.
func (d *desk) conflicted(id string) {
	d.t.Helper()
	d.opensAs("sync/products-c", contract.PurposeSync)
	require.NoError(d.t, d.SettlePage(d.t.Context(), store.Page{
		Run: "sync/products-c", Counts: map[string]int64{"fetched": 1, "updated": 1},
		Synced: []store.Synced{{ExternalID: id, TargetID: "7", MappingVersion: 1,
			Snapshot: json.RawMessage(`{"s":{"code":"A-1","title":"Bolt","price":1.999},"t":{"code":"A-1","title":"Bolt","price":2,"stock":4}}`)}},
		Bindings:  []store.NewBinding{{ExternalID: id, TargetID: "7"}},
		Conflicts: []store.Conflict{{ExternalID: id, Field: "title", Base: []byte(`"Bolt"`), Source: []byte(`"Bolt M5"`), Target: []byte(`"Bolts"`)}},
	}))
	require.NoError(d.t, d.EndRun(d.t.Context(), "sync/products-c", store.Ending{Status: "success"}))
}

func TestConflictsAreDecidedAtTheDesk(t *testing.T) {
	d := newDesk(t)
	d.applied()
	out, exit := d.run("sync", "conflicts", "products")
	require.Zero(t, exit)
	assert.Contains(t, out, "nothing of products waits for a decision")
	d.conflicted("A-1")
	out, exit = d.run("sync", "conflicts", "products")
	require.Zero(t, exit)
	assert.Regexp(t, `(?m)^A-1 +title +"Bolt" +"Bolt M5" +"Bolts" +\d+s ago +waits$`, out)
	for says, args := range map[string][]string{
		`"left" is no side`:             {"A-1", "title", "left", "--reason", "r"},
		"a decision needs a reason":     {"A-1", "title", "source"},
		"no such field of this record":  {"A-1", "price", "source", "--reason", "r"},
		"no such field of this record ": {"A-9", "title", "source", "--reason", "r"},
	} {
		out, exit = d.run(append([]string{"sync", "decide", "products"}, args...)...)
		assert.Equal(t, exitInput, exit)
		assert.Contains(t, out, says)
	}
	out, exit = d.run("sync", "decide", "products", "A-1", "title", "target", "--reason", "agreed", "--by", "anna")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "title of A-1: the target's value holds; the next run of products writes it")
	out, _ = d.run("sync", "conflicts", "products")
	assert.Contains(t, out, "target, by anna (agreed); the next run carries it out")
}

func TestRecordsAreLeftOutAndUntied(t *testing.T) {
	d := newDesk(t)
	d.applied()
	d.conflicted("A-1")
	out, exit := d.run("sync", "skip", "products", "A-1")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, "a skip needs a reason")
	out, exit = d.run("sync", "skip", "products", "A-1", "--reason", "not for sale")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "A-1 is left out of products from now on (no_export)")
	out, _ = d.run("sync", "skip", "products", "A-1", "--reason", "not for sale")
	assert.Contains(t, out, "A-1 was so already in products")
	out, _ = d.run("explain", "product/supplier/A-1")
	assert.Contains(t, out, "product/supplier/A-1 is 7 in copies (job products) and is left out on purpose (no_export). To take it in again: towpath sync unskip products A-1 --reason WHY.")
	out, exit = d.run("sync", "unskip", "products", "A-1", "--reason", "for sale again")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "A-1 is taken into products again")

	out, exit = d.run("sync", "untie", "products", "A-1", "--reason", "the wrong one")
	require.Zero(t, exit, out)
	assert.Contains(t, out, "A-1 is no longer tied to 7 of copies, which is left as it is")
	out, exit = d.run("sync", "untie", "products", "A-1", "--reason", "again")
	assert.Equal(t, exitInput, exit)
	assert.Contains(t, out, `"A-1" is tied to nothing in copies`)
}

func TestSyncedRecordsAreExplained(t *testing.T) {
	d := newDesk(t)
	d.applied()
	for says, ref := range map[string]string{
		"no job carries records of the kind customer out of": "customer/supplier/1", "no run has met product/supplier/A-1 yet (jobs: products)": "product/supplier/A-1",
		"write order/SHOP/ID, for example": "thing/supplier/1",
	} {
		out, exit := d.run("explain", ref)
		assert.Equal(t, exitInput, exit)
		assert.Contains(t, out, says)
	}
	d.conflicted("A-1")
	d.ranAs("sync/products-1", contract.PurposePlan, nil, plannedChanges()...)
	out, exit := d.run("explain", "product/supplier/A-1")
	require.Zero(t, exit, out)
	for _, line := range []string{
		"product/supplier/A-1 is 7 in copies (job products) and waits for a decision about 1 field; its other fields flow.\n",
		`both sides changed title: it was "Bolt", is "Bolt M5" in the source and "Bolts" in the target`,
		"towpath sync decide products A-1 title source|target --reason WHY\n",
		"both sides held, when they were last in step\n  code: \"A-1\"\n  price: 1.999, which the target keeps as 2\n  title: \"Bolt\"\n  stock: 4, in the target only\n",
		"update in the target, planned, run sync/products-1\n    price: 1.5 → 1.25\n",
	} {
		assert.Contains(t, out, line)
	}
	_, err := d.Decide(t.Context(), "products", "A-1", store.Decision{Field: "title", Side: "source", By: "anna", Reason: "r"})
	require.NoError(t, err)
	d.opensAs("sync/products-p", contract.PurposeSync)
	require.NoError(t, d.SettlePage(t.Context(), store.Page{
		Run: "sync/products-p", Counts: map[string]int64{}, Settled: []store.Conflict{{ExternalID: "A-1"}},
	}))
	out, _ = d.run("explain", "product/supplier/A-1")
	assert.Regexp(t, `is 7 in copies \(job products\), in step since \d+s ago by run sync/products-c, mapping version 1\.`, out)
	require.NoError(t, d.SettlePage(t.Context(), store.Page{
		Run: "sync/products-p", Lane: 1, Counts: map[string]int64{},
		Parked: []store.ParkedRecord{{ExternalID: "A-1", Fault: fault.New(fault.Invalid, "mapping.empty_required", "a required field is empty").WithField("title").WithResolution("fill it in at the source")}},
	}))
	out, _ = d.run("explain", "product/supplier/A-1")
	assert.Regexp(t, `and needs you: a required field is empty \(field title\) \(mapping\.empty_required\), since \d+s ago, tried 1 time\. What to do: fill it in at the source\.`, out)

	for _, args := range [][]string{{"skip", "product/supplier/A-1", "--reason", "r"}, {"forget", "product/supplier/A-1"}} {
		out, exit = d.run(args...)
		assert.Equal(t, exitInput, exit)
		assert.Contains(t, out, "is no order")
		assert.Contains(t, out, "towpath sync skip, unskip and untie")
	}
}

func TestSyncedRecordsAreRetried(t *testing.T) {
	d := newDesk(t)
	fastWatch(t)
	c, _ := d.withTemporal()
	d.applied()
	d.conflicted("A-1")
	b := d.engine(c, &engine{ending: jobs.Success})
	out, exit := d.run("retry", "product/supplier/A-1", "--by", "anna", "--reason", "corrected")
	require.Zero(t, exit, out)
	assert.Equal(t, contract.SyncInput{Job: "products", Mode: "incremental", Only: []string{"A-1"}, By: "anna", Reason: "corrected"}, *b.input.Load())
	assert.Contains(t, out, "product/supplier/A-1 is 7 in copies")
	_, exit = d.run("sync", "run", "products", "--only", "A-1, A-2,A-1", "--watch")
	require.Zero(t, exit)
	assert.Equal(t, []string{"A-1", "A-2"}, b.input.Load().Only)
}
