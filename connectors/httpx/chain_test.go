package httpx_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

type got struct {
	status int
	body   string
	header http.Header
}

func do(c *http.Client, r *http.Request) (got, error) {
	resp, err := c.Do(r)
	if err != nil {
		return got{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, string(body), resp.Header}, err
}

func get(ctx context.Context, c *http.Client, url string) (got, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return got{}, err
	}
	return do(c, r)
}

func post(ctx context.Context, c *http.Client, url, body string) (got, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return got{}, err
	}
	return do(c, r)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestSizeCap(t *testing.T) {
	long := strings.Repeat("x", 1000)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long) })
	ctx := context.Background()

	exact := httpx.NewClient(httpx.Options{Room: "shop", Private: true, MaxBody: 1000})
	answer, err := get(ctx, exact, url)
	require.NoError(t, err)
	assert.Equal(t, long, answer.body)

	short := httpx.NewClient(httpx.Options{Room: "shop", Private: true, MaxBody: 999})
	answer, err = get(ctx, short, url)
	assert.Equal(t, "shop.answer_too_large", fault.Of(err).Code)
	assert.Len(t, answer.body, 999)
	assert.Equal(t, fault.Unsupported, fault.Of(err).Kind)
	_, err = post(ctx, short, url, "x")
	assert.Equal(t, fault.Uncertain, fault.Of(err).Kind, "the write was done")
}

// A small answer that unpacks to a huge one is capped as well.
func TestSizeCapAfterDecompression(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.Copy(z, io.LimitReader(zeros{}, 10<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	answer, err := get(context.Background(), httpx.NewClient(httpx.Options{Private: true, MaxBody: 1 << 20}), url)
	assert.Equal(t, "http.answer_too_large", fault.Of(err).Code)
	assert.Len(t, answer.body, 1<<20)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What a failure means depends on how far the request got and whether it may
// be repeated.
func TestHowFarItGot(t *testing.T) {
	resets := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	trickles := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	client := httpx.NewClient(httpx.Options{Room: "shop", Private: true, Timeout: time.Second})
	safe := httpx.RetrySafe(context.Background())
	for name, url := range map[string]string{"resets": resets, "hangs": hangs, "trickles": trickles} {
		t.Run(name, func(t *testing.T) {
			_, err := post(context.Background(), client, url, "write")
			assert.Equal(t, fault.Uncertain, fault.Of(err).Kind)
			assert.Equal(t, "shop.no_answer", fault.Of(err).Code)
			_, err = post(safe, client, url, "read")
			assert.Equal(t, fault.Transient, fault.Of(err).Kind)
			_, err = get(context.Background(), client, url)
			assert.Equal(t, fault.Transient, fault.Of(err).Kind)
		})
	}

	t.Run("never accepted", func(t *testing.T) {
		_, err := post(context.Background(), client, "http://127.0.0.1:1", "write")
		assert.Equal(t, fault.Transient, fault.Of(err).Kind)
		assert.Equal(t, "shop.unreachable", fault.Of(err).Code)
	})
	t.Run("broken off while it is written", func(t *testing.T) {
		// The server closes after the header of a body far larger than all
		// buffers: it cannot have the whole request.
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		go func() {
			if conn, err := listener.Accept(); err == nil {
				_, _ = conn.Read(make([]byte, 1024))
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
			}
		}()
		slow := httpx.NewClient(httpx.Options{Room: "shop", Private: true, Timeout: time.Minute})
		_, err = post(context.Background(), slow, "http://"+listener.Addr().String(), strings.Repeat("x", 64<<20))
		assert.Equal(t, fault.Transient, fault.Of(err).Kind, fault.Of(err).Detail)
	})
	t.Run("given up before it was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := post(ctx, client, resets, "write")
		assert.Equal(t, "shop.cancelled", fault.Of(err).Code)
		assert.Equal(t, fault.Transient, fault.Of(err).Kind)
	})
}

func TestRedirectsAreReturned(t *testing.T) {
	followed := false
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed = true
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	answer, err := post(context.Background(), httpx.NewClient(httpx.Options{Private: true}), url, "x")
	require.NoError(t, err)
	assert.Equal(t, http.StatusTemporaryRedirect, answer.status)
	assert.False(t, followed)
}

func TestAuthAndTrace(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "Bearer s3cret-token", r.Header.Get("Authorization"))
		assert.Equal(t, "Towpath", r.Header.Get("User-Agent"))
		assert.Empty(t, r.Header["Idempotency-Key"], "only a mark for net/http")
		w.WriteHeader(http.StatusTeapot)
	})
	var seen []httpx.Exchange
	client := httpx.NewClient(httpx.Options{
		Room: "shop", Private: true,
		Auth:  func(r *http.Request) error { r.Header.Set("Authorization", "Bearer s3cret-token"); return nil },
		Trace: func(e httpx.Exchange) { seen = append(seen, e) },
	})
	r, err := http.NewRequest(http.MethodGet, url+"/path?token=s3cret-token", nil)
	require.NoError(t, err)
	_, err = do(client, r)
	require.NoError(t, err)
	assert.Empty(t, r.Header, "the caller's request is not changed")
	require.Len(t, seen, 1)
	assert.Equal(t, http.StatusTeapot, seen[0].Status)
	assert.Equal(t, "/path", seen[0].Path)
	assert.True(t, seen[0].Sent)
	assert.Positive(t, seen[0].Took)

	refused := httpx.NewClient(httpx.Options{Private: true, Auth: func(*http.Request) error {
		return fault.New(fault.Unauthorized, "shop.no_token", "no token")
	}})
	_, err = get(context.Background(), refused, url)
	assert.Equal(t, "shop.no_token", fault.Of(err).Code)
}

// A base transport is where tests and fault injection sit; its faults pass.
func TestBaseTransport(t *testing.T) {
	broken := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("injected") })
	_, err := post(context.Background(), httpx.NewClient(httpx.Options{Room: "shop", Base: broken}), "http://x", "y")
	assert.Equal(t, fault.Transient, fault.Of(err).Kind, "nobody took the body")
	takes := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return nil, errors.New("injected")
	})
	_, err = post(context.Background(), httpx.NewClient(httpx.Options{Room: "shop", Base: takes}), "http://x", "y")
	assert.Equal(t, fault.Uncertain, fault.Of(err).Kind)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
