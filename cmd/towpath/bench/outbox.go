package bench

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"towpath/cmd/towpath/stack"
	"towpath/connectors/odoo/rpc"
)

const (
	writes  = 100 // of a kind, in a round, for each Odoo
	outboxX = 1.1 // what a write may cost with the module, as a multiple
)

// outbox measures what towpath_outbox costs the people who work in Odoo: one
// write over RPC, until it is answered, so with its commit and with the
// signature of the key. Three Odoos of one worker each, of the same records,
// take the same writes in turn: without the module, with the module and no
// rule for the model, and with a rule that sends the full record.
//
// Then how soon Towpath hears of a change, and what telling it takes: see nudge.go.
func (b *bench) outbox(ctx context.Context) error {
	s, err := stack.New(stack.Options{Fsync: true, Out: b.Out})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	houses, err := b.houses(ctx, s)
	if err != nil {
		return err
	}
	bar := b.Bar(b.Rounds*len(changes), "outbox")
	defer func() { _ = bar.Finish() }()
	for _, c := range changes {
		ratio := map[string][]float64{}
		for range b.Rounds {
			ms, err := c.round(ctx, houses)
			if err != nil {
				return fmt.Errorf("%s: %w", c.what, err)
			}
			for i, h := range houses {
				ratio[h.what] = append(ratio[h.what], median(turns(ms[i], ms[0])))
				b.report.raw("outbox ms, "+c.what+", "+h.what, ms[i]...)
			}
			_ = bar.Add(1)
		}
		name := "a write in Odoo: " + c.what
		b.report.add(name, "module and rule ÷ without module", "×", Target{AtMost: outboxX}, ratio[houses[2].what])
		b.report.add(name, "module, no rule ÷ without module", "×", Target{AtMost: outboxX}, ratio[houses[1].what])
		for _, h := range houses {
			b.report.add(name, h.what, "ms", Target{}, []float64{median(b.report.Raw["outbox ms, "+c.what+", "+h.what])})
		}
	}
	if err := b.told(ctx, houses[2]); err != nil {
		return err
	}
	return b.nudged(ctx, houses[2])
}

// house is one of the Odoos that are compared.
type house struct {
	what string
	*stack.Odoo
	bot, admin           *rpc.Client
	partner, order, line int64
	written              int // so that every write is a change
}

func (b *bench) houses(ctx context.Context, s *stack.Stack) ([]*house, error) {
	houses := []*house{{what: "without the module"}, {what: "with the module, no rule"}, {what: "with a rule"}}
	for i, h := range houses {
		var err error
		if h.Odoo, err = s.Odoo(ctx, stack.OdooOptions{DB: fmt.Sprintf("outbox%d", i), Workers: 1, Outbox: i > 0}); err != nil {
			return nil, err
		}
		if h.bot, err = h.as(h.Login, h.APIKey); err != nil {
			return nil, err
		}
		if h.admin, err = h.as("admin", h.AdminAPIKey); err != nil {
			return nil, err
		}
		if err := h.furnish(ctx); err != nil {
			return nil, err
		}
	}
	return houses, houses[2].rules(ctx, "res.partner", "sale.order")
}

func (h *house) as(login, key string) (*rpc.Client, error) {
	return rpc.New(rpc.Config{URL: h.URL, Database: h.DB, Login: login, APIKey: key, Private: true})
}

// furnish makes a customer with an order of three lines.
func (h *house) furnish(ctx context.Context) error {
	made, err := h.bot.Create(ctx, "res.partner", map[string]any{"name": "Ada"})
	if err != nil {
		return err
	}
	h.partner = first(made)
	goods, err := h.bot.Search(ctx, "product.product", []any{[]any{"default_code", "=like", "SKU-00%"}}, rpc.Query{Limit: 3})
	if err != nil {
		return err
	}
	lines := make([]any, len(goods))
	for i, id := range goods {
		lines[i] = []any{0, 0, map[string]any{"product_id": id, "product_uom_qty": 2}}
	}
	if made, err = h.bot.Create(ctx, "sale.order", map[string]any{"partner_id": h.partner, "order_line": lines}); err != nil {
		return err
	}
	h.order = first(made)
	made, err = h.bot.Search(ctx, "sale.order.line", []any{[]any{"order_id", "=", h.order}}, rpc.Query{Limit: 1})
	h.line = first(made)
	return err
}

// rules tell every change of the models, with the full record.
func (h *house) rules(ctx context.Context, models ...string) error {
	for _, model := range models {
		found, err := h.admin.Search(ctx, "ir.model", []any{[]any{"model", "=", model}}, rpc.Query{Limit: 1})
		if err != nil {
			return err
		}
		if _, err := h.admin.Create(ctx, "towpath.rule", map[string]any{"name": model, "model_id": first(found)}); err != nil {
			return err
		}
	}
	return nil
}

// change is a kind of write that people make all day.
type change struct {
	what, model string
	record      func(*house) int64
	values      func(n int) map[string]any
}

var changes = []change{
	{"a contact's field", "res.partner", func(h *house) int64 { return h.partner },
		func(n int) map[string]any { return map[string]any{"phone": fmt.Sprintf("+1 555 %04d", n)} }},
	{"an order line's quantity", "sale.order.line", func(h *house) int64 { return h.line },
		func(n int) map[string]any { return map[string]any{"product_uom_qty": n%50 + 1} }},
	{"an order's field", "sale.order", func(h *house) int64 { return h.order },
		func(n int) map[string]any { return map[string]any{"client_order_ref": fmt.Sprintf("PO-%d", n)} }},
}

func (c change) write(ctx context.Context, h *house) (ms float64, err error) {
	h.written++
	values, began := c.values(h.written), time.Now()
	err = h.bot.Write(ctx, c.model, []int64{c.record(h)}, values)
	return millis(time.Since(began)), err
}

// round writes in every house in turn, each time beginning with another one,
// and gives the milliseconds of each house.
func (c change) round(ctx context.Context, houses []*house) ([][]float64, error) {
	const warm = 10
	ms := make([][]float64, len(houses))
	for i := range warm + writes {
		for j := range houses {
			at := (i + j) % len(houses)
			took, err := c.write(ctx, houses[at])
			if err != nil {
				return nil, err
			}
			if i >= warm {
				ms[at] = append(ms[at], took)
			}
		}
	}
	return ms, nil
}

// turns are the ratios of writes that followed one another: what else the
// machine did at that moment was done to both.
func turns(ms, baseline []float64) []float64 {
	ratios := make([]float64, len(ms))
	for i := range ms {
		ratios[i] = ms[i] / baseline[i]
	}
	return ratios
}

// told checks that all writes became events: else they were cheap for nothing.
func (b *bench) told(ctx context.Context, h *house) error {
	db, err := sql.Open("postgres", h.PGDSN)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var events int
	if err := db.QueryRowContext(ctx, `
SELECT count(*) FROM towpath_outbox WHERE event IN ('res.partner.updated', 'sale.order.updated') AND NOT thin`).Scan(&events); err != nil {
		return err
	}
	b.report.same("outbox", events == h.written, fmt.Sprintf("%d writes, %d whole events", h.written, events))
	return nil
}
