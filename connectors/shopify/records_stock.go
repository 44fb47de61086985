package shopify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/connectors/batch"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// compareQuantity is the value that a level must have before it is written.
// Without it the level is set whatever it was.
const compareQuantity = "compare_quantity"

// stockRow is one level to set.
type stockRow struct {
	write          record.Write
	item, location string // gids
	name           string // "available" or "on_hand"
	quantity       decimal.Decimal
	from           *decimal.Decimal // nil: whatever it was
}

func (c *Connector) addStockWriter() {
	c.stock = batch.NewOp(c.scheduler, batch.OpConfig[stockRow, struct{}]{
		Name: "set stock", MaxRows: maxPage, Timeout: recordTimeout,
		Key:     func(r stockRow) string { return r.item + " " + r.location },
		Content: func(r stockRow) string { return fmt.Sprint(r.name, r.quantity, r.from) },
		Fence:   func(r stockRow) record.FenceKey { return r.write.Fence },
		Group:   func(r stockRow) string { return r.name },
		Call:    c.callSetStock,
	})
}

// writeLevel sets one level, by its id, or by variant or item and location.
func (c *Connector) writeLevel(ctx context.Context, row record.Row) (string, error) {
	r, err := levelRow(row.Values)
	if err != nil {
		return "", err
	}
	r.write = row.Write
	id := row.ID
	if id == "" {
		if id, err = c.stockedLevel(ctx, row.Values); err != nil {
			return "", err
		}
	}
	item, at, err := levelID(id)
	if err != nil {
		return "", err
	}
	r.item, r.location = gid("InventoryItem", item), gid("Location", at)
	_, err = c.stock.Do(ctx, r)
	return id, err
}

// levelRow reads what is to be set.
func levelRow(values record.Values) (r stockRow, err error) {
	for _, name := range []string{"available", "on_hand"} {
		v, given := values[name]
		if !given {
			continue
		}
		d, ok := v.(decimal.Decimal)
		switch {
		case r.name != "":
			return r, fault.New(fault.Invalid, "shopify.two_quantities", "available and on_hand cannot be set at once: each follows from the other").
				WithField("on_hand").WithResolution("map one of the two")
		case !ok || !d.IsInteger():
			return r, wrongValue(name, "a whole number")
		}
		r.name, r.quantity = name, d
	}
	if r.name == "" {
		return r, fault.New(fault.Invalid, "shopify.no_quantity", "there is no quantity to set").WithField("available").
			WithResolution("map available or on_hand")
	}
	if d, ok := values[compareQuantity].(decimal.Decimal); ok {
		r.from = &d
	}
	return r, nil
}

// stockedLevel gives the id of a level that is named by its parts, and stocks
// the item there if it is not.
func (c *Connector) stockedLevel(ctx context.Context, values record.Values) (string, error) {
	at, _ := values["locationId"].(string)
	if _, err := number("locationId", at); err != nil {
		return "", err
	}
	item, _ := values["inventoryItemId"].(string)
	if variant := referenced(values["variant"]); item == "" && variant != "" {
		items, err := c.itemsOf(ctx, "variant", []string{variant})
		if err != nil {
			return "", err
		}
		for gid := range items {
			item = idNumber(gid)
		}
	}
	if _, err := number("variant", item); err != nil {
		return "", err
	}
	_, err := c.mutate(ctx, recordModels[modelLevel], c.docs.records.activateStock, map[string]any{
		"item": gid("InventoryItem", item), "location": gid("Location", at), "key": rand.Text(),
	})
	return item + "@" + at, err
}

// callSetStock sets many levels at once. Shopify sets all or none: those that
// it refuses get their fault, the others go again.
//
// The idempotency key is the call's own, so that it is carried out once however
// often it is sent. A key made of what is set would be wrong: 5, then 7, then 5
// again within a day would leave 7. Sent by another process after a crash, a
// level that is as wished is found by the comparison to be stale, and by the
// reading that follows to need no write.
func (c *Connector) callSetStock(ctx context.Context, rows []stockRow) ([]batch.Result[struct{}], error) {
	list := make([]any, len(rows))
	for i, r := range rows {
		// changeFromQuantity must be there: null sets whatever it was.
		var from any
		if r.from != nil {
			from = json.Number(r.from.String())
		}
		list[i] = map[string]any{
			"inventoryItemId": r.item, "locationId": r.location, "quantity": json.Number(r.quantity.String()), "changeFromQuantity": from,
		}
	}
	input := map[string]any{"name": rows[0].name, "reason": "correction", "quantities": list}
	var out saved
	if _, err := c.api.run(ctx, c.docs.records.setStock, "", map[string]any{"input": input, "key": rand.Text()}, &out); err != nil {
		return nil, err
	}
	errs := out.errors()
	all := make([]batch.Result[struct{}], len(rows))
	if len(errs) == 0 {
		return all, nil
	}
	for i := range all {
		all[i].Err = batch.ErrResend
	}
	for _, e := range errs {
		f := e.fault(recordModels[modelLevel])
		i := e.index("quantities")
		switch {
		case i >= 0 && i < len(rows):
			switch e.Field[len(e.Field)-1] {
			case "quantity":
				f = f.WithField(rows[i].name)
			case "changeFromQuantity":
				f = f.WithField(compareQuantity)
			}
			all[i].Err = f
		case strings.HasPrefix(e.Code, "IDEMPOTENCY_"): // goes again under another key
		default:
			return nil, f // whose fault it is, the batcher finds out
		}
	}
	return all, nil
}
