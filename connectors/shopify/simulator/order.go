package simulator

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// Financial is an order's payment state as webhooks spell it; GraphQL spells it
// in upper case.
type Financial string

// The payment states that the simulator brings about.
const (
	Pending  Financial = "pending"
	Paid     Financial = "paid"
	Partly   Financial = "partially_refunded"
	Refunded Financial = "refunded"
	Voided   Financial = "voided"
)

// Order is one snapshot of an order. Snapshots are never changed once made: a
// Ledger makes a new one for everything that happens.
type Order struct {
	ID       int64
	Number   int
	Currency string // the shop's own at the time of the sale
	// Presentment is what the buyer saw, at Rate units per unit of Currency.
	Presentment string
	Rate        decimal.Decimal

	CreatedAt    time.Time
	UpdatedAt    time.Time // whole seconds, like Shopify's
	ChangedAt    time.Time // when exactly; strictly increasing over the shop's events
	CancelledAt  *time.Time
	CancelReason string // customer, declined, fraud, inventory, other, staff
	Deleted      bool
	Test         bool
	Edited       bool
	Financial    Financial

	TaxesIncluded bool
	TaxExempt     bool
	Customer      *Customer // nil for guests
	Company       *Company  // nil unless B2B
	Email         string
	Phone         string
	Billing       *Address
	Shipping      *Address

	Lines         []Line
	ShippingLines []ShippingLine
	Discounts     []Discount
	Refunds       []Refund
	Note          string
	Tags          []string
	Gateway       string
}

// Line is one line item. A tip is a line item without product, as in Shopify.
type Line struct {
	ID        int64
	Variant   Variant // zero ids for custom items and tips
	Ordered   int     // including removed units
	Current   int     // what is still wanted
	Price     decimal.Decimal
	Tip       bool
	Taxes     []Tax
	Discounts []Allocation // for all ordered units
}

// ShippingLine is one shipping charge.
type ShippingLine struct {
	ID        int64
	Title     string
	Code      string
	Price     decimal.Decimal
	Taxes     []Tax
	Discounts []Allocation
}

// Tax is a tax that a line bears; Rate is a fraction (0.2 is 20 %).
type Tax struct {
	Title string
	Rate  decimal.Decimal
}

// Discount is a reason for paying less, as Shopify's discount application.
type Discount struct {
	Kind     string // discount_code, manual, automatic
	Title    string // the code of a discount_code
	Shipping bool   // on shipping lines, else on line items
	Across   bool   // over the whole order, else on one line
	Amount   decimal.Decimal
}

// Allocation is a discount's share of one line; Discount is its index.
type Allocation struct {
	Discount int
	Amount   decimal.Decimal
}

// Refund tells what was given back for units that were taken off a paid order.
type Refund struct {
	ID        int64
	CreatedAt time.Time
	Lines     []RefundLine
}

// RefundLine is what was given back for some units of one line.
type RefundLine struct {
	ID       int64
	LineID   int64
	Quantity int
	Subtotal decimal.Decimal // after discounts, with its tax when prices include it
	Tax      decimal.Decimal
}

// Totals are an order's sums. With TaxesIncluded, Subtotal and Shipping hold
// their tax; Total always does.
type Totals struct {
	Goods     decimal.Decimal // line items before discounts, tips not counted
	Discounts decimal.Decimal
	Subtotal  decimal.Decimal // line items after discounts, tips not counted
	Shipping  decimal.Decimal
	Tip       decimal.Decimal
	Tax       decimal.Decimal
	Total     decimal.Decimal
	Taxes     []TaxAmount // summed by title and rate
}

// TaxAmount is a tax with its amount.
type TaxAmount struct {
	Tax
	Amount decimal.Decimal
}

// Original are the totals of all that was ever ordered: total_price.
func (o *Order) Original() Totals { return o.totals(func(l Line) int { return l.Ordered }) }

