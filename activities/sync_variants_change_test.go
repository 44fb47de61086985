package activities

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// TestVariantsBeforeTheirTemplates: a variant whose template is not there yet
// waits, and is written by itself when it is.
func TestVariantsBeforeTheirTemplates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "main-odoo", simulator.Options{})
	write := catalogue(w)
	w.documented("", "file-templates", "file-variants")
	write("templates.csv", "sku;name;price;attributes", "W-1;Waits;20;Color=Red,Blue")
	write("variants.csv", "sku;template;combination;barcode;price", "W-R;W-1;Color=Red;5000001;20")
	result := w.runJob("file-variants", mode(jobs.Full))
	require.Equal(t, "partial", result.Status, result.Sentence)
	require.Contains(t, w.parkedOf("file-variants")["W-R"], "sync.unknown_reference")
	require.Equal(t, 1, w.number(`SELECT count(*) FROM parked WHERE state = 'open' AND kind = 'product'`), "parked under the job's kind")
	w.full("file-templates")
	w.due()
	w.full("file-variants")
	require.Equal(t, map[string]string{"W-R": "Color=Red 5000001 20"}, w.odooVariants("W-"))
	require.Empty(t, w.parkedOf("file-variants"))
}

// TestAttributesComeAndGo: an attribute more or less makes other variants of all
// that a template has. Those that are bound are found anew by their combination,
// with nothing parked and nobody untying; one that Odoo had to keep, since it was
// sold, stays archived as it was.
func TestAttributesComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "main-odoo", simulator.Options{})
	write := catalogue(w)
	const templates, variants = "sku;name;price;attributes", "sku;template;combination;barcode;price"
	all := []string{"file-templates", "file-variants"}
	w.documented("", all...)
	put := func(attributes string, lines ...string) {
		t.Helper()
		write("templates.csv", templates, `A-CAP;A Cap;20;"`+attributes+`"`)
		write("variants.csv", variants, lines...)
	}
	put("Color=Red,Blue", "A-R;A-CAP;Color=Red;6000001;20", "A-B;A-CAP;Color=Blue;6000002;20")
	require.Equal(t, 1+2, w.full(all...))
	bound := func() map[string]int {
		t.Helper()
		rows, err := w.db.QueryContext(t.Context(), `SELECT external_id, target_id::int FROM binding WHERE kind = 'product' AND target = 'main-odoo' AND status = 'active'`)
		require.NoError(t, err)
		defer func() { _ = rows.Close() }()
		ids := map[string]int{}
		for rows.Next() {
			var sku string
			var id int
			require.NoError(t, rows.Scan(&sku, &id))
			ids[sku] = id
		}
		require.NoError(t, rows.Err())
		return ids
	}
	first := bound()
	order := w.place("main-odoo", "sale.order", record.Values{"partner_id": w.place("main-odoo", "res.partner", record.Values{"name": "Ada"})})
	w.place("main-odoo", "sale.order.line", record.Values{"order_id": order, "product_id": fmt.Sprint(first["A-B"]), "product_uom_qty": decimal.NewFromInt(1)})

	// One attribute more, with a single value: Odoo's variants stay what they are.
	put("Color=Red,Blue; Fit=Slim", `A-R;A-CAP;"Color=Red; Fit=Slim";6000001;20`, `A-B;A-CAP;"Color=Blue; Fit=Slim";6000002;20`)
	w.full(all...)
	require.Equal(t, first, bound(), "the same records")
	require.Equal(t, map[string]string{"A-R": "Color=Red; Fit=Slim 6000001 20", "A-B": "Color=Blue; Fit=Slim 6000002 20"}, w.odooVariants("A-"))

	// With two values, others: the one that was sold is archived, the other deleted.
	put("Color=Red,Blue; Size=M,L", `A-R;A-CAP;"Color=Red; Size=M";6000001;20`, `A-B;A-CAP;"Color=Blue; Size=M";6000002;20`, `A-RL;A-CAP;"Color=Red; Size=L";6000003;20`)
	require.Equal(t, 1+3, w.full(all...))
	second := bound()
	require.NotEqual(t, first["A-R"], second["A-R"])
	require.NotEqual(t, first["A-B"], second["A-B"])
	require.Equal(t, []string{"Color=Blue; Size=L", "Color=Blue; Size=M", "Color=Red; Size=L", "Color=Red; Size=M"}, w.combinationsOf("A Cap"))
	require.Equal(t, map[string]string{
		"A-R": "Color=Red; Size=M 6000001 20", "A-B": "Color=Blue; Size=M 6000002 20", "A-RL": "Color=Red; Size=L 6000003 20",
	}, w.active("A-"))
	require.Zero(t, w.number(`SELECT count(*) FROM claim WHERE kind = 'product' AND target_id IN ($1, $2)`, fmt.Sprint(first["A-R"]), fmt.Sprint(first["A-B"])), "nobody is led to what is gone")
	require.Zero(t, w.full(all...), "nothing changed")

	// Back again: A-RL is not wanted any more, and its combination is that of A-R.
	put("Color=Red,Blue", "A-R;A-CAP;Color=Red;6000001;20", "A-B;A-CAP;Color=Blue;6000002;20", "A-RL;A-CAP;Color=Red;6000003;20")
	w.full("file-templates")
	result := w.runJob("file-variants", mode(jobs.Full))
	require.Equal(t, "partial", result.Status, result.Sentence)
	parked := w.parkedOf("file-variants")
	require.Len(t, parked, 1, "two that want to be one: the second waits for a person")
	require.Equal(t, map[string]string{"A-R": "Color=Red 6000001 20", "A-B": "Color=Blue 6000002 20"}, w.active("A-"))
	third := bound()
	require.Equal(t, first["A-B"], third["A-B"], "Odoo took the archived one back")

	// A combination that Odoo does not have is parked, and says so.
	put("Color=Red,Green", "A-R;A-CAP;Color=Red;6000001;20", "A-B;A-CAP;Color=Violet;6000002;20")
	w.full("file-templates")
	w.runJob("file-variants", mode(jobs.Full))
	require.Contains(t, w.parkedOf("file-variants"), "A-B")
}

