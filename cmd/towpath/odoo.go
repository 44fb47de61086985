package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"towpath/connectors"
	"towpath/connectors/odoo"
	"towpath/schema/fault"
)

// newOdoo holds what is set up inside Odoo for a connection.
func newOdoo() *cobra.Command {
	cmd := &cobra.Command{Use: "odoo", Short: "What Towpath sets up inside Odoo"}
	hooks := &cobra.Command{
		Use: "hooks", Short: "Automation rules in Odoo that nudge Towpath (events: automation)",
		Long: `Automation rules in Odoo 17 and newer, with webhook actions, that tell Towpath at once
that there is something to read: for an Odoo in which no module can be installed. They
carry no events; those come by polling, which would only be slower without them.
Odoo asks for an administrator of settings to see or change rules: give one with --as
where the connection's own user is none.`,
	}
	var as string
	var fromStdin bool
	hooks.PersistentFlags().StringVar(&as, "as", "", "log in to Odoo as this user instead of the connection's")
	hooks.PersistentFlags().BoolVar(&fromStdin, "password-stdin", false, "read the password, or API key, of --as from standard input")
	run := func(f func(ctx context.Context, p *process, cmd *cobra.Command, c *odoo.Connector, public string) error) func(*cobra.Command, []string) error {
		return withProcess(func(p *process, cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute)
			defer cancel()
			if p.config.PublicURL == "" && cmd.Name() != "remove" {
				return fault.New(fault.Invalid, "odoo.no_public_url", "Towpath does not know at which address Odoo reaches it").
					WithField("TOWPATH_PUBLIC_URL").WithResolution("set TOWPATH_PUBLIC_URL to the https address of the API")
			}
			c, err := odooAs(ctx, p, cmd, args[0], as, fromStdin)
			if err != nil {
				return err
			}
			return f(ctx, p, cmd, c, p.config.PublicURL)
		})
	}
	hooks.AddCommand(
		&cobra.Command{
			Use: "install CONNECTION", Short: "Make the rules, or mend them", Args: cobra.ExactArgs(1),
			Example: "  towpath odoo hooks install erp --as admin --password-stdin < admin.key",
			RunE: run(func(ctx context.Context, _ *process, cmd *cobra.Command, c *odoo.Connector, public string) error {
				return printHooks(cmd)(c.InstallHooks(ctx, public))
			}),
		},
		&cobra.Command{
			Use: "status CONNECTION", Short: "Compare the rules in Odoo with those that are wanted; exit code 3 if they differ", Args: cobra.ExactArgs(1),
			RunE: run(func(ctx context.Context, _ *process, cmd *cobra.Command, c *odoo.Connector, public string) error {
				return printHooks(cmd)(c.HooksStatus(ctx, public))
			}),
		},
		&cobra.Command{
			Use: "remove CONNECTION", Short: "Remove the rules of this connection", Args: cobra.ExactArgs(1),
			RunE: run(func(ctx context.Context, _ *process, cmd *cobra.Command, c *odoo.Connector, _ string) error {
				n, err := c.RemoveHooks(ctx)
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%d rules removed\n", n)
				}
				return err
			}),
		},
		&cobra.Command{
			Use: "url CONNECTION", Short: "Print the secret address, for rules that are made by hand", Args: cobra.ExactArgs(1),
			RunE: run(func(_ context.Context, _ *process, cmd *cobra.Command, c *odoo.Connector, public string) error {
				fmt.Fprintln(cmd.OutOrStdout(), c.EventsAddress(public))
				return nil
			}),
		},
	)
	cmd.AddCommand(hooks)
	return cmd
}

// odooAs opens a connection to Odoo, as another user if one is named.
func odooAs(ctx context.Context, p *process, cmd *cobra.Command, name, as string, fromStdin bool) (*odoo.Connector, error) {
	stored, err := p.loadConnection(ctx, name)
	if err != nil {
		return nil, err
	}
	if stored.Kind != odoo.Kind {
		return nil, fault.New(fault.Invalid, "odoo.not_odoo_connection", "%s is a connection of kind %s", name, stored.Kind).
			WithField("CONNECTION").WithResolution("name a connection to Odoo; towpath connection list shows them")
	}
	settings, err := stored.Settings()
	if err != nil {
		return nil, err
	}
	if as != "" {
		if !fromStdin {
			return nil, fault.New(fault.Invalid, "odoo.no_password", "--as needs that user's password").
				WithField("--password-stdin").WithResolution("add --password-stdin and give the password, or an API key, on standard input")
		}
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if password := strings.TrimRight(line, "\r\n"); password == "" {
			return nil, fault.New(fault.Invalid, "odoo.no_password", "there is no password on standard input").WithField("--password-stdin").
				WithResolution("add --password-stdin and give the password, or an API key, on standard input").WithCause(err)
		} else if settings, err = withUser(settings, as, password); err != nil {
			return nil, err
		}
	}
	return odoo.Open(connectors.Settings{Name: name, Config: settings, Runtime: connectors.Runtime{Slots: p.store.Slots(), Fences: p.store, Now: time.Now}})
}

// withUser exchanges who logs in. A password is not for JSON-2.
func withUser(settings json.RawMessage, login, password string) (json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(settings, &all); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"login": login, "password": password, "api_key": "", "transport": "jsonrpc"} {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		all[name] = raw
	}
	return json.Marshal(all)
}

func printHooks(cmd *cobra.Command) func([]odoo.Hook, error) error {
	return func(hooks []odoo.Hook, err error) error {
		if err != nil {
			return err
		}
		differ := false
		for _, h := range hooks {
			fmt.Fprintf(cmd.OutOrStdout(), "%-10s %-24s %s\n", h.State, h.Model, h.Trigger)
			differ = differ || h.State != "installed"
		}
		if differ {
			return errProof
		}
		return nil
	}
}
