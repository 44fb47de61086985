package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/client"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	"towpath/schema/outbound"
	"towpath/schema/seal"
	"towpath/schema/webhook"
	"towpath/workflows/contract"
)

// page is how many events a pull records at once.
const page = 100

type event = webhook.Event

// telling is an installation whose events this process records and receives.
type telling struct {
	*bench
	in       *local.Installation
	out      *outbound.Outbound
	sink     *sink
	db       *sql.DB
	temporal client.Client
	told     *int // events so far: each has an id of its own
}

func (b *bench) newTelling(ctx context.Context, in *local.Installation) (w *telling, err error) {
	w = &telling{bench: b, in: in, told: new(int)}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	keys, err := seal.ParseRing(setting(in, "TOWPATH_KEYS"))
	if err != nil {
		return nil, err
	}
	w.out = outbound.New(in.Store, keys, zerolog.Nop())
	if w.sink, err = newSink(); err != nil {
		return nil, err
	}
	if w.db, err = sql.Open("postgres", in.PG.DSN("towpath")); err != nil {
		return nil, err
	}
	if w.temporal, err = client.DialContext(ctx, client.Options{HostPort: in.Temporal.Address, Namespace: in.Temporal.Namespace}); err != nil {
		return nil, err
	}
	stop, err := b.profiled(ctx, in, "deliveries")
	if err != nil {
		return nil, err
	}
	go func() { _ = stop() }() // a profile that fails is missing; nothing else rests on it
	return w, nil
}

func (w *telling) close() {
	if w.temporal != nil {
		w.temporal.Close()
	}
	if w.db != nil {
		_ = w.db.Close()
	}
	if w.sink != nil {
		w.sink.close()
	}
}

// setting is one of the environment of Towpath's processes.
func setting(in *local.Installation, name string) (value string) {
	for _, line := range in.Environment() {
		if rest, ok := strings.CutPrefix(line, name+"="); ok {
			value = rest
		}
	}
	return value
}

// endpoint adds one that is told events of its own type only: model x.NAME.
func (w *telling) endpoint(ctx context.Context, name, path string, timeout time.Duration) error {
	url := path
	if strings.HasPrefix(path, "/") {
		url = w.sink.url + path
	}
	_, _, err := w.out.Put(ctx, webhook.Endpoint{
		Name: name, URL: url, Models: []string{group(name)}, Network: webhook.Private, Timeout: webhook.Duration(timeout),
	}, webhook.Secrets{})
	// Who records events may know of a new endpoint a second later; not we, who count.
	w.out.Book = outbound.NewBook(w.out.Store, w.out.Keys)
	return err
}

// group is the model whose events a round's endpoints get.
func group(name string) string {
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		name = name[:i] // without its number
	}
	return "x_" + strings.ReplaceAll(name, "-", "_")
}

// events are of the size of an order's, for the group of an endpoint.
func (w *telling) events(n int, of string) (all []event) {
	for range n {
		*w.told++
		all = append(all, event{
			ID: fmt.Sprintf("bench-%08d", *w.told), Type: "sale.order.updated", Model: group(of), RecordID: fmt.Sprint(*w.told), Action: webhook.Write,
			OccurredAt: time.Now().UTC(), Sequence: int64(*w.told), Changed: []string{"state"},
			Data: json.RawMessage(fmt.Sprintf(`{"id":%d,"name":"S%05d","state":"sale","amount_total":1234.50,"partner":{"id":7,"name":"Ada Archer","email":"ada@example.com"},"lines":[{"product":"A-1","quantity":3,"price":411.50}],"note":%q}`,
				*w.told, *w.told, strings.Repeat("to be delivered before noon; ", 10))),
		})
	}
	return all
}

func (w *telling) record(ctx context.Context, events []event) error {
	for len(events) > 0 {
		n := min(page, len(events))
		if _, err := w.out.Record(ctx, local.OdooName, events[:n], ""); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// pace is how many per second were made, and the processor time of Temporal and
// of the worker for each, in ms: that a busy machine changes less.
type pace struct{ perSecond, temporal, worker float64 }

// noop is what Temporal makes here of workflows that do nothing. Our worker is
// at rest meanwhile.
func (w *telling) noop(ctx context.Context, n int) (made pace, err error) {
	if err := w.quiet(ctx); err != nil {
		return made, err
	}
	server, err := startUsed(w.in.Temporal.PID())
	if err != nil {
		return made, err
	}
	*w.told++
	p := w.in.Stack.Process(stack.ProcessSpec{
		Name: fmt.Sprintf("noop-%d", *w.told), Path: w.Binary, Args: []string{"bench", "noop", "--count", fmt.Sprint(n)}, Env: w.in.Environment(), Nice: 10,
	})
	if err := p.Start(ctx); err != nil {
		return made, err
	}
	if err := p.Wait(); err != nil {
		return made, fmt.Errorf("the no-op worker: %w\n%s", err, p.Tail())
	}
	used, err := server.sofar()
	if err != nil {
		return made, err
	}
	made.temporal = millis(used) / float64(n)
	lines := strings.Split(strings.TrimSpace(p.Tail()), "\n")
	if _, err := fmt.Sscanf(lines[len(lines)-1], noopSays, &made.perSecond, &made.worker); err != nil {
		return made, fmt.Errorf("the no-op worker said: %s", p.Tail())
	}
	return made, w.quiet(ctx)
}

// quiet waits until Temporal and our worker have nothing more to do.
func (w *telling) quiet(ctx context.Context) error {
	for _, p := range []*stack.Process{w.in.Temporal.Process, w.in.Worker[0]} {
		if err := rest(ctx, p.PID(), 4*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// transactions of Towpath's database so far.
func (w *telling) transactions(ctx context.Context) (n float64, err error) {
	if err := sleep(ctx, 1500*time.Millisecond); err != nil { // backends tell their numbers once a second
		return 0, err
	}
	return n, w.db.QueryRowContext(ctx, `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`).Scan(&n)
}

// history is the longest of some deliveries' histories.
func (w *telling) history(ctx context.Context, endpoint string, events []event) (most float64, err error) {
	for _, e := range events {
		run := w.temporal.GetWorkflow(ctx, contract.DeliveryWorkflowID(endpoint, e.ID), "")
		if err := run.Get(ctx, nil); err != nil {
			return 0, err
		}
		d, err := w.temporal.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
		if err != nil {
			return 0, err
		}
		most = max(most, float64(d.GetWorkflowExecutionInfo().GetHistoryLength()))
	}
	return most, nil
}
