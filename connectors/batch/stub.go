package batch

import "context"

type lane struct{}

// Scheduler shares the call slots of one system among its operations.
type Scheduler struct{ cfg Config }

// NewScheduler makes a scheduler; it starts nothing until the first row comes.
func NewScheduler(cfg Config) *Scheduler { return &Scheduler{cfg: cfg} }

// Close stops admission, answers what is unsent with a Transient fault
// `batch.closed` and lets the calls in flight end. When ctx ends first, they
// are cancelled and ctx's error is returned.
func (s *Scheduler) Close(ctx context.Context) error { panic("batch: body follows") }

// NewOp adds an operation to the scheduler.
func NewOp[R, A any](s *Scheduler, cfg OpConfig[R, A]) *Op[R, A] {
	return &Op[R, A]{lane: &lane{}, cfg: cfg}
}

// Do submits the row and waits for its answer.
func (o *Op[R, A]) Do(ctx context.Context, row R) (A, error) { panic("batch: body follows") }
