package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/outbound"
	"towpath/schema/store"
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
		newEventList(),
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

func newEventList() *cobra.Command {
	var f store.EventFilter
	var since, until string
	cmd := &cobra.Command{
		Use: "list", Short: "List the events that came in, the newest first, and how many endpoints have them", Args: cobra.NoArgs,
		Example: "  towpath event list --connection erp --since 2h\n  towpath event list --model sale.order --record 42",
		RunE: withProcess(func(p *process, cmd *cobra.Command, _ []string) (err error) {
			now := time.Now()
			if f.Since, err = moment("--since", since, now); err == nil {
				f.Until, err = moment("--until", until, now)
			}
			if err == nil {
				err = wantable(f.Types)
			}
			if err == nil && f.Limit < 0 {
				err = badFlag("--limit", "a limit cannot be negative", "leave it out, or give 0 for all")
			}
			if err != nil {
				return err
			}
			all, err := p.store.OutboundEvents(cmd.Context(), f)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "there are none")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RECEIVED (UTC)\tOCCURRED (UTC)\tCONNECTION\tTYPE\tRECORD\tTOLD\tOK\tPARKED\tEVENT")
			for _, e := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s/%s\t%d\t%d\t%d\t%s\n", e.ReceivedAt.UTC().Format(clockLayout), e.OccurredAt.UTC().Format(clockLayout),
					e.Connection, e.Type, e.Model, e.RecordID, e.Told, e.OK, e.Parked, e.ID)
			}
			return t.Flush()
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Connection, "connection", "", "of this connection")
	flags.StringSliceVar(&f.Types, "type", nil, "of these types; sale.order.* and *.created are possible")
	flags.StringVar(&f.Model, "model", "", "about records of this model")
	flags.StringVar(&f.RecordID, "record", "", "about the record with this id in its system")
	flags.StringVar(&since, "since", "", "that occurred since: 2h, 3d, 2026-11-20 or 2026-11-20T08:00:00Z")
	flags.StringVar(&until, "until", "", "and before")
	flags.IntVar(&f.Limit, "limit", 50, "how many at most; 0: all")
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
