package workflows_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"towpath/schema/record"
	"towpath/worker"
	"towpath/workflows"
	"towpath/workflows/contract"
	"towpath/workflows/dispatch"
	"towpath/workflows/temporaltest"
)

// The tests below need a Temporal server: its address in
// TOWPATH_TEST_TEMPORAL (or TEMPORAL_ADDRESS), for example that of
// tools/temporal-dev. Without one they skip, loudly; where a skipped real part
// is a failure, TOWPATH_REQUIRE_REAL=1 makes it one.

// server gives a client in a namespace of its own, with all that worker.Run
// would make sure of.
func server(t *testing.T) client.Client {
	t.Helper()
	address := os.Getenv("TOWPATH_TEST_TEMPORAL")
	if address == "" {
		address = os.Getenv("TEMPORAL_ADDRESS")
	}
	if address == "" {
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			t.Fatal("TOWPATH_TEST_TEMPORAL is not set, and TOWPATH_REQUIRE_REAL=1 forbids to skip")
		}
		t.Skip("SKIPPED: needs a real Temporal server, its address in TOWPATH_TEST_TEMPORAL")
	}
	opt := temporaltest.Patient(client.Options{HostPort: address, Namespace: fmt.Sprintf("test-%d-%s", time.Now().UnixNano(), strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))), Logger: quiet{}})
	c, err := client.NewLazyClient(opt)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, worker.WaitReady(ctx, c, opt, zerolog.Nop()))
	until(t, "the namespace and its search attributes are known everywhere", func() bool {
		ref := contract.Ref{Connection: "probe", Kind: record.KindOrder, ExternalID: "0"}
		run, err := c.ExecuteWorkflow(ctx, dispatch.StartOptions(ref, "odoo"), contract.OrderWorkflow, contract.OrderInput{Ref: ref, Target: "odoo"})
		if err != nil {
			return false
		}
		return c.TerminateWorkflow(ctx, run.GetID(), run.GetRunID(), "probe") == nil
	})
	return c
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// patience is how long a test waits for what must come in the end.
const patience = 2 * time.Minute

// until polls a condition that the server brings about in its own time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("not yet: " + what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// hands stand in for the activities; what they know of an order is nobody
// else's business.
type hands struct {
	apply func(in contract.ApplyInput) (contract.ApplyResult, error)

	mu     sync.Mutex
	passes map[string][]time.Time // when passes over an order began
	reads  int
}

func newHands() *hands {
	h := &hands{passes: map[string][]time.Time{}}
	h.apply = func(contract.ApplyInput) (contract.ApplyResult, error) {
		return contract.ApplyResult{Outcome: contract.Applied, TargetID: "71", Stage: "confirmed"}, nil
	}
	return h
}

func (h *hands) Apply(_ context.Context, in contract.ApplyInput) (contract.ApplyResult, error) {
	h.mu.Lock()
	h.passes[in.Ref.ExternalID] = append(h.passes[in.Ref.ExternalID], time.Now())
	h.mu.Unlock()
	return h.apply(in)
}

func (h *hands) Fetch(context.Context, contract.Ref) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	return nil
}

func (h *hands) Postpone(_ context.Context, in contract.PostponeInput) (contract.ApplyResult, error) {
	wake := time.Now().Add(time.Hour)
	return contract.ApplyResult{Outcome: contract.Waiting, Code: in.Cause, WakeAt: &wake}, nil
}

func (h *hands) passesOver(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.passes[id])
}

// crew is a worker process: one worker for workflows and one per queue.
type crew []sdk.Worker

func (h *hands) work(t *testing.T, c client.Client) crew {
	t.Helper()
	main := sdk.New(c, contract.QueueMain, sdk.Options{MaxConcurrentWorkflowTaskPollers: 4})
	main.RegisterWorkflowWithOptions(workflows.Order, workflow.RegisterOptions{Name: contract.OrderWorkflow})
	main.RegisterActivityWithOptions(h.Postpone, activity.RegisterOptions{Name: contract.ActivityPostpone})
	target := sdk.New(c, contract.QueueTarget("odoo"), sdk.Options{DisableWorkflowWorker: true})
	target.RegisterActivityWithOptions(h.Apply, activity.RegisterOptions{Name: contract.ActivityApplyOrder})
	source := sdk.New(c, contract.QueueSource("shop"), sdk.Options{DisableWorkflowWorker: true})
	source.RegisterActivityWithOptions(h.Fetch, activity.RegisterOptions{Name: contract.ActivityFetchOrder})
	all := crew{main, target, source}
	for _, w := range all {
		require.NoError(t, w.Start())
	}
	return all
}

