package batch

import (
	"slices"
	"time"
)

// bin holds the queued rows of one operation that may travel together: those
// of one group, or the suspects, which travel one by one.
type bin struct {
	lane  *lane
	group string
	solo  bool
	// background rows let others go first.
	background bool
	listed     bool // in the scheduler's ring
	size       int
	front      []*entry // rows that go again
	turn       []*share // sources with rows, whose turn it is first
	shares     map[string]*share
}

// share is one source's rows in a bin.
type share struct {
	source string
	rows   []*entry
	credit int // rows it may still send in this turn
}

func newBin(l *lane, group string, solo bool) *bin {
	return &bin{lane: l, group: group, solo: solo, shares: map[string]*share{}}
}

func (b *bin) push(e *entry) {
	b.size++
	s := b.shares[e.source]
	if s == nil {
		s = &share{source: e.source}
		b.shares[e.source] = s
		b.turn = append(b.turn, s)
	}
	s.rows = append(s.rows, e)
}

func (b *bin) pushFront(rows ...*entry) {
	b.size += len(rows)
	b.front = append(slices.Clone(rows), b.front...)
}

func (b *bin) any() bool { return true }

// full tells that a call could carry no more. Suspects never wait for company.
func (b *bin) full() bool { return b.solo || b.size >= b.lane.size.limit() }

// oldest is when the row came that has waited longest.
func (b *bin) oldest() time.Time {
	if len(b.front) > 0 {
		return b.front[0].since
	}
	oldest := b.turn[0].rows[0].since
	for _, s := range b.turn[1:] {
		if since := s.rows[0].since; since.Before(oldest) {
			oldest = since
		}
	}
	return oldest
}

// take removes up to n rows: first those that go again, then a fair share of
// each source by weighted round robin. Turns go on from call to call.
func (b *bin) take(n int) []*entry {
	n = min(n, b.size)
	rows := make([]*entry, 0, n)
	again := min(n, len(b.front))
	rows = append(rows, b.front[:again]...)
	b.front = b.front[again:]
	for len(rows) < n {
		s := b.turn[0]
		if s.credit == 0 {
			s.credit = max(1, s.rows[0].weight)
		}
		rows = append(rows, s.rows[0])
		s.rows[0] = nil
		s.rows = s.rows[1:]
		s.credit--
		switch {
		case len(s.rows) == 0:
			b.turn = b.turn[1:]
			delete(b.shares, s.source)
		case s.credit == 0:
			b.turn = append(b.turn[1:], s)
		}
	}
	b.size -= n
	return rows
}

// remove takes one row out whose callers have all left.
func (b *bin) remove(e *entry) {
	b.size--
	if i := slices.Index(b.front, e); i >= 0 {
		b.front = slices.Delete(b.front, i, i+1)
		return
	}
	s := b.shares[e.source]
	i := slices.Index(s.rows, e)
	s.rows = slices.Delete(s.rows, i, i+1)
	if len(s.rows) == 0 {
		i := slices.Index(b.turn, s)
		b.turn = slices.Delete(b.turn, i, i+1)
		delete(b.shares, e.source)
	}
}

// guilt remembers for a while which keys failed alone, so that a retry of such
// a row doesn't spoil a whole call again.
type guilt map[string]time.Time

const (
	guiltLasts = time.Hour
	guiltMax   = 1000
)

func (g guilt) has(key string, now time.Time) bool {
	since, ok := g[key]
	if ok && now.Sub(since) > guiltLasts {
		delete(g, key)
		return false
	}
	return ok
}

func (g guilt) add(key string, now time.Time) {
	if key == "" {
		return
	}
	if len(g) >= guiltMax {
		for old := range g { // any one: forgetting costs one slow call, no more
			delete(g, old)
			break
		}
	}
	g[key] = now
}
