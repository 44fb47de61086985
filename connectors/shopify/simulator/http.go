package simulator

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

func (s *Shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /admin/api/{version}/graphql.json", s.serveGraphQL)
	mux.HandleFunc("POST /admin/oauth/access_token", s.serveToken)
	return s.inject(mux)
}

// served is the version that answers a request for another: a dead or unknown
// one is answered by the oldest that is supported.
func (s *Shop) served(version string) string {
	if slices.Contains(s.opts.Versions, version) {
		return version
	}
	return s.opts.Versions[0]
}

// tokens are the access tokens that the client-credentials grant gave out.
type tokens struct {
	mu      sync.Mutex
	opts    Options
	expires map[string]time.Time
}

// tokenLife is how long a granted token lives; there is no refresh token.
const tokenLife = 24 * time.Hour

func newTokens(opts Options) *tokens {
	return &tokens{opts: opts, expires: map[string]time.Time{}}
}

func (t *tokens) grant(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expires[token] = t.opts.Now().Add(tokenLife)
}

func (t *tokens) valid(token string) bool {
	if subtle.ConstantTimeCompare([]byte(token), []byte(t.opts.AccessToken)) == 1 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.opts.Now().Before(t.expires[token])
}

// ExpireTokens ends all granted tokens at once, as a day would.
func (s *Shop) ExpireTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.expires)
}

// serveToken is the client-credentials grant, by form or JSON.
func (s *Shop) serveToken(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		GrantType    string `json:"grant_type"`
	}
	body := http.MaxBytesReader(w, r.Body, 64<<10)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		raw, err := io.ReadAll(body)
		if err != nil || json.Unmarshal(raw, &ask) != nil {
			answer(w, http.StatusBadRequest, fields{"error": "invalid_request"})
			return
		}
	} else {
		r.Body = body
		ask.ClientID, ask.ClientSecret, ask.GrantType = r.FormValue("client_id"), r.FormValue("client_secret"), r.FormValue("grant_type")
	}
	switch {
	case ask.GrantType != "client_credentials":
		answer(w, http.StatusBadRequest, fields{"error": "unsupported_grant_type"})
	case ask.ClientID != s.opts.ClientID || ask.ClientSecret != s.opts.ClientSecret:
		answer(w, http.StatusBadRequest, fields{"error": "invalid_client", "error_description": "Client authentication failed"})
	default:
		granted := "shpat_" + s.Ledger.freshToken()
		s.tokens.grant(granted)
		answer(w, http.StatusOK, fields{
			"access_token": granted, "scope": strings.Join(s.opts.Scopes, ","), "expires_in": int(tokenLife.Seconds()) - 1,
		})
	}
}

func (l *Ledger) freshToken() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.ReplaceAll(l.uuid(), "-", "")
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encode(body))
}
