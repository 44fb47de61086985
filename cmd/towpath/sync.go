package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

func newSync() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Run, watch and schedule sync jobs",
		Long: `Run, watch and schedule sync jobs. Jobs come from towpath.yaml (towpath apply);
docs/sync.md tells how to set one up and what its numbers mean.`,
		Example: "  towpath sync list\n  towpath sync run supplier-products --watch\n  towpath sync resume-schedule supplier-products",
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List jobs: what, when, how the last run went, what comes next", Args: cobra.NoArgs,
			Example: "  towpath sync list", RunE: withProcess(listJobs),
		},
		newSyncRun(), newSyncWatch(),
		newSyncAsk(contract.UpdatePause, "Pause a job's run that goes on; it keeps its place",
			"Pause a job's run that goes on. It stops behind the page that it is writing and\nkeeps its place: towpath sync resume goes on from there."),
		newSyncAsk(contract.UpdateResume, "Let a job's run go on that was paused, or stopped by a limit",
			"Let a job's run go on that was paused, or that a limit has stopped. After a limit\nit stops again at the same one, unless the job's limits were changed meanwhile or\n--beyond-limits is given."),
		newSyncAsk(contract.UpdateAbort, "End a job's run; what was written stays, and the next run reads the rest again",
			"End a job's run behind the page that it is writing. What was written stays. The\nwatermark stays where it was, so that the next run reads the rest."),
		newSyncRuns(), newSyncShow(),
		newSyncPlan(), newSyncApprove(), newSyncUndo(), newSyncDrift(), newSyncConflicts(), newSyncDecide(),
		newSyncUntie(), newSyncLeave(true), newSyncLeave(false), newSyncExport(), newSyncExports(),
		newPauseSchedule(), newResumeSchedule(), newSyncBackfill(),
	)
	return cmd
}

// storedJob reads a job, ready to use.
func (p *process) storedJob(ctx context.Context, name string) (store.Job, jobs.Job, error) {
	row, err := p.store.Job(ctx, name)
	if err != nil {
		return row, jobs.Job{}, err
	}
	j, err := worker.JobOf(row)
	return row, j.WithDefaults(), err
}

// connectTemporal waits for Temporal for so long: a person does, too.
func (p *process) connectTemporal(ctx context.Context, wait time.Duration) (client.Client, client.Options, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	temporal, opt, err := worker.Dial(p.log)
	if err != nil {
		return nil, opt, err
	}
	if err := worker.WaitReady(ctx, temporal, opt, p.log); err != nil {
		temporal.Close()
		return nil, opt, err
	}
	return temporal, opt, nil
}

func listJobs(p *process, cmd *cobra.Command, _ []string) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	all, err := p.store.Jobs(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "there are no jobs; add some to towpath.yaml (docs/sync.md tells how) and run: towpath apply")
		return nil
	}
	temporal, _, unreachable := p.connectTemporal(ctx, scheduleTime)
	if unreachable == nil {
		defer temporal.Close()
	}
	var notes []string
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "JOB\tWHAT\tHOW\tSCHEDULE\tLAST RUN\tIN STEP\tNEXT RUN")
	for _, row := range all {
		j, err := worker.JobOf(row)
		if err != nil {
			fmt.Fprintf(t, "%s\t%s\n", row.Name, fault.Of(err).Message)
			continue
		}
		j = j.WithDefaults()
		last, waits, err := p.lastRun(ctx, row.Name)
		if err != nil {
			return err
		}
		if waits != "" {
			notes = append(notes, j.Name+" "+waits)
		}
		s := scheduleState{words: scheduleWords(j.Schedule), next: "?"}
		if unreachable == nil {
			s.ask(ctx, temporal, j)
		}
		if s.note != "" {
			notes = append(notes, fmt.Sprintf("%s is paused: %s", j.Name, s.note))
		}
		if !row.Active {
			s.words, s.next = s.words+"; the job is not active", "never"
		}
		fmt.Fprintf(t, "%s\t%s, %s → %s\t%s, %s\t%s\t%s\t%s\t%s\n",
			j.Name, j.Kind, j.Source, j.Target, j.Direction, j.Mode, s.words, last, inStep(row, j, time.Now()), s.next)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, note := range notes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, note)
	}
	if unreachable != nil {
		f := fault.Of(unreachable)
		fmt.Fprintf(out, "\n%s, so what is paused or comes next is not known.\n  what to do: %s\n", f.Message, f.Resolution)
	}
	return nil
}

