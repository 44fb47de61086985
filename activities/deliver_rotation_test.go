package activities

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/endpoint"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// A secret is replaced without losing a delivery, whichever of the two the
// receiver knows at any moment, whatever the profile.
func TestRotationLosesNothing(t *testing.T) {
	for _, profile := range webhook.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			p := newPost(t)
			_, _, err := p.out.Put(t.Context(), webhook.Endpoint{Name: "partner", URL: "https://partner.example/hook", Profile: profile}, map[webhook.Profile]webhook.Secrets{
				webhook.OdooS3: {Bearer: "the-first-token"},
			}[profile])
			require.NoError(t, err)
			old, err := p.out.Secret(t.Context(), "partner")
			require.NoError(t, err)
			now := time.Now()
			fresh, until, err := p.out.Rotate(t.Context(), "partner", "", time.Hour, now)
			require.NoError(t, err)
			assert.NotEqual(t, old, fresh)
			assert.WithinDuration(t, now.Add(time.Hour), until, time.Second)
			p.reread()
			knows := old
			p.answer = func(_ int, r endpoint.Request) endpoint.Attempt {
				if !signedWith(t, profile, knows, r) {
					return answered(401)
				}
				return answered(200)
			}
			for i, secret := range []string{old, fresh} {
				knows = secret
				p.happens(order(fmt.Sprintf("e%d", i), "7", `"a":1`))
				in := p.starts()[0]
				r, wait := p.tries(in)
				if wait > 0 {
					r, _ = p.tries(in)
				}
				assert.Equal(t, "ok", r.State)
			}
			// What is applied again is no reason to end the overlap; another token is.
			_, _, err = p.out.Put(t.Context(), webhook.Endpoint{Name: "partner", URL: "https://partner.example/moved", Profile: profile}, webhook.Secrets{})
			require.NoError(t, err)
			p.reread()
			e, err := p.out.Book.Get(t.Context(), "partner")
			require.NoError(t, err)
			assert.True(t, e.Secrets.Rotating())
			_, err = p.db.Exec(`UPDATE webhook_endpoint SET old_until = now() - interval '1 second'`)
			require.NoError(t, err)
			p.reread()
			e, err = p.out.Book.Get(t.Context(), "partner")
			require.NoError(t, err)
			assert.False(t, e.Secrets.Rotating(), "the old one is retired by itself")
			assert.NotContains(t, e.Secrets.Values(), old)
			shown, err := p.out.Secret(t.Context(), "partner")
			require.NoError(t, err)
			assert.Equal(t, fresh, shown)
		})
	}
}

// signedWith tells whether a receiver that knows one secret takes the request.
func signedWith(t *testing.T, profile webhook.Profile, secret string, r endpoint.Request) bool {
	t.Helper()
	if profile == webhook.OdooS3 {
		require.Equal(t, r.Header.Get("Authorization"), "Bearer "+r.Auth.Token)
		return r.Auth.Token == secret
	}
	at := time.Now()
	for _, name := range []string{webhook.HeaderTimestamp, "X-Timestamp"} {
		if seconds, err := strconv.ParseInt(r.Header.Get(name), 10, 64); err == nil {
			at = time.Unix(seconds, 0)
		}
	}
	want, err := webhook.Sign(profile, webhook.Secrets{Signing: []string{secret}}, r.Header.Get(webhook.HeaderID), at, r.Body, webhook.Event{Type: "x"})
	require.NoError(t, err)
	for _, name := range []string{webhook.HeaderSignature, "X-Odoo-Webhook-Signature", "X-Signature"} {
		if signature := want.Get(name); signature != "" {
			return slices.Contains(strings.Fields(r.Header.Get(name)), signature)
		}
	}
	require.Fail(t, "no signature", profile)
	return false
}

// A token that is brought by hand is the only one from then on.
func TestAnotherTokenEndsItsRotation(t *testing.T) {
	p := newPost(t)
	spec := webhook.Endpoint{Name: "partner", URL: "https://partner.example/hook", Profile: webhook.OdooS3}
	put := func(token string) webhook.Secrets {
		_, _, err := p.out.Put(t.Context(), spec, webhook.Secrets{Bearer: token})
		require.NoError(t, err)
		p.reread()
		e, err := p.out.Book.Get(t.Context(), "partner")
		require.NoError(t, err)
		return e.Secrets
	}
	put("first")
	_, _, err := p.out.Rotate(t.Context(), "partner", "second", time.Hour, time.Now())
	require.NoError(t, err)
	assert.True(t, put("second").Rotating(), "it is that one")
	_, _, err = p.out.Rotate(t.Context(), "partner", "second", 0, time.Now())
	require.NoError(t, err)
	assert.False(t, put("second").Rotating(), "ended by hand")
	_, _, err = p.out.Rotate(t.Context(), "partner", "third", time.Hour, time.Now())
	require.NoError(t, err)
	last := put("fourth")
	assert.False(t, last.Rotating())
	assert.Equal(t, "fourth", last.Bearer)

	_, _, err = p.out.Put(t.Context(), webhook.Endpoint{Name: "open", URL: "https://open.example/hook", Profile: webhook.OdooS3, Auth: webhook.Auth{Type: webhook.AuthNone}}, webhook.Secrets{})
	require.NoError(t, err)
	_, _, err = p.out.Rotate(t.Context(), "open", "", time.Hour, time.Now())
	assert.Equal(t, "webhook.nothing_to_rotate", fault.Of(err).Code)
}
