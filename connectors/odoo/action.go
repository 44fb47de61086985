package odoo

import (
	"context"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// action is an order on which something is to be done.
type action struct {
	order int64
	write record.Write
}

// deed is one thing that can be done to orders.
type deed struct {
	method string
	full   bool // needs lines and invoices to decide
	// wants tells whether the order still needs the deed; a fault where it
	// must not be done.
	wants func(ctx context.Context, s reading) (bool, error)
	done  record.Stage
}

// addActions makes the operations that act on orders.
func (c *Connector) addActions() {
	confirm := deed{method: "action_confirm", wants: c.wantsConfirm, done: record.StageConfirmed}
	cancel := deed{method: "action_cancel", full: true, wants: c.wantsCancel, done: record.StageCancelled}
	c.confirms = c.newAction("confirm orders", batch.Confirm, confirm)
	c.cancels = c.newAction("cancel orders", batch.Confirm, cancel)
}

func (c *Connector) newAction(name string, priority batch.Priority, d deed) *batch.Op[action, record.OrderState] {
	return batch.NewOp(c.scheduler, batch.OpConfig[action, record.OrderState]{
		Name: name, Priority: priority, MaxRows: maxActions, Timeout: writeTimeout,
		Key:    func(a action) string { return id(a.order) },
		Fence:  func(a action) record.FenceKey { return a.write.Fence },
		Source: func(a action) string { return a.write.Fence.Connection },
		Call: func(ctx context.Context, rows []action) ([]batch.Result[record.OrderState], error) {
			return c.act(c.scope(ctx), d, rows)
		},
	})
}

// ConfirmOrder confirms a draft and gives the order as read back; one already
// confirmed is success. Cancelled orders and those without lines are Conflicts.
func (c *Connector) ConfirmOrder(ctx context.Context, w record.Write) (record.OrderState, error) {
	return c.perform(ctx, c.confirms, w)
}

// CancelOrder cancels an order and gives it as read back; one already cancelled
// is success. A locked order, and one of which something was delivered or
// invoiced for good, is a Conflict: Odoo would cancel the latter and leave
// goods and invoice as they are.
func (c *Connector) CancelOrder(ctx context.Context, w record.Write) (record.OrderState, error) {
	return c.perform(ctx, c.cancels, w)
}

// perform repeats a deed once when its answer was lost: the states are read
// before anything is done again.
func (c *Connector) perform(ctx context.Context, op *batch.Op[action, record.OrderState], w record.Write) (record.OrderState, error) {
	if _, err := c.known.get(ctx, false); err != nil {
		return record.OrderState{}, err
	}
	number, err := c.locate(ctx, record.OrderRef{XID: w.XID, ID: w.ID})
	if err != nil {
		return record.OrderState{}, err
	}
	a := action{order: number, write: w}
	state, err := op.Do(ctx, a)
	if fault.Is(err, fault.Uncertain) && ctx.Err() == nil {
		state, err = op.Do(ctx, a)
	}
	state.XID = w.XID
	return state, err
}

// act reads the orders, does the deed to those that need it, and reads again:
// what an action answers proves nothing (a dict means "not done").
func (c *Connector) act(ctx context.Context, d deed, rows []action) ([]batch.Result[record.OrderState], error) {
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.order
	}
	todo, refused, err := c.sort(ctx, d, ids)
	if err != nil {
		return nil, err
	}
	if len(todo) > 0 {
		err := c.do(ctx, d, todo)
		switch {
		case refusal(err) && len(todo) > 1:
			// One of them is to blame and Odoo doesn't say which; perhaps
			// somebody was faster. Look again, then one at a time.
			if err := c.oneByOne(ctx, d, todo, refused); err != nil {
				return nil, err
			}
		case refusal(err):
			refused[todo[0]] = err
		case err != nil:
			return nil, contended(err)
		}
	}
	after, err := c.readSales(ctx, ids, d.full)
	if err != nil {
		return nil, err
	}
	return results(rows, func(r action) (record.OrderState, error) {
		state, ok := after[r.order]
		switch {
		case !ok:
			return record.OrderState{}, orderGone()
		case state.Stage == d.done:
			return state.OrderState, nil // by us or by somebody who was faster
		case refused[r.order] != nil:
			return state.OrderState, refused[r.order]
		}
		return state.OrderState, fault.New(fault.Conflict, "odoo.action_not_done", "Odoo answered, but the order is still %s", state.Stage).
			WithResolution("do it by hand in Odoo, where it asks a question first")
	}), nil
}

// sort parts the orders that need the deed from those that must not get it.
func (c *Connector) sort(ctx context.Context, d deed, ids []int64) (todo []int64, refused map[int64]error, err error) {
	states, err := c.readSales(ctx, ids, d.full)
	if err != nil {
		return nil, nil, err
	}
	refused = map[int64]error{}
	for _, n := range ids {
		state, ok := states[n]
		if !ok {
			continue
		}
		switch wanted, err := d.wants(ctx, state); {
		case refusal(err):
			refused[n] = err
		case err != nil:
			return nil, nil, err
		case wanted:
			todo = append(todo, n)
		}
	}
	return todo, refused, nil
}

func (c *Connector) oneByOne(ctx context.Context, d deed, ids []int64, refused map[int64]error) error {
	todo, again, err := c.sort(ctx, d, ids)
	if err != nil {
		return err
	}
	for n, err := range again {
		refused[n] = err
	}
	for _, n := range todo {
		if err := c.do(ctx, d, []int64{n}); refusal(err) {
			refused[n] = err
		} else if err != nil {
			return contended(err)
		}
	}
	return nil
}

func (c *Connector) do(ctx context.Context, d deed, ids []int64) error {
	ctx = rpc.WithContext(ctx, rpc.Context{"disable_cancel_warning": true})
	return c.rpc.Call(ctx, "sale.order", d.method, ids, nil, nil, nil)
}

// refusal is an error of one order's own, not of the call.
func refusal(err error) bool {
	return fault.Is(err, fault.Conflict) || fault.Is(err, fault.Invalid) || fault.Is(err, fault.NotFound)
}

func (c *Connector) wantsConfirm(_ context.Context, s reading) (bool, error) {
	switch {
	case s.Stage == record.StageConfirmed:
		return false, nil
	case s.Stage == record.StageCancelled:
		return false, fault.New(fault.Conflict, "odoo.order_cancelled", "the order is cancelled in Odoo").
			WithResolution("set it back to a quotation in Odoo and retry, or ignore the change")
	case s.lines == 0:
		return false, fault.New(fault.Conflict, "odoo.order_empty", "the order has no lines").
			WithResolution("add lines to the order, or cancel it")
	}
	return true, nil
}

func (c *Connector) wantsCancel(ctx context.Context, s reading) (bool, error) {
	if s.Stage == record.StageCancelled {
		return false, nil
	}
	if s.Locked {
		return false, orderLocked()
	}
	decide := func(what string) error {
		return fault.New(fault.Conflict, "odoo.cancel_needs_decision", "the order was %s already", what).
			WithResolution("decide in Odoo about return and refund, cancel the order there, then retry").WithFamily(what)
	}
	for _, line := range s.Lines {
		if !line.Delivered.IsZero() {
			return false, decide("delivered, at least in part,")
		}
	}
	if len(s.invoices) > 0 {
		posted, err := c.rpc.SearchCount(ctx, "account.move", []any{is("id", "in", s.invoices), is("state", "=", "posted")})
		switch {
		case err != nil:
			return false, err
		case posted > 0:
			return false, decide("invoiced")
		}
	}
	return true, nil
}
