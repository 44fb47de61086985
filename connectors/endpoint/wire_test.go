package endpoint

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Receivers that misbehave below HTTP. Whatever they do, the attempt ends in
// its time and the webhook is sent again.
func TestBrokenReceivers(t *testing.T) {
	for name, c := range map[string]struct {
		handle func(*testing.T, *net.TCPConn)
		code   string
	}{
		"closes after receipt": {func(t *testing.T, c *net.TCPConn) { takes(t, c) }, "webhook.no_answer"},
		"resets after receipt": {func(t *testing.T, c *net.TCPConn) { takes(t, c); _ = c.SetLinger(0) }, "webhook.no_answer"},
		"closes at once":       {func(_ *testing.T, c *net.TCPConn) { _ = c.SetLinger(0) }, ""},
		"breaks off in the header": {func(t *testing.T, c *net.TCPConn) {
			takes(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le")
		}, "webhook.no_answer"},
		"speaks something else": {func(t *testing.T, c *net.TCPConn) {
			takes(t, c)
			_, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n")
		}, "webhook.not_http"},
		"sends endless headers": {func(t *testing.T, c *net.TCPConn) {
			takes(t, c)
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for err == nil {
				_, err = io.WriteString(c, "X-More: "+strings.Repeat("x", 4096)+"\r\n")
			}
		}, "webhook.no_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := rawServer(t, func(conn *net.TCPConn) { c.handle(t, conn) })
			a := send(NewForTest(t, Options{}), private(url))
			if c.code == "" { // the kernel decides whether the request still went out
				require.NotNil(t, a.Fault)
				assert.Contains(t, []string{"webhook.no_answer", "webhook.broken_off", "webhook.unreachable"}, a.Fault.Code)
				assert.Equal(t, Retry, a.Outcome)
				return
			}
			failed(t, a, Retry, c.code)
			assert.True(t, a.Trip.Written)
			assert.Less(t, a.Took, DefaultTimeout)
		})
	}
}

// Slow ones end by the time limit, which covers everything.
func TestSlowReceivers(t *testing.T) {
	drip := func(c *net.TCPConn, text string) {
		for _, b := range []byte(text) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		_, _ = io.Copy(io.Discard, c) // until we hang up
	}
	for name, handle := range map[string]func(*testing.T, *net.TCPConn){
		"hangs": func(t *testing.T, c *net.TCPConn) { takes(t, c); _, _ = io.Copy(io.Discard, c) },
		"drips its header": func(t *testing.T, c *net.TCPConn) {
			takes(t, c)
			drip(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1000))
		},
		"says 100 for ever": func(t *testing.T, c *net.TCPConn) {
			takes(t, c)
			drip(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := private(rawServer(t, func(conn *net.TCPConn) { handle(t, conn) }))
			r.Timeout = time.Second
			a := send(NewForTest(t, Options{}), r)
			if a.Fault != nil && a.Fault.Code != "webhook.no_answer" { // too many 103s are an error of their own
				failed(t, a, Retry, "webhook.timeout")
			}
			assert.Equal(t, Retry, a.Outcome)
			assert.Less(t, a.Took, DefaultTimeout)
		})
	}
	t.Run("never reads the body", func(t *testing.T) {
		t.Parallel()
		r := private(rawServer(t, func(c *net.TCPConn) { <-t.Context().Done() }))
		r.Timeout, r.Body = time.Second, make([]byte, 64<<20)
		failed(t, send(NewForTest(t, Options{}), r), Retry, "webhook.timeout")
	})
	t.Run("never shakes hands", func(t *testing.T) {
		t.Parallel()
		url := rawServer(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
		r := private("https" + strings.TrimPrefix(url, "http"))
		r.Timeout = time.Second
		failed(t, send(NewForTest(t, Options{}), r), Retry, "webhook.connect_timeout")
	})
}

// Once the status is there it decides: a body that drips, breaks or never ends
// is no reason to send again what was received, nor to wait for it.
func TestStatusDecidesOverTheBody(t *testing.T) {
	for name, c := range map[string]struct {
		after func(*net.TCPConn)
		body  string
	}{
		"breaks off": {func(c *net.TCPConn) { _, _ = io.WriteString(c, "half") }, "half"},
		"hangs":      {func(c *net.TCPConn) { _, _ = io.WriteString(c, "half"); _, _ = io.Copy(io.Discard, c) }, "half"},
		"never ends": {func(c *net.TCPConn) {
			_, err := io.WriteString(c, strings.Repeat("x", 1<<20))
			for err == nil {
				_, err = io.WriteString(c, strings.Repeat("x", 1<<20))
			}
		}, strings.Repeat("x", MaxText)},
	} {
		for status, want := range map[int]Outcome{200: Delivered, 410: Disable, 400: Park} {
			t.Run(fmt.Sprintf("%s %d", name, status), func(t *testing.T) {
				t.Parallel()
				a := send(NewForTest(t, Options{}), private(rawServer(t, func(conn *net.TCPConn) {
					takes(t, conn)
					_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: 1000000000\r\n\r\n", status)
					c.after(conn)
				})))
				assert.Equal(t, want, a.Outcome)
				assert.Equal(t, status, a.Status)
				assert.Equal(t, c.body, a.Body)
				assert.True(t, a.Cut)
				assert.Less(t, a.Took, DefaultTimeout)
			})
		}
	}
}

