package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/pool"
	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/storetest"
)

func TestHooksByWhatBecomesOfThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	sign := []string{"Signature", secret}
	big := strings.Repeat("x", 1001)
	for name, c := range map[string]struct {
		path    string
		body    io.Reader
		headers []string
		status  int
		want    string // data.status or error.code
	}{
		"accepted":                {"/webhooks/shopify/shop", strings.NewReader(`{}`), sign, 202, "accepted"},
		"as large as allowed":     {"/webhooks/shopify/shop", strings.NewReader(big[1:]), sign, 202, "accepted"},
		"nobody handles":          {"/webhooks/shopify/shop", strings.NewReader(`{}`), append(sign, "Topic", "unhandled"), 202, "ignored"},
		"forged":                  {"/webhooks/shopify/shop", strings.NewReader(`{"email":"` + email + `"}`), nil, 401, "test.signature_wrong"},
		"bad body":                {"/webhooks/shopify/shop", strings.NewReader(email), append(sign, "Topic", "bad"), 400, "test.bad_body"},
		"empty":                   {"/webhooks/shopify/shop", nil, sign, 400, "api.empty"},
		"too large":               {"/webhooks/shopify/shop", strings.NewReader(big), sign, 413, "api.too_large"},
		"too large, in chunks":    {"/webhooks/shopify/shop", io.MultiReader(strings.NewReader(big)), sign, 413, "api.too_large"},
		"unknown connection":      {"/webhooks/shopify/nope", strings.NewReader(`{}`), sign, 404, "api.unknown_connection"},
		"another kind":            {"/webhooks/woo/shop", strings.NewReader(`{}`), sign, 404, "api.unknown_connection"},
		"no such kind":            {"/webhooks/nope/shop", strings.NewReader(`{}`), sign, 404, "api.unknown_connection"},
		"takes no webhooks":       {"/webhooks/deaf/odoo", strings.NewReader(`{}`), sign, 404, "api.unknown_connection"},
		"its own kind":            {"/webhooks/woo/other", strings.NewReader(`{}`), sign, 202, "accepted"},
		"by shop":                 {"/webhook/shopify", strings.NewReader(`{}`), append(sign, "X-Shopify-Shop-Domain", "a.EXAMPLE"), 202, "accepted"},
		"by shop, other address":  {"/shopify/webhook", strings.NewReader(`{}`), append(sign, "X-Shopify-Shop-Domain", "a.example"), 202, "accepted"},
		"by unknown shop":         {"/webhook/shopify", strings.NewReader(`{}`), append(sign, "X-Shopify-Shop-Domain", "b.example"), 404, "api.unknown_connection"},
		"by part of a shop":       {"/webhook/shopify", strings.NewReader(`{}`), append(sign, "X-Shopify-Shop-Domain", "example"), 404, "api.unknown_connection"},
		"by no shop":              {"/webhook/shopify", strings.NewReader(`{}`), sign, 404, "api.unknown_connection"},
		"by shop, forged":         {"/webhook/shopify", strings.NewReader(`{}`), []string{"X-Shopify-Shop-Domain", "a.example"}, 401, "test.signature_wrong"},
		"no such address":         {"/nowhere", strings.NewReader(`{}`), sign, 404, "api.no_route"},
		"a method nobody expects": {"/healthz", strings.NewReader(`{}`), sign, 405, "api.method"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.ask(t, http.MethodPost, c.path, c.body, c.headers...)
			require.Equal(t, c.status, r.Status, string(r.Body))
			require.Equal(t, c.want, r.Data.Status+r.Error.Code)
			require.Equal(t, r.Status >= 400, r.Error.Message != "")
			require.Empty(t, r.Header.Get("Retry-After"), "only what may succeed later is to be sent again")
		})
	}
	require.NotContains(t, w.log.String(), secret)
	require.NotContains(t, w.log.String(), email)
	require.Contains(t, w.log.String(), `"fault":"test.signature_wrong"`)
}

