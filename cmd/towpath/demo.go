package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"towpath/cmd/towpath/local"
	shopsim "towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/scenario"

	odoosim "towpath/connectors/odoo/simulator"
)

func newDemo() *cobra.Command {
	var real, keep bool
	var orders int
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The main job on this machine: a shop's orders into Odoo, proved",
		Long: `Start a private PostgreSQL, the development Temporal server with its web UI,
towpath api and towpath worker, a simulated Shopify shop and an Odoo; send over
300 signed webhooks (duplicates, reordered, forged, edited, cancelled, poisoned,
of unknown products), and tell a partner what becomes of the orders in Odoo; then
count all sides and print the proof. It exits 0 only if the proof holds.
Everything it started is gone afterwards.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := demo{out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), real: real, keep: keep, orders: orders, seed: seed}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&real, "real", false, "a real Odoo 19 instead of the simulator (root on Debian or Ubuntu; minutes the first time)")
	cmd.Flags().BoolVar(&keep, "keep", false, "stay up after the proof, until Ctrl-C")
	cmd.Flags().IntVar(&orders, "orders", 150, "how many orders the shop sells; each sends two webhooks or so")
	cmd.Flags().Uint64Var(&seed, "seed", 19, "which day of trouble: equal seeds are equal days")
	return cmd
}

type demo struct {
	out, err   io.Writer
	real, keep bool
	orders     int
	seed       uint64
	results    []shopsim.Result
	began      time.Time
	took       time.Duration
	partner    *partner
	telling    telling
}

func (d *demo) run(ctx context.Context) error {
	fmt.Fprintf(d.err, "Towpath demo: a shop's day of trouble, into Odoo, exactly once and to the cent\n")
	day := scenario.Generate(d.seed, d.orders, scenario.Options{Start: time.Now().Add(-5 * time.Minute).UTC().Truncate(time.Second), Missed: 3})
	var err error
	if d.partner, err = newPartner(); err != nil {
		return err
	}
	defer d.partner.close()
	options := local.Options{
		RealOdoo: d.real, Outbox: true, Endpoints: []any{d.partner.endpoint()}, UI: true, Out: d.err, Odoo: odoosim.Options{Workers: 2, Latency: odoosim.RealisticLatency},
		// The limits of a Shopify Plus shop: the day is played in seconds.
		Shop: shopsim.Options{TimeScale: 0.01, BucketSize: 20000, RestoreRate: 1000}, Env: []string{"TOWPATH_CATCH_UP=10s"},
	}
	in, err := local.Up(ctx, options)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := in.TellOrders(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.err, "%s, Shopify simulator, Temporal, PostgreSQL are up; watch the orders at %s\n", in.Odoo.What(), in.Temporal.UIURL)
	d.began = time.Now()
	proof, err := d.play(ctx, in, day)
	if err != nil {
		return err
	}
	if d.telling, err = d.partner.told(ctx, in); err != nil {
		return err
	}
	proof.Wrong = append(proof.Wrong, d.telling.wrong...)
	d.table(in, day, proof)
	if d.keep {
		fmt.Fprintf(d.out, "\nStaying up. Temporal UI: %s   webhooks: %s   Ctrl-C ends everything.\n", in.Temporal.UIURL, in.APIURL)
		<-ctx.Done()
	}
	if !proof.OK() {
		return errProof
	}
	return nil
}

// play sends the day phase by phase, maps the missing products while orders
// wait for them, and waits for the end that must be.
func (d *demo) play(ctx context.Context, in *local.Installation, day scenario.Scenario) (local.Proof, error) {
	for _, o := range day.Missed {
		in.Shop.Put(o) // it happened, and no webhook tells
	}
	for n, phase := range day.Phases() {
		if err := d.send(ctx, in, n, phase); err != nil {
			return local.Proof{}, err
		}
		if n == 0 {
			if err := d.mapProducts(ctx, in, day.Mappings); err != nil {
				return local.Proof{}, err
			}
		}
	}
	return d.settle(ctx, in, day)
}

func (d *demo) send(ctx context.Context, in *local.Installation, n int, phase []scenario.Delivery) error {
	bar := newBar(d.err, len(phase), fmt.Sprintf("webhooks, part %d", n+1))
	d.results = append(d.results, in.Shop.Deliver(ctx, scenario.Messages(phase), func(shopsim.Result) { _ = bar.Add(1) })...)
	_ = bar.Finish()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	busy := newBar(d.err, d.orders, "orders settled")
	limit, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	err := in.Settled(limit, func(done int) { _ = busy.Set(min(done, d.orders)) })
	_ = busy.Finish()
	return err
}

// mapProducts is a person at work: the orders that wait go on by themselves.
func (d *demo) mapProducts(ctx context.Context, in *local.Installation, missing []scenario.Mapping) error {
	for _, m := range missing {
		id, err := in.Odoo.ProductID(ctx, m.To)
		if err != nil {
			return err
		}
		said, err := in.Run(ctx, "map", "product", local.ShopName, fmt.Sprintf("variant:%d", m.Variant.ID), id)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.err, "a person maps an unknown product: %s", said)
	}
	return nil
}

// settle proves again and again until the proof holds: the orders that the
// shop never told of come in by catching up.
func (d *demo) settle(ctx context.Context, in *local.Installation, day scenario.Scenario) (proof local.Proof, err error) {
	limit, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		if err := in.Settled(limit, nil); err != nil {
			if ctx.Err() != nil {
				return proof, ctx.Err()
			}
			return in.Prove(ctx, day.Expect, true)
		}
		d.took = time.Since(d.began)
		proof, err = in.Prove(ctx, day.Expect, true)
		if err != nil || proof.OK() || limit.Err() != nil {
			return proof, err
		}
		select {
		case <-limit.Done():
		case <-time.After(time.Second):
		}
	}
}

func (d *demo) table(in *local.Installation, day scenario.Scenario, p local.Proof) {
	taken, refused := 0, 0
	for _, r := range d.results {
		if r.OK() {
			taken++
		} else {
			refused++
		}
	}
	row := func(what string, format string, args ...any) {
		fmt.Fprintf(d.out, "  %-34s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(d.out, "\nProof")
	row("webhooks received", "%d, and %d orders found without one", taken, len(day.Missed))
	row("webhooks refused", "%d (forged)", refused)
	row("orders imported and confirmed", "%d", p.Ends[scenario.Imported])
	row("orders cancelled in Odoo", "%d", p.Ends[scenario.Cancelled])
	row("orders waiting", "%d%s", p.Ends[scenario.Waiting], why(day.Expect, scenario.Waiting))
	row("orders left out on purpose", "%d%s", p.Ends[scenario.Skipped], why(day.Expect, scenario.Skipped))
	row("orders that must be in Odoo", "%d; in Odoo %d", p.Expected, p.Found)
	for _, currency := range currencies(p.InShop, p.InOdoo) {
		row("money, "+currency, "shop %s, Odoo %s", p.InShop[currency].StringFixed(2), p.InOdoo[currency].StringFixed(2))
	}
	row("events of Odoo for a partner", "%d told, %d received, %d twice", d.telling.told, d.telling.received, d.telling.twice)
	row("time", "%s, %d ms per order", d.took.Round(100*time.Millisecond), d.took.Milliseconds()/int64(max(1, p.Expected)))
	row("target", "%s", in.Odoo.What())
	for i, w := range p.Wrong {
		if i == 20 {
			fmt.Fprintf(d.out, "  … and %d more\n", len(p.Wrong)-i)
			break
		}
		fmt.Fprintf(d.out, "  WRONG: %s\n", w)
	}
	if p.OK() {
		fmt.Fprintf(d.out, "  everything holds: nothing lost, nothing twice, every total equal to the cent\n")
	}
	fmt.Fprintf(d.out, "Temporal UI: %s (stays up with --keep, or use towpath dev)\n", in.Temporal.UIURL)
}

func why(expect []scenario.Expectation, end scenario.End) string {
	n := map[string]int{}
	for _, e := range expect {
		if e.End == end && (end != scenario.Waiting || e.SKU == "") {
			n[e.Reason]++
		}
	}
	var parts []string
	for reason, count := range n {
		parts = append(parts, fmt.Sprintf("%d %s", count, reason))
	}
	if len(parts) == 0 {
		return ""
	}
	sort.Strings(parts)
	return " (" + strings.Join(parts, ", ") + ")"
}

func currencies(sides ...map[string]decimal.Decimal) []string {
	seen := map[string]bool{}
	for _, side := range sides {
		for c := range side {
			seen[c] = true
		}
	}
	var all []string
	for c := range seen {
		all = append(all, c)
	}
	sort.Strings(all)
	return all
}
