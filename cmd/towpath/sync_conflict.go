package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func newSyncConflicts() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "conflicts NAME",
		Short:   "List fields that both sides of a job changed, for a person to decide",
		Example: "  towpath sync conflicts supplier-products",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			if _, err := p.store.Job(ctx, args[0]); err != nil {
				return err
			}
			all, err := p.store.Conflicts(ctx, args[0], "", limit+1)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintf(out, "nothing of %s waits for a decision\n", args[0])
				return nil
			}
			t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RECORD\tFIELD\tWAS\tIN THE SOURCE\tIN THE TARGET\tSINCE\tDECISION")
			for _, c := range all[:min(limit, len(all))] {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ExternalID, c.Field, showJSON(c.Base), showJSON(c.Source), showJSON(c.Target),
					ago(c.Since.Time, time.Now()), decisionWords(c))
			}
			if err := t.Flush(); err != nil {
				return err
			}
			if len(all) > limit {
				fmt.Fprintf(out, "… and more: --limit %d\n", 10*limit)
			}
			fmt.Fprintf(out, "\ndecide: towpath sync decide %s RECORD FIELD source|target --reason WHY\n", args[0])
			return nil
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "how many")
	return cmd
}

// showJSON prints a value as the book has it.
func showJSON(raw []byte) string {
	v, err := record.ParseValue(raw)
	if err != nil {
		return string(raw)
	}
	return showValue(v)
}

func decisionWords(c store.OpenConflict) string {
	switch {
	case c.Decision.Valid:
		return fmt.Sprintf("%s, by %s (%s); the next run carries it out", c.Decision.String, c.DecidedBy.String, c.Reason.String)
	case c.DueAt.Valid:
		return "waits; decided by itself " + in(c.DueAt.Time, time.Now())
	}
	return "waits"
}

func newSyncDecide() *cobra.Command {
	var d store.Decision
	cmd := &cobra.Command{
		Use:   "decide NAME RECORD FIELD source|target",
		Short: "Say whose value of a field holds that both sides of a job changed",
		Long: `Say whose value of a field holds that both sides of a job changed. The next run
carries it out, whether or not the record changes again. Until then a decision
can be changed; when one of the values changes, it is asked for anew.`,
		Example: "  towpath sync decide supplier-products A-1 list_price target --reason \"agreed with the supplier\"",
		Args:    cobra.ExactArgs(4),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			job, id := args[0], args[1]
			d.Field, d.Side = args[2], args[3]
			if d.Side != jobs.SourceSide && d.Side != jobs.TargetSide {
				return fault.New(fault.Invalid, "sync.bad_side", "%q is no side of a job", d.Side).WithResolution("write source or target: whose value holds")
			}
			if err := needReason(d.Reason, "a decision"); err != nil {
				return err
			}
			if _, err := p.store.Job(ctx, job); err != nil {
				return err
			}
			id, err := p.store.Aliased(ctx, job, id) // as Temporal's UI shows it
			if err != nil {
				return err
			}
			if _, err := p.store.Decide(ctx, job, id, d); err != nil {
				return err
			}
			p.tellConflict(ctx, job, id)
			fmt.Fprintf(out, "%s of %s: the %s's value holds; the next run of %s writes it\n  at once: towpath sync run %s\n", d.Field, id, d.Side, job, job)
			return nil
		}),
	}
	cmd.Flags().StringVar(&d.By, "by", currentUser(), "who decides")
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why; kept in the record's journal")
	return cmd
}

func needReason(reason, what string) error {
	if reason != "" {
		return nil
	}
	return fault.New(fault.Invalid, "sync.no_reason", "%s needs a reason: it is kept in the record's journal", what).
		WithField("--reason").WithResolution("add --reason \"why\"")
}

// tellConflict lets the workflow that waits for a decision look, so that the
// Temporal UI shows what holds. The decision stands without it.
func (p *process) tellConflict(ctx context.Context, job, id string) {
	temporal, _, err := p.connectTemporal(ctx, scheduleTime)
	if err != nil {
		return
	}
	defer temporal.Close()
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	names, err := p.store.Aliases(short, job, []string{id})
	if err != nil {
		return
	}
	_ = temporal.SignalWorkflow(short, contract.ConflictWorkflowID(job, names[0]), "", contract.SignalLook, nil)
}

func newSyncUntie() *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{
		Use:   "untie NAME RECORD",
		Short: "Let a record and its counterpart go, so that the next run matches or makes it anew",
		Long: `Let a record of the source and its counterpart in the target go: after it was tied
to the wrong one, or deleted in the target by mistake. The next run finds a
counterpart by the key fields, or makes the record anew. The record in the target
is left as it is.`,
		Example: "  towpath sync untie supplier-products A-1 --reason \"deleted by mistake\"",
		Args:    cobra.ExactArgs(2),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			if err := needReason(reason, "untying"); err != nil {
				return err
			}
			row, err := p.store.Job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			target, known, err := p.store.Untie(cmd.Context(), row, args[1], by, reason)
			if err != nil {
				return err
			}
			if !known {
				return fault.New(fault.NotFound, "sync.not_tied", "%q is tied to nothing in %s", args[1], row.Target).
					WithResolution("give the record's id in %s; towpath explain %s/%s/ID tells what is known of one", row.Source, row.Kind, row.Source)
			}
			p.tellConflict(cmd.Context(), args[0], args[1])
			fmt.Fprintf(cmd.OutOrStdout(), "%s is no longer tied to %s of %s, which is left as it is; the next run of %s matches it or makes it anew\n",
				args[1], orNothing(target, "anything"), row.Target, row.Name)
			return nil
		}),
	}
	cmd.Flags().StringVar(&by, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the record's journal")
	return cmd
}

// newSyncLeave builds skip and unskip: whether a record is left out of a job.
func newSyncLeave(out bool) *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{
		Use:     "skip NAME RECORD",
		Short:   "Leave a record out of a job; what is there already stays as it is",
		Example: "  towpath sync skip supplier-products A-1 --reason \"not for the shop\"",
		Args:    cobra.ExactArgs(2),
	}
	done := "is left out of %s from now on (no_export)"
	if !out {
		cmd.Use, cmd.Short = "unskip NAME RECORD", "Take a record into a job again"
		cmd.Example = "  towpath sync unskip supplier-products A-1 --reason \"wanted again\""
		done = "is taken into %s again; the next run looks at it"
	}
	cmd.RunE = withProcess(func(p *process, cmd *cobra.Command, args []string) error {
		if err := needReason(reason, "a "+cmd.Name()); err != nil {
			return err
		}
		row, err := p.store.Job(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		changed, err := p.store.LeaveOut(cmd.Context(), row, args[1], out, by, reason)
		if err != nil {
			return err
		}
		if !changed {
			done = "was so already in %s"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s "+done+"\n", args[1], row.Name)
		return nil
	})
	cmd.Flags().StringVar(&by, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the record's journal")
	return cmd
}
