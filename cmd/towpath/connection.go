package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"towpath/connectors"
	"towpath/connectors/catalog"
	"towpath/schema/fault"
)

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
			_, hooks := d.Proto.(connectors.HookReceiver)
			if _, events := d.Proto.(connectors.EventReceiver); hooks || events {
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
