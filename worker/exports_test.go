package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/outbound"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/storetest"
	"towpath/schema/webhook"
	"towpath/workflows/contract"
)

// desk is an Odoo in which people choose records, and an engine that keeps the
// book of runs as the real one does, and ends them when the test says so.
type desk struct {
	t   *testing.T
	st  *store.Store
	out *outbound.Outbound
	exports

	mu      sync.Mutex
	ran     []contract.SyncInput
	holding map[string]chan jobs.Status // by job: what its runs end as
	closed  error                       // why runs cannot begin at the moment
	events  int
}

const deskKeys = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func newDesk(t *testing.T) *desk {
	t.Helper()
	c, opt := server(t)
	ready(t, c, opt)
	st := storetest.Open(t)
	ring, err := seal.ParseRing(deskKeys)
	require.NoError(t, err)
	for name, kind := range map[string]string{"shop": "shopify", "erp": "odoo", "other": "odoo"} {
		_, err := st.PutConnection(t.Context(), ring, name, kind, json.RawMessage(`{}`), nil)
		require.NoError(t, err)
	}
	d := &desk{t: t, st: st, out: outbound.New(st, ring, zerolog.Nop()), holding: map[string]chan jobs.Status{}}
	d.exports = exports{process: &process{Deps: Deps{Temporal: c, Options: opt, Store: st, Log: zerolog.Nop()}}, nudges: make(chan struct{}, 1)}
	w := sdk.New(c, contract.QueueMain, sdk.Options{})
	w.RegisterWorkflowWithOptions(d.sync, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	w.RegisterActivityWithOptions(d.sync1, activity.RegisterOptions{Name: "sync"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	for _, j := range []jobs.Job{
		{Name: "a-variants", Kind: jobs.Product}, {Name: "b-customers", Kind: jobs.Customer},
		{Name: "c-templates", Kind: jobs.Product, Binds: "template"},
	} {
		d.job(j, map[string]string{"a-variants": "product.product", "b-customers": "res.partner", "c-templates": "product.template"}[j.Name], true)
	}
	return d
}

// job exports a model of erp to the shop.
func (d *desk) job(j jobs.Job, model string, active bool) {
	d.t.Helper()
	j.Source, j.Target, j.Direction, j.Mapping = "erp", "shop", jobs.Export, j.Name
	_, _, err := d.st.PutMapping(d.t.Context(), j.Name, json.RawMessage(fmt.Sprintf(`{"source":"Thing","target":%q}`, model)), model)
	require.NoError(d.t, err)
	_, err = d.st.PutJob(d.t.Context(), storedJob(d.t, j, active))
	require.NoError(d.t, err)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holding[j.Name] == nil {
		d.holding[j.Name] = make(chan jobs.Status, 100)
	}
}

func (d *desk) sync(ctx workflow.Context, in contract.SyncInput) (contract.SyncResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
	return contract.SyncResult{}, workflow.ExecuteActivity(ctx, "sync", workflow.GetInfo(ctx).WorkflowExecution.ID, in).Get(ctx, nil)
}

func (d *desk) sync1(ctx context.Context, run string, in contract.SyncInput) error {
	d.mu.Lock()
	hold, closed := d.holding[in.Job], d.closed
	d.mu.Unlock()
	if closed != nil {
		if err := d.st.LogUnopened(ctx, store.Run{ID: run, Job: in.Job, Mode: in.Mode, Code: "odoo.unreachable", Sentence: "it did not begin: " + closed.Error()}); err != nil {
			return err
		}
		return closed
	}
	r, err := d.st.StartRun(ctx, store.Run{ID: run, Job: in.Job, Mode: in.Mode, By: in.By, Reason: in.Reason, SourceNow: time.Now(), JobRevision: 1})
	if f := fault.Of(err); err != nil && f.Code == "run.underway" {
		return nil
	}
	if err != nil || r.Status != string(jobs.Running) {
		return err
	}
	d.mu.Lock()
	d.ran = append(d.ran, in)
	d.mu.Unlock()
	select {
	case status := <-hold:
		n := int64(len(in.Only))
		return d.st.EndRun(ctx, run, store.Ending{Status: string(status), Sentence: "as told", Counts: jobs.Counts{Fetched: n, Created: n}.Named()})
	case <-ctx.Done():
		return ctx.Err()
	}
}

// chooses records of a model in Odoo, and gives the event.
func (d *desk) chooses(system, model string, ids ...int) (event string) {
	d.t.Helper()
	d.events++
	data, err := json.Marshal(map[string]any{"system": system, "model": model, "ids": ids, "requested_by": 2})
	require.NoError(d.t, err)
	return d.asks(fmt.Sprintf("event-%d", d.events), data)
}

func (d *desk) asks(id string, data json.RawMessage) string {
	d.t.Helper()
	for range 2 { // it may come again
		_, err := d.out.Record(d.t.Context(), "erp", []webhook.Event{{
			ID: id, Type: webhook.ExportRequested, Model: "res.partner", Action: webhook.Export, OccurredAt: time.Now(), Data: data,
		}}, "")
		require.NoError(d.t, err)
	}
	return id
}

func (d *desk) works() {
	d.t.Helper()
	_, err := d.round(d.t.Context())
	require.NoError(d.t, err)
}

// runs waits until so many runs have begun, and gives them.
func (d *desk) runs(n int) (all []contract.SyncInput) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		d.works()
		d.mu.Lock()
		defer d.mu.Unlock()
		all = d.ran
		return len(all) >= n
	}, patience, 20*time.Millisecond)
	require.Len(d.t, all, n)
	return all
}

