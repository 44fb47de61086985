package local_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
)

// TestWorkerKilledAtEveryStepOfADelivery kills the worker with -9 at each step
// of a delivery, while dozens of others are under way.
func TestWorkerKilledAtEveryStepOfADelivery(t *testing.T) {
	lengthy(t)
	ordered, orders := usual(t)
	w := telling(t, local.Options{}, ordered, orders)
	w.happen(60, 10)
	require.NoError(t, w.Worker[0].Kill())
	for i, step := range []string{"deliveries claimed", "attempt begun", "sent", "attempt settled"} {
		for _, visit := range []int{1, 7} {
			wait := w.happening(30, 10)
			doomed := w.NewWorker(fmt.Sprintf("doomed-%d-%d", i, visit), fmt.Sprintf("TOWPATH_FAILPOINT=%s:%d", step, visit))
			require.NoError(t, doomed.Start(w.ctx))
			w.die(doomed)
			wait()
			t.Logf("killed at %q, visit %d", step, visit)
		}
	}
	require.NoError(t, w.Worker[0].Start(w.ctx))
	w.delivered(patience)
	w.allTold()
	ordered.eachWaited()
}
