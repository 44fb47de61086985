package odoo

import (
	"context"
	"strconv"

	"towpath/connectors/batch"
	"towpath/schema/record"
)

// addOrderStates makes the operation that reads orders by the page. A page is a
// call of its own and takes its turn after orders and people.
func (c *Connector) addOrderStates() {
	c.orderPages = batch.NewOp(c.scheduler, batch.OpConfig[[]int64, map[int64]reading]{
		Name: "read pages of orders", Priority: batch.Read, MaxRows: 1, Timeout: readTimeout, Background: inBulk[[]int64],
		Call: func(ctx context.Context, pages [][]int64) ([]batch.Result[map[int64]reading], error) {
			states, err := c.readSales(c.scope(ctx), pages[0], false)
			if err != nil {
				return nil, err
			}
			return []batch.Result[map[int64]reading]{{Answer: states}}, nil
		},
	})
}

// OrderStates reads orders as they are, by their ids: one search_read of
// sale.order, whatever the number. Those that are gone, or that the bot may not
// see, are missing from the answer; so are ids that are no numbers. Cancelled
// ones are there. Lines and invoices are not read.
func (c *Connector) OrderStates(ctx context.Context, ids []string) (map[string]record.OrderState, error) {
	var wanted []int64
	for _, one := range ids {
		if n, err := strconv.ParseInt(one, 10, 64); err == nil {
			wanted = append(wanted, n)
		}
	}
	states := make(map[string]record.OrderState, len(wanted))
	if len(wanted) == 0 {
		return states, nil
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	read, err := c.orderPages.Do(ctx, unique(wanted))
	for n, state := range read {
		states[id(n)] = state.OrderState
	}
	return states, err
}
