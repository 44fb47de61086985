package httpx_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

func TestStatus(t *testing.T) {
	for status, want := range map[int]struct {
		code         string
		safe, unsafe fault.Kind
	}{
		301: {"shop.redirected", fault.Invalid, fault.Invalid},
		400: {"shop.refused", fault.Invalid, fault.Invalid},
		401: {"shop.unauthorized", fault.Unauthorized, fault.Unauthorized},
		403: {"shop.forbidden", fault.Unauthorized, fault.Unauthorized},
		404: {"shop.not_found", fault.NotFound, fault.NotFound},
		408: {"shop.timeout", fault.Transient, fault.Transient},
		409: {"shop.conflict", fault.Conflict, fault.Conflict},
		413: {"shop.too_large", fault.Invalid, fault.Invalid},
		422: {"shop.refused", fault.Invalid, fault.Invalid},
		423: {"shop.conflict", fault.Conflict, fault.Conflict},
		429: {"shop.rate_limited", fault.RateLimited, fault.RateLimited},
		500: {"shop.unavailable", fault.Transient, fault.Transient},
		501: {"shop.unsupported", fault.Unsupported, fault.Unsupported},
		502: {"shop.unavailable", fault.Transient, fault.Uncertain},
		503: {"shop.unavailable", fault.Transient, fault.Transient},
		504: {"shop.unavailable", fault.Transient, fault.Uncertain},
		521: {"shop.unavailable", fault.Transient, fault.Transient},
		524: {"shop.unavailable", fault.Transient, fault.Uncertain},
	} {
		f := httpx.Status("shop", status, nil, true)
		require.NotNil(t, f, status)
		assert.Equal(t, want.code, f.Code, status)
		assert.Equal(t, want.safe, f.Kind, status)
		assert.Equal(t, want.unsafe, httpx.Status("shop", status, nil, false).Kind, status)
		assert.NotEmpty(t, f.Resolution)
	}
	assert.Nil(t, httpx.Status("shop", 204, nil, false))
	f := httpx.Status("shop", 503, http.Header{"Retry-After": {"120"}}, true)
	assert.Equal(t, 2*time.Minute, f.After)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"2.5":                           2500 * time.Millisecond,
		" 30 ":                          30 * time.Second,
		"-1":                            0,
		"NaN":                           0,
		"soon":                          0,
		"99999999":                      24 * time.Hour,
		"1e300":                         0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:00:05 GMT": 0,
		"Fri, 01 Jan 2100 00:00:00 GMT": 24 * time.Hour,
	} {
		assert.Equal(t, want, httpx.RetryAfter(http.Header{"Retry-After": {text}}, now), "%q", text)
	}
}

// "At once" is something else than nothing said.
func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]bool{
		"": false, "soon": false, "NaN": false, "-1": false, "0": true, "5": true,
		"Fri, 02 Jan 2026 03:00:05 GMT": true, "Fri, 02 Jan 2026 03:05:05 GMT": true,
	} {
		wait, said := httpx.ParseRetryAfter(http.Header{"Retry-After": {text}}, now)
		assert.Equal(t, want, said, "%q", text)
		assert.Equal(t, httpx.RetryAfter(http.Header{"Retry-After": {text}}, now), wait)
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"Authorization: Bearer abcdef123456":         "Authorization: Bearer [redacted]",
		"dial https://bot:hunter2@erp.example.com/x": "dial https://[redacted]@erp.example.com/x",
		`{"access_token": "abc123", "name": "x"}`:    `{"access_token": "[redacted]", "name": "x"}`,
		"GET /x?api_key=abc&page=2":                  "GET /x?api_key=[redacted]&page=2",
		"password=hunter2 ok":                        "password=[redacted] ok",
		"PAſſWORD=hunter2, toKen: abc":               "PAſſWORD=[redacted], toKen: [redacted]",
		"BASIC abcdef123456":                         "BASIC [redacted]",
		"my pl@nted value, pl%40nted escaped":        "my [redacted] value, [redacted] escaped",
		"the bearer of good news":                    "the bearer of good news",
		"nothing to hide":                            "nothing to hide",
	} {
		assert.Equal(t, want, httpx.Redact(text, "pl@nted", "is", ""))
	}
	h := http.Header{"Authorization": {"Bearer x"}, "X-Shopify-Access-Token": {"y"}, "Set-Cookie": {"z"}, "Content-Type": {"text/plain"}}
	assert.Equal(t, http.Header{
		"Authorization": {httpx.Redacted}, "X-Shopify-Access-Token": {httpx.Redacted}, "Set-Cookie": {httpx.Redacted}, "Content-Type": {"text/plain"},
	}, httpx.RedactHeader(h))
	assert.Equal(t, "Bearer x", h.Get("Authorization"), "a copy")
	u, err := url.Parse("https://u:p@x.example/hook?token=abc&page=2")
	require.NoError(t, err)
	assert.Equal(t, "https://redacted@x.example/hook?page=2&token=redacted", httpx.RedactURL(u))
}
