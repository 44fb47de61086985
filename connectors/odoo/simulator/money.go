package simulator

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"

	"github.com/shopspring/decimal"
)

// A taxRate is one percentage tax.
type taxRate struct {
	id       int64
	percent  decimal.Decimal
	included bool
}

// A baseLine is an order line as the tax engine sees it: Odoo 19's
// account.tax._prepare_base_line_for_taxes_computation, for percentages. The
// raw amounts are not rounded, except by the method round_per_line.
type baseLine struct {
	rawExcluded, rawIncluded decimal.Decimal
	excluded                 decimal.Decimal // rounded; the shop's own when forced
	forcedExcluded           bool
	delta                    decimal.Decimal // what global rounding adds to it
	taxes                    []*taxAmount
}

type taxAmount struct {
	tax            taxRate
	rawTax, amount decimal.Decimal
	forced         *decimal.Decimal
}

// A basis is what the engine needs to know of a line.
type basis struct {
	price, discount, quantity decimal.Decimal
	currency                  int64
	places                    int32
	perLine                   bool
	taxes                     []taxRate
	forced                    json.RawMessage // extra_tax_data
}

var hundred = decimal.NewFromInt(100)

// exact is how many decimals intermediate divisions keep: more than Python's
// floats, so that only true halves are halves.
const exact = 24

// cents rounds half up. Sums of divided amounts may miss a true half by their
// last digits; Odoo's own rounding forgives that with an epsilon.
func cents(d decimal.Decimal, places int32) decimal.Decimal { return d.Round(exact / 2).Round(places) }

func newBaseLine(b basis) *baseLine {
	forced, isForced := readForced(b)
	if isForced {
		b.price = *forced.Price
	}
	raw := b.price.Mul(hundred.Sub(b.discount)).Div(hundred).Mul(b.quantity)
	if b.perLine {
		raw = raw.Round(b.places)
	}
	line := &baseLine{rawExcluded: raw, rawIncluded: raw}
	included := decimal.Zero
	for _, tax := range b.taxes {
		if tax.included {
			included = included.Add(tax.percent)
		}
	}
	round := func(d decimal.Decimal) decimal.Decimal {
		if b.perLine {
			return cents(d, b.places)
		}
		return d
	}
	net := raw
	for _, tax := range b.taxes {
		amount := &taxAmount{tax: tax}
		if tax.included {
			amount.rawTax = round(raw.Mul(tax.percent).DivRound(hundred.Add(included), exact))
			net = net.Sub(amount.rawTax)
		}
		line.taxes = append(line.taxes, amount)
	}
	line.rawExcluded, line.rawIncluded = net, net
	for _, amount := range line.taxes {
		if !amount.tax.included {
			amount.rawTax = round(net.Mul(amount.tax.percent).DivRound(hundred, exact))
		}
		line.rawIncluded = line.rawIncluded.Add(amount.rawTax)
	}
	line.excluded = cents(line.rawExcluded, b.places)
	for _, a := range line.taxes {
		a.amount = cents(a.rawTax, b.places)
	}
	if isForced {
		line.force(forced, b.places)
	}
	return line
}

// force replaces computed amounts by the shop's own.
func (l *baseLine) force(given forcedTax, places int32) {
	if given.Untaxed != nil {
		l.excluded, l.forcedExcluded = *given.Untaxed, true
	}
	for _, a := range l.taxes {
		if v := given.Taxes[decimal.NewFromInt(a.tax.id).String()].Tax; v != nil {
			a.forced, a.amount = v, v.Round(places)
		}
	}
}

// forcedTax is the part of extra_tax_data that changes amounts in the order's
// currency.
type forcedTax struct {
	Currency int64            `json:"currency_id"`
	Price    *decimal.Decimal `json:"price_unit"`
	Discount *decimal.Decimal `json:"discount"`
	Quantity *decimal.Decimal `json:"quantity"`
	Untaxed  *decimal.Decimal `json:"manual_total_excluded_currency"`
	Taxes    map[string]struct {
		Tax *decimal.Decimal `json:"tax_amount_currency"`
	} `json:"manual_tax_amounts"`
}

// readForced gives the forced tax if Odoo would use it: same currency, price,
// discount and quantity, and every tax of the line listed. Else it is ignored
// without a word.
func readForced(b basis) (forcedTax, bool) {
	var f forcedTax
	if len(b.forced) == 0 || bytes.Equal(b.forced, []byte("null")) || json.Unmarshal(b.forced, &f) != nil || len(f.Taxes) == 0 {
		return f, false
	}
	for _, pair := range []struct {
		line  decimal.Decimal
		given *decimal.Decimal
	}{{b.price, f.Price}, {b.discount, f.Discount}, {b.quantity, f.Quantity}} {
		if pair.given == nil || !pair.given.Round(b.places).Equal(pair.line.Round(b.places)) {
			return f, false
		}
	}
	if f.Currency != b.currency {
		return f, false
	}
	for _, tax := range b.taxes {
		if _, ok := f.Taxes[decimal.NewFromInt(tax.id).String()]; !ok {
			return f, false
		}
	}
	return f, true
}

