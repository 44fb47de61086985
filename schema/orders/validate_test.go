package orders

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func TestValidate(t *testing.T) {
	require.Nil(t, Validate(sale()))
	tests := map[string]struct {
		change func(*record.Order)
		code   string
		field  string
	}{
		"no id":               {func(o *record.Order) { o.ExternalID = "" }, "orders.order_invalid", "external_id"},
		"currency unknown":    {func(o *record.Order) { o.Currency = "EURO" }, "orders.currency_unknown", "currency"},
		"currency lower case": {func(o *record.Order) { o.Currency = "eur" }, "orders.currency_unknown", "currency"},
		"no currency":         {func(o *record.Order) { o.Currency = "XXX" }, "orders.currency_unknown", "currency"},
		"negative total":      {func(o *record.Order) { o.Total = dec("-1") }, "orders.amount_negative", "total"},
		"absurd total":        {func(o *record.Order) { o.Total = dec("1000000000000.01") }, "orders.amount_absurd", "total"},
		"absurd exponent":     {func(o *record.Order) { o.Lines[0].UnitPrice = dec("1e-9999") }, "orders.amount_absurd", "lines[0].unit_price"},
		"negative quantity":   {func(o *record.Order) { o.Lines[0].Quantity = dec("-1") }, "orders.amount_negative", "lines[0].quantity"},
		"negative price":      {func(o *record.Order) { o.Lines[0].UnitPrice = dec("-1") }, "orders.amount_negative", "lines[0].unit_price"},
		"negative discount":   {func(o *record.Order) { o.Lines[0].Discount = dec("-1") }, "orders.amount_negative", "lines[0].discount"},
		"negative tax":        {func(o *record.Order) { o.Lines[0].Taxes[0].Amount = dec("-1") }, "orders.amount_negative", "lines[0].taxes[0].amount"},
		"too much discount":   {func(o *record.Order) { o.Lines[0].Discount = dec("60") }, "orders.discount_exceeds_line", "lines[0].discount"},
		"rate in percent":     {func(o *record.Order) { o.Lines[1].Taxes[0].Rate = dec("20") }, "orders.tax_rate_invalid", "lines[1].taxes[0].rate"},
		"unknown kind":        {func(o *record.Order) { o.Lines[1].Kind = "gift" }, "orders.line_kind_unknown", "lines[1].kind"},
		"line without id":     {func(o *record.Order) { o.Lines[1].ExternalID = "" }, "orders.line_id_invalid", "lines[1].external_id"},
		"two lines of one id": {func(o *record.Order) { o.Lines[1].ExternalID = "77" }, "orders.line_id_invalid", "lines[1].external_id"},
		"total too high":      {func(o *record.Order) { o.Total = dec("82.72") }, "orders.shop_total_mismatch", "total"},
		"tax too high":        {func(o *record.Order) { o.TotalTax = dec("13.95") }, "orders.shop_tax_mismatch", "total_tax"},
		"shipping missing":    {func(o *record.Order) { o.Lines = o.Lines[:1] }, "orders.shop_total_mismatch", "total"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := Validate(with(tt.change))
			require.Equal(t, tt.code, codeOf(f))
			assert.Equal(t, tt.field, f.Field)
			assert.Equal(t, fault.Invalid, f.Kind)
			assert.NotEmpty(t, f.Resolution)
		})
	}

	f := Validate(with(func(o *record.Order) { o.Total = dec("82.72") }))
	assert.Contains(t, f.Message, "77.72 EUR")
	assert.Contains(t, f.Message, "82.72 EUR")

	fine := map[string]func(*record.Order){
		"deleted":                      func(o *record.Order) { *o = record.Order{ExternalID: "1", Deleted: true} },
		"rounded over the whole order": func(o *record.Order) { o.Total = dec("77.74") },
		"no tax total":                 func(o *record.Order) { o.TotalTax = dec("0") },
		"a negative fee with negative tax": func(o *record.Order) {
			o.Lines = append(o.Lines, record.Line{ExternalID: "f", Kind: record.LineFee, Quantity: dec("1"), UnitPrice: dec("-1"),
				Taxes: []record.TaxLine{tax("0.2", "-0.2")}})
			o.Total, o.TotalTax = dec("76.52"), dec("12.75")
		},
	}
	for name, change := range fine {
		t.Run(name, func(t *testing.T) { assert.Nil(t, Validate(with(change))) })
	}
}
