package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"towpath/schema/fault"
)

// trip follows one request over the wire. The transport tells it so from
// goroutines of its own, also after the request was given up.
type trip struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu        sync.Mutex
	told      Trip
	began     map[string]time.Time // by phase
	securing  bool                 // the TLS handshake began and has not succeeded
	connected bool
	elsewhere bool // a dial failed at an address that the guard let through
}

func startTrip(ctx context.Context) *trip {
	t := &trip{began: map[string]time.Time{}}
	ctx, t.cancel = context.WithCancel(ctx)
	t.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { t.begin("resolve") },
		DNSDone:      func(httptrace.DNSDoneInfo) { t.end("resolve", &t.told.Resolve) },
		ConnectStart: func(_, _ string) { t.begin("connect") },
		ConnectDone:  t.connectDone,
		TLSHandshakeStart: func() {
			t.begin("secure")
			t.with(func() { t.securing = true })
		},
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			t.end("secure", &t.told.Secure)
			t.with(func() { t.securing = err != nil })
		},
		GotConn: func(i httptrace.GotConnInfo) {
			t.begin("wait")
			t.with(func() {
				t.connected, t.told.Reused, t.told.Remote = true, i.Reused, i.Conn.RemoteAddr().String()
			})
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			t.with(func() { t.told.Written = i.Err == nil })
		},
		GotFirstResponseByte: func() { t.end("wait", &t.told.Wait) },
	})
	return t
}

func (t *trip) connectDone(_, _ string, err error) {
	t.end("connect", &t.told.Connect)
	var f *fault.Fault
	if err != nil && !errors.As(err, &f) && !errors.Is(err, context.Canceled) {
		t.with(func() { t.elsewhere = true })
	}
}

func (t *trip) with(do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	do()
}

func (t *trip) begin(phase string) { t.with(func() { t.began[phase] = time.Now() }) }

func (t *trip) end(phase string, took *time.Duration) {
	t.with(func() {
		if at, ok := t.began[phase]; ok {
			*took = time.Since(at)
		}
	})
}

func (t *trip) answered(r *http.Response) {
	t.with(func() {
		t.told.Proto, t.told.Written = r.Proto, true
		if r.TLS != nil {
			t.told.TLS = tls.VersionName(r.TLS.Version)
		}
	})
}

// finish frees the trip's context and copies what it saw.
func (t *trip) finish(into *Trip) {
	t.cancel()
	t.with(func() {
		t.told.Host, t.told.Requests, t.told.Token = into.Host, into.Requests, into.Token
		*into = t.told
	})
}
