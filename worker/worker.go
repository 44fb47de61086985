package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/activities"
	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/workflows"
	"towpath/workflows/contract"
	"towpath/workflows/dispatch"
)

// Deps are what a worker process works with.
type Deps struct {
	Temporal   client.Client
	Options    client.Options
	Store      *store.Store
	Activities activities.Deps
	Dispatcher *dispatch.Dispatcher
	CatchUp    time.Duration // how often sources are read for what webhooks did not bring
	Deliveries activities.DeliveryDeps
	Heartbeat  time.Duration // how soon a dead worker's passes are taken over
	Log        zerolog.Logger
}

// applySlots bounds passes under way per target and process. They mostly wait
// in the batcher, which bounds the calls; enough of them fill its batches.
const applySlots = 200

// Run works until ctx ends, then lets passes in progress finish.
func Run(ctx context.Context, d Deps) error {
	if err := WaitReady(ctx, d.Temporal, d.Options, d.Log); err != nil {
		return err
	}
	sdk.SetStickyWorkflowCacheSize(2000)
	if d.Heartbeat > 0 {
		workflows.Heartbeat = d.Heartbeat
	}
	fatal := make(chan error, 1)
	p := &process{Deps: d, fatal: fatal, running: map[string]sdk.Worker{},
		orders: activities.NewOrders(d.Activities), keeper: activities.NewMaintenance(d.Activities), syncs: activities.NewSyncs(d.Activities)}
	d.Deliveries.Ended = p.deliveryEnded
	p.deliveries = activities.NewDeliveries(d.Activities, d.Deliveries)
	p.events = &activities.Events{Deps: d.Activities, Out: d.Deliveries.Out}
	p.syncs.Alive = func(ctx context.Context, workflowID string) (bool, error) {
		return Alive(ctx, d.Temporal, d.Options, workflowID)
	}
	nameProgram()
	defer p.stop()
	for _, step := range []func(context.Context) error{p.schedule, p.startMain, p.follow} {
		if err := patiently(ctx, d.Log, step); err != nil {
			return err
		}
	}
	// Whatever this process's absence cost is read again at once.
	if err := catchUpUnlessPaused(ctx, d.Temporal); err != nil && ctx.Err() == nil {
		d.Log.Warn().Err(err).Msg("catching up was not triggered; its schedule will")
	}
	d.Log.Info().Str("namespace", d.Options.Namespace).Strs("queues", p.queues()).Msg("worker is up")
	dispatch, stop := context.WithCancel(ctx)
	dispatched := make(chan struct{})
	go func() { d.Dispatcher.Run(dispatch); close(dispatched) }()
	// What it claimed and did not ring it gives back, before the store closes.
	told := p.tell(dispatch)
	defer func() { stop(); <-dispatched; told() }()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	schedules := time.NewTicker(time.Minute)
	defer schedules.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-fatal:
			return fault.New(fault.Transient, "worker.fatal", "Temporal ended the worker").WithCause(err).WithDetail(err.Error())
		case <-schedules.C: // Temporal's database may have been lost
			if err := createSchedules(ctx, d); err != nil && ctx.Err() == nil {
				d.Log.Warn().Err(err).Msg("schedules cannot be looked at")
			}
			p.scheduleJobs(ctx)
		case <-tick.C:
			if err := p.follow(ctx); err != nil && ctx.Err() == nil {
				d.Log.Warn().Err(err).Msg("connections cannot be listed; going on with those known")
			}
		}
	}
}

