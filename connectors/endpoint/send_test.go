package endpoint

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

// The bytes and headers arrive exactly as they were signed.
func TestExactBytes(t *testing.T) {
	body := []byte("{\"event\": \"sale.order.created\",\n  \"data\": {\"name\": \"Été ☀\", \"total\": 1.10}}")
	var got []byte
	var header http.Header
	server, client := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		header = r.Header
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/hooks/odoo", r.URL.Path)
		assert.Equal(t, "a=1&b=%20", r.URL.RawQuery)
		assert.EqualValues(t, len(body), r.ContentLength)
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("X-Request-Id", "r-7")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "taken")
	})
	r := public(server.URL + "/hooks/odoo?a=1&b=%20")
	r.Body = body
	r.Header = http.Header{
		"Webhook-Id": {"msg_1"}, "Webhook-Signature": {"v1,c2lnbmF0dXJl v1,b3RoZXI="},
		"Host": {"elsewhere.example"}, "Content-Length": {"1"}, "Connection": {"close"},
	}
	a := send(client, r)
	assert.Equal(t, Delivered, a.Outcome)
	assert.Nil(t, a.Fault)
	assert.Equal(t, http.StatusAccepted, a.Status)
	assert.Equal(t, body, got)
	assert.Equal(t, "msg_1", header.Get("Webhook-Id"))
	assert.Equal(t, "v1,c2lnbmF0dXJl v1,b3RoZXI=", header.Get("Webhook-Signature"))
	assert.Equal(t, "application/json", header.Get("Content-Type"))
	assert.Equal(t, "Towpath", header.Get("User-Agent"))
	assert.Empty(t, header["Accept-Encoding"])
	assert.Equal(t, "taken", a.Body)
	assert.Equal(t, "r-7", a.Header.Get("X-Request-Id"))
	assert.Empty(t, a.Header["Set-Cookie"])
	assert.Equal(t, "msg_1", a.SentHeader.Get("Webhook-Id"))
	assert.NotContains(t, a.SentHeader.Get("Webhook-Signature"), "c2ln")
	assert.Equal(t, string(body), a.SentBody)

	assert.Equal(t, "HTTP/2.0", a.Trip.Proto)
	assert.Equal(t, "TLS 1.3", a.Trip.TLS)
	assert.Equal(t, server.Listener.Addr().String(), a.Trip.Remote)
	assert.Equal(t, server.Listener.Addr().String(), a.Trip.Host)
	assert.True(t, a.Trip.Written)
	assert.False(t, a.Trip.Reused)
	assert.Equal(t, 1, a.Trip.Requests)
	assert.Positive(t, a.Trip.Secure)
	assert.Positive(t, a.Trip.Wait)
	assert.GreaterOrEqual(t, a.Took, a.Trip.Connect+a.Trip.Secure+a.Trip.Wait)
	assert.Equal(t, time.UTC, a.StartedAt.Location())

	again := send(client, r)
	assert.True(t, again.Trip.Reused, "connections are pooled")
	assert.Empty(t, header["Cookie"], "a receiver's cookies are not kept")
	line, err := json.Marshal(a.Fields())
	require.NoError(t, err)
	assert.Contains(t, string(line), `"outcome":"delivered"`)
	assert.NotContains(t, string(line), "hooks/odoo", "a path may be a secret")
}

