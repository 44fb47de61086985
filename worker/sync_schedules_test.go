package worker

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/storetest"
	"towpath/workflows/contract"
)

func storedJob(t *testing.T, j jobs.Job, active bool) store.Job {
	t.Helper()
	spec, err := json.Marshal(j)
	require.NoError(t, err)
	return store.Job{Name: j.Name, Source: j.Source, Target: j.Target, Kind: j.Kind, Spec: spec, Revision: 1, Active: active}
}

func nightly() jobs.Job {
	return jobs.Job{
		Name: "products", Source: "files", Target: "main-odoo", Kind: jobs.Product, Mapping: "products", Mode: jobs.Full,
		Schedule: jobs.Schedule{Type: jobs.Interval, Every: 1, Unit: jobs.Days, At: "04:30", TimeZone: "Europe/Paris"},
	}
}

// ensureJobs waits until a namespace that was just made takes schedules.
func ensureJobs(t *testing.T, c client.Client, opt client.Options, all ...store.Job) (created []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		made, err := EnsureSyncSchedules(t.Context(), c, opt, all)
		created = append(created, made...)
		return err == nil
	}, patience, 50*time.Millisecond)
	return created
}

func TestSyncSchedulesAreCreatedPaused(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	manual := jobs.Job{Name: "by-hand", Source: "main-odoo", Target: "files", Kind: jobs.Customer, Direction: jobs.Export, Mapping: "m"}
	assert.Equal(t, []string{"products", "by-hand"}, ensureJobs(t, c, opt, storedJob(t, nightly(), true), storedJob(t, manual, true)))
	assert.Empty(t, ensureJobs(t, c, opt, storedJob(t, nightly(), true), storedJob(t, manual, true)), "nothing is created twice")

	d := describe(t, c.ScheduleClient().GetHandle(t.Context(), "sync/products"))
	assert.True(t, d.Schedule.State.Paused)
	assert.Equal(t, "created paused: towpath sync resume-schedule products", d.Schedule.State.Note)
	assert.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, d.Schedule.Policy.Overlap)
	assert.True(t, d.Schedule.Policy.PauseOnFailure, "a full run that failed is looked at before the next")
	assert.Equal(t, 50*time.Hour, d.Schedule.Policy.CatchupWindow, "twice the longest day, which has 25 hours")
	assert.Equal(t, 30*time.Minute, d.Schedule.Spec.Jitter)
	assert.Equal(t, "Europe/Paris", d.Schedule.Spec.TimeZoneName)
	assert.Empty(t, d.Schedule.Spec.CronExpressions)

	action := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	assert.Equal(t, contract.SyncWorkflow, action.Workflow)
	assert.Equal(t, "sync/products", action.ID)
	assert.Equal(t, contract.QueueMain, action.TaskQueue)
	assert.Equal(t, 72*time.Hour, action.WorkflowRunTimeout)
	connection, _ := action.TypedSearchAttributes.GetKeyword(contract.AttrConnection)
	kind, _ := action.TypedSearchAttributes.GetKeyword(contract.AttrJobKind)
	assert.Equal(t, []string{"files", "product"}, []string{connection, kind})
	var in contract.SyncInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload(t, action.Args[0]), &in))
	assert.Equal(t, contract.SyncInput{Job: "products"}, in)

	h := c.ScheduleClient().GetHandle(t.Context(), "sync/by-hand")
	d = describe(t, h)
	assert.Empty(t, d.Info.NextActionTimes, "it never runs by itself")
	assert.False(t, d.Schedule.Policy.PauseOnFailure)
	connection, _ = d.Schedule.Action.(*client.ScheduleWorkflowAction).TypedSearchAttributes.GetKeyword(contract.AttrConnection)
	assert.Equal(t, "files", connection, "an export is about where it goes")
	require.NoError(t, h.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	require.Eventually(t, func() bool { return describe(t, h).Info.NumActions == 1 }, patience, 50*time.Millisecond, "but can be triggered in the UI, paused as it is")
	run := describe(t, h).Info.RecentActions[0].StartWorkflowResult
	assert.Regexp(t, `^sync/by-hand-20\d\d-\d\d-\d\dT`, run.WorkflowID, "the form of runs that are started by hand")
	w, err := c.DescribeWorkflow(t.Context(), run.WorkflowID, "")
	require.NoError(t, err)
	kind, _ = w.TypedSearchAttributes.GetKeyword(contract.AttrJobKind)
	assert.Equal(t, "customer", kind)
}

