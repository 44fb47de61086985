package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

// sharedSlots are slots that several schedulers share, as processes would.
type sharedSlots struct {
	n    int
	once sync.Once
	free chan struct{} // made within the bubble, or fake time stands still
	err  error
	took atomic.Int32
}

func newSlots(n int) *sharedSlots { return &sharedSlots{n: n} }

func (s *sharedSlots) Acquire(ctx context.Context, _ string, _ int) (func(), error) {
	s.once.Do(func() {
		s.free = make(chan struct{}, s.n)
		for range s.n {
			s.free <- struct{}{}
		}
	})
	s.took.Add(1)
	if s.err != nil {
		return nil, s.err
	}
	select {
	case <-s.free:
		return func() { s.free <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestASlotIsKeptWhileThereIsWorkAndReleasedWhenIdle(t *testing.T) {
	r, slots := &remote{took: time.Second}, newSlots(1)
	bubble(t, Config{Slots: slots}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		for i := range 4 {
			_, err := op.Do(context.Background(), row{key: fmt.Sprint(i)})
			require.NoError(t, err)
			pass(time.Second)
		}
		require.Equal(t, int32(1), slots.took.Load())
		require.Empty(t, slots.free)
		pass(slotIdle)
		require.Len(t, slots.free, 1)
		require.Zero(t, s.loops)
	})
}

func TestABusySlotIsOfferedToOtherProcesses(t *testing.T) {
	r, slots := &remote{took: time.Second}, newSlots(1)
	bubble(t, Config{Slots: slots}, r, func(t *testing.T, s *Scheduler) {
		other := NewScheduler(Config{System: "odoo", Slots: slots})
		defer func() { require.NoError(t, other.Close(context.Background())) }()
		cfg := opConfig(r)
		cfg.MaxRows = 1
		mine, theirs := NewOp(s, cfg), NewOp(other, cfg)
		crowd(mine, 30)
		began := time.Now()
		f := submit(context.Background(), theirs, row{key: "theirs"})
		pass(40 * time.Second)
		require.NoError(t, f.err)
		require.Equal(t, 11*time.Second, f.at.Sub(began))
		require.Equal(t, 31, len(r.calls))
		require.Equal(t, 1, r.most)
	})
}

func TestNoMoreCallsThanSlots(t *testing.T) {
	for _, slots := range []*sharedSlots{nil, newSlots(3)} {
		r := &remote{took: time.Second}
		cfg := Config{Calls: 3}
		if slots != nil {
			cfg.Slots = slots
		}
		bubble(t, cfg, r, func(t *testing.T, s *Scheduler) {
			oc := opConfig(r)
			oc.MaxRows = 2
			all := crowd(NewOp(s, oc), 100)
			pass(time.Minute)
			for _, f := range all {
				require.NoError(t, f.err)
			}
			require.Equal(t, 3, r.most)
			require.LessOrEqual(t, all[99].at.Sub(r.at[0]), 18*time.Second+20*breath)
		})
	}
}

func TestSlotsThatCannotBeAskedForFailFastAndHeal(t *testing.T) {
	r, slots := &remote{}, newSlots(1)
	slots.err = errors.New("connection refused: host=10.0.0.1")
	bubble(t, Config{Slots: slots}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		refused := submit(context.Background(), op, row{key: "a"})
		requireFault(t, refused.err, fault.Transient, "batch.slots")
		require.NotContains(t, refused.err.Error(), "10.0.0.1")
		requireFault(t, submit(context.Background(), op, row{key: "a"}).err, fault.Transient, "batch.slots")
		require.Equal(t, int32(1), slots.took.Load())
		slots.err = nil
		pass(firstCooldown)
		require.NoError(t, submit(context.Background(), op, row{key: "a"}).err)
		require.False(t, s.circuit.open())
	})
}

func TestAProbeThatWasNeverSentMakesRoomForAnother(t *testing.T) {
	r := &remote{}
	r.answer = func(_ context.Context, rows []row) ([]Result[string], error) {
		if r.count() == 1 {
			return nil, errors.New("oops")
		}
		return echo(rows), nil
	}
	bubble(t, Config{}, r, func(t *testing.T, s *Scheduler) {
		op := NewOp(s, opConfig(r))
		require.Error(t, submit(context.Background(), op, row{key: "a"}).err)
		pass(time.Second)
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		requireFault(t, submit(short, op, row{key: "a"}).err, fault.Transient, "batch.deadline")
		require.NoError(t, submit(context.Background(), op, row{key: "a"}).err)
		require.True(t, r.flushes[len(r.flushes)-1].Probe)
	})
}