func (d *desk) ends(job string, status jobs.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holding[job] <- status
}

func (d *desk) becomes(event string, state store.ExportState) (x store.ExportRequest) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		d.works()
		all, err := d.st.Exports(d.t.Context(), store.ExportFilter{Event: event})
		require.NoError(d.t, err)
		require.Len(d.t, all, 1)
		x = all[0]
		return x.State == state
	}, patience, 20*time.Millisecond, "%s becomes %s", event, state)
	return x
}

// Twenty requests are one run. What is chosen while it goes on waits, and is one
// more. An event that comes again is nothing new.
func TestRequestsAreReadOnceUnlessTheyMoved(t *testing.T) {
	for _, test := range []struct {
		moved []bool
		reads int
	}{{[]bool{false, false, false}, 1}, {[]bool{true, false, false}, 2}, {[]bool{false, true, false}, 2}, {[]bool{true, true, true}, 3}} {
		reads, seen := 0, []int64{}
		read := func() ([]store.ExportRequest, error) {
			reads++
			return []store.ExportRequest{{ID: int64(reads)}}, nil
		}
		var steps []exportStep
		want := int64(1)
		for _, moved := range test.moved {
			steps = append(steps, func(_ context.Context, open []store.ExportRequest, _ []store.JobModels) (bool, error) {
				assert.Equal(t, want, open[0].ID, "as the steps before left them")
				if seen = append(seen, open[0].ID); moved {
					want++
				}
				return moved, nil
			})
		}
		require.NoError(t, inSteps(t.Context(), read, nil, steps...))
		assert.Len(t, seen, 3)
		assert.Equal(t, test.reads, reads)
	}
	err := inSteps(t.Context(), func() ([]store.ExportRequest, error) { return nil, context.Canceled }, nil, exportStep(nil))
	assert.ErrorIs(t, err, context.Canceled)
}

func TestChosenRecordsAreExportedByFewRuns(t *testing.T) {
	d := newDesk(t)
	var first []string
	for i := range 20 {
		first = append(first, d.chooses("shop", "product.product", i*2, i*2+1, 0))
	}
	in := d.runs(1)[0]
	assert.Equal(t, "a-variants", in.Job)
	assert.Len(t, in.Only, 40, "each once")
	assert.Equal(t, "incremental", in.Mode)
	assert.Equal(t, "user 2 of erp", in.By)
	running := d.becomes(first[19], store.ExportRunning)
	assert.Equal(t, contract.ExportRunID("a-variants", first[0], 1), running.Run)

	later := []string{d.chooses("shop", "product.product", 100), d.chooses("shop", "product.product", 101)}
	d.works()
	assert.Equal(t, running.Run, d.becomes(later[0], store.ExportWaiting).Behind)
	d.ends("a-variants", jobs.Success)
	assert.Equal(t, []string{"100", "101"}, d.runs(2)[1].Only)
	for _, event := range first {
		assert.Equal(t, "40 exported (40 created), 0 skipped, 0 errors", d.becomes(event, store.ExportDone).Note)
	}
	d.ends("a-variants", jobs.Partial)
	d.becomes(later[1], store.ExportDone)
	d.runs(2)
}

// A scheduled run that goes on delays a request, and loses none; a run that was
// not opened, since another was quicker, is started again.
func TestARequestWaitsForTheRunThatGoesOn(t *testing.T) {
	d := newDesk(t)
	in := contract.SyncInput{Job: "a-variants"}
	row, err := d.st.Job(t.Context(), in.Job)
	require.NoError(t, err)
	j, err := JobOf(row)
	require.NoError(t, err)
	_, err = d.Temporal.ExecuteWorkflow(t.Context(), SyncStart(j, in, "sync/a-variants-by-clock"), contract.SyncWorkflow, in)
	require.NoError(t, err)
	d.runs(1)
	event := d.chooses("shop", "product.product", 1)
	for range 3 {
		d.works()
	}
	x := d.becomes(event, store.ExportWaiting)
	// As if it had been free a moment ago.
	require.NoError(t, d.st.ClaimExports(t.Context(), []int64{x.ID}, contract.ExportRunID(in.Job, event, 1)))
	for range 3 {
		d.works()
	}
	d.ends("a-variants", jobs.Success)
	assert.Equal(t, []string{"1"}, d.runs(2)[1].Only)
	d.ends("a-variants", jobs.Success)
	d.becomes(event, store.ExportDone)
}