func TestSyncSchedulesAreAnOperators(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	j := nightly()
	ensureJobs(t, c, opt, storedJob(t, j, true))
	h := c.ScheduleClient().GetHandle(t.Context(), "sync/products")
	state := func() client.ScheduleState { return *describe(t, h).Schedule.State }

	require.NoError(t, h.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "go"}))
	ensureJobs(t, c, opt, storedJob(t, j, true)) // the worker starts anew
	assert.Equal(t, client.ScheduleState{Note: "go"}, state())

	j.Schedule, j.Mode = jobs.Schedule{Type: jobs.Interval, Every: 20, Unit: jobs.Minutes}, jobs.Incremental
	ensureJobs(t, c, opt, storedJob(t, j, true)) // the file was applied with other times
	d := describe(t, h)
	assert.Equal(t, client.ScheduleState{Note: "go"}, *d.Schedule.State, "a resume survives other times")
	require.Len(t, d.Schedule.Spec.Intervals, 1)
	assert.Equal(t, 20*time.Minute, d.Schedule.Spec.Intervals[0].Every)
	assert.Empty(t, d.Schedule.Spec.Calendars, "times are replaced, not added")
	assert.Equal(t, 40*time.Minute, d.Schedule.Policy.CatchupWindow)
	assert.Equal(t, 2*time.Minute, d.Schedule.Spec.Jitter)
	assert.False(t, d.Schedule.Policy.PauseOnFailure)
	assert.Equal(t, 6*time.Hour, d.Schedule.Action.(*client.ScheduleWorkflowAction).WorkflowRunTimeout)

	require.NoError(t, h.Pause(t.Context(), client.SchedulePauseOptions{Note: "stock-taking until Monday"}))
	j.Schedule.Every = 30
	ensureJobs(t, c, opt, storedJob(t, j, true))
	assert.Equal(t, client.ScheduleState{Paused: true, Note: "stock-taking until Monday"}, state())
	ensureJobs(t, c, opt, storedJob(t, j, false))
	assert.Equal(t, "stock-taking until Monday", state().Note, "the operator was there first")

	require.NoError(t, h.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "on"}))
	ensureJobs(t, c, opt, storedJob(t, j, false))
	assert.True(t, state().Paused, "a job that is not active does not run")
	assert.Contains(t, state().Note, "paused by towpath")
	ensureJobs(t, c, opt, storedJob(t, j, true))
	assert.True(t, state().Paused, "nothing begins to run by itself")
	assert.Contains(t, state().Note, "towpath sync resume-schedule products")
}

// An operator pauses just when a changed file is applied: between what the
// update read and what it writes.
func TestAPauseIsNeverLostToAnUpdate(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	j := nightly()
	ensureJobs(t, c, opt, storedJob(t, j, true))
	h := c.ScheduleClient().GetHandle(t.Context(), "sync/products")
	require.NoError(t, h.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "go"}))
	require.Eventually(t, func() bool { return !describe(t, h).Schedule.State.Paused }, patience, 10*time.Millisecond)
	j.Schedule = jobs.Schedule{Type: jobs.Interval, Every: 20, Unit: jobs.Minutes}
	operator := &hasty{ScheduleClient: c.ScheduleClient(), t: t}
	require.NoError(t, updateSchedule(t.Context(), operator, syncSchedule(j)))
	assert.Equal(t, 2, operator.reads, "the update was made anew")
	d := describe(t, h)
	assert.Equal(t, client.ScheduleState{Paused: true, Note: "stop"}, *d.Schedule.State)
	require.Len(t, d.Schedule.Spec.Intervals, 1, "and is in force")
	assert.Equal(t, 20*time.Minute, d.Schedule.Spec.Intervals[0].Every)
}

// hasty pauses a schedule once, right after an update has read it.
type hasty struct {
	client.ScheduleClient
	t     *testing.T
	reads int
}

func (o *hasty) GetHandle(ctx context.Context, id string) client.ScheduleHandle {
	return &hastyHandle{o.ScheduleClient.GetHandle(ctx, id), o}
}

type hastyHandle struct {
	client.ScheduleHandle
	*hasty
}

func (h *hastyHandle) Update(ctx context.Context, options client.ScheduleUpdateOptions) error {
	change := options.DoUpdate
	options.DoUpdate = func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		update, err := change(in)
		if h.reads++; h.reads == 1 {
			require.NoError(h.t, h.Pause(h.t.Context(), client.SchedulePauseOptions{Note: "stop"}))
			require.Eventually(h.t, func() bool { return describe(h.t, h.ScheduleHandle).Schedule.State.Paused }, patience, 10*time.Millisecond)
		}
		return update, err
	}
	return h.ScheduleHandle.Update(ctx, options)
}

