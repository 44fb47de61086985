// Command temporal-dev is a Temporal development server with its web UI in one
// binary, made from Go modules only. It stands in for `temporal server
// start-dev` of the official CLI, which cannot be installed with the go tool:
// same flags, so that scripts and the Go SDK's testsuite.StartDevServer (with
// ExistingPath) can use either. It is not for production: no authentication,
// one history shard, SQLite.
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	uiversion "github.com/temporalio/ui-server/v2/server/version"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/server/common/headers"
	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"towpath/tools/temporal-dev/internal/options"
)

// stopTimeout is how long an orderly stop may take. After it the process just
// ends, which loses nothing: every answered request is in the database.
const stopTimeout = 4 * time.Second

func main() {
	if err := rootCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "temporal-dev:", err)
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	var o options.Options
	start := &cobra.Command{
		Use:   "start-dev [flags]",
		Short: "Start the development server and its web UI",
		Long: `Start a Temporal development server and its web UI.

The flags are those of the official "temporal server start-dev". Workflows are
kept in the SQLite file of --db-filename, in memory without one; the file
survives kill -9. Anybody who reaches the ports may do everything.`,
		Example: `  temporal-dev server start-dev --db-filename dev.db --namespace shop
  temporal-dev server start-dev --headless --port 7300 --search-attribute ConnectionId=Keyword`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := o.Complete(); err != nil {
				return err
			}
			return run(&o)
		},
	}
	f := start.Flags()
	f.SortFlags = false
	f.StringVar(&o.IP, "ip", "localhost", "address of the gRPC frontend")
	f.IntVarP(&o.Port, "port", "p", 7233, "port of the gRPC frontend")
	f.IntVar(&o.HTTPPort, "http-port", 0, "port of the HTTP API (default: a free one)")
	f.IntVar(&o.MetricsPort, "metrics-port", 0, "port of the Prometheus endpoint /metrics (default: none)")
	f.BoolVar(&o.Headless, "headless", false, "no web UI")
	f.StringVar(&o.UIIP, "ui-ip", "", "address of the web UI (default: that of --ip)")
	f.IntVar(&o.UIPort, "ui-port", 0, "port of the web UI (default: --port + 1000)")
	f.StringVar(&o.UIPublicPath, "ui-public-path", "", "base path of the web UI")
	f.StringVar(&o.UIAssetPath, "ui-asset-path", "", "folder with other web UI assets")
	f.StringVar(&o.UICodecEndpoint, "ui-codec-endpoint", "", "codec server by which the web UI decodes payloads")
	f.StringVarP(&o.DBFilename, "db-filename", "f", "", "SQLite file; created if missing (default: in memory)")
	f.StringArrayVar(&o.SQLitePragmas, "sqlite-pragma", nil, "SQLite `PRAGMA=VALUE` over ours; repeatable")
	f.StringArrayVarP(&o.Namespaces, "namespace", "n", nil, "`namespace` to create besides \"default\"; repeatable")
	f.StringArrayVar(&o.SearchAttributes, "search-attribute", nil,
		"`NAME=TYPE` to register in these namespaces: Bool, Datetime, Double, Int, Keyword, KeywordList, Text; repeatable")
	f.StringArrayVar(&o.DynamicConfig, "dynamic-config-value", nil, "server setting `KEY=JSON` over ours; repeatable")
	f.BoolVar(&o.DieWithParent, "die-with-parent", false, "stop when the process that started this one ends (not in the official CLI)")

	// Without effect, but harmless: the news are never fetched, and there are no
	// colours and no configuration dump.
	f.Bool("ui-disable-news-fetch", true, "always on")
	f.Bool("log-config", false, "ignored")
	f.String("color", "", "ignored")
	for _, name := range []string{"ui-disable-news-fetch", "log-config", "color"} {
		f.Lookup(name).Hidden = true
	}

	group := &cobra.Command{Use: "server", Short: "Run a server"}
	group.AddCommand(start)
	root := &cobra.Command{
		Use:           "temporal-dev",
		Short:         "Temporal development server",
		Version:       versions(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	p := root.PersistentFlags()
	p.StringVar(&o.LogLevel, "log-level", "warn", "debug, info, warn, error or never")
	p.StringVar(&o.LogFormat, "log-format", "text", "text (or pretty) or json")
	root.AddCommand(group)
	return root
}

func versions() string {
	return fmt.Sprintf("(Server %s, UI %s, %s)", headers.ServerVersion, uiversion.UIVersion, runtime.Version())
}

func run(o *options.Options) error {
	logger, level, err := newLogger(o)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if o.DieWithParent {
		go cancelWithParent(cancel)
	}

	// From the signal on, also when it comes during the start.
	context.AfterFunc(ctx, func() {
		cancel() // a second signal ends the process at once
		time.AfterFunc(stopTimeout, func() { os.Exit(0) })
		if level.Level() >= zapcore.WarnLevel {
			level.SetLevel(zapcore.FatalLevel) // services miss each other while they stop
		}
	})

	// What the server's own workers are called by. The library would read all
	// of this program at each start, half of the work of starting, to sum it up.
	worker.SetBinaryChecksum("temporal-dev " + headers.ServerVersion)

	began := time.Now()
	s, err := startServer(ctx, o, logger)
	if ctx.Err() != nil {
		err = nil // asked to stop while starting: not a failure
	}
	if err != nil || s == nil {
		return err
	}
	printSummary(o, time.Since(began))

	<-ctx.Done()
	s.stop()
	return nil
}

func printSummary(o *options.Options, took time.Duration) {
	store := o.DBFilename
	if store == "" {
		store = "in memory"
	}
	fmt.Printf("temporal-dev %s, ready after %s\n", versions(), took.Round(time.Millisecond))
	fmt.Printf("  %-9s %s\n", "server", hostPort(o.IP, o.Port))
	if o.HTTPPort > 0 {
		fmt.Printf("  %-9s http://%s\n", "http", hostPort(o.IP, o.HTTPPort))
	}
	if o.MetricsPort > 0 {
		fmt.Printf("  %-9s http://%s/metrics\n", "metrics", hostPort(o.IP, o.MetricsPort))
	}
	if !o.Headless {
		fmt.Printf("  %-9s http://%s%s\n", "web UI", hostPort(o.UIIP, o.UIPort), o.UIPublicPath)
	}
	fmt.Printf("  %-9s %s\n", "database", store)
}

// cancelWithParent watches for being handed over to another parent. Linux could
// send a signal instead (PR_SET_PDEATHSIG), but that one also comes when just
// the parent's thread that started us ends, which a Go program does not control.
func cancelWithParent(cancel func()) {
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(250 * time.Millisecond)
	}
	cancel()
}

// newLogger logs to stderr. The level can be changed while the server runs.
func newLogger(o *options.Options) (log.Logger, zap.AtomicLevel, error) {
	level := zap.NewAtomicLevel()
	if o.LogLevel == "never" {
		level.SetLevel(zapcore.Level(math.MaxInt8))
	} else if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return nil, level, fmt.Errorf("--log-level %q: want debug, info, warn, error or never", o.LogLevel)
	}
	var enc zapcore.Encoder
	switch o.LogFormat {
	case "json":
		enc = zapcore.NewJSONEncoder(log.DefaultZapEncoderConfig)
	case "text", "pretty", "":
		enc = zapcore.NewConsoleEncoder(log.DefaultZapEncoderConfig)
	default:
		return nil, level, errors.New("--log-format: want text, pretty or json")
	}
	return log.NewZapLogger(zap.New(zapcore.NewCore(enc, zapcore.Lock(os.Stderr), level))), level, nil
}
