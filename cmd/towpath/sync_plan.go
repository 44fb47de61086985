package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func newSyncPlan() *cobra.Command {
	var limit int
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "plan RUN",
		Short: "Show what a dry run or a reconcile would write; of a job's name, its newest plan",
		Long: `Show what a dry run (towpath sync run NAME --dry-run) or a reconcile would write:
how many records, why, field by field, how far sums of money and stock would
move; then each change. Of a run that wrote, show what it wrote.`,
		Example: "  towpath sync plan supplier-products\n  towpath sync plan supplier-products --all --json > plan.json",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			r, err := p.findPlan(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if all {
				limit = -1
			}
			if asJSON {
				return p.planJSON(cmd.Context(), cmd.OutOrStdout(), r, limit)
			}
			return p.showPlan(cmd.Context(), cmd.OutOrStdout(), r, limit)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many changes are shown one by one")
	cmd.Flags().BoolVar(&all, "all", false, "show every change")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it for programs")
	return cmd
}

// plansBack is how many runs of a job are looked through for its newest plan.
const plansBack = 200

// findPlan gives a run by its id, or the newest plan of a job by its name.
func (p *process) findPlan(ctx context.Context, name string) (store.Run, error) {
	r, err := p.store.Run(ctx, name)
	if !fault.Is(err, fault.NotFound) {
		return r, err
	}
	made := func(r store.Run) bool { return r.Purpose == contract.PurposePlan && !unopened(r) }
	if r, err = p.findRun(ctx, name); err != nil || made(r) {
		return r, err
	}
	runs, err := p.store.Runs(ctx, name, plansBack)
	if err != nil {
		return r, err
	}
	if i := slices.IndexFunc(runs, made); i >= 0 {
		return runs[i], nil
	}
	return r, fault.New(fault.NotFound, "sync.no_plan", "the job %q has no plan", name).
		WithResolution("make one: towpath sync run %s --dry-run --watch", name)
}

// eachChange walks through the changes of a run, page by page; limit < 0 is all.
func (p *process) eachChange(ctx context.Context, run string, limit int, do func(store.Change) error) (shown int, err error) {
	const page = 500
	for at := (store.ChangeAt{}); limit < 0 || shown < limit; {
		n := page
		if limit >= 0 {
			n = min(page, limit-shown)
		}
		changes, err := p.store.ChangesIn(ctx, run, nil, at, n)
		if err != nil {
			return shown, err
		}
		for _, c := range changes {
			if err := do(c); err != nil {
				return shown, err
			}
			at = c.Place()
			shown++
		}
		if len(changes) < n {
			break
		}
	}
	return shown, nil
}

func (p *process) showPlan(ctx context.Context, out io.Writer, r store.Run, limit int) error {
	sum, err := p.store.PlanSummary(ctx, r.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %s, %s%s, asked for by %s\n", planWords(r), r.ID, modeOf(r), afterWords(r), askedBy(r))
	c, err := p.countsOf(ctx, r)
	if err != nil {
		return err
	}
	if len(sum.Totals) == 0 && c.Errors() == 0 {
		fmt.Fprintln(out, "it holds no changes: both sides are in step, as far as the run looked")
		return nil
	}
	if len(sum.Totals) == 0 {
		fmt.Fprintln(out, "it holds no changes")
	} else if err := p.showChanges(ctx, out, r, sum, limit); err != nil {
		return err
	}
	if r.Purpose == contract.PurposePlan && c.Errors() > 0 {
		if err := p.showPlanParked(ctx, out, r, c.Errors()); err != nil {
			return err
		}
		if err := p.listPlanParked(ctx, out, r, limit); err != nil {
			return err
		}
	}
	if r.Purpose == contract.PurposePlan || r.Purpose == contract.PurposeApprove {
		return p.showApproval(ctx, out, r)
	}
	return nil
}

// showChanges sums the changes of a run up, and shows the first of them.
func (p *process) showChanges(ctx context.Context, out io.Writer, r store.Run, sum store.PlanSummary, limit int) error {
	total := showTotals(out, sum.Totals)
	showFields(out, sum.Fields)
	fmt.Fprintln(out)
	shown, err := p.eachChange(ctx, r.ID, limit, func(c store.Change) error { showChange(out, c); return nil })
	if err != nil {
		return err
	}
	if int64(shown) < total {
		fmt.Fprintf(out, "… and %s more: towpath sync plan %s --all\n", thousands(total-int64(shown)), r.ID)
	}
	return nil
}

func planWords(r store.Run) string {
	switch r.Purpose {
	case contract.PurposePlan:
		return "the plan of"
	case contract.PurposeUndo:
		return "what was put back by"
	}
	return "the changes of"
}

func afterWords(r store.Run) string {
	if !r.EndedAt.Valid {
		return ", which goes on"
	}
	return ", " + r.Status
}

func (p *process) showApproval(ctx context.Context, out io.Writer, r store.Run) error {
	a, err := p.store.Approval(ctx, r.ID)
	if err != nil {
		return err
	}
	switch {
	case a.Planned > 0 && a.Done == a.Planned:
		fmt.Fprintln(out, "\nall of it was carried out")
	case a.Done > 0:
		fmt.Fprintf(out, "\n%s of %s were carried out. The rest: towpath sync approve %s --reason WHY\n", thousands(a.Done), counted(int(a.Planned), "change"), r.ID)
	case a.Planned > 0 && r.EndedAt.Valid:
		fmt.Fprintf(out, "\nnothing of it is written yet. To write exactly this: towpath sync approve %s --reason WHY\n", r.ID)
	}
	return nil
}

// showTotals says how many changes there are, of which kind and why.
func showTotals(out io.Writer, totals []store.PlanTotal) (total int64) {
	states := map[string]int64{}
	for _, t := range totals {
		total += t.N
		states[t.State] += t.N
	}
	fmt.Fprint(out, counted(int(total), "change"))
	for i, state := range slices.Sorted(maps.Keys(states)) {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(out, "%s%s %s", sep, thousands(states[state]), stateWords(state))
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nRECORDS\tWHAT\tIN\tWHY")
	for _, one := range totals {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", thousands(one.N), one.Op, one.Side, orNothing(causeWords(one.Cause), "–"))
	}
	_ = t.Flush()
	return total
}

func stateWords(state string) string {
	switch state {
	case store.ChangePlanned:
		return "planned"
	case store.ChangeIntent:
		return "sent without an answer"
	}
	return state
}

// causeWords tells a cause that runs note.
func causeWords(cause string) string {
	for prefix, words := range map[string]string{
		"parked:": "parked here", "refused:": "the next pass would park it", "waiting:": "waits here",
	} {
		if code, is := strings.CutPrefix(cause, prefix); is {
			return words + " (" + code + ")"
		}
	}
	switch cause {
	case "missing_in_target":
		return "missing in the target"
	case "archived_in_source":
		return "archived in the source"
	case "gone_in_source":
		return "gone from the source"
	case "archived_in_source_left":
		return "archived in the source; the job may not archive it (switches)"
	case "gone_in_source_left":
		return "gone from the source; the job may not archive it (switches)"
	case "restored_in_source":
		return "taken back in the source"
	case "succeeded_in_source":
		return "another record stands in its place in the source"
	case "never_in_step":
		return "never in step before"
	case "changed_in_source":
		return "changed in the source"
	case "changed_in_target":
		return "changed in the target"
	case "changed_on_both_sides":
		return "changed on both sides"
	case "deleted_in_target":
		return "deleted in the target"
	case "cancelled_in_target":
		return "cancelled in the target only"
	case "cancelled_in_source":
		return "cancelled in the source only"
	case "total_differs":
		return "another total"
	case "currency_differs":
		return "another currency"
	case "not_bound":
		return "in the target, but not bound"
	case "not_confirmed":
		return "not confirmed in the target"
	case "content_differs":
		return "other content than was last written"
	case "in_progress":
		return "being dealt with"
	case "left_by_operator":
		return "left alone by an operator (towpath skip)"
	case "kept_by_policy":
		return "kept by policy: the target's value holds"
	case "in_conflict":
		return "in conflict: a person is to decide"
	case "parked":
		return "parked, see: towpath sync show"
	}
	return cause
}

// showFields says which fields are written, and what becomes of sums.
func showFields(out io.Writer, fields []store.PlanField) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nFIELD\tIN\tUPDATES\tSUM BEFORE\tSUM AFTER\tDIFFERENCE")
	for _, f := range fields {
		if f.Number {
			sign := ""
			if f.Swing().IsPositive() {
				sign = "+"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s%s\n", f.Field, f.Side, thousands(f.Updates), f.Before, f.After, sign, f.Swing())
		} else {
			fmt.Fprintf(t, "%s\t%s\t%s\t\t\t\n", f.Field, f.Side, thousands(f.Updates))
		}
	}
	_ = t.Flush()
}

// showChange prints one change, field by field.
func showChange(out io.Writer, c store.Change) {
	fmt.Fprintf(out, "%s %s", c.Op, c.ExternalID)
	if c.Label != "" && c.Label != c.ExternalID {
		fmt.Fprintf(out, " (%s)", c.Label)
	}
	if c.Side == jobs.SourceSide {
		fmt.Fprint(out, " in the source")
	}
	if c.Cause != "" {
		fmt.Fprintf(out, ": %s", causeWords(c.Cause))
	}
	if c.State != store.ChangePlanned && c.State != store.ChangeDone {
		fmt.Fprintf(out, " [%s]", stateWords(c.State))
	}
	if c.Note != "" {
		fmt.Fprintf(out, " (%s)", c.Note)
	}
	fmt.Fprintln(out)
	showValues(out, "  ", c.Op, c.Before, c.After)
}

func showValues(out io.Writer, indent, op string, before, after record.Values) {
	for _, field := range slices.Sorted(maps.Keys(after)) {
		if op == string(jobs.Create) {
			fmt.Fprintf(out, "%s%s: %s\n", indent, field, showValue(after[field]))
		} else {
			fmt.Fprintf(out, "%s%s: %s → %s\n", indent, field, showValue(before[field]), showValue(after[field]))
		}
	}
}
