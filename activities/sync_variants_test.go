package activities

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/csv"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// documented puts jobs of docs/sync.md with their mappings into the book, as
// they stand there.
func (w *world) documented(filter string, names ...string) {
	w.Helper()
	page, err := os.ReadFile("../docs/sync.md")
	require.NoError(w, err)
	mappings, found := map[string]mapping.Mapping{}, map[string]jobs.Job{}
	for _, block := range yamlBlock.FindAllStringSubmatch(string(page), -1) {
		var file struct {
			Mappings []mapping.Mapping
			Jobs     []jobs.Job
		}
		require.NoError(w, yaml.Unmarshal([]byte(block[1]), &file), block[1])
		for _, m := range file.Mappings {
			mappings[m.Name] = m
		}
		for _, j := range file.Jobs {
			found[j.Name] = j
		}
	}
	for _, name := range names {
		j, there := found[name]
		require.True(w, there, "no job %s in the documentation", name)
		if filter != "" { // the stand-in's own goods stay out
			j.Filter = filter
		}
		require.Contains(w, mappings, j.Mapping)
		w.put(j, mappings[j.Mapping])
	}
}

// full runs jobs in full, one after another; all of them must end well. It gives
// how many records they wrote.
func (w *world) full(names ...string) (written int) {
	w.Helper()
	for _, name := range names {
		result := w.runJob(name, mode(jobs.Full))
		require.Equal(w, "success", result.Status, "%s: %s %v %v", name, result.Sentence, result.Counts, w.parkedOf(name))
		written += w.number(`SELECT count(*) FROM change WHERE run = $1`, fmt.Sprintf("sync/things-%04d", w.runs))
	}
	return written
}

func (w *world) parkedOf(job string) map[string]string {
	w.Helper()
	rows, err := w.db.QueryContext(w.Context(), `SELECT external_id, code || ' ' || detail FROM parked WHERE state = 'open' AND job = $1`, job)
	require.NoError(w, err)
	defer func() { _ = rows.Close() }()
	all := map[string]string{}
	for rows.Next() {
		var id, code string
		require.NoError(w, rows.Scan(&id, &code))
		all[id] = code
	}
	require.NoError(w, rows.Err())
	return all
}

// catalogue is a connection to a folder with templates and variants.
func catalogue(w *world) (write func(file, header string, lines ...string)) {
	w.Helper()
	path := w.TempDir()
	config, err := json.Marshal(map[string]any{"folder": path, "id_column": "sku", "text_columns": []string{"sku", "template", "barcode"}, "decimal": "."})
	require.NoError(w, err)
	c, err := csv.Definition.Open(connectors.Settings{Name: "supplier", Config: config})
	require.NoError(w, err)
	w.connect("supplier", c)
	return func(file, header string, lines ...string) {
		w.Helper()
		require.NoError(w, os.WriteFile(filepath.Join(path, file), []byte(header+"\n"+strings.Join(lines, "\n")+"\n"), 0o600))
	}
}

// variantsIn are the variants of a system that have one of the SKUs' beginnings:
// "combination barcode price" by SKU, each SKU once; archived ones in brackets.
func (w *world) variantsIn(name, model, sku, options, price, prefix string) map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, r := range w.readAll(name, model, sku, options, "barcode", price) {
		code, _ := r.Values[sku].(string)
		if !strings.HasPrefix(code, prefix) {
			continue
		}
		require.NotContains(w, all, code, "twice")
		amount, _ := r.Values[price].(decimal.Decimal)
		line := fmt.Sprintf("%v %v %s", cmp.Or(textOf(r.Values[options]), "-"), cmp.Or(textOf(r.Values["barcode"]), "-"), amount)
		if r.Archived {
			line = "(" + line + ")"
		}
		all[code] = line
	}
	return all
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

func (w *world) odooVariants(prefix string) map[string]string {
	w.Helper()
	return w.variantsIn("main-odoo", "product.product", "default_code", "combination", "lst_price", prefix)
}

func (w *world) shopVariants(prefix string) map[string]string {
	w.Helper()
	return w.variantsIn("web-shop", "ProductVariant", "sku", "options", "price", prefix)
}

