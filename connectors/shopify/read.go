package shopify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// ReadOrder reads one order as it is now. Faults: NotFound
// (shopify.order_not_found) when it is deleted or older than the app may see.
func (c *Connector) ReadOrder(ctx context.Context, externalID string) (record.Order, error) {
	if !idForm.MatchString(externalID) {
		return record.Order{}, fault.New(fault.Invalid, "shopify.bad_id", "an order's id in Shopify is a number").WithField("external_id")
	}
	for try := 1; ; try++ {
		order, err := c.readOnce(ctx, externalID)
		if !errors.Is(err, errMoved) || try == 3 {
			return order, err
		}
	}
}

func (c *Connector) readOnce(ctx context.Context, id string) (record.Order, error) {
	var out struct {
		Order *orderPayload `json:"order"`
	}
	got, err := c.paged(&c.sizes.order, func(size pageSize) (reply, error) {
		return c.api.run(ctx, c.docs.order, size.key(), map[string]any{
			"id": gid("Order", id), "lines": size.lines, "barcodes": c.config.Barcodes,
		}, &out)
	})
	if err != nil {
		return record.Order{}, err
	}
	if out.Order == nil {
		return record.Order{}, fault.New(fault.NotFound, "shopify.order_not_found", "Shopify has no such order, or it is older than the app may see").
			WithResolution("if the order exists, grant the app the scope read_all_orders")
	}
	return c.finish(ctx, *out.Order, got.SourceNow)
}

// ListOrders gives one page of the orders changed since, oldest change first.
// A page is as large as Shopify's cost limit allows. The cursor is opaque and
// good for this connection only. Without the scope read_all_orders the Horizon
// is 60 days back: Shopify hides older orders without a word.
func (c *Connector) ListOrders(ctx context.Context, since time.Time, cursor string) (connectors.OrderPage, error) {
	at, err := parseCursor(cursor, since)
	if err != nil {
		return connectors.OrderPage{}, err
	}
	var out struct {
		Orders *list[orderPayload] `json:"orders"`
	}
	got, err := c.paged(&c.sizes.orders, func(size pageSize) (reply, error) {
		return c.api.run(ctx, c.docs.orders, size.key(), map[string]any{
			"query":  "updated_at:>='" + at.Since.UTC().Format(time.RFC3339) + "'",
			"orders": size.orders, "lines": size.lines, "after": nullable(at.After), "barcodes": c.config.Barcodes,
		}, &out)
	})
	if err != nil {
		return connectors.OrderPage{}, err
	}
	if out.Orders == nil {
		return connectors.OrderPage{}, badAnswer(errors.New("no orders in the answer"))
	}
	page := connectors.OrderPage{SourceNow: got.SourceNow}
	for _, p := range out.Orders.Items {
		order, err := c.finish(ctx, p, got.SourceNow)
		if errors.Is(err, errMoved) { // changed while its rest was read
			order, err = c.ReadOrder(ctx, (&reader{}).optionalID("id", p.ID))
		}
		if err != nil {
			return connectors.OrderPage{}, err
		}
		page.Orders = append(page.Orders, order)
	}
	page.Next = at.next(out.Orders.Page, page.Orders)
	page.Horizon, err = c.horizon(ctx, got.SourceNow)
	return page, err
}

// errMoved says that an order changed between two pages of it.
var errMoved = errors.New("the order changed while it was read")

func moved() *fault.Fault {
	return fault.New(fault.Transient, "shopify.order_moved", "the order changed while it was read; it is tried again").WithCause(errMoved)
}

// finish reads what did not fit the first answer: further lines of long
// orders, and the refund records where units were removed.
func (c *Connector) finish(ctx context.Context, p orderPayload, readAt time.Time) (record.Order, error) {
	if p.Shipping.Page.HasNextPage {
		return record.Order{}, fault.New(fault.Unsupported, "shopify.shipping_lines", "the order has more than ten shipping lines").
			WithField("shipping_lines").WithResolution("enter this order by hand")
	}
	for p.Lines.Page.HasNextPage {
		if err := c.moreLines(ctx, &p); err != nil {
			return record.Order{}, err
		}
	}
	if p.hasRemovals() {
		if err := c.readRefunds(ctx, &p); err != nil {
			return record.Order{}, err
		}
	}
	return c.build(p, readAt)
}

func (c *Connector) moreLines(ctx context.Context, p *orderPayload) error {
	var out struct {
		Order *struct {
			UpdatedAt scalar            `json:"updated_at"`
			Lines     list[linePayload] `json:"line_items"`
		} `json:"order"`
	}
	_, err := c.paged(&c.sizes.order, func(size pageSize) (reply, error) {
		return c.api.run(ctx, c.docs.orderLines, size.key(), map[string]any{
			"id": p.ID, "lines": size.lines, "after": p.Lines.Page.EndCursor, "barcodes": c.config.Barcodes,
		}, &out)
	})
	if err != nil {
		return err
	}
	if out.Order == nil || out.Order.UpdatedAt != p.UpdatedAt {
		return moved()
	}
	if out.Order.Lines.Page.HasNextPage && len(out.Order.Lines.Items) == 0 {
		return badAnswer(errors.New("an empty page that is not the last"))
	}
	p.Lines.Items = append(p.Lines.Items, out.Order.Lines.Items...)
	p.Lines.Page = out.Order.Lines.Page
	return nil
}

