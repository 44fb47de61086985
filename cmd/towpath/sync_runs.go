package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

const clockLayout = "2006-01-02 15:04:05"

func newSyncRuns() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "runs NAME",
		Short:   "List a job's runs, newest first: the sync log",
		Example: "  towpath sync runs supplier-products --limit 5",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			if _, err := p.store.Job(ctx, args[0]); err != nil {
				return err
			}
			runs, err := p.store.Runs(ctx, args[0], limit)
			if err != nil {
				return err
			}
			if len(runs) == 0 {
				fmt.Fprintf(out, "%s has never run; try it without writing: towpath sync run %s --dry-run --watch\n", args[0], args[0])
				return nil
			}
			t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "STARTED (UTC)\tENDED\tTOOK\tMODE\tSTATUS\tPROCESSED\tSUCCESS\tFAILED\tSKIPPED\tHOW IT ENDED")
			for _, r := range runs {
				c, err := p.countsOf(ctx, r)
				if err != nil {
					return err
				}
				ended := ""
				if r.EndedAt.Valid {
					ended = r.EndedAt.Time.UTC().Format("15:04:05")
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", r.StartedAt.UTC().Format(clockLayout), ended, round(took(r)),
					modeOf(r), statusOf(r), c.Processed(), c.Succeeded(), c.Errors(), c.SkippedAll(), cmp.Or(r.Sentence, r.Halted))
			}
			return t.Flush()
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many")
	return cmd
}

// statusOf is a run's status; one that a limit has stopped does nothing until a
// person says how it goes on.
func statusOf(r store.Run) string {
	if r.Halted != "" {
		return "waits for you"
	}
	return r.Status
}

func took(r store.Run) time.Duration {
	if r.EndedAt.Valid {
		return r.EndedAt.Time.Sub(r.StartedAt)
	}
	return time.Since(r.StartedAt)
}

func modeOf(r store.Run) string {
	if r.Purpose == "" || r.Purpose == contract.PurposeSync {
		return r.Mode
	}
	return r.Mode + ", " + r.Purpose
}

// countsOf are the counts of a run as it ended, or as far as it is.
func (p *process) countsOf(ctx context.Context, r store.Run) (jobs.Counts, error) {
	named := map[string]int64{}
	if r.EndedAt.Valid {
		_ = json.Unmarshal(r.Counts, &named)
		return jobs.CountsOf(named), nil
	}
	named, err := p.store.Totals(ctx, r.ID, 0, math.MaxInt32)
	return jobs.CountsOf(named), err
}

// findRun gives a run by its id, or a job's newest by the job's name.
func (p *process) findRun(ctx context.Context, name string) (store.Run, error) {
	r, err := p.store.Run(ctx, name)
	if !fault.Is(err, fault.NotFound) {
		return r, err
	}
	if strings.HasPrefix(name, contract.SyncScheduleID("")) {
		return r, fault.New(fault.NotFound, "sync.unknown_run", "there is no run %q", name).
			WithResolution("towpath sync runs JOB lists a job's runs")
	}
	if _, err := p.store.Job(ctx, name); err != nil {
		return r, err
	}
	runs, err := p.store.Runs(ctx, name, 1)
	if err == nil && len(runs) == 0 {
		return r, fault.New(fault.NotFound, "sync.no_run", "the job %q has never run", name).WithResolution("run it: towpath sync run %s", name)
	}
	if err != nil {
		return r, err
	}
	return runs[0], nil
}

func newSyncShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show RUN",
		Short:   "Tell everything about one run; of a job's name, about its newest",
		Example: "  towpath sync show supplier-products\n  towpath sync show sync/supplier-products-2026-11-22T23:45:00Z",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			r, err := p.findRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return p.showRun(cmd, r)
		}),
	}
}