// What may be referred to goes first, whatever was chosen first.
func TestDependenciesAreExportedFirst(t *testing.T) {
	d := newDesk(t)
	d.chooses("shop", "product.product", 1)
	d.chooses("shop", "product.template", 2)
	d.chooses("shop", "res.partner", 3)
	for i, job := range []string{"b-customers", "c-templates", "a-variants"} {
		assert.Equal(t, job, d.runs(i + 1)[i].Job)
		d.ends(job, jobs.Success)
	}
	all, err := d.Store.JobModels(t.Context())
	require.NoError(t, err)
	for age, waits := range map[time.Duration]bool{0: true, dependenciesFirst - time.Second: true, dependenciesFirst: false} {
		assert.Equal(t, waits, d.mustWait(
			[]store.ExportRequest{{Job: "a-variants", Connection: "erp", System: "shop", Age: age.Seconds()}},
			[]store.ExportRequest{{Job: "b-customers", Connection: "erp", System: "shop"}}, all), "but not for ever, whoever is chosen meanwhile")
	}
}

// What no job carries, what cannot be read and what its run did not do is kept
// for a person, with the cause and what to do.
func TestWhatIsNotExportedIsParked(t *testing.T) {
	d := newDesk(t)
	picking := d.becomes(d.chooses("shop", "stock.picking", 1), store.ExportParked)
	assert.Equal(t, "sync.not_implemented", picking.Code)
	assert.Equal(t, "Export not implemented for model stock.picking in connector shop", picking.Message)
	assert.Contains(t, picking.Resolution, "towpath sync exports again event-1")
	d.becomes(d.chooses("other", "product.product", 1), store.ExportParked)
	d.becomes(d.chooses("nowhere", "product.product", 1), store.ExportParked)
	d.becomes(d.asks("broken", json.RawMessage(`{"system":"shop"}`)), store.ExportParked)
	d.becomes(d.asks("nul", json.RawMessage(`{"system":"sh\u0000op","model":"product.product","ids":[1]}`)), store.ExportParked)

	d.job(jobs.Job{Name: "pickings", Kind: jobs.Product}, "stock.picking", true)
	_, err := d.st.ExportAgain(t.Context(), store.ExportFilter{Event: picking.Event})
	require.NoError(t, err)
	assert.Equal(t, "pickings", d.runs(1)[0].Job)
	d.ends("pickings", jobs.Failed)
	failed := d.becomes(picking.Event, store.ExportParked)
	assert.Equal(t, "export.run_ended", failed.Code)
	assert.Contains(t, failed.Message, "failed: as told")

	d.job(jobs.Job{Name: "pickings", Kind: jobs.Product}, "stock.picking", false)
	_, err = d.st.ExportAgain(t.Context(), store.ExportFilter{Event: picking.Event})
	require.NoError(t, err)
	d.becomes(picking.Event, store.ExportParked)
	d.job(jobs.Job{Name: "pickings", Kind: jobs.Product}, "stock.picking", true)
	_, err = d.st.ExportAgain(t.Context(), store.ExportFilter{Event: picking.Event})
	require.NoError(t, err)
	d.runs(2)
	again := d.becomes(picking.Event, store.ExportRunning)
	assert.Equal(t, contract.ExportRunID("pickings", picking.Event, 2), again.Run, "another run than the one that failed")

	require.NoError(t, d.Temporal.TerminateWorkflow(t.Context(), again.Run, "", "by a person"))
	assert.Equal(t, "export.run_lost", d.becomes(picking.Event, store.ExportParked).Code)
}

func (d *desk) closes(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = err
}

// An outage is sat out; what only a person can mend is theirs at once.
func TestAnExportThatCannotBegin(t *testing.T) {
	d := newDesk(t)
	d.closes(temporal.NewApplicationError("Odoo does not answer", "odoo.unreachable"))
	event := d.chooses("shop", "product.product", 1)
	require.Eventually(t, func() bool {
		d.works()
		all, err := d.st.Exports(t.Context(), store.ExportFilter{Event: event})
		require.NoError(t, err)
		return all[0].Attempt >= 3
	}, patience, 20*time.Millisecond)
	d.closes(nil)
	assert.Equal(t, []string{"1"}, d.runs(1)[0].Only)
	d.ends("a-variants", jobs.Success)
	d.becomes(event, store.ExportDone)

	d.closes(temporal.NewNonRetryableApplicationError("the mapping does not fit", "mapping.unknown_field", nil))
	x := d.becomes(d.chooses("shop", "product.product", 2), store.ExportParked)
	assert.Equal(t, 1, x.Attempt)
	assert.Contains(t, x.Message, "the mapping does not fit")
}

// A system that Towpath does not know is a matter of the endpoints that were told.
func TestARequestForAnEndpointIsLeftToIt(t *testing.T) {
	d := newDesk(t)
	_, _, err := d.out.Put(t.Context(), webhook.Endpoint{Name: "partner", URL: "https://partner.example", Events: []string{webhook.ExportRequested}}, webhook.Secrets{})
	require.NoError(t, err)
	d.out.Book = outbound.NewBook(d.st, d.out.Keys)
	left := d.becomes(d.chooses("nowhere", "product.product", 1), store.ExportDone)
	assert.Equal(t, "left to the endpoints that were told of it", left.Note)
	d.becomes(d.chooses("shop", "stock.picking", 1), store.ExportParked)
}
