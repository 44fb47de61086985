package shopify

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// manyLines gives a sample n lines like its second.
func manyLines(t *testing.T, n int) object {
	o := sampleGraphQL(t, "plain")
	one := objects(o["lineItems"])[1]
	var all []any
	for i := range n {
		l := maps.Clone(one)
		l["id"] = gid("LineItem", fmt.Sprint(1_000_000+i))
		all = append(all, l)
	}
	o["lineItems"] = all
	return o
}

func TestLongOrdersAreReadToTheEnd(t *testing.T) {
	shop := newFakeShop(t)
	shop.orders = []object{manyLines(t, 10_000)}
	o, err := shop.open(nil).ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	require.Len(t, o.Lines, 10_001)
	assert.Equal(t, "1000000", o.Lines[0].ExternalID)
	assert.Equal(t, "1009999", o.Lines[9_999].ExternalID)
}

// An order that changes between two pages of its lines would be half old and
// half new: it is read again.
func TestAnOrderThatMovesIsReadAgain(t *testing.T) {
	shop := newFakeShop(t)
	shop.orders = []object{manyLines(t, 120)}
	shop.before = func(_ http.ResponseWriter, op string, _ object) bool {
		if op == "OrderLines" && len(shop.asked) == 3 {
			shop.orders[0]["updatedAt"] = "2026-11-02T12:00:00Z"
			shop.orders[0]["note"] = "changed"
		}
		return false
	}
	o, err := shop.open(nil).ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	assert.Len(t, o.Lines, 121)
	assert.Equal(t, "changed", o.Note)

	turn := 0
	shop.before = func(_ http.ResponseWriter, op string, _ object) bool {
		if op == "OrderLines" {
			turn++
			shop.orders[0]["updatedAt"] = fmt.Sprintf("2026-11-02T13:00:%02dZ", turn)
		}
		return false
	}
	_, err = shop.open(nil).ReadOrder(t.Context(), "5001")
	assert.Equal(t, "shopify.order_moved", fault.Of(err).Code, "but not for ever")
	assert.True(t, fault.Retryable(err))
}

// A read order is as new as the shop's clock when it answered, so that a
// webhook of the same second but triggered earlier is older.
func TestVersionOfAReadOrder(t *testing.T) {
	shop := newFakeShop(t)
	shop.orders = []object{sampleGraphQL(t, "plain")}
	o, err := shop.open(nil).ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	assert.Equal(t, record.NewVersion(o.UpdatedAt, shop.date), o.Version)
}

func TestReadOrderRefusesWhatIsNoID(t *testing.T) {
	shop := newFakeShop(t)
	for _, id := range []string{"", "0", "-1", "abc", `1"}`, "gid://shopify/Order/1"} {
		_, err := shop.open(nil).ReadOrder(t.Context(), id)
		assert.Equal(t, "shopify.bad_id", fault.Of(err).Code, id)
	}
	assert.Empty(t, shop.asked)
}

func TestBarcodesOnRequest(t *testing.T) {
	shop := newFakeShop(t)
	shop.orders = []object{sampleGraphQL(t, "plain")}
	with, err := shop.open(object{"barcodes": true}).ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	assert.Equal(t, "4006381333931", with.Lines[0].Barcode)
	without, err := shop.open(nil).ReadOrder(t.Context(), "5001")
	require.NoError(t, err)
	assert.Empty(t, without.Lines[0].Barcode)
}

func TestListOrders(t *testing.T) {
	shop := newFakeShop(t)
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i := range 45 {
		name := []string{"plain", "edited", "cancelled"}[i%3]
		o := sampleGraphQL(t, name)
		o["id"] = gid("Order", fmt.Sprint(6000+i))
		o["updatedAt"] = begin.Add(time.Duration(i) * time.Minute).Format(time.RFC3339)
		shop.orders = append(shop.orders, o)
	}
	c := shop.open(nil)
	since := begin.Add(5 * time.Minute)
	var ids []string
	pages := 0
	for cursor := ""; ; {
		page, err := c.ListOrders(t.Context(), since, cursor)
		require.NoError(t, err)
		pages++
		for _, o := range page.Orders {
			ids = append(ids, o.ExternalID)
			assert.True(t, lineSum(o).Equal(o.Total), o.ExternalID)
		}
		assert.Equal(t, shop.date, page.SourceNow)
		assert.Zero(t, page.Horizon)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	assert.Equal(t, 2, pages)
	require.Len(t, ids, 40)
	assert.Equal(t, "6005", ids[0], "since is included")
	assert.Equal(t, "6044", ids[39])
}

func TestHorizonWithoutAllOrders(t *testing.T) {
	shop := newFakeShop(t)
	shop.scopes = []string{"read_orders"}
	page, err := shop.open(nil).ListOrders(t.Context(), time.Time{}, "")
	require.NoError(t, err)
	assert.Equal(t, shop.date.AddDate(0, 0, -60), page.Horizon)
	assert.Empty(t, page.Next)
}

func TestAForeignCursorIsRefused(t *testing.T) {
	for _, cursor := range []string{"x", "%%%", "bnVs"} {
		_, err := newFakeShop(t).open(nil).ListOrders(t.Context(), time.Time{}, cursor)
		assert.Equal(t, "shopify.bad_cursor", fault.Of(err).Code, cursor)
	}
}

// Shopify pages through 25,000 objects of one query at most: long listings
// start anew from the last change seen, unless that would not move.
func TestLongListingsStartAnew(t *testing.T) {
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	more := pageInfo{HasNextPage: true, EndCursor: "abc"}
	last := func(at time.Time) []record.Order { return []record.Order{{UpdatedAt: at}} }
	next := func(c cursor, page pageInfo, orders []record.Order) cursor {
		got, err := parseCursor(c.next(page, orders), begin)
		require.NoError(t, err)
		return got
	}
	full := cursor{Since: begin, After: "x", Seen: restartAfter - 1}
	assert.Equal(t, cursor{Since: begin, After: "abc", Seen: 1}, next(cursor{Since: begin}, more, last(begin)))
	assert.Equal(t, cursor{Since: begin.Add(time.Hour)}, next(full, more, last(begin.Add(time.Hour))))
	assert.Equal(t, cursor{Since: begin, After: "abc", Seen: restartAfter}, next(full, more, last(begin)))
	assert.Empty(t, full.next(pageInfo{}, last(begin)))
}

func TestManyRefundLines(t *testing.T) {
	shop := newFakeShop(t)
	o := sampleGraphQL(t, "edited")
	line := objects(o["lineItems"])[0]
	line["quantity"], line["currentQuantity"] = 252.0, 2.0
	record := objects(objects(o["refunds"])[0]["refundLineItems"])[0]
	record["subtotalSet"] = object{"shopMoney": object{"amount": "10.0", "currencyCode": "USD"}}
	record["totalTaxSet"] = object{"shopMoney": object{"amount": "0.0", "currencyCode": "USD"}}
	var all []any
	for range 250 {
		all = append(all, record)
	}
	objects(o["refunds"])[0]["refundLineItems"] = all
	shop.orders = []object{o}
	got, err := shop.open(nil).ReadOrder(t.Context(), "5003")
	require.NoError(t, err)
	assert.Equal(t, "500301 product 2 × 10 − 1 tax 2.39", brief(got)[0], "250 units went at full price, so discount and tax stay whole")
}