func TestOutcomes(t *testing.T) {
	for status, want := range map[int]struct {
		outcome Outcome
		code    string
		kind    fault.Kind
	}{
		200: {outcome: Delivered}, 201: {outcome: Delivered}, 202: {outcome: Delivered}, 204: {outcome: Delivered}, 299: {outcome: Delivered},
		300: {Park, "webhook.redirected", fault.Invalid}, 301: {Park, "webhook.redirected", fault.Invalid},
		304: {Park, "webhook.redirected", fault.Invalid}, 307: {Park, "webhook.redirected", fault.Invalid},
		308: {Park, "webhook.redirected", fault.Invalid},
		400: {Park, "webhook.refused", fault.Invalid}, 401: {Park, "webhook.unauthorized", fault.Unauthorized},
		402: {Park, "webhook.refused", fault.Invalid}, 403: {Park, "webhook.forbidden", fault.Unauthorized},
		404: {Park, "webhook.not_found", fault.NotFound}, 405: {Park, "webhook.no_post", fault.Invalid},
		407: {Park, "webhook.proxy", fault.Unauthorized},
		408: {Retry, "webhook.receiver_timeout", fault.Transient}, 409: {Park, "webhook.conflict", fault.Conflict},
		410: {Disable, "webhook.gone", fault.NotFound}, 413: {Park, "webhook.too_large", fault.Invalid},
		415: {Park, "webhook.content_type", fault.Invalid}, 422: {Park, "webhook.refused", fault.Invalid},
		425: {Retry, "webhook.too_early", fault.Transient}, 429: {Retry, "webhook.rate_limited", fault.RateLimited},
		451: {Park, "webhook.refused", fault.Invalid}, 499: {Park, "webhook.refused", fault.Invalid},
		500: {Retry, "webhook.receiver_failed", fault.Transient}, 501: {Retry, "webhook.receiver_failed", fault.Transient},
		502: {Retry, "webhook.gateway", fault.Transient}, 503: {Retry, "webhook.unavailable", fault.Transient},
		504: {Retry, "webhook.gateway", fault.Transient}, 524: {Retry, "webhook.receiver_failed", fault.Transient},
		599: {Retry, "webhook.receiver_failed", fault.Transient}, 600: {Retry, "webhook.odd_status", fault.Transient},
		999: {Retry, "webhook.odd_status", fault.Transient},
	} {
		var tries int
		server, client := receiver(t, func(w http.ResponseWriter, r *http.Request) { tries++; answers(status, nil, "")(w, r) })
		a := send(client, public(server.URL))
		assert.Equal(t, status, a.Status)
		assert.Equal(t, want.outcome, a.Outcome, status)
		assert.Equal(t, 1, tries, "%d: one attempt is one request", status)
		if want.code == "" {
			assert.Nil(t, a.Fault, status)
			continue
		}
		failed(t, a, want.outcome, want.code)
		assert.Equal(t, want.kind, a.Fault.Kind, status)
		assert.Zero(t, a.RetryAfter, status)
		assert.Equal(t, want.outcome == Retry, fault.Retryable(a.Fault), "%d: the fault agrees with the outcome", status)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		status int
		header map[string]string
		want   time.Duration
	}{
		"seconds":             {429, map[string]string{"Retry-After": "120"}, 2 * time.Minute},
		"on 503":              {503, map[string]string{"Retry-After": "7200"}, 2 * time.Hour},
		"on another":          {500, map[string]string{"Retry-After": "30"}, 30 * time.Second},
		"at once":             {429, map[string]string{"Retry-After": "0"}, time.Second},
		"far too long":        {503, map[string]string{"Retry-After": "99999999"}, 24 * time.Hour},
		"nonsense":            {503, map[string]string{"Retry-After": "soon"}, 0},
		"not said":            {429, nil, 0},
		"a date":              {503, map[string]string{"Retry-After": "Mon, 23 Nov 2026 02:05:00 GMT", "Date": "Mon, 23 Nov 2026 02:00:00 GMT"}, 5 * time.Minute},
		"by the other clock":  {503, map[string]string{"Retry-After": "Mon, 23 Nov 2020 02:05:00 GMT", "Date": "Mon, 23 Nov 2020 02:00:00 GMT"}, 5 * time.Minute},
		"a past date":         {503, map[string]string{"Retry-After": "Mon, 23 Nov 2026 01:00:00 GMT", "Date": "Mon, 23 Nov 2026 02:00:00 GMT"}, time.Second},
		"a date, but no Date": {503, map[string]string{"Retry-After": "Mon, 23 Nov 2026 02:05:00 GMT", "Date": "unknown"}, 5 * time.Minute},
		"not where it parks":  {404, map[string]string{"Retry-After": "120"}, 0},
		"not where it is ok":  {200, map[string]string{"Retry-After": "120"}, 0},
	} {
		server, _ := receiver(t, answers(c.status, c.header, ""))
		client := NewForTest(t, Options{RootCAs: trusting(server), Now: func() time.Time { return now }})
		a := send(client, public(server.URL))
		assert.Equal(t, c.status, a.Status, name)
		assert.Equal(t, c.want, a.RetryAfter, name)
		if a.Fault != nil {
			assert.Equal(t, c.want, a.Fault.After, name)
		}
	}
}

// Redirects are not followed, wherever they lead and however they are spelled.
func TestNoRedirects(t *testing.T) {
	reached := false
	other, _ := receiver(t, func(http.ResponseWriter, *http.Request) { reached = true })
	for _, where := range []string{other.URL + "/x?token=s3cr3t", "/x", "http://169.254.169.254/latest", "::not an address::", "", "/" + strings.Repeat("long", 1000)} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			server, _ := receiver(t, answers(status, map[string]string{"Location": where}, ""))
			a := send(NewForTest(t, Options{RootCAs: trusting(server, other)}), public(server.URL))
			failed(t, a, Park, "webhook.redirected")
			assert.NotContains(t, a.Fault.Detail+a.Fault.Resolution, "s3cr3t")
			assert.LessOrEqual(t, len(a.Fault.Resolution), 2*maxValue)
			if where == "/x" {
				assert.Contains(t, a.Fault.Detail, server.URL+"/x")
				assert.Contains(t, a.Fault.Resolution, server.URL+"/x", "an operator sees where it leads")
			}
		}
	}
	assert.False(t, reached)
}

