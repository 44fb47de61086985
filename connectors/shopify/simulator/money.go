package simulator

import "github.com/shopspring/decimal"

// digits is how many decimals an amount of the currency has.
func digits(currency string) int32 {
	switch currency {
	case "JPY", "KRW", "VND", "CLP":
		return 0
	case "BHD", "KWD", "OMR", "TND", "JOD":
		return 3
	default:
		return 2
	}
}

// round rounds half up to the currency's smallest unit, as a shop does with
// every line's tax. Amounts here are never negative, so half away from zero is
// half up.
func round(amount decimal.Decimal, currency string) decimal.Decimal {
	return amount.Round(digits(currency))
}

// text is an amount as Shopify prints it: a decimal string with all its cents.
func text(amount decimal.Decimal, currency string) string {
	return amount.StringFixed(digits(currency))
}

// spread splits amount over weights so that the parts add up to it exactly: each
// part is cut to the smallest unit, and what is left goes, one unit each, to
// the parts that lost most.
func spread(amount decimal.Decimal, weights []decimal.Decimal, currency string) []decimal.Decimal {
	parts := make([]decimal.Decimal, len(weights))
	sum := decimal.Sum(decimal.Zero, weights...)
	if sum.IsZero() {
		return parts
	}
	left := amount
	lost := make([]decimal.Decimal, len(weights))
	for i, w := range weights {
		exact := amount.Mul(w).Div(sum)
		parts[i] = exact.Truncate(digits(currency))
		lost[i] = exact.Sub(parts[i])
		left = left.Sub(parts[i])
	}
	for unit := decimal.New(1, -digits(currency)); left.IsPositive(); left = left.Sub(unit) {
		worst := 0
		for i := range lost {
			if lost[i].GreaterThan(lost[worst]) {
				worst = i
			}
		}
		parts[worst] = parts[worst].Add(unit)
		lost[worst] = lost[worst].Sub(unit)
	}
	return parts
}
