package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	"towpath/connectors/shopify/simulator/scenario"
)

// alone is the number of orders, one after the other.
const alone = 50

// latency measures what one order takes on an idle machine, from its webhook
// to its confirmation in a real Odoo's database, against the whole of a naive
// client's work on the same order.
func (b *bench) latency(ctx context.Context) error {
	in, err := b.up(ctx, local.Options{RealOdoo: true, Out: b.Out})
	if err != nil {
		return err
	}
	defer in.Close()
	if err := errors.Join(keepStock(ctx, in.RealOdoo.PGDSN, false), wake(ctx, in.RealOdoo.Odoo)); err != nil {
		return err
	}
	w := &ordersWork{bench: b, in: in, result: &ordersRound{}, name: "latency"}
	ours, err := w.oneByOne(ctx)
	if err != nil {
		return err
	}
	odoo, err := in.Stack.Odoo(ctx, stack.OdooOptions{DB: "naive", Workers: 2})
	if err != nil {
		return err
	}
	if err := errors.Join(keepStock(ctx, odoo.PGDSN, false), wake(ctx, odoo)); err != nil {
		return err
	}
	client, err := newNaive(odoo, w.content)
	if err != nil {
		return err
	}
	bar := b.Bar(alone, "one order at a time, naive client")
	theirs, err := client.run(ctx, alone, func() { _ = bar.Add(1) })
	_ = bar.Finish()
	if err != nil {
		return err
	}
	b.tellLatency(ours, theirs)
	return nil
}

// oneByOne sends each order when the one before is confirmed and settled.
func (w *ordersWork) oneByOne(ctx context.Context) (ms []float64, err error) {
	day := scenario.Bench(w.Seed, 2*(warmOrders+alone), scenario.Options{Start: time.Now().Add(-time.Minute).UTC().Truncate(time.Second)})
	plain := map[int64]bool{}
	for _, e := range day.Expect {
		plain[e.OrderID] = e.End == scenario.Imported
	}
	bar := w.Bar(alone, "one order at a time")
	defer func() { _ = bar.Finish() }()
	sent := 0
	for _, d := range day.Deliveries {
		if !plain[d.OrderID] || sent == warmOrders+alone {
			continue
		}
		plain[d.OrderID] = false // its edit is another matter
		sent++
		began := time.Now()
		if r, err := w.in.Shop.Send(ctx, d.Delivery); err != nil || !r.OK() {
			return ms, fmt.Errorf("a webhook was answered %d: %w", r.Status, err)
		}
		if err := w.until(ctx, sent); err != nil {
			return ms, err
		}
		if sent > warmOrders {
			ms = append(ms, millis(time.Since(began)))
			_ = bar.Add(1)
		}
		if err := w.in.Settled(ctx, nil); err != nil {
			return ms, err
		}
	}
	w.content, err = readContent(ctx, w.in.RealOdoo, nil, warmOrders)
	return ms, err
}

func (w *ordersWork) until(ctx context.Context, confirmed int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		n, err := w.in.RealOdoo.Confirmed(ctx)
		if err != nil || n >= confirmed {
			return err
		}
		if err := sleep(ctx, 3*time.Millisecond); err != nil {
			return err
		}
	}
}

func (b *bench) tellLatency(ours, theirs []float64) {
	const name = "one order at a time, webhook → confirmed in real Odoo 19"
	var p50, naive, more []float64
	each := max(1, len(ours)/b.Rounds)
	for i := 0; i+each <= min(len(ours), len(theirs)); i += each {
		p50, naive = append(p50, median(ours[i:i+each])), append(naive, median(theirs[i:i+each]))
		more = append(more, p50[len(p50)-1]-naive[len(naive)-1])
	}
	r := b.report
	limit := median(naive) + 150
	r.add(name, fmt.Sprintf("p50 of %d", len(ours)), "ms", Target{AtMost: limit, Text: fmt.Sprintf("≤ naive + 150 = %.0f", limit)}, p50)
	r.add(name, "naive client's full order, p50", "ms", Target{}, naive)
	r.raw("latency ms", ours...)
	r.raw("latency naive ms", theirs...)
	r.raw("latency over naive ms", more...)
}
