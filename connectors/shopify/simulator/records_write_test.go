package simulator_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/shopify/simulator"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// writeAll writes rows at once and gives what became of each.
func writeAll(t *testing.T, c recordDoor, rows []record.Row) (ids []string, errs []error) {
	t.Helper()
	ids, errs = make([]string, len(rows)), make([]error, len(rows))
	var all sync.WaitGroup
	for i, row := range rows {
		all.Go(func() { ids[i], errs[i] = c.WriteRecord(t.Context(), row) })
	}
	all.Wait()
	return ids, errs
}

// The same external id is the same record: written again, by many at once, by
// two processes, and when Shopify's answer was lost.
func TestOneExternalIDIsOneRecord(t *testing.T) {
	parent := func(s *simulator.Shop) string {
		goods := simulator.Catalog(1)
		s.AddGoods(goods...)
		return fmt.Sprint(goods[0].ProductID)
	}
	for name, wanted := range map[string]func(*simulator.Shop) (string, record.Values){
		"product": func(*simulator.Shop) (string, record.Values) { return "Product", record.Values{"title": "Lamp"} },
		"customer": func(*simulator.Shop) (string, record.Values) {
			return "Customer", record.Values{"email": "ada@example.com", "addressCity": "Paris"}
		},
		"variant with its product": func(*simulator.Shop) (string, record.Values) {
			return "ProductVariant", record.Values{"productTitle": "Apron", "price": d("5")}
		},
		"variant of a product": func(s *simulator.Shop) (string, record.Values) {
			return "ProductVariant", record.Values{"product": parent(s), "options": "Color=Red", "price": d("5")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, rich)
			a, _ := records(t, s, "")
			b, _ := records(t, s, "")
			model, values := wanted(s)
			row := record.Row{Model: model, Write: record.Write{XID: "__towpath__.shop.x.1"}, Values: values}
			var all sync.WaitGroup
			var mu sync.Mutex
			seen := map[string]int{}
			for _, c := range []recordDoor{a, b, a, b, a, b} {
				all.Go(func() {
					id, err := c.WriteRecord(t.Context(), row)
					assert.NoError(t, err)
					mu.Lock()
					defer mu.Unlock()
					seen[id]++
				})
			}
			all.Wait()
			require.Len(t, seen, 1)
			id := write(t, a, row)
			assert.Equal(t, 6, seen[id])

			other := row
			other.XID = "__towpath__.shop.x.2"
			other.Values = record.Values{}
			for name, v := range values {
				other.Values[name] = v
			}
			if model == "Customer" {
				other.Values["email"] = "bob@example.com"
			}
			if _, of := values["options"]; of {
				other.Values["options"] = "Color=Blue"
			}
			// The lookup is answered; the answers to what comes then are lost.
			s.Faults.Next(simulator.Fault{Delay: time.Microsecond}, simulator.Fault{Reset: true, AfterWork: true})
			made, err := b.WriteRecord(t.Context(), other)
			if err != nil {
				require.True(t, fault.Retryable(err), "%v", err)
				made = write(t, b, other)
			}
			assert.NotEqual(t, id, made)
			assert.Equal(t, made, write(t, a, other))
			assert.Equal(t, 2, count(t, a, connectors.RecordQuery{Model: model, Archived: true}))
		})
	}
}

