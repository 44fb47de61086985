package orders

import (
	"math/big"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

// minorDigits are the ISO 4217 exponents that are not 2. CLDR's table, which
// x/text has, differs on purpose (0 for RSD and IQD, "as used in daily life"),
// while shops and Odoo charge in ISO's units.
var minorDigits = map[string]int32{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0,
	"PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// digitsOf is how many decimals amounts of a currency have.
func digitsOf(code string) int32 {
	if d, ok := minorDigits[code]; ok {
		return d
	}
	return 2
}

// Amount writes an amount as its currency does: 12.50 EUR, 1300 JPY; with more
// digits only where it has them.
func Amount(d decimal.Decimal, currency string) string { return money(d, currency) }

// minorUnit is the smallest amount of a currency: 0.01 for EUR, 1 for JPY.
func minorUnit(code string) decimal.Decimal { return decimal.New(1, -digitsOf(code)) }

// isCurrency reports whether code is an upper-case ISO 4217 code.
func isCurrency(code string) bool {
	unit, err := currency.ParseISO(code)
	return err == nil && unit.String() == code && code != "XXX" && code != "XTS"
}

// sane keeps numbers away that no shop charges, and those of a few bytes of
// JSON (1e9999) whose mere addition makes thousands of digits.
func sane(d decimal.Decimal) bool {
	const maxDigits, maxScale, maxMagnitude = 40, 24, 12
	if d.IsZero() {
		return d.Exponent() > -maxScale-maxDigits && d.Exponent() <= maxMagnitude
	}
	if d.Exponent() < -maxScale || d.Exponent() > maxMagnitude || d.Coefficient().BitLen() > 4*maxDigits {
		return false
	}
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(maxMagnitude), nil)
	return d.Abs().LessThanOrEqual(decimal.NewFromBigInt(limit, 0))
}
