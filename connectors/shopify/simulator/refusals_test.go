package simulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCostBucket(t *testing.T) {
	now := start
	s := startShop(t, Options{Now: func() time.Time { return now }, BucketSize: 100, RestoreRate: 10, MaxQueryCost: 90})
	s.Place(guestDraft())
	query := `query Q($n: Int!) { orders(first: $n) { nodes { id } } }`
	r := ask(t, s, "2026-10", query, map[string]any{"n": 80})
	require.Equal(t, 82.0, r.Extensions.Cost.Requested)
	require.Equal(t, 3.0, *r.Extensions.Cost.Actual, "what was not there is given back")
	require.Equal(t, 97.0, r.Extensions.Cost.Throttle.Available)
	for range 6 {
		ask(t, s, "2026-10", query, map[string]any{"n": 80})
	}
	r = ask(t, s, "2026-10", query, map[string]any{"n": 80})
	require.Equal(t, http.StatusOK, r.Status)
	require.Equal(t, "THROTTLED", r.Errors[0].Extensions["code"])
	require.Nil(t, r.Extensions.Cost.Actual)
	wait := (r.Extensions.Cost.Requested - r.Extensions.Cost.Throttle.Available) / r.Extensions.Cost.Throttle.Restore
	now = now.Add(time.Duration(wait * float64(time.Second)))
	require.Empty(t, ask(t, s, "2026-10", query, map[string]any{"n": 80}).Errors, "waiting as told is enough")

	r = ask(t, s, "2026-10", query, map[string]any{"n": 100})
	require.Equal(t, "MAX_COST_EXCEEDED", r.Errors[0].Extensions["code"])
}

func TestFaults(t *testing.T) {
	s := startShop(t, Options{})
	query := func() (*http.Response, error) {
		req, err := http.NewRequest(http.MethodPost, s.URL()+"/admin/api/2026-10/graphql.json", strings.NewReader(`{"query":"{ shop { id } }"}`))
		require.NoError(t, err)
		req.Header.Set("X-Shopify-Access-Token", s.AccessToken())
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	s.Faults.Next(Fault{Status: 429, RetryAfter: 2 * time.Second}, Fault{Status: 502, Body: "<html>bad gateway"}, Fault{Reset: true})
	resp, err := query()
	require.NoError(t, err)
	require.Equal(t, 429, resp.StatusCode)
	require.Equal(t, "2.0", resp.Header.Get("Retry-After"))
	resp, err = query()
	require.NoError(t, err)
	require.Equal(t, 502, resp.StatusCode)
	_, err = query()
	require.Error(t, err, "reset")
	resp, err = query()
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, 3, s.Faults.Hits())

	s.Faults.Next(Fault{Throttled: true})
	require.Equal(t, "THROTTLED", ask(t, s, "2026-10", `{ shop { id } }`, nil).Errors[0].Extensions["code"])

	s.Faults.Always(Fault{Delay: 30 * time.Millisecond})
	begun := time.Now()
	resp, err = query()
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.GreaterOrEqual(t, time.Since(begun), 30*time.Millisecond)
	s.Faults.DownFor(time.Hour)
	_, err = query()
	require.Error(t, err)
	s.Faults.Clear()
	_, err = query()
	require.NoError(t, err)
}

func TestALostAnswerHasItsEffect(t *testing.T) {
	s := startShop(t, Options{})
	s.Faults.Next(Fault{Reset: true, AfterWork: true})
	body := `{"query":"mutation { webhookSubscriptionCreate(topic: ORDERS_PAID, webhookSubscription: {uri: \"http://127.0.0.1:9/\"}) { userErrors { message } } }"}`
	req, err := http.NewRequest(http.MethodPost, s.URL()+"/admin/api/2026-10/graphql.json", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Shopify-Access-Token", s.AccessToken())
	_, err = http.DefaultClient.Do(req)
	require.Error(t, err)
	require.Len(t, s.Subscriptions(), 1)
}

func TestTokens(t *testing.T) {
	s := startShop(t, Options{})
	grant := func(secret string) (int, map[string]any) {
		resp, err := http.PostForm(s.URL()+"/admin/oauth/access_token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"simulator-client"}, "client_secret": {secret},
		})
		require.NoError(t, err)
		defer resp.Body.Close()
		var body map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
		return resp.StatusCode, body
	}
	status, _ := grant("wrong")
	require.Equal(t, 400, status)
	status, body := grant(s.Secret())
	require.Equal(t, 200, status)
	require.Equal(t, 86399.0, body["expires_in"])
	use := func() int {
		req, err := http.NewRequest(http.MethodPost, s.URL()+"/admin/api/2026-10/graphql.json", strings.NewReader(`{"query":"{ shop { id } }"}`))
		require.NoError(t, err)
		req.Header.Set("X-Shopify-Access-Token", body["access_token"].(string))
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 200, use())
	s.ExpireTokens()
	require.Equal(t, 401, use())
}