// Two who saw the same stock: one sets it, the other is told that it changed,
// and whoever writes other stock at the same moment is not held up.
func TestStockIsComparedBeforeItIsSet(t *testing.T) {
	s := start(t, rich)
	goods := simulator.Catalog(50)
	s.AddGoods(goods...)
	shelf := s.AddLocation("Berlin")
	var levels []string
	for _, g := range goods {
		levels = append(levels, fmt.Sprintf("%d@%d", s.SetLevel(g.ID, shelf, 5), shelf))
	}
	var rows []record.Row
	for i, id := range levels {
		rows = append(rows, record.Row{Model: "InventoryLevel", Write: record.Write{ID: id}, Values: record.Values{
			"available": d(fmt.Sprint(10 + i)), "compare_quantity": d("5")}})
	}
	item := func(i int) int64 {
		var n int64
		_, err := fmt.Sscanf(levels[i], "%d@", &n)
		require.NoError(t, err)
		return n
	}
	s.Sell(item(7), shelf, 2)
	s.Sell(item(31), shelf, 1)
	a, _ := records(t, s, "")
	_, errs := writeAll(t, a, rows)
	for i, err := range errs {
		level, _ := s.Level(item(i), shelf)
		if i == 7 || i == 31 {
			require.Equal(t, "shopify.stock_changed", fault.Of(err).Code)
			require.Equal(t, fault.Conflict, fault.Of(err).Kind)
			require.Equal(t, "compare_quantity", fault.Of(err).Field)
			assert.Less(t, level.Available, int64(5))
			continue
		}
		require.NoError(t, err, i)
		assert.EqualValues(t, 10+i, level.Available)
	}

	// A race of two processes for one level.
	b, _ := records(t, s, "")
	won := 0
	var both sync.WaitGroup
	var mu sync.Mutex
	for i, c := range []recordDoor{a, b} {
		both.Go(func() {
			_, err := c.WriteRecord(t.Context(), record.Row{Model: "InventoryLevel", Write: record.Write{ID: levels[0]}, Values: record.Values{
				"available": d(fmt.Sprint(100 + i)), "compare_quantity": d("10")}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				assert.Equal(t, "shopify.stock_changed", fault.Of(err).Code)
			}
		})
	}
	both.Wait()
	assert.Equal(t, 1, won)

	// What was set before within a day is set again, not taken for a repetition.
	for _, n := range []string{"5", "7", "5"} {
		write(t, a, record.Row{Model: "InventoryLevel", Write: record.Write{ID: levels[1]}, Values: record.Values{"available": d(n)}})
	}
	level, _ := s.Level(item(1), shelf)
	assert.EqualValues(t, 5, level.Available)

	// On hand holds what is sold and not shipped, too.
	write(t, a, record.Row{Model: "InventoryLevel", Write: record.Write{ID: levels[7]}, Values: record.Values{"on_hand": d("9"), "compare_quantity": d("5")}})
	level, _ = s.Level(item(7), shelf)
	assert.EqualValues(t, 7, level.Available)

	// An answer that was lost is not a second write: the same key is sent again.
	s.Faults.Next(simulator.Fault{Reset: true, AfterWork: true})
	_, err := a.WriteRecord(t.Context(), record.Row{Model: "InventoryLevel", Write: record.Write{ID: levels[2]}, Values: record.Values{
		"available": d("77"), "compare_quantity": d("12")}})
	if err != nil {
		assert.True(t, fault.Retryable(err), "%v", err)
	}
	level, _ = s.Level(item(2), shelf)
	assert.EqualValues(t, 77, level.Available)
}

// A burst travels in few calls of at most 250 rows.
func TestBurstsAreGathered(t *testing.T) {
	s := start(t, rich)
	goods := simulator.Catalog(1500)
	s.AddGoods(goods...)
	shelf := s.AddLocation("Berlin")
	var rows []record.Row
	for _, g := range goods {
		rows = append(rows, record.Row{Model: "InventoryLevel", Values: record.Values{"available": d("3")},
			Write: record.Write{ID: fmt.Sprintf("%d@%d", s.SetLevel(g.ID, shelf, 5), shelf)}})
	}
	bad := 777
	rows[bad].ID = fmt.Sprintf("999@%d", shelf)
	c, _ := records(t, s, "")
	_, errs := writeAll(t, c, rows)
	for i, err := range errs {
		if i == bad {
			require.Equal(t, "shopify.record_gone", fault.Of(err).Code)
			require.Equal(t, "inventoryItemId", fault.Of(err).Field)
			continue
		}
		require.NoError(t, err, i)
	}
	calls, largest := s.Writes("inventorySetQuantities")
	assert.Less(t, calls, 150)
	assert.LessOrEqual(t, largest, 250)
	assert.Greater(t, largest, 20)
}

// A bad row is told what is wrong with it; its neighbours of the same product
// are written.
func TestOneBadRowHarmsNoOther(t *testing.T) {
	s := start(t, rich)
	c, _ := records(t, s, "")
	lamp := write(t, c, record.Row{Model: "Product", Write: record.Write{XID: "x.1"}, Values: record.Values{"title": "Lamp"}})
	var rows []record.Row
	for i := range 60 {
		rows = append(rows, record.Row{Model: "ProductVariant", Write: record.Write{XID: fmt.Sprint("x.v.", i)}, Values: record.Values{
			"product": lamp, "options": fmt.Sprint("Size=", i), "price": d("1")}})
	}
	ids, errs := writeAll(t, c, rows)
	require.Equal(t, make([]error, 60), errs)
	before, _ := s.Writes("productVariantsBulkUpdate")
	for i := range rows {
		rows[i].Write, rows[i].Values = record.Write{ID: ids[i]}, record.Values{"price": d(fmt.Sprint(i))}
	}
	rows[13].Values = record.Values{"price": d("-1")}
	rows[40].ID = "variant:4711"
	_, errs = writeAll(t, c, rows)
	for i, err := range errs {
		switch i {
		case 13:
			f := fault.Of(err)
			assert.Equal(t, []any{fault.Invalid, "shopify.refused", "price"}, []any{f.Kind, f.Code, f.Field})
			assert.NotEmpty(t, f.Resolution)
			assert.Contains(t, f.Detail, "greater than")
		case 40:
			assert.True(t, fault.Is(err, fault.NotFound), "%v", err)
		default:
			require.NoError(t, err)
			v := one(t, c, "ProductVariant", ids[i])
			assert.Equal(t, fmt.Sprint(i), v["price"].(decimal.Decimal).String())
		}
	}
	calls, largest := s.Writes("productVariantsBulkUpdate")
	assert.Less(t, calls-before, 58)
	assert.Greater(t, largest, 1)
}

// Throttling, 429 and servers that stumble are waited out, or told as what
// passes by itself; nothing is read twice or lost by it.
func TestThrottledInBetween(t *testing.T) {
	s := start(t, rich)
	goods := simulator.Catalog(300)
	s.AddGoods(goods...)
	c, _ := records(t, s, "")
	var all []string
	for after := ""; ; {
		s.Faults.Next(simulator.Fault{Throttled: true})
		page, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "ProductVariant"}, after, 100)
		require.NoError(t, err)
		for _, r := range page.Records {
			all = append(all, r.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	assert.Len(t, slices.Compact(all), 300)

	s.Faults.Next(simulator.Fault{Throttled: true})
	write(t, c, record.Row{Model: "ProductVariant", Write: record.Write{ID: all[0]}, Values: record.Values{"price": d("3")}})
	for status, kind := range map[int]fault.Kind{
		http.StatusTooManyRequests: fault.RateLimited, http.StatusServiceUnavailable: fault.Transient, http.StatusUnauthorized: fault.Unauthorized,
	} {
		s.Faults.Always(simulator.Fault{Status: status, RetryAfter: 10 * time.Millisecond})
		_, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "ProductVariant"}, "", 100)
		assert.True(t, fault.Is(err, kind), "%d: %v", status, err)
		s.Faults.Clear()
	}
}

