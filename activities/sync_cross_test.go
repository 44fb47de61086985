package activities

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// Products and customers of the shop come into Odoo by two ways: by their jobs,
// and with orders. Whichever comes first, they are one record.

var productsIn = mapping.Mapping{Source: "ProductVariant", Target: "product.product", Fields: []mapping.Field{
	{Source: "sku", Target: "default_code", Key: true, Required: true}, {Source: "productTitle", Target: "name", Required: true},
	{Expr: "round(record.price * dec(1), 2)", Target: "list_price", Direction: mapping.Import}, // the shop's euros are Odoo's dollars here
}}

var customersIn = mapping.Mapping{Source: "Customer", Target: "res.partner", Fields: []mapping.Field{
	{Source: "email", Target: "email", Key: true}, {Source: "displayName", Target: "name", Required: true, Direction: mapping.Import},
	{Source: "defaultAddress.address1", Target: "street", Direction: mapping.Import}, {Source: "defaultAddress.zip", Target: "zip", Direction: mapping.Import},
	{Source: "defaultAddress.city", Target: "city", Direction: mapping.Import},
	{Source: "defaultAddress.countryCodeV2", Target: "country_id", Lookup: "code", Direction: mapping.Import},
}}

type crossing struct {
	*world
	shop *shop.Shop
	odoo *simulator.Server
	pass func(time.Duration)
}

func newCrossing(t *testing.T, rules orders.Rules) *crossing {
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, server := orderWorld(t, shop.Options{Now: now})
	w.flow(rules)
	w.job("products", jobs.Product, "shop", "odoo", productsIn)
	w.job("customers", jobs.Customer, "shop", "odoo", customersIn)
	w.putJob(jobs.Job{Name: "orders", Source: "shop", Target: "odoo", Kind: jobs.Order})
	w.orderly()
	return &crossing{w, s, server, pass}
}

func (w *crossing) orders() {
	w.Helper()
	w.pass(time.Minute)
	result := w.runJob("orders")
	require.Equal(w, "success", result.Status, "%s %v", result.Sentence, result.Counts)
	require.NotZero(w, jobs.CountsOf(result.Counts).Created)
}

func (w *crossing) sync(job string) map[string]int64 {
	w.Helper()
	result := w.runJob(job)
	require.Equal(w, "success", result.Status, "%s %v", result.Sentence, result.Counts)
	return result.Counts
}

// inOdoo counts records of Odoo by a field.
func (w *crossing) inOdoo(model, field, value string) int {
	w.Helper()
	found, err := w.doors["odoo"].(connectors.RecordTarget).FindRecords(w.Context(), model, field, []string{value})
	require.NoError(w, err)
	return len(found[value])
}

func goods(sku string) shop.Variant {
	return shop.Variant{ID: 4_100_000_000_001, ProductID: 7_100_000_000_001, SKU: sku, Title: "Kite " + sku, Price: decimal.RequireFromString("12.50")}
}

func TestProductSyncedThenOrdered(t *testing.T) {
	t.Parallel()
	w := newCrossing(t, orders.Rules{}) // unknown products would hold the order
	kite := goods("KITE-1")
	w.shop.AddGoods(kite)
	require.Equal(t, counts(1, "created", 1), w.sync("products"))
	kite.SKU = "" // not even the SKU is needed: the variant is bound
	w.shop.Put(w.shop.Ledger.Place(draft(kite, buyer(1))))
	w.orders()
	require.Equal(t, 1, w.inOdoo("product.product", "default_code", "KITE-1"))
	require.Equal(t, 1, w.inOdoo("product.product", "name", "Kite KITE-1"))
}

func TestProductOrderedThenSynced(t *testing.T) {
	t.Parallel()
	w := newCrossing(t, orders.Rules{UnknownProduct: orders.Create})
	kite := goods("KITE-2")
	w.shop.AddGoods(kite)
	w.shop.Put(w.shop.Ledger.Place(draft(kite, buyer(1))))
	w.orders()
	require.Equal(t, counts(1, "updated", 1), w.sync("products"), "what the order did not know, such as the price")
	require.Equal(t, 1, w.inOdoo("product.product", "default_code", "KITE-2"))
	require.Equal(t, counts(1, "unchanged", 1), w.sync("products"))
}

func TestCustomerSyncedThenOrdered(t *testing.T) {
	t.Parallel()
	w := newCrossing(t, orders.Rules{})
	by := buyer(1)
	w.shop.AddCustomer(*by)
	require.Equal(t, counts(1, "created", 1), w.sync("customers"))
	w.shop.Put(w.shop.Ledger.Place(draft(shop.Catalog(1)[0], by)))
	w.orders()
	require.Equal(t, 1, w.inOdoo("res.partner", "email", by.Email))
	require.Equal(t, counts(1, "unchanged", 1), w.sync("customers"))
}

func TestCustomerOrderedThenSynced(t *testing.T) {
	t.Parallel()
	w := newCrossing(t, orders.Rules{})
	by := buyer(2)
	w.shop.AddCustomer(*by)
	w.shop.Put(w.shop.Ledger.Place(draft(shop.Catalog(1)[0], by)))
	w.orders()
	require.Zero(t, w.sync("customers")["created"])
	require.Equal(t, 1, w.inOdoo("res.partner", "email", by.Email))
}

// TestGuestOrderedThenSynced: who bought as a guest is known by e-mail only, and
// is the same when there is an account.
func TestGuestOrderedThenSynced(t *testing.T) {
	t.Parallel()
	w := newCrossing(t, orders.Rules{})
	by := buyer(3)
	guest := draft(shop.Catalog(1)[0], by)
	guest.Customer, guest.Email = nil, by.Email
	w.shop.Put(w.shop.Ledger.Place(guest))
	w.orders()
	w.shop.AddCustomer(*by)
	require.Zero(t, w.sync("customers")["created"])
	require.Equal(t, 1, w.inOdoo("res.partner", "email", by.Email))
	require.Empty(t, w.parked())
	bound, err := w.store.Bindings(t.Context(), "shop", "odoo", storeKeys(record.KindCustomer, fmt.Sprintf("shopid:%d", by.ID)))
	require.NoError(t, err)
	require.Len(t, bound, 1)
}

func storeKeys(kind record.Kind, ids ...string) (keys []store.BindingKey) {
	for _, id := range ids {
		keys = append(keys, store.BindingKey{Kind: kind, ExternalID: id})
	}
	return keys
}
