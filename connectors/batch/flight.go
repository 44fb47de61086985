package batch

import (
	"errors"
	"math/bits"
	"time"

	"towpath/schema/fault"
	"towpath/schema/record"
)

const (
	maxResends   = 5
	fenceTimeout = 10 * time.Second
)

// flight is a set of rows that left the queue together. It becomes one call,
// or several when a bad row has to be found.
type flight struct {
	lane                     *lane
	rows                     []*entry
	solo                     bool
	probesSystem, probesLane bool
	judged                   bool // a call was made
	parts                    [][]*entry
	bisections               int // calls still allowed to find bad rows
}

func (f *flight) probe() bool { return f.probesSystem || f.probesLane }

// fly sends a flight's rows and answers them. A call that failed by some row's
// fault is halved and halved again; when that has cost 2·log2(n) calls, the
// rows still unclear go alone.
func (s *Scheduler) fly(f *flight) {
	f.bisections = 2 * bits.Len(uint(len(f.rows)-1))
	f.parts = [][]*entry{f.rows}
	for len(f.parts) > 0 {
		last := len(f.parts) - 1
		rows := f.parts[last]
		f.parts = f.parts[:last]

		flush := Flush{System: s.cfg.System, Op: f.lane.name, Priority: f.lane.priority, Solo: f.solo, Probe: f.probe()}
		rows = s.current(f, s.awaited(f, rows, &flush), &flush)
		if len(rows) > 0 {
			s.send(f, rows, &flush)
		}
		s.observe(flush)
	}
	s.finish(f)
}

// send makes one call of a flight. What it teaches is taken to heart before
// its rows are answered, so that a caller who comes again at once finds the
// circuit open.
func (s *Scheduler) send(f *flight, rows []*entry, flush *Flush) {
	outcomes, err := s.call(f.lane, rows, flush)
	s.mu.Lock()
	defer s.mu.Unlock()
	v := judge(err)
	s.learn(f, v, err, flush)
	switch {
	case err == nil:
		f.answer(rows, outcomes, flush)
	case v == blamesRow && len(rows) == 1:
		f.lane.convict(rows[0], err)
		flush.Failed++
	case v == blamesRow && f.bisections >= 2:
		f.bisections -= 2
		middle := len(rows) / 2
		f.parts = append(f.parts, rows[middle:], rows[:middle])
		flush.Resent = len(rows)
	case v == blamesRow:
		f.suspectAll(rows)
		flush.Suspects = len(rows)
	default:
		flush.Failed = f.failAll(rows, err)
	}
}

// awaited drops rows that nobody waits for any more, or not long enough.
func (s *Scheduler) awaited(f *flight, rows []*entry, flush *Flush) []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	kept := rows[:0:0]
	for _, e := range rows {
		switch {
		case s.closed:
			f.lane.land(e, nil, errClosed())
		case !e.awaited(now, f.lane.timeout):
			flush.Expired++
			f.lane.land(e, nil, errDeadline(f.lane.timeout))
		default:
			flush.Waited = max(flush.Waited, now.Sub(e.since))
			kept = append(kept, e)
		}
	}
	return kept
}

// current drops rows whose fence has been superseded, by one question for all.
// When it cannot be asked, rows that carry a fence stay at home.
func (s *Scheduler) current(f *flight, rows []*entry, flush *Flush) []*entry {
	var keys []record.FenceKey
	for _, e := range rows {
		if e.fence != (record.FenceKey{}) {
			keys = append(keys, e.fence)
		}
	}
	if s.cfg.Fences == nil || len(keys) == 0 {
		return rows
	}
	valid, err := s.fences(keys)
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := rows[:0:0]
	for _, e := range rows {
		switch {
		case e.fence == (record.FenceKey{}) || valid[e.fence]:
			kept = append(kept, e)
		case err != nil:
			flush.Failed++
			f.lane.land(e, nil, errFences(err))
		default:
			flush.Superseded++
			f.lane.land(e, nil, errSuperseded())
		}
	}
	return kept
}

