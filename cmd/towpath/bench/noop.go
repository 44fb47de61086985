package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"towpath/worker"
	"towpath/workflows/contract"
	"towpath/workflows/dispatch"
)

// noopSays is the last line of a no-op worker.
const noopSays = "%f per second, %f ms each"

// Names of the no-op worker's queues: one for workflows and one for activities,
// as deliveries have them.
const (
	noopMain       = "bench-noop"
	noopActivities = "bench-noop-activities"
)

// Noop runs n workflows that do nothing but call one activity that does nothing,
// with a worker and a starter like those of deliveries, in this process. It
// writes how many per second were made, and its own processor time for each.
func Noop(ctx context.Context, c client.Client, n int, out io.Writer) error {
	var done atomic.Int64
	ended := make(chan struct{})
	var once sync.Once
	main := sdk.New(c, noopMain, worker.Tuning(contract.QueueMain))
	main.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: noopActivities, StartToCloseTimeout: time.Minute})
		return workflow.ExecuteActivity(ctx, "Noop").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "Noop"})
	work := sdk.New(c, noopActivities, worker.Tuning(contract.QueueDeliveries))
	work.RegisterActivityWithOptions(func(context.Context) error {
		if done.Add(1) >= int64(n) {
			once.Do(func() { close(ended) })
		}
		return nil
	}, activity.RegisterOptions{Name: "Noop"})
	for _, w := range []sdk.Worker{main, work} {
		if err := w.Start(); err != nil {
			return err
		}
		defer w.Stop() //nolint:revive,gocritic // both work until the end
	}
	if err := sleep(ctx, time.Second); err != nil { // until it polls
		return err
	}
	own, err := startUsed(os.Getpid())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := startNoops(ctx, c, n); err != nil {
		return err
	}
	select {
	case <-ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	took := time.Since(began)
	if err := sleep(ctx, time.Second); err != nil { // until the last ones are closed
		return err
	}
	used, err := own.sofar()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, noopSays+"\n", float64(n)/took.Seconds(), millis(used)/float64(n))
	return err
}

// startNoops starts as many at once as the starter of deliveries does.
func startNoops(ctx context.Context, c client.Client, n int) (err error) {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		slots  = make(chan struct{}, dispatch.Parallel)
		prefix = fmt.Sprintf("noop/%d/", time.Now().UnixNano())
	)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if _, startErr := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: prefix + fmt.Sprint(i), TaskQueue: noopMain}, "Noop"); startErr != nil {
				mu.Lock()
				defer mu.Unlock()
				err = startErr
			}
		})
	}
	wg.Wait()
	return err
}
