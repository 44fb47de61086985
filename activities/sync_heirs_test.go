package activities

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// renew deletes a record of the source and has it typed in again, with changes.
func renew(left *memory, id string, change record.Values) (again string) {
	values := left.of(id)
	left.drop(id)
	for name, v := range change {
		values[name] = v
	}
	return left.add(values)
}

// TestSyncTakesThePlace: a record that stands in the place of one that the source
// does not have any more takes its counterpart over, within the same run; only what
// differs is written, and what the target changed by itself stays.
func TestSyncTakesThePlace(t *testing.T) {
	t.Parallel()
	for _, m := range []jobs.Mode{jobs.Full, jobs.Incremental} {
		t.Run(string(m), func(t *testing.T) {
			w := newWorld(t)
			left, right := newMemory().fill(4), newMemory()
			w.pair(left, right)
			w.run()
			right.written()
			second, third := w.there("2"), w.there("3")
			right.edit(second, record.Values{"note": "the target's own"})
			again := renew(left, "2", record.Values{"name": "once more"})
			left.edit("3", record.Values{"active": false}) // archived, and another one in its place
			left.add(record.Values{"sku": sku(3), "name": thing(3)["name"], "price": thing(3)["price"]})

			result := w.run(mode(m))
			require.Equal(t, "success", result.Status, "%s %v", result.Sentence, w.parked())
			c := jobs.CountsOf(result.Counts)
			require.Equal(t, []int64{1, 0, 2}, []int64{c.Updated, c.Created, c.Skipped["deferred"]}, "%v", result.Counts)
			require.Equal(t, 4, right.size())
			require.Equal(t, 1, right.written())
			require.Equal(t, []any{"once more", "the target's own"}, []any{right.of(second)["name"], right.of(second)["note"]})
			require.Equal(t, []string{second, third}, []string{w.there(again), w.there("6")})
			require.Zero(t, w.number(`SELECT count(*) FROM binding WHERE external_id IN ('2', '3')`)+w.number(`SELECT count(*) FROM synced WHERE external_id IN ('2', '3')`))
			require.Equal(t, 1, w.number(`SELECT count(*) FROM journal WHERE external_id = $1 AND note LIKE '%in the place of 2,%'`, again))
			require.Zero(t, jobs.CountsOf(w.run().Counts).Applied())

			// The former one comes back as another: it has no part in what it had.
			left.edit("3", record.Values{"active": true, "sku": "back again"})
			result = w.run()
			require.Equal(t, "success", result.Status, result.Sentence)
			require.EqualValues(t, 1, jobs.CountsOf(result.Counts).Created)
			require.Equal(t, sku(3), right.of(third)["sku"])
			require.Equal(t, 5, right.size())
		})
	}
}

// TestSyncTakesNoPlace: whoever is still there keeps its counterpart, and so does
// what a person left out; a source that cannot be asked says what helps.
func TestSyncTakesNoPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(30), newMemory()
	w.pair(left, right)
	w.run()
	w.exec(`UPDATE binding SET no_export = true WHERE external_id = '2'`)
	left.add(record.Values{"sku": sku(1), "name": "the same key"})
	renew(left, "2", nil)
	require.Equal(t, "partial", w.run().Status)
	require.Equal(t, map[string]string{"31": "sync.key_taken", "32": "sync.key_taken"}, w.parked())
	left.drop("1")
	w.due()
	require.Equal(t, "partial", w.run().Status)
	require.Equal(t, map[string]string{"32": "sync.key_taken"}, w.parked(), "tried again by itself when its cause is gone")
	require.Equal(t, "the same key", right.bySKU(t)[sku(1)]["name"])

	// What somebody else brought, by whatever id, is not this job's to look for.
	w.exec(`UPDATE binding SET external_id = 'elsewhere/4' WHERE external_id = '4'`)
	w.exec(`DELETE FROM synced WHERE external_id = '4'`)
	w.run()
	require.Equal(t, "sync.key_taken", w.parked()["4"])

	// What is on its way for the former record may land last.
	lost := w.lostRunOf(left, right, "3")
	renew(left, "3", record.Values{"name": "after it"})
	right.linger = time.Hour
	w.run()
	require.Equal(t, "sync.key_taken", w.parked()["33"], "after %s", lost)
	right.linger = time.Millisecond
	w.due()
	w.run()
	require.NotContains(t, w.parked(), "33")
	require.Equal(t, "after it", right.bySKU(t)[sku(3)]["name"])
}

// lostRunOf changes a record and loses the run that writes it.
func (w *world) lostRunOf(left, right *memory, id string) string {
	w.Helper()
	left.edit(id, record.Values{"name": "on its way"})
	return w.lostRun(right, id)
}

