package endpoint

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"towpath/schema/fault"
)

// authorize adds credentials that need no asking. They replace an
// Authorization among the endpoint's own headers.
func (s *sending) authorize(header http.Header) *fault.Fault {
	auth := s.request.Auth
	s.secrets.add(auth.Token, auth.Password, auth.ClientSecret)
	switch auth.Type {
	case "", AuthNone:
		return nil
	case AuthBearer:
		if auth.Token == "" || strings.ContainsAny(auth.Token, " \t") || !httpguts.ValidHeaderFieldValue(auth.Token) {
			return fault.New(fault.Invalid, "webhook.auth_invalid", "the bearer token is missing or holds blanks or control characters").
				WithField("auth.token").WithResolution("give the token alone, without the word Bearer")
		}
		header.Set("Authorization", "Bearer "+auth.Token)
	case AuthBasic:
		if auth.Username == "" && auth.Password == "" || strings.Contains(auth.Username, ":") {
			return fault.New(fault.Invalid, "webhook.auth_invalid", "the user name is missing or holds a colon, which basic authentication cannot send").
				WithField("auth.username").WithResolution("give user name and password apart")
		}
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(auth.Username, auth.Password)
		header.Set("Authorization", r.Header.Get("Authorization"))
	case AuthOAuth2:
		return checkOAuth2(auth)
	default:
		return fault.New(fault.Invalid, "webhook.auth_unknown", "there is no such type of authentication").
			WithField("auth.type").WithResolution("use none, bearer, basic or oauth2")
	}
	s.secrets.addHeader(header)
	return nil
}

func checkOAuth2(auth Auth) *fault.Fault {
	missing := func(field string) *fault.Fault {
		return fault.New(fault.Invalid, "webhook.auth_missing", "the client credentials are not complete").
			WithField(field).WithResolution("give token_url, client_id and client_secret, as the receiver's owner issued them")
	}
	switch {
	case auth.TokenURL == "":
		return missing("auth.token_url")
	case auth.ClientID == "":
		return missing("auth.client_id")
	case auth.ClientSecret == "":
		return missing("auth.client_secret")
	case auth.Style != "" && auth.Style != "header" && auth.Style != "body":
		return fault.New(fault.Invalid, "webhook.auth_unknown", "there is no such style of client credentials").
			WithField("auth.style").WithResolution("use header or body, or leave it out")
	}
	return nil
}
