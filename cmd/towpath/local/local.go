package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"

	"towpath/cmd/towpath/stack"
	odoosim "towpath/connectors/odoo/simulator"
	shopsim "towpath/connectors/shopify/simulator"
	"towpath/schema/store"
)

// Names of the connections of an installation.
const (
	ShopName = "demo-shop"
	OdooName = "main-odoo"
)

// Options say what to install.
type Options struct {
	Binary   string // towpath itself; default: this program
	Dir      string // keep data here; empty: a temporary folder
	RealOdoo bool   // a real Odoo 19 instead of the simulator
	Outbox   bool   // Odoo has its outbox; a simulated one tells those of sales orders
	UI       bool   // Temporal's web UI
	Fsync    bool   // PostgreSQL writes through, as in production
	Out      io.Writer
	// Rules of the flow, as in towpath.yaml; nil: the defaults.
	Rules map[string]any
	// Endpoints are told of events, as in towpath.yaml.
	Endpoints []any
	// Odoo adjusts the simulated Odoo, OdooConfig the connection's settings.
	Odoo       odoosim.Options
	OdooConfig map[string]any
	Shop       shopsim.Options
	// Env is added to Towpath's processes; Ports fixes API and UI for people.
	Env     []string
	APIPort int
	UIPort  int
	Workers int // worker processes, default 1
}

// Installation is a running Towpath.
type Installation struct {
	Options
	Stack    *stack.Stack
	PG       *stack.Postgres
	Temporal *stack.Temporal
	Odoo     Odoo
	SimOdoo  *odoosim.Server // nil with a real one
	RealOdoo *Real           // nil with a simulated one
	Shop     *shopsim.Shop
	API      *stack.Process
	Worker   []*stack.Process
	Store    *store.Store // the book of record, for looking
	APIURL   string
	File     string // towpath.yaml
	env      []string
}

const database = "towpath"

// keys seal the secrets of a throw-away installation.
const keys = "local:6c6f63616c2d6b65792d666f722d64656d6f732d616e642d74657374732d2121"

// Up starts everything, in the order of dependence. On any error, or when ctx
// ends, nothing is left running.
func Up(ctx context.Context, o Options) (_ *Installation, err error) {
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	in := &Installation{Options: o}
	if in.Stack, err = stack.New(stack.Options{Dir: o.Dir, Fsync: o.Fsync, Odoo: o.RealOdoo, Out: o.Out}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			in.Close()
		}
	}()
	for _, step := range []func(context.Context) error{in.upPostgres, in.upTemporal, in.upOdoo, in.upShop, in.configure, in.upAPI, in.upWorkers} {
		if err = step(ctx); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *Installation) upPostgres(ctx context.Context) (err error) {
	if in.PG, err = in.Stack.Postgres(ctx); err != nil {
		return err
	}
	if err := in.PG.CreateDB(ctx, database); err != nil && !strings.Contains(err.Error(), "exists") {
		return err
	}
	return nil
}

func (in *Installation) upTemporal(ctx context.Context) (err error) {
	in.Temporal, err = in.Stack.Temporal(ctx, stack.TemporalOptions{DBFile: true, UI: in.UI, UIPort: in.UIPort, Nice: behindPeople})
	return err
}

func (in *Installation) upOdoo(ctx context.Context) error {
	if !in.Options.RealOdoo {
		sim, err := odoosim.Start(in.Options.Odoo)
		if err != nil {
			return err
		}
		if in.Outbox {
			sim.Watch("sale.order")
		}
		in.SimOdoo, in.Odoo = sim, Simulated{sim}
		return nil
	}
	o, err := in.Stack.Odoo(ctx, stack.OdooOptions{Workers: 2, Outbox: in.Outbox})
	if err != nil {
		return err
	}
	real, err := NewReal(o)
	if err != nil {
		return err
	}
	in.RealOdoo, in.Odoo = real, real
	return nil
}

func (in *Installation) upShop(context.Context) (err error) {
	port := in.APIPort
	if port == 0 {
		if port, err = stack.FreePort(); err != nil {
			return err
		}
	}
	in.APIURL = fmt.Sprintf("http://127.0.0.1:%d", port)
	if in.Outbox && in.SimOdoo != nil {
		in.SimOdoo.NudgeTo(in.hook(), outboxSecret)
	}
	shop := in.Options.Shop
	shop.HookURL = in.APIURL + "/webhooks/shopify/" + ShopName
	in.Shop, err = shopsim.Start(shop)
	return err
}

// outboxSecret signs the nudges of a throw-away Odoo.
const outboxSecret = "whsec_bG9jYWwtc2VjcmV0LWZvci1udWRnZXMtaW4tZGVtb3M="

// TellOrders makes Odoo tell what happens to sales orders. Options.Outbox is set.
func (in *Installation) TellOrders(ctx context.Context) error {
	if in.RealOdoo == nil {
		return nil // it does already
	}
	return in.RealOdoo.tells(ctx, "sale.order", in.hook(), outboxSecret)
}

