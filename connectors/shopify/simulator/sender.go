package simulator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Shopify's rules: connect within 1 s, answer within 5 s, 8 retries over 4 h.
const (
	connectTimeout = time.Second
	answerTimeout  = 5 * time.Second
	maxRetries     = 8
)

// retryWaits add up to four hours. Shopify does not publish the steps, only
// that there are 8 within 4 hours.
var retryWaits = [maxRetries]time.Duration{
	time.Minute, 4 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 45 * time.Minute, 55 * time.Minute, 75 * time.Minute,
}

// Result is how a delivery went.
type Result struct {
	Delivery Delivery
	Status   int // of the last answer; 0 when there was none
	Attempts int
	Took     time.Duration // of the last attempt
	Err      error         // of the last attempt, when there was no answer
}

// OK says that the receiver took the delivery.
func (r Result) OK() bool { return r.Status >= 200 && r.Status < 300 }

type sender struct {
	shop   *Shop
	client *http.Client
	slots  chan struct{}
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

func newSender(s *Shop) *sender {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		MaxIdleConnsPerHost: s.opts.Parallel,
		IdleConnTimeout:     30 * time.Second,
	}
	ctx, stop := context.WithCancel(context.Background())
	return &sender{
		shop: s, ctx: ctx, stop: stop,
		slots: make(chan struct{}, s.opts.Parallel),
		client: &http.Client{
			Transport: transport,
			Timeout:   s.opts.AnswerTimeout,
			// A redirect is a failure.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (e *sender) close() {
	e.stop()
	e.wg.Wait()
	e.client.CloseIdleConnections()
}

// Send makes the delivery's order known and attempts the delivery once, to the
// shop's hook address. The error says that there was no answer.
func (s *Shop) Send(ctx context.Context, d Delivery) (Result, error) {
	if d.Order != nil {
		s.Put(d.Order)
	}
	r := s.sender.attempt(ctx, s.hookAddress(), d)
	r.Attempts = 1
	return r, r.Err
}

// Deliver sends the deliveries in order over the shop's parallel connections,
// retries as Shopify does, and returns when each has been taken or given up.
// Forged ones are attempted once: their sender is not Shopify. done, if not
// nil, is called for each, by many goroutines.
func (s *Shop) Deliver(ctx context.Context, deliveries []Delivery, done func(Result)) []Result {
	results := make([]Result, len(deliveries))
	var wg sync.WaitGroup
	for i, d := range deliveries {
		results[i] = Result{Delivery: d}
		if !s.sender.enter(ctx) {
			results[i].Err = context.Cause(ctx)
			continue
		}
		wg.Go(func() {
			results[i] = s.sender.deliver(ctx, s.hookAddress, d)
			if done != nil {
				done(results[i])
			}
		})
	}
	wg.Wait()
	return results
}

func (s *Shop) hookAddress() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hookURL
}

func (e *sender) enter(ctx context.Context) bool {
	select {
	case e.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliver attempts and retries. The caller has entered a slot; it is given
// back here, and not held between attempts.
func (e *sender) deliver(ctx context.Context, address func() string, d Delivery) Result {
	if d.Order != nil {
		e.shop.Put(d.Order)
	}
	for attempt := 1; ; attempt++ {
		r := e.attempt(ctx, address(), d)
		<-e.slots
		r.Attempts = attempt
		if r.OK() || d.Forged || attempt > maxRetries {
			return r
		}
		wait := time.Duration(float64(retryWaits[attempt-1]) * e.shop.opts.TimeScale)
		if !sleep(ctx, wait) || !e.enter(ctx) {
			return r
		}
	}
}

func (e *sender) attempt(ctx context.Context, address string, d Delivery) Result {
	r := Result{Delivery: d}
	start := time.Now()
	defer func() { r.Took = time.Since(start) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(d.Body))
	if err != nil {
		r.Err = fmt.Errorf("webhook address: %w", err)
		return r
	}
	req.Header = d.Header(e.shop.opts.Domain, e.shop.opts.ClientSecret)
	resp, err := e.client.Do(req)
	if err != nil {
		r.Err = err
		return r
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	r.Status, r.Err = resp.StatusCode, err
	if err != nil {
		r.Status = 0 // an answer that breaks off is none
	}
	return r
}

// publish sends an event to every subscription to its topic, in the background,
// each with a webhook id of its own.
func (s *Shop) publish(d Delivery) {
	for _, sub := range s.subscribed(d.Topic) {
		again := s.Ledger.Resend(d)
		s.sender.wg.Go(func() {
			if !s.sender.enter(s.sender.ctx) {
				return
			}
			r := s.sender.deliver(s.sender.ctx, func() string { return sub.URI }, again)
			if s.sender.ctx.Err() == nil {
				s.settle(sub.ID, r)
			}
		})
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