// hasRemovals tells whether some units of a line are gone while others stay:
// only then do the refund records matter.
func (p orderPayload) hasRemovals() bool {
	for _, l := range p.Lines.Items {
		if l.CurrentQuantity != l.Quantity && l.CurrentQuantity != "0" {
			return true
		}
	}
	return false
}

func (c *Connector) readRefunds(ctx context.Context, p *orderPayload) error {
	var out struct {
		Order *struct {
			UpdatedAt scalar              `json:"updated_at"`
			Refunds   list[refundPayload] `json:"refunds"`
		} `json:"order"`
	}
	if _, err := c.api.run(ctx, c.docs.orderRefunds, "", map[string]any{"id": p.ID}, &out); err != nil {
		return err
	}
	if out.Order == nil || out.Order.UpdatedAt != p.UpdatedAt {
		return moved()
	}
	p.Refunds.Items = nil
	for _, refund := range out.Order.Refunds.Items {
		lines, err := c.refundLines(ctx, refund.ID)
		if err != nil {
			return err
		}
		p.Refunds.Items = append(p.Refunds.Items, refundPayload{ID: refund.ID, Lines: list[refundLinePayload]{Items: lines}})
	}
	return nil
}

func (c *Connector) refundLines(ctx context.Context, refund scalar) (lines []refundLinePayload, err error) {
	for after := ""; ; {
		var out struct {
			Refund *refundPayload `json:"refund"`
		}
		if _, err := c.api.run(ctx, c.docs.refundLines, "", map[string]any{"id": refund, "lines": 100, "after": nullable(after)}, &out); err != nil {
			return nil, err
		}
		if out.Refund == nil {
			return nil, moved()
		}
		lines = append(lines, out.Refund.Lines.Items...)
		if page := out.Refund.Lines.Page; page.HasNextPage && page.EndCursor != after {
			after = page.EndCursor
			continue
		}
		return lines, nil
	}
}

// pageSize is how much one query asks for.
type pageSize struct{ orders, lines int }

func (s pageSize) key() string { return strconv.Itoa(s.orders) + "x" + strconv.Itoa(s.lines) }

// pageSizes are what Shopify's limit of cost per query has been found to allow.
// Its price list is not published in full, so it is found out by asking.
type pageSizes struct {
	mu            sync.Mutex
	order, orders pageSize
	// Of records; only the number of records is used.
	products, variants, customers, levels, keys pageSize
}

func defaultSizes() *pageSizes {
	return &pageSizes{
		order: pageSize{1, 50}, orders: pageSize{20, 10},
		products: pageSize{maxPage, 1}, variants: pageSize{120, 1}, customers: pageSize{200, 1}, levels: pageSize{120, 1}, keys: pageSize{maxPage, 1},
	}
}

// paged runs a query with a size that shrinks, for good, while the query is too
// costly.
func (c *Connector) paged(at *pageSize, run func(pageSize) (reply, error)) (reply, error) {
	for {
		c.sizes.mu.Lock()
		size := *at
		c.sizes.mu.Unlock()
		got, err := run(size)
		if f := fault.Of(err); f == nil || f.Code != tooCostly || size == (pageSize{1, 1}) {
			return got, err
		}
		c.sizes.mu.Lock()
		if *at == size { // nobody shrank it meanwhile
			*at = size.smaller(err)
		}
		c.sizes.mu.Unlock()
	}
}

// smaller is the size that should fit, by what the refusal says, or half.
func (s pageSize) smaller(refusal error) pageSize {
	factor := 0.5
	var cost costError
	if errors.As(refusal, &cost) && cost.cost > 0 && cost.limit > 0 {
		factor = min(0.9, cost.limit/cost.cost*0.95)
	}
	if s.orders > 1 {
		s.orders = max(1, int(float64(s.orders)*factor))
	} else {
		s.lines = max(1, int(float64(s.lines)*factor))
	}
	return s
}

// cursor is where a listing stands. Shopify pages through 25,000 objects of one
// query at most, so a long listing starts anew from the last change it saw.
type cursor struct {
	Since time.Time `json:"s"`
	After string    `json:"a,omitempty"`
	Seen  int       `json:"n,omitempty"`
}

const restartAfter = 20_000

func parseCursor(text string, since time.Time) (cursor, error) {
	if text == "" {
		return cursor{Since: since}, nil
	}
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		return c, fault.New(fault.Invalid, "shopify.bad_cursor", "the listing's cursor is not one of ours").WithField("cursor").
			WithResolution("start the listing again")
	}
	return c, nil
}

func (c cursor) next(page pageInfo, orders []record.Order) string {
	if !page.HasNextPage {
		return ""
	}
	next := cursor{Since: c.Since, After: page.EndCursor, Seen: c.Seen + len(orders)}
	if next.Seen >= restartAfter && len(orders) > 0 {
		if last := orders[len(orders)-1].UpdatedAt; last.After(c.Since) {
			next = cursor{Since: last}
		}
	}
	raw, err := json.Marshal(next)
	if err != nil { // times beyond year 9999, which reader.time refuses
		panic(fmt.Sprintf("shopify: cursor: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func gid(kind, id string) string { return "gid://shopify/" + kind + "/" + id }

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}