// Promise 1 from the sender's side: a delivery that is sent twice is accepted
// once, answered 202 twice, and rests in PostgreSQL byte by byte.
func TestHookIsCommittedBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	dsn := storetest.NewDatabase(t)
	s := storetest.OpenAt(t, dsn)
	db := storetest.Query(t, dsn)
	in := s.NewInbox(nil)
	defer in.Close()
	w := newWorld(t, func(w *world) { w.deps.Inbox, w.deps.Ready = in, s.Ping })
	body := "{ \"id\":1 ,\t\"name\":\"gr\u00f6\u00dfe\" }\n"
	r := w.hook(t, body, "Delivery", "d1")
	require.Equal(t, "202 accepted 1", fmt.Sprint(r.Status, " ", r.Data.Status, " ", r.Data.Events))
	r = w.hook(t, body, "Delivery", "d1")
	require.Equal(t, "202 duplicate 0", fmt.Sprint(r.Status, " ", r.Data.Status, " ", r.Data.Events))
	var kept []byte
	require.NoError(t, db.QueryRow(`SELECT body FROM inbound_body`).Scan(&kept))
	require.Equal(t, body, string(kept))

	r = w.hook(t, body, "Delivery", "not utf8 \xff")
	require.Equal(t, "400 store.refused", fmt.Sprint(r.Status, " ", r.Error.Code), "it can never be stored: no reason to send it again")

	require.Equal(t, 200, w.ask(t, http.MethodGet, "/readyz", nil).Status)
	require.NoError(t, s.Close()) // PostgreSQL is gone
	for _, path := range []string{"/readyz"} {
		r := w.ask(t, http.MethodGet, path, nil)
		require.Equal(t, 503, r.Status)
		require.NotEmpty(t, r.Header.Get("Retry-After"))
	}
	r = w.hook(t, body, "Delivery", "d2")
	require.Equal(t, 503, r.Status)
	require.NotEmpty(t, r.Header.Get("Retry-After"))
	require.Equal(t, 200, w.ask(t, http.MethodGet, "/healthz", nil).Status, "the process lives")
}

// Whatever ails what lies behind: never 2xx, always "later".
func TestWhatIsDownIsToBeSentAgain(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Transient, "store.unreachable", "PostgreSQL does not answer")
	for name, change := range map[string]func(*world){
		"inbox down": func(w *world) {
			w.deps.Inbox = inboxFunc(func(context.Context, []store.Inbound) (int, error) { return 0, down })
		},
		"inbox with an unknown error": func(w *world) {
			w.deps.Inbox = inboxFunc(func(context.Context, []store.Inbound) (int, error) { return 0, errors.New(email) })
		},
		"inbox refused by credentials": func(w *world) {
			w.deps.Inbox = inboxFunc(func(context.Context, []store.Inbound) (int, error) {
				return 0, fault.New(fault.Unauthorized, "store.credentials", "PostgreSQL refused the user or password")
			})
		},
		"connections down": func(w *world) {
			w.load = func(context.Context, string) (pool.Stored, error) { return pool.Stored{}, down }
			w.deps.Connections = func(context.Context) ([]store.Connection, error) { return nil, down }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, change)
			for _, path := range []string{"/webhooks/shopify/shop", "/webhook/shopify"} {
				r := w.ask(t, http.MethodPost, path, strings.NewReader(`{}`), "Signature", secret, "X-Shopify-Shop-Domain", "a.example")
				require.Equal(t, 503, r.Status, string(r.Body))
				require.NotEmpty(t, r.Header.Get("Retry-After"))
			}
			require.NotContains(t, w.log.String(), email)
		})
	}
}

