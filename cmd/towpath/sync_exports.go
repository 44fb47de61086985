package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/store"
)

func newSyncExports() *cobra.Command {
	cmd := &cobra.Command{
		Use: "exports", Short: "What was chosen in Odoo to be exported: look, export again, give up",
		Long: `People in Odoo choose records and a system ("Export to Connectors"). What could
not be exported is parked with its cause and waits for you: export it again, or give it up.`,
	}
	cmd.AddCommand(newExportList(), newExportAgain(), newExportDiscard())
	return cmd
}

func newExportList() *cobra.Command {
	var states []string
	var limit int
	cmd := &cobra.Command{
		Use: "list [EVENT]", Short: "List what was chosen in Odoo to be exported, and what became of it", Args: cobra.MaximumNArgs(1),
		Long: `List what was chosen in Odoo to be exported, the newest first, and what became of
it. Below it stand cause and remedy of what is parked.`,
		Example: "  towpath sync exports list\n  towpath sync exports list --state parked",
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			f := store.ExportFilter{Event: strings.Join(args, ""), Limit: limit}
			for _, s := range states {
				if !slices.Contains(exportStates, s) {
					return fault.New(fault.Invalid, "export.bad_choice", "there is no state %q", s).WithField("--state").
						WithResolution("one of %s", strings.Join(exportStates, ", "))
				}
				f.States = append(f.States, store.ExportState(s))
			}
			all, err := p.store.Exports(cmd.Context(), f)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "there are none")
				return nil
			}
			return printExports(cmd.OutOrStdout(), all)
		}),
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "in these states: "+strings.Join(exportStates, ", "))
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return cmd
}

var exportStates = []string{"waiting", "running", "done", "parked", "discarded"}

func printExports(out io.Writer, all []store.ExportRequest) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "EVENT\tCHOSEN (UTC)\tBY\tMODEL\tRECORDS\tTO\tJOB\tSTATE\tRESULT")
	var parked []store.ExportRequest
	for _, x := range all {
		result := x.Note
		if x.Behind != "" {
			result = "when run " + x.Behind + " has ended"
		}
		if x.State == store.ExportParked {
			parked = append(parked, x)
			result = x.Code
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", x.Event, x.RequestedAt.UTC().Format(clockLayout), x.By, x.Model, len(x.IDs),
			x.System, cmp.Or(x.Job, "none"), x.State, result)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range parked {
		fmt.Fprintf(out, "\n%s is parked: %s\n  what to do: %s\n", x.Event, x.Message, x.Resolution)
		if x.Note != "" {
			fmt.Fprintf(out, "  so far: %s\n", x.Note)
		}
	}
	return nil
}

func newExportAgain() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "again [EVENT]",
		Short: "Export records again whose request is parked",
		Long: `Export the records of a parked request again, or with --all those of every parked
one. What was exported before is found again and brought up to date.`,
		Example: "  towpath sync exports again 0b7c8a52-3a0f-4d38-9f0e-3f2f1c4f7b1a\n  towpath sync exports again --all",
		Args:    cobra.MaximumNArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return fault.New(fault.Invalid, "export.bad_choice", "say which request: its event, or --all").WithField("EVENT").
					WithResolution("towpath sync exports list --state parked lists them")
			}
			n, err := p.store.ExportAgain(cmd.Context(), store.ExportFilter{Event: strings.Join(args, "")})
			if err != nil {
				return err
			}
			return saySteered(cmd, args, n, "%d requests are carried out again; watch them: towpath sync exports list\n")
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every parked request")
	return cmd
}

func newExportDiscard() *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{
		Use:     "discard EVENT --reason WHY",
		Short:   "Give a parked request to export records up",
		Example: "  towpath sync exports discard 0b7c8a52-3a0f-4d38-9f0e-3f2f1c4f7b1a --reason \"chosen by mistake\"",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			if reason == "" {
				return fault.New(fault.Invalid, "export.no_reason", "a discarded request needs a reason: it is kept with it").
					WithField("--reason").WithResolution("add --reason \"why\"")
			}
			n, err := p.store.DiscardExports(cmd.Context(), store.ExportFilter{Event: args[0]}, by+": "+reason)
			if err != nil {
				return err
			}
			return saySteered(cmd, args, n, "%d requests are given up\n")
		}),
	}
	cmd.Flags().StringVar(&by, "by", currentUser(), "who decides")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept with the request")
	return cmd
}

// saySteered tells how many requests were changed; none of a named event is an
// error.
func saySteered(cmd *cobra.Command, event []string, n int64, words string) error {
	if n == 0 && len(event) > 0 {
		return fault.New(fault.NotFound, "export.not_parked", "no parked request has the event %s", event[0]).WithField("EVENT").
			WithResolution("see how it stands: towpath sync exports list %s", event[0])
	}
	fmt.Fprintf(cmd.OutOrStdout(), words, n)
	return nil
}
