package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func newSyncApprove() *cobra.Command {
	return newFollowUp(followUp{
		use: "approve RUN|JOB", purpose: contract.PurposeApprove, verb: "an approval",
		short: "Write exactly what a plan says; what has changed since is planned anew",
		long: `Write exactly what the plan of a dry run or a reconcile says, value by value. A
record that is not any more what the plan was made for is not written, but planned
anew in this run. A plan that was made with another mapping or another version of
the job is refused.

Of a job of orders, the orders of the plan are read anew and made due: their
workflow looks at both sides and writes by the rules of their flow.`,
		example: "  towpath sync approve sync/supplier-products-2026-11-22T23:45:00.000Z --reason \"checked with Anna\" --watch",
		base:    (*process).planToApprove, allowed: (*process).mayApprove, tell: (*process).tellApproved,
	})
}

func newSyncUndo() *cobra.Command {
	return newFollowUp(followUp{
		use: "undo RUN", purpose: contract.PurposeUndo, verb: "an undo",
		short: "Put back what a run wrote, where nobody has changed it since",
		long: `Put back what a run wrote, field by field, where the record still holds it. What
somebody has changed since is left and listed. Records that the run made are
archived if nobody has touched them. The source is not changed: what it says is
written again when it changes there, or when the job runs in full.`,
		example: "  towpath sync undo sync/supplier-products-2026-11-22T23:45:00.000Z --reason \"wrong price list\" --watch",
		base:    (*process).namedRun, allowed: (*process).mayUndo, tell: (*process).tellUndone,
	})
}

// followUp is a run that goes by what an earlier one noted.
type followUp struct {
	use, short, long, example, purpose, verb string

	base    func(*process, context.Context, string) (store.Run, error) // that is meant by what a person gave
	allowed func(*process, context.Context, store.Run) error
	tell    func(*process, context.Context, io.Writer, string) error
}

func newFollowUp(f followUp) *cobra.Command {
	in := contract.SyncInput{Purpose: f.purpose}
	var watch bool
	cmd := &cobra.Command{
		Use: f.use, Short: f.short, Long: f.long, Example: f.example, Args: cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			if in.Reason == "" {
				return fault.New(fault.Invalid, "sync.no_reason", "%s needs a reason: it is kept with the run", f.verb).
					WithField("--reason").WithResolution("add --reason \"why\"")
			}
			base, err := f.base(p, ctx, args[0])
			if err != nil {
				return err
			}
			if err := f.allowed(p, ctx, base); err != nil {
				return err
			}
			if f.purpose == contract.PurposeUndo {
				if err := p.tellUnheard(ctx, out, base.ID); err != nil {
					return err
				}
			}
			in.Job, in.Base, in.Mode = base.Job, base.ID, base.Mode
			id, err := p.startSync(ctx, in)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "run %s is on its way\n", id)
			if !watch {
				fmt.Fprintf(out, "  watch it: towpath sync watch %s\n  then see what it did: towpath sync plan %s\n", in.Job, id)
				return nil
			}
			ended := p.watchRun(cmd, id)
			if ended != nil && !errors.Is(ended, errProof) {
				return ended
			}
			return errors.Join(ended, f.tell(p, ctx, out, id))
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show how far it is until it ends, and what it did")
	cmd.Flags().StringVar(&in.By, "by", currentUser(), "who asks for it")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why; kept with the run")
	return cmd
}

// namedRun gives a run by its id. A job's name will not do: which run is meant
// must not depend on what ran last.
func (p *process) namedRun(ctx context.Context, id string) (store.Run, error) {
	r, err := p.store.Run(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return r, fault.New(fault.NotFound, "sync.unknown_run", "there is no run %q", id).
			WithResolution("give a run's id, as towpath sync plan JOB and towpath sync show JOB print it")
	}
	return r, err
}

// planToApprove gives a run by its id, or the one plan of a job that waits. Which
// of several is meant nobody may guess.
func (p *process) planToApprove(ctx context.Context, name string) (store.Run, error) {
	r, err := p.store.Run(ctx, name)
	if !fault.Is(err, fault.NotFound) {
		return r, err
	}
	if _, err := p.store.Job(ctx, name); err != nil {
		return p.namedRun(ctx, name)
	}
	runs, err := p.store.Runs(ctx, name, plansBack)
	if err != nil {
		return r, err
	}
	var waiting []store.Run
	for _, one := range runs {
		switch err := p.mayApprove(ctx, one); {
		case err == nil:
			waiting = append(waiting, one)
		case !fault.Is(err, fault.Conflict):
			return r, err
		}
	}
	switch len(waiting) {
	case 1:
		return waiting[0], nil
	case 0:
		return r, fault.New(fault.NotFound, "sync.no_plan", "no plan of %q waits to be approved", name).
			WithResolution("make one: towpath sync run %s --dry-run --watch", name)
	}
	ids := make([]string, len(waiting))
	for i, one := range waiting {
		ids[i] = one.ID
	}
	return r, fault.New(fault.Conflict, "sync.several_plans", "%d plans of %q wait to be approved: %s", len(waiting), name, strings.Join(ids, ", ")).
		WithResolution("name the run: towpath sync approve %s --reason WHY", ids[0])
}

