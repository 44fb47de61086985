package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:     "explain KIND/CONNECTION/ID",
		Short:   "Say in one sentence where an order, or a synced record, is, why, and what to do; then its trail",
		Example: "  towpath explain order/demo-shop/5001\n  towpath explain product/supplier/A-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseAnyRef(args[0])
			if err != nil {
				return err
			}
			p, err := open(cmd.Context(), "explain")
			if err != nil {
				return err
			}
			defer p.close()
			if ref.Kind != record.KindOrder {
				return p.explainSynced(cmd.Context(), cmd.OutOrStdout(), ref)
			}
			return p.explain(cmd.Context(), cmd.OutOrStdout(), ref, true)
		},
	}
}

func (p *process) explain(ctx context.Context, out io.Writer, ref contract.Ref, trail bool) error {
	t, err := p.store.Trail(ctx, store.Key{Connection: ref.Connection, Kind: ref.Kind, ExternalID: ref.ExternalID})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %s\n", ref, story(t, time.Now()))
	if t.Siblings > 0 {
		fmt.Fprintf(out, "%d other orders wait for the same cause (towpath parked).\n", t.Siblings)
	}
	if len(t.Waits) > 0 {
		fmt.Fprintln(out, "It waits for a mapping; one line per product is enough:")
	}
	for _, need := range t.Waits {
		what, key, _ := strings.Cut(need, ":"+t.Connection+":")
		fmt.Fprintf(out, "  towpath map %s %s %s ODOO_ID\n", what, t.Connection, shellWord(key))
	}
	if trail {
		printTrail(out, t)
	}
	return nil
}

// story is the one sentence.
func story(t *store.Trail, now time.Time) string {
	where := "is not in Odoo yet"
	if t.TargetID.Valid {
		where = fmt.Sprintf("is %s in %s (id %s, %s)", t.TargetName.String, t.Target.String, t.TargetID.String, t.Stage.String)
	}
	switch {
	case !t.Target.Valid:
		return fmt.Sprintf("%s: no flow takes orders of %s anywhere; add one to towpath.yaml and run towpath apply.", where, t.Connection)
	case t.Stopped.Valid:
		return fmt.Sprintf("%s: writing to %s is stopped (%s); if it is the right database: towpath connection accept %s.", where, t.Target.String, t.Stopped.String, t.Target.String)
	case !t.Outcome.Valid && t.DueAt.Valid:
		return fmt.Sprintf("%s: it was received %s and is being worked on.", where, ago(t.FirstSeen, now))
	}
	switch contract.Outcome(t.Outcome.String) {
	case contract.Parked:
		s := fmt.Sprintf("%s and needs you: %s. What to do: %s.", where, strings.TrimSuffix(t.Message.String, "."), strings.TrimSuffix(t.Resolution.String, "."))
		if t.DueAt.Valid {
			s += fmt.Sprintf(" It is looked at again by itself %s.", in(t.DueAt.Time, now))
		}
		return s
	case contract.Waiting:
		s := fmt.Sprintf("%s: it waits (%s)", where, t.Code.String)
		if t.DueAt.Valid {
			s += ", next look " + in(t.DueAt.Time, now)
		}
		return s + "."
	case contract.Skipped:
		return fmt.Sprintf("%s, on purpose: %s. Nothing to do.", where, t.Code.String)
	}
	s := where + " and equals the shop, proved " + ago(t.SettledAt.Time, now) + "."
	if t.DueAt.Valid {
		s += " Something new about it is due."
	}
	return s
}

func ago(t, now time.Time) string { return round(now.Sub(t)) + " ago" }

func in(t, now time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + round(t.Sub(now))
}

func round(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func printTrail(out io.Writer, t *store.Trail) {
	const at = "2006-01-02 15:04:05"
	fmt.Fprintln(out, "\nreceived")
	for _, e := range t.Events {
		fmt.Fprintf(out, "  %s  %-18s %-8s %s\n", e.ReceivedAt.UTC().Format(at), e.Topic, e.State, e.DeliveryID.String)
	}
	fmt.Fprintln(out, "done")
	for _, s := range t.Steps {
		line := fmt.Sprintf("  %s  %-9s %s", s.At.UTC().Format(at), s.Outcome.String, s.Code.String)
		if s.State != "settled" {
			line += " (" + s.State + ": written or not, the next pass looks)"
		}
		if s.By != "towpath" {
			line += "  by " + s.By
		}
		if s.Note.String != "" {
			line += "  " + s.Note.String
		}
		fmt.Fprintln(out, line)
	}
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("-_.:/@+,", r) && !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