// Senders hang up after five seconds: the answer comes before.
func TestASlowInboxIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error {
		limit, ok := ctx.Deadline()
		assert.True(t, ok, "it would hang for ever")
		assert.Less(t, time.Until(limit), 4500*time.Millisecond, "and leave time for the answer")
		<-ctx.Done()
		return fault.New(fault.Transient, "test.hangs", "late").WithCause(ctx.Err())
	}
	for name, change := range map[string]func(*world){
		"inbox": func(w *world) {
			w.deps.Inbox = inboxFunc(func(ctx context.Context, _ []store.Inbound) (int, error) { return 0, hang(ctx) })
		},
		"connections": func(w *world) {
			w.load = func(ctx context.Context, _ string) (pool.Stored, error) { return pool.Stored{}, hang(ctx) }
			w.deps.Connections = func(ctx context.Context) ([]store.Connection, error) { return nil, hang(ctx) }
		},
	} {
		for _, path := range []string{"/webhooks/shopify/shop", "/webhook/shopify"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, change)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+path, strings.NewReader(`{}`))
				require.NoError(t, err)
				r.Header.Set("Signature", secret)
				r.Header.Set("X-Shopify-Shop-Domain", "a.example")
				answer, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				_ = answer.Body.Close()
				require.Equal(t, 503, answer.StatusCode)
			})
		}
	}
}

func TestAParserThatPanicsCostsOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, topic := range []string{"panic", "out of range"} {
		r := w.hook(t, `{"email":"`+email+`"}`, "Topic", topic)
		require.Equal(t, 503, r.Status)
		require.Equal(t, "api.defect", r.Error.Code)
	}
	require.Equal(t, 202, w.hook(t, `{}`).Status, "the process lives")
	log := w.log.String()
	require.NotContains(t, log, email, "a panic may quote the body")
	require.NotContains(t, log, secret)
	require.Contains(t, log, "ParseHook", "where it broke off")
	require.Contains(t, log, "slice bounds out of range", "the runtime's own words")
}

// A sender that goes away in the middle of its body leaves nothing behind.
func TestClientLeavesMidBody(t *testing.T) {
	t.Parallel()
	accepted := make(chan int, 10)
	w := newWorld(t, func(w *world) {
		w.deps.Inbox = inboxFunc(func(_ context.Context, b []store.Inbound) (int, error) { accepted <- len(b); return len(b), nil })
	})
	for _, head := range []string{"Content-Length: 500\r\n\r\n{\"half\":", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"hal"} {
		conn, err := net.Dial("tcp", w.Listener.Addr().String())
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /webhooks/shopify/shop HTTP/1.1\r\nHost: x\r\nSignature: %s\r\n%s", secret, head)
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, 400, answer.StatusCode)
		_ = answer.Body.Close()
		_ = conn.Close()
	}
	require.Empty(t, accepted, "half a body is never accepted")
	require.Equal(t, 202, w.hook(t, `{}`).Status)
	require.NotContains(t, w.log.String(), secret)
}

func TestHealthMetricsAndContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	require.Equal(t, 202, w.hook(t, `{}`).Status)
	require.Equal(t, 200, w.ask(t, http.MethodGet, "/healthz", nil).Status)
	require.Equal(t, 200, w.ask(t, http.MethodGet, "/readyz", nil).Status)
	metrics := w.ask(t, http.MethodGet, "/metrics", nil)
	require.Contains(t, string(metrics.Body), `towpath_hooks_received_total{connection="shop",result="accepted"}`)
	served := w.ask(t, http.MethodGet, "/openapi.yaml", nil)
	require.Equal(t, 200, served.Status)
	require.Contains(t, string(served.Body), "openapi: 3.0.3")
}

// Whatever strangers ask for becomes no label: labels cost memory for ever.
func TestStrangersMakeNoMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.ask(t, http.MethodPost, "/webhooks/shopify/stranger-4711", strings.NewReader(`{}`))
	w.ask(t, http.MethodGet, "/stranger-4711", nil)
	require.NotContains(t, string(w.ask(t, http.MethodGet, "/metrics", nil).Body), "stranger-4711")
}

func TestNotReadySaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.deps.Ready = func(context.Context) error {
			return fault.New(fault.Unauthorized, "store.credentials", "PostgreSQL refused the user or password").WithResolution("check them")
		}
	})
	r := w.ask(t, http.MethodGet, "/readyz", nil)
	require.Equal(t, 503, r.Status)
	require.Equal(t, "store.credentials", r.Error.Code)
	require.Equal(t, "check them", r.Error.Resolution)
}
