package simulator

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTotalsOfAnOrderByHand(t *testing.T) {
	goods := []Variant{{ProductID: 1, ID: 1, Price: dec("10.05")}, {ProductID: 2, ID: 2, Price: dec("3.33")}}
	draft := Draft{
		Currency: "EUR", Tip: dec("1.00"), OrderDiscount: dec("2.00"),
		Lines: []DraftLine{
			{Variant: goods[0], Quantity: 2, Taxes: []Tax{vat20}}, // 20.10
			{Variant: goods[1], Quantity: 3, Taxes: []Tax{vat55}}, // 9.99
		},
		Shipping: []DraftShipping{{Title: "Post", Price: dec("4.99"), Taxes: []Tax{vat20}}},
	}
	cases := []struct {
		included                          bool
		subtotal, shipping, tax, all, tip string
	}{
		// 2.00 splits 1.34 / 0.66 by 20.10 : 9.99. 18.76×0.2=3.75(2), 9.33×0.055=0.51(3), 4.99×0.2=1.00(-0.002)
		{false, "28.09", "4.99", "5.26", "39.34", "1.00"},
		// 18.76/6=3.13, 9.33×0.055/1.055=0.49, 4.99/6=0.83
		{true, "28.09", "4.99", "4.45", "34.08", "1.00"},
	}
	for _, c := range cases {
		draft.TaxesIncluded = c.included
		got := testLedger().Place(draft).Original()
		require.Equal(t, c.subtotal, got.Subtotal.StringFixed(2))
		require.Equal(t, c.shipping, got.Shipping.StringFixed(2))
		require.Equal(t, c.tip, got.Tip.StringFixed(2))
		require.Equal(t, c.tax, got.Tax.StringFixed(2), "included %v", c.included)
		require.Equal(t, c.all, got.Total.StringFixed(2), "included %v", c.included)
	}
}

func TestTaxRoundsHalfUpPerLine(t *testing.T) {
	// 0.25 × 0.5 % … two lines of 2.50 at 5.5 % are 0.1375 each: 0.14 + 0.14,
	// not 0.28 of 0.275. And 12.50 × 0.055 = 0.6875, a half at the third digit.
	line := func(price string) DraftLine {
		return DraftLine{Variant: Variant{ProductID: 1, ID: 1, Price: dec(price)}, Quantity: 1, Taxes: []Tax{vat55}}
	}
	o := testLedger().Place(Draft{Currency: "EUR", Lines: []DraftLine{line("2.50"), line("2.50"), line("1.00")}})
	require.Equal(t, "0.34", o.Original().Tax.String()) // 0.14 + 0.14 + 0.06 (0.055 up)
	require.Equal(t, "6.34", o.Original().Total.String())
}

func TestEditsAsShopifyCountsThem(t *testing.T) {
	l := testLedger()
	o := l.Place(fullDraft())
	e := l.Edit(o, Edit{Quantities: map[int]int{0: 1, 1: 0, 2: 3}})
	require.Equal(t, []int{3, 2, 3}, []int{e.Lines[0].Ordered, e.Lines[1].Ordered, e.Lines[2].Ordered})
	require.Equal(t, []int{1, 0, 3}, []int{e.Lines[0].Current, e.Lines[1].Current, e.Lines[2].Current})
	require.Equal(t, 3, o.Lines[0].Current, "the former snapshot stays as it was")
	require.True(t, e.Edited)
	require.True(t, e.Current().Total.LessThan(e.Original().Total))
	c := l.Cancel(e, "customer")
	require.Equal(t, Refunded, c.Financial)
	require.NotNil(t, c.CancelledAt)
	require.Nil(t, e.CancelledAt)
}

func TestEventTimesIncreaseThoughTheClockStands(t *testing.T) {
	l := testLedger()
	o := l.Place(guestDraft())
	for range 5 {
		next := l.Touch(o, "seen")
		require.True(t, next.ChangedAt.After(o.ChangedAt))
		require.Zero(t, next.UpdatedAt.Nanosecond())
		o = next
	}
	require.Equal(t, o.UpdatedAt, o.CreatedAt, "all within one second: updated_at alone cannot order them")
}

// The parts of a discount make up the discount, and an order's total is the
// sum of its lines, whatever is sold.
func TestSumsAreConsistentToTheCent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cents := func(name string, low, high int) decimal.Decimal {
			return decimal.New(int64(rapid.IntRange(low, high).Draw(t, name)), -2)
		}
		taxes := rapid.SampledFrom([][]Tax{nil, {vat20}, {vat55}, {nycTax}, {vat20, nycTax}})
		d := Draft{
			Currency: "EUR", TaxesIncluded: rapid.Bool().Draw(t, "included"), TaxExempt: rapid.Bool().Draw(t, "exempt"),
			Tip: cents("tip", 0, 500), OrderDiscount: cents("code", 0, 300),
			Shipping: []DraftShipping{{Title: "Post", Price: cents("post", 0, 2000), Taxes: taxes.Draw(t, "post taxes")}},
		}
		for range rapid.IntRange(1, 6).Draw(t, "lines") {
			d.Lines = append(d.Lines, DraftLine{
				Variant:  Variant{ProductID: 1, ID: 1, Price: cents("price", 1, 99_999)},
				Quantity: rapid.IntRange(1, 9).Draw(t, "quantity"), Discount: cents("off", 0, 200), Taxes: taxes.Draw(t, "taxes"),
			})
		}
		l := testLedger()
		o := l.Place(d)
		if rapid.Bool().Draw(t, "edit") {
			o = l.Edit(o, Edit{Quantities: map[int]int{0: rapid.IntRange(0, 12).Draw(t, "want")}})
		}
		parts := decimal.Zero
		for _, line := range o.Lines {
			for _, a := range line.Discounts {
				if o.Discounts[a.Discount].Across {
					parts = parts.Add(a.Amount)
				}
			}
		}
		given := decimal.Zero
		for _, discount := range o.Discounts {
			if discount.Across {
				given = discount.Amount
			}
		}
		if !parts.Equal(given) || given.GreaterThan(d.OrderDiscount) {
			t.Fatalf("a discount of %s was given as %s and spread as %s", d.OrderDiscount, given, parts)
		}
		for name, sum := range map[string]Totals{"original": o.Original(), "current": o.Current()} {
			taxes := decimal.Zero
			for _, tax := range sum.Taxes {
				taxes = taxes.Add(tax.Amount)
			}
			want := decimal.Sum(sum.Subtotal, sum.Shipping, sum.Tip)
			if !o.TaxesIncluded {
				want = want.Add(taxes)
			}
			if !want.Equal(sum.Total) || !sum.Total.Equal(sum.Total.Round(2)) || sum.Subtotal.IsNegative() {
				t.Fatalf("%s totals do not add up: %+v", name, sum)
			}
		}
	})
}
