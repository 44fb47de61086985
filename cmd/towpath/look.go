package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"towpath/connectors"
	"towpath/connectors/catalog"
	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:     "explain order/SHOP/ID",
		Short:   "Say in one sentence where an order is, why, and what to do; then its trail",
		Example: "  towpath explain order/demo-shop/5001",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := parseRef(args[0])
			if err != nil {
				return err
			}
			p, err := open(cmd.Context(), "explain")
			if err != nil {
				return err
			}
			defer p.close()
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

func newConnection() *cobra.Command {
	cmd := &cobra.Command{Use: "connection", Short: "List, check and accept connections", Aliases: []string{"connections"}}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List connections and their webhook addresses", Args: cobra.NoArgs, RunE: withProcess(listConnections)},
		&cobra.Command{Use: "check NAME", Short: "Test a connection: reach, credentials, rights, version, clock, tax rounding, identity", Args: cobra.ExactArgs(1), RunE: withProcess(checkConnection)},
		&cobra.Command{Use: "accept NAME", Short: "Take the database that answers now for the right one and let writing go on", Args: cobra.ExactArgs(1), RunE: withProcess(acceptConnection)},
		&cobra.Command{Use: "kinds", Short: "List the kinds of connections and their settings", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			printKinds(cmd.OutOrStdout())
			return nil
		}},
	)
	return cmd
}

func withProcess(run func(p *process, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p, err := open(cmd.Context(), cmd.Name())
		if err != nil {
			return err
		}
		defer p.close()
		return run(p, cmd, args)
	}
}

func listConnections(p *process, cmd *cobra.Command, _ []string) error {
	all, err := p.store.Connections(cmd.Context())
	if err != nil {
		return err
	}
	base := p.config.PublicURL
	if base == "" {
		base = "http://" + p.config.Listen
	}
	for _, c := range all {
		line := fmt.Sprintf("%-24s %-10s", c.Name, c.Kind)
		if d, ok := kind(c.Kind); ok {
			if _, hooks := d.Proto.(connectors.HookReceiver); hooks {
				line += " webhooks to " + base + "/webhooks/" + c.Kind + "/" + c.Name
			}
		}
		if c.Stopped.Valid {
			line += "  STOPPED: " + c.Stopped.String
		}
		fmt.Fprintln(cmd.OutOrStdout(), line)
	}
	return nil
}

func checkConnection(p *process, cmd *cobra.Command, args []string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute)
	defer cancel()
	door, err := p.pool.Get(ctx, args[0])
	if err != nil {
		return err
	}
	r := door.Check(ctx)
	printReport(cmd.OutOrStdout(), r)
	if !r.OK() {
		return errProof
	}
	return nil
}

func printReport(out io.Writer, r connectors.Report) {
	for _, probe := range r.Probes {
		mark := "ok  "
		switch {
		case !probe.OK:
			mark = "FAIL"
		case probe.Warn:
			mark = "warn"
		}
		fmt.Fprintf(out, "%s  %-14s %s\n", mark, probe.Name, probe.Text)
		if probe.Fix != "" && (!probe.OK || probe.Warn) {
			fmt.Fprintf(out, "                      %s\n", probe.Fix)
		}
	}
}

func acceptConnection(p *process, cmd *cobra.Command, args []string) error {
	door, err := p.pool.Get(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	identified, ok := door.(connectors.Identified)
	if !ok {
		return fault.New(fault.Unsupported, "connection.no_identity", "connections of this kind have no identity to accept")
	}
	identity, err := identified.Identity(cmd.Context())
	if err != nil {
		return err
	}
	if err := p.store.AcceptIdentity(cmd.Context(), args[0], identity); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: identity %s is accepted; writing goes on\n", args[0], identity)
	return nil
}

func printKinds(out io.Writer) {
	for _, d := range catalog.All() {
		fmt.Fprintf(out, "%s\n", d.Kind)
		for _, s := range connectors.SettingsOf(d) {
			mark := ""
			switch {
			case s.Required:
				mark = " (required)"
			case s.Secret:
				mark = " (secret)"
			case s.Default != "":
				mark = " (default " + s.Default + ")"
			}
			fmt.Fprintf(out, "  %s%s\n      %s\n", s.Name, mark, s.Doc)
		}
	}
}

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything: configuration, PostgreSQL, Temporal, connections, backlog",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return doctor(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// doctor goes on as far as it can and says of everything whether it is well.
func doctor(ctx context.Context, out io.Writer) error {
	well := true
	say := func(name string, err error, text string) {
		if err == nil {
			fmt.Fprintf(out, "ok    %-12s %s\n", name, text)
			return
		}
		well = false
		f := fault.Of(err)
		fmt.Fprintf(out, "FAIL  %-12s %s\n", name, f.Message)
		if f.Resolution != "" {
			fmt.Fprintf(out, "                   what to do: %s\n", f.Resolution)
		}
	}
	p, err := open(ctx, "doctor")
	say("postgresql", err, "answers")
	if err != nil {
		return errProof
	}
	defer p.close()
	temporal, opt, err := worker.Dial(p.log)
	if err == nil {
		defer temporal.Close()
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = worker.WaitReady(short, temporal, opt, p.log)
		cancel()
	}
	say("temporal", err, "answers")
	if err == nil {
		flows, ferr := p.store.Flows(ctx)
		say("flows", ferr, fmt.Sprintf("%d", len(flows)))
		queues := []string{contract.QueueMain}
		for _, f := range flows {
			queues = append(queues, contract.QueueTarget(f.Target), contract.QueueSource(f.Source))
		}
		for _, q := range queues {
			n, perr := worker.Pollers(ctx, temporal, q)
			if perr == nil && n == 0 {
				perr = fault.New(fault.NotFound, "worker.none", "nobody works on queue %s", q).WithResolution("start one: towpath worker")
			}
			say("queue", perr, q)
		}
	}
	well = doctorConnections(ctx, p, out) && well
	b, err := p.store.Backlog(ctx)
	say("backlog", err, fmt.Sprintf("%d events pending, %d objects due (oldest %s), %d parked", b.Pending, b.Due, b.Oldest.Round(time.Second), b.Parked))
	if err == nil && b.Broken > 0 {
		say("invariant", fault.New(fault.Conflict, "store.broken", "%d objects have pending events and are not due", b.Broken).WithResolution("report this: it must never happen"), "")
	}
	if !well {
		return errProof
	}
	return nil
}

func doctorConnections(ctx context.Context, p *process, out io.Writer) (well bool) {
	well = true
	all, err := p.store.Connections(ctx)
	if err != nil {
		return false
	}
	for _, c := range all {
		if !c.Active {
			continue
		}
		fmt.Fprintf(out, "      connection %s (%s)\n", c.Name, c.Kind)
		door, err := p.pool.Get(ctx, c.Name)
		if err != nil {
			f := fault.Of(err)
			fmt.Fprintf(out, "FAIL  %-12s %s\n                   what to do: %s\n", "open", f.Message, f.Resolution)
			well = false
			continue
		}
		short, cancel := context.WithTimeout(ctx, 2*time.Minute)
		r := door.Check(short)
		cancel()
		printReport(out, r)
		well = well && r.OK() && !c.Stopped.Valid
		if c.Stopped.Valid {
			fmt.Fprintf(out, "FAIL  stopped      %s\n                   what to do: towpath connection accept %s\n", c.Stopped.String, c.Name)
		}
	}
	return well
}
