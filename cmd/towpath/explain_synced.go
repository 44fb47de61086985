package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// lastChanges is how many changes of a record explain tells.
const lastChanges = 5

// jobsOf are the jobs that carry a synced record.
func (p *process) jobsOf(ctx context.Context, ref contract.Ref) ([]store.Job, error) {
	all, err := p.store.JobsFrom(ctx, ref.Connection, string(ref.Kind))
	if err == nil && len(all) == 0 {
		err = fault.New(fault.NotFound, "sync.no_job", "no job carries records of the kind %s out of %q", ref.Kind, ref.Connection).
			WithResolution("write KIND/CONNECTION/ID with the connection that the record comes from; towpath sync list shows the jobs")
	}
	return all, err
}

// explainSynced tells what every job says of a record.
func (p *process) explainSynced(ctx context.Context, out io.Writer, ref contract.Ref) error {
	all, err := p.jobsOf(ctx, ref)
	if err != nil {
		return err
	}
	told := 0
	for _, j := range all {
		in, known, err := p.store.SyncedIn(ctx, j, ref.ExternalID)
		if err != nil {
			return err
		}
		changes, err := p.store.ChangesOf(ctx, j.Name, ref.ExternalID, lastChanges)
		if err != nil {
			return err
		}
		if !known && len(changes) == 0 {
			continue
		}
		if told++; told > 1 {
			fmt.Fprintln(out)
		}
		if err := p.explainIn(ctx, out, ref, j, in, changes); err != nil {
			return err
		}
	}
	if told > 0 {
		return nil
	}
	var names []string
	for _, j := range all {
		names = append(names, j.Name)
	}
	return fault.New(fault.NotFound, "sync.unknown_record", "no run has met %s yet (jobs: %s)", ref, strings.Join(names, ", ")).
		WithResolution("check the id; to sync this record now: towpath retry %s", shellWord(ref.String()))
}

func (p *process) explainIn(ctx context.Context, out io.Writer, ref contract.Ref, j store.Job, in store.SyncedIn, changes []store.ChangeOf) error {
	conflicts, err := p.store.Conflicts(ctx, j.Name, ref.ExternalID, 100)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %s\n", ref, syncedStory(j, in, len(conflicts), time.Now()))
	for _, c := range conflicts {
		fmt.Fprintf(out, "  both sides changed %s: it was %s, is %s in the source and %s in the target, since %s; %s\n", c.Field,
			showJSON(c.Base), showJSON(c.Source), showJSON(c.Target), ago(c.Since.Time, time.Now()), decisionWords(c))
		if !c.Decision.Valid {
			fmt.Fprintf(out, "    towpath sync decide %s %s %s source|target --reason WHY\n", j.Name, shellWord(ref.ExternalID), c.Field)
		}
	}
	if err := showSnapshot(out, in); err != nil {
		return err
	}
	if len(changes) > 0 {
		fmt.Fprintln(out, "last changes, newest first")
	}
	for _, c := range changes {
		fmt.Fprintf(out, "  %s  %s in the %s, %s%s, run %s\n", c.When.UTC().Format(clockLayout), c.Op, c.Side, stateWords(c.State), noteWords(c.Note), c.Run)
		showValues(out, "    ", c.Op, c.Before, c.After)
	}
	return nil
}

func noteWords(note string) string {
	if note == "" {
		return ""
	}
	return " (" + note + ")"
}

// syncedStory is the one sentence.
func syncedStory(j store.Job, in store.SyncedIn, conflicts int, now time.Time) string {
	where := fmt.Sprintf("is not in %s yet", j.Target)
	if in.TargetID != "" {
		where = fmt.Sprintf("is %s in %s", in.TargetID, j.Target)
	}
	by := " (job " + j.Name + ")"
	switch {
	case in.NoExport:
		return where + by + fmt.Sprintf(" and is left out on purpose (no_export). To take it in again: towpath sync unskip %s %s --reason WHY.", j.Name, shellWord(in.ExternalID))
	case in.ParkedAs != nil:
		f := in.ParkedAs
		return where + by + fmt.Sprintf(" and needs you: %s%s (%s), since %s, tried %s. What to do: %s.", strings.TrimSuffix(f.Message, "."), fieldWords(f.Field), f.Code,
			ago(f.Since, now), counted(f.Times, "time"), strings.TrimSuffix(f.Resolution, "."))
	case conflicts > 0:
		return where + by + fmt.Sprintf(" and waits for a decision about %s; its other fields flow.", counted(conflicts, "field"))
	case in.At != nil:
		return where + by + fmt.Sprintf(", in step since %s by run %s, mapping version %d.", ago(*in.At, now), in.Run, in.MappingVersion)
	}
	return where + by + "."
}

// showSnapshot prints what both sides held when they were last in step.
func showSnapshot(out io.Writer, in store.SyncedIn) error {
	if !in.Synced {
		return nil
	}
	var raw record.Values
	if err := raw.UnmarshalJSON(in.Snapshot); err != nil {
		return err
	}
	source, _ := raw["s"].(record.Values)
	target, _ := raw["t"].(record.Values)
	if len(source)+len(target) == 0 {
		return nil
	}
	fmt.Fprintln(out, "both sides held, when they were last in step")
	names := slices.Sorted(maps.Keys(source))
	for _, name := range slices.Sorted(maps.Keys(target)) {
		if _, both := source[name]; !both {
			names = append(names, name)
		}
	}
	for _, name := range names {
		ours, mapped := source[name]
		theirs, there := target[name]
		switch {
		case !mapped:
			fmt.Fprintf(out, "  %s: %s, in the target only\n", name, showValue(theirs))
		case there && !record.Equal(ours, theirs):
			fmt.Fprintf(out, "  %s: %s, which the target keeps as %s\n", name, showValue(ours), showValue(theirs))
		default:
			fmt.Fprintf(out, "  %s: %s\n", name, showValue(ours))
		}
	}
	return nil
}

// retrySynced runs the jobs of a record for it alone.
func (p *process) retrySynced(cmd *cobra.Command, ref contract.Ref, by, reason string) error {
	all, err := p.jobsOf(cmd.Context(), ref)
	if err != nil {
		return err
	}
	ran := 0
	for _, j := range all {
		if !j.Active {
			continue
		}
		ran++
		id, err := p.startSync(cmd.Context(), contract.SyncInput{Job: j.Name, Mode: string(jobs.Incremental), Only: []string{ref.ExternalID}, By: by, Reason: reason})
		if err != nil {
			return err
		}
		if err := p.watchRun(cmd, id); err != nil {
			return err
		}
	}
	if ran == 0 {
		return fault.New(fault.Conflict, "job.inactive", "every job that carries %s is switched off", ref).
			WithResolution("set active: true in towpath.yaml and apply it")
	}
	return p.explainSynced(cmd.Context(), cmd.OutOrStdout(), ref)
}
