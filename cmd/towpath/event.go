package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/outbound"
	"towpath/schema/webhook"
)

func newEvent() *cobra.Command {
	cmd := &cobra.Command{Use: "event", Aliases: []string{"events"}, Short: "What happens in Odoo and is told to endpoints: types, and single events"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "types [TYPE]", Short: "List the types of events, or print one's JSON Schema and example", Args: cobra.MaximumNArgs(1),
			Long:    "List the types of events. With a type: the JSON Schema of its body (profile standard) and an example.",
			Example: "  towpath event types\n  towpath event types sale.order.created",
			RunE:    printTypes,
		},
		&cobra.Command{Use: "show ID", Short: "Show an event and where it was told", Args: cobra.ExactArgs(1), RunE: withProcess(showEvent)},
	)
	return cmd
}

func printTypes(cmd *cobra.Command, args []string) error {
	out := cmd.OutOrStdout()
	if len(args) == 0 {
		for _, t := range webhook.Catalogue() {
			fmt.Fprintf(out, "%-28s %s\n", t.Name, t.Description)
		}
		return nil
	}
	t, ok := webhook.Lookup(args[0])
	if !ok {
		return fault.New(fault.NotFound, "webhook.unknown_type", "there is no event type %q", args[0]).WithField("TYPE").WithResolution("towpath event types lists them")
	}
	fmt.Fprintf(out, "%s\n%s\n", t.Schema, t.Example)
	return nil
}

func showEvent(p *process, cmd *cobra.Command, args []string) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	stored, err := p.store.OutboundEvent(ctx, args[0])
	if err != nil {
		return err
	}
	e, err := outbound.Event(stored.Content)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "event %s: %s of %s %s/%s\n  happened   %s (UTC), known since %s\n  data       %s\n", stored.ID, stored.Type, stored.Connection, stored.Model, stored.RecordID,
		stored.OccurredAt.UTC().Format(clockLayout), stored.ReceivedAt.UTC().Format(clockLayout), e.Data)
	if len(e.Old) > 0 {
		fmt.Fprintf(out, "  before     %s\n", e.Old)
	}
	all, err := p.outbound().Tell(ctx, stored.ID)
	if err != nil {
		return err
	}
	for _, line := range all {
		fmt.Fprintln(out, "  "+line)
	}
	return nil
}
