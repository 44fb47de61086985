package orders

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/record"
)

func taxed(taxes ...record.TaxLine) record.Order {
	return with(func(o *record.Order) {
		o.Lines = []record.Line{{ExternalID: "1", Kind: record.LineProduct, Quantity: dec("2"), UnitPrice: dec("50"), Taxes: taxes}}
	})
}

func tax(rate, amount string) record.TaxLine {
	return record.TaxLine{Rate: dec(rate), Amount: dec(amount)}
}

func to(c string, o record.Order) record.Order {
	o.Delivery = &record.Address{CountryCode: c}
	return o
}

func TestMatchTaxes(t *testing.T) {
	terms := french()
	terms.Taxes = append(terms.Taxes,
		record.Tax{ID: "20", Name: "VAT 19 % DE", Rate: dec("0.19"), Country: "DE", Active: true},
		record.Tax{ID: "21", Name: "VAT 19 %", Rate: dec("0.19"), Country: "FR", Active: true},
		record.Tax{ID: "22", Name: "Old 10 %", Rate: dec("0.1"), Country: "FR"},
		record.Tax{ID: "23", Name: "VAT 25 % SE", Rate: dec("0.25"), Country: "SE", Active: true},
		record.Tax{ID: "24", Name: "A 7 %", Rate: dec("0.07"), Active: true},
		record.Tax{ID: "25", Name: "B 7 %", Rate: dec("0.07"), Country: "FR", Active: true},
		record.Tax{ID: "26", Name: "Export", Rate: decimal.Zero, Country: "FR", Active: true},
		record.Tax{ID: "27", Name: "Sales 8.25 %", Rate: dec("0.0825"), Active: true},
	)
	none := map[string][]string{}
	one := func(ids ...string) map[string][]string { return map[string][]string{"1": ids} }
	included := func(o record.Order) record.Order { o.TaxesIncluded = true; return o }
	tests := map[string]struct {
		rules Rules
		order record.Order
		want  map[string][]string
		code  string
		fam   string
		text  string // in the resolution
	}{
		"excluded":                      {order: taxed(tax("0.20", "20")), want: one("6")},
		"included":                      {order: included(taxed(tax("0.2", "16.67"))), want: one("7")},
		"none":                          {order: taxed(), want: none},
		"country first":                 {order: to("DE", taxed(tax("0.19", "19"))), want: one("20")},
		"company's country next":        {order: to("IT", taxed(tax("0.19", "19"))), want: one("21")},
		"never a third country's":       {order: to("IT", taxed(tax("0.25", "25"))), code: "orders.tax_unmapped", fam: "25 % excluded, IT", text: "create an active sales tax of 25 % that is excluded"},
		"archived does not count":       {order: taxed(tax("0.1", "10")), code: "orders.tax_unmapped", fam: "10 % excluded, FR", text: "map 10 % excluded, FR"},
		"inclusion is strict":           {order: included(taxed(tax("0.19", "15.97"))), code: "orders.tax_unmapped", fam: "19 % included, FR", text: "included in prices"},
		"country tax beats general one": {order: taxed(tax("0.07", "7")), want: one("25")},
		"ambiguous":                     {order: to("IT", taxed(tax("0.07", "7"))), code: "orders.tax_ambiguous", fam: "7 % excluded, IT", text: "24 (A 7 %), 25 (B 7 %)"},
		"zero rate":                     {order: taxed(tax("0", "0")), want: none},
		"zero rate, mapped":             {rules: Rules{Taxes: []TaxRule{{TaxID: "26"}}}, order: taxed(tax("0", "0")), want: one("26")},
		"zero rate with an amount":      {order: taxed(tax("0", "1")), code: "orders.tax_amount_implausible", fam: "0 % excluded, FR"},
		"two taxes":                     {order: taxed(tax("0.2", "20"), tax("0.055", "5.5")), want: one("6", "8")},
		"two taxes, one combined":       {order: taxed(tax("0.0625", "6.25"), tax("0.02", "2")), want: one("27")},
		"two of one rate":               {order: taxed(tax("0.2", "20"), tax("0.2", "20")), code: "orders.tax_unmapped", fam: "20 % excluded, FR"},
		"half known":                    {order: taxed(tax("0.2", "20"), tax("0.03", "3")), code: "orders.tax_unmapped", fam: "3 % excluded, FR"},
		"rule":                          {rules: Rules{Taxes: []TaxRule{{Rate: dec("0.07"), TaxID: "24"}}}, order: taxed(tax("0.07", "7")), want: one("24")},
		"most specific rule": {rules: Rules{Taxes: []TaxRule{
			{Rate: dec("0.07"), TaxID: "24"}, {Rate: dec("0.07"), Country: "IT", TaxID: "25"}, {Rate: dec("0.07"), Included: pointer(false), TaxID: "24"},
		}}, order: to("IT", taxed(tax("0.07", "7"))), want: one("25")},
		"rule of another country": {rules: Rules{Taxes: []TaxRule{{Rate: dec("0.07"), Country: "DE", TaxID: "24"}}}, order: taxed(tax("0.07", "7")), want: one("25")},
		"rule to a missing tax":   {rules: Rules{Taxes: []TaxRule{{Rate: dec("0.07"), TaxID: "999"}}}, order: taxed(tax("0.07", "7")), code: "orders.tax_mapping_stale", fam: "7 % excluded, FR", text: "tax 999"},
		"rule to an included tax": {rules: Rules{Taxes: []TaxRule{{Rate: dec("0.2"), TaxID: "7"}}}, order: taxed(tax("0.2", "20")), code: "orders.tax_inclusion_differs", fam: "20 % excluded, FR"},
		"rule to another rate":    {rules: Rules{Taxes: []TaxRule{{Rate: dec("0.2"), TaxID: "8"}}}, order: taxed(tax("0.2", "20")), code: "orders.tax_amount_implausible"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			plan, f := MatchTaxes(tt.rules, terms, tt.order)
			require.Equal(t, tt.code, codeOf(f))
			if f != nil {
				assert.Equal(t, "lines[0].taxes", f.Field)
				if tt.fam != "" {
					assert.Equal(t, tt.fam, f.Family)
				}
				assert.Contains(t, f.Resolution, tt.text)
				return
			}
			got := map[string][]string{}
			for line, taxes := range plan {
				got[line] = taxIDs(taxes)
			}
			assert.Empty(t, cmp.Diff(tt.want, got))
		})
	}
}

