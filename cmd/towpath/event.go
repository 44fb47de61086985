package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"towpath/schema/outbound"
)

func newEvent() *cobra.Command {
	cmd := &cobra.Command{Use: "event", Aliases: []string{"events"}, Short: "What happens in Odoo and is told to endpoints: types, and single events"}
	cmd.AddCommand(
		&cobra.Command{Use: "show ID", Short: "Show an event and where it was told", Args: cobra.ExactArgs(1), RunE: withProcess(showEvent)},
	)
	return cmd
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
