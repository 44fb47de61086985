package batch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"towpath/schema/fault"
)

// lane is the untyped side of an Op: its rows by key and by bin, and what is
// known about its calls. The scheduler's mutex guards it.
type lane struct {
	s        *Scheduler
	name     string
	priority Priority
	timeout  time.Duration
	send     func(context.Context, []*entry) ([]outcome, error)

	// chains holds the unanswered rows of each key in order of arrival; only
	// the first of a chain is queued or flying, which is what keeps a key out
	// of two calls.
	chains  map[string][]*entry
	bins    map[string]*bin // by group, those with rows
	solo    *bin
	alone   bool // a suspect is flying
	guilty  guilt
	size    sizer
	circuit circuit
}

func newLane(s *Scheduler, name string, priority Priority, maxRows int, timeout time.Duration) *lane {
	l := &lane{
		s: s, name: name, priority: min(max(priority, Load), Confirm),
		timeout: cmp.Or(max(timeout, 0), time.Minute),
		chains:  map[string][]*entry{},
		bins:    map[string]*bin{},
		guilty:  guilt{},
		size:    newSizer(s.cfg.Target, cmp.Or(max(maxRows, 0), 200)),
	}
	l.solo = newBin(l, "", true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = append(s.lanes, l)
	return l
}

// do submits the row and waits for its answer or for the caller to leave.
func (l *lane) do(ctx context.Context, e *entry) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, errAbandoned(fault.Transient, err)
	}
	s, w := l.s, &waiter{ctx: ctx}
	s.mu.Lock()
	e, err := l.admit(e, w)
	s.dispatch()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		if err := l.leave(e, w); err != nil {
			return nil, err
		}
	}
	return e.answer, own(e.err)
}

// admit finds the row a place: in the future of an equal row, behind another
// row of its key, or in a bin.
func (l *lane) admit(e *entry, w *waiter) (*entry, error) {
	s, now := l.s, l.s.cfg.Now()
	chain := l.chains[e.key]
	if e.key != "" && len(chain) > 0 {
		if last := chain[len(chain)-1]; last.same(e) && (l.priority != Read || last.state != flying) {
			last.waiters = append(last.waiters, w)
			return last, nil
		}
	}
	if err := l.refusal(now); err != nil {
		return nil, err
	}
	if waiting := s.waiting[l.priority]; waiting >= s.cfg.QueueLimit {
		return nil, errFull(waiting, l.drainTime(waiting))
	}
	e.since, e.waiters = now, []*waiter{w}
	s.waiting[l.priority]++
	if e.key != "" {
		l.chains[e.key] = append(chain, e)
	}
	if len(chain) == 0 {
		l.enqueue(e)
	}
	return e, nil
}

// refusal says why no row is taken on now, or nil.
func (l *lane) refusal(now time.Time) error {
	if l.s.closed {
		return errClosed()
	}
	return cmp.Or(l.s.circuit.cooling(now), l.circuit.cooling(now))
}

// drainTime guesses when there will be room again.
func (l *lane) drainTime(waiting int) time.Duration {
	d := time.Duration(float64(waiting) * l.size.perRow / float64(l.s.cfg.Calls))
	return min(max(d, time.Second), time.Minute)
}

// enqueue puts an unsent row that has nobody before it into its bin.
func (l *lane) enqueue(e *entry) {
	e.state = queued
	e.solo = l.guilty.has(e.key, l.s.cfg.Now())
	b := l.binOf(e)
	b.push(e)
	l.s.list(b)
}

// again queues rows that were sent and go once more: in front, or alone.
func (l *lane) again(rows []*entry) {
	if len(rows) == 0 {
		return
	}
	if err := l.refusal(l.s.cfg.Now()); err != nil {
		for _, e := range rows {
			l.land(e, nil, err)
		}
		return
	}
	l.s.waiting[l.priority] += len(rows)
	for i, e := range slices.Backward(rows) {
		e.state = queued
		b := l.binOf(e)
		if e.solo {
			b.push(e)
		} else {
			b.pushFront(rows[i])
		}
		l.s.list(b)
	}
}

func (l *lane) binOf(e *entry) *bin {
	if e.solo {
		return l.solo
	}
	b := l.bins[e.group]
	if b == nil {
		b = newBin(l, e.group, false)
		b.background = e.background
		l.bins[e.group] = b
	}
	return b
}

// land answers a row that is in no bin, and lets the next row of its key go.
func (l *lane) land(e *entry, answer any, err error) {
	if e.state == chained || e.state == queued {
		l.s.waiting[l.priority]--
	}
	e.state, e.answer, e.err = landed, answer, err
	e.waiters = nil
	close(e.done)
	l.advance(e)
}

// advance takes a row out of its key's chain.
func (l *lane) advance(e *entry) {
	if e.key == "" {
		return
	}
	chain := l.chains[e.key]
	first := chain[0] == e
	chain = slices.Delete(chain, slices.Index(chain, e), slices.Index(chain, e)+1)
	if len(chain) == 0 {
		delete(l.chains, e.key)
		return
	}
	l.chains[e.key] = chain
	if !first {
		return
	}
	if err := l.refusal(l.s.cfg.Now()); err != nil {
		l.land(chain[0], nil, err)
		return
	}
	l.enqueue(chain[0])
}

// leave takes a caller off its row. A row that nobody waits for any more is
// withdrawn if it was not sent. It gives nil when the answer came first.
func (l *lane) leave(e *entry, w *waiter) error {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.state == landed {
		return nil
	}
	kind := fault.Transient
	if e.state == flying {
		kind = l.lost()
	}
	err := errAbandoned(kind, w.ctx.Err())
	e.waiters = slices.DeleteFunc(e.waiters, func(other *waiter) bool { return other == w })
	if len(e.waiters) == 0 && e.state != flying {
		if e.state == queued {
			l.binOf(e).remove(e)
		}
		l.land(e, nil, err)
		s.dispatch()
	}
	return err
}

// failAll answers everything unsent with err.
func (l *lane) failAll(err error) {
	bins := []*bin{l.solo}
	for _, b := range l.bins {
		bins = append(bins, b)
	}
	for _, b := range bins {
		for _, e := range b.take(b.size) {
			l.land(e, nil, err)
		}
	}
}

// awaited reports whether somebody who waits for the row has time for a call.
func (e *entry) awaited(now time.Time, timeout time.Duration) bool {
	return slices.ContainsFunc(e.waiters, func(w *waiter) bool {
		if w.ctx.Err() != nil {
			return false
		}
		deadline, ok := w.ctx.Deadline()
		return !ok || deadline.Sub(now) >= timeout
	})
}
