package httpx

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Defaults of Options.
const (
	DefaultTimeout = 30 * time.Second
	DefaultMaxBody = 16 << 20
)

// Options say how a system is talked to.
type Options struct {
	// Room starts the codes of faults: "odoo" gives "odoo.unreachable".
	Room string
	// Timeout bounds the whole exchange, reading the answer included. Zero is
	// DefaultTimeout; negative is none.
	Timeout time.Duration
	// MaxBody caps the answer in bytes, after decompression; DefaultMaxBody
	// when zero. A longer one fails while it is read.
	MaxBody int64
	// Private allows loopback and private networks: an operator's own choice,
	// never that of a partner who supplies a URL.
	Private bool
	// Base sends the requests; nil dials by itself behind Guard. Tests and the
	// worker's fault injection put their own here, which is then not guarded.
	Base http.RoundTripper
	// Auth signs or adds credentials just before a request leaves. It may
	// change the request's headers.
	Auth func(*http.Request) error
	// Trace is told of every exchange, without secrets. It must be quick.
	Trace func(Exchange)
	// UserAgent is sent where the request has none; "Towpath" when empty.
	UserAgent string
}

// NewClient builds a client that follows no redirects: a redirected write
// would lose its body or its credentials, and a redirect is the usual way
// around an address guard. The 3xx answer is returned as it is.
func NewClient(o Options) *http.Client {
	return &http.Client{
		Transport:     NewTransport(o),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewTransport builds the chain without the client around it. Errors of its
// RoundTrip, and of reading the answer's body, are faults.
func NewTransport(o Options) http.RoundTripper {
	if o.Room == "" {
		o.Room = "http"
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.UserAgent == "" {
		o.UserAgent = "Towpath"
	}
	if o.Base == nil {
		o.Base = Dialing(func(addr netip.Addr) bool { return Allowed(addr, o.Private) }, nil)
	}
	return &chain{o}
}

// Dialing is the default base: pooled connections behind a guard that asks
// allow about every address really dialed (usually Allowed). Names go through
// the resolver, nil for the system's. It takes no proxy from the environment,
// which would dial in our place, unguarded.
func Dialing(allow func(netip.Addr) bool, resolver *net.Resolver) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, ControlContext: guard(allow), Resolver: resolver}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 32,
		// Shorter than the keep-alive of common servers and proxies, so that
		// we rarely write into a connection that the other side is closing.
		IdleConnTimeout: 30 * time.Second,
	}
}

type retrySafe struct{}

// RetrySafe marks the requests made with ctx as harmless to repeat: they only
// read, or carry an idempotency key. Without it only GET, HEAD and OPTIONS are.
// The transport itself repeats such a request once when it ran into a
// connection that the other side had just closed.
func RetrySafe(ctx context.Context) context.Context {
	return context.WithValue(ctx, retrySafe{}, true)
}

// IsRetrySafe reports whether a request may be repeated without harm.
func IsRetrySafe(r *http.Request) bool {
	if marked, _ := r.Context().Value(retrySafe{}).(bool); marked {
		return true
	}
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}
