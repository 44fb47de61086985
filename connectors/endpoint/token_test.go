package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

// issuer is a token server and the receiver that believes its tokens.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	issued  int
	valid   map[string]bool
	life    any                                      // expires_in
	refuse  func(w http.ResponseWriter) bool         // the token server's refusal
	hold    chan struct{}                            // the token server waits for it
	forbid  int                                      // the receiver's answer to a token it does not know
	asked   []url.Values                             // the token server's requests
	basic   []string                                 // client ids that came in the header
	style   func(r *http.Request, f url.Values) bool // which credentials it takes
	webhook atomic.Int32
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{valid: map[string]bool{}, life: 3600, forbid: http.StatusUnauthorized}
	mux := http.NewServeMux()
	mux.HandleFunc("/token", i.token)
	mux.HandleFunc("/hook", i.hook)
	i.Server = httptest.NewTLSServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if i.hold != nil {
		select {
		case <-i.hold:
		case <-r.Context().Done():
			return
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, r.PostForm)
	if id, _, ok := r.BasicAuth(); ok {
		i.basic = append(i.basic, id)
	}
	w.Header().Set("Content-Type", "application/json")
	if i.refuse != nil && i.refuse(w) {
		return
	}
	if i.style != nil && !i.style(r, r.PostForm) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	i.issued++
	token := fmt.Sprintf("access-%d", i.issued)
	i.valid[token] = true
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": i.life})
}

func (i *issuer) hook(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	i.webhook.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if token := r.Header.Get("Authorization"); len(token) < 8 || !i.valid[token[7:]] {
		w.WriteHeader(i.forbid)
		_, _ = io.WriteString(w, "unknown "+token)
	}
}

func (i *issuer) revoke() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.valid)
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.issued
}

func (i *issuer) request() Request {
	r := public(i.URL + "/hook")
	r.Auth = Auth{Type: AuthOAuth2, TokenURL: i.URL + "/token", ClientID: "towpath", ClientSecret: "s3cr3t-of-client", Scopes: []string{"hooks", "write"}, Audience: "https://api.partner.example"}
	return r
}

func (i *issuer) client(t *testing.T, now func() time.Time) *Client {
	return NewForTest(t, Options{RootCAs: trusting(i.Server), Now: now})
}

