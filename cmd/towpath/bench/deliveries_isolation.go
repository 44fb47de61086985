package bench

import (
	"context"
	"fmt"
	"time"

	"towpath/cmd/towpath/stack"
)

const (
	deadEndpoints = 10
	deadBacklog   = 300 // events of each dead endpoint
	aliveEvents   = 200 // of the healthy one, alone and again with dead neighbours
	aliveShare    = 0.2 // of what the server makes at most: alone, it is never full
	deadTimeout   = 5 * time.Second
)

// isolation measures a healthy endpoint alone, and again while ten dead ones,
// each with its backlog, find out that they are dead.
func (w *telling) isolation(ctx context.Context, n int, r *deliveryRound) error {
	alive := w.names("alive", n, 1)[0]
	if err := w.endpoint(ctx, alive, "/ok/"+alive, 0); err != nil {
		return err
	}
	if err := w.quiet(ctx); err != nil {
		return err
	}
	every := time.Duration(float64(time.Second) / (r.noop * aliveShare))
	if _, err := w.steadily(ctx, alive, 20, every); err != nil { // warm
		return err
	}
	var err error
	if r.alone, err = w.steadily(ctx, alive, aliveEvents, every); err != nil {
		return err
	}
	closed, err := stack.FreePort() // where nobody listens
	if err != nil {
		return err
	}
	dead := w.names("dead", n, deadEndpoints)
	for i, name := range dead {
		path := [...]string{"/hang/", "/fail/", fmt.Sprintf("http://127.0.0.1:%d/", closed)}[i%3] + name
		if err := w.endpoint(ctx, name, path, deadTimeout); err != nil {
			return err
		}
	}
	if err := w.record(ctx, w.events(deadBacklog, dead[0])); err != nil {
		return err
	}
	if r.crowded, err = w.steadily(ctx, alive, aliveEvents, every); err != nil {
		return err
	}
	for _, name := range dead { // the next round is none of theirs
		if err := w.in.Store.SwitchEndpoint(ctx, name, false); err != nil {
			return err
		}
	}
	return nil
}

// steadily tells events at a pace, whether earlier ones have arrived or not, and
// gives for each the ms from recording to receipt.
func (w *telling) steadily(ctx context.Context, name string, n int, every time.Duration) (ms []float64, err error) {
	events := w.events(n, name)
	began := make([]time.Time, n)
	before, start := w.sink.received(), time.Now()
	for i := range events {
		if err := sleep(ctx, time.Until(start.Add(time.Duration(i)*every))); err != nil {
			return nil, err
		}
		began[i] = time.Now()
		if err := w.record(ctx, events[i:i+1]); err != nil {
			return nil, err
		}
	}
	if _, err := w.sink.await(ctx, before+n, start, nil); err != nil {
		return nil, err
	}
	for i, e := range events {
		ms = append(ms, millis(w.sink.when("/ok/"+name, e.ID).Sub(began[i])))
	}
	return ms, nil
}
