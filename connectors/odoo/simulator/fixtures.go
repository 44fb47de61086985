package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// fill puts the template database's records in, with their ids: those read
// off a real one, and the products, which follow a pattern.
func (db *database) fill(opts Options) error {
	raw, err := data.ReadFile("data/records.json")
	if err != nil {
		return err
	}
	var all map[string][]map[string]any
	if err := decode(raw, &all); err != nil {
		return fmt.Errorf("records.json: %w", err)
	}
	root := &user{ID: 1, Admin: true, TZ: "UTC"}
	t := db.begin(root, nil, 0)
	if e := try(func() {
		// Currencies and countries come before what refers to them.
		order := []string{"res.lang", "res.currency", "res.country", "res.country.state", "uom.uom", "res.partner", "res.company", "res.users"}
		for _, name := range append(order, slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(n string) bool { return slices.Contains(order, n) })...) {
			for _, row := range all[name] {
				t.restore(db.models[name], row)
			}
		}
		t.products()
		t.uuid(opts)
		if opts.RoundPerLine {
			t.put(t.company(), "tax_calculation_rounding_method", "round_per_line")
		}
	}); e != nil {
		return fmt.Errorf("fixtures: %w", e)
	}
	t.commit()
	return nil
}

// restore puts a record back as it was read, under its own id.
func (t *tx) restore(m *model, row map[string]any) {
	id, _ := asInt(row["id"])
	m.nextID = max(m.nextID, id)
	r := &record{id: id, model: m, values: map[string]any{}, version: t.version}
	r.keep()
	m.nextID = max(m.nextID, id+1)
	if m.fields["active"] != nil {
		r.assign("active", false)
	}
	for _, name := range slices.Sorted(maps.Keys(row)) {
		f := m.fields[name]
		switch {
		case f == nil || name == "id":
		case name == "tax_map":
			r.assign(name, taxMap(row[name]))
		case f.toMany():
			r.assign(name, asIDs(row[name]))
		case f.kind == "many2one":
			if to, ok := asInt(row[name]); ok {
				r.assign(name, to)
			}
		default:
			r.assign(name, t.convert(m, f, row[name]))
		}
	}
	at := stamp(t.now)
	r.assign("create_date", at)
	r.assign("write_date", at)
	if x, ok := row["xid"].(string); ok {
		t.bind(x, r)
	}
}

func taxMap(v any) map[string][]int64 {
	table := map[string][]int64{}
	given, _ := v.(map[string]any)
	for from, to := range given {
		table[from] = asIDs(to)
	}
	return table
}

// products are four services and 200 goods at 50.00, the first hundred not
// stocked, of the others 10,000 each.
func (t *tx) products() {
	m := t.model("product.product")
	for _, s := range [][2]string{{"DISCOUNT", "Discount"}, {"SHIPPING", "Shipping"}, {"TIP", "Tip"}, {"ROUNDING", "Rounding"}} {
		t.create(m, map[string]any{"name": s[1], "default_code": s[0], "type": "service", "list_price": json.Number("0"), "taxes_id": []any{}})
	}
	for n := 1; n <= 200; n++ {
		values := map[string]any{"name": fmt.Sprintf("Test article %d", n), "default_code": fmt.Sprintf("SKU-%04d", n), "list_price": json.Number("50")}
		switch {
		case n > 100 && t.db.version >= 19:
			values["is_storable"] = true
		case n > 100:
			values["type"] = "product"
		}
		made := t.create(m, values)
		if n > 100 {
			t.setStock(made.id, 5, dec(10000), decimal.Zero)
		}
	}
}

func (t *tx) uuid(opts Options) {
	t.create(t.model("ir.config_parameter"), map[string]any{"key": "database.uuid", "value": opts.UUID})
}
