package simulator

// catalogRules are those of price lists' lines and of attributes.
func catalogRules(models map[string]*model) {
	lists := models["product.pricelist"]
	lists.filled = append(lists.filled, filling{"currency_id", func(t *tx, r *record) any { return t.get(t.company(), "currency_id") }})
	item := models["product.pricelist.item"]
	item.filled = []filling{
		{"applied_on", fixed("3_global")}, {"display_applied_on", fixed("1_product")}, {"base", fixed("list_price")},
		{"compute_price", fixed("fixed")},
	}
	// A line names what it holds for; a variant's names its template as well.
	item.written = func(t *tx, r *record, given map[string]bool, created bool) {
		if !created {
			return
		}
		variant, _ := r.values["product_id"].(int64)
		if p := t.model("product.product").rows[variant]; p != nil {
			t.put(r, "product_tmpl_id", p.values["product_tmpl_id"])
		}
		if given["applied_on"] {
			return
		}
		for _, by := range [][2]string{{"product_tmpl_id", "1_product"}, {"product_id", "0_product_variant"}} {
			if r.values[by[0]] != nil {
				t.put(r, "applied_on", by[1])
			}
		}
	}
	attribute := models["product.attribute"]
	attribute.filled = []filling{
		{"active", fixed(true)}, {"create_variant", fixed("always")}, {"display_type", fixed("radio")}, {"sequence", fixed(int64(20))},
	}
	models["product.attribute.value"].filled = []filling{{"active", fixed(true)}}
}
