package activities

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// stockMapping is that of docs/sync.md: what is free at two places of Odoo, to
// two places of the shop.
var stockMapping = mapping.Mapping{Source: "InventoryLevel", Target: "stock.level", Fields: []mapping.Field{
	{Target: "skuAtLocation", Key: true, Required: true, Direction: mapping.Export,
		Expr: `record.product_id.default_code + "@" + (record.location_id.complete_name == "WH/Stock" ? "Paris" : "Lyon")`},
	{Source: "free", Target: "available", Transform: "float_to_int", Direction: mapping.Export},
}}

const stocked = `{"location": ["WH/Stock", "WH/Lyon"], "products": [["default_code", "in", ["SKU-0101", "SKU-0102", "SKU-0103"]]]}`

// stockWorld is an Odoo with two places, and a shop with two that has two of
// its products.
type stockWorld struct {
	*world
	shop        *shop.Shop
	odoo        *simulator.Server
	goods       []shop.Variant
	items       []int64
	paris, lyon int64
	ago         atomic.Int64 // nanoseconds that Odoo's clock is behind
}

func newStockWorld(t *testing.T) *stockWorld { return newStockWorldOf(t, 0) }

// newStockWorldOf is one in which stock changes some time ago, until the time has
// passed.
func newStockWorldOf(t *testing.T, ago time.Duration) *stockWorld {
	w := &stockWorld{world: newWorld(t)}
	w.ago.Store(int64(ago))
	w.odoo = odooOf(w.world, "odoo", simulator.Options{Now: func() time.Time { return time.Now().Add(-time.Duration(w.ago.Load())) }})
	_, err := w.odoo.AddLocation("Lyon", 4)
	require.NoError(t, err)
	w.shop = shopOf(w.world, "shop", shop.Options{})
	w.goods = shop.Catalog(102)[100:]
	w.shop.AddGoods(w.goods...)
	w.paris, w.lyon = w.shop.AddLocation("Paris"), w.shop.AddLocation("Lyon")
	for _, g := range w.goods {
		w.shop.SetLevel(g.ID, w.paris, 1)
		w.items = append(w.items, w.shop.SetLevel(g.ID, w.lyon, 1))
	}
	w.job("things", jobs.Inventory, "odoo", "shop", stockMapping, func(j *jobs.Job) { j.Filter = stocked })
	return w
}

// put says how much there is of a product at a location of Odoo.
func (w *stockWorld) put(sku, location string, quantity, reserved int64) {
	w.Helper()
	door := w.doors["odoo"].(connectors.RecordTarget)
	id := func(model, field, value string) int64 {
		found, err := door.FindRecords(w.Context(), model, field, []string{value})
		require.NoError(w, err)
		require.Len(w, found[value], 1)
		n, err := decimal.NewFromString(found[value][0])
		require.NoError(w, err)
		return n.IntPart()
	}
	require.NoError(w, w.odoo.SetStock(id("product.product", "default_code", sku), id("stock.location", "complete_name", location),
		decimal.NewFromInt(quantity), decimal.NewFromInt(reserved)))
}

func (w *stockWorld) available(n int, location int64) int64 {
	w.Helper()
	level, ok := w.shop.Level(w.items[n], location)
	require.True(w, ok)
	return level.Available
}

// TestSyncStock: the same SKU at two places is two levels; what is free goes,
// and what the shop does not have is left out, with a word.
func TestSyncStock(t *testing.T) {
	t.Parallel()
	w := newStockWorld(t)
	w.put("SKU-0101", "WH/Stock", 10, 3)
	w.put("SKU-0101", "WH/Lyon", 4, 0)
	w.put("SKU-0102", "WH/Stock", 5, 0)
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.Equal(t, counts(6, "updated", 4, "skipped.not_in_target", 2), result.Counts, "%v", w.parked())
	require.Equal(t, []int64{7, 4, 5, 0}, []int64{w.available(0, w.paris), w.available(0, w.lyon), w.available(1, w.paris), w.available(1, w.lyon)})

	calls, _ := w.shop.Writes("inventorySetQuantities")
	result = w.run()
	require.Equal(t, counts(6, "unchanged", 4, "skipped.not_in_target", 2), result.Counts)

	// Many changes between two runs are one write.
	for n := range int64(20) {
		w.put("SKU-0101", "WH/Stock", 100-n, 0)
		w.put("SKU-0102", "WH/Stock", 50+n, 0)
	}
	w.nextSecond("odoo")
	result = w.run(mode(jobs.Incremental))
	c := jobs.CountsOf(result.Counts)
	require.EqualValues(t, 2, c.Updated, "%v", result.Counts)
	after, largest := w.shop.Writes("inventorySetQuantities")
	require.LessOrEqual(t, after-calls, 2, "each level once")
	require.LessOrEqual(t, largest, 4)
	require.Equal(t, []int64{81, 69}, []int64{w.available(0, w.paris), w.available(1, w.paris)})
}

