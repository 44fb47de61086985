package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"towpath/connectors"
	"towpath/connectors/catalog"
	"towpath/connectors/pool"
	"towpath/schema/config"
	"towpath/schema/outbound"
	"towpath/schema/store"
)

// process is what every command works with: configuration, log, store, pool.
type process struct {
	config config.Config
	log    zerolog.Logger
	store  *store.Store
	pool   *pool.Pool
}

// open reads the configuration and connects to PostgreSQL.
func open(ctx context.Context, name string) (*process, error) {
	cfg, err := config.Read()
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, cfg.DatabaseURL, store.Options{MaxConns: cfg.MaxConns})
	if err != nil {
		return nil, err
	}
	p := &process{config: cfg, store: st, log: newLog(os.Stderr, cfg.LogLevel, cfg.LogPretty).With().Str("process", name).Logger()}
	servePprof(p.log)
	p.pool = pool.New(p.loadConnection, catalog.All(), connectors.Runtime{Slots: st.Slots(), Fences: st, Polled: st, Now: time.Now, Observe: calls{p.log}.observe})
	return p, nil
}

// openSoon is open for processes that stay: they wait for PostgreSQL.
func openSoon(ctx context.Context, name string) (*process, error) {
	for wait := 200 * time.Millisecond; ; wait = min(wait*2, 3*time.Second) {
		p, err := open(ctx, name)
		if err == nil || !isUnreachable(err) {
			return p, err
		}
		log := newLog(os.Stderr, "info", false)
		log.Warn().Err(err).Msg("waiting for PostgreSQL")
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// outbound gives the verbs on endpoints and deliveries.
func (p *process) outbound() *outbound.Outbound { return outbound.New(p.store, p.config.Keys, p.log) }

func (p *process) close() {
	p.pool.Close()
	_ = p.store.Close()
}

// withProcess runs a command's function with a process that is opened for it.
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

func (p *process) loadConnection(ctx context.Context, name string) (pool.Stored, error) {
	c, err := p.store.Connection(ctx, name)
	if err != nil {
		return pool.Stored{}, err
	}
	return pool.Stored{
		Name: c.Name, Kind: c.Kind, Revision: c.Revision, Active: c.Active,
		Settings: func() (json.RawMessage, error) { return c.Merged(p.config.Keys) },
	}, nil
}

func newLog(w io.Writer, level string, pretty bool) zerolog.Logger {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.DurationFieldUnit = time.Millisecond
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	if pretty {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger()
}