func TestBearerAndBasic(t *testing.T) {
	var got string
	server, client := receiver(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") })
	for want, auth := range map[string]Auth{
		"":                            {},
		"Bearer t0ken":                {Type: AuthBearer, Token: "t0ken"},
		"Basic " + "YWxhOsOpdMOpOnB3": {Type: AuthBasic, Username: "ala", Password: "été:pw"},
	} {
		r := public(server.URL)
		r.Auth = auth
		a := send(client, r)
		assert.Equal(t, Delivered, a.Outcome)
		assert.Equal(t, want, got)
		if want != "" {
			assert.Equal(t, "[redacted]", a.SentHeader.Get("Authorization"))
		}
	}
	// A profile that signs by a header of its own keeps it.
	r := public(server.URL)
	r.Header = http.Header{"Authorization": {"Bearer of-profile-s3"}}
	a := send(client, r)
	assert.Equal(t, "Bearer of-profile-s3", got)
	assert.Equal(t, "[redacted]", a.SentHeader.Get("Authorization"))
}

func TestTokenIsFetchedOnceAndKept(t *testing.T) {
	i := newIssuer(t)
	c := i.client(t, nil)
	first := send(c, i.request())
	assert.Equal(t, Delivered, first.Outcome, "%+v", first.Fault)
	assert.Positive(t, first.Trip.Token)
	assert.Equal(t, Delivered, send(c, i.request()).Outcome)
	assert.Equal(t, 1, i.count())
	assert.Equal(t, "client_credentials", i.asked[0].Get("grant_type"))
	assert.Equal(t, "hooks write", i.asked[0].Get("scope"))
	assert.Equal(t, "https://api.partner.example", i.asked[0].Get("audience"))
	assert.Equal(t, []string{"towpath"}, i.basic)
	assert.Empty(t, i.asked[0].Get("client_secret"))

	other := i.request()
	other.Endpoint = "another"
	send(c, other)
	assert.Equal(t, 2, i.count(), "tokens are kept per endpoint")
	rotated := i.request()
	rotated.Auth.ClientSecret = "rotated-secret"
	send(c, rotated)
	assert.Equal(t, 3, i.count(), "and per secret")
}

func TestTokenStyles(t *testing.T) {
	inBody := func(_ *http.Request, f url.Values) bool { return f.Get("client_secret") == "s3cr3t-of-client" }
	inHeader := func(r *http.Request, _ url.Values) bool { _, _, ok := r.BasicAuth(); return ok }
	for name, c := range map[string]struct {
		style string
		takes func(*http.Request, url.Values) bool
		asked int
	}{
		"header": {"header", inHeader, 1}, "body": {"body", inBody, 1}, "found: header": {"", inHeader, 1}, "found: body": {"", inBody, 2},
	} {
		i := newIssuer(t)
		i.style = c.takes
		r := i.request()
		r.Auth.Style = c.style
		client := i.client(t, nil)
		assert.Equal(t, Delivered, send(client, r).Outcome, name)
		assert.Len(t, i.asked, c.asked, name)
		i.revoke()
		assert.Equal(t, Delivered, send(client, r).Outcome, name)
		assert.Len(t, i.asked, c.asked+1, "%s: what was found is remembered", name)
	}
}

// Fifty deliveries at once ask for one token.
func TestTokenSingleFlight(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{})
	c := i.client(t, nil)
	var all sync.WaitGroup
	outcomes := make([]Outcome, 50)
	for n := range outcomes {
		all.Go(func() { outcomes[n] = send(c, i.request()).Outcome })
	}
	close(i.hold)
	all.Wait()
	for _, o := range outcomes {
		assert.Equal(t, Delivered, o)
	}
	assert.Equal(t, 1, i.count())
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	for _, status := range []int{401, 403} {
		i := newIssuer(t)
		i.forbid = status
		c := i.client(t, nil)
		require.Equal(t, Delivered, send(c, i.request()).Outcome)
		i.revoke()
		a := send(c, i.request())
		assert.Equal(t, Delivered, a.Outcome, "%+v", a.Fault)
		assert.Equal(t, 2, a.Trip.Requests)
		assert.Equal(t, 2, i.count())
	}
	t.Run("and then parks", func(t *testing.T) {
		i := newIssuer(t)
		c := i.client(t, nil)
		require.Equal(t, Delivered, send(c, i.request()).Outcome)
		i.refuse = func(w http.ResponseWriter) bool { // tokens that the receiver does not know
			_, _ = io.WriteString(w, `{"access_token":"worthless","token_type":"bearer"}`)
			return true
		}
		i.revoke()
		before := i.webhook.Load()
		a := send(c, i.request())
		failed(t, a, Park, "webhook.unauthorized")
		assert.EqualValues(t, 2, i.webhook.Load()-before)
		assert.Equal(t, "unknown Bearer [redacted]", a.Body)
		// One that was fetched for this very attempt is not replaced again.
		a = send(c, i.request())
		failed(t, a, Park, "webhook.unauthorized")
		assert.Equal(t, 1, a.Trip.Requests)
	})
	t.Run("and then retries, when there is none to be had", func(t *testing.T) {
		i := newIssuer(t)
		c := i.client(t, nil)
		require.Equal(t, Delivered, send(c, i.request()).Outcome)
		i.revoke()
		i.refuse = func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true }
		a := send(c, i.request())
		failed(t, a, Retry, "webhook.token_unavailable")
		assert.Zero(t, a.Status)
	})
}

// A token is renewed before its end, and meanwhile nobody waits: the old one
// is still good.
func TestTokenIsRenewedEarly(t *testing.T) {
	i := newIssuer(t)
	var clock atomic.Int64
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	c := i.client(t, func() time.Time { return start.Add(time.Duration(clock.Load())) })
	require.Equal(t, Delivered, send(c, i.request()).Outcome)
	clock.Store(int64(54 * time.Minute))
	send(c, i.request())
	assert.Equal(t, 1, i.count())

	clock.Store(int64(56 * time.Minute))
	i.hold = make(chan struct{}) // the token server is slow
	assert.Equal(t, Delivered, send(c, i.request()).Outcome)
	close(i.hold)
	require.Eventually(t, func() bool { return i.count() == 2 }, time.Minute, time.Millisecond)

	clock.Store(int64(58 * time.Minute))
	i.refuse = func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusInternalServerError); return true } // and now down
	assert.Equal(t, Delivered, send(c, i.request()).Outcome)
	clock.Store(int64(3 * time.Hour))
	failed(t, send(c, i.request()), Retry, "webhook.token_unavailable")
}

