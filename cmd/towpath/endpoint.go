package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/store"
	"towpath/schema/webhook"
)

func newEndpoint() *cobra.Command {
	cmd := &cobra.Command{
		Use: "endpoint", Aliases: []string{"endpoints"}, Short: "Receivers of webhooks: look, try, switch, rotate secrets",
		Long: `Endpoints receive what happens in Odoo as signed webhooks. They are described
under endpoints in towpath.yaml and applied with towpath apply; docs/webhooks.md
has every setting. Here they are looked at and steered.`,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List endpoints: how they do, what waits, how much was delivered in a day", Args: cobra.NoArgs, RunE: withProcess(listEndpoints)},
		&cobra.Command{Use: "show NAME", Short: "Show an endpoint's settings and state", Args: cobra.ExactArgs(1), RunE: withProcess(showEndpoint)},
		newEndpointTest(), newEndpointRotate(),
		&cobra.Command{Use: "secret NAME", Short: "Print an endpoint's signing secret, for its receiver", Args: cobra.ExactArgs(1), RunE: withProcess(printSecret)},
		steerEndpoint("enable", "Deliver to an endpoint again; what waits goes out, gently", func(p *process, cmd *cobra.Command, name, _ string) error {
			if err := p.store.SwitchEndpoint(cmd.Context(), name, true); err != nil {
				return err
			}
			return p.store.Reset(cmd.Context(), name)
		}),
		steerEndpoint("disable", "Make no more deliveries for an endpoint; what waits for it stays", func(p *process, cmd *cobra.Command, name, _ string) error {
			return p.store.SwitchEndpoint(cmd.Context(), name, false)
		}),
		steerEndpoint("trip", "Open an endpoint's circuit by hand: nothing is sent until reset, deliveries go on being made", func(p *process, cmd *cobra.Command, name, by string) error {
			return p.store.Trip(cmd.Context(), name, by)
		}),
		steerEndpoint("reset", "Close an endpoint's circuit; what waits is tried now, gently", func(p *process, cmd *cobra.Command, name, _ string) error {
			return p.store.Reset(cmd.Context(), name)
		}),
	)
	return cmd
}

// steerEndpoint builds a command that changes one thing of an endpoint.
func steerEndpoint(use, short string, do func(p *process, cmd *cobra.Command, name, by string) error) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			if err := do(p, cmd, args[0], by); err != nil {
				return err
			}
			p.log.Info().Str("endpoint", args[0]).Str("verb", use).Str("by", by).Msg("endpoint steered")
			s, err := p.store.EndpointState(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s; %d wait, %d are parked\n", s.Endpoint, stateOf(s), s.Open, s.Parked)
			return nil
		}),
	}
	cmd.Flags().StringVar(&by, "by", currentUser(), "who decides")
	return cmd
}

// stateOf says in words how an endpoint does.
func stateOf(s store.EndpointState) string {
	switch {
	case !s.Active:
		return "inactive"
	case s.Disabled.Valid:
		return "switched off: " + s.Disabled.String
	case s.HeldBy.Valid:
		return "held by " + s.HeldBy.String
	case s.Circuit != "closed" && s.ProbeAt.Valid:
		return fmt.Sprintf("circuit %s, next probe %s", s.Circuit, s.ProbeAt.Time.UTC().Format("15:04:05"))
	case s.Failures > 0:
		return fmt.Sprintf("%d failures in a row", s.Failures)
	}
	return "well"
}

func listEndpoints(p *process, cmd *cobra.Command, _ []string) error {
	ctx := cmd.Context()
	states, err := p.store.EndpointStates(ctx)
	if err != nil {
		return err
	}
	if len(states) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "there are no endpoints; describe one under endpoints in towpath.yaml (docs/webhooks.md), then: towpath apply")
		return nil
	}
	book, err := p.outbound().Book.All(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	stats, err := p.store.DeliveryStats(ctx, "endpoint", "", now.Add(-24*time.Hour), now.Add(time.Minute))
	if err != nil {
		return err
	}
	day := map[string]store.DeliveryStat{}
	for _, s := range stats {
		day[s.Key] = s
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENDPOINT\tSTATE\tWAITING\tPARKED\tATTEMPTS IN 24 H\tDELIVERED\tP95\tADDRESS")
	for _, s := range states {
		url := "cannot be used: apply its file again"
		if e := book[s.Endpoint]; e.Err == nil && e.Endpoint != nil {
			url = e.Spec.URL
		}
		d := day[s.Endpoint]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%.1f %%\t%s\t%s\n", s.Endpoint, stateOf(s), s.Open, s.Parked, d.Attempts, 100*d.SuccessRate(),
			milliseconds(d.P95MS), url)
	}
	return t.Flush()
}