// listPrices are the fixed prices of a price list by SKU, each once.
func (w *world) listPrices(prefix string) map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, r := range w.readAll("main-odoo", "product.pricelist.item", "product_id.default_code", "fixed_price") {
		product, _ := r.Values["product_id"].(record.Values)
		if code := textOf(product["default_code"]); strings.HasPrefix(code, prefix) {
			require.NotContains(w, all, code, "twice")
			all[code] = r.Values["fixed_price"].(decimal.Decimal).String()
		}
	}
	return all
}

// combinationsOf are the combinations of a template's variants that are not archived.
func (w *world) combinationsOf(template string) (all []string) {
	w.Helper()
	for _, r := range w.readAll("main-odoo", "product.product", "product_tmpl_id.name", "combination") {
		if of := r.Values["product_tmpl_id"].(record.Values); of["name"] == template && !r.Archived {
			all = append(all, textOf(r.Values["combination"]))
		}
	}
	slices.Sort(all)
	return all
}

// TestSyncVariantsFromFiles: templates and variants of two files come into Odoo
// once, with SKU, barcode and price; values that come and go take variants along.
func TestSyncVariantsFromFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "main-odoo", simulator.Options{})
	write := catalogue(w)
	const templates, variants = "sku;name;price;attributes", "sku;template;combination;barcode;price"
	all := []string{"file-templates", "file-variants", "file-variant-prices"}
	w.documented("", all...)
	write("templates.csv", templates, `V-SHIRT;V Shirt;20;"Size=M,S; Color=Red,Blue"`, "V-MUG;V Mug;5;", `V-ROPE;V Rope;3;Length=1\,5 m,2 m`)
	lines := []string{
		`V-RM;V-SHIRT;"Color=Red; Size=M";4000001;21.50`, `V-RS;V-SHIRT;"Size=S; Color=Red";4000002;20`,
		`V-BM;V-SHIRT;"Color=Blue; Size=M";4000003;20`, `V-BS;V-SHIRT;"Color=Blue; Size=S";4000004;19.99`,
		"V-MUG;V-MUG;;4000005;5", `V-ROPE1;V-ROPE;Length=1\,5 m;4000006;3`, `V-ROPE2;V-ROPE;Length=2 m;4000007;4`,
	}
	write("variants.csv", variants, lines...)
	require.Equal(t, 3+7+7, w.full(all...))
	want := map[string]string{
		"V-RM": "Color=Red; Size=M 4000001 20", "V-RS": "Color=Red; Size=S 4000002 20", "V-BM": "Color=Blue; Size=M 4000003 20",
		"V-BS": "Color=Blue; Size=S 4000004 20", "V-MUG": "- 4000005 5", "V-ROPE1": `Length=1\,5 m 4000006 3`, "V-ROPE2": "Length=2 m 4000007 3",
	}
	prices := map[string]string{"V-RM": "21.5", "V-RS": "20", "V-BM": "20", "V-BS": "19.99", "V-MUG": "5", "V-ROPE1": "3", "V-ROPE2": "4"}
	require.Equal(t, want, w.odooVariants("V-"))
	require.Equal(t, prices, w.listPrices("V-"))
	require.Equal(t, []string{"Color=Blue; Size=M", "Color=Blue; Size=S", "Color=Red; Size=M", "Color=Red; Size=S"}, w.combinationsOf("V Shirt"))
	require.Equal(t, []string{""}, w.combinationsOf("V Mug"))
	// Of one file's records two are called V-MUG: the template, and its variant.
	require.Equal(t, 2, w.number(`SELECT count(DISTINCT kind) FROM binding WHERE external_id = 'V-MUG' AND target = 'main-odoo' AND kind IN ('template', 'product')`))

	require.Zero(t, w.full(all...), "nothing changed")

	// Green comes, Blue goes; one of the blue ones was sold.
	order := w.place("main-odoo", "sale.order", record.Values{"partner_id": w.place("main-odoo", "res.partner", record.Values{"name": "Ada"})})
	w.place("main-odoo", "sale.order.line", record.Values{"order_id": order, "product_id": fmt.Sprint(w.findOne("main-odoo", "product.product", "default_code", "V-BM")), "product_uom_qty": decimal.NewFromInt(1)})
	write("templates.csv", templates, `V-SHIRT;V Shirt;20;"Size=M,S; Color=Red,Green"`, "V-MUG;V Mug;5;", `V-ROPE;V Rope;3;Length=1\,5 m,2 m`)
	write("variants.csv", variants, append(slices.Clone(lines[4:]), lines[0], lines[1],
		`V-GM;V-SHIRT;"Color=Green; Size=M";4000008;22`, `V-GS;V-SHIRT;"Color=Green; Size=S";4000009;22`)...)
	require.Equal(t, 1+2+2, w.full(all...), "the template, two variants, two prices")
	require.Equal(t, []string{"Color=Green; Size=M", "Color=Green; Size=S", "Color=Red; Size=M", "Color=Red; Size=S"}, w.combinationsOf("V Shirt"))
	delete(want, "V-BS") // nothing refers to it: Odoo deletes it
	want["V-BM"] = "(Color=Blue; Size=M 4000003 20)"
	want["V-GM"], want["V-GS"] = "Color=Green; Size=M 4000008 20", "Color=Green; Size=S 4000009 20"
	require.Equal(t, want, w.odooVariants("V-"))
	require.Zero(t, w.full(all...))
}

