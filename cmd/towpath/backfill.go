package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"towpath/activities"
	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func newBackfill() *cobra.Command {
	var since, order string
	cmd := &cobra.Command{
		Use:   "backfill SHOP",
		Short: "Read a shop's orders since a day into the inbox; each enters once",
		Long: `Read a shop's orders since a day, or one order, into the inbox. Orders that are
there already in the same state are left alone, so it can be run as often as you
like. They are imported behind new orders.`,
		Example: "  towpath backfill demo-shop --since 2026-01-31\n  towpath backfill demo-shop --order 5001",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := open(cmd.Context(), "backfill")
			if err != nil {
				return err
			}
			defer p.close()
			if _, err := p.targetOf(cmd.Context(), args[0]); err != nil {
				return err
			}
			if order != "" {
				return p.backfillOne(cmd, args[0], order)
			}
			from, err := parseDay(since)
			if err != nil {
				return err
			}
			return p.backfill(cmd, args[0], from)
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "first day, as 2026-01-31 (UTC), by when an order was last changed")
	cmd.Flags().StringVar(&order, "order", "", "read just this order, anew")
	return cmd
}

func parseDay(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "backfill.since", "the first day is missing or not a date").
		WithField("--since").WithResolution("write --since 2026-01-31, or --order ID for one order")
}

func (p *process) backfill(cmd *cobra.Command, shop string, since time.Time) error {
	bar := newBar(cmd.ErrOrStderr(), -1, "reading orders")
	b := activities.Backfill{Store: p.store, Pool: p.pool, Priority: 5, Progress: func(n int) { _ = bar.Set(n) }}
	r, err := b.Run(cmd.Context(), shop, since)
	_ = bar.Finish()
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "read %d orders, %d of them new or changed and now on their way\n", r.Read, r.Queued)
	if !r.Horizon.IsZero() {
		fmt.Fprintf(cmd.OutOrStdout(), "NOT COMPLETE: these credentials see orders since %s only.\n  what to do: grant the app read_all_orders\n", r.Horizon.Format(time.DateOnly))
		return errProof
	}
	return nil
}

// backfillOne makes one order due with its content read anew, whatever is
// known about it.
func (p *process) backfillOne(cmd *cobra.Command, shop, id string) error {
	inbox := p.store.NewInbox(nil)
	defer inbox.Close()
	_, err := inbox.Accept(cmd.Context(), []store.Inbound{{
		Connection: shop, Format: store.FormatRecord, Body: []byte("{}"), Priority: 1,
		Event: record.Event{Kind: record.KindOrder, ExternalID: id, Topic: "read", Version: record.NewVersion(time.Now(), time.Now())},
	}})
	if err == nil {
		ref := contract.Ref{Connection: shop, Kind: record.KindOrder, ExternalID: id}
		fmt.Fprintf(cmd.OutOrStdout(), "%s will be read anew; see: towpath explain %s\n", ref, ref)
	}
	return err
}

// newBar is a progress bar for people; without a terminal it is silent.
func newBar(w io.Writer, max int, what string) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	return progressbar.NewOptions(max,
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(f.Fd()))))
}
