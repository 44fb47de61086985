package orders

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// TaxPlan says which taxes of the target each line carries, by the line's
// external id. A line without taxes is not in it.
type TaxPlan map[string][]LineTax

// LineTax is one tax of the target on one line.
type LineTax struct {
	TaxID  string          `json:"tax_id"`
	Rate   decimal.Decimal `json:"rate"`   // the target's, a fraction
	Amount decimal.Decimal `json:"amount"` // the shop's
}

// MatchTaxes finds the target's taxes for every line and checks that the
// shop's amounts are what their rates make plausible, since a target that is
// told a tax believes anything.
//
// A tax is found by rate (exactly) and by whether prices include it; one of
// the country where the goods go comes before one of no or the company's
// country. Several taxes on one line (state and city) match one by one, or
// else one tax of their common rate. A rate of zero carries no tax, unless the
// rules map it.
func MatchTaxes(r Rules, terms record.SalesTerms, o record.Order) (TaxPlan, *fault.Fault) {
	m := taxMatcher{rules: r.Taxes, terms: terms, order: o, country: taxCountry(o)}
	plan := TaxPlan{}
	for i, l := range o.Lines {
		if l.Quantity.IsZero() {
			continue
		}
		taxes, f := m.line(l)
		if f == nil {
			f = m.implausible(l, taxes)
		}
		if f != nil {
			return nil, f.WithField(fmt.Sprintf("lines[%d].taxes", i))
		}
		if len(taxes) > 0 {
			plan[l.ExternalID] = taxes
		}
	}
	return plan, nil
}

// taxCountry is where the goods go, as far as the order tells.
func taxCountry(o record.Order) string {
	if c := country(o.Delivery); c != "" {
		return c
	}
	return country(o.Billing)
}

// taxName names a tax as people do: "20 % excluded, FR". It is what equal
// faults share, so that one mapping releases all orders that wait for it.
func taxName(rate decimal.Decimal, o record.Order) string {
	included := o.TaxesIncluded
	name := rate.Shift(2).String() + " % " + inclusion(&included)
	if c := taxCountry(o); c != "" {
		name += ", " + c
	}
	return name
}

type taxMatcher struct {
	rules   []TaxRule
	terms   record.SalesTerms
	order   record.Order
	country string
}

func (m taxMatcher) line(l record.Line) ([]LineTax, *fault.Fault) {
	var (
		taxes    []LineTax
		first    *fault.Fault
		rate     decimal.Decimal
		amount   decimal.Decimal
		positive int
	)
	seen := map[string]bool{}
	for _, t := range l.Taxes {
		tax, f := m.find(t.Rate)
		if t.Rate.IsPositive() {
			positive++
			rate, amount = rate.Add(t.Rate), amount.Add(t.Amount)
		}
		switch {
		case f != nil:
		case tax.ID == "": // a zero rate that nobody mapped
		case seen[tax.ID]:
			f = m.unmapped(t.Rate, "two taxes of one line match the same tax of the target")
		default:
			seen[tax.ID] = true
			taxes = append(taxes, LineTax{TaxID: tax.ID, Rate: tax.Rate, Amount: t.Amount})
		}
		if first == nil {
			first = f
		}
	}
	if first == nil || positive < 2 {
		return taxes, first
	}
	combined, f := m.find(rate)
	if f != nil {
		return nil, first
	}
	return []LineTax{{TaxID: combined.ID, Rate: combined.Rate, Amount: amount}}, nil
}

// find gives the tax of a rate; none, without a fault, for an unmapped zero.
func (m taxMatcher) find(rate decimal.Decimal) (record.Tax, *fault.Fault) {
	if rule, ok := m.rule(rate); ok {
		return m.mapped(rule)
	}
	if rate.IsZero() {
		return record.Tax{}, nil
	}
	var ofCountry, general []record.Tax
	for _, t := range m.terms.Taxes {
		switch {
		case !t.Active || t.PriceIncluded != m.order.TaxesIncluded || !t.Rate.Equal(rate):
		case m.country != "" && t.Country == m.country:
			ofCountry = append(ofCountry, t)
		case t.Country == "" || m.terms.CompanyCountry == "" || t.Country == m.terms.CompanyCountry:
			general = append(general, t)
		}
	}
	for _, candidates := range [][]record.Tax{ofCountry, general} {
		switch len(candidates) {
		case 0:
		case 1:
			return candidates[0], nil
		default:
			return record.Tax{}, m.ambiguous(rate, candidates)
		}
	}
	return record.Tax{}, m.unmapped(rate, "no sales tax of the target matches")
}

