package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	"towpath/schema/fault"
)

func newDev() *cobra.Command {
	var real bool
	var dir string
	var only []string
	var port, uiPort int
	cmd := &cobra.Command{
		Use:   "dev [-- COMMAND…]",
		Short: "Everything up, staying up, for people; or real parts around a command",
		Long: `Start everything that towpath demo starts, and stay up until Ctrl-C. Data stay in
--dir and are there again the next time.

With --only, start just those real parts (postgres, temporal, odoo), run COMMAND
with their addresses in its environment (TOWPATH_TEST_…), and end them: this is
how make test runs the tests.`,
		Example: "  towpath dev\n  towpath dev --only postgres,temporal,odoo -- go test ./...",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(only) > 0 {
				return around(cmd.Context(), cmd.ErrOrStderr(), only, args)
			}
			return stay(cmd.Context(), cmd.OutOrStdout(), local.Options{
				Dir: dir, RealOdoo: real, UI: true, Out: cmd.ErrOrStderr(), APIPort: port, UIPort: uiPort,
			})
		},
	}
	cmd.Flags().BoolVar(&real, "real", false, "a real Odoo 19 instead of the simulator (root on Debian or Ubuntu)")
	cmd.Flags().StringVar(&dir, "dir", "", "folder that keeps the data; empty: gone afterwards")
	cmd.Flags().StringSliceVar(&only, "only", nil, "just these parts around COMMAND: postgres, temporal, odoo")
	cmd.Flags().IntVar(&port, "port", 8080, "port of the API")
	cmd.Flags().IntVar(&uiPort, "ui-port", 8233, "port of the Temporal UI")
	return cmd
}

func stay(ctx context.Context, out io.Writer, o local.Options) error {
	in, err := local.Up(ctx, o)
	if err != nil {
		return err
	}
	defer in.Close()
	fmt.Fprintf(out, `
Towpath is up. Ctrl-C ends everything.

  Temporal UI     %s
  webhooks        %s/webhooks/shopify/%s
  shop simulator  %s
  %-15s %v
  towpath.yaml    %s

For commands in another terminal (towpath explain, parked, doctor …):
  export %s
`, in.Temporal.UIURL, in.APIURL, local.ShopName, in.Shop.URL(), in.Odoo.What(), in.Odoo.Settings()["url"], in.File,
		strings.Join(in.Environment()[:5], " "))
	<-ctx.Done()
	return nil
}

// around runs a command with real parts beside it and ends with its exit code.
func around(ctx context.Context, out io.Writer, only, command []string) error {
	if len(command) == 0 {
		return fault.New(fault.Invalid, "dev.no_command", "--only needs a command to run").WithResolution("towpath dev --only postgres,temporal -- go test ./...")
	}
	s, err := stack.New(stack.Options{Odoo: slices.Contains(only, "odoo"), Out: out})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	parts := map[string]func() error{
		"postgres": func() error { _, err := s.Postgres(ctx); return err },
		"temporal": func() error { _, err := s.Temporal(ctx, stack.TemporalOptions{DBFile: true}); return err },
		"odoo":     func() error { _, err := s.Odoo(ctx, stack.OdooOptions{Workers: 2}); return err },
	}
	for _, name := range only {
		if parts[name] == nil {
			return fault.New(fault.Invalid, "dev.unknown_part", "there is no part %q", name).WithField("--only").WithResolution("use postgres, temporal, odoo")
		}
	}
	for _, name := range []string{"postgres", "temporal", "odoo"} {
		if slices.Contains(only, name) {
			if err := parts[name](); err != nil {
				return err
			}
		}
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = append(os.Environ(), s.Env()...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	// Asked first, so that go test ends its own children, too.
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitCode(exit.ExitCode())
	}
	return err
}
