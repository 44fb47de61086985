package odoo

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// stocked are three products of which there is something in the warehouse's
// stock and on a shelf of it, or nothing.
type stocked struct {
	run          string // with which their SKUs begin
	products     []string
	stock, shelf string                 // locations
	q            connectors.RecordQuery // of all six levels
	want         []string               // their ids
}

func stockUp(t *testing.T, b *bench, c *Connector) (s stocked) {
	t.Helper()
	s.run, s.products = b.next("stock"), make([]string, 3)
	for i := range s.products {
		sku := fmt.Sprintf("%s-%d", s.run, i)
		var err error
		s.products[i], err = c.WriteRecord(t.Context(), record.Row{Model: "product.product", Write: record.Write{XID: record.XID(b.run, "product", sku)},
			Values: record.Values{"name": "Stocked", "default_code": sku, "is_storable": true}})
		require.NoError(t, err)
	}
	s.stock = only(t, c, "stock.location", "complete_name", "WH/Stock")
	s.shelf = id(b.shelf(t, s.run, number(t, s.stock)))
	b.stock(t, number(t, s.products[0]), number(t, s.stock), "7.5")
	b.stock(t, number(t, s.products[0]), number(t, s.shelf), "2")
	b.stock(t, number(t, s.products[1]), number(t, s.shelf), "3")
	s.q = connectors.RecordQuery{Model: StockLevel, Filter: fmt.Sprintf(`{"location": ["WH/Stock", %s], "products": %s}`, s.shelf, s.ours()),
		Fields: []string{"product_id.default_code", "location_id.complete_name", "warehouse_id.code", "on_hand", "free", "forecast"}}
	for _, product := range s.products {
		s.want = append(s.want, product+"@"+s.stock, product+"@"+s.shelf)
	}
	return s
}

func (s stocked) ours() string { return fmt.Sprintf(`[["default_code", "like", %q]]`, s.run) }

// testStockLevels reads how much of products is where.
func testStockLevels(t *testing.T, b *bench, c *Connector) {
	ctx, s := t.Context(), stockUp(t, b, c)
	products, stock, want := s.products, s.stock, s.want

	fields, err := c.RecordFields(ctx, StockLevel)
	require.NoError(t, err)
	require.Equal(t, record.FieldInfo{Name: "on_hand", Label: "On Hand", Type: record.TypeNumber, ReadOnly: true}, field(t, fields, "on_hand"))
	require.Equal(t, "product.product", field(t, fields, "product_id").Relation)

	// By default the warehouse's stock, with all that lies below.
	q := s.q
	q.Filter = `{"products": ` + s.ours() + `}`
	page, err := c.ReadRecords(ctx, q, "", 10)
	require.NoError(t, err)
	require.Empty(t, page.Next)
	require.Len(t, page.Records, 3)
	require.Equal(t, []string{"9.5", "3", "0"}, onHand(page.Records))
	first := page.Records[0]
	require.Equal(t, products[0]+"@"+stock, first.ID)
	require.Equal(t, s.run+"-0", first.Values["product_id"].(record.Values)["default_code"])
	require.Equal(t, "WH/Stock", first.Values["location_id"].(record.Values)["complete_name"])
	require.Equal(t, "WH", first.Values["warehouse_id"].(record.Values)["code"])
	require.Equal(t, "9.5", first.Values["free"].(decimal.Decimal).String())
	require.WithinDuration(t, time.Now(), first.Changed, time.Hour)
	require.Zero(t, page.Records[2].Changed, "there never was any")

	// Locations by name and id, page by page.
	q = s.q
	count, err := c.CountRecords(ctx, q)
	require.NoError(t, err)
	require.EqualValues(t, 6, count)
	require.Equal(t, want, readAll(t, c, q, 4))
	back, err := c.RecordsByID(ctx, StockLevel, []string{want[1], want[2], "99999999@" + stock}, []string{"on_hand"})
	require.NoError(t, err)
	require.Equal(t, []string{"2", "3"}, onHand(back))
	require.Equal(t, want[1], back[0].ID)

	for _, bad := range []string{`{"location": "Nowhere"}`, `{"location": true}`, `{"place": 1}`, `[["id", "=", 1]]`} {
		_, err = c.CountRecords(ctx, connectors.RecordQuery{Model: StockLevel, Filter: bad})
		require.True(t, fault.Is(err, fault.Invalid), "%s: %v", bad, err)
		require.Equal(t, "filter", fault.Of(err).Field)
	}
	_, err = c.ReadRecords(ctx, q, "17", 1)
	wantCode(t, err, fault.Invalid, codeInvalid)
	_, err = c.ReadRecords(ctx, connectors.RecordQuery{Model: StockLevel, Fields: []string{"nofield"}, Filter: q.Filter}, "", 1)
	wantCode(t, err, fault.Invalid, "odoo.unknown_field")
	_, err = c.WriteRecord(ctx, record.Row{Model: StockLevel, Write: record.Write{ID: "1"}, Values: record.Values{"on_hand": dec("1")}})
	wantCode(t, err, fault.Unsupported, "odoo.read_only_model")
}