func (s *Scheduler) fences(keys []record.FenceKey) (valid map[record.FenceKey]bool, err error) {
	ctx, cancel := s.callContext(fenceTimeout)
	defer cancel()
	err = guarded(func() (err error) {
		valid, err = s.cfg.Fences.Current(ctx, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	return valid, nil
}

// call makes the call under a context of its own.
func (s *Scheduler) call(l *lane, rows []*entry, flush *Flush) (outcomes []outcome, err error) {
	ctx, cancel := s.callContext(l.timeout)
	defer cancel()
	began := s.cfg.Now()
	err = guarded(func() (err error) {
		outcomes, err = l.send(ctx, rows)
		return err
	})
	flush.Rows, flush.Took = len(rows), s.cfg.Now().Sub(began)
	if err == nil && len(outcomes) != len(rows) {
		err = fault.New(l.lost(), "batch.results", "the call answered %d of %d rows", len(outcomes), len(rows))
	}
	return outcomes, l.named(err)
}

// guarded runs foreign code on a goroutine of its own, so that neither a panic
// nor runtime.Goexit takes the loop, and all who wait for it, along.
func guarded(foreign func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var returned bool
		defer func() {
			if !returned {
				err = errPanic(recover())
			}
		}()
		err = foreign()
		returned = true
	}()
	<-done
	return err
}

// answer gives each row its own outcome.
func (f *flight) answer(rows []*entry, outcomes []outcome, flush *Flush) {
	l := f.lane
	var again []*entry
	for i, e := range rows {
		err := outcomes[i].err
		var suspected *suspect
		switch {
		case err == nil:
			delete(l.guilty, e.key)
			l.land(e, outcomes[i].answer, nil)
		case errors.Is(err, ErrResend) && (e.resends < maxResends || !e.solo):
			e.resends++
			e.solo = e.solo || e.resends > maxResends
			again = append(again, e)
			flush.Resent++
		case errors.Is(err, ErrResend):
			l.land(e, nil, errResend(err))
			flush.Failed++
		case errors.As(err, &suspected) && len(rows) > 1:
			e.solo = true
			again = append(again, e)
			flush.Suspects++
		case errors.As(err, &suspected):
			l.convict(e, suspected.err)
			flush.Failed++
		default:
			l.land(e, nil, err)
			flush.Failed++
		}
	}
	l.again(again)
}

// convict gives a row what it got alone, and remembers it if the row itself is
// to blame.
func (l *lane) convict(e *entry, err error) {
	if judge(err) == blamesRow {
		l.guilty.add(e.key, l.s.cfg.Now())
	}
	l.land(e, nil, err)
}

func (f *flight) suspectAll(rows []*entry) {
	for _, e := range rows {
		e.solo = true
	}
	f.lane.again(rows)
}

// failAll answers the rows, and those of the flight that were not sent yet:
// what befell the call would befall them.
func (f *flight) failAll(rows []*entry, err error) (failed int) {
	for _, part := range append(f.parts, rows) {
		failed += len(part)
		for _, e := range part {
			f.lane.land(e, nil, err)
		}
	}
	f.parts = nil
	return failed
}

// learn draws the lessons of a call: how many rows the next may carry, and
// whether there is any use in sending it.
func (s *Scheduler) learn(f *flight, v verdict, err error, flush *Flush) {
	now := s.cfg.Now()
	switch {
	case v == limited:
		s.pause(now, fault.Of(err))
	case f.solo: // says nothing about company
	case err == nil:
		f.lane.size.learn(flush.Rows, flush.Took)
	case v == silent || v == busy:
		f.lane.size.halve(flush.Rows)
	}
	flush.Err, flush.Limit, flush.Waiting = err, f.lane.size.limit(), s.queueLength()
	s.circuits(f, now, v, err)
}

// circuits tells the system's and the operation's circuit of a call's end, and
// passes a failure on to everybody whom it concerns.
func (s *Scheduler) circuits(f *flight, now time.Time, v verdict, err error) {
	l := f.lane
	f.judged = true
	if v == silent {
		l.circuit.silent++
	} else if v != inconclusive {
		l.circuit.silent = 0
	}
	again := v == silent && (l.circuit.silent >= silences || f.probe())
	answered := v != unreachable && v != silent && v != inconclusive
	if s.circuit.told(now, v == unreachable || again && f.probesSystem, answered, f.probesSystem, err) {
		s.failAll(err)
	}
	if l.circuit.told(now, v == failing || again, answered && v != failing, f.probesLane, err) {
		l.failAll(err)
	}
}

// finish ends a flight. A probe of which nothing was sent makes room for
// another.
func (s *Scheduler) finish(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.probesSystem && !f.judged {
		s.circuit.probing = false
	}
	if f.probesLane && !f.judged {
		f.lane.circuit.probing = false
	}
	if f.solo {
		f.lane.alone = false
	}
}

// observe tells the outside world, whose defects stay its own.
func (s *Scheduler) observe(flush Flush) {
	if s.cfg.Observe == nil {
		return
	}
	defer func() { _ = recover() }()
	s.cfg.Observe(flush)
}