// TestPlansOfThoseInAnothersPlace: a reconcile proposes neither to make them nor to
// set their counterparts aside, and what is approved is what it proposed.
func TestPlansOfThoseInAnothersPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(4), newMemory()
	w.pair(left, right, archiving)
	w.run()
	target := w.there("2")
	again := renew(left, "2", record.Values{"name": "once more"})
	same := renew(left, "3", nil)
	plan := w.begin(mode(jobs.Reconcile))
	require.True(t, w.pages(plan).Finished)
	result := w.prove(contract.SyncEnding{SyncRef: plan})
	assert.Equal(t, counts(4, "updated", 1, "unchanged", 3), result.Counts)
	assert.Equal(t, map[string]string{again: store.ChangePlanned, "2": store.ChangeLeft, "3": store.ChangeLeft}, w.states(plan.Run))

	approved := w.run(func(in *contract.SyncOpen) {
		in.Purpose, in.Base, in.Mode = contract.PurposeApprove, plan.Run, string(jobs.Reconcile)
	})
	require.Equal(t, counts(1, "updated", 1), approved.Counts)
	require.Equal(t, "once more", right.of(target)["name"])
	require.Equal(t, target, w.there(again))
	require.Equal(t, "success", w.run().Status)
	require.NotEmpty(t, w.there(same))
	sameThings(t, left, right)
}

// TestSyncTakesThePlaceOfTheArchived: where the former record's counterpart was set
// aside already, it is taken back.
func TestSyncTakesThePlaceOfTheArchived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(3), newMemory()
	w.pair(left, right, archiving)
	w.run()
	target := w.there("2")
	left.edit("2", record.Values{"active": false})
	left.add(record.Values{"sku": sku(2), "name": "new"})
	result := w.run() // archived by one page, taken back at the end
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, []any{true, "new"}, []any{right.of(target)["active"], right.of(target)["name"]})
	require.Equal(t, target, w.there("4"))
	require.Zero(t, jobs.CountsOf(w.run().Counts).Applied())
}

// TestVariantsMadeAnewAreExported: Odoo makes the variants of a template anew when
// an attribute is taken off and put on again, and deletes the price list's rules with
// them. With their SKUs they are the shop's variants again, whatever their ids.
func TestVariantsMadeAnewAreExported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "main-odoo", simulator.Options{})
	s := shopOf(w, "web-shop", shop.Options{})
	all := []string{"templates-out", "variants-out", "shop-prices"}
	w.documented(`[["name", "=like", "Out %"], ["sale_ok", "=", true]]`, all[0])
	w.documented(`[["default_code", "=like", "O-%"]]`, all[1])
	w.put(jobs.Job{Name: all[2], Source: "main-odoo", Target: "web-shop", Kind: jobs.Price, Direction: jobs.Export, Mapping: all[2], Filter: `[["default_code", "=like", "O-%"]]`,
		Switches: map[jobs.Kind]jobs.Switch{jobs.Price: {Create: new(false)}}},
		mapping.Mapping{Name: all[2], Source: "ProductVariant", Target: "product.product", Fields: []mapping.Field{
			{Source: "sku", Target: "default_code", Key: true, Required: true}, {Source: "lst_price", Target: "compareAtPrice", Direction: "export"},
		}})
	shirt := w.place("main-odoo", "product.template", record.Values{"name": "Out Shirt", "list_price": decimal.NewFromInt(20), "attributes": "Color=Red,Blue; Size=M,L"})
	ids := func() map[string]int64 {
		return map[string]int64{"O-RM": w.findOne("main-odoo", "product.product", "default_code", "O-RM"), "O-BM": w.findOne("main-odoo", "product.product", "default_code", "O-BM")}
	}
	variants := func() {
		t.Helper()
		w.place("main-odoo", "product.product", record.Values{"product_tmpl_id": shirt, "combination": "Color=Red; Size=M", "default_code": "O-RM"})
		w.place("main-odoo", "product.product", record.Values{"product_tmpl_id": shirt, "combination": "Color=Blue; Size=M", "default_code": "O-BM"})
	}
	variants()
	require.Equal(t, 1+2+2, w.full(all...))
	first, there := ids(), w.shopVariants("")

	w.change("main-odoo", "product.template", shirt, record.Values{"attributes": "Color=Red,Blue"})
	w.change("main-odoo", "product.template", shirt, record.Values{"attributes": "Color=Red,Blue; Size=M,L"})
	variants()
	require.NotEqual(t, first, ids(), "others, to Odoo")
	w.full(all...)
	require.Equal(t, there, w.shopVariants(""))
	require.Len(t, s.Products(), 1)
	for sku, id := range ids() {
		require.Equal(t, 1, w.number(`SELECT count(*) FROM binding WHERE connection = 'main-odoo' AND kind = 'product' AND external_id = $1`, fmt.Sprint(id)), sku)
	}
	w.change("main-odoo", "product.template", shirt, record.Values{"list_price": decimal.NewFromInt(22)})
	w.full(all...)
	require.Contains(t, w.shopVariants("")["O-RM"], "22", "and they go on being exported")
}
