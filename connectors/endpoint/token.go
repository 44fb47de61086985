package endpoint

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"towpath/schema/fault"
)

// tokens keeps access tokens, one per endpoint and credentials: changed
// credentials are another key, so an old token never outlives its secret's
// rotation.
type tokens struct {
	now    func() time.Time
	flight singleflight.Group
	mu     sync.Mutex
	kept   map[tokenKey]*accessToken
}

type tokenKey [sha256.Size]byte

type accessToken struct {
	config *clientcredentials.Config // remembers how the server wants the credentials
	value  string
	renew  time.Time // from here on a new one is asked for
	until  time.Time // from here on it is worthless
}

const (
	tokenTimeout = MaxTimeout       // of a fetch, which several attempts may wait for
	tokenLife    = 10 * time.Minute // of a token that says nothing about it
	tokenMargin  = 5 * time.Minute  // a token is renewed that early, or after nine tenths of a short life
	maxTokens    = 4096
)

func newTokens(now func() time.Time) *tokens {
	return &tokens{now: now, kept: map[tokenKey]*accessToken{}}
}

// get gives an access token, and whether it was fetched just now.
func (t *tokens) get(ctx context.Context, d door, r Request) (token string, fresh bool, _ *fault.Fault) {
	key := keyOf(r)
	value, renew, usable := t.look(key)
	if usable && !renew {
		return value, false, nil
	}
	// The fetch outlives an attempt that gives up: others wait for it too.
	done := t.flight.DoChan(string(key[:]), func() (any, error) {
		if value, renew, usable := t.look(key); usable && !renew { // by a flight that has just ended
			return value, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenTimeout)
		defer cancel()
		return t.fetch(ctx, d, key, r)
	})
	if usable { // renewed early, by and by: the old one is still good
		return value, false, nil
	}
	select {
	case answer := <-done:
		if answer.Err != nil {
			return "", false, fault.Of(answer.Err)
		}
		return answer.Val.(string), true, nil
	case <-ctx.Done():
		return "", false, tokenLate(ctx.Err())
	}
}

func (t *tokens) look(key tokenKey) (value string, renew, usable bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, now := t.kept[key], t.now()
	if k == nil || k.value == "" || !now.Before(k.until) {
		return "", false, false
	}
	return k.value, !now.Before(k.renew), true
}

// drop forgets a token that the receiver refused. A newer one stays.
func (t *tokens) drop(r Request, token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.kept[keyOf(r)]; k != nil && k.value == token {
		k.value = ""
	}
}

// fetch asks the token server, which the endpoint's owner named: it is dialed
// like the endpoint itself.
func (t *tokens) fetch(ctx context.Context, d door, key tokenKey, r Request) (string, error) {
	if _, f := check(r.Auth.TokenURL, r.Network, d.allow); f != nil {
		return "", f.WithField("auth.token_url")
	}
	trip := startTrip(ctx)
	defer trip.cancel()
	config := t.config(key, r.Auth)
	token, err := config.Token(context.WithValue(trip.ctx, oauth2.HTTPClient, d.web))
	if err != nil {
		return "", tokenFault(err, trip, t.now())
	}
	life := tokenLife
	if !token.Expiry.IsZero() {
		life = time.Until(token.Expiry)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.sweep(now)
	t.kept[key] = &accessToken{config: config, value: token.AccessToken, until: now.Add(life), renew: now.Add(life - min(tokenMargin, life/10))}
	return token.AccessToken, nil
}

// config is kept with the token: it has learnt which style the server takes.
func (t *tokens) config(key tokenKey, a Auth) *clientcredentials.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.kept[key]; k != nil {
		return k.config
	}
	config := &clientcredentials.Config{ClientID: a.ClientID, ClientSecret: a.ClientSecret, TokenURL: a.TokenURL, Scopes: a.Scopes, EndpointParams: url.Values{}}
	if a.Audience != "" {
		config.EndpointParams.Set("audience", a.Audience)
	}
	switch a.Style {
	case "header":
		config.AuthStyle = oauth2.AuthStyleInHeader
	case "body":
		config.AuthStyle = oauth2.AuthStyleInParams
	}
	return config
}

// sweep keeps the map small over many rotations; the caller holds the lock.
func (t *tokens) sweep(now time.Time) {
	if len(t.kept) < maxTokens {
		return
	}
	for key, k := range t.kept {
		if !now.Before(k.until) || len(t.kept) >= maxTokens {
			delete(t.kept, key)
		}
	}
}

func keyOf(r Request) tokenKey {
	// %q keeps the parts apart, whatever they hold.
	return sha256.Sum256(fmt.Appendf(nil, "%q %t %q", r.Endpoint, r.Network == Private, r.Auth))
}

