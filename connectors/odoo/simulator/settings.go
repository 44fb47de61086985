package simulator

import (
	"maps"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"
)

// rates are the exchange rates of the template database, per US dollar.
var rates = map[string]decimal.Decimal{
	"USD": dec(1), "EUR": decimal.New(92, -2), "GBP": decimal.New(79, -2), "JPY": dec(150),
}

func rateOf(t *tx, currency *record) decimal.Decimal {
	if currency != nil {
		if rate, ok := rates[t.text(currency, "name")]; ok {
			return rate
		}
	}
	return dec(1) // a missing rate is no error in Odoo: it counts as 1
}

// settingRules are those of the models that describe how a company sells.
func settingRules(models map[string]*model) {
	currency := models["res.currency"]
	currency.computed["rate"] = func(t *tx, r *record) any { return rateOf(t, r) }
	models["product.pricelist"].computed["display_name"] = func(t *tx, r *record) any {
		return t.text(r, "name") + " (" + asText(through("currency_id", "name")(t, r)) + ")"
	}
	models["res.country.state"].computed["display_name"] = func(t *tx, r *record) any {
		return t.text(r, "name") + " (" + asText(through("country_id", "code")(t, r)) + ")"
	}
	tax := models["account.tax"]
	tax.filled = []filling{
		{"amount", fixed(decimal.Zero)}, {"amount_type", fixed("percent")}, {"type_tax_use", fixed("sale")}, {"sequence", fixed(int64(1))},
		{"company_id", func(t *tx, r *record) any { return t.company().id }},
		{"country_id", func(t *tx, r *record) any { return t.get(t.company(), "country_id") }},
	}
	if tax.fields["price_include_override"] != nil {
		tax.computed["price_include"] = func(t *tx, r *record) any { return taxIncluded(t, r) }
	}
	for _, m := range []*model{models["account.tax"], models["product.pricelist"], models["account.fiscal.position"],
		models["account.payment.term"], models["stock.warehouse"], models["crm.team"]} {
		m.filled = append(m.filled, filling{"active", fixed(true)})
	}
	models["account.fiscal.position"].computed["tax_map"] = func(t *tx, r *record) any { return r.values["tax_map"] }
	models["ir.model.data"].computed["complete_name"] = func(t *tx, r *record) any {
		return t.text(r, "module") + "." + t.text(r, "name")
	}
}

func taxIncluded(t *tx, r *record) bool {
	switch t.text(r, "price_include_override") {
	case "tax_included":
		return true
	case "tax_excluded":
		return false
	}
	if r.model.fields["price_include_override"] == nil {
		b, _ := r.values["price_include"].(bool)
		return b
	}
	return t.text(t.company(), "account_price_include") == "tax_included"
}

// company is the one company of the simulated database.
func (t *tx) company() *record {
	m := t.model("res.company")
	first := slices.Min(slices.Collect(maps.Keys(m.rows)))
	return m.rows[first]
}

func firstPriceList(t *tx) any {
	found := t.search(t.model("product.pricelist"), nil, "sequence, id", 0, 1)
	if len(found) == 0 {
		return nil
	}
	return found[0].id
}

// mapTaxes replaces taxes by what the fiscal position says.
func mapTaxes(position *record, taxes []int64) []int64 {
	if position == nil {
		return taxes
	}
	table, _ := position.values["tax_map"].(map[string][]int64)
	var mapped []int64
	for _, id := range taxes {
		if to, ok := table[strconv.FormatInt(id, 10)]; ok {
			mapped = append(mapped, to...)
		} else {
			mapped = append(mapped, id)
		}
	}
	return mapped
}

// fiscalPosition is what Odoo detects for a delivery to a partner.
func fiscalPosition(t *tx, partner *record) any {
	if partner == nil || t.related(partner, "country_id") == nil {
		return nil
	}
	country := t.related(partner, "country_id").id
	for _, p := range t.search(t.model("account.fiscal.position"), []any{[]any{"auto_apply", "=", true}}, "sequence, id", 0, 0) {
		if c := t.related(p, "country_id"); c == nil || c.id == country {
			return p.id
		}
	}
	return nil
}