// TestSyncStockOfLaterProducts: stock of a product that comes into the shop later
// is written by the next incremental run, though nothing of it changed in
// Odoo: at once where a job binds the product, with time where a person adds it.
func TestSyncStockOfLaterProducts(t *testing.T) {
	t.Parallel()
	w := newStockWorldOf(t, time.Hour) // longer ago than windows reach back
	for _, sku := range []string{"SKU-0101", "SKU-0102", "SKU-0103"} {
		w.put(sku, "WH/Stock", 8, 0)
	}
	w.ago.Store(0)
	require.EqualValues(t, 2, w.run().Counts["skipped.not_in_target"])
	require.Empty(t, w.run(mode(jobs.Incremental)).Counts, "it is not looked for each time")

	late := shop.Catalog(104)[102:]
	w.shop.AddGoods(late[0])
	item := w.shop.SetLevel(late[0].ID, w.paris, 1)
	w.job("goods", jobs.Product, "odoo", "shop", mapping.Mapping{Source: "ProductVariant", Target: "product.product", Fields: []mapping.Field{
		{Source: "default_code", Target: "sku", Key: true, Required: true, Direction: mapping.Export},
	}}, func(j *jobs.Job) { j.Filter = `[["default_code", "=", "SKU-0103"]]` })
	result := w.runJob("goods")
	require.Equal(t, "success", result.Status, "%s %v", result.Sentence, w.parked())
	result = w.run(mode(jobs.Incremental))
	require.Equal(t, counts(2, "updated", 1, "skipped.not_in_target", 1), result.Counts, "Lyon does not stock it")
	level, _ := w.shop.Level(item, w.paris)
	require.EqualValues(t, 8, level.Available)

	w.shop.SetLevel(late[0].ID, w.lyon, 1)
	require.Empty(t, w.run(mode(jobs.Incremental)).Counts)
	w.exec(`UPDATE awaited SET due_at = due_at - interval '1 hour'`)
	require.Equal(t, counts(1, "updated", 1), w.run(mode(jobs.Incremental)).Counts)
	level, _ = w.shop.Level(item, w.lyon)
	require.Zero(t, level.Available)
	require.Zero(t, w.number(`SELECT count(*) FROM awaited`))
}

// TestSyncStockBasis: the basis is the field that the mapping reads.
func TestSyncStockBasis(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]int64{"free": 7, "on_hand": 10, "forecast": 10} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := newStockWorld(t)
			m := stockMapping
			m.Fields = slices.Clone(m.Fields)
			m.Fields[1].Source = field
			w.job("things", jobs.Inventory, "odoo", "shop", m, func(j *jobs.Job) { j.Filter = stocked })
			w.put("SKU-0101", "WH/Stock", 10, 3)
			require.Equal(t, "success", w.run().Status)
			require.Equal(t, want, w.available(0, w.paris))
		})
	}
}

// selling sells in the shop right before stock is written.
type selling struct {
	connectors.RecordTarget
	connectors.RecordSource
	connectors.RecordComparer
	connectors.Connector
	mu   sync.Mutex
	sell func(id string)
}

func (s *selling) RecordFields(ctx context.Context, model string) ([]record.FieldInfo, error) {
	return s.RecordTarget.RecordFields(ctx, model)
}

func (s *selling) WriteRecord(ctx context.Context, row record.Row) (string, error) {
	s.mu.Lock()
	s.sell(row.ID)
	s.mu.Unlock()
	return s.RecordTarget.WriteRecord(ctx, row)
}

// TestSyncStockCompared: a sale between reading and writing is never written
// over unseen: the level is read anew and written on the ground of that.
func TestSyncStockCompared(t *testing.T) {
	t.Parallel()
	w := newStockWorld(t)
	w.put("SKU-0101", "WH/Stock", 10, 0)
	door := w.doors["shop"]
	sales, most := 0, 1
	s := &selling{RecordTarget: door.(connectors.RecordTarget), RecordSource: door.(connectors.RecordSource),
		RecordComparer: door.(connectors.RecordComparer), Connector: door}
	s.sell = func(id string) {
		if sales < most && id == fmt.Sprintf("%d@%d", w.items[0], w.paris) {
			sales++
			w.shop.Sell(w.items[0], w.paris, 1)
		}
	}
	w.doors["shop"] = s
	result := w.run()
	require.Equal(t, "success", result.Status, result.Sentence)
	require.EqualValues(t, 10, w.available(0, w.paris))
	require.Empty(t, w.parked())

	// Sold faster than it is written: parked, and tried again by itself.
	w.put("SKU-0101", "WH/Stock", 20, 0)
	sales, most = 0, 1000
	result = w.run()
	require.Equal(t, "partial", result.Status, result.Sentence)
	require.Equal(t, []string{"shopify.stock_changed"}, slices.Collect(maps.Values(w.parked())))
	require.Less(t, w.available(0, w.paris), int64(10))
	sales, most = 0, 0
	w.due()
	result = w.run(mode(jobs.Incremental))
	require.Empty(t, w.parked(), "%v %s", result.Counts, result.Sentence)
	require.EqualValues(t, 20, w.available(0, w.paris))
}

// TestSyncStockIntoOdoo: Odoo's stock is moved by documents, which is said at
// once and not record by record.
func TestSyncStockIntoOdoo(t *testing.T) {
	t.Parallel()
	w := newStockWorld(t)
	w.job("things", jobs.Inventory, "shop", "odoo", mapping.Mapping{Source: "InventoryLevel", Target: "stock.level", Fields: []mapping.Field{
		{Source: "sku", Target: "product_id", Lookup: "default_code", Key: true}, {Source: "available", Target: "on_hand"},
	}})
	_, err := w.syncs.open(t.Context(), contract.SyncOpen{SyncInput: contract.SyncInput{Job: "things"}, Run: "sync/things-x"})
	require.True(t, fault.Is(err, fault.Unsupported), "%v", err)
	require.Equal(t, "sync.not_implemented", fault.Of(err).Code)
	require.Contains(t, fault.Of(err).Resolution, "receipts")

	w.putJob(jobs.Job{Name: "things", Source: "odoo", Target: "shop", Kind: jobs.Inventory, Direction: jobs.Export})
	_, err = w.syncs.open(t.Context(), contract.SyncOpen{SyncInput: contract.SyncInput{Job: "things"}, Run: "sync/things-y"})
	require.Equal(t, "job.no_mapping", fault.Of(err).Code)
}
