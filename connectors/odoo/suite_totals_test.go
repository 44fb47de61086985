package odoo

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/record"
)

// testTotals is promise 3: the order totals what the shop charged.
func testTotals(t *testing.T, b *bench, c *Connector) {
	terms := termsOf(t, c)
	require.True(t, terms.ForcedTax)
	for _, rate := range []string{"0.2", "0.055", "0.08875"} {
		for _, included := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s included=%v", rate, included), func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, uint64(len(rate))))
				tax := taxOf(t, terms, rate, included)
				var sales []shopOrder
				for i := range 60 {
					if sale := generate(random, b.order(t, c, 0), terms, tax); b.deals(i) {
						sales = append(sales, sale)
					}
				}
				together(len(sales), func(i int) {
					want := sales[i]
					state, err := c.UpsertOrder(t.Context(), want.row)
					if assert.NoError(t, err) {
						assert.Equal(t, want.total.StringFixed(2), state.Total.StringFixed(2), "total of %+v", want.row.Lines)
						assert.Equal(t, want.tax.StringFixed(2), state.Tax.StringFixed(2), "tax of %+v", want.row.Lines)
						assert.Equal(t, "EUR", state.Currency)
					}
					// Written again, and again under its id: nothing is recomputed.
					again, err := c.UpsertOrder(t.Context(), want.row)
					if assert.NoError(t, err) {
						want.row.ID = again.ID
						known, err := c.UpsertOrder(t.Context(), want.row)
						assert.NoError(t, err)
						assert.Equal(t, []string{state.ID, state.Total.String(), state.Tax.String()}, []string{again.ID, again.Total.String(), again.Tax.String()})
						assert.Equal(t, []string{state.ID, state.Total.String(), state.Tax.String()}, []string{known.ID, known.Total.String(), known.Tax.String()})
					}
				})
			})
		}
	}
}

// shopOrder is an order and what the shop charged for it.
type shopOrder struct {
	row        record.OrderRow
	total, tax decimal.Decimal
}

// generate makes an order of 1–6 lines with odd cents, discounts as lines of
// their own and shipping; the shop rounds tax half up, line by line.
func generate(random *rand.Rand, row record.OrderRow, terms record.SalesTerms, tax record.Tax) shopOrder {
	sale := shopOrder{row: row}
	taxOn := func(amount decimal.Decimal) decimal.Decimal {
		if tax.PriceIncluded {
			return amount.Sub(amount.Div(tax.Rate.Add(dec("1")))).Round(2)
		}
		return amount.Mul(tax.Rate).Round(2)
	}
	add := func(product, name string, quantity, price, amount decimal.Decimal) {
		untaxed := quantity.Mul(price)
		sale.total = sale.total.Add(untaxed)
		if tax.PriceIncluded {
			untaxed = untaxed.Sub(amount)
		} else {
			sale.total = sale.total.Add(amount)
		}
		sale.tax = sale.tax.Add(amount)
		n := len(sale.row.Lines)
		sale.row.Lines = append(sale.row.Lines, record.OrderLine{
			XID: record.XID("suite", "line", row.Reference, fmt.Sprint(n)), ProductID: product, Name: name,
			Quantity: quantity, UnitPrice: price, TaxIDs: []string{tax.ID}, Sequence: n,
			ForcedTax: &record.ForcedTax{Untaxed: untaxed, ByTax: map[string]decimal.Decimal{tax.ID: amount}},
		})
	}
	cents := func(n int) decimal.Decimal { return decimal.New(int64(random.IntN(n)+1), -2) }
	for range random.IntN(6) + 1 {
		quantity, price := decimal.NewFromInt(int64(random.IntN(7)+1)), cents(20000)
		gross := quantity.Mul(price)
		add("5", "Goods", quantity, price, taxOn(gross))
		if random.IntN(3) == 0 {
			off := decimal.Min(cents(500), gross)
			add(terms.ServiceProducts["DISCOUNT"], "Discount", dec("1"), off.Neg(), taxOn(gross.Sub(off)).Sub(taxOn(gross)))
		}
	}
	if shipping := cents(1500); random.IntN(2) == 0 {
		add(terms.ServiceProducts["SHIPPING"], "Shipping", dec("1"), shipping, taxOn(shipping))
	}
	return sale
}
