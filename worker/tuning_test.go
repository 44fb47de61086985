package worker

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"

	"towpath/workflows"
)

// heard notes when Temporal is told that an activity lives.
type heard struct {
	mu sync.Mutex
	at []time.Time
}

func (h *heard) note(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if strings.HasSuffix(method, "/RecordActivityTaskHeartbeat") {
		h.mu.Lock()
		h.at = append(h.at, time.Now())
		h.mu.Unlock()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// within says that two words followed each other so soon.
func (h *heard) within(span time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := 1; i < len(h.at); i++ {
		if h.at[i].Sub(h.at[i-1]) < span {
			return true
		}
	}
	return false
}

// Who works is heard of a third of a heartbeat's time after he was heard of
// last, and not four fifths of it, when he is nearly taken for dead. The
// activity works until that is seen, however often the machine stands still.
func TestWhoWorksIsHeardOfInTime(t *testing.T) {
	was := workflows.Heartbeat
	workflows.Heartbeat = 3 * time.Second
	t.Cleanup(func() { workflows.Heartbeat = was })
	var h heard
	_, opt := server(t)
	opt.ConnectionOptions.DialOptions = append(opt.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(h.note))
	c, err := client.NewLazyClient(opt)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ready(t, c, opt)
	works := func(ctx context.Context) error {
		h.mu.Lock()
		h.at = nil
		h.mu.Unlock()
		for tick := time.NewTicker(50 * time.Millisecond); !h.within(workflows.Heartbeat * 3 / 5); {
			activity.RecordHeartbeat(ctx)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		return nil
	}
	w := sdk.New(c, "heard", Tuning("heard"))
	w.RegisterActivityWithOptions(works, activity.RegisterOptions{Name: "works"})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{ScheduleToCloseTimeout: patience, HeartbeatTimeout: workflows.Heartbeat})
		return workflow.ExecuteActivity(ctx, "works").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "heard"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "heard"}, "heard")
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
}
