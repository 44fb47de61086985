package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/store"
)

func newReplay() *cobra.Command {
	var endpoint, since, until, by string
	var types []string
	var failed bool
	cmd := &cobra.Command{
		Use: "replay --endpoint NAME --since WHEN", Short: "Tell an endpoint again what happened in a window of time", Args: cobra.NoArgs,
		Long: `Tell an endpoint again what happened in a window of time: every event that it
wants now, received or not, also those of a time in which it was not there yet.
Events keep their ids, so that a receiver can tell what it has, and with ordering:
per_record each record's keep their order. Replays go behind everything new.
--failed leaves out what was received. Test events are not told again, nor what
the endpoint's events, models and filter do not let through as they are now.`,
		Example: "  towpath delivery replay --endpoint partner --since 2026-11-20T08:00:00Z --until 2026-11-20T12:00:00Z",
		RunE: withProcess(func(p *process, cmd *cobra.Command, _ []string) error {
			now := time.Now()
			from, err := moment("--since", since, now)
			if err != nil {
				return err
			}
			to, err := moment("--until", until, now)
			if err == nil {
				err = wantable(types)
			}
			if err == nil {
				err = p.known(cmd.Context(), endpoint)
			}
			if err != nil {
				return err
			}
			r, err := p.outbound().Replay(cmd.Context(), endpoint, from, to, types, failed, by)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d deliveries go out again, %d events for the first time; watch them: towpath delivery list --endpoint %s --state ready\n", r.Again, r.New, endpoint)
			if r.LeftOut > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%d deliveries are left out: of test events, or of what %s does not want any more; send one all the same by its number: towpath delivery redeliver ID\n", r.LeftOut, endpoint)
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVar(&endpoint, "endpoint", "", "the endpoint")
	f.StringVar(&since, "since", "", "events since: 2h, 3d, 2026-11-20 or 2026-11-20T08:00:00Z")
	f.StringVar(&until, "until", "", "and before")
	f.StringSliceVar(&types, "type", nil, "only these types; sale.order.* and *.created are possible")
	f.BoolVar(&failed, "failed", false, "only what was not received")
	f.StringVar(&by, "by", currentUser(), "who asks for it")
	_ = cmd.MarkFlagRequired("endpoint")
	_ = cmd.MarkFlagRequired("since")
	return cmd
}

func newDeliveryStats() *cobra.Command {
	var by, endpoint, since string
	cmd := &cobra.Command{
		Use: "stats", Short: "Numbers: attempts, success, times, by endpoint, type, hour, day or error", Args: cobra.NoArgs,
		Example: "  towpath delivery stats --by endpoint --since 7d\n  towpath delivery stats --by error --endpoint partner",
		RunE: withProcess(func(p *process, cmd *cobra.Command, _ []string) error {
			if by != "" && !slices.Contains(store.StatKeys(), by) {
				return badFlag("--by", fmt.Sprintf("nothing is counted by %q", by), "one of "+strings.Join(store.StatKeys(), ", "))
			}
			now := time.Now()
			from, err := moment("--since", since, now)
			if err == nil {
				err = p.known(cmd.Context(), endpoint)
			}
			if err != nil {
				return err
			}
			all, err := p.store.DeliveryStats(cmd.Context(), by, endpoint, from, now.Add(time.Minute))
			if err != nil {
				return err
			}
			received, err := p.store.ReceivedStats(cmd.Context(), from)
			if err != nil {
				return err
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(t, "%s\tATTEMPTS\tDELIVERED\tFAILED\tSUCCESS\tMEAN\tP95\n", strings.ToUpper(strings.TrimSpace("by "+by)))
			for _, s := range all {
				fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f %%\t%s\t%s\n", s.Key, s.Attempts, s.Delivered, s.Failed, 100*s.SuccessRate(), milliseconds(s.MeanMS), milliseconds(s.P95MS))
			}
			if err := t.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "received: %d events to tell, %d webhooks of shops (%d settled)\n", received.Events, received.Inbound, received.Settled)
			return nil
		}),
	}
	cmd.Flags().StringVar(&by, "by", "endpoint", strings.Join(store.StatKeys(), ", "))
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "of this endpoint only")
	cmd.Flags().StringVar(&since, "since", "1d", "since: 2h, 7d, 2026-11-20 or 2026-11-20T08:00:00Z")
	return cmd
}

// testWait is how long a test event is waited for; its delivery goes on after it.
const testWait = 45 * time.Second

// awaitDelivery shows what becomes of a test event.
func (p *process) awaitDelivery(cmd *cobra.Command, endpoint, event string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), testWait)
	defer cancel()
	for {
		all, err := p.store.Deliveries(ctx, store.DeliveryFilter{Endpoint: endpoint, Event: event})
		if err != nil && ctx.Err() == nil {
			return err
		}
		if len(all) > 0 && (all[0].Attempts > 0 && all[0].State != store.DeliveryRunning || all[0].SettledAt.Valid) {
			if err := p.showDelivery(cmd.Context(), cmd.OutOrStdout(), all[0], true); err != nil {
				return err
			}
			if all[0].State != store.DeliveryOK {
				return errProof
			}
			return nil
		}
		select {
		case <-ctx.Done():
			why := "does a worker run?"
			if s, err := p.store.EndpointState(cmd.Context(), endpoint); err == nil && stateOf(s) != "well" {
				why = "the endpoint: " + stateOf(s) + "."
			}
			fmt.Fprintf(cmd.OutOrStdout(), "nothing has come of it yet; %s Look again: towpath delivery list --event %s\n", why, event)
			return errProof
		case <-time.After(100 * time.Millisecond):
		}
	}
}