// stop ends the process without waiting for what it does, as a crash would.
func (c crew) stop() {
	var wg sync.WaitGroup
	for _, w := range c {
		wg.Go(w.Stop)
	}
	wg.Wait()
}

func refOf(id string) contract.Ref {
	return contract.Ref{Connection: "shop", Kind: record.KindOrder, ExternalID: id}
}

// ring is what the dispatcher does.
func ring(ctx context.Context, c client.Client, id string, bell contract.EventSignal) (client.WorkflowRun, error) {
	ref := refOf(id)
	return c.SignalWithStartWorkflow(ctx, contract.OrderWorkflowID(ref), contract.SignalEvent, bell,
		dispatch.StartOptions(ref, "odoo"), contract.OrderWorkflow, contract.OrderInput{Ref: ref, Target: "odoo"})
}

// decide is what an operator's command does.
func decide(ctx context.Context, c client.Client, id string, d contract.Decision) (contract.ApplyResult, error) {
	ref := refOf(id)
	start := dispatch.StartOptions(ref, "odoo")
	start.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	handle, err := c.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: c.NewWithStartWorkflowOperation(start, contract.OrderWorkflow, contract.OrderInput{Ref: ref, Target: "odoo"}),
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateName: string(d.Verb), Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	var r contract.ApplyResult
	if err == nil {
		err = handle.Get(ctx, &r)
	}
	return r, err
}

func historyOf(t *testing.T, c client.Client, id, run string) *historypb.History {
	t.Helper()
	return historyOfRun(t, c, c.GetWorkflow(t.Context(), contract.OrderWorkflowID(refOf(id)), run))
}

func historyOfRun(t *testing.T, c client.Client, run client.WorkflowRun) *historypb.History {
	t.Helper()
	h := &historypb.History{}
	for it := c.GetWorkflowHistory(t.Context(), run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, e)
	}
	return h
}

// spent is how many events a history has, but for workflow tasks whose answer a
// busy machine gave too late, or that it let wait for a processor until the SDK
// thought that they hang: they are no more of the workflow than the weather.
func spent(h *historypb.History) int {
	n := len(h.Events)
	for _, e := range h.Events {
		if f := e.GetWorkflowTaskFailedEventAttributes(); strings.Contains(f.GetFailure().GetMessage(), "Potential deadlock detected") {
			n -= 3 // it was scheduled, started, and failed
		}
		if late := e.GetWorkflowTaskTimedOutEventAttributes(); late != nil {
			n -= 2 // it was scheduled, and timed out
			if late.StartedEventId > 0 {
				n--
			}
		}
	}
	return n
}

// keep writes a history to testdata when the tests run with -record.
func keep(t *testing.T, name string, h *historypb.History) {
	t.Helper()
	if !*recording {
		return
	}
	scrub(h.ProtoReflect())
	text, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(h)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join("testdata", name+".json"), append(text, '\n'), 0o644))
}

// scrub replaces who did it, and sticky queues: they name a machine and are of
// no use to a replay.
func scrub(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := f.Name()
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				scrub(v.List().Get(i).Message())
			}
		case f.IsMap() || f.IsList():
		case f.Message() != nil:
			scrub(v.Message())
		case name == "identity", name == "name" && m.Descriptor().Name() == "TaskQueue" && strings.Contains(v.String(), ":"):
			m.Set(f, protoreflect.ValueOfString("worker"))
		}
		return true
	})
}

// answered counts a run's signals and makes sure that each is followed by a
// pass: an activity scheduled by a workflow task that started after it.
func answered(t *testing.T, events []*historypb.HistoryEvent) (signals int) {
	t.Helper()
	var last, pass int64
	started := map[int64]int64{} // workflow task completed -> started
	for _, e := range events {
		switch e.EventType {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
			signals++
			last = e.EventId
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			started[e.EventId] = e.GetWorkflowTaskCompletedEventAttributes().StartedEventId
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			pass = started[e.GetActivityTaskScheduledEventAttributes().WorkflowTaskCompletedEventId]
		}
	}
	require.Greater(t, pass, last, "the run's last signal is followed by no pass")
	return signals
}