// A small bucket makes a reading slow, never incomplete.
func TestReadingWithinTheCostBucket(t *testing.T) {
	s := start(t, simulator.Options{BucketSize: 1000, RestoreRate: 4000, MaxQueryCost: 300})
	s.AddGoods(simulator.Catalog(400)...)
	c, _ := records(t, s, "")
	assert.Len(t, readAll(t, c, connectors.RecordQuery{Model: "ProductVariant"}, 250, nil), 400)
	assert.Len(t, readAll(t, c, connectors.RecordQuery{Model: "Product"}, 250, nil), 400)
}

func TestStockOfSeveralLocations(t *testing.T) {
	s := start(t, rich)
	goods := simulator.Catalog(130)
	s.AddGoods(goods...)
	berlin, rome := s.AddLocation("Berlin"), s.AddLocation("Rome")
	for i, g := range goods {
		s.SetLevel(g.ID, berlin, int64(i))
		if i%2 == 0 {
			s.SetLevel(g.ID, rome, int64(i))
		}
	}
	c, _ := records(t, s, "")
	q := connectors.RecordQuery{Model: "InventoryLevel", Fields: []string{"sku", "available", "locationName"}}
	all := readAll(t, c, q, 50, nil)
	require.Len(t, all, 195)
	unique := ids(all)
	slices.Sort(unique)
	assert.Len(t, slices.Compact(unique), 195)
	assert.Equal(t, 195, count(t, c, q))
	some, next, err := c.ReadIDs(t.Context(), q, "", 1000)
	require.NoError(t, err)
	assert.Equal(t, ids(all), some)
	assert.Empty(t, next)

	q.Filter = fmt.Sprintf("location_id:%d", rome)
	there := readAll(t, c, q, 50, nil)
	require.Len(t, there, 65)
	assert.Equal(t, "Rome", there[0].Values["locationName"])

	back, err := c.RecordsByID(t.Context(), "InventoryLevel", []string{all[3].ID, there[9].ID, "5@6"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{all[3].ID, there[9].ID}, ids(back))
	found, err := c.FindRecords(t.Context(), "InventoryLevel", "sku", []string{"SKU-0001", "SKU-0002"})
	require.NoError(t, err)
	assert.Len(t, found["SKU-0001"], 2)
	assert.Len(t, found["SKU-0002"], 1)
}

func TestRowsThatAreRefused(t *testing.T) {
	s := start(t, rich)
	s.AddCustomer(simulator.Customer{ID: 61, Email: "ada@example.com"})
	c, _ := records(t, s, "")
	xid := record.Write{XID: "x.1"}
	shirt := write(t, c, record.Row{Model: "Product", Write: record.Write{XID: "x.shirt"}, Values: record.Values{"title": "Shirt"}})
	write(t, c, record.Row{Model: "ProductVariant", Write: record.Write{XID: "x.red"}, Values: record.Values{"product": shirt, "options": "Color=Red"}})
	for name, r := range map[string]struct {
		row         record.Row
		code, field string
	}{
		"no such model":     {record.Row{Model: "Order", Write: xid}, "shopify.unknown_model", "model"},
		"no such field":     {record.Row{Model: "Product", Write: xid, Values: record.Values{"colour": "x"}}, "shopify.unknown_field", "colour"},
		"read-only":         {record.Row{Model: "Product", Write: xid, Values: record.Values{"createdAt": time.Now()}}, "shopify.read_only", "createdAt"},
		"no number":         {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"price": "5"}}, "shopify.bad_value", "price"},
		"no price":          {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"price": nil}}, "shopify.bad_value", "price"},
		"no option":         {record.Row{Model: "Product", Write: xid, Values: record.Values{"status": "GONE"}}, "shopify.bad_value", "status"},
		"no id at all":      {record.Row{Model: "Product", Values: record.Values{"title": "x"}}, "shopify.no_id", "id"},
		"a foreign id":      {record.Row{Model: "Product", Write: record.Write{ID: "gid"}, Values: record.Values{"title": "x"}}, "shopify.bad_id", "id"},
		"no title":          {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"price": d("5")}}, "shopify.no_title", "productTitle"},
		"no options":        {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"product": shirt}}, "shopify.no_options", "options"},
		"another's variant": {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"product": shirt, "options": "Color=Red"}}, "shopify.variant_taken", "options"},
		"other options":     {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"product": shirt, "options": "Size=M"}}, "shopify.refused", "options"},
		"no such product":   {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"product": "5"}}, "shopify.record_gone", "product"},
		"options by halves": {record.Row{Model: "ProductVariant", Write: xid, Values: record.Values{"product": "5", "options": "Red"}}, "shopify.bad_value", "options"},
		"an empty title":    {record.Row{Model: "Product", Write: xid, Values: record.Values{"title": ""}}, "shopify.refused", "title"},
		"an e-mail twice":   {record.Row{Model: "Customer", Write: xid, Values: record.Values{"email": "ada@example.com"}}, "shopify.refused", "email"},
		"no customer":       {record.Row{Model: "Customer", Write: record.Write{ID: "62"}, Values: record.Values{"email": "x@example.com"}}, "shopify.record_gone", "id"},
		"two quantities":    {record.Row{Model: "InventoryLevel", Write: record.Write{ID: "1@2"}, Values: record.Values{"available": d("1"), "on_hand": d("1")}}, "shopify.two_quantities", "on_hand"},
		"half a piece":      {record.Row{Model: "InventoryLevel", Write: record.Write{ID: "1@2"}, Values: record.Values{"available": d("1.5")}}, "shopify.bad_value", "available"},
		"no quantity":       {record.Row{Model: "InventoryLevel", Write: record.Write{ID: "1@2"}, Values: record.Values{}}, "shopify.no_quantity", "available"},
		"no level's id":     {record.Row{Model: "InventoryLevel", Write: record.Write{ID: "12"}, Values: record.Values{"available": d("1")}}, "shopify.bad_id", "id"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.WriteRecord(t.Context(), r.row)
			require.Error(t, err)
			f := fault.Of(err)
			assert.Equal(t, r.code, f.Code)
			assert.Equal(t, r.field, f.Field)
			assert.False(t, fault.Retryable(err))
		})
	}
	for _, q := range []connectors.RecordQuery{
		{Model: "Order"}, {Model: "Product", Fields: []string{"colour"}}, {Model: "Product", Fields: []string{"title.length"}},
	} {
		_, err := c.ReadRecords(t.Context(), q, "", 10)
		assert.True(t, fault.Is(err, fault.Invalid), "%v", err)
	}
	_, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "Product"}, "x", 10)
	assert.Equal(t, "shopify.bad_id", fault.Of(err).Code)
}

// Every field that is described can be read and, where it says so, is taken.
func TestDescribedFields(t *testing.T) {
	s := start(t, rich)
	goods := simulator.Catalog(1)
	s.AddGoods(goods...)
	s.SetLevel(goods[0].ID, s.AddLocation("Berlin"), 3)
	s.AddCustomer(simulator.Customer{ID: 61, Email: "ada@example.com", Address: &simulator.Address{ID: 5, City: "Paris"}})
	c, _ := records(t, s, "")
	for _, model := range []string{"Product", "ProductVariant", "Customer", "InventoryLevel"} {
		fields, err := c.RecordFields(t.Context(), model)
		require.NoError(t, err)
		seen := map[string]bool{}
		for _, f := range fields {
			assert.False(t, seen[f.Name], f.Name)
			seen[f.Name] = true
			assert.NotEmpty(t, f.Label)
			assert.Equal(t, f.Type == record.TypeSelection, len(f.Options) > 0, f.Name)
			_, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: model, Fields: []string{f.Name}}, "", 1)
			assert.NoError(t, err, f.Name)
		}
		assert.True(t, seen["updatedAt"])
	}
}