func TestWhatCannotBeSent(t *testing.T) {
	client := NewForTest(t, Options{})
	with := func(change func(*Request)) Request {
		r := public("https://partner.example/hook")
		change(&r)
		return r
	}
	for field, r := range map[string]Request{
		"url":                with(func(r *Request) { r.URL = "http://partner.example/hook" }),
		"headers":            with(func(r *Request) { r.Header = http.Header{"X-Note": {"a\r\nInjected: yes"}} }),
		"auth.type":          with(func(r *Request) { r.Auth.Type = "digest" }),
		"auth.token":         with(func(r *Request) { r.Auth = Auth{Type: AuthBearer, Token: "Bearer abc"} }),
		"auth.username":      with(func(r *Request) { r.Auth = Auth{Type: AuthBasic, Username: "a:b", Password: "c"} }),
		"auth.token_url":     with(func(r *Request) { r.Auth = Auth{Type: AuthOAuth2, ClientID: "a", ClientSecret: "b"} }),
		"auth.client_id":     with(func(r *Request) { r.Auth = Auth{Type: AuthOAuth2, TokenURL: "https://x.example", ClientSecret: "b"} }),
		"auth.client_secret": with(func(r *Request) { r.Auth = Auth{Type: AuthOAuth2, TokenURL: "https://x.example", ClientID: "b"} }),
	} {
		a := send(client, r)
		require.NotNil(t, a.Fault, field)
		assert.Equal(t, field, a.Fault.Field)
		assert.Equal(t, Park, a.Outcome, field)
		assert.NotEmpty(t, a.Fault.Resolution)
		assert.Zero(t, a.Trip.Requests)
	}
}

func TestTimeoutBounds(t *testing.T) {
	for wanted, want := range map[time.Duration]time.Duration{
		0: DefaultTimeout, time.Millisecond: time.Second, -1: time.Second, 3 * time.Second: 3 * time.Second, time.Hour: 30 * time.Second,
	} {
		assert.Equal(t, want, timeout(wanted), wanted)
	}
}

// What the caller gives up is sent again, and is told from a slow receiver.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server, client := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	failed(t, client.Send(ctx, public(server.URL)), Retry, "webhook.cancelled")
}

func TestTextsAreSafeToKeep(t *testing.T) {
	token := strings.Repeat("tOkEn-", 20)
	for name, c := range map[string]struct {
		body string
		want func(t *testing.T, a Attempt)
	}{
		"exactly as long": {strings.Repeat("é", MaxText), func(t *testing.T, a Attempt) {
			assert.Equal(t, strings.Repeat("é", MaxText), a.Body)
			assert.False(t, a.Cut)
		}},
		"a character longer": {strings.Repeat("é", MaxText+1), func(t *testing.T, a Attempt) {
			assert.Equal(t, strings.Repeat("é", MaxText), a.Body)
			assert.True(t, a.Cut)
		}},
		"huge": {strings.Repeat("x", 4<<20), func(t *testing.T, a Attempt) {
			assert.Len(t, a.Body, MaxText)
			assert.True(t, a.Cut)
		}},
		"not UTF-8": {"a\xff\xfeb\x00c", func(t *testing.T, a Attempt) { assert.Equal(t, "a\uFFFDb\uFFFDc", a.Body) }},
		"echoes": {`{"headers":{"Authorization":"Bearer ` + token + `","X-Partner-Key":"k/e\"y-of-partner"},"again":"` + token + `"}`, func(t *testing.T, a Attempt) {
			assert.Contains(t, a.Body, "[redacted]")
		}},
		"echoes at the cut": {strings.Repeat("x", MaxText-10) + token, func(t *testing.T, a Attempt) {
			assert.Equal(t, strings.Repeat("x", MaxText-10)+"[redacted]", a.Body)
		}},
		"echoes all over":        {strings.Repeat(token, 500), func(t *testing.T, a Attempt) { assert.True(t, a.Cut) }},
		"echoes at the read cap": {strings.Repeat("x", maxAnswer-len(token)/2) + token, func(t *testing.T, a Attempt) { assert.True(t, a.Cut) }},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := receiver(t, answers(200, nil, c.body))
			r := public(server.URL)
			r.Auth = Auth{Type: AuthBearer, Token: token}
			r.Header = http.Header{"X-Partner-Key": {`k/e"y-of-partner`}}
			r.Body = []byte(`{"note":"` + token + `"}`)
			a := send(client, r)
			assert.Equal(t, Delivered, a.Outcome)
			c.want(t, a)
			everything, err := json.Marshal(a)
			require.NoError(t, err)
			assert.NotContains(t, string(everything), "tOkEn-")
			assert.NotContains(t, string(everything), "y-of-partner")
			assert.LessOrEqual(t, len([]rune(a.Body)), MaxText)
		})
	}
}
