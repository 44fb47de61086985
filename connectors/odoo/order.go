package odoo

import (
	"context"
	"slices"
	"strings"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// Caps of one call; its real size follows the time that calls take.
const (
	maxOrders   = 100
	maxParties  = 200
	maxProducts = 200
	maxActions  = 50
)

// addWriters makes the operations that write records.
func (c *Connector) addWriters() {
	c.partyLoads = c.newLoad("res.partner", maxParties)
	c.productLoads = c.newLoad("product.product", maxProducts)
	c.orderLoads = c.newLoad("sale.order", maxOrders)
	c.removals = batch.NewOp(c.scheduler, batch.OpConfig[removal, struct{}]{
		Name: "remove lines", Priority: batch.Load, MaxRows: 10, Timeout: writeTimeout,
		Key:    func(r removal) string { return id(r.order) },
		Fence:  func(r removal) record.FenceKey { return r.fence },
		Source: func(r removal) string { return r.fence.Connection },
		Call:   c.callRemove,
	})
}

// UpsertOrder writes header and lines and gives the order as read back, with
// lines when the order was known before (row.ID).
//
// With row.ID the order is read first: one that is gone, cancelled or locked is
// a Conflict and nothing is written. Without, the order is found or made under
// row.XID; should Odoo refuse and the order turn out to exist, it is written
// again as a known one, since a confirmed order takes fewer columns. A header
// field that is empty in row is left alone. Lines in row.Gone are deleted from
// a draft and set to quantity 0 on a confirmed order.
//
// Money is not judged here: the caller compares Total and Tax with the shop's.
func (c *Connector) UpsertOrder(ctx context.Context, row record.OrderRow) (record.OrderState, error) {
	t, err := c.known.get(ctx, false)
	if err != nil {
		return record.OrderState{}, err
	}
	if row.ID == "" {
		state, err := c.writeOrder(ctx, t, row, false)
		if !refusedByOdoo(err) {
			return state, err
		}
		found, lost := c.lookUp(ctx, row.XID)
		if lost != nil || found.model != "sale.order" || found.id == 0 {
			return state, err
		}
		row.ID = id(found.id)
	}
	before, err := c.guard(ctx, row.Write)
	if err != nil {
		return record.OrderState{}, err
	}
	return c.writeOrder(ctx, t, row, before.Stage == record.StageConfirmed)
}

// refusedByOdoo tells Odoo's own refusal of a row from one that was never sent.
func refusedByOdoo(err error) bool {
	switch f := fault.Of(err); {
	case f == nil, f.Kind != fault.Conflict && f.Kind != fault.Invalid:
		return false
	default:
		return f.Code != codeInvalid && strings.HasPrefix(f.Code, Kind+".")
	}
}

// guard reads a known order before it is written and refuses where Odoo would
// not: it accepts edits of cancelled orders (odoo-facts section 4).
func (c *Connector) guard(ctx context.Context, w record.Write) (record.OrderState, error) {
	number, err := dbID("id", w.ID)
	if err != nil {
		return record.OrderState{}, err
	}
	before, err := c.orders.Do(ctx, orderAsk{id: number})
	switch {
	case fault.Is(err, fault.NotFound):
		return before, deleted()
	case err != nil:
		return before, err
	case before.Stage == record.StageCancelled:
		return before, fault.New(fault.Conflict, "odoo.order_cancelled", "the order is cancelled in Odoo").
			WithResolution("set it back to a quotation in Odoo and retry, or ignore the change")
	case before.Locked:
		return before, orderLocked()
	}
	return before, nil
}

func orderLocked() *fault.Fault {
	return fault.New(fault.Conflict, "odoo.order_locked", "the order is locked in Odoo").
		WithResolution("unlock the order in Odoo and retry, or ignore the change")
}

// writeOrder loads the order, takes away the lines that are gone and reads the
// order back.
func (c *Connector) writeOrder(ctx context.Context, t *terms, row record.OrderRow, confirmed bool) (record.OrderState, error) {
	fields, rows, err := orderSheets(t, row, confirmed)
	if err != nil {
		return record.OrderState{}, err
	}
	number, quarantine, err := c.load(ctx, c.orderLoads, loadRow{write: row.Write, fields: fields, rows: rows})
	if err != nil {
		return record.OrderState{}, err
	}
	if len(row.Gone) > 0 {
		if err := c.removeLines(ctx, number, row); err != nil {
			return record.OrderState{}, err
		}
	}
	state, err := c.orders.Do(ctx, orderAsk{id: number, full: row.ID != ""})
	if err != nil {
		return record.OrderState{}, err
	}
	state.XID, state.Quarantine = row.XID, quarantine
	return state, nil
}

// removal is the lines that one order no longer has, by external id.
type removal struct {
	order int64
	gone  []string
	fence record.FenceKey
}

func (c *Connector) removeLines(ctx context.Context, order int64, row record.OrderRow) error {
	_, err := c.removals.Do(ctx, removal{order: order, gone: row.Gone, fence: row.Fence})
	return err
}

// callRemove takes lines away from orders, one order at a time: edits that
// lose a line are rare. Odoo lets nobody delete lines of a confirmed order.
func (c *Connector) callRemove(ctx context.Context, removals []removal) ([]batch.Result[struct{}], error) {
	ctx = c.scope(ctx)
	return results(removals, func(r removal) (struct{}, error) { return struct{}{}, c.remove(ctx, r) }), nil
}

func (c *Connector) remove(ctx context.Context, r removal) error {
	lines, err := c.goneLines(ctx, r)
	if err != nil || len(lines) == 0 {
		return err
	}
	states, err := c.readSales(ctx, []int64{r.order}, false)
	if err != nil {
		return err
	}
	if states[r.order].Stage == record.StageDraft {
		err := c.rpc.Unlink(ctx, "sale.order.line", lines)
		if !fault.Is(err, fault.Conflict) {
			return err
		}
		// Somebody sent or confirmed it in between.
	}
	values := map[string]any{"product_uom_qty": 0}
	if t, _ := c.known.held(noTime); t != nil && t.shape.forcedTax {
		values["extra_tax_data"] = false
	}
	err = c.rpc.Write(ctx, "sale.order.line", lines, values)
	if f := fault.Of(err); fault.Is(err, fault.Conflict) {
		return f.WithResolution("the line was delivered or invoiced: return or refund it in Odoo, then retry")
	}
	return err
}

// goneLines finds the lines among those that the order has: a person may have
// moved or deleted one. Odoo is asked for the external ids of the lines and not
// for the line of an external id: each of its workers keeps the latter in a
// cache of its own, which may know a line that never came to be.
func (c *Connector) goneLines(ctx context.Context, r removal) (lines []int64, err error) {
	there, err := c.rpc.Search(ctx, "sale.order.line", []any{is("order_id", "=", r.order)}, rpc.Query{})
	if err != nil {
		return nil, err
	}
	xids, err := c.externalIDs(ctx, "sale.order.line", there)
	for _, line := range there {
		if slices.Contains(r.gone, xids[line]) {
			lines = append(lines, line)
		}
	}
	return lines, err
}
