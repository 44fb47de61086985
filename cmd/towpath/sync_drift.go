package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func newSyncDrift() *cobra.Command {
	in := contract.SyncInput{Mode: string(jobs.Reconcile)}
	var watch bool
	cmd := &cobra.Command{
		Use:   "drift NAME",
		Short: "Compare both sides of a job and tell how they differ, and why; of a run's id, tell what it found",
		Long: `Compare both sides of a job, record by record, and tell how many differ, why, and
in which fields; how many records of the target the job does not know; of stock
what each location holds, of orders the money of each day. Nothing is written: what
would put both sides in step is kept as a plan (towpath sync approve carries it
out). The day of an order is the source's order date in UTC, its money the total
with tax; an order that is cancelled counts nothing.

With a run's id, tell what that reconcile found.`,
		Example: "  towpath sync drift supplier-products --watch\n  towpath sync drift sync/supplier-products-2026-11-22T23:45:00.000Z",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			if strings.HasPrefix(args[0], contract.SyncScheduleID("")) {
				r, err := p.namedRun(ctx, args[0])
				if err != nil {
					return err
				}
				return showDrift(out, r)
			}
			in.Job = args[0]
			id, err := p.startSync(ctx, in)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "run %s is on its way\n", id)
			if !watch {
				fmt.Fprintf(out, "  watch it: towpath sync watch %s\n  then see what it found: towpath sync drift %s\n", in.Job, id)
				return nil
			}
			ended := p.watchRun(cmd, id)
			if ended != nil && !errors.Is(ended, errProof) {
				return ended
			}
			r, err := p.store.Run(ctx, id)
			if err != nil {
				return err
			}
			return errors.Join(ended, showDrift(out, r))
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show how far it is until it ends, and what it found")
	cmd.Flags().StringVar(&in.By, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; kept with the run")
	return cmd
}

func showDrift(out io.Writer, r store.Run) error {
	if r.Mode != string(jobs.Reconcile) {
		return fault.New(fault.Conflict, "sync.no_report", "%s compared nothing: its mode was %s", r.ID, r.Mode).
			WithResolution("compare both sides: towpath sync drift %s --watch", r.Job)
	}
	if !r.EndedAt.Valid {
		return fault.New(fault.Conflict, "sync.report_unfinished", "the comparison goes on").
			WithResolution("wait until it has ended: towpath sync watch %s", r.Job)
	}
	var report jobs.Report
	if len(r.Report) <= len("{}") || json.Unmarshal(r.Report, &report) != nil {
		return fault.New(fault.Conflict, "sync.no_report", "%s ended without a report: %s", r.ID, r.Sentence).
			WithResolution("compare both sides again: towpath sync drift %s --watch", r.Job)
	}
	differ, proposed := int64(0), false
	for cause, n := range report.Causes {
		differ += n
		proposed = proposed || cause != "kept_by_policy" && !strings.HasSuffix(cause, "_left") // nothing is proposed about those
	}
	say(out, [][2]string{
		{"run", r.ID + ", " + r.Status + ", " + r.EndedAt.Time.UTC().Format(clockLayout) + " (UTC)"},
		{"source", thousands(report.Source) + " records"},
		{"target", targetWords(report)},
		{"in step", thousands(report.InStep)},
		{"differ", thousands(differ)},
	})
	showCounts(out, "WHY", report.Causes, causeWords)
	showCounts(out, "FIELD", report.Fields, func(s string) string { return s })
	showCounts(out, "FIELD KEPT BY POLICY", report.Kept, func(s string) string { return s })
	showSums(out, report.Sums)
	showMoney(out, report)
	for _, note := range report.Notes {
		fmt.Fprintf(out, "\nnot compared: %s", note)
	}
	if len(report.Notes) > 0 {
		fmt.Fprintln(out)
	}
	if proposed {
		fmt.Fprintf(out, "\nnothing was written. What would put both sides in step: towpath sync plan %s\n  carry it out: towpath sync approve %s --reason WHY\n", r.ID, r.ID)
	}
	return nil
}

func targetWords(r jobs.Report) string {
	words := fmt.Sprintf("%s records: %s kept in step by this job", thousands(r.Target), thousands(r.Bound))
	if r.Matched > 0 {
		words += fmt.Sprintf(", %s found by their keys and bound by the next run that writes", thousands(r.Matched))
	}
	words += fmt.Sprintf(", %s extra", thousands(r.Extra))
	if len(r.ExtraIDs) > 0 {
		words += "\nextra, for example: " + strings.Join(r.ExtraIDs, ", ")
	}
	if r.Vanished > 0 {
		words += fmt.Sprintf("\n%s that were kept in step are not there any more", thousands(r.Vanished))
	}
	return words
}

// showCounts prints counts by name, the largest first.
func showCounts(out io.Writer, what string, counts map[string]int64, words func(string) string) {
	if len(counts) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nRECORDS\t%s\n", what)
	for _, name := range names {
		fmt.Fprintf(t, "%s\t%s\n", thousands(counts[name]), words(name))
	}
	_ = t.Flush()
}

func showSums(out io.Writer, sums []jobs.Sum) {
	if len(sums) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSUM OF\tIN\tSOURCE\tTARGET\tDIFFERENCE")
	for _, s := range sums {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Field, orNothing(s.Group, "–"), s.Source, s.Target, s.Difference())
	}
	_ = t.Flush()
}
