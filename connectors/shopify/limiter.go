package shopify

import (
	"context"
	"sync"
	"time"
)

// throttleStatus is Shopify's own account of the cost bucket, part of every
// answer.
type throttleStatus struct {
	Maximum   float64 `json:"maximumAvailable"`
	Available float64 `json:"currentlyAvailable"`
	Restore   float64 `json:"restoreRate"` // points per second
}

// limiter keeps calls within the cost bucket of one connection. It believes
// Shopify's account as of the last answer, less what is in flight, and learns
// what each query asks for. Before the first answer it lets everything pass.
type limiter struct {
	now func() time.Time

	mu        sync.Mutex
	known     bool
	status    throttleStatus
	available float64 // at the time at
	at        time.Time
	inFlight  float64
	costs     map[string]float64 // by operation and size, as last requested
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, costs: map[string]float64{}}
}

// reserve takes the cost of a query and says how long to wait before sending
// it. Whoever comes later waits for those before.
func (l *limiter) reserve(query string) (cost float64, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cost = l.costs[query]
	l.inFlight += cost
	if !l.known || l.status.Restore <= 0 {
		return cost, 0
	}
	now := l.now()
	l.available = min(l.status.Maximum, l.available+now.Sub(l.at).Seconds()*l.status.Restore)
	l.at = now
	l.available -= cost
	if l.available < 0 {
		wait = time.Duration(-l.available / l.status.Restore * float64(time.Second))
	}
	return cost, wait
}

// settle gives a reservation back against Shopify's account; status is nil
// when the answer held none.
func (l *limiter) settle(query string, reserved, requested float64, status *throttleStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight = max(0, l.inFlight-reserved)
	if requested > 0 {
		l.costs[query] = requested
	}
	if status == nil {
		l.available += reserved // not charged, as far as we know
		return
	}
	l.known, l.status, l.at = true, *status, l.now()
	l.available = status.Available - l.inFlight
}

// restoreTime is how long the bucket takes until cost is available.
func (s throttleStatus) restoreTime(cost float64) time.Duration {
	if s.Restore <= 0 {
		return time.Second
	}
	seconds := (cost - s.Available) / s.Restore
	return max(100*time.Millisecond, time.Duration(seconds*float64(time.Second)))
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
