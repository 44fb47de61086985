package simulator

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// taxField is the name of a line's taxes: it changed in Odoo 19.
func taxField(version int) string {
	if version < 19 {
		return "tax_id"
	}
	return "tax_ids"
}

// lineRules are those of order lines.
func lineRules(m *model) {
	for _, name := range []string{"state", "currency_id", "company_id"} {
		m.computed[name] = through("order_id", name)
	}
	m.computed["order_partner_id"] = through("order_id", "partner_id")
	m.computed["salesman_id"] = through("order_id", "user_id")
	m.computed["product_template_id"] = through("product_id", "product_tmpl_id")
	m.computed["product_type"] = through("product_id", "type")
	m.computed["tax_calculation_rounding_method"] = through("order_id", "tax_calculation_rounding_method")
	m.computed["invoice_status"] = lineInvoiceStatus
	m.computed["product_updatable"] = func(t *tx, r *record) any { return productUpdatable(t, r) }
	m.computed["display_name"] = func(t *tx, r *record) any {
		order := t.related(r, "order_id")
		first, _, _ := strings.Cut(t.text(r, "name"), "\n")
		partner := ""
		if p := t.related(order, "partner_id"); p != nil {
			partner = " (" + asText(t.get(p, "name")) + ")"
		}
		return t.text(order, "name") + " - " + first + partner
	}
	m.filled = []filling{
		{"sequence", fixed(int64(10))},
		{"product_uom_qty", fixed(dec(1))},
		{unitField(m), func(t *tx, r *record) any {
			if p := t.related(r, "product_id"); p != nil {
				return t.get(p, "uom_id")
			}
			return nil
		}},
		{"name", func(t *tx, r *record) any { return lineName(t, r) }},
		{"price_unit", fixed(decimal.Zero)}, // linePrice gives the real one
		{"customer_lead", fixed(decimal.Zero)},
		{"qty_delivered", fixed(decimal.Zero)},
		{"qty_invoiced", fixed(decimal.Zero)},
	}
	m.writing = lineWriting
	m.written = lineWritten
	m.unlinking = func(t *tx, r *record) {
		order := t.related(r, "order_id")
		if s := t.text(order, "state"); s == "sale" || s == "done" {
			if t.db.version < 19 {
				raise(userError("You can not remove an order line once the sales order is confirmed.\nYou should rather set the quantity to 0."))
			}
			raise(userError("Once a sales order is confirmed, you can't remove one of its lines (we need to track if something gets invoiced or delivered).\n                Set the quantity to 0 instead."))
		}
		t.changed(order)
	}
}

func unitField(m *model) string {
	if m.fields["product_uom_id"] != nil {
		return "product_uom_id"
	}
	return "product_uom"
}

func lineName(t *tx, r *record) any {
	p := t.related(r, "product_id")
	if p == nil {
		return nil
	}
	name := asText(t.get(p, "display_name"))
	if more := t.text(p, "description_sale"); more != "" {
		name += "\n" + more
	}
	return name
}

func lineInvoiceStatus(t *tx, r *record) any {
	if s := t.text(r, "state"); s != "sale" && s != "done" {
		return "no"
	}
	done := t.decimal(r, "qty_invoiced")
	switch wanted := t.decimal(r, "product_uom_qty"); {
	case !done.Equal(wanted):
		return "to invoice"
	case wanted.IsZero():
		return "no"
	}
	return "invoiced"
}

func productUpdatable(t *tx, r *record) bool {
	order := t.related(r, "order_id")
	switch s := t.text(order, "state"); {
	case s == "cancel":
		return false
	case s == "sale" || s == "done":
		// With stock installed the delivery of goods forbids it; services may
		// change until they are invoiced or delivered.
		return !isGoods(t, r) && !t.flag(order, "locked") && t.decimal(r, "qty_invoiced").IsZero() && t.decimal(r, "qty_delivered").IsZero()
	}
	return true
}

func isGoods(t *tx, r *record) bool {
	p := t.related(r, "product_id")
	return p != nil && t.text(p, "type") != "service"
}

// protected fields cannot be written while the order is locked, not even with
// the values they have.
func protectedFields(version int) []string {
	if version < 19 {
		return []string{"product_id", "name", "price_unit", "product_uom", "product_uom_qty", "tax_id", "analytic_tag_ids", "discount"}
	}
	return []string{"product_id", "name", "price_unit", "product_uom_id", "product_uom_qty", "tax_ids", "analytic_distribution", "discount"}
}