// tokenFault says what a refused or failed fetch means. Its field tells the
// endpoint's owner which setting to look at.
func tokenFault(err error, trip *trip, now time.Time) *fault.Fault {
	var said *oauth2.RetrieveError
	if errors.As(err, &said) {
		return tokenRefused(said, now)
	}
	var f *fault.Fault
	if !errors.As(err, &f) {
		return tokenUnreadable().WithDetail(err.Error()).WithCause(err)
	}
	if f = transportFault(f, trip); f.Code == "webhook.address_refused" {
		return f.WithField("auth.token_url")
	}
	return fault.New(fault.Transient, "webhook.token_unreachable", "the token server does not answer (%s); it is tried again", f.Code).
		WithField("auth.token_url").WithDetail(f.Detail).WithCause(f.Cause).
		WithResolution("check the endpoint's auth.token_url, and whether the token server is up")
}

func tokenUnreadable() *fault.Fault {
	return fault.New(fault.Transient, "webhook.token_unreadable", "the token server's answer holds no usable access token; it is tried again").
		WithField("auth.token_url").WithResolution("check that the endpoint's auth.token_url is the token endpoint itself")
}

func tokenLate(err error) *fault.Fault {
	if errors.Is(err, context.Canceled) {
		return fault.New(fault.Transient, "webhook.cancelled", "the attempt was given up before it was answered; it is sent again").WithResolution("nothing to do")
	}
	return fault.New(fault.Transient, "webhook.token_timeout", "the token server did not answer in time; it is tried again").
		WithField("auth.token_url").WithResolution("check the token server, or raise the endpoint's timeout (30 s at most)")
}

// tokenRefused reads the answer of RFC 6749 5.2, or the status of servers that
// give none.
func tokenRefused(e *oauth2.RetrieveError, now time.Time) *fault.Fault {
	status := 0
	header := http.Header{}
	if e.Response != nil {
		status, header = e.Response.StatusCode, e.Response.Header
	}
	return tokenRuleFor(e.ErrorCode, status).fault(status).WithDetail(e.Error()).WithAfter(retryAfter(header, now))
}

type tokenRule struct {
	when                      func(code string, status int) bool
	field                     string
	kind                      fault.Kind
	code, message, resolution string
}

func (r tokenRule) fault(status int) *fault.Fault {
	return fault.New(r.kind, r.code, "%s (HTTP %d)", r.message, status).WithResolution("%s", r.resolution).WithField(r.field)
}

func says(codes ...string) func(string, int) bool {
	return func(code string, _ int) bool {
		for _, c := range codes {
			if c == code {
				return true
			}
		}
		return false
	}
}

// tokenRules: the first that fits counts; the last always does.
var tokenRules = []tokenRule{
	{when: func(_ string, s int) bool { return s == http.StatusTooManyRequests }, field: "auth.token_url",
		kind: fault.RateLimited, code: "webhook.token_rate_limited", message: "the token server asks for a slower pace; it is tried again",
		resolution: "nothing to do unless it stays so"},
	{when: func(code string, s int) bool {
		return s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooEarly || says("temporarily_unavailable", "server_error")(code, s)
	}, field: "auth.token_url", kind: fault.Transient, code: "webhook.token_unavailable", message: "the token server fails; it is tried again",
		resolution: "let the token server's owner look into it if it stays so"},
	{when: says("invalid_scope"), field: "auth.scopes", kind: fault.Invalid, code: "webhook.token_scope", message: "the token server refuses the scopes",
		resolution: "correct the endpoint's auth.scopes, or let the token server's owner grant them, then redeliver"},
	{when: says("invalid_target"), field: "auth.audience", kind: fault.Invalid, code: "webhook.token_audience", message: "the token server refuses the audience",
		resolution: "correct the endpoint's auth.audience, then redeliver"},
	{when: says("unsupported_grant_type", "unauthorized_client"), field: "auth.client_id", kind: fault.Unsupported, code: "webhook.token_grant",
		message:    "the token server does not let this client use client credentials",
		resolution: "let the token server's owner allow the client_credentials grant, then redeliver"},
	{when: func(_ string, s int) bool {
		return s/100 == 3 || s == http.StatusNotFound || s == http.StatusMethodNotAllowed || s == http.StatusGone
	}, field: "auth.token_url", kind: fault.Invalid, code: "webhook.token_url", message: "there is no token server at this address",
		resolution: "correct the endpoint's auth.token_url, then redeliver"},
	{when: func(string, int) bool { return true }, field: "auth.client_secret", kind: fault.Unauthorized, code: "webhook.token_refused",
		message:    "the token server refuses the client credentials",
		resolution: "renew the endpoint's auth.client_id and auth.client_secret, then redeliver"},
}

func tokenRuleFor(code string, status int) tokenRule {
	for _, r := range tokenRules {
		if r.when(code, status) {
			return r
		}
	}
	return tokenRules[len(tokenRules)-1]
}
