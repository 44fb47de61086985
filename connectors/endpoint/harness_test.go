package endpoint

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// receiver is an https server of this machine, which tests reach as public.
func receiver(t *testing.T, h http.HandlerFunc) (*httptest.Server, *Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, NewForTest(t, Options{RootCAs: trusting(server)})
}

func trusting(servers ...*httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, s := range servers {
		pool.AddCert(s.Certificate())
	}
	return pool
}

// rawServer is a receiver below HTTP: it is given each connection as it comes.
func rawServer(t *testing.T, handle func(conn *net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	var conns sync.Map
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Range(func(c, _ any) bool { return c.(net.Conn).Close() == nil || true })
		open.Wait()
	})
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, true)
			open.Go(func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	return "http://" + listener.Addr().String()
}

// takes reads one whole request off a connection.
func takes(t *testing.T, conn net.Conn) {
	buffer := make([]byte, 64<<10)
	got := []byte{}
	for {
		n, err := conn.Read(buffer)
		got = append(got, buffer[:n]...)
		if err != nil || len(got) > 0 && got[len(got)-1] == '}' {
			assert.NoError(t, err)
			return
		}
	}
}

func private(url string) Request {
	return Request{Endpoint: "erp", URL: url, Network: Private, Body: []byte(`{"event":"x"}`)}
}

func public(url string) Request {
	return Request{Endpoint: "erp", URL: url, Body: []byte(`{"event":"x"}`)}
}

func answers(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name, v := range header {
			w.Header().Set(name, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func send(c *Client, r Request) Attempt { return c.Send(context.Background(), r) }

// failed asserts an attempt that was not delivered, and that an operator can
// read what to do.
func failed(t *testing.T, a Attempt, outcome Outcome, code string) {
	t.Helper()
	require.NotNil(t, a.Fault, "%+v", a)
	assert.Equal(t, code, a.Fault.Code, "%s / %s", a.Fault.Message, a.Fault.Detail)
	assert.Equal(t, outcome, a.Outcome)
	assert.NotEmpty(t, a.Fault.Message)
	assert.NotEmpty(t, a.Fault.Resolution)
	assert.Equal(t, "erp", a.Fault.Family, "an endpoint's failures are one family")
}

// certificate makes a self-signed one for 127.0.0.1, with its errors.
func certificate(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "receiver"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// quiet is for servers whose handshakes are meant to fail.
var quiet = log.New(io.Discard, "", 0)
