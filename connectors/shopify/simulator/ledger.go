package simulator

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// Ledger turns what happens in a shop into snapshots and deliveries. It gives
// ids and times: event times strictly increase, whatever the clock says.
type Ledger struct {
	mu       sync.Mutex
	rng      *rand.Rand
	now      func() time.Time
	last     time.Time
	sequence int64
	number   int
	version  string
	// Zone is how webhooks print times; Shopify uses the shop's own zone.
	zone *time.Location
}

// NewLedger makes a ledger whose ids depend on the seed only; ledgers of
// different seeds (below 10,000) share no id, those of seeds below 1,000 no
// order name among their first 9,000. version is the API version that its
// webhooks speak.
func NewLedger(seed uint64, now func() time.Time, version string) *Ledger {
	return &Ledger{
		rng:      rand.New(rand.NewPCG(seed, 0x5ca1ab1e)),
		now:      now,
		sequence: int64(seed%10_000) * 10_000_000,
		number:   1000 + int(seed%1000)*10_000,
		version:  version,
		zone:     time.FixedZone("EST", -5*60*60),
	}
}

// Draft is an order to place. Amounts are in Currency. A discount never takes
// off more than there is.
type Draft struct {
	Currency      string
	Presentment   string          // what the buyer saw; default Currency
	Rate          decimal.Decimal // Presentment units per unit of Currency; default 1
	Lines         []DraftLine
	Shipping      []DraftShipping
	Tip           decimal.Decimal
	OrderDiscount decimal.Decimal // taken off all goods by a code
	DiscountCode  string          // default "WELCOME"
	TaxesIncluded bool
	TaxExempt     bool
	Customer      *Customer
	Company       *Company
	Email         string // default the customer's
	Phone         string
	Billing       *Address
	Delivery      *Address
	Test          bool
	Unpaid        bool
	Note          string
	Tags          []string
}

// DraftLine is one item of a draft.
type DraftLine struct {
	Variant  Variant
	Quantity int
	Price    decimal.Decimal // default the variant's
	Discount decimal.Decimal // taken off this line by hand
	Taxes    []Tax
}

// DraftShipping is one shipping charge of a draft.
type DraftShipping struct {
	Title    string
	Price    decimal.Decimal
	Discount decimal.Decimal
	Taxes    []Tax
}

// Place makes an order of a draft.
func (l *Ledger) Place(d Draft) *Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.Presentment == "" {
		d.Presentment, d.Rate = d.Currency, decimal.NewFromInt(1)
	}
	if d.Email == "" && d.Customer != nil {
		d.Email = d.Customer.Email
	}
	l.number++
	o := &Order{
		ID: 5_900_000_000_000 + l.id(), Number: l.number,
		Currency: d.Currency, Presentment: d.Presentment, Rate: d.Rate,
		TaxesIncluded: d.TaxesIncluded, TaxExempt: d.TaxExempt, Test: d.Test,
		Customer: d.Customer, Company: d.Company, Email: d.Email, Phone: d.Phone,
		Billing: d.Billing, Shipping: d.Delivery, Note: d.Note, Tags: d.Tags,
		Gateway: "shopify_payments", Financial: Paid,
	}
	if d.Unpaid {
		o.Financial, o.Gateway = Pending, "bank_transfer"
	}
	l.fill(o, d)
	l.stamp(o)
	o.CreatedAt = o.UpdatedAt
	return o
}

func (l *Ledger) fill(o *Order, d Draft) {
	for _, dl := range d.Lines {
		line := Line{
			ID: 14_000_000_000_000 + l.id(), Variant: dl.Variant, Price: dl.Price, Taxes: dl.Taxes,
			Ordered: dl.Quantity, Current: dl.Quantity,
		}
		if line.Price.IsZero() {
			line.Price = dl.Variant.Price
		}
		if off := decimal.Min(dl.Discount, line.gross(line.Ordered)); off.IsPositive() {
			o.Discounts = append(o.Discounts, Discount{Kind: "manual", Title: "Goodwill", Amount: off})
			line.Discounts = []Allocation{{Discount: len(o.Discounts) - 1, Amount: off}}
		}
		o.Lines = append(o.Lines, line)
	}
	if d.OrderDiscount.IsPositive() {
		o.discountAll(d.OrderDiscount, d.DiscountCode)
	}
	if d.Tip.IsPositive() {
		o.Lines = append(o.Lines, Line{
			ID: 14_000_000_000_000 + l.id(), Variant: Variant{Title: "Tip"},
			Ordered: 1, Current: 1, Price: d.Tip, Tip: true,
		})
	}
	for _, ds := range d.Shipping {
		s := ShippingLine{ID: 4_600_000_000_000 + l.id(), Title: ds.Title, Code: ds.Title, Price: ds.Price, Taxes: ds.Taxes}
		if off := decimal.Min(ds.Discount, ds.Price); off.IsPositive() {
			o.Discounts = append(o.Discounts, Discount{Kind: "automatic", Title: "Cheaper shipping", Shipping: true, Amount: off})
			s.Discounts = []Allocation{{Discount: len(o.Discounts) - 1, Amount: off}}
		}
		o.ShippingLines = append(o.ShippingLines, s)
	}
}

