package bench

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"towpath/cmd/towpath/local"
	odoosim "towpath/connectors/odoo/simulator"
	shopsim "towpath/connectors/shopify/simulator"
)

const (
	bigOrders = 500
	bigLines  = 100
	mega      = 1 << 20
)

// memory measures a worker while 500 orders of 100 lines are in flight: all
// accepted, their workflows open, as many passes as a worker makes at once
// waiting for an Odoo that does not answer; then while all are written.
func (b *bench) memory(ctx context.Context) error {
	var held, peak []float64
	for n := range min(b.Rounds, maxRounds) {
		h, p, err := b.memoryRound(ctx, n)
		if err != nil {
			return err
		}
		held, peak = append(held, h), append(peak, p)
	}
	name := fmt.Sprintf("worker memory, %d orders of %d lines in flight", bigOrders, bigLines)
	b.report.add(name, "RSS, all in flight", "MB", Target{AtMost: 150}, held)
	b.report.add(name, "RSS at most, until all are written", "MB", Target{AtMost: 150}, peak)
	return nil
}

func (b *bench) memoryRound(ctx context.Context, n int) (held, peak float64, err error) {
	in, err := b.up(ctx, local.Options{Out: b.Out, Odoo: odoosim.Options{Workers: 2}, Shop: shopsim.Options{Parallel: 16}})
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	in.SimOdoo.Faults.Add(odoosim.Fault{Model: "sale.order", Method: "load", Gate: gate})

	bar := b.Bar(bigOrders, fmt.Sprintf("large orders, round %d", n+1))
	defer func() { _ = bar.Finish() }()
	for _, r := range in.Shop.Deliver(ctx, bigDeliveries(in.Shop), nil) {
		if !r.OK() {
			return 0, 0, fmt.Errorf("a webhook was answered %d: %w", r.Status, r.Err)
		}
	}
	if err := allInFlight(ctx, in); err != nil {
		return 0, 0, err
	}
	now, _, err := resident(in.Worker[0].PID())
	if err != nil {
		return 0, 0, err
	}
	open()
	limit, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := in.Settled(limit, func(done int) { _ = bar.Set(done) }); err != nil {
		return 0, 0, err
	}
	sold, err := in.Odoo.Sold(ctx)
	if err != nil {
		return 0, 0, err
	}
	b.report.same(fmt.Sprintf("memory, round %d", n+1), len(sold) == bigOrders, fmt.Sprintf("%d orders sent, %d in Odoo", bigOrders, len(sold)))
	_, most, err := resident(in.Worker[0].PID())
	return float64(now) / mega, float64(most) / mega, err
}

// allInFlight waits until all workflows were started and no further pass
// begins: as many wait for Odoo as a worker makes at once.
func allInFlight(ctx context.Context, in *local.Installation) error {
	db, err := sql.Open("postgres", in.PG.DSN("towpath"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for last, since := -1, time.Now(); time.Since(since) < 3*time.Second; {
		var called, begun int
		if err := db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE calls > 0 OR fence > 0), count(*) FILTER (WHERE fence > 0) FROM object`).Scan(&called, &begun); err != nil {
			return err
		}
		if begun != last || called < bigOrders {
			last, since = begun, time.Now()
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// bigDeliveries are webhooks of orders with many lines, each of a new customer.
func bigDeliveries(shop *shopsim.Shop) []shopsim.Delivery {
	goods := shopsim.Catalog(200)
	vat := shopsim.Tax{Title: "TVA 20%", Rate: decimal.RequireFromString("0.2")}
	list := make([]shopsim.Delivery, bigOrders)
	for i := range list {
		where := &shopsim.Address{
			ID: 9_100_000_000_000 + int64(i), FirstName: "Ada", LastName: fmt.Sprintf("Archer %d", i), Address1: fmt.Sprintf("%d Rue de la Paix", i+1),
			City: "Paris", Zip: "75002", Province: "Île-de-France", ProvinceCode: "IDF", Country: "France", CountryCode: "FR",
		}
		who := &shopsim.Customer{
			ID: 8_100_000_000_000 + int64(i), FirstName: where.FirstName, LastName: where.LastName,
			Email: fmt.Sprintf("large%d@example.com", i), CreatedAt: time.Now().AddDate(0, -1, 0), Address: where,
		}
		d := shopsim.Draft{Currency: "EUR", TaxesIncluded: true, Customer: who, Billing: where, Delivery: where}
		for l := range bigLines {
			d.Lines = append(d.Lines, shopsim.DraftLine{Variant: goods[(i+l)%len(goods)], Quantity: 1 + l%4, Taxes: []shopsim.Tax{vat}})
		}
		list[i] = shop.Ledger.Event(shopsim.TopicCreate, shop.Ledger.Place(d))
	}
	return list
}
