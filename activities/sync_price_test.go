package activities

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

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

func onlyUpdates(kind jobs.Kind) func(*jobs.Job) {
	return func(j *jobs.Job) { j.Switches = map[jobs.Kind]jobs.Switch{kind: {Create: new(false)}} }
}

// TestSyncPricesOut: Odoo's sales price becomes the shop's, and products that
// the shop does not have are not made by a job of prices.
func TestSyncPricesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := odooOf(w, "odoo", simulator.Options{})
	s := shopOf(w, "shop", shop.Options{})
	goods := shop.Catalog(2)
	s.AddGoods(goods...)
	w.job("things", jobs.Price, "odoo", "shop", mapping.Mapping{Source: "ProductVariant", Target: "product.product", Fields: []mapping.Field{
		{Source: "sku", Target: "default_code", Key: true, Required: true},
		{Source: "list_price", Target: "price", Required: true, Direction: mapping.Export},
	}}, onlyUpdates(jobs.Price), func(j *jobs.Job) { j.Filter = `[["default_code", "in", ["SKU-0001", "SKU-0002", "SKU-0003"]]]` })
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(3, "updated", 2, "skipped.create_off", 1), result.Counts)
	good, _ := s.Good(goods[0].ID)
	require.Equal(t, "50", good.Price.String())

	id := w.findOne("odoo", "product.product", "default_code", "SKU-0002")
	require.NoError(t, server.Edit("product.product", id, map[string]any{"list_price": decimal.RequireFromString("17.35")}))
	result = w.run()
	require.Equal(t, counts(3, "updated", 1, "unchanged", 1, "skipped.create_off", 1), result.Counts)
	good, _ = s.Good(goods[1].ID)
	require.Equal(t, "17.35", good.Price.String())
}

// TestPricesOfAnotherCurrency: an amount is not copied into another currency. An
// expression that converts it is.
func TestPricesOfAnotherCurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "odoo", simulator.Options{})
	s := shopOf(w, "shop", shop.Options{Currency: "EUR"})
	goods := shop.Catalog(1)
	s.AddGoods(goods...)
	price := mapping.Field{Source: "list_price", Target: "price", Required: true, Direction: mapping.Export}
	job := func() {
		w.job("things", jobs.Price, "odoo", "shop", mapping.Mapping{Source: "ProductVariant", Target: "product.product", Fields: []mapping.Field{
			{Source: "sku", Target: "default_code", Key: true, Required: true}, price,
		}}, onlyUpdates(jobs.Price), func(j *jobs.Job) { j.Filter = `[["default_code", "=", "SKU-0001"]]` })
	}
	job()
	_, err := w.syncs.OpenSync(t.Context(), contract.SyncOpen{SyncInput: contract.SyncInput{Job: "things"}, Run: "sync/refused"})
	require.ErrorContains(t, err, `copies an amount in USD to "price", which is in EUR`)

	price.Source, price.Expr = "", `round(record.list_price * dec("0.9"), 2)`
	job()
	require.Equal(t, counts(1, "updated", 1), w.run().Counts)
	good, _ := s.Good(goods[0].ID)
	require.Equal(t, "45", good.Price.String())
}

// TestSyncPriceListOut: a price list's fixed prices become the shop's.
func TestSyncPriceListOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := odooOf(w, "odoo", simulator.Options{})
	s := shopOf(w, "shop", shop.Options{})
	goods := shop.Catalog(2)
	s.AddGoods(goods...)
	list := w.findOne("odoo", "product.pricelist", "name", "Shop EUR")
	var items []int64
	for i, price := range []string{"9.90", "19.95"} {
		product := w.findOne("odoo", "product.product", "default_code", goods[i].SKU)
		id, err := server.Create("product.pricelist.item", map[string]any{
			"pricelist_id": list, "applied_on": "0_product_variant", "product_id": product, "compute_price": "fixed",
			"base": "list_price", "display_applied_on": "1_product", "fixed_price": decimal.RequireFromString(price),
		})
		require.NoError(t, err)
		items = append(items, id)
	}
	w.job("things", jobs.Price, "odoo", "shop", mapping.Mapping{Source: "ProductVariant", Target: "product.pricelist.item", Fields: []mapping.Field{
		{Source: "product_id.default_code", Target: "sku", Key: true, Required: true, Direction: mapping.Export},
		{Source: "fixed_price", Target: "price", Required: true, Direction: mapping.Export},
	}}, onlyUpdates(jobs.Price), func(j *jobs.Job) {
		j.Filter = `[["pricelist_id.name", "=", "Shop EUR"], ["compute_price", "=", "fixed"], ["applied_on", "=", "0_product_variant"]]`
	})
	result := w.run()
	require.Equal(t, "success", result.Status, "%s %v", result.Sentence, w.parked())
	require.Equal(t, counts(2, "updated", 2), result.Counts)
	good, _ := s.Good(goods[1].ID)
	require.Equal(t, "19.95", good.Price.String())

	require.NoError(t, server.Edit("product.pricelist.item", items[0], map[string]any{"fixed_price": decimal.RequireFromString("8.80")}))
	require.Equal(t, counts(2, "updated", 1, "unchanged", 1), w.run().Counts)
	good, _ = s.Good(goods[0].ID)
	require.Equal(t, "8.8", good.Price.String())
}

