package orders

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Proof compares an order as read back with what the shop charged.
type Proof struct {
	Equal      bool            // to the cent, in the right currency
	Difference decimal.Decimal // shop − target
	// TaxDifference is shop − target; Equal does not depend on it, since a
	// right total can hide a tax split off by a cent. Worth a warning.
	TaxDifference decimal.Decimal
	// RoundingLine closes the gap when it is within the limit; write the row
	// again Corrected and prove again.
	RoundingLine *record.OrderLine
	Reason       string       // what was found, for people
	Fault        *fault.Fault // not equal and not to be closed
}

// Prove compares the target's totals with the shop's: promise 3, see
// TestMoneyIsNeverSilentlyWrong. A rounding line that the order has already
// counts towards the limit, so that repeating the correction can never add up
// to more than it.
func Prove(r Rules, terms record.SalesTerms, o record.Order, res Resolved, state record.OrderState) Proof {
	r = r.WithDefaults()
	p := Proof{Difference: o.Total.Sub(state.Total), TaxDifference: shopTax(o).Sub(state.Tax)}
	if state.Currency != o.Currency {
		p.Fault = conflict("currency_differs", "the order is in %s in the target, the shop charged %s", state.Currency, o.Currency).
			WithFamily(state.Currency+" for "+o.Currency).
			WithResolution("set the order's pricelist to one in %s in the target and retry", o.Currency)
		return p
	}
	if p.Difference.IsZero() {
		p.Equal = true
		p.Reason = fmt.Sprintf("total %s %s on both sides", money(o.Total, o.Currency), o.Currency)
		if !p.TaxDifference.IsZero() {
			p.Reason += fmt.Sprintf("; tax is %s in the shop and %s in the target", money(shopTax(o), o.Currency), money(state.Tax, o.Currency))
		}
		return p
	}
	product := terms.ServiceProducts[r.RoundingProduct]
	correction := p.Difference.Add(roundingOf(state, product))
	if correction.Abs().GreaterThan(roundingLimit(r, o)) || !correction.Round(digitsOf(o.Currency)).Equal(correction) {
		p.Fault = totalDiffers(r, terms, o, state)
		return p
	}
	if product == "" {
		_, p.Fault = serviceProduct(terms, r.RoundingProduct, "rounding")
		return p
	}
	p.Reason = fmt.Sprintf("rounding of %s %s: the target makes %s (%s), the shop charged %s",
		money(correction, o.Currency), o.Currency, money(state.Total, o.Currency), roundingMethod(terms), money(o.Total, o.Currency))
	p.RoundingLine = &record.OrderLine{
		XID:       RoundingXID(res.Source, o.ExternalID),
		ProductID: product,
		Name:      "Rounding difference to the shop's total",
		Quantity:  decimal.NewFromInt(1),
		UnitPrice: correction,
		TaxIDs:    []string{},
		Sequence:  9999,
	}
	return p
}

// Corrected is the row with the proof's rounding line.
func (p Proof) Corrected(row record.OrderRow) record.OrderRow {
	if p.RoundingLine == nil {
		return row
	}
	is := func(xid string) bool { return xid == p.RoundingLine.XID }
	row.Lines = append(slices.DeleteFunc(slices.Clone(row.Lines), func(l record.OrderLine) bool { return is(l.XID) }), *p.RoundingLine)
	row.Gone = slices.DeleteFunc(slices.Clone(row.Gone), is)
	return row
}

// shopTax is the shop's tax: its own total, or the lines' when it gives none.
func shopTax(o record.Order) decimal.Decimal {
	if !o.TotalTax.IsZero() {
		return o.TotalTax
	}
	sum := decimal.Zero
	for _, l := range o.Lines {
		sum = sum.Add(l.Tax())
	}
	return sum
}

// roundingOf is what the order's rounding line adds already.
func roundingOf(state record.OrderState, product string) decimal.Decimal {
	sum := decimal.Zero
	if product == "" {
		return sum
	}
	for _, l := range state.Lines {
		if l.ProductID == product {
			sum = sum.Add(l.Quantity.Mul(l.UnitPrice))
		}
	}
	return sum
}

// roundingLimit is in the order's currency; the rules' are in one with cents.
func roundingLimit(r Rules, o record.Order) decimal.Decimal {
	limit := decimal.Min(r.RoundingLimitPerLine.Mul(linesOf(o)), *r.RoundingLimitMax)
	return limit.Shift(2 - digitsOf(o.Currency))
}

func roundingMethod(terms record.SalesTerms) string {
	if terms.RoundPerLine {
		return "rounding per line"
	}
	return "rounding over the whole order"
}

func totalDiffers(r Rules, terms record.SalesTerms, o record.Order, state record.OrderState) *fault.Fault {
	rates := strings.Join(taxNames(o), "; ")
	if rates == "" {
		rates = "no taxes"
	}
	return conflict("total_differs", "the order makes %s %s in the target, but the shop charged %s %s (target %s; %s)",
		money(state.Total, o.Currency), o.Currency, money(o.Total, o.Currency), o.Currency, roundingMethod(terms), rates).
		WithField("total").
		WithFamily(roundingMethod(terms)+"; "+rates).
		WithResolution("compare the lines of both sides: a changed price, a missing line or a wrong tax; "+
			"differences up to %s %s are corrected by a rounding line (rounding_limit_per_line, rounding_limit_max)",
			money(roundingLimit(r, o), o.Currency), o.Currency)
}