// TestPricesGoWithTheirVariants: Odoo deletes a variant together with its rules in
// price lists, and makes another one in its place: that gets the prices, by the next
// run of their job, though nothing in their file has changed. What a person deleted
// stays deleted.
func TestPricesGoWithTheirVariants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := odooOf(w, "main-odoo", simulator.Options{})
	write := catalogue(w)
	all := []string{"file-templates", "file-variants", "file-variant-prices"}
	w.documented("", all...)
	put := func(attributes, suffix string) {
		t.Helper()
		write("templates.csv", "sku;name;price;attributes", `P-CAP;P Cap;20;"`+attributes+`"`)
		write("variants.csv", "sku;template;combination;barcode;price",
			`P-R;P-CAP;"Color=Red`+suffix+`";6100001;21`, `P-B;P-CAP;"Color=Blue`+suffix+`";6100002;22`, `P-G;P-CAP;"Color=Green`+suffix+`";6100003;23`)
	}
	put("Color=Red,Blue,Green", "")
	require.Equal(t, 1+3+3, w.full(all...))
	prices := map[string]string{"P-R": "21", "P-B": "22", "P-G": "23"}
	require.Equal(t, prices, w.listPrices("P-"))
	variants := func() map[string]int64 {
		found := map[string]int64{}
		for sku := range prices {
			found[sku] = w.findOne("main-odoo", "product.product", "default_code", sku)
		}
		return found
	}
	before := variants()
	order := w.place("main-odoo", "sale.order", record.Values{"partner_id": w.place("main-odoo", "res.partner", record.Values{"name": "Ada"})})
	w.place("main-odoo", "sale.order.line", record.Values{"order_id": order, "product_id": fmt.Sprint(before["P-G"]), "product_uom_qty": decimal.NewFromInt(1)})

	put("Color=Red,Blue,Green; Size=M,L", "; Size=M")
	w.full(all[:2]...)
	after := variants()
	for sku := range prices {
		require.NotEqual(t, before[sku], after[sku], sku)
	}
	require.Equal(t, map[string]string{"P-G": "23"}, w.listPrices("P-"), "the green one was sold: it is archived, with its price")
	result := w.runJob(all[2], mode(jobs.Incremental))
	require.Equal(t, "success", result.Status, "%s %v", result.Sentence, w.parkedOf(all[2]))
	require.Equal(t, []int64{2, 1}, []int64{jobs.CountsOf(result.Counts).Created, jobs.CountsOf(result.Counts).Updated}, "%v", result.Counts)
	require.Equal(t, prices, w.listPrices("P-"))
	priced := map[string]bool{}
	for _, r := range w.readAll("main-odoo", "product.pricelist.item", "product_id") {
		id, _ := refID(r.Values["product_id"]).(string)
		priced[id] = true
	}
	for sku, id := range after {
		require.True(t, priced[fmt.Sprint(id)], sku)
	}
	require.Zero(t, w.full(all...), "nothing changed")

	// A person's deletion is another thing.
	var rule int64
	require.NoError(t, w.db.QueryRow(`SELECT target_id FROM binding WHERE kind = 'price' AND external_id = 'P-R'`).Scan(&rule))
	require.NoError(t, server.Delete("product.pricelist.item", rule))
	write("variants.csv", "sku;template;combination;barcode;price", `P-R;P-CAP;"Color=Red; Size=M";6100001;31`)
	result = w.runJob(all[2], mode(jobs.Full))
	require.Equal(t, "partial", result.Status, result.Sentence)
	require.Contains(t, w.parkedOf(all[2])["P-R"], "sync.deleted_in_target")
}