// priceFile is a connection to a folder with a file of prices.
func priceFile(w *world, lines ...string) (write func(lines ...string)) {
	w.Helper()
	path := w.TempDir()
	write = func(lines ...string) {
		text := "key;sku;list;price\n" + strings.Join(lines, "\n") + "\n"
		require.NoError(w, os.WriteFile(filepath.Join(path, "prices.csv"), []byte(text), 0o600))
	}
	write(lines...)
	config, err := json.Marshal(map[string]any{"folder": path, "id_column": "key", "text_columns": []string{"key", "sku", "list"}, "decimal": "."})
	require.NoError(w, err)
	c, err := csv.Definition.Open(connectors.Settings{Name: "files", Config: config})
	require.NoError(w, err)
	w.connect("files", c)
	return write
}

// priceListIn makes rules of a price list from a file: the list is looked up by
// name, the product by SKU.
var priceListIn = mapping.Mapping{Source: "prices.csv", Target: "product.pricelist.item", Match: mapping.ByBinding, Fields: []mapping.Field{
	{Source: "list", Target: "pricelist_id", Lookup: "name", Required: true},
	{Source: "sku", Target: "product_id", Lookup: "default_code", Required: true},
	{Source: "price", Target: "fixed_price", Required: true},
	{Expr: `"fixed"`, Target: "compute_price"}, {Expr: `"0_product_variant"`, Target: "applied_on"},
}}

// TestSyncPriceListIn: one line, one rule, however often the file comes.
func TestSyncPriceListIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := odooOf(w, "odoo", simulator.Options{})
	write := priceFile(w, "EUR/1;SKU-0001;Shop EUR;9.90", "USD/1;SKU-0001;Shop USD;11.20", "EUR/2;SKU-0002;Shop EUR;4.999",
		"EUR/X;NO-SUCH;Shop EUR;1.00", "XXX/1;SKU-0001;Nowhere;1.00")
	w.job("things", jobs.Price, "files", "odoo", priceListIn)
	before := server.Count("product.pricelist.item")
	result := w.run()
	require.Equal(t, "partial", result.Status, result.Sentence)
	require.Equal(t, counts(7, "created", 3, "skipped.deferred", 2, "parked", 2), result.Counts, "%v", w.parked())
	require.Equal(t, map[string]string{"EUR/X": "sync.unknown_reference", "XXX/1": "sync.unknown_reference"}, w.parked())
	require.Equal(t, before+3, server.Count("product.pricelist.item"))

	write("EUR/1;SKU-0001;Shop EUR;10.50", "USD/1;SKU-0001;Shop USD;11.20", "EUR/2;SKU-0002;Shop EUR;4.999")
	result = w.run()
	require.Equal(t, counts(3, "updated", 1, "unchanged", 2), result.Counts)
	require.Equal(t, before+3, server.Count("product.pricelist.item"))
	rules := w.readAll("odoo", "product.pricelist.item", "product_id.default_code", "pricelist_id.name", "fixed_price")
	var seen []string
	for _, r := range rules {
		seen = append(seen, strings.Join([]string{r.Values["product_id"].(record.Values)["default_code"].(string),
			r.Values["pricelist_id"].(record.Values)["name"].(string), r.Values["fixed_price"].(decimal.Decimal).String()}, " "))
	}
	require.Subset(t, seen, []string{"SKU-0001 Shop EUR 10.5", "SKU-0001 Shop USD 11.2", "SKU-0002 Shop EUR 4.999"})
}

// TestSyncPriceListAdopts: with match: keys a rule that somebody made for the
// same list and product is taken over; one of the two alone is another's.
func TestSyncPriceListAdopts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := odooOf(w, "odoo", simulator.Options{})
	product := w.findOne("odoo", "product.product", "default_code", "SKU-0001")
	made, err := server.Create("product.pricelist.item", map[string]any{
		"pricelist_id": w.findOne("odoo", "product.pricelist", "name", "Shop EUR"), "applied_on": "0_product_variant", "product_id": product,
		"compute_price": "fixed", "base": "list_price", "display_applied_on": "1_product", "fixed_price": decimal.RequireFromString("3"),
	})
	require.NoError(t, err)
	priceFile(w, "1;SKU-0001;Shop EUR;9.90", "2;SKU-0001;Shop USD;11.20", "3;SKU-0002;Shop EUR;4.50", "4;SKU-0002;Shop EUR;4.60")
	m := priceListIn
	m.Match, m.Fields = mapping.ByKeys, slices.Clone(m.Fields)
	m.Fields[0].Key, m.Fields[1].Key = true, true
	w.job("things", jobs.Price, "files", "odoo", m)
	before := server.Count("product.pricelist.item")
	result := w.run()
	require.Equal(t, counts(4, "created", 2, "updated", 1, "parked", 1), result.Counts, "%v", w.parked())
	require.Equal(t, map[string]string{"4": "sync.key_taken"}, w.parked(), "two lines for one rule")
	require.Equal(t, before+2, server.Count("product.pricelist.item"))
	records, err := w.doors["odoo"].(connectors.RecordTarget).RecordsByID(t.Context(), "product.pricelist.item", []string{strconv.FormatInt(made, 10)}, []string{"fixed_price"})
	require.NoError(t, err)
	require.Equal(t, "9.9", records[0].Values["fixed_price"].(decimal.Decimal).String())
}