// A worker looks every minute: it makes what is missing, follows jobs that
// changed, and leaves the others' histories alone.
func TestWorkerFollowsJobs(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	st := storetest.Open(t)
	ring, err := seal.ParseRing("k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	require.NoError(t, err)
	for name, kind := range map[string]string{"files": "csv", "main-odoo": "odoo"} {
		_, err := st.PutConnection(t.Context(), ring, name, kind, json.RawMessage(`{}`), nil)
		require.NoError(t, err)
	}
	put := func(j jobs.Job) {
		_, err := st.PutJob(t.Context(), storedJob(t, j, true))
		require.NoError(t, err)
	}
	j := nightly()
	put(j)
	d := Deps{Temporal: c, Options: opt, Store: st}
	var s syncSchedules
	require.Eventually(t, func() bool { return s.follow(t.Context(), d) == nil }, patience, 50*time.Millisecond)
	h := c.ScheduleClient().GetHandle(t.Context(), "sync/products")
	require.NoError(t, h.Unpause(t.Context(), client.ScheduleUnpauseOptions{Note: "go"}))
	require.NoError(t, s.follow(t.Context(), d))
	before := describe(t, h)
	require.NoError(t, s.follow(t.Context(), d))
	assert.Equal(t, before.Info.LastUpdateAt, describe(t, h).Info.LastUpdateAt, "what has not changed is not written again")

	j.Schedule = jobs.Schedule{Type: jobs.Interval, Every: 20, Unit: jobs.Minutes}
	put(j)
	require.NoError(t, s.follow(t.Context(), d))
	after := describe(t, h)
	require.Len(t, after.Schedule.Spec.Intervals, 1)
	assert.Equal(t, client.ScheduleState{Note: "go"}, *after.Schedule.State)

	require.NoError(t, h.Delete(t.Context())) // as when Temporal's database is lost
	require.Eventually(t, func() bool {
		if err := s.follow(t.Context(), d); err != nil {
			return false
		}
		again, err := h.Describe(t.Context())
		return err == nil && again.Schedule.State.Paused
	}, patience, 50*time.Millisecond, "it is made again, paused")
}

func TestOneBadJobDoesNotHoldUpTheOthers(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	ensureJobs(t, c, opt) // nothing to do is no error
	ensureJobs(t, c, opt, storedJob(t, nightly(), true))
	bad := storedJob(t, nightly(), true)
	bad.Name, bad.Spec = "bad", json.RawMessage(`{"name": 7}`)
	other := nightly()
	other.Name = "other"
	created, err := EnsureSyncSchedules(t.Context(), c, opt, []store.Job{bad, storedJob(t, other, true)})
	assert.Equal(t, []string{"other"}, created)
	assert.Equal(t, "job.unreadable", fault.Of(err).Code)
}

// The server's times are those that jobs promise, a year of steps long.
func TestSyncSchedulesRunWhenJobsSaySo(t *testing.T) {
	c, opt := server(t)
	ready(t, c, opt)
	none := jobs.Duration(0)
	for name, s := range map[string]jobs.Schedule{
		"month-end":    {Type: jobs.Interval, Unit: jobs.Months, Day: 31, At: "23:45", TimeZone: "Europe/Paris"},
		"quarter":      {Type: jobs.Interval, Every: 3, Unit: jobs.Months, Day: 30, TimeZone: "America/New_York"},
		"fifth-months": {Type: jobs.Interval, Every: 5, Unit: jobs.Months, Day: 29},
		"nightly":      {Type: jobs.Interval, Unit: jobs.Days, At: "01:30", TimeZone: "America/New_York"}, // twice in autumn; east of Greenwich the server keeps the second only
		"mondays":      {Type: jobs.Interval, Unit: jobs.Weeks, At: "06:00", TimeZone: "Europe/Paris"},
		"fortnights":   {Type: jobs.Interval, Every: 2, Unit: jobs.Weeks, At: "06:00"},
		"days":         {Type: jobs.Interval, Every: 3, Unit: jobs.Days, At: "12:10"},
		"workdays":     {Type: jobs.Cron, Cron: "30 6 * * MON-FRI", TimeZone: "Europe/Paris"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Jitter = &none
			j := nightly()
			j.Name, j.Schedule = name, s
			require.NoError(t, j.Validate())
			ensureJobs(t, c, opt, storedJob(t, j, true))
			first := describe(t, c.ScheduleClient().GetHandle(t.Context(), contract.SyncScheduleID(name)))
			from := first.Info.CreatedAt.Truncate(time.Second)
			require.NotEmpty(t, first.Info.NextActionTimes)
			assert.True(t, s.Next(from).Equal(first.Info.NextActionTimes[0]))

			until := from.AddDate(1, 1, 0)
			year, err := c.WorkflowService().ListScheduleMatchingTimes(t.Context(), &workflowservice.ListScheduleMatchingTimesRequest{
				Namespace: opt.Namespace, ScheduleId: contract.SyncScheduleID(name), StartTime: timestamppb.New(from), EndTime: timestamppb.New(until),
			})
			require.NoError(t, err)
			var theirs, ours []time.Time
			for _, at := range year.StartTime {
				theirs = append(theirs, at.AsTime())
			}
			for at := s.Next(from); at.Before(until); at = s.Next(at) {
				ours = append(ours, at)
			}
			require.Len(t, theirs, len(ours))
			require.GreaterOrEqual(t, len(ours), 2)
			for i := range ours { // a diff of hundreds of times tells nobody anything
				require.True(t, ours[i].Equal(theirs[i]), "%d: the server says %s, the job %s", i, theirs[i], ours[i])
			}
		})
	}
}