func milliseconds(ms float64) string {
	return (time.Duration(ms) * time.Millisecond).String()
}

func showEndpoint(p *process, cmd *cobra.Command, args []string) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	s, err := p.store.EndpointState(ctx, args[0])
	if err != nil {
		return err
	}
	e, err := p.outbound().Book.Get(ctx, args[0])
	if err != nil {
		return err
	}
	text, err := yamlOf(e.Spec)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n  state      %s\n  waiting    %d\n  parked     %d\n", text, stateOf(s), s.Open, s.Parked)
	if s.LastAttempt.Valid {
		sums, err := p.store.DeliveryStats(ctx, "", args[0], time.Time{}, time.Now().Add(time.Minute))
		if err != nil {
			return err
		}
		for _, sum := range sums {
			fmt.Fprintf(out, "  attempts   %d delivered, %d failed; the last one %s (UTC)\n", sum.Delivered, sum.Failed, s.LastAttempt.Time.UTC().Format(clockLayout))
		}
	}
	if s.FailingSince.Valid {
		fmt.Fprintf(out, "  failing    only failures since %s; it is switched off after %s of them\n", s.FailingSince.Time.UTC().Format(clockLayout), e.Spec.DisableAfter)
	}
	if e.Stored.OldUntil.Valid && e.Secrets.Rotating() {
		fmt.Fprintf(out, "  secrets    two are valid until %s\n", e.Stored.OldUntil.Time.UTC().Format(clockLayout))
	}
	last, err := p.store.Deliveries(ctx, store.DeliveryFilter{Endpoint: args[0], Limit: 5})
	if err != nil || len(last) == 0 {
		return err
	}
	fmt.Fprintln(out, "\nthe last ones:")
	return printDeliveries(out, last)
}

func newEndpointTest() *cobra.Command {
	var eventType string
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Send an endpoint a test event and show what it answers", Args: cobra.ExactArgs(1),
		Long: `Send an endpoint a test event: towpath.test, or an example of any type of the
catalogue. It goes the way of every event (a worker must run) and carries the
header webhook-test: true. The endpoint's filter is not asked.`,
		Example: "  towpath endpoint test partner --type sale.order.created",
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			event, err := p.outbound().Try(cmd.Context(), args[0], eventType, time.Now())
			if err != nil {
				return err
			}
			return p.awaitDelivery(cmd, args[0], event)
		}),
	}
	cmd.Flags().StringVar(&eventType, "type", webhook.TestType, "type of the example")
	return cmd
}

func newEndpointRotate() *cobra.Command {
	var overlap time.Duration
	var secret string
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Give an endpoint a new signing secret; the old one signs, too, for a while", Args: cobra.ExactArgs(1),
		Long: `Give an endpoint a new signing secret. While both are valid every delivery
carries a signature of each (profiles odoo-s0 and odoo-s1 have room for one, as
has odoo-s3 for its token: their attempts take turns, and 401 or 403 is tried
again), so that none is lost, whenever the receiver changes over.`,
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			if overlap < 0 {
				return badFlag("--overlap", "an overlap cannot be negative", "give how long both secrets sign: 24h; 0 retires the old one now")
			}
			fresh, until, err := p.outbound().Rotate(cmd.Context(), args[0], secret, overlap, time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), fresh)
			if !until.IsZero() {
				fmt.Fprintf(cmd.ErrOrStderr(), "the old one is valid until %s (UTC); end it sooner with --overlap 0 --secret the new one\n", until.UTC().Format(clockLayout))
			}
			return nil
		}),
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old secret signs beside the new one")
	cmd.Flags().StringVar(&secret, "secret", "", "the new secret; empty: one is made")
	return cmd
}

func printSecret(p *process, cmd *cobra.Command, args []string) error {
	secret, err := p.outbound().Secret(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	e, err := p.outbound().Book.Get(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	if e.Spec.Profile == webhook.StandardV1a { // receivers of v1a get the public half
		if secret, err = webhook.PublicKey(secret); err != nil {
			return err
		}
	}
	fmt.Fprintln(cmd.OutOrStdout(), secret)
	return nil
}
