package shopify

import (
	"context"

	"towpath/connectors"
	"towpath/schema/record"
)

// CountRecords says how many records a query selects at this moment. Shopify
// counts what it can count exactly; the rest is counted id by id: filtered
// variants (productVariantsCount has "no supported search fields"), filtered
// customers (by time only), stock, and more than Shopify counts to.
func (c *Connector) CountRecords(ctx context.Context, q connectors.RecordQuery) (int64, error) {
	m, err := modelOf(q.Model)
	if err != nil {
		return 0, err
	}
	n, exact, err := c.askCount(ctx, m, q)
	if err != nil || exact {
		return n, err
	}
	n = 0
	if m.name == modelLevel {
		err = c.eachLevel(ctx, m, q, "", func(record.Sourced, string) bool { n++; return true })
		return n, err
	}
	err = c.eachKey(ctx, m, q, "", maxPage, func(node) bool { n++; return true })
	return n, err
}

// moreThan is what Shopify counts to at most ("25,001 is returned as the
// count", API limits).
const moreThan = 25_001

func (c *Connector) askCount(ctx context.Context, m *recordModel, q connectors.RecordQuery) (n int64, exact bool, err error) {
	plain := q.Filter == "" && q.Since.IsZero() && q.Until.IsZero() && q.From == "" && q.To == ""
	vars := map[string]any{"query": nil}
	var op operation
	switch {
	case m.name == modelProduct:
		op = c.docs.records.productCount
		query, err := m.search(q, q.From, q.To)
		if err != nil {
			return 0, false, err
		}
		vars["query"] = query
	case m.name == modelVariant && plain && q.Archived:
		op = c.docs.records.variantCount
	case m.name == modelCustomer && plain:
		op = c.docs.records.customerCount
	default:
		return 0, false, nil
	}
	var out struct {
		Found *struct {
			Count     int64  `json:"count"`
			Precision string `json:"precision"`
		} `json:"found"`
	}
	if _, err := c.api.run(ctx, op, "", vars, &out); err != nil {
		return 0, false, err
	}
	if out.Found == nil {
		return 0, false, nil
	}
	return out.Found.Count, out.Found.Precision == "EXACT" && out.Found.Count != moreThan, nil
}
