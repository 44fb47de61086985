package simulator

import (
	"slices"

	"github.com/shopspring/decimal"
)

// stockRules are those of stock: products lie in quants at locations, and
// each change of them leaves a move. There are no deliveries.
func stockRules(models map[string]*model) {
	models["stock.location"].recName = "complete_name"
	models["stock.quant"].filled = []filling{{"quantity", fixed(decimal.Zero)}, {"reserved_quantity", fixed(decimal.Zero)},
		{"in_date", func(t *tx, r *record) any { return t.now.Format(datetimeLayout) }}}
	product := models["product.product"]
	for _, name := range []string{"stock_quant_ids", "stock_move_ids", "qty_available", "free_qty", "virtual_available"} {
		product.own[name] = true
	}
	quantity := func(t *tx, r *record) decimal.Decimal { return t.decimal(r, "quantity") }
	product.computed["qty_available"] = func(t *tx, r *record) any { return t.inStock(r, quantity) }
	product.computed["virtual_available"] = product.computed["qty_available"]
	product.computed["free_qty"] = func(t *tx, r *record) any {
		return t.inStock(r, func(t *tx, r *record) decimal.Decimal { return quantity(t, r).Sub(t.decimal(r, "reserved_quantity")) })
	}
}

// inStock sums over a product's quants at the location of the context and
// below, by default in all warehouses.
func (t *tx) inStock(product *record, of func(*tx, *record) decimal.Decimal) decimal.Decimal {
	roots := asIDs(t.context["location"])
	if len(roots) == 0 {
		for _, house := range t.model("stock.warehouse").rows {
			roots = append(roots, t.integer(house, "view_location_id"))
		}
	}
	total := decimal.Zero
	for _, id := range t.model("stock.quant").holding("product_id", product.id) {
		quant := t.model("stock.quant").rows[id]
		at := t.integer(quant, "location_id")
		if slices.Contains(roots, at) || t.isBelow("stock.location", at, roots) {
			total = total.Add(of(t, quant))
		}
	}
	return total
}

// setStock says how much of a product there is at a location, and leaves a move
// from or to where inventory adjustments go.
func (t *tx) setStock(product, location int64, quantity, reserved decimal.Decimal) {
	quants := t.model("stock.quant")
	var quant *record
	for _, id := range quants.holding("product_id", product) {
		if r := quants.rows[id]; r.values["location_id"] == location {
			quant = r
		}
	}
	if quant == nil {
		quant = t.create(quants, map[string]any{"product_id": product, "location_id": location})
	}
	moved := quantity.Sub(t.decimal(quant, "quantity"))
	t.put(quant, "quantity", quantity)
	t.put(quant, "reserved_quantity", reserved)
	t.stampWrite(quant)
	adjustment := t.search(t.model("stock.location"), []any{[]any{"usage", "=", "inventory"}}, "id", 0, 1)[0].id
	from, to := adjustment, location
	if moved.IsNegative() {
		from, to = location, adjustment
	}
	move := t.insert(t.model("stock.move"))
	for name, v := range map[string]any{"product_id": product, "location_id": from, "location_dest_id": to, "state": "done", "quantity": moved.Abs()} {
		t.put(move, name, v)
	}
	t.stampWrite(move)
}

// SetStock says how much of a product there is at a location, and how much of
// it is reserved, as an inventory adjustment does.
func (s *Server) SetStock(product, location int64, quantity, reserved decimal.Decimal) error {
	return s.as(func(t *tx) { t.setStock(product, location, quantity, reserved) })
}

// AddLocation makes an internal location below another.
func (s *Server) AddLocation(name string, parent int64) (id int64, err error) {
	err = s.as(func(t *tx) {
		m := t.model("stock.location")
		above := m.rows[parent]
		r := t.create(m, map[string]any{"name": name, "usage": "internal", "location_id": parent, "active": true,
			"complete_name": t.text(above, "complete_name") + "/" + name, "company_id": t.company().id})
		t.put(r, "parent_path", t.text(above, "parent_path")+asText(r.id)+"/")
		id = r.id
	})
	return id, err
}
