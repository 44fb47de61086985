package batch

import (
	"context"
	"time"

	"towpath/schema/record"
)

// Op is one operation of a system: a queue of rows and the call that sends
// them. It is safe for use by any number of goroutines.
type Op[R, A any] struct {
	lane *lane
	cfg  OpConfig[R, A]
}

// NewOp adds an operation to the scheduler. It panics when Call is missing.
func NewOp[R, A any](s *Scheduler, cfg OpConfig[R, A]) *Op[R, A] {
	if cfg.Call == nil {
		panic("batch: operation " + cfg.Name + " has no Call")
	}
	l := newLane(s, cfg.Name, cfg.Priority, cfg.MaxRows, cfg.Timeout)
	l.send = func(ctx context.Context, entries []*entry) ([]outcome, error) {
		rows := make([]R, len(entries))
		for i, e := range entries {
			rows[i], _ = e.row.(R) // a nil interface is no R, and is R's zero
		}
		results, err := cfg.Call(ctx, rows)
		if err != nil {
			return nil, err
		}
		outcomes := make([]outcome, len(results))
		for i, r := range results {
			outcomes[i] = outcome{answer: r.Answer, err: r.Err}
		}
		return outcomes, nil
	}
	return &Op[R, A]{lane: l, cfg: cfg}
}

// Do submits the row and waits for its answer. Callers that share a future
// share the answer too: treat it as read-only. Every error is a *fault.Fault
// of the caller's own. Besides those of Call:
//
//   - batch.superseded (Conflict): the fence was no longer current; not sent
//   - batch.deadline (Transient): less than Timeout was left; not sent
//   - batch.full (Transient, After): too many rows wait; not accepted
//   - batch.closed (Transient): the scheduler is closing; not sent
//   - batch.fences, batch.slots (Transient): these could not be asked; not sent
//   - batch.resend (Transient): sent again in vain; not written
//   - batch.panic (Transient): Call panicked
//   - batch.timeout, batch.results (Uncertain; Transient for reads): no answer
//     in time, or not one per row
//   - batch.abandoned: ctx ended first. Uncertain when the row of a write was
//     on its way, Transient when it was not (it then never will be, unless
//     others wait for it too).
//
// While a circuit is open after a failure of the system, Do gives that failure
// at once, with After.
func (o *Op[R, A]) Do(ctx context.Context, row R) (A, error) {
	answer, err := o.lane.do(ctx, o.entry(row))
	if err != nil {
		var none A
		return none, err
	}
	typed, _ := answer.(A) // a nil interface is no A, and is A's zero
	return typed, nil
}

// entry runs the caller's functions on the caller's goroutine, so that a panic
// in one of them is the caller's own.
func (o *Op[R, A]) entry(row R) *entry {
	e := &entry{lane: o.lane, row: row, done: make(chan struct{})}
	for _, part := range []struct {
		of   func(R) string
		into *string
	}{{o.cfg.Key, &e.key}, {o.cfg.Content, &e.content}, {o.cfg.Source, &e.source}, {o.cfg.Group, &e.group}} {
		if part.of != nil {
			*part.into = part.of(row)
		}
	}
	if o.cfg.Background != nil && o.cfg.Background(row) {
		e.background = true
		e.group += "\x00background" // a bin of its own
	}
	if o.cfg.Weight != nil {
		e.weight = o.cfg.Weight(e.source)
	}
	if o.cfg.Fence != nil {
		e.fence = o.cfg.Fence(row)
	}
	return e
}

// entry states.
type state int

const (
	chained state = iota // waits for an earlier row of its key to land
	queued               // waits in a bin
	flying               // is being sent
	landed               // answered
)

// entry is one row with everybody who waits for it.
type entry struct {
	lane                        *lane
	row                         any
	key, content, source, group string
	weight                      int
	background                  bool
	fence                       record.FenceKey

	// Below here the scheduler's mutex guards all but done.
	state   state
	since   time.Time
	waiters []*waiter
	resends int
	solo    bool

	done   chan struct{} // closed once answer and err are set
	answer any
	err    error
}

type waiter struct{ ctx context.Context }

type outcome struct {
	answer any
	err    error
}

// same says that both rows would have the same effect. The fence takes part:
// a newer pass must not be dropped for the older one's stale fence.
func (e *entry) same(other *entry) bool {
	return e.content == other.content && e.group == other.group && e.fence == other.fence
}
