package activities

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"towpath/connectors/endpoint"
	"towpath/schema/fault"
	"towpath/schema/outbound"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

func timeout(e *outbound.Endpoint) time.Duration { return time.Duration(e.Spec.Timeout) }

// burst is how many may go at once after a pause: a second's worth.
func burst(e *outbound.Endpoint) int {
	every := e.Spec.Rate.Every()
	if every == 0 {
		return 1
	}
	return max(1, int(time.Second/every))
}

// patience is how long a delivery is tried at all, whatever keeps it from being
// sent: the whole of its profile with all jitter, and an hour for the circuit.
func patience(e *outbound.Endpoint) time.Duration {
	return e.Spec.Retry.Total()*5/4 + time.Hour
}

// forgives says that a refusal may be about a secret which is being replaced.
func forgives(e *outbound.Endpoint, status int) bool {
	return e.Secrets.Rotating() && (status == http.StatusUnauthorized || status == http.StatusForbidden)
}

// request is one attempt as it goes out: body, signature, credentials.
func (d *Deliveries) request(e *outbound.Endpoint, event webhook.Event, a store.Attempt) (endpoint.Request, error) {
	body, err := e.Body(event)
	if err != nil {
		return endpoint.Request{}, err
	}
	secrets := e.Secrets.ForAttempt(e.Spec.Profile, a.Number)
	header, err := e.Header(secrets, d.Now(), body, event)
	if err != nil {
		return endpoint.Request{}, err
	}
	switch asks := e.Spec.Acknowledge.Within > 0; {
	case asks && d.HookURL != "":
		header.Set(outbound.HeaderAck, d.Out.AckURL(d.HookURL, e.Spec.Name, event.ID))
	case asks && !event.Test: // nobody could say that it is applied
		return endpoint.Request{}, fault.New(fault.Invalid, "webhook.no_public_url", "the endpoint %s is to say later that it has applied the event, and this installation has no address for that", e.Spec.Name).
			WithField("TOWPATH_PUBLIC_URL").WithResolution("set TOWPATH_PUBLIC_URL for the worker, or remove acknowledge; then: towpath delivery redeliver --endpoint %s", e.Spec.Name)
	}
	return endpoint.Request{
		Endpoint: e.Spec.Name, URL: e.Spec.URL, Header: header, Body: body, Timeout: timeout(e),
		Network: endpoint.Network(e.Spec.Network),
		Auth: endpoint.Auth{
			Type: endpoint.AuthType(e.Spec.Auth.Type), Token: secrets.Bearer, Username: e.Spec.Auth.Username, Password: secrets.Password,
			TokenURL: e.Spec.Auth.TokenURL, ClientID: e.Spec.Auth.ClientID, ClientSecret: secrets.ClientSecret,
			Scopes: e.Spec.Auth.Scopes, Audience: e.Spec.Auth.Audience,
		},
	}, nil
}

// requestText is what is noted of a request: header lines, an empty line, the
// body; as the sender redacted and cut them.
func requestText(sent endpoint.Attempt) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sent.SentHeader)) {
		for _, value := range sent.SentHeader[name] {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	b.WriteString("\n" + sent.SentBody)
	return cut(b.String(), maxNoted)
}

// maxNoted bounds what is noted of a request and of an answer (requirements 61).
const maxNoted = 5000