// patiently takes a step of starting again and again: Temporal or PostgreSQL
// may go away at any moment, and a worker does not end of that.
func patiently(ctx context.Context, log zerolog.Logger, step func(context.Context) error) error {
	for wait := 100 * time.Millisecond; ; wait = min(wait*2, 5*time.Second) {
		err := step(ctx)
		if err == nil || ctx.Err() != nil || !fault.Retryable(err) {
			return err
		}
		log.Warn().Str("fault", fault.Of(err).Code).Msg("the worker cannot start yet; trying again")
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

type process struct {
	Deps
	fatal      chan error
	running    map[string]sdk.Worker // by task queue
	orders     *activities.Orders
	keeper     *activities.Maintenance
	syncs      *activities.Syncs
	deliveries *activities.Deliveries
	events     *activities.Events
	starter    atomic.Pointer[dispatch.Deliveries]
	jobs       syncSchedules
}

func (p *process) options(queue string) sdk.Options {
	opt := Tuning(queue)
	opt.OnFatalError = func(err error) {
		select {
		case p.fatal <- err:
		default:
		}
	}
	return opt
}

func (p *process) schedule(ctx context.Context) error {
	if err := ensureSchedules(ctx, p.Deps); err != nil {
		return err
	}
	p.scheduleJobs(ctx)
	return nil
}

// scheduleJobs is done again each minute: one bad job is no reason not to work.
func (p *process) scheduleJobs(ctx context.Context) {
	if err := p.jobs.follow(ctx, p.Deps); err != nil && ctx.Err() == nil {
		p.Log.Warn().Err(err).Msg("not every job has its schedule yet; trying again in a minute")
	}
}

func (p *process) startMain(context.Context) error {
	w := sdk.New(p.Temporal, contract.QueueMain, p.options(contract.QueueMain))
	w.RegisterWorkflowWithOptions(workflows.Order, workflow.RegisterOptions{Name: contract.OrderWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Maintenance, workflow.RegisterOptions{Name: contract.MaintenanceWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Sync, workflow.RegisterOptions{Name: contract.SyncWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Conflict, workflow.RegisterOptions{Name: contract.ConflictWorkflow})
	w.RegisterWorkflowWithOptions(workflows.Delivery, workflow.RegisterOptions{Name: contract.DeliveryWorkflow})
	w.RegisterWorkflowWithOptions(workflows.EndpointMonitor, workflow.RegisterOptions{Name: contract.EndpointMonitorWorkflow})
	register(w, contract.ActivityLookAtEndpoint, p.deliveries.LookAtEndpoint)
	register(w, contract.ActivityCheckEndpoints, p.deliveries.CheckEndpoints)
	register(w, contract.ActivityPostpone, p.orders.Postpone)
	register(w, contract.ActivityRetain, p.keeper.Retain)
	register(w, contract.ActivitySources, p.keeper.Sources)
	register(w, contract.ActivityOpenSync, p.syncs.OpenSync)
	register(w, contract.ActivityAskSync, p.syncs.AskSync)
	register(w, contract.ActivityLogUnopened, p.syncs.LogUnopened)
	register(w, contract.ActivityLookAtConflict, p.syncs.LookAtConflict)
	register(w, contract.ActivityDecideConflict, p.syncs.DecideConflict)
	return p.start(contract.QueueMain, w)
}

// follow starts a worker for every queue that a flow or a job needs and that
// has none.
func (p *process) follow(ctx context.Context) error {
	if err := p.serve(contract.QueueDeliveries, p.deliveryWorker); err != nil {
		return err
	}
	flows, err := p.Store.Flows(ctx)
	if err != nil {
		return err
	}
	for _, f := range flows {
		if err := p.serve(contract.QueueTarget(f.Target), p.targetWorker); err != nil {
			return err
		}
		if err := p.serve(contract.QueueSource(f.Source), p.sourceWorker); err != nil {
			return err
		}
	}
	jobs, err := p.Store.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if err := p.serve(contract.QueueTarget(j.Target), p.targetWorker); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) serve(queue string, build func(queue string) sdk.Worker) error {
	if _, ok := p.running[queue]; ok {
		return nil
	}
	return p.start(queue, build(queue))
}

func (p *process) start(queue string, w sdk.Worker) error {
	if err := w.Start(); err != nil {
		return unreachable(p.Options, err)
	}
	p.running[queue] = w
	return nil
}

func (p *process) targetWorker(queue string) sdk.Worker {
	opt := p.options(queue)
	opt.DisableWorkflowWorker = true
	opt.MaxConcurrentActivityExecutionSize = applySlots
	opt.MaxConcurrentActivityTaskPollers = 4
	w := sdk.New(p.Temporal, queue, opt)
	register(w, contract.ActivityApplyOrder, p.orders.ApplyOrder)
	register(w, contract.ActivitySyncPages, p.syncs.SyncPages)
	register(w, contract.ActivityProveSync, p.syncs.ProveSync)
	return w
}

func (p *process) sourceWorker(queue string) sdk.Worker {
	opt := p.options(queue)
	opt.DisableWorkflowWorker = true
	opt.MaxConcurrentActivityExecutionSize = 10
	opt.MaxConcurrentActivityTaskPollers = 2
	w := sdk.New(p.Temporal, queue, opt)
	register(w, contract.ActivityFetchOrder, p.orders.FetchOrder)
	register(w, contract.ActivityCatchUp, p.keeper.CatchUp)
	register(w, contract.ActivityCheckHooks, p.keeper.CheckHooks)
	return w
}

// Alive tells whether a workflow still runs; one that Temporal does not know
// does not.
func Alive(ctx context.Context, c client.Client, opt client.Options, workflowID string) (bool, error) {
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	var unknown *serviceerror.NotFound
	if errors.As(err, &unknown) {
		return false, nil
	}
	if err != nil {
		return false, unreachable(opt, err)
	}
	return d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

func register(w sdk.Worker, name string, f any) {
	w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
}

// stop lets all workers finish what they do, at the same time.
func (p *process) stop() {
	done := make(chan struct{}, len(p.running))
	for _, w := range p.running {
		go func() { w.Stop(); done <- struct{}{} }()
	}
	for range p.running {
		<-done
	}
}

func (p *process) queues() (names []string) {
	for q := range p.running {
		names = append(names, q)
	}
	return names
}

// identity is "host:pid:build", as Temporal's UI shows who did what.
func identity() string {
	host, _ := os.Hostname()
	build := "dev"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 8 {
				build = s.Value[:8]
			}
		}
	}
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), build)
}
