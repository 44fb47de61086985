package simulator

import (
	"path"
	"sync"
	"time"
)

// A Fault is a rule: which calls go wrong, and how. Exactly one of the ways
// is meant to be set, besides Delay and Gate, which go with any.
type Fault struct {
	// Model and Method select calls, as path.Match patterns; empty is any. The
	// model of common.authenticate and common.version is "common".
	Model, Method string
	// Skip lets so many matching calls pass first; Times bounds how many are
	// hit after that (0 is all).
	Skip, Times int

	Delay time.Duration   // before execution; the transaction has begun
	Gate  <-chan struct{} // wait for it to close before execution, as Delay

	Status     int           // answer this HTTP status, unexecuted; 502 is a proxy's page
	RetryAfter time.Duration // with Status 429 or 503
	Body       string        // instead of the proxy's page

	Reset            bool // cut the connection before execution
	ResetAfterCommit bool // execute, commit, then cut the connection
	Serialization    bool // lose a race, unexecuted

	hits int
}

// Faults holds the rules of a server. The first one that matches decides.
type Faults struct {
	mu    sync.Mutex
	rules []*Fault
}

// Add puts a rule at the end and returns a func that removes it.
func (f *Faults) Add(rule Fault) (remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &rule
	f.rules = append(f.rules, r)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, other := range f.rules {
			if other == r {
				f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
				return
			}
		}
	}
}

// Clear removes all rules.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// pick gives the fault for one call; the zero Fault is none.
func (f *Faults) pick(model, method string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if !matches(r.Model, model) || !matches(r.Method, method) {
			continue
		}
		r.hits++
		if r.hits <= r.Skip || r.Times > 0 && r.hits > r.Skip+r.Times {
			continue
		}
		return *r
	}
	return Fault{}
}

func matches(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, s)
	return err == nil && ok
}

// Stats counts calls.
type Stats struct {
	mu       sync.Mutex
	calls    map[string]int
	rows     map[string]int
	inFlight int
	most     int
	begun    int // calls that have a worker and whose transaction has begun
}

func newStats() *Stats { return &Stats{calls: map[string]int{}, rows: map[string]int{}} }

func (s *Stats) enter(model, method string, rows int) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := model + "." + method
	s.calls[name]++
	s.rows[name] += rows
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inFlight--
	}
}

// work counts a call that got a worker, until done is called.
func (s *Stats) work() (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.begun--
	}
}

func (s *Stats) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// Calls is how often a method was called, failed calls included.
func (s *Stats) Calls(model, method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[model+"."+method]
}

// Rows is how many records a method was called for.
func (s *Stats) Rows(model, method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[model+"."+method]
}

// Total is the number of all calls.
func (s *Stats) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, n := range s.calls {
		total += n
	}
	return total
}

// MostAtOnce is the highest number of calls that were in flight at once,
// those that wait for a worker included.
func (s *Stats) MostAtOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Reset starts counting anew; calls in flight stay counted as such.
func (s *Stats) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.rows, s.most = map[string]int{}, map[string]int{}, s.inFlight
}