func TestTokenFaults(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		header  map[string]string
		body    string
		outcome Outcome
		code    string
		field   string
		after   time.Duration
	}{
		"wrong secret":     {401, nil, `{"error":"invalid_client"}`, Park, "webhook.token_refused", "auth.client_secret", 0},
		"wrong secret 400": {400, nil, `{"error":"invalid_client"}`, Park, "webhook.token_refused", "auth.client_secret", 0},
		"no words":         {403, nil, `<html>no</html>`, Park, "webhook.token_refused", "auth.client_secret", 0},
		"error with 200":   {200, nil, `{"error":"invalid_scope"}`, Park, "webhook.token_scope", "auth.scopes", 0},
		"scope":            {400, nil, `{"error":"invalid_scope","error_description":"no s3cr3t-of-client"}`, Park, "webhook.token_scope", "auth.scopes", 0},
		"audience":         {400, nil, `{"error":"invalid_target"}`, Park, "webhook.token_audience", "auth.audience", 0},
		"grant":            {400, nil, `{"error":"unsupported_grant_type"}`, Park, "webhook.token_grant", "auth.client_id", 0},
		"another address":  {404, nil, ``, Park, "webhook.token_url", "auth.token_url", 0},
		"redirect":         {302, map[string]string{"Location": "https://elsewhere.example"}, ``, Park, "webhook.token_url", "auth.token_url", 0},
		"too many":         {429, map[string]string{"Retry-After": "60"}, ``, Retry, "webhook.token_rate_limited", "auth.token_url", time.Minute},
		"down":             {503, nil, ``, Retry, "webhook.token_unavailable", "auth.token_url", 0},
		"busy":             {400, nil, `{"error":"temporarily_unavailable"}`, Retry, "webhook.token_unavailable", "auth.token_url", 0},
		"not JSON":         {200, nil, `<html>log in</html>`, Retry, "webhook.token_unreadable", "auth.token_url", 0},
		"no token":         {200, nil, `{}`, Retry, "webhook.token_unreadable", "auth.token_url", 0},
		"a broken token":   {200, nil, `{"access_token":"a\nInjected: b"}`, Retry, "webhook.token_unreadable", "auth.token_url", 0},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.refuse = func(w http.ResponseWriter) bool {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
				return true
			}
			a := send(i.client(t, nil), i.request())
			failed(t, a, c.outcome, c.code)
			assert.Equal(t, c.field, a.Fault.Field)
			assert.Equal(t, c.after, a.RetryAfter)
			assert.Equal(t, c.outcome == Retry, fault.Retryable(a.Fault))
			assert.Zero(t, i.webhook.Load(), "nothing is sent without a token")
			assert.Zero(t, a.Trip.Requests)
			kept, err := json.Marshal(a)
			require.NoError(t, err)
			assert.NotContains(t, string(kept), "s3cr3t-of-client")
		})
	}
}

// The token server is dialed behind the same guard, and its troubles on the
// wire name the setting to look at.
func TestTokenServerOnTheWire(t *testing.T) {
	i := newIssuer(t)
	r := i.request()
	for address, code := range map[string]string{
		"https://169.254.169.254/token": "webhook.address_refused",
		"http://partner.example/token":  "webhook.url_scheme",
	} {
		r.Auth.TokenURL = address
		a := send(i.client(t, nil), r)
		failed(t, a, Park, code)
		assert.Equal(t, "auth.token_url", a.Fault.Field)
	}
	dns := &names{asked: map[string]int{}, answers: map[string][][]string{"token.example": {{"10.0.0.1"}}}}
	hidden := NewForTest(t, Options{RootCAs: trusting(i.Server), resolver: dns.resolver()})
	r.Auth.TokenURL = "https://token.example/token"
	a := send(hidden, r)
	failed(t, a, Park, "webhook.address_refused")
	assert.Equal(t, "auth.token_url", a.Fault.Field)
	r.Auth.TokenURL = "https://nowhere.example/token"
	a = send(hidden, r)
	failed(t, a, Retry, "webhook.token_unreachable")
	assert.Contains(t, a.Fault.Message, "webhook.dns")
	assert.Equal(t, "auth.token_url", a.Fault.Field)
}

// Waiting for a token counts: the time limit covers everything. The fetch goes
// on for whoever comes next.
func TestSlowTokenServer(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{})
	c := i.client(t, nil)
	r := i.request()
	r.Timeout = time.Second
	a := send(c, r)
	failed(t, a, Retry, "webhook.token_timeout")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	failed(t, c.Send(ctx, r), Retry, "webhook.cancelled")
	close(i.hold)
	assert.Equal(t, Delivered, send(c, i.request()).Outcome)
	assert.Equal(t, 1, i.count())
}