// active are the variants of Odoo that are not archived.
func (w *world) active(prefix string) map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, r := range w.readAll("main-odoo", "product.product", "default_code", "combination", "barcode", "lst_price") {
		if code := textOf(r.Values["default_code"]); strings.HasPrefix(code, prefix) && !r.Archived {
			require.NotContains(w, all, code, "twice")
			all[code] = fmt.Sprintf("%s %s %s", textOf(r.Values["combination"]), textOf(r.Values["barcode"]), r.Values["lst_price"].(decimal.Decimal))
		}
	}
	return all
}

// TestVariantsShareTheirPrice: what is written as a variant's price is its
// template's. A mapping that says which variant a record is may not write it; of
// one that does not, records whose template has several variants are parked.
func TestVariantsShareTheirPrice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "main-odoo", simulator.Options{})
	write := catalogue(w)
	for _, price := range []string{"list_price", "lst_price"} {
		w.put(jobs.Job{Name: "things", Source: "supplier", Target: "main-odoo", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full},
			mapping.Mapping{Name: "things", Source: "goods.csv", Target: "product.product", Leave: []string{"name"}, Fields: []mapping.Field{
				{Source: "sku", Target: "default_code", Key: true, Required: true}, {Source: "price", Target: price},
				{Source: "combination", Target: "combination"},
			}})
		write("goods.csv", "sku;price;combination", "S-R;20;Color=Red")
		_, err := w.syncs.OpenSync(t.Context(), contract.SyncOpen{SyncInput: contract.SyncInput{Job: "things"}, Run: "sync/refused-" + price})
		require.ErrorContains(t, err, "odoo.shared_price")
	}
	shirt := w.place("main-odoo", "product.template", record.Values{"name": "Shared", "list_price": decimal.NewFromInt(20), "attributes": "Color=Red,Blue"})
	for sku, color := range map[string]string{"S-R": "Red", "S-B": "Blue"} {
		w.place("main-odoo", "product.product", record.Values{"product_tmpl_id": shirt, "combination": "Color=" + color, "default_code": sku})
	}
	w.place("main-odoo", "product.product", record.Values{"name": "Alone", "default_code": "S-1", "list_price": decimal.NewFromInt(5)})
	w.put(jobs.Job{Name: "things", Source: "supplier", Target: "main-odoo", Kind: jobs.Product, Mapping: "things", Mode: jobs.Full},
		mapping.Mapping{Name: "things", Source: "goods.csv", Target: "product.product", Leave: []string{"name"}, Fields: []mapping.Field{
			{Source: "sku", Target: "default_code", Key: true, Required: true}, {Source: "price", Target: "list_price"}, {Source: "barcode", Target: "barcode"},
		}})
	prices := func() map[string]string {
		t.Helper()
		all := map[string]string{}
		for sku, line := range w.odooVariants("S-") {
			all[sku] = line[strings.LastIndexByte(line, ' ')+1:]
		}
		return all
	}
	write("goods.csv", "sku;price;barcode", "S-R;20;7000001", "S-B;25;7000002", "S-1;6;7000003")
	plan := w.begin(func(in *contract.SyncOpen) { in.Purpose = contract.PurposePlan })
	require.True(t, w.pages(plan).Finished)
	w.prove(contract.SyncEnding{SyncRef: plan})
	would, err := w.store.PlanParked(t.Context(), plan.Run, "", 10)
	require.NoError(t, err)
	require.Len(t, would, 1, "the plan says so, too")
	require.Equal(t, "S-B", would[0].ExternalID)
	require.Contains(t, would[0].Resolution, "kind price")

	result := w.run()
	require.Equal(t, counts(3, "updated", 2, "parked", 1), result.Counts)
	require.Equal(t, map[string]string{"S-B": "odoo.shared_price"}, w.parked())
	require.Equal(t, map[string]string{"S-R": "20", "S-B": "20", "S-1": "6"}, prices(), "nobody's price was overwritten")
	write("goods.csv", "sku;price;barcode", "S-R;21;7000001", "S-B;20;7000002", "S-1;6;7000003")
	w.due()
	w.run()
	require.Equal(t, map[string]string{"S-R": "odoo.shared_price"}, w.parked(), "the price of all is fine")
	require.Equal(t, map[string]string{"S-R": "20", "S-B": "20", "S-1": "6"}, prices())
}
