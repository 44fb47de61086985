package webhook

import (
	"cmp"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"time"

	"towpath/schema/fault"
)

// Tolerance is how far a signed timestamp may be from our clock.
const Tolerance = 5 * time.Minute

// Signed tells whether a request carries a signature in one of the forms that
// Verify knows.
func Signed(h http.Header) bool {
	return h.Get(HeaderSignature) != "" || h.Get(headerS1Signature) != "" || h.Get(headerS0Signature) != ""
}

// Verify checks who sent what others send to us, over the raw bytes: Standard
// Webhooks v1, or the forms of profiles odoo-s0 and odoo-s1. One of the secrets
// must fit: there are two while one replaces the other. Comparing takes the same
// time whatever is wrong. A form that signs no time (odoo-s0) has no tolerance.
//
// Faults: webhook.signature_refused (Unauthorized).
func Verify(secrets []string, h http.Header, body []byte, now time.Time) error {
	profile, header, prefix, id, seconds := OdooS0, headerS0Signature, "", "unsigned", ""
	switch {
	case h.Get(HeaderSignature) != "":
		profile, header, prefix, id, seconds = Standard, HeaderSignature, "v1,", h.Get(HeaderID), h.Get(HeaderTimestamp)
	case h.Get(headerS1Signature) != "":
		profile, header, seconds = OdooS1, headerS1Signature, h.Get(headerS1Timestamp)
	}
	at := now
	if profile != OdooS0 {
		unix, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil || strconv.FormatInt(unix, 10) != seconds {
			return refused(header, "the request says no time when it was signed", "send the unix time in seconds")
		}
		if at = time.Unix(unix, 0); now.Sub(at).Abs() > Tolerance {
			return refused(header, "the request was signed more than 5 minutes ago, or in the future", "let both servers keep time with NTP; a request that waited is signed anew")
		}
	}
	for _, secret := range secrets {
		expected, err := Sign(profile, Secrets{Signing: []string{secret}}, id, at, body, Event{})
		if err != nil {
			continue // a secret of another form; the id is judged below
		}
		for given := range strings.FieldsSeq(h.Get(header)) {
			if profile != Standard {
				given = strings.ToLower(strings.TrimPrefix(given, "sha256="))
			} else if !strings.HasPrefix(given, prefix) {
				continue
			}
			if subtle.ConstantTimeCompare([]byte(given), []byte(expected.Get(header))) == 1 {
				return nil
			}
		}
	}
	return refused(header, "the signature does not fit", "sign the raw body with the connection's secret; a proxy between must not change it")
}

func refused(header, message, resolution string) error {
	return fault.New(fault.Unauthorized, "webhook.signature_refused", "%s", message).WithField(header).WithResolution("%s", resolution)
}

// IsID tells whether a text may be an event's id.
func IsID(text string) bool { return identifier.MatchString(text) }

// ActionOf is what a type's name says that happened.
func ActionOf(eventType string) Action { return actionOf(eventType) }

// ReceivedType is the type of event that the header of an older module names;
// empty where it names none.
func ReceivedType(h http.Header) string {
	return strings.ToLower(strings.TrimSpace(cmp.Or(h.Get(headerS0Event), h.Get(headerS1Event))))
}
