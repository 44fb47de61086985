package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/fault"
	"towpath/schema/store"
)

func printDeliveries(out io.Writer, all []store.Delivery) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tENDPOINT\tTYPE\tRECORD\tOCCURRED (UTC)\tSTATE\tATTEMPTS\tSTATUS\tCAUSE\tEVENT")
	for _, d := range all {
		status := ""
		if d.Status.Valid {
			status = strconv.FormatInt(d.Status.Int64, 10)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", d.ID, d.Endpoint, d.Type, d.RecordID, d.OccurredAt.UTC().Format(clockLayout), d.State, d.Attempts, status, d.Code, d.Event)
	}
	return t.Flush()
}

// printRemedies says what to do about parked deliveries: a line for all that have
// the same cause.
func printRemedies(out io.Writer, all []store.Delivery) error {
	type cause struct{ code, message, resolution string }
	parked := map[cause]int{}
	var order []cause
	for _, d := range all {
		c := cause{d.Code, d.Message, d.Resolution}
		if d.State != store.DeliveryParked {
			continue
		}
		if parked[c]++; parked[c] == 1 {
			order = append(order, c)
		}
	}
	for i, c := range order {
		if i == 0 {
			fmt.Fprintln(out, "\nparked, and what to do:")
		}
		if _, err := fmt.Fprintf(out, "  %d × %s: %s\n      %s\n", parked[c], c.code, c.message, c.resolution); err != nil {
			return err
		}
	}
	return nil
}

func newDeliveryShow() *cobra.Command {
	var bodies bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a delivery: its cause, its remedy, every attempt", Args: cobra.ExactArgs(1),
		RunE: withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			f, err := (&choice{}).filter(args, time.Now())
			if err != nil {
				return err
			}
			all, err := p.store.Deliveries(cmd.Context(), f)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				return fault.New(fault.NotFound, "delivery.unknown", "there is no delivery %s", args[0]).WithResolution("towpath delivery list shows them")
			}
			return p.showDelivery(cmd.Context(), cmd.OutOrStdout(), all[0], bodies)
		}),
	}
	cmd.Flags().BoolVar(&bodies, "bodies", false, "with requests and answers (cut at 5,000 characters, secrets hidden)")
	return cmd
}

func (p *process) showDelivery(ctx context.Context, out io.Writer, d store.Delivery, bodies bool) error {
	fmt.Fprintf(out, "delivery %d: %s of %s/%s → %s\n  event      %s, %s (UTC)\n  state      %s", d.ID, d.Type, d.Model, d.RecordID, d.Endpoint,
		d.Event, d.OccurredAt.UTC().Format(clockLayout), d.State)
	if d.State == store.DeliveryRetrying && d.DueAt.Valid {
		fmt.Fprintf(out, ", again at %s", d.DueAt.Time.UTC().Format(clockLayout))
	}
	fmt.Fprintln(out)
	for _, line := range [][2]string{{"cause", strings.TrimSpace(d.Code + ": " + d.Message)}, {"what to do", d.Resolution}, {"by", d.By}} {
		if strings.Trim(line[1], ": ") != "" {
			fmt.Fprintf(out, "  %-10s %s\n", line[0], line[1])
		}
	}
	attempts, err := p.store.Attempts(ctx, d.ID)
	if err != nil {
		return err
	}
	for _, a := range attempts {
		fmt.Fprintf(out, "  attempt %-3d %s  %-9s %s  %s %s\n", a.Attempt, a.At.UTC().Format(clockLayout), a.Outcome, statusWord(a.Status), time.Duration(a.TookMS)*time.Millisecond, strings.TrimSpace(a.Code+" "+a.Message))
		if bodies {
			fmt.Fprintf(out, "%s\n%s\n", indent("    > ", a.Request), indent("    < ", a.Response))
		}
	}
	return nil
}

func statusWord(status int) string {
	if status == 0 {
		return "no answer"
	}
	return strconv.Itoa(status)
}

func indent(prefix, text string) string {
	return prefix + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+prefix)
}
