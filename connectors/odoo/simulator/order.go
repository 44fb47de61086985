package simulator

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"
)

// orderRules are those of sales orders.
func orderRules(m *model, version int) {
	m.computed["display_name"] = func(t *tx, r *record) any { return t.get(r, "name") }
	m.computed["currency_id"] = orderCurrency
	m.computed["currency_rate"] = func(t *tx, r *record) any { return rateOf(t, t.related(r, "currency_id")) }
	m.computed["invoice_status"] = orderInvoiceStatus
	m.computed["tax_calculation_rounding_method"] = through("company_id", "tax_calculation_rounding_method")
	m.computed["country_code"] = func(t *tx, r *record) any { return through("country_id", "code")(t, t.company()) }
	m.computed["type_name"] = func(t *tx, r *record) any {
		if s := t.text(r, "state"); s == "sale" || s == "done" {
			return "Sales Order"
		}
		return "Quotation"
	}
	m.filled = []filling{
		{"company_id", func(t *tx, r *record) any { return t.company().id }},
		{"date_order", func(t *tx, r *record) any { return t.now.Format(datetimeLayout) }},
		{"state", fixed("draft")},
		{"locked", fixed(false)},
		{"picking_policy", fixed("direct")},
		{"require_signature", fixed(true)},
		{"require_payment", fixed(false)},
		{"prepayment_percent", fixed(dec(1))},
		{"validity_date", func(t *tx, r *record) any { return t.now.AddDate(0, 0, 30).Format(dateLayout) }},
		{"user_id", func(t *tx, r *record) any { return t.user.ID }},
		{"team_id", func(t *tx, r *record) any { return int64(1) }},
		{"warehouse_id", func(t *tx, r *record) any { return int64(1) }},
		{"partner_invoice_id", orderAddress("invoice")},
		{"partner_shipping_id", orderAddress("delivery")},
		{"pricelist_id", orderPriceList},
		{"fiscal_position_id", orderFiscalPosition},
		{"name", func(t *tx, r *record) any {
			t.db.numbers++
			return fmt.Sprintf("S%05d", t.db.numbers)
		}},
	}
	if version < 19 {
		m.filled = slices.DeleteFunc(m.filled, func(f filling) bool { return f.field == "locked" || f.field == "prepayment_percent" })
	}
	m.writing = orderWriting
	m.written = orderWritten
	m.unlinking = orderUnlinking
}

func orderCurrency(t *tx, r *record) any {
	if list := t.related(r, "pricelist_id"); list != nil {
		return t.get(list, "currency_id")
	}
	return t.get(t.company(), "currency_id")
}

func orderAddress(kind string) func(*tx, *record) any {
	return func(t *tx, r *record) any {
		if partner := t.related(r, "partner_id"); partner != nil {
			return addressFor(t, partner, kind)
		}
		return nil
	}
}

func orderPriceList(t *tx, r *record) any {
	if t.related(r, "partner_id") == nil {
		return nil
	}
	return firstPriceList(t)
}

func orderFiscalPosition(t *tx, r *record) any {
	partner := t.related(r, "partner_shipping_id")
	if partner == nil {
		partner = t.related(r, "partner_id")
	}
	return fiscalPosition(t, partner)
}

func orderInvoiceStatus(t *tx, r *record) any {
	if s := t.text(r, "state"); s != "sale" && s != "done" {
		return "no"
	}
	status := map[string]int{}
	lines := t.relatedMany(r, "order_line")
	for _, line := range lines {
		status[t.text(line, "invoice_status")]++
	}
	switch {
	case status["to invoice"] > 0:
		return "to invoice"
	case len(lines) > 0 && status["invoiced"] == len(lines):
		return "invoiced"
	}
	return "no"
}

func orderWriting(t *tx, r *record, values map[string]any) {
	if _, ok := values["pricelist_id"]; ok && t.db.version >= 19 && t.text(r, "state") == "sale" {
		raise(userError("You cannot change the pricelist of a confirmed order !"))
	}
}

func orderWritten(t *tx, r *record, given map[string]bool, created bool) {
	if given["name"] && t.text(r, "name") == "New" {
		t.db.numbers++
		t.put(r, "name", fmt.Sprintf("S%05d", t.db.numbers))
	}
	if given["partner_id"] && !created && t.db.version >= 19 {
		for field, value := range map[string]func(*tx, *record) any{
			"partner_invoice_id": orderAddress("invoice"), "partner_shipping_id": orderAddress("delivery"),
		} {
			if !given[field] {
				t.put(r, field, value(t, r))
			}
		}
		if !given["fiscal_position_id"] {
			t.put(r, "fiscal_position_id", orderFiscalPosition(t, r))
		}
	}
	if given["pricelist_id"] && !created {
		for _, line := range t.relatedMany(r, "order_line") {
			t.computeLine(line)
		}
	}
	t.changed(r)
}

