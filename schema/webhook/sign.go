package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/schema/fault"
)

// The names of headers. The first three are those of Standard Webhooks and, but
// for the signature, part of every profile.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
	// HeaderTest is "true" on what was sent by hand to try an endpoint.
	HeaderTest = "webhook-test"

	headerS0Event     = "X-Odoo-Webhook-Event"
	headerS0Signature = "X-Odoo-Webhook-Signature"
	headerS1Event     = "X-Webhook-Event"
	headerS1Timestamp = "X-Timestamp"
	headerS1Signature = "X-Signature"
)

// Sign gives the header of one attempt: who it is for, when it is made, and the
// signatures over the very bytes of the body. Secrets are newest first; where the
// profile has room, each of them signs.
func Sign(p Profile, s Secrets, id string, at time.Time, body []byte, event Event) (http.Header, error) {
	if !identifier.MatchString(id) {
		return nil, fault.New(fault.Invalid, "webhook.id_invalid", "a webhook-id has other characters than letters, digits, - and _").
			WithResolution("the module in Odoo and Towpath do not fit: update both to the same release")
	}
	seconds := strconv.FormatInt(at.Unix(), 10)
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, seconds)
	if event.Test {
		h.Set(HeaderTest, "true")
	}
	if p == OdooS3 {
		return h, bearer(h, s)
	}
	if len(s.Signing) == 0 {
		return nil, badSecret("is missing", "make one: towpath endpoint rotate, or give secrets.signing")
	}
	switch p {
	case OdooS0:
		h.Set(headerS0Event, event.Type)
		return h, signPlain(h, headerS0Signature, s.Signing[0], body)
	case OdooS1:
		h.Set(headerS1Event, S1Event(event))
		h.Set(headerS1Timestamp, seconds)
		return h, signPlain(h, headerS1Signature, s.Signing[0], []byte(seconds), body)
	}
	signatures := make([]string, len(s.Signing))
	for i, secret := range s.Signing {
		var err error
		if signatures[i], err = signStandard(p, secret, id, seconds, body); err != nil {
			return nil, err
		}
	}
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return h, nil
}

func signStandard(p Profile, secret, id, seconds string, body []byte) (string, error) {
	head := []byte(id + "." + seconds + ".")
	if p == StandardV1a {
		key, err := privateKey(secret)
		if err != nil {
			return "", err
		}
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, slices.Concat(head, body))), nil
	}
	key, err := hmacKey(secret)
	if err != nil {
		return "", err
	}
	return "v1," + base64.StdEncoding.EncodeToString(sum(key, head, body)), nil
}

// signPlain signs as the older modules do: hex, with the secret's text as key.
func signPlain(h http.Header, name, secret string, parts ...[]byte) error {
	key, err := plainKey(secret)
	if err != nil {
		return err
	}
	h.Set(name, hex.EncodeToString(sum(key, parts...)))
	return nil
}

func sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// bearer leaves the header out where the endpoint has no token: it said so.
func bearer(h http.Header, s Secrets) error {
	if s.Bearer == "" {
		return nil
	}
	if err := badToken(s.Bearer); err != nil {
		return err
	}
	h.Set("Authorization", "Bearer "+s.Bearer)
	return nil
}

// badToken refuses what would end the header's line or the token.
func badToken(token string) error {
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return fault.New(fault.Invalid, "webhook.secret_invalid", "the bearer token has characters that no header holds").
				WithField("secrets.bearer").WithResolution("give it without blanks and line breaks, in ASCII")
		}
	}
	return nil
}

// S1Event is the name of the older module for what happened: create, write or
// unlink; a business step is a write. What it did not know keeps its type.
func S1Event(e Event) string {
	switch e.Action {
	case Create, Write, Unlink:
		return string(e.Action)
	case Acted:
		return string(Write)
	default:
		return e.Type
	}
}
