package simulator

import (
	"encoding/json"
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
	line.unlinking = func(t *tx, r *record) {
		if values := value.holding("attribute_line_id", r.id); len(values) == 1 {
			t.release(values[0])
		}
		again(t, r)
	}
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
	written := variant.written
	variant.written = func(t *tx, r *record, given map[string]bool, created bool) {
		written(t, r, given, created)
		if set, ok := r.values["lst_price"].(decimal.Decimal); ok && given["lst_price"] { // it is the template's, less the variant's extra price
			if template := t.related(r, "product_tmpl_id"); template != nil {
				t.write(template, map[string]any{"list_price": json.Number(set.Sub(t.decimal(r, "price_extra")).String())})
			}
		}
	}
}

// release takes the only value that a line has, or had, off its variants: they
// stay what they are without it (product.template.attribute.value.unlink).
func (t *tx) release(value int64) {
	template := t.related(t.model("product.template.attribute.value").rows[value], "product_tmpl_id")
	if template == nil {
		return
	}
	for _, id := range variantIDs(t, template) {
		r := t.model("product.product").rows[id]
		if values, _ := r.values["product_template_attribute_value_ids"].([]int64); slices.Contains(values, value) {
			t.combine(r, slices.DeleteFunc(slices.Clone(values), func(v int64) bool { return v == value }))
		}
	}
}

func (t *tx) combine(variant *record, values []int64) {
	t.write(variant, map[string]any{"product_template_attribute_value_ids": []any{[]any{int64(6), int64(0), anyIDs(values)}}})
}

// single puts the value of each line that has but one onto the variants that
// lack just these: an attribute with one value makes no others of them.
func (t *tx) single(template *record, perLine [][]int64) {
	m := t.model("product.template.attribute.value")
	for _, id := range variantIDs(t, template) {
		r := t.model("product.product").rows[id]
		values, _ := r.values["product_template_attribute_value_ids"].([]int64)
		values = slices.Clone(values)
		lines := map[any]bool{}
		for _, line := range perLine {
			if len(line) == 1 && !slices.Contains(values, line[0]) {
				values = append(values, line[0])
			}
		}
		for _, r := range t.records(m, values) {
			lines[r.values["attribute_line_id"]] = true
		}
		ofTheseLines := 0
		for _, line := range perLine {
			if lines[m.rows[line[0]].values["attribute_line_id"]] {
				ofTheseLines++
			}
		}
		had, _ := r.values["product_template_attribute_value_ids"].([]int64)
		if len(values) == len(perLine) && ofTheseLines == len(perLine) && len(values) != len(had) {
			t.combine(r, values)
		}
	}
}

// reshape gives a template the variants that its lines ask for, as
// product.template._create_variant_ids does: those that are there stay, those that
// come back are no longer archived, those that go are archived where they were
// sold, else deleted.
func (t *tx) reshape(template *record) {
	variants := t.model("product.product")
	combinations := [][]int64{nil}
	live := map[int64]bool{}
	var perLine [][]int64
	for _, line := range t.records(t.model("product.template.attribute.line"), t.childIDs(template, template.model.fields["attribute_line_ids"])) {
		perLine = append(perLine, t.lineValues(line))
	}
	t.single(template, perLine)
	for _, line := range perLine {
		var longer [][]int64
		for _, value := range line {
			live[value] = true
			for _, c := range combinations {
				longer = append(longer, append(slices.Clone(c), value))
			}
		}
		combinations = inOrder(longer)
	}
	existing, gone := map[string]*record{}, []*record{}
	for _, id := range variantIDs(t, template) {
		r := variants.rows[id]
		values, _ := r.values["product_template_attribute_value_ids"].([]int64)
		if had := existing[combinationKey(values)]; had != nil && had.values["active"] == true { // the active one, the first of several
			gone = append(gone, r)
			continue
		} else if had != nil {
			gone = append(gone, had)
		}
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
		gone = append(gone, existing[key])
	}
	for _, r := range gone {
		if e := t.savepoint(func() { t.unlink(r) }); e != nil && r.values["active"] == true {
			t.write(r, map[string]any{"active": false})
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
	if had := m.holding("attribute_line_id", line.id); len(had) == 1 && !slices.Contains(wanted, m.rows[had[0]].values["product_attribute_value_id"].(int64)) {
		t.release(had[0]) // one value instead of the only one: the variants stay
	}
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
