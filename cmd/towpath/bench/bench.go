package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	"towpath/schema/fault"
)

// All are the benchmarks, in the order in which they run.
var All = []string{"acceptance", "latency", "memory", "orders", "sync", "growth", "outbox", "deliveries"}

// Options say what to measure, and how.
type Options struct {
	Only    []string // of All; empty: all
	Rounds  int      // default 5; orders and sync take at most 2, each being minutes
	Orders  int      // of a throughput round, default 400
	Records int      // of each kind in a sync round, default 10,000; growth's largest run has ten times as many
	// Deliveries of a throughput run, default 2,000.
	Deliveries int
	Stock      string // of the orders: "with" or "without"; empty: both
	Calls      int    // calls in flight to Odoo; 0 is the connector's default
	Seed       uint64 // of the orders; equal seeds are equal work
	Profile    string // folder for CPU profiles; empty: none
	Binary     string // towpath itself; default: this program
	Out        io.Writer
	// Bar shows progress of long work.
	Bar func(max int, what string) Bar
}

// Bar is a progress bar.
type Bar interface {
	Set(int) error
	Add(int) error
	Finish() error
}

// bench is one run of the benchmarks.
type bench struct {
	Options
	report *Report
}

// Run measures and reports. The report of what was measured so far is there
// also beside an error.
//
// Faults: bench.unknown (Invalid), those of the stack's parts.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Rounds <= 0 {
		o.Rounds = 5
	}
	if o.Orders <= 0 {
		o.Orders = 400
	}
	if o.Records <= 0 {
		o.Records = 10_000
	}
	if o.Deliveries <= 0 {
		o.Deliveries = 2000
	}
	if len(o.Only) == 0 {
		o.Only = All
	}
	if o.Binary == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		o.Binary = self
	}
	b := &bench{Options: o, report: newReport(o.Seed)}
	parts := map[string]func(context.Context) error{
		"acceptance": b.acceptance, "latency": b.latency, "memory": b.memory, "orders": b.orders, "sync": b.sync, "growth": b.growth, "outbox": b.outbox,
		"deliveries": b.deliveries,
	}
	for _, name := range o.Only {
		if parts[name] == nil {
			return b.report, fault.New(fault.Invalid, "bench.unknown", "there is no benchmark %q", name).
				WithField("--only").WithResolution("use %s", strings.Join(All, ", "))
		}
	}
	for _, name := range All {
		if !slices.Contains(o.Only, name) {
			continue
		}
		began := time.Now()
		if err := parts[name](ctx); err != nil {
			return b.report, fmt.Errorf("%s: %w", name, err)
		}
		b.say("%s took %s", name, time.Since(began).Round(time.Second))
	}
	return b.report, nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Out, "bench: "+format+"\n", args...)
}

// up starts an installation that writes through to the disk, as in production.
func (b *bench) up(ctx context.Context, o local.Options) (*local.Installation, error) {
	o.Binary, o.Fsync = b.Binary, true
	if b.Calls > 0 {
		o.OdooConfig = map[string]any{"calls": b.Calls}
	}
	// Catching up would read the shop while we measure webhooks; heartbeats
	// are those of production.
	o.Env = append(o.Env, "TOWPATH_CATCH_UP=1h", "TOWPATH_HEARTBEAT=30s")
	return local.Up(ctx, o)
}

// serve starts the API alone: no dispatcher, and the inbox of choice.
func (b *bench) serve(ctx context.Context, in *local.Installation, inbox string) (*stack.Process, string, error) {
	port, err := stack.FreePort()
	if err != nil {
		return nil, "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	p := in.Stack.Process(stack.ProcessSpec{
		Name: "api-" + inbox, Path: b.Binary, Args: []string{"bench", "serve", "--inbox", inbox},
		Env:   append(slices.Clone(in.Environment()), "TOWPATH_LISTEN="+address),
		Ready: func(ctx context.Context) error { return stack.Healthy(ctx, "http://"+address+"/readyz") },
	})
	return p, address, p.Start(ctx)
}

// profilePath is where a process's CPU profile goes.
func (b *bench) profilePath(name string) string { return filepath.Join(b.Profile, name+".pprof") }
