package worker

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"towpath/schema/fault"
	"towpath/workflows"
	"towpath/workflows/contract"
	"towpath/workflows/temporaltest"
)

// server gives a client and options for a namespace that does not exist yet, on
// the Temporal server whose address is in TOWPATH_TEST_TEMPORAL (or
// TEMPORAL_ADDRESS). Without one the test skips, or fails where
// TOWPATH_REQUIRE_REAL=1 asks for real parts.
func server(t *testing.T) (client.Client, client.Options) {
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
	opt := client.Options{HostPort: address, Namespace: fmt.Sprintf("test-%d-%s", time.Now().UnixNano(), strings.ToLower(t.Name())), Logger: sdkLogger{zerolog.Nop()}}
	opt.ConnectionOptions.DialOptions = append(opt.ConnectionOptions.DialOptions, carryConflictTokens())
	opt = temporaltest.Patient(opt)
	c, err := client.NewLazyClient(opt)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, opt
}

// patience is how long a test waits for what must come in the end.
const patience = 2 * time.Minute

func ready(t *testing.T, c client.Client, opt client.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, WaitReady(ctx, c, opt, zerolog.Nop()))
}

// schedulesReady waits until a namespace that was just made takes schedules.
func schedulesReady(t *testing.T, d Deps) {
	t.Helper()
	require.Eventually(t, func() bool { return ensureSchedules(t.Context(), d) == nil }, patience, 50*time.Millisecond)
}

func TestWaitReadyMakesWhatIsMissingOnce(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	ready(t, c, opt)
	require.Eventually(t, func() bool {
		have, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: opt.Namespace})
		if err != nil {
			return false
		}
		for name, kind := range contract.SearchAttributes() {
			if have.CustomAttributes[name] != kind {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond)
}

func TestWaitReadyGivesUpWithItsCaller(t *testing.T) {
	opt := client.Options{HostPort: "127.0.0.1:1", Logger: sdkLogger{zerolog.Nop()}}
	c, err := client.NewLazyClient(opt)
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = WaitReady(ctx, c, opt, zerolog.Nop())
	f := fault.Of(err)
	assert.Equal(t, "temporal.unreachable", f.Code)
	assert.Equal(t, fault.Transient, f.Kind)
	assert.Contains(t, f.Message, "127.0.0.1:1")
	assert.NotEmpty(t, f.Resolution)
}

func TestSchedulesAreEnsuredWithoutUndoingAnOperator(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	d := Deps{Temporal: c, Options: opt, CatchUp: time.Hour}
	schedulesReady(t, d)

	h := c.ScheduleClient().GetHandle(t.Context(), contract.ScheduleCatchUp)
	before, err := h.Describe(t.Context())
	require.NoError(t, err)
	assert.False(t, before.Schedule.State.Paused, "Towpath's own maintenance runs")
	require.Len(t, before.Schedule.Spec.Intervals, 1)
	assert.Equal(t, time.Hour, before.Schedule.Spec.Intervals[0].Every)
	assert.Equal(t, time.Minute, before.Schedule.Spec.Jitter)
	assert.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, before.Schedule.Policy.Overlap)
	assert.Equal(t, 2*time.Hour, before.Schedule.Policy.CatchupWindow)
	action := before.Schedule.Action.(*client.ScheduleWorkflowAction)
	assert.Equal(t, contract.MaintenanceWorkflow, action.Workflow)
	assert.Equal(t, contract.QueueMain, action.TaskQueue)
	assert.Equal(t, 4*time.Hour, action.WorkflowRunTimeout, "a hung run must not block the schedule for ever")
	var in contract.MaintenanceInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload(t, action.Args[0]), &in))
	assert.Equal(t, []string{workflows.TaskCatchUp, workflows.TaskHooks}, in.Only)

	require.NoError(t, h.Pause(t.Context(), client.SchedulePauseOptions{Note: "stock-taking until Monday"}))
	d.CatchUp = 10 * time.Minute // the configuration changed, and the worker starts anew
	require.NoError(t, ensureSchedules(t.Context(), d))
	require.NoError(t, ensureSchedules(t.Context(), d))
	after, err := h.Describe(t.Context())
	require.NoError(t, err)
	assert.True(t, after.Schedule.State.Paused, "an operator's pause survives a restart")
	assert.Equal(t, "stock-taking until Monday", after.Schedule.State.Note)
	require.Len(t, after.Schedule.Spec.Intervals, 1, "intervals are replaced, not added")
	assert.Equal(t, 10*time.Minute, after.Schedule.Spec.Intervals[0].Every)
	assert.Equal(t, 20*time.Minute, after.Schedule.Policy.CatchupWindow)

	daily, err := c.ScheduleClient().GetHandle(t.Context(), contract.ScheduleMaintain).Describe(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 24*time.Hour, daily.Schedule.Spec.Intervals[0].Every)
	assert.False(t, daily.Schedule.State.Paused)
}

func TestCatchUpIsTriggeredWhenItsScheduleIsMade(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	// Its own time never comes while the test counts: intervals are reckoned from 1970.
	d := Deps{Temporal: c, Options: opt, CatchUp: 50 * 365 * 24 * time.Hour}
	schedulesReady(t, d)
	h := c.ScheduleClient().GetHandle(t.Context(), contract.ScheduleCatchUp)
	actions := func() int { return describe(t, h).Info.NumActions }
	require.Eventually(t, func() bool { return actions() == 1 }, patience, 50*time.Millisecond, "it runs once when it is made")
	require.NoError(t, ensureSchedules(t.Context(), d))
	assert.Equal(t, 1, actions(), "and not at every start")

	settle := func() {
		// SKIP: while a run is under way, a trigger would be dropped.
		for _, a := range describe(t, h).Info.RunningWorkflows {
			require.NoError(t, c.TerminateWorkflow(t.Context(), a.WorkflowID, "", "test"))
		}
		require.Eventually(t, func() bool { return len(describe(t, h).Info.RunningWorkflows) == 0 }, patience, 50*time.Millisecond)
	}
	settle()
	require.NoError(t, catchUpUnlessPaused(t.Context(), c))
	require.Eventually(t, func() bool { return actions() == 2 }, patience, 50*time.Millisecond, "a start reads what was missed")
	settle()
	require.NoError(t, h.Pause(t.Context(), client.SchedulePauseOptions{Note: "stock-taking"}))
	require.NoError(t, catchUpUnlessPaused(t.Context(), c))
	require.NoError(t, CatchUpNow(t.Context(), c))
	require.Eventually(t, func() bool { return actions() == 3 }, patience, 50*time.Millisecond, "only the one who asked for it was heard")

	n, err := Pollers(t.Context(), c, contract.QueueMain)
	require.NoError(t, err)
	assert.Zero(t, n, "a queue nobody listens on is told")
}

func describe(t *testing.T, h client.ScheduleHandle) *client.ScheduleDescription {
	t.Helper()
	d, err := h.Describe(t.Context())
	require.NoError(t, err)
	return d
}

func payload(t *testing.T, arg any) (p *commonpb.Payload) {
	t.Helper()
	p, ok := arg.(*commonpb.Payload)
	require.True(t, ok, "Temporal describes arguments as payloads, got %T", arg)
	return p
}
