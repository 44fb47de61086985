package orders

import (
	"fmt"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Validate checks that an order is possible and that the shop's own numbers
// add up, before anything is asked of the target.
func Validate(o record.Order) *fault.Fault {
	if o.ExternalID == "" {
		return invalid("order_invalid", "external_id", "the order has no id")
	}
	if o.Deleted { // only ids are set
		return nil
	}
	if !isCurrency(o.Currency) {
		return invalid("currency_unknown", "currency", "the order's currency is not an ISO 4217 code").
			WithResolution("correct the currency in the shop's settings")
	}
	if f := amountFault("total", o.Total, false); f != nil {
		return f
	}
	if f := amountFault("total_tax", o.TotalTax, false); f != nil {
		return f
	}
	seen := map[string]bool{}
	for i, l := range o.Lines {
		at := fmt.Sprintf("lines[%d]", i)
		if l.ExternalID == "" || seen[l.ExternalID] {
			return invalid("line_id_invalid", at+".external_id", "lines need an id each, unique within the order")
		}
		seen[l.ExternalID] = true
		if f := lineFault(at, l); f != nil {
			return f
		}
	}
	return booksFault(o)
}

func lineFault(at string, l record.Line) *fault.Fault {
	switch l.Kind {
	case record.LineProduct, record.LineShipping, record.LineTip, record.LineFee:
	default:
		return invalid("line_kind_unknown", at+".kind", "the line is neither product, shipping, tip nor fee")
	}
	if f := amountFault(at+".quantity", l.Quantity, false); f != nil {
		return f
	}
	// Some shops book a discount on the whole order as a negative fee.
	if f := amountFault(at+".unit_price", l.UnitPrice, l.Kind == record.LineFee); f != nil {
		return f
	}
	if f := amountFault(at+".discount", l.Discount, false); f != nil {
		return f
	}
	if l.Discount.IsPositive() && l.Net().IsNegative() {
		return invalid("discount_exceeds_line", at+".discount", "the discount is greater than what the line costs")
	}
	for j, t := range l.Taxes {
		tax := fmt.Sprintf("%s.taxes[%d]", at, j)
		if !sane(t.Rate) || t.Rate.IsNegative() || t.Rate.GreaterThan(decimal.NewFromInt(1)) {
			return invalid("tax_rate_invalid", tax+".rate", "the tax rate is not a fraction between 0 and 1")
		}
		if f := amountFault(tax+".amount", t.Amount, l.UnitPrice.IsNegative()); f != nil {
			return f
		}
	}
	return nil
}

func amountFault(field string, d decimal.Decimal, mayBeNegative bool) *fault.Fault {
	if !sane(d) {
		return invalid("amount_absurd", field, "a number is beyond anything a shop charges")
	}
	if d.IsNegative() && !mayBeNegative {
		return invalid("amount_negative", field, "a number is negative that cannot be")
	}
	return nil
}

// booksFault compares the sum of the lines with what the shop says it charged.
// A shop that rounds over the whole order may be off by half a minor unit per
// amount that it did not round by itself; more means that something which the
// buyer paid for is not among the lines.
func booksFault(o record.Order) *fault.Fault {
	lines, taxes, amounts := decimal.Zero, decimal.Zero, int64(0)
	for _, l := range o.Lines {
		lines, taxes = lines.Add(l.Net()), taxes.Add(l.Tax())
		amounts += int64(1 + len(l.Taxes))
	}
	sum := lines
	if !o.TaxesIncluded {
		sum = sum.Add(taxes)
	}
	slack := minorUnit(o.Currency).Mul(decimal.NewFromInt(amounts)).Div(decimal.NewFromInt(2))
	if sum.Sub(o.Total).Abs().GreaterThan(slack) {
		return invalid("shop_total_mismatch", "total",
			"the lines add up to %s %s, but the shop charged %s %s",
			money(sum, o.Currency), o.Currency, money(o.Total, o.Currency), o.Currency).
			WithResolution("look the order up in the shop for an amount that is on no line (a fee, a gift wrap, a refund), " +
				"then add that line with an edit and retry")
	}
	// Connectors of shops that give no tax total leave it at zero.
	if !o.TotalTax.IsZero() && taxes.Sub(o.TotalTax).Abs().GreaterThan(slack) {
		return invalid("shop_tax_mismatch", "total_tax",
			"the taxes of the lines add up to %s %s, but the shop charged %s %s",
			money(taxes, o.Currency), o.Currency, money(o.TotalTax, o.Currency), o.Currency).
			WithResolution("look the order up in the shop for a tax that is on no line, then edit the line and retry")
	}
	return nil
}

// money prints an amount with all the decimals it has, at least the currency's.
func money(d decimal.Decimal, currency string) string {
	if digits := digitsOf(currency); d.Exponent() > -digits || d.Round(digits).Equal(d) {
		return d.StringFixed(digits)
	}
	return d.String()
}

func invalid(what, field, format string, args ...any) *fault.Fault {
	return fault.New(fault.Invalid, "orders."+what, format, args...).WithField(field).
		WithResolution("correct the order in the shop, or edit the field and retry")
}

func conflict(what, format string, args ...any) *fault.Fault {
	return fault.New(fault.Conflict, "orders."+what, format, args...)
}
