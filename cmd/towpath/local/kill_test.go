package local_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
)

// steps are the failpoints of a pass, in its order, with the visit at which
// the worker dies in each phase of a day: while orders are new, and while they
// are edited and cancelled after import. 0: that phase does not come there.
var steps = []struct {
	name       string
	new, later int
}{
	{"begun", 5, 2},
	{"customer", 4, 0},
	{"intent", 6, 2},
	{"loaded", 6, 2},
	{"proved", 9, 3},
	{"confirmed", 7, 0},
	{"cancelled", 0, 1},
	{"settling", 8, 4},
	{"settled", 8, 4},
}

// TestWorkerKilledAtEveryStep kills the worker with -9 at each step of a pass
// while dozens of others are under way, and lets another one take over.
func TestWorkerKilledAtEveryStep(t *testing.T) {
	w := up(t, local.Options{})
	defer w.watch()()
	for i, s := range steps {
		require.True(t, t.Run(s.name, func(t *testing.T) { w.killedAt(t, uint64(100+i), s.name, s.new, s.later) }))
	}
}

// killedAt plays a day of trouble, during which workers die at a step.
func (w *world) killedAt(t *testing.T, seed uint64, step string, visits ...int) {
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	d := day(seed, 60)
	w.expect = append(w.expect, d.Expect...)
	for n, phase := range d.Phases() {
		if visits[n] > 0 {
			require.NoError(t, w.Worker[0].Kill())
			doomed := w.NewWorker(fmt.Sprintf("doomed-%s-%d", step, n+1), fmt.Sprintf("TOWPATH_FAILPOINT=%s:%d", step, visits[n]))
			require.NoError(t, doomed.Start(w.ctx))
			w.sendAll(phase)
			w.die(doomed, 20*time.Second)
			require.NoError(t, w.Worker[0].Start(w.ctx))
		} else {
			w.sendAll(phase)
		}
		w.settle(40 * time.Second)
		if n == 0 {
			w.mapProducts(d.Mappings)
		}
	}
	w.settle(20 * time.Second)
	w.holds()
}