// A forced tax is believed by Odoo whatever it says, so it must be what the
// rate makes of the line, rounded per line or per unit (odoo-facts 3.2).
func TestTaxAmountsArePlausible(t *testing.T) {
	tests := map[string]struct {
		price, discount, quantity, rate, amount string
		included                                bool
		currency                                string
		ok                                      bool
	}{
		"exact":                  {price: "10", quantity: "1", rate: "0.2", amount: "2", ok: true},
		"a cent more":            {price: "10", quantity: "1", rate: "0.2", amount: "2.01", ok: true},
		"two cents more":         {price: "10", quantity: "1", rate: "0.2", amount: "2.02"},
		"half of it":             {price: "10", quantity: "1", rate: "0.2", amount: "1"},
		"missing":                {price: "10", quantity: "1", rate: "0.2", amount: "0"},
		"rounded per unit":       {price: "0.13", quantity: "100", rate: "0.2", amount: "3", ok: true}, // 100 × 0.03
		"rounded per line":       {price: "0.13", quantity: "100", rate: "0.2", amount: "2.60", ok: true},
		"neither":                {price: "0.13", quantity: "100", rate: "0.2", amount: "2.80"},
		"after the discount":     {price: "10", discount: "5", quantity: "1", rate: "0.2", amount: "1", ok: true},
		"before the discount":    {price: "10", discount: "5", quantity: "1", rate: "0.2", amount: "2"},
		"included":               {price: "12", quantity: "1", rate: "0.2", amount: "2", included: true, ok: true},
		"included, on the gross": {price: "12", quantity: "1", rate: "0.2", amount: "2.4", included: true},
		"yen":                    {price: "1999", quantity: "3", rate: "0.2", amount: "1200", currency: "JPY", ok: true},
		"yen, too far":           {price: "1999", quantity: "3", rate: "0.2", amount: "1202", currency: "JPY"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := taxed(tax(tt.rate, tt.amount))
			o.TaxesIncluded = tt.included
			o.Lines[0].UnitPrice, o.Lines[0].Quantity = dec(tt.price), dec(tt.quantity)
			if tt.discount != "" {
				o.Lines[0].Discount = dec(tt.discount)
			}
			if tt.currency != "" {
				o.Currency = tt.currency
			}
			_, f := MatchTaxes(Rules{}, french(), o)
			if tt.ok {
				assert.Nil(t, f)
			} else {
				assert.Equal(t, "orders.tax_amount_implausible", codeOf(f))
			}
		})
	}
}

func TestTaxNames(t *testing.T) {
	n, f := ListNeeds(Rules{}, sale())
	require.Nil(t, f)
	assert.Equal(t, []string{"20 % excluded, FR"}, n.Taxes)
	n, _ = ListNeeds(Rules{}, with(func(o *record.Order) {
		o.Billing, o.Delivery, o.TaxesIncluded = nil, nil, true
		o.Lines[1].Taxes[0].Rate = dec("0.08875")
	}))
	assert.Equal(t, []string{"20 % included", "8.875 % included"}, n.Taxes)
}
