package batch

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"towpath/schema/fault"
)

// Scheduler shares the call slots of one system among its operations.
type Scheduler struct {
	cfg   Config
	calls context.Context // under which calls run; ends when Close gives up
	abort context.CancelFunc
	slots context.Context // under which slots are asked for; ends with admission
	quit  context.CancelFunc

	mu      sync.Mutex
	lanes   []*lane
	ring    [stages][]*bin // bins with rows, whose turn it is first
	passed  int            // calls that went before background rows
	waiting [stages]int    // rows accepted and not being sent
	circuit circuit        // of the whole system
	paused  time.Time      // rate limited until then
	resume  *time.Timer

	loops       int // goroutines that hold or ask for a slot
	acquiring   bool
	slotsBroken time.Time // when a slot could last not be asked for
	idle        []*idler
	closed      bool
	ended       chan struct{} // closed after Close once the last loop is gone
}

// NewScheduler makes a scheduler; it starts nothing until the first row comes.
func NewScheduler(cfg Config) *Scheduler {
	cfg.Calls = max(cfg.Calls, 1)
	cfg.Target = cmp.Or(max(cfg.Target, 0), 2*time.Second)
	cfg.QueueLimit = cmp.Or(max(cfg.QueueLimit, 0), 2000)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Scheduler{cfg: cfg, ended: make(chan struct{})}
	s.calls, s.abort = context.WithCancel(context.Background())
	s.slots, s.quit = context.WithCancel(context.Background())
	return s
}

// Close stops admission, answers what is unsent with a Transient fault
// `batch.closed` and lets the calls in flight end. When ctx ends first, they
// are cancelled and ctx's error is returned.
func (s *Scheduler) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.quit()
		if s.resume != nil {
			s.resume.Stop()
		}
		s.failAll(errClosed())
		for len(s.idle) > 0 {
			s.wakeOne()
		}
		if s.loops == 0 {
			close(s.ended)
		}
	}
	s.mu.Unlock()
	defer s.abort()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Scheduler) failAll(err error) {
	for _, l := range s.lanes {
		l.failAll(err)
	}
}

func (s *Scheduler) queueLength() int {
	sum := 0
	for _, n := range s.waiting {
		sum += n
	}
	return sum
}

// list puts a bin with rows at the end of its stage's ring.
func (s *Scheduler) list(b *bin) {
	if !b.listed {
		b.listed = true
		s.ring[b.lane.priority] = append(s.ring[b.lane.priority], b)
	}
}

// maxPassed is how many calls may go before background rows that wait.
const maxPassed = 4

// next finds the bin whose rows go next: of those that somebody waits for, and
// of background rows only when there are none or it is their turn.
func (s *Scheduler) next(now time.Time) *bin {
	if s.closed || now.Before(s.paused) || s.circuit.holds(now) {
		return nil
	}
	for p := range s.ring {
		s.ring[p] = slices.DeleteFunc(s.ring[p], s.unlist)
	}
	behind := s.passed >= maxPassed
	if b := s.nextOf(behind, now); b != nil {
		return b
	}
	return s.nextOf(!behind, now)
}

// nextOf gives the first ready bin of the highest stage. While it has room and
// an earlier stage has a full call waiting, that goes instead, and the later
// stage gathers on, for as long as a call takes: many small lookups would cost
// more than they set free.
func (s *Scheduler) nextOf(background bool, now time.Time) *bin {
	var next *bin
	for p := Confirm; p >= Load; p-- {
		if next == nil {
			next = s.ready(p, background, now, (*bin).any)
			if next != nil && (next.full() || now.Sub(next.oldest()) >= s.cfg.Target) {
				return next
			}
		} else if full := s.ready(p, background, now, (*bin).full); full != nil {
			return full
		}
	}
	return next
}

// ready gives a stage's first bin of the wanted kind that may send.
func (s *Scheduler) ready(p Priority, background bool, now time.Time, wanted func(*bin) bool) *bin {
	for _, b := range s.ring[p] {
		if b.background == background && wanted(b) && !b.lane.circuit.holds(now) && !(b.solo && b.lane.alone) {
			return b
		}
	}
	return nil
}

// pass counts the calls that go before background rows that wait.
func (s *Scheduler) pass(b *bin) {
	if b.background {
		s.passed = 0
		return
	}
	for _, ring := range s.ring {
		if slices.ContainsFunc(ring, func(b *bin) bool { return b.background && b.size > 0 }) {
			s.passed++
			return
		}
	}
	s.passed = 0
}

// unlist drops an empty bin.
func (s *Scheduler) unlist(b *bin) bool {
	if b.size > 0 {
		return false
	}
	b.listed = false
	if !b.solo {
		delete(b.lane.bins, b.group)
	}
	return true
}

// take puts the next flight together, or gives nil when nothing can leave.
func (s *Scheduler) take() *flight {
	now := s.cfg.Now()
	b := s.next(now)
	if b == nil {
		return nil
	}
	l := b.lane
	f := &flight{lane: l, solo: b.solo, probesSystem: s.circuit.open(), probesLane: l.circuit.open()}
	limit := l.size.limit()
	if f.solo || f.probe() {
		limit = 1
	}
	f.rows = b.take(limit)
	for _, e := range f.rows {
		e.state = flying
	}
	s.waiting[l.priority] -= len(f.rows)
	s.circuit.probing, l.circuit.probing = f.probesSystem, f.probesLane
	l.alone = l.alone || f.solo
	s.rotate(b)
	s.pass(b)
	return f
}

// rotate ends a bin's turn.
func (s *Scheduler) rotate(b *bin) {
	ring := s.ring[b.lane.priority]
	i := slices.Index(ring, b)
	s.ring[b.lane.priority] = append(slices.Delete(ring, i, i+1), b)
}

// pause holds everything back after the system asked for it. Rows gather; the
// longest pause counts.
func (s *Scheduler) pause(now time.Time, limited *fault.Fault) {
	until := now.Add(cmp.Or(max(limited.After, 0), time.Second))
	if s.closed || !until.After(s.paused) {
		return
	}
	s.paused = until
	if s.resume != nil {
		s.resume.Stop()
	}
	s.resume = time.AfterFunc(until.Sub(now), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dispatch()
	})
}
