package simulator

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is one way for the Admin API to fail. Exactly one of Status, Throttled
// and Reset is set, or none for a mere delay.
type Fault struct {
	Delay      time.Duration // before anything else
	Status     int           // answer with this status: 429, 500, 502, 503, 401 …
	RetryAfter time.Duration // Retry-After header of the answer
	Body       string
	Throttled  bool // GraphQL's way: 200 with the error THROTTLED
	// Reset closes the connection without an answer. With AfterWork the request
	// is executed first: its answer is lost, its effect stays.
	Reset     bool
	AfterWork bool
}

// Faults are what goes wrong at the Admin API. Scripted faults hit the next
// requests, one each, in order; then Always, if set, hits every request.
type Faults struct {
	mu     sync.Mutex
	next   []Fault
	always *Fault
	down   time.Time
	now    func() time.Time
	hits   int
}

func newFaults() *Faults { return &Faults{now: time.Now} }

// Next scripts the faults of the next requests.
func (f *Faults) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = append(f.next, faults...)
}

// Always hits every request that no scripted fault hits.
func (f *Faults) Always(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always = &fault
}

// DownFor resets every connection for a while.
func (f *Faults) DownFor(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = f.now().Add(d)
}

// Clear ends all faults.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next, f.always, f.down = nil, nil, time.Time{}
}

// Hits is how many requests were hit so far.
func (f *Faults) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

func (f *Faults) take() (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var fault Fault
	switch {
	case f.now().Before(f.down):
		fault = Fault{Reset: true}
	case len(f.next) > 0:
		fault, f.next = f.next[0], f.next[1:]
	case f.always != nil:
		fault = *f.always
	default:
		return Fault{}, false
	}
	f.hits++
	return fault, true
}

// inject lets requests fail as told before, or instead of, serving them.
func (s *Shop) inject(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, ok := s.Faults.take()
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if !sleep(r.Context(), fault.Delay) {
			return
		}
		switch {
		case fault.Reset:
			if fault.AfterWork {
				next.ServeHTTP(lost{header: http.Header{}}, r)
			}
			panic(http.ErrAbortHandler) // net/http closes the connection
		case fault.Throttled:
			s.answerThrottled(w, 0)
		case fault.Status != 0:
			if fault.RetryAfter > 0 {
				w.Header().Set("Retry-After", strconv.FormatFloat(fault.RetryAfter.Seconds(), 'f', 1, 64))
			}
			w.WriteHeader(fault.Status)
			_, _ = w.Write([]byte(fault.Body))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// lost is an answer that nobody gets.
type lost struct{ header http.Header }

func (l lost) Header() http.Header         { return l.header }
func (l lost) Write(b []byte) (int, error) { return len(b), nil }
func (l lost) WriteHeader(int)             {}
