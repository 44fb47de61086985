package odoo

import (
	"context"
	"slices"
	"strconv"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// keptModels are the models of what bindings point to.
var keptModels = map[record.Kind]string{
	record.KindCustomer: "res.partner",
	record.KindProduct:  "product.product",
	record.KindOrder:    "sale.order",
}

// Vanished gives those ids that Odoo does not have any more, archived records
// being there: deleted ones, and contacts that were merged into others. It is
// asked after a refusal only, so it is one call of its own.
func (c *Connector) Vanished(ctx context.Context, kind record.Kind, ids []string) ([]string, error) {
	model, ok := keptModels[kind]
	if !ok {
		return nil, fault.New(fault.Unsupported, "odoo.kind", "Odoo keeps no records of kind %q", kind)
	}
	ctx = rpc.WithContext(ctx, rpc.Context{"active_test": false})
	wanted := make([]int64, 0, len(ids))
	for _, one := range ids {
		if n, err := strconv.ParseInt(one, 10, 64); err == nil { // what is no number was never Odoo's
			wanted = append(wanted, n)
		}
	}
	there, err := c.rpc.Search(ctx, model, []any{is("id", "in", anys(wanted))}, rpc.Query{})
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, one := range ids {
		if !slices.ContainsFunc(there, func(n int64) bool { return id(n) == one }) {
			gone = append(gone, one)
		}
	}
	return gone, nil
}
