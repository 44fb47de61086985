package odoo

import (
	"context"
	"strings"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// orderAsk is one caller's question for an order.
type orderAsk struct {
	id   int64
	full bool // with lines and invoices
}

// sale is a sale.order as read.
type sale struct {
	ID        int64        `json:"id"`
	Name      rpc.Text     `json:"name"`
	Reference rpc.Text     `json:"client_order_ref"`
	State     rpc.Text     `json:"state"`
	Locked    bool         `json:"locked"`
	Total     rpc.Decimal  `json:"amount_total"`
	Tax       rpc.Decimal  `json:"amount_tax"`
	Currency  rpc.Many2One `json:"currency_id"`
	Partner   rpc.Many2One `json:"partner_id"`
	Ordered   rpc.Time     `json:"date_order"`
	WriteDate rpc.Time     `json:"write_date"`
	Lines     []int64      `json:"order_line"`
	Invoices  []int64      `json:"invoice_ids"`
}

// noise is where binary floats end and Odoo's amounts begin.
const noise = 6

// reading is an order with what deeds decide by.
type reading struct {
	record.OrderState
	lines    int
	invoices []int64
}

func (s sale) reading() reading {
	return reading{OrderState: s.state(), lines: len(s.Lines), invoices: s.Invoices}
}

func (s sale) state() record.OrderState {
	state := record.OrderState{
		ID: id(s.ID), Name: string(s.Name), Reference: string(s.Reference), Stage: record.StageDraft,
		Locked: s.Locked || s.State == "done", Currency: s.Currency.Name,
		Total: s.Total.Round(noise), Tax: s.Tax.Round(noise),
		PartnerID: id(s.Partner.ID), Invoiced: len(s.Invoices) > 0,
		OrderedAt: s.Ordered.Time, WriteDate: s.WriteDate.Time,
	}
	switch s.State {
	case "sale", "done":
		state.Stage = record.StageConfirmed
	case "cancel":
		state.Stage = record.StageCancelled
	}
	return state
}

// ReadOrder reads one order with its lines; a fault of kind NotFound if it is
// gone or was never made.
func (c *Connector) ReadOrder(ctx context.Context, ref record.OrderRef) (record.OrderState, error) {
	if _, err := c.known.get(ctx, false); err != nil {
		return record.OrderState{}, err
	}
	number, err := c.locate(ctx, ref)
	if err != nil {
		return record.OrderState{}, err
	}
	state, err := c.orders.Do(ctx, orderAsk{id: number, full: true})
	state.XID = ref.XID
	return state, err
}

// locate gives an order's database id: its own when known, else that of its
// external id.
func (c *Connector) locate(ctx context.Context, ref record.OrderRef) (int64, error) {
	if ref.ID != "" {
		return dbID("id", ref.ID)
	}
	if err := checkXID("xid", ref.XID); err != nil {
		return 0, err
	}
	found, err := c.lookUp(ctx, ref.XID)
	if err != nil {
		return 0, err
	}
	if found.model != "sale.order" || found.id == 0 {
		return 0, orderGone()
	}
	return found.id, nil
}

func orderGone() *fault.Fault {
	return fault.New(fault.NotFound, "odoo.order_missing", "the order does not exist in Odoo").
		WithResolution("if somebody deleted it in Odoo, decide whether it is to be made again")
}

func (c *Connector) callReadOrders(ctx context.Context, asks []orderAsk) ([]batch.Result[record.OrderState], error) {
	ids := make([]int64, len(asks))
	for i, a := range asks {
		ids[i] = a.id
	}
	states, err := c.readSales(c.scope(ctx), unique(ids), asks[0].full)
	if err != nil {
		return nil, err
	}
	return results(asks, func(a orderAsk) (record.OrderState, error) {
		state, ok := states[a.id]
		if !ok {
			return record.OrderState{}, orderGone()
		}
		return state.OrderState, nil
	}), nil
}

// readSales reads orders within a call slot. Those that are gone are missing
// from the answer. It searches instead of reading by id, since read fails as a
// whole when one record is hidden from the bot.
func (c *Connector) readSales(ctx context.Context, ids []int64, full bool) (map[int64]reading, error) {
	sales, err := c.searchSales(ctx, []any{is("id", "in", ids)}, full)
	if err != nil {
		return nil, err
	}
	states := make(map[int64]reading, len(sales))
	for _, s := range sales {
		states[s.ID] = s.reading()
	}
	if full {
		err = c.addLines(ctx, sales, states)
	}
	return states, err
}

func (c *Connector) searchSales(ctx context.Context, domain []any, full bool) ([]sale, error) {
	fields := []string{
		"name", "client_order_ref", "state", "amount_total", "amount_tax",
		"currency_id", "partner_id", "date_order", "write_date", "order_line",
	}
	// Within a slot the terms are looked at, not read: who came here has them.
	if t, _ := c.known.held(noTime); t != nil && t.shape.locked {
		fields = append(fields, "locked")
	}
	if full {
		fields = append(fields, "invoice_ids")
	}
	var sales []sale
	err := c.rpc.SearchRead(ctx, "sale.order", domain, fields, rpc.Query{Order: "id"}, &sales)
	return sales, err
}

// addLines reads the lines of all orders at once, notes and sections left out.
func (c *Connector) addLines(ctx context.Context, sales []sale, states map[int64]reading) error {
	var ids []int64
	for _, s := range sales {
		ids = append(ids, s.Lines...)
	}
	if len(ids) == 0 {
		return nil
	}
	var lines []struct {
		ID        int64        `json:"id"`
		Order     rpc.Many2One `json:"order_id"`
		Product   rpc.Many2One `json:"product_id"`
		Name      rpc.Text     `json:"name"`
		Quantity  rpc.Decimal  `json:"product_uom_qty"`
		Delivered rpc.Decimal  `json:"qty_delivered"`
		Invoiced  rpc.Decimal  `json:"qty_invoiced"`
		UnitPrice rpc.Decimal  `json:"price_unit"`
		Total     rpc.Decimal  `json:"price_total"`
	}
	fields := []string{"order_id", "product_id", "name", "product_uom_qty", "qty_delivered", "qty_invoiced", "price_unit", "price_total"}
	domain := []any{is("id", "in", ids), is("display_type", "=", false)}
	if err := c.rpc.SearchRead(ctx, "sale.order.line", domain, fields, rpc.Query{Order: "order_id, sequence, id"}, &lines); err != nil {
		return err
	}
	for _, l := range lines {
		state := states[l.Order.ID]
		line := record.LineState{
			ID: id(l.ID), Name: string(l.Name), Quantity: l.Quantity.Round(noise),
			Delivered: l.Delivered.Round(noise), Invoiced: l.Invoiced.Round(noise),
			UnitPrice: l.UnitPrice.Decimal, Total: l.Total.Round(noise),
		}
		if l.Product.ID != 0 {
			line.ProductID = id(l.Product.ID)
		}
		state.Lines = append(state.Lines, line)
		state.Invoiced = state.Invoiced || !line.Invoiced.IsZero()
		states[l.Order.ID] = state
	}
	return nil
}

// FindOrders gives the orders of the company that carry the shop's reference
// and are not cancelled, whoever made them; XID tells those with an external id.
func (c *Connector) FindOrders(ctx context.Context, reference string) ([]record.OrderState, error) {
	if reference = text(reference); reference == "" {
		return nil, nil
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	return c.references.Do(ctx, reference)
}

func (c *Connector) callFindOrders(ctx context.Context, references []string) ([]batch.Result[[]record.OrderState], error) {
	ctx = c.scope(ctx)
	sales, err := c.searchSales(ctx, []any{
		is("client_order_ref", "in", anys(references)), is("state", "!=", "cancel"),
		is("company_id", "=", c.company.Load()),
	}, true)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(sales))
	states := make(map[int64]reading, len(sales))
	for i, s := range sales {
		ids[i], states[s.ID] = s.ID, s.reading()
	}
	// Lines tell whether an order that was made by hand is the shop's.
	if err := c.addLines(ctx, sales, states); err != nil {
		return nil, err
	}
	xids, err := c.externalIDs(ctx, "sale.order", ids)
	if err != nil {
		return nil, err
	}
	found := map[string][]record.OrderState{}
	for _, s := range sales {
		state := states[s.ID].OrderState
		state.XID = xids[s.ID]
		found[state.Reference] = append(found[state.Reference], state)
	}
	return results(references, func(ref string) ([]record.OrderState, error) { return found[ref], nil }), nil
}

// externalIDs gives the external ids of records. get_metadata tells them to a bot
// that may not read ir.model.data, and over XML-RPC, unlike get_external_id.
// A record may carry a module's or an import's id too: ours is preferred.
func (c *Connector) externalIDs(ctx context.Context, model string, ids []int64) (map[int64]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	type name struct {
		XID rpc.Text `json:"xmlid"`
	}
	var rows []struct {
		ID int64 `json:"id"`
		name
		All []name `json:"xmlids"` // 17 and newer
	}
	if err := c.rpc.Call(ctx, model, "get_metadata", ids, nil, nil, &rows); err != nil {
		return nil, err
	}
	out := make(map[int64]string, len(rows))
	for _, row := range rows {
		out[row.ID] = string(row.XID)
		for _, n := range row.All {
			if strings.HasPrefix(string(n.XID), record.XIDModule+".") {
				out[row.ID] = string(n.XID)
			}
		}
	}
	return out, nil
}

func unique(ids []int64) []int64 {
	seen := make(map[int64]bool, len(ids))
	out := ids[:0:0]
	for _, n := range ids {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}