// rule gives the most specific rule for a rate.
func (m taxMatcher) rule(rate decimal.Decimal) (TaxRule, bool) {
	best, bestScore := TaxRule{}, -1
	for _, rule := range m.rules {
		score := 0
		if rule.Country != "" {
			score += 2
		}
		if rule.Included != nil {
			score++
		}
		fits := rule.Rate.Equal(rate) && (rule.Country == "" || rule.Country == m.country) &&
			(rule.Included == nil || *rule.Included == m.order.TaxesIncluded)
		if fits && score > bestScore {
			best, bestScore = rule, score
		}
	}
	return best, bestScore >= 0
}

// mapped looks a rule's tax up. A tax whose inclusion differs from the order's
// would change every price, so no rule may choose it.
func (m taxMatcher) mapped(rule TaxRule) (record.Tax, *fault.Fault) {
	at := slices.IndexFunc(m.terms.Taxes, func(t record.Tax) bool { return t.ID == rule.TaxID })
	family := taxName(rule.Rate, m.order)
	if at < 0 || !m.terms.Taxes[at].Active {
		return record.Tax{}, invalid("tax_mapping_stale", "", "the tax mapped to %s is missing or archived in the target", family).
			WithFamily(family).WithResolution("map %s to a tax that exists (it was tax %s)", family, rule.TaxID)
	}
	tax := m.terms.Taxes[at]
	if tax.PriceIncluded != m.order.TaxesIncluded && !tax.Rate.IsZero() {
		return record.Tax{}, invalid("tax_inclusion_differs", "", "the tax mapped to %s is %s in prices", family, inclusion(&tax.PriceIncluded)).
			WithFamily(family).WithResolution("map %s to a tax that is %s in prices (tax %s is not)", family, inclusion(&m.order.TaxesIncluded), tax.ID)
	}
	return tax, nil
}

func (m taxMatcher) unmapped(rate decimal.Decimal, problem string) *fault.Fault {
	family := taxName(rate, m.order)
	return invalid("tax_unmapped", "", "%s: %s", problem, family).WithFamily(family).
		WithResolution("create an active sales tax of %s %% that is %s in prices, or map %s to an existing one; all orders that wait for it go on by themselves",
			rate.Shift(2), inclusion(&m.order.TaxesIncluded), family)
}

func (m taxMatcher) ambiguous(rate decimal.Decimal, candidates []record.Tax) *fault.Fault {
	slices.SortFunc(candidates, func(a, b record.Tax) int { return compareIDs(a.ID, b.ID) })
	names := make([]string, len(candidates))
	for i, t := range candidates {
		names[i] = fmt.Sprintf("%s (%s)", t.ID, t.Name)
	}
	family := taxName(rate, m.order)
	return invalid("tax_ambiguous", "", "%d sales taxes of the target match %s", len(candidates), family).WithFamily(family).
		WithResolution("map %s to one of %s", family, strings.Join(names, ", "))
}

// implausible checks each amount against its rate. Shops round per line or per
// unit; one minor unit is allowed around either.
func (m taxMatcher) implausible(l record.Line, taxes []LineTax) *fault.Fault {
	unit, digits := minorUnit(m.order.Currency), digitsOf(m.order.Currency)
	sum, known := decimal.Zero, decimal.Zero
	for _, t := range taxes {
		sum, known = sum.Add(t.Rate), known.Add(t.Amount)
	}
	if !known.Equal(l.Tax()) {
		return m.amountFault(decimal.Zero, l.Tax().Sub(known), decimal.Zero)
	}
	one := decimal.NewFromInt(1)
	for _, t := range taxes {
		share := t.Rate
		if m.order.TaxesIncluded {
			share = t.Rate.Div(one.Add(sum))
		}
		perLine := l.Net().Mul(share)
		perUnit := l.Net().Div(l.Quantity).Mul(share).Round(digits).Mul(l.Quantity)
		if t.Amount.Sub(perLine).Abs().GreaterThan(unit) && t.Amount.Sub(perUnit).Abs().GreaterThan(unit) {
			return m.amountFault(t.Rate, t.Amount, perLine.Round(digits))
		}
	}
	return nil
}

func (m taxMatcher) amountFault(rate, amount, expected decimal.Decimal) *fault.Fault {
	cur := m.order.Currency
	return invalid("tax_amount_implausible", "", "the shop charged %s %s of tax where the mapped rate of %s %% makes %s %s",
		money(amount, cur), cur, rate.Shift(2), money(expected, cur), cur).
		WithFamily(taxName(rate, m.order)).
		WithResolution("check the tax settings of the shop and the mapping of this rate; correct the line with an edit if the shop is wrong, and retry")
}
