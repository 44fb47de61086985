package shopify

import (
	"context"
	"errors"
	"time"

	"towpath/connectors"
)

var _ connectors.OrderCounter = (*Connector)(nil)

// CountOrders says how many orders were last changed at since or later and
// before until, in whole seconds. Like a listing it knows the last 60 days only
// where the app lacks read_all_orders.
func (c *Connector) CountOrders(ctx context.Context, since, until time.Time) (n int64, exact bool, err error) {
	stamp := func(at time.Time) string { return "'" + at.UTC().Format(time.RFC3339) + "'" }
	var out struct {
		Found *struct {
			Count     int64  `json:"count"`
			Precision string `json:"precision"`
		} `json:"found"`
	}
	query := "updated_at:>=" + stamp(since) + " AND updated_at:<" + stamp(until)
	if _, err := c.api.run(ctx, c.docs.orderCount, "", map[string]any{"query": query}, &out); err != nil {
		return 0, false, err
	}
	if out.Found == nil {
		return 0, false, badAnswer(errors.New("no count in the answer"))
	}
	return out.Found.Count, out.Found.Precision == "EXACT" && out.Found.Count != moreThan, nil
}
