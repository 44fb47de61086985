package simulator

import "slices"

// makeOld turns the models of Odoo 19 into those of Odoo 14, as far as
// Towpath sees the difference (odoo-facts.md).
func makeOld(models map[string]*model) {
	line := models["sale.order.line"]
	rename(line, "tax_ids", "tax_id")
	rename(line, "product_uom_id", "product_uom")
	drop(line, "extra_tax_data", "technical_price_unit")
	line.fields["price_unit"].digits = 2
	line.fields["price_unit"].describe()

	order := models["sale.order"]
	drop(order, "locked", "delivery_status", "prepayment_percent")
	choose(order, "state", [][2]string{{"draft", "Quotation"}, {"sent", "Quotation Sent"}, {"sale", "Sales Order"}, {"done", "Locked"}, {"cancel", "Cancelled"}})

	for _, name := range []string{"product.product", "product.template"} {
		m := models[name]
		drop(m, "is_storable")
		add(m, &field{name: "uom_po_id", label: "Purchase Unit of Measure", kind: "many2one", relation: "uom.uom", required: true, stored: true, digits: -1})
		choose(m, "type", [][2]string{{"consu", "Consumable"}, {"service", "Service"}, {"product", "Storable Product"}})
	}

	add(models["res.partner"], &field{name: "mobile", label: "Mobile", kind: "char", stored: true, digits: -1})
	rename(models["res.users"], "group_ids", "groups_id")
	tax := models["account.tax"]
	drop(tax, "price_include_override")
	add(tax, &field{name: "price_include", label: "Included in Price", kind: "boolean", stored: true, digits: -1})
	drop(models["res.company"], "account_price_include")
	rename(models["res.company"], "chart_template", "chart_template_id")
}

func rename(m *model, from, to string) {
	f := m.fields[from]
	if f == nil {
		return
	}
	delete(m.fields, from)
	f.name = to
	f.describe()
	m.fields[to] = f
}

func drop(m *model, names ...string) {
	for _, name := range names {
		delete(m.fields, name)
	}
}

func add(m *model, f *field) {
	f.describe()
	m.fields[f.name] = f
}

func choose(m *model, name string, options [][2]string) {
	m.fields[name].selection = slices.Clone(options)
	m.fields[name].describe()
}
