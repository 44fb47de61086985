package activities

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/record"
)

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
