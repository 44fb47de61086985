package shopify

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

var decimals = cmp.Comparer(func(a, b decimal.Decimal) bool { return a.Equal(b) })

// lineSum is what the lines say the order costs.
func lineSum(o record.Order) decimal.Decimal {
	sum := decimal.Zero
	for _, l := range o.Lines {
		sum = sum.Add(l.Net())
		if !o.TaxesIncluded {
			sum = sum.Add(l.Tax())
		}
	}
	return sum
}

func taxSum(o record.Order) decimal.Decimal {
	sum := decimal.Zero
	for _, l := range o.Lines {
		sum = sum.Add(l.Tax())
	}
	return sum
}

// The same order is equal whether it was delivered by webhook or read over
// GraphQL, in either money, and its lines add up to its total.
func TestDeliveredAndReadOrdersAreEqual(t *testing.T) {
	for _, money := range []string{moneyShop, moneyPresentment} {
		for _, name := range sampleNames(t) {
			t.Run(money+"/"+name, func(t *testing.T) {
				shop := newFakeShop(t)
				shop.orders = []object{sampleGraphQL(t, name)}
				c := shop.open(object{"money": money})
				delivered, err := c.DecodeOrder(topicUpdated, sample(t, name))
				require.NoError(t, err)
				read, err := c.ReadOrder(t.Context(), delivered.ExternalID)
				require.NoError(t, err)
				// The version's tie-break differs: a read order is as new as
				// the shop's clock.
				if diff := cmp.Diff(delivered, read, decimals, cmpopts.IgnoreFields(record.Order{}, "Version")); diff != "" {
					t.Errorf("delivered (-) and read (+) differ:\n%s", diff)
				}
				assert.True(t, lineSum(read).Equal(read.Total), "lines %s, total %s", lineSum(read), read.Total)
				assert.True(t, taxSum(read).Equal(read.TotalTax), "line taxes %s, total tax %s", taxSum(read), read.TotalTax)
				assert.Greater(t, read.Version, delivered.Version)
			})
		}
	}
}

// brief gives the lines in a form that fits a table.
func brief(o record.Order) (lines []string) {
	for _, l := range o.Lines {
		lines = append(lines, fmt.Sprintf("%s %s %s × %s − %s tax %s", l.ExternalID, l.Kind, l.Quantity, l.UnitPrice, l.Discount, l.Tax()))
	}
	return lines
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, total, tax string
		lines            []string
	}{
		{"plain", "148.68", "24.78", []string{
			"500101 product 2 × 50 − 14.5 tax 17.1", // a line's and its share of the order's discount
			"500102 product 1 × 30 − 1.5 tax 5.7",
			"shipping-5001001 shipping 1 × 9.9 − 0 tax 1.98", // the removed rate is gone
		}},
		{"included_guest", "58.92", "9.83", []string{
			"500201 product 3 × 19.99 − 6 tax 9",
			"shipping-5002001 shipping 1 × 5.95 − 1 tax 0.83",
		}},
		{"edited", "26.34", "2", []string{ // of three pens one was removed, with 0.34 of the discount; the ink wholly
			"500301 product 2 × 10 − 0.66 tax 1.59",
			"500302 product 1 × 5 − 0 tax 0.41",
		}},
		{"cancelled", "0", "0", []string{"shipping-5004001 shipping 1 × 5 − 5 tax 0"}},
		{"tip_duty_fee", "140.85", "12.6", []string{
			"500501 product 1 × 100 − 0 tax 12",
			"duty-31 fee 1 × 12 − 0 tax 0.6",
			"500502 tip 1 × 15 − 0 tax 0", // "Trinkgeld", known by its amount
			"fee fee 1 × 1.25 − 0 tax 0",
		}},
		{"company", "95", "0", []string{
			"500601 product 10 × 9.5 − 0 tax 0",
			"shipping-5006001 shipping 1 × 0 − 0 tax 0",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := newFakeShop(t).open(nil).DecodeOrder(topicCreate, sample(t, c.name))
			require.NoError(t, err)
			assert.Equal(t, c.lines, brief(o))
			assert.Equal(t, c.total, o.Total.String())
			assert.Equal(t, c.tax, o.TotalTax.String())
		})
	}
}

