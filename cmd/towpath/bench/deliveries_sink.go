package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// sink receives deliveries. Each is counted once: under its path and event.
//
//	/ok/…    takes it
//	/fail/…  answers 500
//	/hang/…  answers nothing until the sender gives up
type sink struct {
	url    string
	server *http.Server

	mu    sync.Mutex
	at    map[string]time.Time
	twice int
	moved chan struct{}
}

func newSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + l.Addr().String(), at: map[string]time.Time{}, moved: make(chan struct{}, 1)}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

func (s *sink) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	now := time.Now()
	_, _ = io.Copy(io.Discard, r.Body)
	switch {
	case strings.HasPrefix(r.URL.Path, "/fail/"):
		http.Error(rw, "out of order", http.StatusInternalServerError)
		return
	case strings.HasPrefix(r.URL.Path, "/hang/"):
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	key := r.URL.Path + " " + r.Header.Get("webhook-id")
	if _, known := s.at[key]; known {
		s.twice++
	} else {
		s.at[key] = now
	}
	s.mu.Unlock()
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

func (s *sink) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// again is how many were received more than once.
func (s *sink) again() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.twice
}

// when an event was first received under a path.
func (s *sink) when(path, id string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[path+" "+id]
}

// stuckAfter is how long nothing may be received until it counts as lost.
const stuckAfter = time.Minute

// await waits until n were received, and gives how long after began that was.
func (s *sink) await(ctx context.Context, n int, began time.Time, progress func(int)) (time.Duration, error) {
	for {
		got := s.received()
		if progress != nil {
			progress(got)
		}
		if got >= n {
			return s.last().Sub(began), nil
		}
		select {
		case <-s.moved:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(stuckAfter):
			return 0, errors.New(fmt.Sprint("deliveries are missing: ", got, " of ", n))
		}
	}
}

// last is when the latest was received.
func (s *sink) last() (at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.at {
		if t.After(at) {
			at = t
		}
	}
	return at
}
