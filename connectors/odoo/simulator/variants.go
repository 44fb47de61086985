package simulator

import (
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// variantRules are those of templates with attributes: a line names an
// attribute and its values, each value of a line has a record with its extra
// price, and each combination of these is a variant.
func variantRules(models map[string]*model) {
	line, value, variant := models["product.template.attribute.line"], models["product.template.attribute.value"], models["product.product"]
	for _, name := range []string{"product_template_attribute_value_ids", "combination_indices", "price_extra"} {
		variant.own[name] = true
	}
	line.filled = []filling{{"active", fixed(true)}, {"sequence", fixed(int64(10))}}
	again := func(t *tx, r *record) {
		if template := t.related(r, "product_tmpl_id"); template != nil {
			t.reshaped[template] = true
		}
	}
	line.written = func(t *tx, r *record, _ map[string]bool, _ bool) { again(t, r) }
	line.unlinking = again
	line.computed["display_name"] = through("attribute_id", "name")

	value.filled = []filling{{"ptav_active", fixed(true)}, {"price_extra", fixed(decimal.Zero)}}
	value.computed["name"] = through("product_attribute_value_id", "name")
	variant.computed["price_extra"] = func(t *tx, r *record) any {
		total := decimal.Zero
		for _, v := range t.relatedMany(r, "product_template_attribute_value_ids") {
			total = total.Add(t.decimal(v, "price_extra"))
		}
		return total
	}
	variant.computed["lst_price"] = func(t *tx, r *record) any {
		return t.decimal(r, "list_price").Add(t.decimal(r, "price_extra"))
	}
}

// reshape gives a template the variants that its lines ask for: those that are
// there stay, those that come back are no longer archived, those that go are
// archived where they were sold, else deleted.
func (t *tx) reshape(template *record) {
	variants := t.model("product.product")
	combinations := [][]int64{nil}
	live := map[int64]bool{}
	for _, line := range t.records(t.model("product.template.attribute.line"), t.childIDs(template, template.model.fields["attribute_line_ids"])) {
		var longer [][]int64
		for _, value := range t.lineValues(line) {
			live[value] = true
			for _, c := range combinations {
				longer = append(longer, append(slices.Clone(c), value))
			}
		}
		combinations = inOrder(longer)
	}
	existing := map[string]*record{}
	for _, id := range variantIDs(t, template) {
		r := variants.rows[id]
		values, _ := r.values["product_template_attribute_value_ids"].([]int64)
		existing[combinationKey(values)] = r
	}
	for _, c := range combinations {
		key := combinationKey(c)
		if r := existing[key]; r != nil {
			if r.values["active"] != true {
				t.write(r, map[string]any{"active": true})
			}
			delete(existing, key)
			continue
		}
		values := map[string]any{"product_tmpl_id": template.id, "product_template_attribute_value_ids": []any{[]any{int64(6), int64(0), anyIDs(c)}}}
		if len(combinations) == 1 {
			for _, name := range []string{"default_code", "barcode"} {
				if v := template.values[name]; v != nil {
					values[name] = v
				}
			}
		}
		t.create(variants, values)
	}
	for _, key := range slices.Sorted(maps.Keys(existing)) {
		if e := t.savepoint(func() { t.unlink(existing[key]) }); e != nil {
			t.write(existing[key], map[string]any{"active": false})
		}
	}
	t.retire(template, live)
}

// inOrder puts combinations in the order of their first values.
func inOrder(all [][]int64) [][]int64 {
	slices.SortStableFunc(all, slices.Compare)
	return all
}

func combinationKey(values []int64) string {
	values = slices.Clone(values)
	slices.Sort(values)
	return fmt.Sprint(values)
}

// lineValues gives the ids of a line's values, each with its record.
func (t *tx) lineValues(line *record) (list []int64) {
	m := t.model("product.template.attribute.value")
	wanted, _ := line.values["value_ids"].([]int64)
	for _, value := range wanted {
		var found *record
		for _, id := range m.holding("attribute_line_id", line.id) {
			if r := m.rows[id]; r.values["product_attribute_value_id"] == value {
				found = r
			}
		}
		if found == nil {
			found = t.create(m, map[string]any{"attribute_line_id": line.id, "product_attribute_value_id": value,
				"product_tmpl_id": line.values["product_tmpl_id"], "attribute_id": line.values["attribute_id"]})
		} else if found.values["ptav_active"] != true {
			t.write(found, map[string]any{"ptav_active": true})
		}
		list = append(list, found.id)
	}
	return list
}

// retire deletes what no line asks for any more, or archives it while an
// archived variant holds it.
func (t *tx) retire(template *record, live map[int64]bool) {
	held := map[int64]bool{}
	for _, id := range variantIDs(t, template) {
		values, _ := t.model("product.product").rows[id].values["product_template_attribute_value_ids"].([]int64)
		for _, v := range values {
			held[v] = true
		}
	}
	m := t.model("product.template.attribute.value")
	for _, id := range m.holding("product_tmpl_id", template.id) {
		r := m.rows[id]
		switch {
		case live[id]:
		case held[id]:
			t.write(r, map[string]any{"ptav_active": false})
		default:
			t.unlink(r)
		}
	}
}
