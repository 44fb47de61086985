package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/odoo_addons/odootest"
)

// A variant is one way to tax and to discount, as shops do.
type variant struct {
	name     string
	taxes    [2]int64 // ids of the template's taxes
	rates    [2]string
	included bool
	forced   bool
	pricelist,
	currency int64
	places  int32
	percent bool // discounts as percentages, else as lines of their own
}

var variants = []variant{
	{name: "20 and 5.5 included", taxes: [2]int64{5, 7}, rates: [2]string{"0.2", "0.055"}, included: true, pricelist: 3, currency: 126, places: 2},
	{name: "20 and 5.5 excluded", taxes: [2]int64{6, 8}, rates: [2]string{"0.2", "0.055"}, pricelist: 3, currency: 126, places: 2},
	{name: "8.875 excluded", taxes: [2]int64{10, 10}, rates: [2]string{"0.08875", "0.08875"}, pricelist: 2, currency: 1, places: 2},
	{name: "8.875 included with percentages", taxes: [2]int64{9, 9}, rates: [2]string{"0.08875", "0.08875"}, included: true, percent: true, pricelist: 2, currency: 1, places: 2},
	{name: "20 and 5.5 excluded with percentages", taxes: [2]int64{6, 8}, rates: [2]string{"0.2", "0.055"}, percent: true, pricelist: 4, currency: 144, places: 2},
	{name: "mixed included and excluded", taxes: [2]int64{5, 6}, rates: [2]string{"0.2", "0.2"}, pricelist: 3, currency: 126, places: 2},
	{name: "yen included", taxes: [2]int64{5, 7}, rates: [2]string{"0.2", "0.055"}, included: true, pricelist: 5, currency: 25, places: 0},
	{name: "20 and 5.5 included, forced", taxes: [2]int64{5, 7}, rates: [2]string{"0.2", "0.055"}, included: true, forced: true, pricelist: 3, currency: 126, places: 2},
	{name: "20 and 5.5 excluded, forced", taxes: [2]int64{6, 8}, rates: [2]string{"0.2", "0.055"}, forced: true, pricelist: 3, currency: 126, places: 2},
	{name: "8.875 excluded, forced", taxes: [2]int64{10, 10}, rates: [2]string{"0.08875", "0.08875"}, forced: true, pricelist: 2, currency: 1, places: 2},
}

var moneyColumns = l{"id", "partner_id/.id", "pricelist_id/.id", "order_line/id", "order_line/product_id/.id", "order_line/name",
	"order_line/product_uom_qty", "order_line/price_unit", "order_line/discount", "order_line/tax_ids/.id",
	"order_line/technical_price_unit", "order_line/extra_tax_data"}

// generated makes an order of one to six lines and what the shop charged,
// which rounds tax half up per line.
func (v variant) generated(random *rand.Rand, id string) (rows l, total, tax decimal.Decimal) {
	for n := range 1 + random.IntN(6) {
		which := random.IntN(2)
		price := decimal.New(int64(1+random.IntN(9999)), -v.places)
		quantity := decimal.NewFromInt(int64(1 + random.IntN(7)))
		discount := decimal.Zero
		net := price.Mul(quantity)
		if v.percent && random.IntN(2) == 0 {
			discount = decimal.New(int64(random.IntN(5000)), -2)
		}
		lines := []struct{ price, quantity decimal.Decimal }{{price, quantity}}
		if off := decimal.New(int64(random.IntN(300)), -v.places); !v.percent && off.LessThan(net) && !off.IsZero() {
			lines = append(lines, struct{ price, quantity decimal.Decimal }{off.Neg(), decimal.NewFromInt(1)})
		}
		for k, line := range lines {
			amount := line.price.Mul(line.quantity)
			rate := decimal.RequireFromString(v.rates[which])
			share := amount.Mul(rate).Round(v.places)
			untaxed := amount
			if v.included {
				share = amount.Mul(rate).DivRound(decimal.NewFromInt(1).Add(rate), 20).Round(v.places)
				untaxed = amount.Sub(share)
			}
			total, tax = total.Add(untaxed).Add(share), tax.Add(share)
			extra := ""
			if v.forced {
				raw, _ := json.Marshal(d{"currency_id": v.currency, "price_unit": json.Number(line.price.String()), "discount": 0, "quantity": json.Number(line.quantity.String()),
					"manual_total_excluded_currency": json.Number(untaxed.String()),
					"manual_tax_amounts":             d{fmt.Sprint(v.taxes[which]): d{"tax_amount_currency": json.Number(share.String()), "base_amount_currency": json.Number(untaxed.String())}}})
				extra = string(raw)
			}
			header := l{"@" + id, "#p.0", fmt.Sprint(v.pricelist)}
			if len(rows) > 0 {
				header = l{"", "", ""}
			}
			rows = append(rows, append(header, fmt.Sprintf("@%s-%d-%d", id, n, k), "5", "Thing", line.quantity.String(), line.price.String(),
				discount.String(), fmt.Sprint(v.taxes[which]), "-1", extra))
		}
	}
	return rows, total, tax
}

// TestConformanceMoney compares 30 generated orders for each way to tax, to
// the cent, under both rounding methods; and the forced ones with the shop.
func TestConformanceMoney(t *testing.T) {
	real := realSide(t)
	odootest.Alone(t)
	t.Cleanup(func() { setRounding(t, real, "round_globally") })
	simulated := simulatedSide(t)
	for _, method := range []string{"round_globally", "round_per_line"} {
		setRounding(t, real, method)
		setRounding(t, simulated, method)
		for i, v := range variants {
			t.Run(method+"/"+v.name, func(t *testing.T) { compareMoney(t, real, simulated, v, fmt.Sprintf("%s-%d", method[6:8], i)) })
		}
	}
}

func setRounding(t *testing.T, s *side, method string) {
	answer := s.call(t, exchange{user: "admin", model: "res.company", method: "write", args: l{l{1}, d{"tax_calculation_rounding_method": method}}})
	require.Equal(t, true, answer["result"], "%v", answer)
}

func compareMoney(t *testing.T, real, simulated *side, v variant, id string) {
	random := rand.New(rand.NewPCG(1, uint64(len(v.name))))
	var rows l
	var totals []decimal.Decimal
	for n := range 30 {
		order, total, _ := v.generated(random, fmt.Sprintf("%s-%d", id, n))
		rows, totals = append(rows, order...), append(totals, total)
	}
	var answers [2][]any
	for i, s := range []*side{real, simulated} {
		s.call(t, exchange{model: "res.partner", method: "load", args: l{l{"id", "name"}, l{l{"@p1", "Ann"}}}, save: "p"})
		answer := s.call(t, exchange{model: "sale.order", method: "load", args: l{moneyColumns, rows}, save: "o"})
		require.Len(t, s.saved["o"], 30, "%v", answer)
		read := s.call(t, exchange{model: "sale.order", method: "read", args: l{"$o", l{"amount_untaxed", "amount_tax", "amount_total"}}})
		answers[i], _ = s.walk("sale.order", "", read["result"]).([]any)
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Errorf("totals differ (-real +simulated):\n%s", diff)
	}
	if !v.forced {
		return
	}
	for i, answer := range answers[1] {
		got := decimal.RequireFromString(answer.(map[string]any)["amount_total"].(string))
		require.True(t, totals[i].Equal(got), "order %d: the shop charged %s, Odoo says %s", i, totals[i], got)
	}
}
