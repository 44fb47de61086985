package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"towpath/activities"
	"towpath/api"
	"towpath/connectors/endpoint"
	"towpath/schema/fault"
	"towpath/worker"
	"towpath/workflows/dispatch"
)

func newMigrate() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the PostgreSQL schema up to date",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := open(cmd.Context(), "migrate")
			if err != nil {
				return err
			}
			defer p.close()
			n, err := p.store.Migrate(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "schema is up to date (%d migrations applied now)\n", n)
			return nil
		},
	}
}

func newAPI() *cobra.Command {
	return &cobra.Command{
		Use:   "api",
		Short: "Receive webhooks, answer health and metrics",
		Long:  "Receive webhooks. Accepts also while Temporal, Odoo or the worker is down: what it answered 2xx is in PostgreSQL.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := openSoon(cmd.Context(), "api")
			if err != nil {
				return err
			}
			defer p.close()
			return p.runAPI(cmd.Context())
		},
	}
}

func (p *process) runAPI(ctx context.Context) error {
	dispatcher, wait, err := p.startDispatcher(ctx)
	if err != nil {
		return err
	}
	defer wait()
	inbox := p.store.NewInbox(func(int) { dispatcher.Nudge() })
	defer inbox.Close()
	registerBacklog(p.store)
	e := api.New(api.Deps{
		Pool: p.pool, Inbox: inbox, Events: p.outbound(), Ready: p.store.Ping, Connections: p.store.Connections, Log: p.log, MaxBody: p.config.MaxBody,
	})
	p.log.Info().Str("listen", p.config.Listen).Msg("api is up")
	return api.Serve(ctx, e, p.config.Listen)
}

// startDispatcher dispatches in this process, too: what the API accepts starts
// without waiting for another process's poll.
func (p *process) startDispatcher(ctx context.Context) (*dispatch.Dispatcher, func(), error) {
	temporal, opt, err := worker.Dial(p.log)
	if err != nil {
		return nil, nil, err
	}
	d := p.dispatcher(temporal, opt)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); d.Run(ctx) }()
	return d, func() { wg.Wait(); temporal.Close() }, nil
}

func (p *process) dispatcher(c client.Client, opt client.Options) *dispatch.Dispatcher {
	return &dispatch.Dispatcher{Table: p.store, Starter: c, Log: p.log, Prepare: func(ctx context.Context) error { return worker.Ensure(ctx, c, opt) }}
}

func newWorker() *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run workflows and their activities",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := openSoon(cmd.Context(), "worker")
			if err != nil {
				return err
			}
			defer p.close()
			return p.runWorker(cmd.Context())
		},
	}
}

// workerMemory is the heap at which a worker's collector begins to hurry. It is
// no bound: a worker that needs more gets it, and pays with processor time.
const workerMemory = 100 << 20

func (p *process) runWorker(ctx context.Context) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(workerMemory)
	}
	temporal, opt, err := worker.Dial(p.log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	if p.config.MetricsAddr != "" {
		registerBacklog(p.store)
		stop := serveMetrics(p.config.MetricsAddr, p)
		defer stop()
	}
	return worker.Run(ctx, worker.Deps{
		Temporal: temporal, Options: opt, Store: p.store, Log: p.log, CatchUp: p.config.CatchUp, Heartbeat: p.config.Heartbeat,
		Activities: activities.Deps{Store: p.store, Pool: p.pool, Log: p.log, HookURL: p.config.PublicURL},
		Dispatcher: p.dispatcher(temporal, opt),
		Deliveries: activities.DeliveryDeps{Out: p.outbound(), Sender: endpoint.New(endpoint.Options{}), Circuit: activities.Circuit{
			Threshold: p.config.Circuit.Failures, Recovery: p.config.Circuit.Recovery, RecoverMax: p.config.Circuit.RecoveryMax,
		}},
	})
}

func serveMetrics(address string, p *process) (stop func()) {
	s := &http.Server{Addr: address, Handler: promhttp.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			p.log.Warn().Err(err).Msg("metrics are not served")
		}
	}()
	return func() { _ = s.Close() }
}

func isUnreachable(err error) bool {
	f := fault.Of(err)
	return f.Code == "store.unreachable" || f.Code == "store.busy"
}