func (l *baseLine) tax() decimal.Decimal {
	sum := decimal.Zero
	for _, a := range l.taxes {
		sum = sum.Add(a.amount)
	}
	return sum
}

// targetTax is what the line contributes to the exact total: forced amounts
// count as they are.
func (a *taxAmount) targetTax() decimal.Decimal {
	if a.forced != nil {
		return *a.forced
	}
	return a.rawTax
}

// settle spreads the cents that rounding over the whole document demands:
// Odoo's _round_tax_details_tax_amounts and _round_tax_details_base_lines.
func settle(lines []*baseLine, places int32) {
	groups := map[int64][]*taxAmount{}
	var order []int64
	for _, l := range lines {
		for _, a := range l.taxes {
			if groups[a.tax.id] == nil {
				order = append(order, a.tax.id)
			}
			groups[a.tax.id] = append(groups[a.tax.id], a)
		}
	}
	for _, id := range order {
		spreadTax(groups[id], places)
	}
	spreadBase(lines, places)
}

func spreadTax(group []*taxAmount, places int32) {
	target, have := decimal.Zero, decimal.Zero
	weights := make([]decimal.Decimal, len(group))
	for i, a := range group {
		target = target.Add(a.targetTax())
		have = have.Add(a.amount)
		weights[i] = a.rawTax
	}
	for i, share := range spread(cents(target, places).Sub(have), weights, places) {
		group[i].amount = group[i].amount.Add(share)
	}
}

func spreadBase(lines []*baseLine, places int32) {
	excludedMode := slices.ContainsFunc(lines, func(l *baseLine) bool {
		return slices.ContainsFunc(l.taxes, func(a *taxAmount) bool { return !a.tax.included })
	})
	target, have := decimal.Zero, decimal.Zero
	weights := make([]decimal.Decimal, len(lines))
	for i, l := range lines {
		target, have = target.Add(l.targetExcluded()), have.Add(l.excluded)
		weights[i] = l.rawExcluded
		if excludedMode {
			continue
		}
		weights[i] = l.rawIncluded
		for _, a := range l.taxes {
			target, have = target.Add(a.targetTax()), have.Add(a.amount)
		}
	}
	if target.IsZero() {
		return
	}
	for i, share := range spread(cents(target, places).Sub(have), weights, places) {
		lines[i].delta = lines[i].delta.Add(share)
	}
}

func (l *baseLine) targetExcluded() decimal.Decimal {
	if l.forcedExcluded {
		return l.excluded
	}
	return l.rawExcluded
}

// spread hands out a difference cent by cent, first by weight, the biggest
// first, then one each: _distribute_delta_amount_smoothly.
func spread(delta decimal.Decimal, weights []decimal.Decimal, places int32) []decimal.Decimal {
	shares := make([]decimal.Decimal, len(weights))
	count := delta.Abs().Shift(places).Round(0).IntPart()
	if count == 0 || len(weights) == 0 {
		return shares
	}
	cent := decimal.New(1, -places)
	if delta.IsNegative() {
		cent = cent.Neg()
	}
	sum := decimal.Zero
	byWeight := make([]int, len(weights))
	for i, w := range weights {
		byWeight[i] = i
		sum = sum.Add(w.Abs())
	}
	sort.SliceStable(byWeight, func(a, b int) bool {
		return weights[byWeight[a]].Abs().GreaterThan(weights[byWeight[b]].Abs())
	})
	left := count
	for _, i := range byWeight {
		factor := decimal.NewFromInt(1).DivRound(decimal.NewFromInt(int64(len(weights))), exact)
		if !sum.IsZero() {
			factor = weights[i].Abs().DivRound(sum, exact)
		}
		n := min(factor.Mul(decimal.NewFromInt(count)).RoundBank(0).IntPart(), left)
		shares[i] = shares[i].Add(cent.Mul(decimal.NewFromInt(n)))
		left -= n
	}
	for k := 0; left > 0; k, left = k+1, left-1 {
		i := byWeight[k%len(byWeight)]
		shares[i] = shares[i].Add(cent)
	}
	return shares
}

// oldLine is a line's money in Odoo 14: compute_all, which rounds the base
// first and, for included prices, takes the tax as what is left of it.
func oldLine(b basis) (untaxed, tax decimal.Decimal) {
	base := b.price.Mul(hundred.Sub(b.discount)).Div(hundred).Mul(b.quantity).Round(b.places)
	included := decimal.Zero
	for _, rate := range b.taxes {
		if rate.included {
			included = included.Add(rate.percent)
		}
	}
	untaxed = base
	if !included.IsZero() {
		untaxed = base.Mul(hundred).DivRound(hundred.Add(included), exact).Round(b.places)
		tax = base.Sub(untaxed)
	}
	places := b.places
	if !b.perLine {
		places += 5
	}
	for _, rate := range b.taxes {
		if !rate.included {
			tax = tax.Add(untaxed.Mul(rate.percent).DivRound(hundred, exact).Round(places))
		}
	}
	return untaxed, tax
}
