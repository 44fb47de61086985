package outbound_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// An endpoint's profile and auth may be changed later: what was stored for the
// former ones is in nobody's way.
func TestAnEndpointMayChangeHowItShowsItself(t *testing.T) {
	t.Parallel()
	w := newOffice(t).operator
	put := func(e webhook.Endpoint, s webhook.Secrets) string {
		e.Name, e.URL = "partner", "https://partner.example/hook"
		_, made, err := w.Put(t.Context(), e, s)
		require.NoError(t, err, "%s %s", e.Profile, e.Auth.Type)
		return made
	}
	for _, step := range []struct {
		profile webhook.Profile
		auth    webhook.Auth
		given   webhook.Secrets
		made    bool
	}{
		{webhook.Standard, webhook.Auth{Type: webhook.AuthBearer}, webhook.Secrets{Bearer: "a-token"}, true},
		{webhook.Standard, webhook.Auth{Type: webhook.AuthBasic, Username: "u"}, webhook.Secrets{Password: "a-password"}, false},
		{webhook.Standard, webhook.Auth{}, webhook.Secrets{}, false},
		{webhook.StandardV1a, webhook.Auth{}, webhook.Secrets{}, true},
		{webhook.Standard, webhook.Auth{}, webhook.Secrets{}, true},
		{webhook.OdooS1, webhook.Auth{}, webhook.Secrets{}, false},
		{webhook.OdooS3, webhook.Auth{}, webhook.Secrets{Bearer: "another-token"}, false},
		{webhook.OdooS0, webhook.Auth{}, webhook.Secrets{}, false},
	} {
		made := put(webhook.Endpoint{Profile: step.profile, Auth: step.auth}, step.given)
		assert.Equal(t, step.made, made != "", "%s", step.profile)
		assert.Empty(t, put(webhook.Endpoint{Profile: step.profile, Auth: step.auth}, step.given), "nothing is made twice")
		if made != "" {
			secret, err := w.Secret(t.Context(), "partner")
			require.NoError(t, err)
			assert.Equal(t, made, secret)
		}
	}
}

// What could only park every delivery is refused.
func TestAnEndpointWithoutItsCredentialIsRefused(t *testing.T) {
	t.Parallel()
	w := newOffice(t).operator
	for _, e := range []webhook.Endpoint{
		{Auth: webhook.Auth{Type: webhook.AuthBearer}},
		{Auth: webhook.Auth{Type: webhook.AuthBasic, Username: "u"}},
		{Auth: webhook.Auth{Type: webhook.AuthOAuth2, ClientID: "c", TokenURL: "https://partner.example/token"}},
		{Profile: webhook.OdooS3},
	} {
		e.Name, e.URL = "partner", "https://partner.example/hook"
		_, _, err := w.Put(t.Context(), e, webhook.Secrets{})
		require.Error(t, err)
		assert.Equal(t, "webhook.secret_missing", fault.Of(err).Code)
	}
	e := webhook.Endpoint{Name: "partner", URL: "https://partner.example/hook", Profile: webhook.OdooS3, Auth: webhook.Auth{Type: webhook.AuthNone}}
	_, _, err := w.Put(t.Context(), e, webhook.Secrets{})
	require.NoError(t, err, "it asks for no key")
}