func TestHeader(t *testing.T) {
	c := newFakeShop(t).open(nil)
	decode := func(name string) record.Order {
		o, err := c.DecodeOrder(topicPaid, sample(t, name))
		require.NoError(t, err)
		return o
	}
	plain := decode("plain")
	updated := time.Date(2026, 11, 2, 11, 30, 5, 0, time.UTC)
	want := record.Order{
		ExternalID: "5001", Name: "#1001", Version: record.NewVersion(updated, time.Time{}),
		CreatedAt: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), UpdatedAt: updated,
		PaymentStatus: record.PaymentPaid, Currency: "EUR", Email: "anna@example.com", Note: "Ring twice", Tags: []string{"b2c", "vip"},
		Customer: &record.Party{ExternalID: "900", Name: "Anna Müller", Email: "anna@example.com", Phone: "+49301", Locale: "de-DE"},
		Billing:  &record.Address{Name: "Anna Müller", Street: "Hauptstr. 1", Street2: "c/o Schmidt", City: "Berlin", Zip: "10115", CountryCode: "DE", Phone: "+49 30 1"},
		Total:    decimal.RequireFromString("148.68"), TotalTax: decimal.RequireFromString("24.78"),
	}
	want.Delivery = want.Billing
	if diff := cmp.Diff(want, plain, decimals, cmpopts.IgnoreFields(record.Order{}, "Lines")); diff != "" {
		t.Error(diff)
	}

	guest := decode("included_guest")
	assert.Nil(t, guest.Customer)
	assert.Equal(t, "guest@example.com", guest.Email)
	assert.True(t, guest.TaxesIncluded)
	assert.Equal(t, "CA", guest.Billing.ProvinceCode)

	nobody := decode("tip_duty_fee")
	assert.Nil(t, nobody.Customer)
	assert.Nil(t, nobody.Billing)
	assert.Nil(t, nobody.Delivery)
	assert.Empty(t, nobody.Email)
	assert.True(t, nobody.Test)

	cancelled := decode("cancelled")
	assert.Equal(t, updated, *cancelled.CancelledAt)
	assert.Equal(t, "customer", cancelled.CancelReason)
	assert.Equal(t, record.PaymentRefunded, cancelled.PaymentStatus)

	company := decode("company")
	assert.Equal(t, &record.Party{ExternalID: "company-77", Name: "Acme Inc.", Email: "buyer@acme.example", IsCompany: true, Locale: "en"}, company.Customer)
	assert.True(t, company.TaxExempt)
	assert.Equal(t, "USD", company.Currency)
}

func TestPresentmentMoney(t *testing.T) {
	o, err := newFakeShop(t).open(object{"money": "presentment"}).DecodeOrder(topicCreate, sample(t, "company"))
	require.NoError(t, err)
	assert.Equal(t, "EUR", o.Currency)
	assert.Equal(t, "190", o.Total.String())
	assert.Equal(t, "500601 product 10 × 19 − 0 tax 0", brief(o)[0])
}

// Without a refund record for the removed unit the proportion decides.
func TestRemovedUnitsWithoutRecord(t *testing.T) {
	o, err := newFakeShop(t).open(nil).DecodeOrder(topicUpdated, edit(t, "edited", func(o object) { o["refunds"] = []any{} }))
	require.NoError(t, err)
	assert.Equal(t, "500301 product 2 × 10 − 0.67 tax 1.59", brief(o)[0])
}

// A refund record reckoned before discounts would make the discount negative.
func TestRemovedUnitsWithNonsenseRecord(t *testing.T) {
	o, err := newFakeShop(t).open(nil).DecodeOrder(topicUpdated, edit(t, "edited", func(o object) {
		line := objects(objects(o["refunds"])[0]["refund_line_items"])[0]
		line["subtotal_set"] = object{"shop_money": object{"amount": "12.00", "currency_code": "USD"}}
		line["total_tax_set"] = object{"shop_money": object{"amount": "99.00", "currency_code": "USD"}}
	}))
	require.NoError(t, err)
	assert.Equal(t, "500301 product 2 × 10 − 0.67 tax 1.59", brief(o)[0])
}

func TestATipWithoutALineGetsOne(t *testing.T) {
	o, err := newFakeShop(t).open(nil).DecodeOrder(topicCreate, edit(t, "plain", func(o object) { o["total_tip_received"] = "3.20" }))
	require.NoError(t, err)
	assert.Contains(t, brief(o), "tip tip 1 × 3.2 − 0 tax 0")
}

