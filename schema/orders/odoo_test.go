package orders

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// odooTotals is a small reference of how Odoo totals an order: a forced tax is
// obeyed, else tax is computed from the price that the server kept, rounded
// line by line or once per tax over the whole order.
func odooTotals(terms record.SalesTerms, row record.OrderRow) record.OrderState {
	const cents = 2
	byID := map[string]record.Tax{}
	for _, t := range terms.Taxes {
		byID[t.ID] = t
	}
	untaxed, taxed := decimal.Zero, decimal.Zero
	raw := map[string]decimal.Decimal{} // tax id -> unrounded, when rounding globally
	state := record.OrderState{ID: "9", XID: row.XID, Stage: record.StageDraft, Currency: row.Currency}
	for _, l := range row.Lines {
		price := l.UnitPrice
		if terms.PriceDigits >= 0 {
			price = price.Round(terms.PriceDigits)
		}
		state.Lines = append(state.Lines, record.LineState{ProductID: l.ProductID, Name: l.Name, Quantity: l.Quantity, UnitPrice: price})
		if f := l.ForcedTax; f != nil && terms.ForcedTax && len(f.ByTax) == len(l.TaxIDs) {
			untaxed = untaxed.Add(f.Untaxed)
			for _, amount := range f.ByTax {
				taxed = taxed.Add(amount)
			}
			continue
		}
		amount := price.Mul(l.Quantity)
		share, included := decimal.NewFromInt(1), false
		for _, id := range l.TaxIDs {
			if byID[id].PriceIncluded {
				share, included = share.Add(byID[id].Rate), true
			}
		}
		lineTax := decimal.Zero
		for _, id := range l.TaxIDs {
			tax := amount.Mul(byID[id].Rate).DivRound(share, 16)
			if terms.RoundPerLine {
				tax = amount.Round(cents).Mul(byID[id].Rate).DivRound(share, 16).Round(cents)
				taxed = taxed.Add(tax)
			} else {
				raw[id] = raw[id].Add(tax)
			}
			lineTax = lineTax.Add(tax)
		}
		switch {
		case !included:
			untaxed = untaxed.Add(amount.Round(cents))
		case terms.RoundPerLine:
			untaxed = untaxed.Add(amount.Round(cents).Sub(lineTax))
		default: // the total of included prices is kept, the split is what is left
			untaxed = untaxed.Add(amount)
		}
	}
	for id, tax := range raw {
		taxed = taxed.Add(tax.Round(cents))
		if byID[id].PriceIncluded {
			untaxed = untaxed.Sub(tax.Round(cents))
		}
	}
	state.Tax, state.Total = taxed, untaxed.Add(taxed).Round(cents)
	return state
}

func xids(row record.OrderRow) []string {
	var out []string
	for _, l := range row.Lines {
		out = append(out, l.XID)
	}
	return out
}

func distinct(values []string) bool {
	sorted := slices.Sorted(slices.Values(values))
	return len(slices.Compact(sorted)) == len(values)
}

// lineText prints lines for tables: "p77 3 × 19.99 [6]".
func lineText(row record.OrderRow) []string {
	var out []string
	for _, l := range row.Lines {
		out = append(out, l.ProductID+" "+l.Quantity.String()+" × "+l.UnitPrice.String()+" ["+strings.Join(l.TaxIDs, ",")+"]")
	}
	return out
}
