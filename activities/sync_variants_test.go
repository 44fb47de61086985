package activities

import (
	"cmp"
	"encoding/json"
	"fmt"
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
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
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
