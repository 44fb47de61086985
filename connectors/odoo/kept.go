package odoo

import (
	"context"
	"sync"
	"time"

	"towpath/connectors/batch"
)

// kept is something read from Odoo that is believed for a while. However many
// callers ask at once, it is read once; a failure is not kept.
type kept[T any] struct {
	believed time.Duration
	now      func() time.Time
	op       *batch.Op[time.Time, T]

	mu    sync.Mutex
	value T
	at    time.Time // when its reading began
}

func newKept[T any](c *Connector, name string, believed time.Duration, read func(context.Context) (T, error)) *kept[T] {
	k := &kept[T]{believed: believed, now: c.now}
	// A row is the earliest moment at which the answer may have been read.
	k.op = batch.NewOp(c.scheduler, batch.OpConfig[time.Time, T]{
		Name: name, Priority: batch.Read, MaxRows: 10000, Timeout: readTimeout,
		Call: func(ctx context.Context, since []time.Time) ([]batch.Result[T], error) {
			value, err := k.refresh(ctx, latest(since), read)
			if err != nil {
				return nil, err
			}
			return results(since, func(time.Time) (T, error) { return value, nil }), nil
		},
	})
	return k
}

// get gives the value; fresh accepts only what is read from now on.
func (k *kept[T]) get(ctx context.Context, fresh bool) (T, error) {
	since := k.now()
	if !fresh {
		since = since.Add(-k.believed)
		if value, ok := k.held(since); ok {
			return value, nil
		}
	}
	return k.op.Do(ctx, since)
}

func (k *kept[T]) held(since time.Time) (value T, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, !k.at.IsZero() && !k.at.Before(since)
}

func (k *kept[T]) refresh(ctx context.Context, since time.Time, read func(context.Context) (T, error)) (T, error) {
	if value, ok := k.held(since); ok {
		return value, nil
	}
	began := k.now()
	value, err := read(ctx)
	if err != nil {
		return value, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.value, k.at = value, began
	return value, nil
}

var noTime time.Time

func latest(times []time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