func TestTopicsThatHoldNoOrder(t *testing.T) {
	c := newFakeShop(t).open(nil)
	gone, err := c.DecodeOrder(topicDelete, []byte(`{"id": 5001}`))
	require.NoError(t, err)
	assert.Equal(t, record.Order{ExternalID: "5001", Deleted: true}, gone)

	_, err = c.DecodeOrder(topicEdited, []byte(`{"order_edit":{"order_id":5001}}`))
	assert.True(t, fault.Is(err, fault.Unsupported), "%v", err)
	_, err = c.DecodeOrder(topicDelete, []byte(`{}`))
	assert.Equal(t, "id", fault.Of(err).Field)
}

func TestTenThousandLines(t *testing.T) {
	raw := edit(t, "plain", func(o object) {
		one := objects(o["line_items"])[1]
		var all []any
		for i := range 10_000 {
			l := object{}
			for k, v := range one {
				l[k] = v
			}
			l["id"] = 1_000_000 + i
			all = append(all, l)
		}
		o["line_items"] = all
	})
	o, err := newFakeShop(t).open(nil).DecodeOrder(topicCreate, raw)
	require.NoError(t, err)
	assert.Len(t, o.Lines, 10_001)
	assert.Equal(t, "1009999", o.Lines[9_999].ExternalID)
}

// Whatever is truly wrong is Invalid and named.
func TestBadPayloads(t *testing.T) {
	line := func(key string, v any) func(object) {
		return func(o object) { objects(o["line_items"])[1][key] = v }
	}
	top := func(key string, v any) func(object) { return func(o object) { o[key] = v } }
	money := func(amount any) any {
		return object{"shop_money": object{"amount": amount, "currency_code": "EUR"}}
	}
	for _, c := range []struct {
		name, field string
		change      func(object)
	}{
		{"no id", "id", func(o object) { delete(o, "id") }},
		{"negative id", "id", top("id", -5)},
		{"an id that is a fraction", "id", top("id", 1.5)},
		{"an id that is an object", "id", top("id", object{})},
		{"an unknown currency", "currency", top("currency", "XYZ")},
		{"no currency", "currency", top("currency", nil)},
		{"no time", "updated_at", top("updated_at", "yesterday")},
		{"a year beyond sorting", "updated_at", top("updated_at", "9999-12-31T23:59:59-14:00")},
		{"no lines", "line_items", top("line_items", nil)},
		{"lines that are a text", "line_items", top("line_items", "none")},
		{"a name of a wrong type", "name", top("name", 12)},
		{"NUL in the note", "note", top("note", "a\x00b")},
		{"no total", "current_total_price_set", top("current_total_price_set", nil)},
		{"a negative total", "current_total_price_set", top("current_total_price_set", money("-1.00"))},
		{"a total of another currency", "current_total_price_set", top("current_total_price_set", object{"shop_money": object{"amount": "1", "currency_code": "USD"}})},
		{"an absurd price", "line_items[1].price_set", line("price_set", money("1e999999999"))},
		{"a price beyond reason", "line_items[1].price_set", line("price_set", money("1234567890123456.00"))},
		{"a price that is a word", "line_items[1].price_set", line("price_set", money("free"))},
		{"a negative discount", "line_items[1].discount_allocations", line("discount_allocations", []any{object{"amount_set": money("-1")}})},
		{"a negative quantity", "line_items[1].current_quantity", line("current_quantity", -1)},
		{"half a unit", "line_items[1].quantity", line("quantity", 0.5)},
		{"an absurd rate", "line_items[1].tax_lines.rate", line("tax_lines", []any{object{"title": "x", "rate": json.Number("1e999"), "price_set": money("1")}})},
		{"a line without id", "line_items[1].id", line("id", nil)},
		{"two lines of one id", "line_items", line("id", 500101)},
		{"NUL in a SKU", "line_items[1].sku", line("sku", "\x00")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newFakeShop(t).open(nil).DecodeOrder(topicCreate, edit(t, "plain", c.change))
			require.Error(t, err)
			f := fault.Of(err)
			assert.Equal(t, fault.Invalid, f.Kind)
			assert.Equal(t, "shopify.bad_body", f.Code)
			assert.Equal(t, c.field, f.Field)
			assert.NotEmpty(t, f.Resolution)
		})
	}
}

// edit changes a sample's webhook body.
func edit(t testing.TB, name string, change func(object)) []byte {
	var o object
	require.NoError(t, json.Unmarshal(sample(t, name), &o))
	change(o)
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	return raw
}