// place writes a record by its door, as if people had made it there.
func (w *world) place(door, model string, values record.Values) string {
	w.Helper()
	w.runs++
	id, err := w.doors[door].(connectors.RecordTarget).WriteRecord(w.Context(), record.Row{
		Model: model, Write: record.Write{XID: fmt.Sprintf("__towpath__.test.%s.%d", strings.ReplaceAll(model, ".", "_"), w.runs)}, Values: values,
	})
	require.NoError(w, err)
	return id
}

func (w *world) change(door, model, id string, values record.Values) {
	w.Helper()
	_, err := w.doors[door].(connectors.RecordTarget).WriteRecord(w.Context(), record.Row{Model: model, Write: record.Write{ID: id}, Values: values})
	require.NoError(w, err)
}

// TestSyncVariantsOut: Odoo's templates become the shop's products with options,
// and their variants its variants.
func TestSyncVariantsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "main-odoo", simulator.Options{})
	s := shopOf(w, "web-shop", shop.Options{})
	all := []string{"templates-out", "variants-out"}
	w.documented(`[["name", "=like", "Out %"], ["sale_ok", "=", true]]`, all[0])
	w.documented(`[["default_code", "=like", "O-%"]]`, all[1])
	shirt := w.place("main-odoo", "product.template", record.Values{"name": "Out Shirt", "list_price": decimal.NewFromInt(20), "attributes": []any{
		record.Values{"name": "Size", "values": []any{"M", record.Values{"name": "XL", "extra": decimal.RequireFromString("2.5")}}},
		record.Values{"name": "Color", "values": []any{"Red", "Blue"}},
	}})
	mug := w.place("main-odoo", "product.template", record.Values{"name": "Out Mug", "list_price": decimal.NewFromInt(5)})
	variant := func(template, sku, combination string) {
		t.Helper()
		w.place("main-odoo", "product.product", record.Values{"product_tmpl_id": template, "combination": combination, "default_code": sku, "barcode": "B" + sku})
	}
	variant(shirt, "O-RM", "Color=Red; Size=M")
	variant(shirt, "O-RX", "Color=Red; Size=XL")
	variant(shirt, "O-BM", "Color=Blue; Size=M")
	variant(shirt, "O-BX", "Color=Blue; Size=XL")
	variant(mug, "O-MUG", "")

	require.Equal(t, 2+5, w.full(all...))
	want := map[string]string{
		"O-RM": "Color=Red; Size=M BO-RM 20", "O-RX": "Color=Red; Size=XL BO-RX 22.5", "O-BM": "Color=Blue; Size=M BO-BM 20",
		"O-BX": "Color=Blue; Size=XL BO-BX 22.5", "O-MUG": "- BO-MUG 5",
	}
	require.Equal(t, want, w.shopVariants(""), "these, and no other")
	options := func() map[string]string {
		found := map[string]string{}
		for _, r := range w.readAll("web-shop", "Product", "title", "options") {
			found[textOf(r.Values["title"])] = textOf(r.Values["options"])
		}
		return found
	}
	require.Equal(t, map[string]string{"Out Shirt": "Color=Blue,Red; Size=M,XL", "Out Mug": ""}, options())
	require.Len(t, s.Products(), 2)
	require.Zero(t, w.full(all...), "nothing changed")

	// A value more: the option gets it, and its variants come.
	w.change("main-odoo", "product.template", shirt, record.Values{"attributes": "Color=Red,Blue,Green; Size=M,XL"})
	variant(shirt, "O-GM", "Color=Green; Size=M")
	variant(shirt, "O-GX", "Color=Green; Size=XL")
	require.Equal(t, 1+2, w.full(all...))
	want["O-GM"], want["O-GX"] = "Color=Green; Size=M BO-GM 20", "Color=Green; Size=XL BO-GX 22.5"
	require.Equal(t, want, w.shopVariants(""))
	require.Zero(t, w.full(all...))

	// A value less: Shopify's variants are a person's to delete. Then it goes on by itself.
	w.change("main-odoo", "product.template", shirt, record.Values{"attributes": "Color=Red,Green; Size=M,XL"})
	result := w.runJob(all[0], mode(jobs.Full))
	require.Equal(t, "partial", result.Status, result.Sentence)
	require.Equal(t, []string{shirt}, slices.Collect(maps.Keys(w.parkedOf(all[0]))))
	require.Contains(t, w.parkedOf(all[0])[shirt], "shopify.option_in_use")
	require.Equal(t, want, w.shopVariants(""))
}

