// Command towpath keeps Odoo and the systems around it in step, durably.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"towpath/cmd/towpath/stack"
	"towpath/schema/config"
	"towpath/schema/fault"
	"towpath/workflows/contract"
)

// Exit codes: 0 done; 1 it failed, trying again may help; 2 the input or the
// configuration is wrong; 3 something is wrong that a person must look at
// (a check or proof that does not hold).
const (
	exitFailed = 1
	exitInput  = 2
	exitProof  = 3
	// as shells have it for SIGINT
	exitInterrupted = 130
)

// errProof ends a command whose work was done but whose result is not good.
var errProof = errors.New("not everything is well")

// exitCode is the error of a command that passes on how another program ended,
// and has nothing to say about it.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "towpath: interrupted; what was begun can be run again")
			return exitInterrupted
		}
		return explainError(os.Stderr, err)
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "towpath",
		Short: "Keep Odoo and the systems around it in step, durably",
		Long: `Towpath brings web-shop orders into Odoo exactly once and to the cent. Sync jobs,
order imports and webhook deliveries are durable Temporal workflows; PostgreSQL
is the book of record.

Start with:  towpath demo        the main job, on this machine, proved
             towpath dev         everything up, staying up`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddGroup(
		&cobra.Group{ID: "start", Title: "Start here:"},
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "set", Title: "Set up:"},
		&cobra.Group{ID: "steer", Title: "Look and steer:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("start", newDemo(), newDev(), newBench())
	add("run", newAPI(), newWorker(), newMigrate(), newHealth())
	add("set", newApply(), newConnection(), newMapping(), newMap(), newBackfill(), newKey())
	add("steer", newSync(), newEndpoint(), newDelivery(), newEvent(), newOdoo(), newExplain(), newParked(), newDoctor(), newForget(),
		newDecision(contract.VerbRetry, "retry KIND/CONNECTION/ID", "Try an order, or a synced record, again now", "Try an order again now. Of a synced record, every job that carries it runs for it alone:\ntowpath retry product/supplier/A-1."),
		newDecision(contract.VerbSkip, "skip order/SHOP/ID --reason WHY", "Leave an order's present content alone", "Leave an order's present content alone. New content from the shop is looked at again."),
		newDecision(contract.VerbEdit, "edit order/SHOP/ID --patch JSON", "Correct an order, then try it again", "Correct an order with a JSON merge patch over its canonical form, then try it again.\nThe correction stays in force for later content of the order."),
	)
	root.AddCommand(newHelpConfig())
	return root
}

// newHelpConfig prints the environment variables.
func newHelpConfig() *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "The environment variables that processes read", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			for _, v := range config.Variables {
				fmt.Fprintf(cmd.OutOrStdout(), "%-24s %s", v.Name, v.Doc)
				if v.Default != "" {
					fmt.Fprintf(cmd.OutOrStdout(), " (default %s)", v.Default)
				}
				fmt.Fprintln(cmd.OutOrStdout())
			}
			fmt.Fprintln(cmd.OutOrStdout(), "TEMPORAL_*               Temporal's own: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_…, or temporal.toml")
		},
	}
}

func explainError(w io.Writer, err error) int {
	if errors.Is(err, errProof) {
		return exitProof
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	var start *stack.StartError
	if errors.As(err, &start) {
		fmt.Fprintf(w, "towpath: %s\n", start) // with the last lines of the part's log
		return exitFailed
	}
	var f *fault.Fault
	if !errors.As(err, &f) {
		fmt.Fprintf(w, "towpath: %v\n", err)
		return exitInput // cobra's own: unknown command, flag or argument
	}
	fmt.Fprintf(w, "towpath: %s\n", f.Message)
	if f.Field != "" {
		fmt.Fprintf(w, "  where: %s\n", f.Field)
	}
	if f.Resolution != "" {
		fmt.Fprintf(w, "  what to do: %s\n", f.Resolution)
	}
	if f.Kind == fault.Invalid || f.Kind == fault.NotFound || f.Kind == fault.Unsupported {
		return exitInput
	}
	return exitFailed
}
