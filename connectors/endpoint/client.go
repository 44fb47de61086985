package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"time"

	"towpath/connectors/httpx"
)

// Client sends to all endpoints of a process. It is safe for concurrent use.
type Client struct {
	public, private door
	tokens          *tokens
	now             func() time.Time
}

// door is the way into one network. Connections are never shared between the
// two: one that was dialed for a private endpoint is no way in for a public one.
type door struct {
	web   *http.Client
	base  *http.Transport
	allow func(netip.Addr) bool
}

// Options of New.
type Options struct {
	// RootCAs are the authorities whose certificates are believed; the
	// system's when nil.
	RootCAs *x509.CertPool
	// UserAgent is sent with every webhook; "Towpath" when empty.
	UserAgent string
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	loopback bool          // NewForTest only
	resolver *net.Resolver // our own tests only
}

// New makes a client. It dials nothing.
func New(o Options) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Client{now: o.Now, public: o.door(false), private: o.door(true)}
	c.tokens = newTokens(o.Now)
	return c
}

// tester is what a *testing.T is to us; production code has none at hand.
type tester interface {
	Helper()
	Cleanup(func())
}

// NewForTest makes a client that also reaches servers on this machine as if
// they were public, so that tests can use their own. Only a test can ask for
// it, no configuration does.
func NewForTest(t tester, o Options) *Client {
	t.Helper()
	o.loopback = true
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

// Close ends idle connections; attempts in flight go on.
func (c *Client) Close() {
	c.public.base.CloseIdleConnections()
	c.private.base.CloseIdleConnections()
}

func (c *Client) door(n Network) door {
	if n == Private {
		return c.private
	}
	return c.public
}

func (o Options) door(private bool) door {
	allow := func(a netip.Addr) bool {
		return httpx.Allowed(a, private) || o.loopback && a.Unmap().IsLoopback()
	}
	base := httpx.Dialing(allow, o.resolver)
	base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}
	// Many endpoints with few deliveries each: little is kept per host.
	base.MaxIdleConns, base.MaxIdleConnsPerHost = 256, 8
	base.MaxResponseHeaderBytes = maxHeader
	// A packed answer could unpack to anything, and nobody needs one.
	base.DisableCompression = true
	// A dead HTTP/2 connection would swallow every attempt until its end.
	base.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	return door{allow: allow, base: base, web: httpx.NewClient(httpx.Options{
		Room: "webhook", Base: base, UserAgent: o.UserAgent, MaxBody: maxAnswer,
		Timeout: -1, // each attempt brings its own
	})}
}

const (
	maxHeader = 64 << 10
	maxAnswer = 64 << 10
)
