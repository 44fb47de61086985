package activities

import (
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

// bothWays is an Odoo and a shop that keep their products in step.
type bothWays struct {
	*world
	odoo *simulator.Server
	shop *shop.Shop
}

// newBothWays begins with products of Odoo whose price the shop rounds, and
// whose description Odoo rewrites: it makes a paragraph of plain text.
func newBothWays(t *testing.T, skus ...string) *bothWays {
	w := &bothWays{world: newWorld(t)}
	w.odoo = odooOf(w.world, "odoo", simulator.Options{})
	w.shop = shopOf(w.world, "shop", shop.Options{})
	for _, sku := range skus {
		id, err := w.odoo.AddProduct(simulator.Product{SKU: sku, Name: "Kite " + sku, Price: decimal.RequireFromString("9.999")})
		require.NoError(t, err)
		require.NoError(t, w.odoo.Edit("product.product", id, map[string]any{"description": "Light & <b>strong</b>"}))
	}
	w.job("things", jobs.Product, "odoo", "shop", mapping.Mapping{Source: "product.product", Target: "ProductVariant", Fields: []mapping.Field{
		{Source: "default_code", Target: "sku", Key: true, Required: true}, {Source: "name", Target: "productTitle", Required: true},
		{Source: "list_price", Target: "price", Required: true}, {Source: "description", Target: "productDescriptionHtml"},
	}}, func(j *jobs.Job) { j.Direction, j.Filter = jobs.Bidirectional, `[["default_code", "=like", "KITE-%"]]` })
	return w
}

// settles runs the job and wants at most one run more in which anything is
// written, and then none.
func (w *bothWays) settles() {
	w.Helper()
	for echoes := 0; ; echoes++ {
		result := w.run()
		require.Equal(w, "success", result.Status, "%s %v", result.Sentence, w.parked())
		if jobs.CountsOf(result.Counts).Applied() == 0 {
			break
		}
		require.LessOrEqual(w, echoes, 1, "it echoes on: %v", result.Counts)
	}
	require.Zero(w, jobs.CountsOf(w.run().Counts).Applied())
	w.inStep()
}

// odooSide and shopSide are the products by SKU: title, price, description.
func (w *bothWays) odooSide() map[string][3]string {
	w.Helper()
	all := map[string][3]string{}
	for _, r := range w.readAll("odoo", "product.product", "default_code", "name", "list_price", "description") {
		if sku, _ := r.Values["default_code"].(string); strings.HasPrefix(sku, "KITE-") {
			require.NotContains(w, all, sku, "twice in Odoo")
			all[sku] = lookOf(r.Values, "name", "list_price", "description")
		}
	}
	return all
}

func (w *bothWays) shopSide() map[string][3]string {
	w.Helper()
	all := map[string][3]string{}
	for _, r := range w.readAll("shop", "ProductVariant", "sku", "productTitle", "price", "productDescriptionHtml") {
		sku, _ := r.Values["sku"].(string)
		require.NotContains(w, all, sku, "twice in the shop")
		all[sku] = lookOf(r.Values, "productTitle", "price", "productDescriptionHtml")
	}
	return all
}

func lookOf(v record.Values, title, price, html string) [3]string {
	text, _ := v[html].(string)
	text = strings.TrimSuffix(strings.TrimPrefix(text, "<p>"), "</p>") // which Odoo puts around plain text
	name, _ := v[title].(string)
	return [3]string{name, v[price].(decimal.Decimal).Round(2).StringFixed(2), text}
}

// inStep compares both sides, but for what one of them cannot hold.
func (w *bothWays) inStep() {
	w.Helper()
	require.Equal(w, w.odooSide(), w.shopSide())
}

func (w *bothWays) variant(sku string) int64 {
	w.Helper()
	found, err := w.doors["shop"].(connectors.RecordTarget).FindRecords(w.Context(), "ProductVariant", "sku", []string{sku})
	require.NoError(w, err)
	require.Len(w, found[sku], 1)
	n, err := strconv.ParseInt(strings.TrimPrefix(found[sku][0], "variant:"), 10, 64)
	require.NoError(w, err)
	return n
}

func TestProductsBothWays(t *testing.T) {
	t.Parallel()
	w := newBothWays(t, "KITE-1", "KITE-2", "KITE-3")
	w.settles()
	one := w.findOne("odoo", "product.product", "default_code", "KITE-1")
	exact := func() string {
		records, err := w.doors["odoo"].(connectors.RecordTarget).RecordsByID(t.Context(), "product.product", []string{strconv.FormatInt(one, 10)}, []string{"list_price"})
		require.NoError(t, err)
		return records[0].Values["list_price"].(decimal.Decimal).String()
	}
	require.Equal(t, "9.999", exact(), "what the shop rounds does not come back")

	// The shop changes a price and a description, in words that Odoo rewrites.
	good, _ := w.shop.Good(w.variant("KITE-2"))
	w.shop.ChangeGood(good.ID, func(g *shop.Good) { g.Price = decimal.RequireFromString("12.50") })
	w.shop.ChangeProduct(good.ProductID, func(p *shop.Product) { p.HTML = "plain words" })
	w.settles()
	require.Equal(t, [3]string{"Kite KITE-2", "12.50", "plain words"}, w.odooSide()["KITE-2"])
	products := w.shop.Products()
	require.Contains(t, []string{products[0].HTML, products[1].HTML, products[2].HTML}, "plain words", "what Odoo rewrites does not come back")

	// Each side changes another field of the same product.
	good, _ = w.shop.Good(w.variant("KITE-1"))
	w.shop.ChangeGood(good.ID, func(g *shop.Good) { g.Price = decimal.RequireFromString("30") })
	require.NoError(t, w.odoo.Edit("product.product", one, map[string]any{"name": "Big kite"}))
	w.settles()
	require.Equal(t, [3]string{"Big kite", "30.00", "Light & <b>strong</b>"}, w.odooSide()["KITE-1"])

	// A product that only the shop has.
	w.shop.AddGoods(shop.Variant{ID: 4_200_000_000_001, ProductID: 7_200_000_000_001, SKU: "KITE-9", Title: "Stunt kite", Price: decimal.RequireFromString("45")})
	w.settles()
	require.Len(t, w.odooSide(), 4)

	// Both change the same field: the source, Odoo, wins.
	good, _ = w.shop.Good(w.variant("KITE-3"))
	w.shop.ChangeProduct(good.ProductID, func(p *shop.Product) { p.Title = "Shop's name" })
	three := w.findOne("odoo", "product.product", "default_code", "KITE-3")
	require.NoError(t, w.odoo.Edit("product.product", three, map[string]any{"name": "Odoo's name"}))
	w.settles()
	require.Equal(t, "Odoo's name", w.shopSide()["KITE-3"][0])
}