// TestSyncVariantsIn: the shop's products with options become Odoo's templates,
// with their variants' prices in a price list.
func TestSyncVariantsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "main-odoo", simulator.Options{})
	shopOf(w, "web-shop", shop.Options{})
	all := []string{"templates-in", "variants-in", "variant-prices-in"}
	w.documented("", all...)
	shirt := w.place("web-shop", "Product", record.Values{"title": "In Shirt", "options": "Size=M,XL; Color=Red,Blue"})
	mug := w.place("web-shop", "Product", record.Values{"title": "In Mug"})
	variant := func(product, sku, options, price string) {
		t.Helper()
		values := record.Values{"product": product, "sku": sku, "barcode": "B" + sku, "price": decimal.RequireFromString(price)}
		if options != "" {
			values["options"] = options
		}
		w.place("web-shop", "ProductVariant", values)
	}
	variant(shirt, "I-RM", "Color=Red; Size=M", "20")
	variant(shirt, "I-RX", "Size=XL; Color=Red", "22.50")
	variant(shirt, "I-BM", "Color=Blue; Size=M", "19")
	variant(mug, "I-MUG", "", "5")

	require.Equal(t, 2+4+4, w.full(all...))
	got := w.odooVariants("I-")
	for sku, line := range got {
		got[sku] = line[:strings.LastIndexByte(line, ' ')] // the template's price says nothing here
	}
	require.Equal(t, map[string]string{
		"I-RM": "Color=Red; Size=M BI-RM", "I-RX": "Color=Red; Size=XL BI-RX", "I-BM": "Color=Blue; Size=M BI-BM", "I-MUG": "- BI-MUG",
	}, got)
	prices := map[string]string{"I-RM": "20", "I-RX": "22.5", "I-BM": "19", "I-MUG": "5"}
	require.Equal(t, prices, w.listPrices("I-"))
	require.Len(t, w.combinationsOf("In Shirt"), 4, "Odoo makes them all")
	require.Equal(t, []string{""}, w.combinationsOf("In Mug"))
	require.Zero(t, w.full(all...), "nothing changed")

	variant(shirt, "I-GM", "Color=Green; Size=M", "21")
	require.Equal(t, 1+1+1, w.full(all...), "a new value, its variant, its price")
	require.Contains(t, w.combinationsOf("In Shirt"), "Color=Green; Size=XL")
	prices["I-GM"] = "21"
	require.Equal(t, prices, w.listPrices("I-"))
	require.Zero(t, w.full(all...))
}

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