func orderUnlinking(t *tx, r *record) {
	if s := t.text(r, "state"); s != "draft" && s != "cancel" {
		raise(userError("You can not delete a sent quotation or a confirmed sales order. You must first cancel it."))
	}
	for _, line := range t.relatedMany(r, "order_line") {
		t.remove(line)
	}
}

// computeOrder sums up the order's money.
func (t *tx) computeOrder(r *record) {
	currency := t.related(r, "currency_id")
	places := int32(t.integer(currency, "decimal_places"))
	untaxed, tax := decimal.Zero, decimal.Zero
	lines := t.relatedMany(r, "order_line")
	if t.db.version < 19 {
		for _, line := range lines {
			untaxed = untaxed.Add(t.decimal(line, "price_subtotal"))
			tax = tax.Add(t.decimal(line, "price_tax"))
		}
	} else {
		bases := make([]*baseLine, len(lines))
		for i, line := range lines {
			bases[i] = newBaseLine(t.basis(line))
		}
		settle(bases, places)
		for _, b := range bases {
			untaxed = untaxed.Add(b.excluded).Add(b.delta)
			tax = tax.Add(b.tax())
		}
	}
	total := untaxed.Add(tax).Round(places)
	for name, v := range map[string]decimal.Decimal{"amount_untaxed": untaxed.Round(places), "amount_tax": tax.Round(places), "amount_total": total} {
		if old, ok := r.values[name].(decimal.Decimal); !ok || !old.Equal(v) {
			t.put(r, name, v)
		}
	}
}

// confirm is action_confirm: all of the orders or none.
func (t *tx) confirm(orders []*record) any {
	for _, r := range orders {
		s := t.text(r, "state")
		switch {
		case t.db.version < 19 && (s == "cancel" || s == "done"):
			raise(userError("It is not allowed to confirm an order in the following states: cancel, done"))
		case t.db.version >= 19 && s != "draft" && s != "sent":
			raise(userError("Some orders are not in a state requiring confirmation."))
		}
		for _, line := range t.relatedMany(r, "order_line") {
			if t.related(line, "product_id") == nil && t.db.version >= 19 {
				raise(userError("Some order lines are missing a product, you need to correct them before going further."))
			}
		}
	}
	for _, r := range orders {
		t.put(r, "state", "sale")
		t.put(r, "date_order", t.now.Format(datetimeLayout))
		t.stampWrite(r)
	}
	return true
}

func (t *tx) cancel(orders []*record) any {
	for _, r := range orders {
		if t.flag(r, "locked") {
			raise(userError("You cannot cancel a locked order. Please unlock it first."))
		}
	}
	for _, r := range orders {
		// Odoo 14 asks back when something was delivered, or invoiced as a
		// draft: a dict means not done (odoo-facts section 4).
		if t.db.version < 19 && t.context["disable_cancel_warning"] != true && t.touched(r) {
			return map[string]any{"type": "ir.actions.act_window", "res_model": "sale.order.cancel", "view_mode": "form",
				"name": "Cancel Sales Order", "target": "new", "context": map[string]any{"default_order_id": r.id}}
		}
		t.put(r, "state", "cancel")
		t.stampWrite(r)
	}
	return true
}

// touched: something of the order was delivered.
func (t *tx) touched(r *record) bool {
	return slices.ContainsFunc(t.relatedMany(r, "order_line"), func(line *record) bool {
		return t.decimal(line, "qty_delivered").IsPositive()
	})
}

func (t *tx) draft(orders []*record) any {
	for _, r := range orders {
		if s := t.text(r, "state"); s == "cancel" || s == "sent" {
			t.put(r, "state", "draft")
			t.stampWrite(r)
		}
	}
	return true
}

func (t *tx) lock(orders []*record, locked bool) any {
	for _, r := range orders {
		if t.db.version >= 19 {
			t.put(r, "locked", locked)
		} else if locked {
			t.put(r, "state", "done")
		} else {
			t.put(r, "state", "sale") // also a cancelled one: Odoo 14 does
		}
		t.stampWrite(r)
	}
	if t.db.version < 19 {
		return true
	}
	return nil
}