func lineWriting(t *tx, r *record, values map[string]any) {
	order := t.related(r, "order_id")
	if v, ok := values["product_id"]; ok && t.db.version >= 19 && !productUpdatable(t, r) {
		if id, _ := asInt(v); id != t.integer(r, "product_id") {
			raise(userError("You cannot modify the product of this order line."))
		}
	}
	if v, ok := values["product_uom_qty"]; ok && t.text(order, "state") == "sale" {
		wanted := number(v)
		if !wanted.Equal(t.decimal(r, "product_uom_qty")) && isGoods(t, r) && wanted.LessThan(t.decimal(r, "qty_delivered")) {
			if t.db.version < 19 {
				raise(userError("You cannot decrease the ordered quantity below the delivered quantity.\nCreate a return first."))
			}
			raise(userError("The ordered quantity of a sale order line cannot be decreased below the amount already delivered. Instead, create a return in your inventory."))
		}
	}
	if _, ok := values["price_unit"]; !ok {
		delete(values, "technical_price_unit")
	}
	if t.flag(order, "locked") || t.text(order, "state") == "done" {
		refuseLocked(t, r, values)
	}
}

func refuseLocked(t *tx, r *record, values map[string]any) {
	names := protectedFields(t.db.version)
	slices.Sort(names)
	var labels []string
	for _, name := range names {
		if _, ok := values[name]; ok {
			labels = append(labels, r.model.fields[name].label)
		}
	}
	if len(labels) > 0 {
		raise(userError("It is forbidden to modify the following fields in a locked order:\n%s", strings.Join(labels, "\n")))
	}
}

// lineWritten fills in what Odoo computes, then the money of line and order.
func lineWritten(t *tx, r *record, given map[string]bool, created bool) {
	taxes := taxField(t.db.version)
	if !created && given["product_id"] && t.db.version >= 19 && !given["name"] {
		t.put(r, "name", lineName(t, r))
	}
	if (created || given["product_id"] && t.db.version >= 19) && !given[taxes] {
		t.put(r, taxes, lineTaxes(t, r))
	}
	linePrice(t, r, given, created)
	if created && !given["discount"] {
		t.put(r, "discount", decimal.Zero)
	}
	for _, name := range []string{"product_uom_qty", "discount", "price_unit", taxes, "product_id"} {
		if created || given[name] {
			t.computeLine(r)
			t.changed(t.related(r, "order_id"))
			break
		}
	}
}

// linePrice keeps a price that was set by hand and recomputes Odoo's own: a
// price is Odoo's own while it equals technical_price_unit (odoo-facts 3.4).
func linePrice(t *tx, r *record, given map[string]bool, created bool) {
	tracked := r.model.fields["technical_price_unit"] != nil
	if created {
		switch {
		case !given["price_unit"]:
			price := productPrice(t, r)
			t.put(r, "price_unit", price)
			if tracked {
				t.put(r, "technical_price_unit", price)
			}
		case tracked && !given["technical_price_unit"]:
			t.put(r, "technical_price_unit", t.decimal(r, "price_unit"))
		}
		return
	}
	if !tracked || given["price_unit"] || !given["product_uom_qty"] && !given["product_id"] || t.decimal(r, "qty_invoiced").IsPositive() {
		return
	}
	places := int32(t.integer(t.related(r, "currency_id"), "decimal_places"))
	if t.decimal(r, "price_unit").Round(places).Equal(t.decimal(r, "technical_price_unit").Round(places)) {
		price := productPrice(t, r)
		t.put(r, "price_unit", price)
		t.put(r, "technical_price_unit", price)
	}
}

func productPrice(t *tx, r *record) decimal.Decimal {
	p := t.related(r, "product_id")
	if p == nil {
		return decimal.Zero
	}
	currency := t.related(r, "currency_id")
	price := t.decimal(p, "list_price").Mul(rateOf(t, currency))
	return price.Round(int32(t.integer(currency, "decimal_places")))
}

func lineTaxes(t *tx, r *record) []int64 {
	p := t.related(r, "product_id")
	if p == nil {
		return nil
	}
	taxes, _ := t.get(p, "taxes_id").([]int64)
	return mapTaxes(t.related(t.related(r, "order_id"), "fiscal_position_id"), taxes)
}

// basis gathers what a line's money is computed of.
func (t *tx) basis(r *record) basis {
	currency := t.related(r, "currency_id")
	b := basis{
		price: t.decimal(r, "price_unit"), discount: t.decimal(r, "discount"), quantity: t.decimal(r, "product_uom_qty"),
		currency: currency.id, places: int32(t.integer(currency, "decimal_places")),
		perLine: t.text(t.company(), "tax_calculation_rounding_method") == "round_per_line",
	}
	for _, tax := range t.relatedMany(r, taxField(t.db.version)) {
		b.taxes = append(b.taxes, taxRate{id: tax.id, percent: t.decimal(tax, "amount"), included: taxIncluded(t, tax)})
	}
	b.forced, _ = r.values["extra_tax_data"].(json.RawMessage)
	return b
}

func (t *tx) computeLine(r *record) {
	b := t.basis(r)
	var untaxed, tax decimal.Decimal
	if t.db.version < 19 {
		untaxed, tax = oldLine(b)
	} else {
		line := newBaseLine(b)
		untaxed, tax = line.excluded, line.tax()
	}
	t.put(r, "price_subtotal", untaxed)
	t.put(r, "price_tax", tax)
	t.put(r, "price_total", untaxed.Add(tax).Round(b.places))
}
