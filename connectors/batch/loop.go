package batch

import (
	"context"
	"slices"
	"time"
)

const (
	slotIdle  = 2 * time.Second  // a slot without work is given back
	slotTurn  = 10 * time.Second // a slot in use is offered to other processes
	slotRetry = time.Second      // until slots are asked for again after an error
	// breath is what the callers of a call of several rows get to come with
	// their next step: without it the first of them would leave alone, and the
	// others wait for a whole call.
	breath = 3 * time.Millisecond
)

// idler is a loop that holds a slot and has nothing to send.
type idler struct{ wake chan struct{} }

// dispatch sees to it that what can leave does: it wakes an idle loop, or
// starts one. Loops call it again after they took their share, so one at a
// time is enough; and only one at a time asks for a slot, because the rest may
// be served before it gets one.
func (s *Scheduler) dispatch() {
	now := s.cfg.Now()
	if s.next(now) == nil {
		return
	}
	if len(s.idle) > 0 {
		s.wakeOne()
		return
	}
	broken := s.loops > 0 && now.Sub(s.slotsBroken) < slotRetry
	if s.acquiring || s.loops >= s.cfg.Calls || broken {
		return
	}
	s.loops++
	s.acquiring = true
	go s.loop()
}

// wakeOne wakes the loop that fell idle last, so that the others' slots can
// run out of use.
func (s *Scheduler) wakeOne() {
	last := len(s.idle) - 1
	s.idle[last].wake <- struct{}{}
	s.idle = s.idle[:last]
}

// loop asks for a slot again and again while there is work.
func (s *Scheduler) loop() {
	for s.turn() {
	}
}

// turn asks for a slot and uses it until it is idle or has been used for long;
// then the slot is free, and turn reports whether the loop should go on.
func (s *Scheduler) turn() (again bool) {
	release, err := s.acquire()
	s.mu.Lock()
	s.acquiring = false
	if err != nil {
		defer s.mu.Unlock()
		s.slotless(err)
		s.retire()
		return false
	}
	s.mu.Unlock()

	for ends := s.cfg.Now().Add(slotTurn); s.cfg.Now().Before(ends); {
		f, rest := s.takeOrRest()
		if f != nil {
			s.fly(f)
			if len(f.rows) > 1 && !s.filled() {
				time.Sleep(breath)
			}
		} else if rest == nil || !s.woken(rest) {
			break
		}
	}
	release() // before the books say so, or P+1 slots would be asked for

	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.acquiring && s.next(s.cfg.Now()) != nil {
		s.acquiring = true
		return true
	}
	s.retire()
	return false
}

// filled reports whether the next call could carry no more anyway.
func (s *Scheduler) filled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.next(s.cfg.Now())
	return b != nil && b.full()
}

func (s *Scheduler) acquire() (release func(), err error) {
	if s.cfg.Slots == nil {
		return func() {}, nil // the number of loops is bound enough
	}
	return s.cfg.Slots.Acquire(s.slots, s.cfg.System, s.cfg.Calls)
}

// slotless deals with slots that cannot be asked for: while other loops hold
// one, work goes on; else everybody is told.
func (s *Scheduler) slotless(err error) {
	if s.closed {
		return
	}
	s.slotsBroken = s.cfg.Now()
	if s.loops == 1 {
		failure := errSlots(err)
		s.circuit.fail(s.cfg.Now(), failure)
		s.failAll(failure)
	}
}

// retire takes a loop off the books.
func (s *Scheduler) retire() {
	s.loops--
	if s.closed && s.loops == 0 {
		close(s.ended)
	}
}

// takeOrRest gives a flight, or in the same breath marks the loop as idle, so
// that no row can slip in between; neither when the scheduler is closed.
func (s *Scheduler) takeOrRest() (*flight, *idler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.take(); f != nil {
		s.dispatch()
		return f, nil
	}
	if s.closed {
		return nil, nil
	}
	rest := &idler{wake: make(chan struct{}, 1)}
	s.idle = append(s.idle, rest)
	return nil, rest
}

// woken waits for work and reports whether it came before the slot's time was
// up.
func (s *Scheduler) woken(rest *idler) bool {
	timer := time.NewTimer(slotIdle)
	defer timer.Stop()
	select {
	case <-rest.wake:
		return true
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.idle, rest)
	if i < 0 { // woken in the last moment
		return true
	}
	s.idle = slices.Delete(s.idle, i, i+1)
	return false
}

// callContext is a call's own: callers come and go.
func (s *Scheduler) callContext(timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.calls, timeout)
}
