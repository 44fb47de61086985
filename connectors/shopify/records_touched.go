package shopify

import (
	"context"
	"sync"
	"time"

	"towpath/connectors"
)

// A variant is as new as its product: it is read with the product's title, tags
// and status, but a change of those does not touch the variant's own updatedAt,
// and productVariants cannot be searched by the product's. So the products of a
// window are found first, and their variants by product_ids.

// mostTouched is how many products are named in a search. Where more have
// changed, all variants are read and looked at here.
const mostTouched = 250

// touchedProducts are those of the last window asked for. A reading asks for
// its window once a page; the products in it can only become fewer, since what
// changes leaves it at its upper end.
type touchedProducts struct {
	mu           sync.Mutex
	since, until time.Time
	ids          []string
	readAt       time.Time
}

// changed is when a record was changed, by Shopify's clock.
func (m *recordModel) changed(n node) time.Time {
	at := n.time("updatedAt")
	if of := n.time("product.updatedAt"); m.name == modelVariant && of.After(at) {
		return of
	}
	return at
}

// search is a query for the records after a cursor.
func (c *Connector) search(ctx context.Context, m *recordModel, q connectors.RecordQuery, after string) (string, error) {
	if m.name != modelVariant || q.Since.IsZero() {
		return m.search(q, after, q.To)
	}
	products, err := c.productsIn(ctx, q)
	if err != nil {
		return "", err
	}
	if len(products) > mostTouched {
		q.Since, products = time.Time{}, nil
	}
	return m.search(q, after, q.To, products...)
}

// productsIn gives the products that were changed in a query's window, one more
// than mostTouched of them at most.
func (c *Connector) productsIn(ctx context.Context, q connectors.RecordQuery) ([]string, error) {
	t := &c.touched
	t.mu.Lock()
	defer t.mu.Unlock()
	if !q.Until.IsZero() && t.since.Equal(q.Since) && t.until.Equal(q.Until) && c.now().Sub(t.readAt) < locationsKept {
		return t.ids, nil
	}
	var ids []string
	window := connectors.RecordQuery{Model: modelProduct, Since: q.Since, Until: q.Until, Archived: true}
	err := c.eachKey(ctx, recordModels[modelProduct], window, "", maxPage, func(n node) bool {
		ids = append(ids, n.number("id"))
		return len(ids) <= mostTouched
	})
	if err == nil {
		t.since, t.until, t.ids, t.readAt = q.Since, q.Until, ids, c.now()
	}
	return ids, err
}
