package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"towpath/schema/fault"
	"towpath/schema/jobs"
)

func newSyncBackfill() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "backfill NAME --from DAY",
		Short: "Start a job for times of its schedule that have passed",
		Long: `Start a job for times of its schedule that have passed, as the Temporal UI does.

This is rarely what is needed. A run reads what changed since the last one,
whichever time it stands for: after an outage the next run makes up for all that
were missed. Of the times between --from and --to one run starts now; those that
would run beside it are skipped. To read everything again:
towpath sync run NAME --mode full`,
		Example: "  towpath sync backfill supplier-products --from 2026-11-20 --to 2026-11-22",
		Args:    cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			start, end, err := backfillRange(from, to, time.Now())
			if err != nil {
				return err
			}
			return p.withSchedule(cmd.Context(), args[0], func(ctx context.Context, h client.ScheduleHandle, j jobs.Job) error {
				n := timesBetween(j.Schedule, start, end)
				if n == 0 {
					return fault.New(fault.Invalid, "sync.no_times", "the schedule of %q (%s) has no time between %s and %s", j.Name, scheduleWords(j.Schedule),
						start.Format(clockLayout), end.Format(clockLayout)).WithField("--from, --to").
						WithResolution("give another range, or run it now: towpath sync run %s", j.Name)
				}
				if err := h.Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{
					{Start: start, End: end, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP},
				}}); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), `%s is started for %s times of its schedule; runs beside another are skipped.
warning: a run reads what changed since the last one, whichever time it stands for.
  to read everything again: towpath sync run %s --mode full
  watch it: towpath sync watch %s
`, j.Name, atMost(n), j.Name, j.Name)
				return nil
			})
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "first time: 2026-01-31 (UTC) or 2026-01-31T06:00:00Z")
	cmd.Flags().StringVar(&to, "to", "", "last time; empty: now")
	return cmd
}

func backfillRange(from, to string, now time.Time) (start, end time.Time, err error) {
	bad := func(flag string) error {
		return fault.New(fault.Invalid, "sync.bad_range", "the range of times is not good").WithField(flag).
			WithResolution("write --from 2026-01-31 --to 2026-02-02; times that have passed, the first before the last")
	}
	if start, err = parseDay(from); err != nil {
		return start, end, bad("--from")
	}
	if end = now.UTC().Truncate(time.Second); to != "" {
		if end, err = parseDay(to); err != nil {
			return start, end, bad("--to")
		}
	}
	if !start.Before(end) || end.After(now) {
		return start, end, bad("--to")
	}
	return start, end, nil
}

// countTimes is how far times are counted: who backfills more means "many".
const countTimes = 1000

func timesBetween(s jobs.Schedule, start, end time.Time) (n int) {
	for at := s.Next(start.Add(-time.Second)); !at.IsZero() && !at.After(end) && n < countTimes; at = s.Next(at) {
		n++
	}
	return n
}

func atMost(n int) string {
	if n >= countTimes {
		return "1,000 or more"
	}
	return fmt.Sprint(n)
}
