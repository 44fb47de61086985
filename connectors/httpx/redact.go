package httpx

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

var (
	secretName = regexp.MustCompile(`(?i)(authorization|cookie|token|secret|passw|api[-_]?key|signature|hmac|credential|session|nonce)`)
	// secretText finds credentials inside free text: bearer headers, the
	// userinfo of a URL, and name=value pairs with a secret's name.
	bearerText   = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`)
	userinfoText = regexp.MustCompile(`(://)[^/\s@]+@`)
	pairText     = regexp.MustCompile(`(?i)([\w-]*(?:token|secret|passw\w*|api[-_]?key|signature|hmac)[\w-]*["']?\s*[=:]\s*["']?)[^\s"'&,;}]+`)
)

// Redact hides credentials in a text, by their usual forms and by value.
// Values shorter than four characters are not looked for: they would blank
// ordinary words.
func Redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, Redacted)
			text = strings.ReplaceAll(text, url.QueryEscape(s), Redacted)
		}
	}
	// The patterns are slow and their words are rare: look for those first.
	folded := strings.ToUpper(strings.ToLower(text)) // as (?i) does, long s and Kelvin sign included
	if mentions(folded, "BEARER", "BASIC") {
		text = bearerText.ReplaceAllString(text, "$1 "+Redacted)
	}
	if strings.Contains(text, "://") {
		text = userinfoText.ReplaceAllString(text, "$1"+Redacted+"@")
	}
	if mentions(folded, "TOKEN", "SECRET", "PASSW", "API", "SIGNATURE", "HMAC") {
		text = pairText.ReplaceAllString(text, "$1"+Redacted)
	}
	return text
}

func mentions(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// SecretName reports whether a header or parameter of that name holds a secret.
func SecretName(name string) bool { return secretName.MatchString(name) }

// RedactHeader copies a header with the values of secret ones hidden.
func RedactHeader(h http.Header) http.Header {
	out := h.Clone()
	for name := range out {
		if secretName.MatchString(name) {
			out[name] = []string{Redacted}
		}
	}
	return out
}

// RedactURL hides userinfo and the values of secret query parameters.
func RedactURL(u *url.URL) string {
	out := *u
	if out.User != nil {
		out.User = url.User("redacted")
	}
	q := out.Query()
	for name := range q {
		if secretName.MatchString(name) || strings.EqualFold(name, "key") || strings.EqualFold(name, "code") {
			q.Set(name, "redacted")
		}
	}
	out.RawQuery = q.Encode()
	return out.String()
}