// A packed answer is not asked for, and one that comes all the same is never
// unpacked: a few kilobytes could become gigabytes.
func TestPackedAnswersStayPacked(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(make([]byte, 32<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	server, client := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	r := public(server.URL)
	r.Header = http.Header{"Accept-Encoding": {"gzip"}}
	a := send(client, r)
	assert.Equal(t, Delivered, a.Outcome)
	assert.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	assert.True(t, strings.HasPrefix(a.Body, "\x1f\uFFFD"), "as it came")
	assert.LessOrEqual(t, utf8.RuneCountInString(a.Body), MaxText)
	assert.True(t, a.Cut)
}

// A switch of protocols leaves a connection that no deadline ends.
func TestSwitchingProtocols(t *testing.T) {
	a := send(NewForTest(t, Options{}), private(rawServer(t, func(c *net.TCPConn) {
		takes(t, c)
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})))
	failed(t, a, Retry, "webhook.odd_status")
	assert.Less(t, a.Took, DefaultTimeout)
}

func TestConnectionRefused(t *testing.T) {
	a := send(NewForTest(t, Options{}), private("http://127.0.0.1:1"))
	failed(t, a, Retry, "webhook.connection_refused")
	assert.False(t, a.Trip.Written)
}

// A connection that the receiver closed while it was idle costs no attempt.
func TestStaleConnection(t *testing.T) {
	var connections atomic.Int32
	idle := make(chan struct{})
	url := rawServer(t, func(c *net.TCPConn) {
		first := connections.Add(1) == 1
		takes(t, c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if first {
			takes(t, c) // the next request is on its way when the receiver closes
			_ = c.SetLinger(0)
			close(idle)
		}
	})
	client := NewForTest(t, Options{})
	require.Equal(t, Delivered, send(client, private(url)).Outcome)
	second := send(client, private(url))
	<-idle
	assert.Equal(t, Delivered, second.Outcome, "%+v", second.Fault)
	assert.EqualValues(t, 2, connections.Load())
}

func TestTLS(t *testing.T) {
	serve := func(t *testing.T, change func(*x509.Certificate), config func(*tls.Config)) (string, *x509.CertPool) {
		cert, pool := certificate(t, change)
		server := httptest.NewUnstartedServer(answers(200, nil, ""))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		if config != nil {
			config(server.TLS)
		}
		server.Config.ErrorLog = quiet
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL, pool
	}
	good := func(*x509.Certificate) {}
	for name, c := range map[string]struct {
		change  func(*x509.Certificate)
		config  func(*tls.Config)
		strange bool // the authority is not believed
		code    string
	}{
		"good":    {change: good},
		"TLS 1.2": {change: good, config: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		"expired": {change: func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) }, code: "webhook.certificate_expired"},
		"not yet": {change: func(x *x509.Certificate) { x.NotBefore = time.Now().Add(30 * time.Minute) }, code: "webhook.certificate_expired"},
		"another name": {change: func(x *x509.Certificate) { x.IPAddresses, x.DNSNames = nil, []string{"partner.example"} },
			code: "webhook.certificate_name"},
		"unknown authority": {change: good, strange: true, code: "webhook.certificate_untrusted"},
		"not for servers": {change: func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
			code: "webhook.certificate_invalid"},
		"TLS 1.1":                {change: good, config: func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, code: "webhook.tls_failed"},
		"wants our certificate":  {change: good, config: func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, code: "webhook.tls_failed"},
		"believes nobody's name": {change: good, strange: true, config: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, code: "webhook.certificate_untrusted"},
	} {
		t.Run(name, func(t *testing.T) {
			url, pool := serve(t, c.change, c.config)
			if c.strange {
				_, pool = certificate(t, func(x *x509.Certificate) { x.SerialNumber.SetInt64(2) })
			}
			a := send(NewForTest(t, Options{RootCAs: pool}), public(url))
			if c.code == "" {
				assert.Equal(t, Delivered, a.Outcome, "%+v", a.Fault)
				return
			}
			failed(t, a, Retry, c.code)
			assert.False(t, a.Trip.Written, "nothing is sent to whom we do not know")
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		server := httptest.NewServer(answers(200, nil, ""))
		defer server.Close()
		failed(t, send(NewForTest(t, Options{}), public("https"+strings.TrimPrefix(server.URL, "http"))), Retry, "webhook.no_tls")
	})
}
