package simulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// productRules are those of products and their templates. Without attributes
// a template has one variant, and what is the variant's shows on it too.
func productRules(variant, template *model, version int) {
	variant.parent, variant.parentField = "product.template", "product_tmpl_id"
	variant.own = map[string]bool{}
	for _, name := range []string{"id", "default_code", "barcode", "active", "product_tmpl_id", "standard_price", "volume", "weight",
		"create_date", "write_date", "create_uid", "write_uid", "display_name", "lst_price", "code", "partner_ref", "product_variant_ids"} {
		variant.own[name] = true
	}

	variant.computed["display_name"] = func(t *tx, r *record) any { return coded(t, r) }
	variant.computed["lst_price"] = through("product_tmpl_id", "list_price")
	variant.computed["code"] = func(t *tx, r *record) any { return t.get(r, "default_code") }
	variant.computed["product_variant_ids"] = through("product_tmpl_id", "product_variant_ids")
	variant.computed["product_variant_id"] = func(t *tx, r *record) any { return r.id }
	variant.filled = []filling{{"active", fixed(true)}}
	variant.written = func(t *tx, r *record, given map[string]bool, created bool) { uniqueBarcode(t, r, given) }
	variant.unlinking = func(t *tx, r *record) {
		refuseSold(t, r)
		item := t.model("product.pricelist.item")
		for _, id := range item.holding("product_id", r.id) { // goes with its variant
			t.unlink(item.rows[id])
		}
	}

	template.computed["display_name"] = func(t *tx, r *record) any { return coded(t, r) }
	template.computed["product_variant_ids"] = func(t *tx, r *record) any { return variantIDs(t, r) }
	template.computed["product_variant_count"] = func(t *tx, r *record) any { return int64(len(active(t, r))) }
	template.computed["product_variant_id"] = func(t *tx, r *record) any {
		if v := variantOf(t, r); v != nil {
			return v.id
		}
		return nil
	}
	for _, name := range []string{"default_code", "barcode", "standard_price", "volume", "weight"} {
		template.computed[name] = func(t *tx, r *record) any {
			if v := variantOf(t, r); v != nil {
				return t.get(v, name)
			}
			return r.values[name]
		}
	}
	template.filled = []filling{
		{"active", fixed(true)}, {"type", fixed("consu")}, {"sale_ok", fixed(true)}, {"purchase_ok", fixed(true)},
		{"list_price", fixed(dec(1))}, {"uom_id", fixed(int64(1))}, {"sequence", fixed(int64(1))},
		{"invoice_policy", fixed("order")}, {"expense_policy", fixed("no")}, {"service_type", fixed("manual")},
		{"service_tracking", fixed("no")}, {"tracking", fixed("none")}, {"is_storable", fixed(false)},
		{"taxes_id", func(t *tx, r *record) any { return defaultTaxes(t, "sale") }},
		{"supplier_taxes_id", func(t *tx, r *record) any { return defaultTaxes(t, "purchase") }},
	}
	if version < 19 {
		template.filled = append(template.filled, filling{"uom_po_id", fixed(int64(1))})
	}
	template.written = templateWritten
	template.unlinking = func(t *tx, r *record) {
		for _, id := range variantIDs(t, r) {
			t.unlink(variant.rows[id])
		}
	}
}

// coded is "[SKU] Name".
func coded(t *tx, r *record) any {
	name := t.text(r, "name")
	if code := t.text(r, "default_code"); code != "" {
		return "[" + code + "] " + name
	}
	if name == "" {
		return nil
	}
	return name
}

func variantIDs(t *tx, template *record) []int64 {
	return t.model("product.product").holding("product_tmpl_id", template.id)
}

// active are a template's variants that are not archived, or all, as the context
// says.
func active(t *tx, template *record) []int64 {
	variants := t.model("product.product")
	if t.context["active_test"] == false {
		return variantIDs(t, template)
	}
	return slices.DeleteFunc(slices.Clone(variantIDs(t, template)), func(id int64) bool { return variants.rows[id].values["active"] != true })
}

func variantOf(t *tx, template *record) *record {
	if ids := variantIDs(t, template); len(ids) == 1 {
		return t.model("product.product").rows[ids[0]]
	}
	return nil
}

// templateWritten makes the one variant of a new template that has none, and
// passes on what belongs to the variant.
func templateWritten(t *tx, r *record, given map[string]bool, created bool) {
	values := map[string]any{}
	for _, name := range []string{"default_code", "barcode", "standard_price", "volume", "weight", "active"} {
		if v, ok := r.values[name]; ok && given[name] {
			values[name] = v
			if v == nil {
				values[name] = false
			}
		}
	}
	if variant := variantOf(t, r); variant != nil {
		if len(values) > 0 {
			t.write(variant, values)
		}
	} else if created && !t.variantFollows && !t.reshaped[r] {
		values["product_tmpl_id"] = r.id
		t.create(t.model("product.product"), values)
	}
}

func defaultTaxes(t *tx, use string) []int64 {
	for _, id := range slices.Sorted(maps.Keys(t.model("account.tax").rows)) {
		if r := t.model("account.tax").rows[id]; t.text(r, "type_tax_use") == use {
			return ids(id)
		}
	}
	return nil
}

// uniqueBarcode: two products of a company may not share one; of archived ones,
// Odoo 14 says the same.
func uniqueBarcode(t *tx, r *record, given map[string]bool) {
	code := t.text(r, "barcode")
	if code == "" || !given["barcode"] {
		return
	}
	var names []string
	for id := range r.model.indexes["barcode"].within(code, code).ids() {
		if other := r.model.rows[id]; t.db.version < 19 || other.values["active"] == true {
			names = append(names, asText(t.get(other, "display_name")))
		}
	}
	if len(names) < 2 {
		return
	}
	if t.db.version < 19 {
		raise(&exception{name: "psycopg2.errors.UniqueViolation", kind: checkConstraint, table: "product.product", field: "barcode",
			message: "A barcode can only be assigned to one product !"})
	}
	raise(validationError("%s", fmt.Sprintf("Barcode(s) already assigned:\n\n- Barcode \"%s\" already assigned to product(s): %s\n\nNote: products that you don't have access to will not be shown above.",
		code, strings.Join(names, " and "))))
}

func refuseSold(t *tx, r *record) {
	if len(t.model("sale.order.line").holding("product_id", r.id)) > 0 {
		raise(validationError("The operation cannot be completed: Another model is using the record you are trying to delete.\n\nThe troublemaker is: 'Sales Order Line' (sale.order.line)\nThanks to the following constraint: 'Product' (product_id)\nHow about archiving the record instead?"))
	}
}
