package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"towpath/cmd/towpath/stack"
	"towpath/connectors/odoo/rpc"
)

// naive is the client that people write by hand: for each order it searches
// the partner and each product, makes what is missing, creates, confirms and
// reads back, one call for each step, one order after the other. It takes the
// prices and taxes as they come out right, and looks nothing up twice.
type naive struct {
	rpc     *rpc.Client
	content content
	byXID   map[string]partner
	ids     map[string]int64 // addresses by our external id, found or made
}

func newNaive(o *stack.Odoo, c content) (*naive, error) {
	client, err := rpc.New(rpc.Config{URL: o.URL, Database: o.DB, Login: o.Login, APIKey: o.APIKey, Private: true})
	if err != nil {
		return nil, err
	}
	n := &naive{rpc: client, content: c, byXID: map[string]partner{}, ids: map[string]int64{}}
	for _, p := range c.Partners {
		n.byXID[p.XID] = p
	}
	return n, nil
}

// run brings the first orders in, the warm ones before the clock starts, and
// gives the milliseconds that each took.
func (n *naive) run(ctx context.Context, orders int, each func()) (ms []float64, err error) {
	for i, o := range n.content.Orders[:min(n.content.Warm+orders, len(n.content.Orders))] {
		began := time.Now()
		if err := n.order(ctx, o); err != nil {
			return ms, fmt.Errorf("naive client, order %s: %w", o.Ref, err)
		}
		if i >= n.content.Warm {
			ms = append(ms, millis(time.Since(began)))
			each()
		}
	}
	return ms, nil
}

func (n *naive) order(ctx context.Context, o sale) error {
	customer, err := n.customer(ctx, n.byXID[n.root(o.Partner)])
	if err != nil {
		return err
	}
	invoice, err := n.address(ctx, customer, o.Invoice)
	if err != nil {
		return err
	}
	delivery, err := n.address(ctx, customer, o.Delivery)
	if err != nil {
		return err
	}
	lines := make([]any, 0, len(o.Lines))
	for _, l := range o.Lines {
		product := l.Product // services are known by their ids
		if strings.HasPrefix(l.SKU, "SKU-") {
			if product, err = n.product(ctx, l.SKU); err != nil {
				return err
			}
		}
		taxes := l.Taxes
		if taxes == nil {
			taxes = []int64{}
		}
		line := map[string]any{
			"product_id": product, "name": l.Name, "product_uom_qty": json.Number(l.Qty), "price_unit": json.Number(l.Price),
			"sequence": l.Sequence, "technical_price_unit": -1, "tax_ids": []any{[]any{6, 0, taxes}},
		}
		if l.Extra != "" {
			line["extra_tax_data"] = json.RawMessage(l.Extra)
		}
		lines = append(lines, []any{0, 0, line})
	}
	made, err := n.rpc.Create(ctx, "sale.order", map[string]any{
		"name": o.Name, "client_order_ref": o.Ref, "origin": o.Origin, "partner_id": customer, "partner_invoice_id": invoice,
		"partner_shipping_id": delivery, "pricelist_id": o.PriceList, "order_line": lines,
	})
	if err != nil {
		return err
	}
	if err := n.rpc.Call(ctx, "sale.order", "action_confirm", made, nil, nil, nil); err != nil {
		return err
	}
	var back []struct {
		State string      `json:"state"`
		Total json.Number `json:"amount_total"`
	}
	if err := n.rpc.Read(ctx, "sale.order", made, []string{"state", "amount_total"}, &back); err != nil {
		return err
	}
	if len(back) != 1 || back[0].State != "sale" {
		return fmt.Errorf("not confirmed: %v", back)
	}
	return nil
}

func (n *naive) root(xid string) string {
	if p := n.byXID[xid].Parent; p != nil {
		return *p
	}
	return xid
}

func (n *naive) customer(ctx context.Context, p partner) (int64, error) {
	found, err := n.rpc.Search(ctx, "res.partner", []any{[]any{"email", "=", deref(p.Email)}, []any{"parent_id", "=", false}}, rpc.Query{Limit: 1})
	if err != nil || len(found) > 0 {
		return first(found), err
	}
	made, err := n.rpc.Create(ctx, "res.partner", p.values(0))
	return first(made), err
}

// address is looked up once for each: a hand-written client would search.
func (n *naive) address(ctx context.Context, customer int64, xid string) (int64, error) {
	p := n.byXID[xid]
	if p.Parent == nil {
		return customer, nil
	}
	found, err := n.rpc.Search(ctx, "res.partner", []any{[]any{"parent_id", "=", customer}, []any{"street", "=", deref(p.Street)},
		[]any{"zip", "=", deref(p.Zip)}, []any{"type", "=", p.Type}}, rpc.Query{Limit: 1})
	if err != nil || len(found) > 0 {
		return first(found), err
	}
	made, err := n.rpc.Create(ctx, "res.partner", p.values(customer))
	return first(made), err
}

func (n *naive) product(ctx context.Context, sku string) (int64, error) {
	found, err := n.rpc.Search(ctx, "product.product", []any{[]any{"default_code", "=", sku}}, rpc.Query{Limit: 1})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no product %s", sku)
	}
	return first(found), err
}

func (p partner) values(parent int64) map[string]any {
	v := map[string]any{"type": p.Type, "is_company": p.IsCompany}
	if parent != 0 {
		v["parent_id"] = parent
	}
	for field, s := range map[string]*string{"name": p.Name, "email": p.Email, "phone": p.Phone, "street": p.Street,
		"street2": p.Street2, "city": p.City, "zip": p.Zip, "lang": p.Lang, "company_name": p.CompanyName} {
		if s != nil {
			v[field] = *s
		}
	}
	for field, id := range map[string]*int64{"state_id": p.State, "country_id": p.Country} {
		if id != nil {
			v[field] = *id
		}
	}
	return v
}

func first(ids []int64) int64 {
	if len(ids) == 0 {
		return 0
	}
	return ids[0]
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// wake lets every HTTP worker of an Odoo load its models before the clock
// starts: several calls at once, until a whole round of them is fast.
func wake(ctx context.Context, o *stack.Odoo) error {
	for range 20 {
		slowest := time.Duration(0)
		answers := make(chan error)
		began := time.Now()
		for range 8 {
			go func() {
				p := prober{url: o.URL, db: o.DB}
				_, err := p.read(ctx)
				answers <- err
			}()
		}
		for range 8 {
			if err := <-answers; err != nil {
				return err
			}
			slowest = time.Since(began)
		}
		if slowest < 400*time.Millisecond {
			return nil
		}
	}
	return nil // as awake as it gets on a busy machine
}
