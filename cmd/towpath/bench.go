package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"towpath/api"
	"towpath/cmd/towpath/bench"
	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/worker"
)

func newBench() *cobra.Command {
	o := bench.Options{}
	var file string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "The performance targets on this machine, measured",
		Long: `Measure what Towpath promises about performance, each as a ratio to something that
anybody can run here: PostgreSQL's pgbench, a hand-written Odoo client, a batch
inside Odoo's own process. Orders, latency, sync and outbox need a real Odoo 19 (root on Debian
or Ubuntu); growth does not. On two quiet cores sync takes about ten minutes with what
it measures by default, growth one, and a quarter of an hour up to a million records. A quiet machine is needed: what differs too much from round to round
is reported as noisy. It exits 0 if no target was missed.`,
		Example: "  towpath bench --only acceptance,memory\n  towpath bench --only orders --orders 1000 --rounds 3 --json bench.json\n  towpath bench --only growth --records 100000    # up to a million records",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.ErrOrStderr()
			o.Bar = func(max int, what string) bench.Bar { return newBar(cmd.ErrOrStderr(), max, what) }
			return runBench(cmd.Context(), cmd.OutOrStdout(), o, file)
		},
	}
	cmd.Flags().StringSliceVar(&o.Only, "only", nil, "just these: acceptance, latency, memory, orders, sync, growth, outbox, deliveries")
	cmd.Flags().IntVar(&o.Rounds, "rounds", 5, "interleaved rounds; orders and sync take at most 2")
	cmd.Flags().IntVar(&o.Orders, "orders", 400, "orders of a throughput round")
	cmd.Flags().IntVar(&o.Records, "records", 10_000, "records of each kind in a sync round; growth has runs of a tenth, as many and ten times as many")
	cmd.Flags().IntVar(&o.Deliveries, "deliveries", 2000, "webhooks of a throughput run")
	cmd.Flags().StringVar(&o.Stock, "stock", "", "orders of goods with or without stock on hand: with, without; both if empty")
	cmd.Flags().IntVar(&o.Calls, "calls", 0, "calls in flight to Odoo; 0 is the connector's default")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 19, "equal seeds are equal work")
	cmd.Flags().StringVar(&o.Profile, "profile", "", "folder for CPU profiles of api and worker")
	cmd.Flags().StringVar(&file, "json", "", "file for everything measured, raw samples included")
	cmd.AddCommand(newBenchServe(), newBenchNoop())
	return cmd
}

func runBench(ctx context.Context, out io.Writer, o bench.Options, file string) error {
	report, err := bench.Run(ctx, o)
	if report != nil && len(report.Rows) > 0 {
		report.Print(out)
		if file != "" {
			if werr := report.WriteJSON(file); werr != nil && err == nil {
				err = fault.New(fault.Invalid, "bench.json", "%s cannot be written", file).WithField("--json").
					WithResolution("name a file in a folder that can be written").WithCause(werr)
			}
		}
	}
	if err != nil {
		return err
	}
	if !report.Good() {
		return errProof
	}
	return nil
}

// newBenchServe is the API without a dispatcher, as a process of its own:
// benchmarks compare it with itself without a store.
func newBenchServe() *cobra.Command {
	var inbox string
	cmd := &cobra.Command{
		Use: "serve", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := open(cmd.Context(), "bench")
			if err != nil {
				return err
			}
			defer p.close()
			var accept api.Inbox = storeless{}
			if inbox == "store" {
				real := p.store.NewInbox(nil)
				defer real.Close()
				accept = real
			}
			e := api.New(api.Deps{Pool: p.pool, Inbox: accept, Ready: p.store.Ping, Connections: p.store.Connections, Log: p.log, MaxBody: p.config.MaxBody})
			return api.Serve(cmd.Context(), e, p.config.Listen)
		},
	}
	cmd.Flags().StringVar(&inbox, "inbox", "store", "store, or null")
	return cmd
}

// newBenchNoop is a worker like ours that does nothing, as a process of its own.
func newBenchNoop() *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use: "noop", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := worker.Dial(newLog(cmd.ErrOrStderr(), "error", false))
			if err != nil {
				return err
			}
			defer c.Close()
			return bench.Noop(cmd.Context(), c, count, cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&count, "count", 1000, "workflows")
	return cmd
}

// storeless takes everything and keeps nothing.
type storeless struct{}

func (storeless) Accept(_ context.Context, batch []store.Inbound) (int, error) {
	return len(batch), nil
}
