package shopify

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// tokens gives the access token: the permanent one, or one fetched by the
// client credentials grant (24 hours, no refresh token), by one caller for all.
type tokens struct {
	web    *http.Client
	config Config
	now    func() time.Time

	flight singleflight.Group
	mu     sync.Mutex
	token  string
	until  time.Time
}

// A token is renewed this long before it ends.
const tokenMargin = 5 * time.Minute

func (t *tokens) get(ctx context.Context) (string, error) {
	if t.config.AccessToken != "" {
		return t.config.AccessToken, nil
	}
	if token, fresh := t.kept(); fresh {
		return token, nil
	}
	// The fetch outlives a caller who leaves: the others wait for it too.
	shared := context.WithoutCancel(ctx)
	done := t.flight.DoChan("token", func() (any, error) {
		if token, fresh := t.kept(); fresh { // by a flight that has just ended
			return token, nil
		}
		return t.fetch(shared)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(string), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// kept is the token that was fetched, and whether it is good for a while.
func (t *tokens) kept() (token string, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.token != "" && t.now().Before(t.until.Add(-tokenMargin))
}

// drop forgets a token that Shopify refused, and says whether another one can
// be had. A newer token, fetched meanwhile, stays.
func (t *tokens) drop(token string) bool {
	if t.config.AccessToken != "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
	return true
}

func (t *tokens) fetch(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {t.config.ClientID}, "client_secret": {t.config.ClientSecret}}
	request, err := http.NewRequestWithContext(httpx.RetrySafe(ctx), http.MethodPost,
		t.config.baseURL()+"/admin/oauth/access_token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", fault.Of(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	answer, err := t.web.Do(request)
	if err != nil {
		return "", fault.Of(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		if answer.StatusCode == http.StatusBadRequest { // OAuth's answer to wrong credentials (RFC 6749 5.2)
			return "", credentialsRefused()
		}
		return "", statusFault(answer.StatusCode, answer.Header)
	}
	var body struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || body.Token == "" {
		return "", fault.New(fault.Transient, "shopify.bad_answer", "Shopify's answer to the request for a token is not readable")
	}
	if body.Expires <= 0 {
		body.Expires = (24 * time.Hour).Seconds()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.until = body.Token, t.now().Add(time.Duration(body.Expires)*time.Second)
	return t.token, nil
}