func (p *process) showRun(cmd *cobra.Command, r store.Run) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	_, j, err := p.storedJob(ctx, r.Job)
	if err != nil {
		return err
	}
	c, err := p.countsOf(ctx, r)
	if err != nil {
		return err
	}
	ended := "it goes on"
	if r.EndedAt.Valid {
		ended = "ended " + r.EndedAt.Time.UTC().Format(clockLayout)
	}
	rows := [][2]string{
		{"run", r.ID},
		{"job", fmt.Sprintf("%s, revision %d: %s, %s → %s", r.Job, r.JobRevision, j.Kind, j.Source, j.Target)},
		{"asked by", askedBy(r)},
		{"mode", modeOf(r) + purposeWords(r)},
		{"mapping", mappingOf(r)},
		{"window", window(r)},
		{"time (UTC)", fmt.Sprintf("began %s, %s, took %s", r.StartedAt.UTC().Format(clockLayout), ended, round(took(r)))},
		{"status", strings.TrimSuffix(r.Status+"\n"+cmp.Or(r.Sentence, haltedWords(r)), "\n")},
		{"fault", r.Code},
		{"steered", steered(r)},
		{"source has", sourceHas(r)},
		{"records", orNothing(countWords(c), "none yet")},
		{"skipped", skippedWords(c)},
	}
	if unopened(r) { // of the rest nothing was found out
		rows = slices.DeleteFunc(rows, func(row [2]string) bool {
			return slices.Contains([]string{"mapping", "window", "source has", "records"}, row[0])
		})
	}
	say(out, rows)
	if c.Errors() == 0 {
		return nil
	}
	if r.Purpose == contract.PurposePlan {
		return p.showPlanParked(ctx, out, r, c.Errors())
	}
	families, err := p.store.ParkedOf(ctx, r.Job, mostCauses)
	if err != nil || len(families) == 0 {
		return err
	}
	fmt.Fprintf(out, "\nparked of %s at this moment, by cause:\n", r.Job)
	showFamilies(out, families)
	return nil
}

// mostCauses is how many causes are told of what is parked.
const mostCauses = 10

func showFamilies(out io.Writer, families []store.ParkedFamily) {
	for _, f := range families {
		more := ""
		if f.Full {
			more = " or more"
		}
		fmt.Fprintf(out, "%6d%s × %s%s\n         what to do: %s\n         for example %s (%s)\n", f.N, more, f.Message, fieldWords(f.Field), f.Resolution, f.Example, f.Code)
	}
}

func fieldWords(field string) string {
	if field == "" {
		return ""
	}
	return " (field " + field + ")"
}

func askedBy(r store.Run) string {
	switch {
	case r.By == "":
		return "its schedule"
	case r.Reason == "":
		return r.By
	}
	return r.By + ": " + r.Reason
}

// unopened is a run that could not begin: the log knows who wanted it, what for,
// when, and why it did not.
func unopened(r store.Run) bool {
	return r.Status == string(jobs.Failed) && r.Mapping == "" && r.CountedBefore == 0 && strings.HasPrefix(r.Sentence, "it did not begin")
}

func purposeWords(r store.Run) string {
	switch r.Purpose {
	case contract.PurposePlan:
		return ": nothing is written, what would be is kept as a plan"
	case contract.PurposeApprove:
		return ": what the plan of " + r.BaseRun.String + " says is written"
	case contract.PurposeUndo:
		return ": what " + r.BaseRun.String + " wrote is put back"
	}
	return ""
}

// window is what the run reads, by the source's own clock.
func window(r store.Run) string {
	at := func(t sql.NullTime) string { return t.Time.UTC().Format(clockLayout) }
	switch {
	case r.Since.Valid && r.Until.Valid:
		return "changed since " + at(r.Since) + " and before " + at(r.Until) + " (UTC, the source's clock)"
	case r.Since.Valid:
		return "changed since " + at(r.Since) + " (UTC, the source's clock)"
	case r.Until.Valid:
		return "everything changed before " + at(r.Until) + " (UTC, the source's clock)"
	}
	return "everything"
}

func steered(r store.Run) string {
	if !r.AskedBy.Valid {
		return ""
	}
	s := r.AskedBy.String + " asked to " + orNothing(r.Asked.String, contract.UpdateResume)
	if r.AskedWhy.String != "" {
		s += ": " + r.AskedWhy.String
	}
	if r.Unlimited {
		s += " (beyond the limits)"
	}
	return s
}

func sourceHas(r store.Run) string {
	s := thousands(r.CountedBefore) + " records in the window when the run began"
	// A run that did not come to its end has not counted again.
	if r.CountedAfter.Valid && (!r.EndedAt.Valid || r.Status == string(jobs.Success) || r.Status == string(jobs.Partial) || r.Status == string(jobs.Incomplete)) {
		s += ", " + thousands(r.CountedAfter.Int64) + " when it ended"
	}
	return s
}

func skippedWords(c jobs.Counts) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(c.Skipped)) {
		parts = append(parts, fmt.Sprintf("%s %s", thousands(c.Skipped[reason]), reason))
	}
	return strings.Join(parts, ", ")
}

// mappingOf names the mapping of a run; orders go by the rules of their flow.
func mappingOf(r store.Run) string {
	if r.Mapping == "" {
		return "none: the rules of the flow"
	}
	return fmt.Sprintf("%s, version %d", r.Mapping, r.MappingVersion)
}