// lastRun tells a job's newest run, and what of it waits for a person.
func (p *process) lastRun(ctx context.Context, job string) (words, waits string, err error) {
	runs, err := p.store.Runs(ctx, job, 1)
	if err != nil || len(runs) == 0 {
		return "none", "", err
	}
	r := runs[0]
	if r.EndedAt.Valid {
		return r.Status + ", " + ago(r.EndedAt.Time, time.Now()), "", nil
	}
	words = r.Status + " for " + round(time.Since(r.StartedAt))
	if r.Halted != "" {
		words = "stopped by a limit, waits for you"
	}
	if asked := r.Asked.String; asked != "" {
		words += ", " + asked + " asked for"
	}
	return words, haltedWords(r), nil
}

// haltedWords says which limit has stopped a run, and how it goes on.
func haltedWords(r store.Run) string {
	if r.Halted == "" {
		return ""
	}
	return fmt.Sprintf("is stopped by a limit: %s\n  waiting for you: raise it and towpath sync resume %s; or resume --beyond-limits; or towpath sync abort %s --reason WHY", r.Halted, r.Job, r.Job)
}

// inStep is the age of a job's watermark: what changed before it is on the
// other side. Of a bidirectional job the older of its two counts.
func inStep(row store.Job, j jobs.Job, now time.Time) string {
	marks := []sql.NullTime{row.Watermark}
	if j.Direction == jobs.Bidirectional {
		marks = append(marks, row.WatermarkBack)
	}
	oldest := now
	for _, m := range marks {
		if !m.Valid {
			return "never yet"
		}
		if m.Time.Before(oldest) {
			oldest = m.Time
		}
	}
	return "until " + ago(oldest, now)
}

// scheduleState is what Temporal says of a job's schedule, in words.
type scheduleState struct{ words, next, note string }

func (s *scheduleState) ask(ctx context.Context, temporal client.Client, j jobs.Job) {
	d, err := temporal.ScheduleClient().GetHandle(ctx, contract.SyncScheduleID(j.Name)).Describe(ctx)
	switch {
	case err != nil:
		s.words += "; no schedule yet"
		s.next = "when a worker runs"
	case j.Schedule.Type == jobs.ByHand:
		s.next = "by hand"
	case d.Schedule.State.Paused:
		s.words += "; paused"
		s.next, s.note = "when resumed", d.Schedule.State.Note
	case len(d.Info.NextActionTimes) == 0:
		s.next = "never"
	default:
		s.next = in(d.Info.NextActionTimes[0], time.Now())
	}
}

// scheduleWords says when a job runs by itself.
func scheduleWords(s jobs.Schedule) string {
	s = s.WithDefaults()
	zone := ""
	if s.TimeZone != "" && s.TimeZone != "UTC" {
		zone = " " + s.TimeZone
	}
	switch {
	case s.Type == jobs.ByHand:
		return "by hand"
	case s.Type == jobs.Cron:
		return "cron " + s.Cron + zone
	}
	words := fmt.Sprintf("every %d %s", s.Every, s.Unit)
	if s.Every == 1 {
		words = "every " + strings.TrimSuffix(string(s.Unit), "s")
	}
	switch s.Unit {
	case jobs.Minutes, jobs.Hours:
		return words
	case jobs.Weeks:
		words += " on Monday"
	case jobs.Months:
		words += fmt.Sprintf(" on day %d", s.Day)
		if s.Day > 28 {
			words += " (at most the last)"
		}
	}
	at := s.At
	if at == "" {
		at = "00:00"
	}
	return words + " at " + at + zone
}

// say prints a table whose columns line up.
func say(out io.Writer, rows [][2]string) {
	for _, r := range rows {
		if r[1] != "" {
			fmt.Fprintf(out, "%-11s %s\n", r[0], strings.ReplaceAll(r[1], "\n", "\n            "))
		}
	}
}
