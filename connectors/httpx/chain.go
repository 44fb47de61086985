package httpx

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"towpath/schema/fault"
)

// Exchange is one request and what came of it. It holds no query, body,
// header or credential.
type Exchange struct {
	Room   string
	Method string
	Host   string
	Path   string
	Status int // 0: no answer
	Sent   bool
	Took   time.Duration // until the answer's header
	Err    error         // a fault, when there was no answer
}

// chain is the round tripper of NewTransport.
type chain struct{ o Options }

// RoundTrip sends one request through the chain.
func (c *chain) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := c.deadline(r.Context())
	call := &exchange{room: c.o.Room, safe: IsRetrySafe(r), ctx: ctx}
	out := call.watch(r)
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", c.o.UserAgent)
	}
	if _, set := out.Header["Idempotency-Key"]; call.safe && !set {
		out.Header["Idempotency-Key"] = []string{} // net/http: may be repeated; the header is not sent
	}
	if c.o.Auth != nil {
		if err := c.o.Auth(out); err != nil {
			cancel()
			closeBody(r)
			return nil, fault.Of(err)
		}
	}

	start := time.Now()
	answer, err := c.o.Base.RoundTrip(out)
	if err != nil {
		err = call.fault(err)
	}
	c.trace(out, answer, call, time.Since(start), err)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = &cappedBody{from: answer.Body, left: c.o.MaxBody, call: call, done: cancel}
	return answer, nil
}

func (c *chain) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.o.Timeout < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.o.Timeout)
}

func (c *chain) trace(r *http.Request, answer *http.Response, call *exchange, took time.Duration, err error) {
	if c.o.Trace == nil {
		return
	}
	e := Exchange{Room: c.o.Room, Method: r.Method, Host: r.URL.Host, Path: r.URL.Path, Sent: call.sent(), Took: took, Err: err}
	if answer != nil {
		e.Status = answer.StatusCode
	}
	c.o.Trace(e)
}

// exchange remembers how far one request got.
type exchange struct {
	room    string
	safe    bool
	ctx     context.Context
	written atomic.Bool // the transport took the last byte of the request
	failed  atomic.Bool // … but could not write it all
}

// watch gives the request that is really sent. The request counts as written
// from the moment its body's last byte was taken: the transport may return on a
// deadline while the byte is on its way, before it reports WroteRequest.
func (x *exchange) watch(r *http.Request) *http.Request {
	trace := &httptrace.ClientTrace{
		WroteHeaders: func() {
			if r.Body == nil || r.Body == http.NoBody {
				x.written.Store(true)
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			x.written.Store(true)
			x.failed.Store(info.Err != nil)
		},
	}
	out := r.Clone(httptrace.WithClientTrace(x.ctx, trace))
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = &watchedBody{ReadCloser: r.Body, left: r.ContentLength, call: x}
		if again := r.GetBody; again != nil {
			out.GetBody = func() (io.ReadCloser, error) {
				body, err := again()
				return &watchedBody{ReadCloser: body, left: r.ContentLength, call: x}, err
			}
		}
	}
	return out
}

func (x *exchange) sent() bool { return x.written.Load() && !x.failed.Load() }

// watchedBody notes when the transport has taken the whole request body.
type watchedBody struct {
	io.ReadCloser
	left int64 // ≤ 0 at the start: length unknown
	call *exchange
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	known := b.left > 0
	b.left -= int64(n)
	if err == io.EOF || (known && b.left <= 0) {
		b.call.written.Store(true)
	}
	return n, err
}

// cappedBody is the answer's body: capped, and its failures are faults.
type cappedBody struct {
	from io.ReadCloser
	left int64
	call *exchange
	done context.CancelFunc
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.call.tooLarge()
	}
	// One byte beyond the cap tells "exactly as long" from "longer".
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.from.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return n - 1, b.call.tooLarge()
	case err != nil && err != io.EOF:
		return n, b.call.fault(err)
	}
	return n, err
}

// Close ends the exchange and frees its deadline.
func (b *cappedBody) Close() error {
	defer b.done()
	return b.from.Close()
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}