// Current are the totals of what is still ordered: current_total_price. This is
// what a buyer owes after edits.
func (o *Order) Current() Totals { return o.totals(func(l Line) int { return l.Current }) }

func (o *Order) totals(quantity func(Line) int) Totals {
	var t Totals
	for _, l := range o.Lines {
		q := quantity(l)
		net := o.net(l, q)
		t.addTaxes(o.taxes(net, l.Taxes))
		if l.Tip {
			t.Tip = t.Tip.Add(net)
			continue
		}
		t.Goods = t.Goods.Add(l.gross(q))
		t.Discounts = t.Discounts.Add(o.discount(l, q))
		t.Subtotal = t.Subtotal.Add(net)
	}
	for _, s := range o.ShippingLines {
		t.Discounts = t.Discounts.Add(allocated(s.Discounts))
		t.Shipping = t.Shipping.Add(s.net())
		t.addTaxes(o.taxes(s.net(), s.Taxes))
	}
	t.Total = decimal.Sum(t.Subtotal, t.Shipping, t.Tip)
	if !o.TaxesIncluded {
		t.Total = t.Total.Add(t.Tax)
	}
	return t
}

func (t *Totals) addTaxes(taxes []TaxAmount) {
	for _, tax := range taxes {
		t.Tax = t.Tax.Add(tax.Amount)
		same := func(x TaxAmount) bool { return x.Title == tax.Title && x.Rate.Equal(tax.Rate) }
		if i := slices.IndexFunc(t.Taxes, same); i >= 0 {
			t.Taxes[i].Amount = t.Taxes[i].Amount.Add(tax.Amount)
		} else {
			t.Taxes = append(t.Taxes, tax)
		}
	}
}

func (l Line) gross(quantity int) decimal.Decimal {
	return l.Price.Mul(decimal.NewFromInt(int64(quantity)))
}

// discount is the share of the line's discount that belongs to some of its
// units, rounded to the cent.
func (o *Order) discount(l Line, quantity int) decimal.Decimal {
	all := allocated(l.Discounts)
	if quantity == l.Ordered || l.Ordered == 0 {
		return all
	}
	part := all.Mul(decimal.NewFromInt(int64(quantity))).Div(decimal.NewFromInt(int64(l.Ordered)))
	return round(part, o.Currency)
}

func (o *Order) net(l Line, quantity int) decimal.Decimal {
	return l.gross(quantity).Sub(o.discount(l, quantity))
}

func (s ShippingLine) net() decimal.Decimal { return s.Price.Sub(allocated(s.Discounts)) }

// taxes are the taxes on an amount, each rounded half up by itself.
func (o *Order) taxes(net decimal.Decimal, taxes []Tax) []TaxAmount {
	if o.TaxExempt {
		return nil
	}
	all := decimal.NewFromInt(1)
	for _, t := range taxes {
		all = all.Add(t.Rate)
	}
	amounts := make([]TaxAmount, len(taxes))
	for i, t := range taxes {
		tax := net.Mul(t.Rate)
		if o.TaxesIncluded {
			tax = tax.Div(all)
		}
		amounts[i] = TaxAmount{Tax: t, Amount: round(tax, o.Currency)}
	}
	return amounts
}

func allocated(allocations []Allocation) decimal.Decimal {
	sum := decimal.Zero
	for _, a := range allocations {
		sum = sum.Add(a.Amount)
	}
	return sum
}

// clone copies an order deep enough that the copy's lines may be changed.
func (o *Order) clone() *Order {
	c := *o
	c.Lines = slices.Clone(o.Lines)
	for i := range c.Lines {
		c.Lines[i].Discounts = slices.Clone(o.Lines[i].Discounts)
	}
	c.Discounts = slices.Clone(o.Discounts)
	c.Refunds = slices.Clone(o.Refunds)
	c.Tags = slices.Clone(o.Tags)
	return &c
}