func (p *process) mayApprove(ctx context.Context, r store.Run) error {
	again := func(f *fault.Fault) error {
		return f.WithResolution("re-plan: towpath sync run %s --dry-run --watch", r.Job)
	}
	if r.Purpose != contract.PurposePlan && r.Purpose != contract.PurposeApprove { // which plans anew what was stale
		return again(fault.New(fault.Conflict, "sync.no_plan", "%s is no plan: its purpose is %s", r.ID, r.Purpose))
	}
	if !r.EndedAt.Valid {
		return fault.New(fault.Conflict, "sync.plan_unfinished", "the plan is still being made").
			WithResolution("wait until it is: towpath sync watch %s", r.Job)
	}
	row, j, err := p.storedJob(ctx, r.Job)
	if err != nil {
		return err
	}
	if row.Revision != r.JobRevision {
		return again(fault.New(fault.Conflict, "sync.plan_outdated", "the job has changed since the plan was made (revision %d, now %d)", r.JobRevision, row.Revision))
	}
	if j.Kind != jobs.Order { // which have none
		m, err := p.store.Mapping(ctx, j.Mapping, 0)
		if err != nil {
			return err
		}
		if m.Name != r.Mapping || m.Version != r.MappingVersion {
			return again(fault.New(fault.Conflict, "sync.plan_outdated", "the mapping has changed since the plan was made (%s version %d, now %s version %d)",
				r.Mapping, r.MappingVersion, m.Name, m.Version))
		}
	}
	a, err := p.store.Approval(ctx, r.ID)
	switch {
	case err != nil:
		return err
	case a.Planned == 0:
		return again(fault.New(fault.Conflict, "sync.plan_empty", "the plan holds no changes: there is nothing to approve"))
	case a.Done == a.Planned:
		return again(fault.New(fault.Conflict, "sync.plan_done", "all %d changes of the plan were carried out already", a.Planned))
	}
	return nil
}

func (p *process) mayUndo(ctx context.Context, r store.Run) error {
	if r.Purpose == contract.PurposePlan {
		return fault.New(fault.Conflict, "sync.nothing_written", "%s is a plan: it wrote nothing", r.ID).
			WithResolution("name the run that carried it out; towpath sync runs %s lists them", r.Job)
	}
	if !r.EndedAt.Valid {
		return fault.New(fault.Conflict, "run.underway", "the run goes on").
			WithResolution("wait until it has ended, or end it: towpath sync abort %s --reason WHY", r.Job)
	}
	done, err := p.store.ChangesIn(ctx, r.ID, []string{store.ChangeDone, store.ChangeIntent}, store.ChangeAt{}, 1)
	if err == nil && len(done) == 0 {
		return fault.New(fault.Conflict, "sync.nothing_written", "%s wrote nothing that could be put back", r.ID).
			WithResolution("towpath sync runs %s tells what each run did; a file that was written is not taken back", r.Job)
	}
	if err != nil {
		return err
	}
	by, all, err := p.store.UndoneBy(ctx, r.ID)
	if err == nil && all {
		return fault.New(fault.Conflict, "sync.undone_already", "%s was undone already, by %s", r.ID, by).
			WithResolution("see what that put back: towpath sync plan %s", by)
	}
	return err
}

// tellUnheard tells of writes of which nobody knows whether they landed: their
// run ended, or was lost with its workflow, before an answer came.
func (p *process) tellUnheard(ctx context.Context, out io.Writer, run string) error {
	n, err := p.byState(ctx, run)
	if err == nil && n[store.ChangeIntent] > 0 {
		fmt.Fprintf(out, "note: %s of that run had no answer; the undo looks at the records first, and lists what it cannot tell\n",
			counted(int(n[store.ChangeIntent]), "write"))
	}
	return err
}

// byState counts a run's changes.
func (p *process) byState(ctx context.Context, run string) (map[string]int64, error) {
	sum, err := p.store.PlanSummary(ctx, run)
	states := map[string]int64{}
	for _, t := range sum.Totals {
		states[t.State] += t.N
	}
	return states, err
}

func (p *process) tellApproved(ctx context.Context, out io.Writer, id string) error {
	n, err := p.byState(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s of the plan carried out\n", counted(int(n[store.ChangeDone]), "change"))
	if stale := n[store.ChangePlanned]; stale > 0 {
		fmt.Fprintf(out, "%s stale: the records are not what the plan was made for, and were planned anew.\n  look at it: towpath sync plan %s\n  carry it out: towpath sync approve %s --reason WHY\n",
			thousands(stale), id, id)
	}
	return p.tellNoted(ctx, out, id, "refused by the target")
}

func (p *process) tellUndone(ctx context.Context, out io.Writer, id string) error {
	n, err := p.byState(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s put back\n", counted(int(n[store.ChangeDone]), "record"))
	return p.tellNoted(ctx, out, id, "left as they are, whole or in part")
}

// mostNoted is how many records that need a look are listed.
const mostNoted = 100

func (p *process) tellNoted(ctx context.Context, out io.Writer, id, what string) error {
	noted, err := p.store.Noted(ctx, id, mostNoted+1)
	if err != nil || len(noted) == 0 {
		return err
	}
	fmt.Fprintf(out, "%s:\n", what)
	for i, c := range noted {
		if i == mostNoted {
			fmt.Fprintf(out, "  … and more: towpath sync plan %s --all\n", id)
			break
		}
		name := c.ExternalID
		if c.Label != "" && c.Label != name {
			name += " (" + c.Label + ")"
		}
		fmt.Fprintf(out, "  %s: %s\n", name, orNothing(c.Note, c.State))
	}
	return nil
}