// testStockChanges reads what changed in a window of time.
func testStockChanges(t *testing.T, b *bench, c *Connector) {
	s := stockUp(t, b, c)
	q, products, shelf, want := s.q, s.products, s.shelf, s.want

	// What changed since: Odoo's clock tells whole seconds.
	since := nextSecond(t, c)
	q.Since = since
	require.Empty(t, readAll(t, c, q, 10))
	b.stock(t, number(t, products[1]), number(t, shelf), "1")
	until := nextSecond(t, c)
	b.stock(t, number(t, products[2]), number(t, shelf), "4")
	later := []string{want[2], want[3], want[4], want[5]} // the stock's own, too, since the shelf is part of it
	require.Equal(t, later, readAll(t, c, q, 3))
	wantLevels(t, c, q, later)
	q.Until = until
	wantLevels(t, c, q, later[:2])
	q.Since = time.Time{}
	wantLevels(t, c, q, want[:4])
	q.Since = until
	q.Until = time.Time{}
	wantLevels(t, c, q, later[2:])
}

// testStockLanes reads levels one by one, from a place on, and in every lane
// that there can be.
func testStockLanes(t *testing.T, b *bench, c *Connector) {
	ctx, s := t.Context(), stockUp(t, b, c)
	q, want := s.q, s.want
	require.Equal(t, want, readAll(t, c, q, 1))
	ids, next, err := c.ReadIDs(ctx, q, want[0], 2)
	require.NoError(t, err)
	require.Equal(t, want[1:3], ids)
	require.Equal(t, want[2], next)
	bounds, err := c.SplitRecords(ctx, q, 3)
	require.NoError(t, err)
	require.Equal(t, []string{want[1], want[3]}, bounds)
	for from := range want {
		for to := from; to < len(want); to++ {
			lane := q
			lane.From, lane.To = want[from], want[to]
			require.Equal(t, want[from+1:to+1], append([]string{}, readAll(t, c, lane, 10)...))
			count, err := c.CountRecords(ctx, lane)
			require.NoError(t, err)
			require.EqualValues(t, to-from, count, "%d to %d", from, to)
		}
	}
}

// wantLevels wants reading, counting and sweeping to agree.
func wantLevels(t *testing.T, c *Connector, q connectors.RecordQuery, want []string) {
	t.Helper()
	require.Equal(t, want, readAll(t, c, q, 100))
	count, err := c.CountRecords(t.Context(), q)
	require.NoError(t, err)
	require.EqualValues(t, len(want), count)
	ids, next, err := c.ReadIDs(t.Context(), q, "", 100)
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, want, ids)
}

func onHand(levels []record.Sourced) (quantities []string) {
	for _, l := range levels {
		quantities = append(quantities, l.Values["on_hand"].(decimal.Decimal).String())
	}
	return quantities
}

// nextSecond waits for Odoo's clock to tell another second, and gives it.
func nextSecond(t *testing.T, c *Connector) (next time.Time) {
	t.Helper()
	now, err := c.SourceNow(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		next, err = c.SourceNow(t.Context())
		return err == nil && next.After(now)
	}, time.Minute, 20*time.Millisecond)
	return next
}