// discountAll spreads a code's discount over all lines by what they cost.
func (o *Order) discountAll(amount decimal.Decimal, code string) {
	if code == "" {
		code = "WELCOME"
	}
	weights := make([]decimal.Decimal, len(o.Lines))
	for i, line := range o.Lines {
		weights[i] = o.net(line, line.Ordered)
	}
	amount = decimal.Min(amount, decimal.Sum(decimal.Zero, weights...))
	o.Discounts = append(o.Discounts, Discount{Kind: "discount_code", Title: code, Across: true, Amount: amount})
	for i, part := range spread(amount, weights, o.Currency) {
		if part.IsPositive() {
			o.Lines[i].Discounts = append(o.Lines[i].Discounts, Allocation{Discount: len(o.Discounts) - 1, Amount: part})
		}
	}
}

// Pay gives the order as paid.
func (l *Ledger) Pay(o *Order) *Order {
	return l.change(o, func(c *Order) { c.Financial = Paid })
}

// Touch gives the order with new tags: an update that changes nothing that a
// receiver should act on.
func (l *Ledger) Touch(o *Order, tags ...string) *Order {
	return l.change(o, func(c *Order) { c.Tags = append(c.Tags, tags...) })
}

// Cancel gives the order as cancelled; what was paid is given back.
func (l *Ledger) Cancel(o *Order, reason string) *Order {
	return l.change(o, func(c *Order) {
		at := c.UpdatedAt
		c.CancelledAt, c.CancelReason = &at, reason
		for i := range c.Lines {
			c.Lines[i].Current = 0
		}
		if c.paid() {
			l.giveBack(o, c)
			c.Financial = Refunded
		} else {
			c.Financial = Voided
		}
	})
}

// Delete gives the order as deleted.
func (l *Ledger) Delete(o *Order) *Order {
	return l.change(o, func(c *Order) { c.Deleted = true })
}

// Edit says how an order is edited.
type Edit struct {
	Quantities map[int]int // line index -> what is wanted from now on; 0 removes it
	Add        []DraftLine
}

// Edit gives the order as edited. As in Shopify, units that are taken away
// stay in Ordered and leave Current; units that come in raise both. The buyer
// pays or gets back the difference.
func (l *Ledger) Edit(o *Order, e Edit) *Order {
	return l.change(o, func(c *Order) {
		c.Edited = true
		for i, want := range e.Quantities {
			line := &c.Lines[i]
			if want > line.Current {
				line.Ordered += want - line.Current
			}
			line.Current = want
		}
		l.fill(c, Draft{Lines: e.Add})
		if c.paid() && l.giveBack(o, c) {
			c.Financial = Partly
		}
	})
}

func (o *Order) paid() bool { return o.Financial == Paid || o.Financial == Partly }

// giveBack books a refund for the units that a paid order lost; it reports
// whether there were any.
func (l *Ledger) giveBack(before, after *Order) bool {
	refund := Refund{CreatedAt: after.UpdatedAt}
	for i, was := range before.Lines {
		is := after.Lines[i]
		if is.Current >= was.Current {
			continue
		}
		left, all := after.net(is, is.Current), before.net(was, was.Current)
		refund.Lines = append(refund.Lines, RefundLine{
			ID: 800_000_000_000 + l.id(), LineID: was.ID, Quantity: was.Current - is.Current, Subtotal: all.Sub(left),
			Tax: sumTaxes(before.taxes(all, was.Taxes)).Sub(sumTaxes(after.taxes(left, is.Taxes))),
		})
	}
	if len(refund.Lines) == 0 {
		return false
	}
	refund.ID = 900_000_000_000 + l.id()
	after.Refunds = append(after.Refunds, refund)
	return true
}

func sumTaxes(taxes []TaxAmount) decimal.Decimal {
	sum := decimal.Zero
	for _, t := range taxes {
		sum = sum.Add(t.Amount)
	}
	return sum
}

func (l *Ledger) change(o *Order, with func(*Order)) *Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := o.clone()
	l.stamp(c)
	with(c)
	return c
}

func (l *Ledger) stamp(o *Order) {
	o.ChangedAt = l.tick()
	o.UpdatedAt = o.ChangedAt.Truncate(time.Second)
}

// tick is the time of one event, later than every one before.
func (l *Ledger) tick() time.Time {
	t := l.now().UTC().Truncate(time.Microsecond)
	if !t.After(l.last) {
		t = l.last.Add(time.Millisecond)
	}
	l.last = t
	return t
}

func (l *Ledger) id() int64 {
	l.sequence++
	return l.sequence
}

func (l *Ledger) uuid() string {
	a, b := l.rng.Uint64(), l.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}