// hook is where Odoo says that there are events.
func (in *Installation) hook() string { return in.APIURL + "/webhooks/odoo/" + OdooName }

// configure migrates and applies towpath.yaml, as an operator would.
func (in *Installation) configure(ctx context.Context) (err error) {
	in.env = append([]string{
		"TOWPATH_DATABASE_URL=" + in.PG.DSN(database), "TOWPATH_KEYS=" + keys,
		"TEMPORAL_ADDRESS=" + in.Temporal.Address, "TEMPORAL_NAMESPACE=" + in.Temporal.Namespace,
		"TOWPATH_LISTEN=" + strings.TrimPrefix(in.APIURL, "http://"), "TOWPATH_HEARTBEAT=3s", "TOWPATH_CATCH_UP=30s",
	}, in.Options.Env...)
	odoo := in.Odoo.Settings()
	if in.Outbox {
		odoo["events"], odoo["events_secret"] = "outbox", outboxSecret
	}
	for k, v := range in.OdooConfig {
		odoo[k] = v
	}
	rules := in.Rules
	if rules == nil {
		rules = map[string]any{}
	}
	setup := map[string]any{
		"connections": []any{
			map[string]any{"name": OdooName, "kind": "odoo", "config": odoo},
			map[string]any{"name": ShopName, "kind": "shopify", "config": map[string]any{
				"shop": in.Shop.Domain(), "api_url": in.Shop.URL(), "access_token": in.Shop.AccessToken(), "webhook_secrets": []string{in.Shop.Secret()},
			}},
		},
		"orders": []any{map[string]any{"from": ShopName, "to": OdooName, "rules": rules}},
	}
	if len(in.Endpoints) > 0 {
		setup["endpoints"] = in.Endpoints
	}
	text, err := yaml.Marshal(setup)
	if err != nil {
		return err
	}
	in.File = filepath.Join(in.Stack.Dir(), "towpath.yaml")
	if err := os.WriteFile(in.File, text, 0o600); err != nil {
		return err
	}
	if _, err := in.Run(ctx, "migrate"); err != nil {
		return err
	}
	if _, err := in.Run(ctx, "apply", "-f", in.File); err != nil {
		return err
	}
	in.Store, err = store.Open(ctx, in.PG.DSN(database), store.Options{MaxConns: 4})
	return err
}

// Run runs one towpath command to its end and gives what it printed.
func (in *Installation) Run(ctx context.Context, args ...string) (string, error) {
	log := filepath.Join(in.Stack.Dir(), fmt.Sprintf("%s-%d.log", args[0], time.Now().UnixNano()))
	p := in.Stack.Process(stack.ProcessSpec{Name: "towpath " + args[0], Path: in.Binary, Args: args, Env: in.env, Log: log})
	if err := p.Start(ctx); err != nil {
		return "", err
	}
	err := p.Wait()
	out, _ := os.ReadFile(log)
	if err != nil {
		return string(out), fmt.Errorf("towpath %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (in *Installation) upAPI(ctx context.Context) error {
	in.API = in.Stack.Process(stack.ProcessSpec{
		Name: "api", Path: in.Binary, Args: []string{"api"}, Env: in.env,
		Ready: func(ctx context.Context) error { return stack.Healthy(ctx, in.APIURL+"/readyz") },
	})
	return in.API.Start(ctx)
}

func (in *Installation) upWorkers(ctx context.Context) error {
	for i := range in.Workers {
		w := in.NewWorker(fmt.Sprintf("worker-%d", i+1))
		if err := w.Start(ctx); err != nil {
			return err
		}
		in.Worker = append(in.Worker, w)
	}
	return nil
}

// behindPeople is how far worker and Temporal step back, since all runs on one
// machine here: Odoo's office users come first, and orders lose nothing by it
// (docs/operate.md tells the same for an installation on Odoo's machine).
const behindPeople = 10

// NewWorker prepares a further worker process, with extra environment.
func (in *Installation) NewWorker(name string, env ...string) *stack.Process {
	return in.Stack.Process(stack.ProcessSpec{
		Name: name, Path: in.Binary, Args: []string{"worker"}, Env: append(append([]string(nil), in.env...), env...),
		StopSignal: syscall.SIGTERM, Grace: 90 * time.Second, Nice: behindPeople,
	})
}

// Environment is that of Towpath's processes, for people and further ones.
func (in *Installation) Environment() []string { return in.env }

// Close ends everything.
func (in *Installation) Close() {
	if in.Store != nil {
		_ = in.Store.Close()
	}
	if in.Stack != nil {
		_ = in.Stack.Close()
	}
	if in.Shop != nil {
		_ = in.Shop.Close()
	}
	if in.SimOdoo != nil {
		_ = in.SimOdoo.Close()
	}
	if in.RealOdoo != nil {
		_ = in.RealOdoo.Close()
	}
}

// pause waits a moment, or for the end of ctx.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}
