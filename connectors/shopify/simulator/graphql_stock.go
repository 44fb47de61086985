package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"towpath/connectors/shopify/simulator/internal/graph"
)

// once carries a mutation out once per idempotency key.
func (g *goods) once(args graph.Args, carryOut func() *object) (any, error) {
	key := args.Text(graph.IdempotencyKey)
	if strings.TrimSpace(key) == "" {
		return nil, &graph.CodedError{Code: "BAD_REQUEST", Message: "The @idempotent directive is required for this mutation but was not provided."}
	}
	input, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	if before, known := g.keys[key]; known {
		if before.input != string(input) {
			r := refusals{kind: "InventorySetQuantitiesUserError"}
			r.add("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "The same idempotency key cannot be used with different operation parameters.")
			return r.payload(before.answer.Type, fields{"inventoryAdjustmentGroup": nil, "inventoryLevel": nil}), nil
		}
		return before.answer, nil
	}
	answer := carryOut()
	g.keys[key] = keyed{string(input), answer}
	return answer, nil
}

func (g *goods) activate(args graph.Args) (any, error) {
	return g.once(args, func() *object {
		r := refusals{kind: "UserError"}
		item, at := gidNumber("InventoryItem", args.Text("inventoryItemId")), gidNumber("Location", args.Text("locationId"))
		switch {
		case g.items[item] == nil:
			r.add("", "The product couldn't be stocked because it wasn't found.", "inventoryItemId")
		case g.locations[at] == nil:
			r.add("", "The product couldn't be stocked because the location wasn't found.", "locationId")
		default:
			l := g.levels[levelKey{item, at}]
			if l == nil {
				l = g.level(item, at)
			}
			return r.payload("InventoryActivatePayload", fields{"inventoryLevel": g.levelObject(l)})
		}
		return r.payload("InventoryActivatePayload", fields{"inventoryLevel": nil})
	})
}

// setQuantities sets all or none.
func (g *goods) setQuantities(args graph.Args) (any, error) {
	in := args.Map("input")
	rows := inputsOf(in["quantities"])
	if len(rows) > graph.MaxPage {
		return nil, fmt.Errorf("the input array size of %d is greater than the maximum allowed of %d", len(rows), graph.MaxPage)
	}
	for i, q := range rows {
		if _, given := q["changeFromQuantity"]; !given {
			return nil, &graph.CodedError{Code: "INVALID_FIELD_ARGUMENTS", Message: fmt.Sprintf("quantities.%d.changeFromQuantity must be provided", i)}
		}
	}
	return g.once(args, func() *object {
		r := refusals{kind: "InventorySetQuantitiesUserError"}
		payload := fields{"inventoryAdjustmentGroup": nil}
		seen := map[levelKey]bool{}
		for i, q := range rows {
			refuse := func(code, message, field string) {
				r.add(code, message, "input", "quantities", strconv.Itoa(i), field)
			}
			key := levelKey{gidNumber("InventoryItem", q.Text("inventoryItemId")), gidNumber("Location", q.Text("locationId"))}
			l := g.levels[key]
			quantity, _ := graph.Int(q["quantity"])
			from, compares := graph.Int(q["changeFromQuantity"])
			switch {
			case g.items[key.item] == nil:
				refuse("INVALID_INVENTORY_ITEM", "The specified inventory item could not be found.", "inventoryItemId")
			case g.locations[key.location] == nil:
				refuse("INVALID_LOCATION", "The specified location could not be found.", "locationId")
			case l == nil:
				refuse("INVALID_INVENTORY_ITEM", "The specified inventory item is not stocked at the location.", "inventoryItemId")
			case seen[key]:
				refuse("NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "The combination of inventoryItemId and locationId must be unique.", "inventoryItemId")
			case quantity > 1_000_000_000:
				refuse("INVALID_QUANTITY_TOO_HIGH", "The total quantity can't be higher than 1,000,000,000.", "quantity")
			case compares && int64(from) != l.of(in.Text("name")):
				refuse("CHANGE_FROM_QUANTITY_STALE", "The changeFromQuantity argument no longer matches the persisted quantity.", "changeFromQuantity")
			}
			seen[key] = true
		}
		if len(r.list) > 0 {
			return r.payload("InventorySetQuantitiesPayload", payload)
		}
		for _, q := range rows {
			quantity, _ := graph.Int(q["quantity"])
			l := g.level(gidNumber("InventoryItem", q.Text("inventoryItemId")), gidNumber("Location", q.Text("locationId")))
			l.Available = int64(quantity)
			if in.Text("name") == "on_hand" {
				l.Available -= l.Committed
			}
		}
		g.wrote("inventorySetQuantities", len(rows))
		return r.payload("InventorySetQuantitiesPayload", payload)
	})
}

func (l *Level) of(name string) int64 {
	if name == "on_hand" {
		return l.Available + l.Committed
	}
	return l.Available
}
