package rpc

import "context"

// onceOK computes a value once and keeps it; a failure is not kept. While one
// caller computes, others wait, each no longer than its own context.
type onceOK[T any] struct {
	turn  chan struct{} // holds one token
	done  bool
	value T
}

func newOnce[T any]() *onceOK[T] { return &onceOK[T]{turn: make(chan struct{}, 1)} }

func (o *onceOK[T]) get(ctx context.Context, compute func() (T, error)) (T, error) {
	var none T
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	defer func() { <-o.turn }()
	if o.done {
		return o.value, nil
	}
	value, err := compute()
	if err != nil {
		return none, err
	}
	o.value, o.done = value, true
	return value, nil
}

// forget makes the next get compute again.
func (o *onceOK[T]) forget() {
	o.turn <- struct{}{}
	o.done = false
	<-o.turn
}
