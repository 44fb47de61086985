package webhook

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// MaxLogged is how many characters of a request's or answer's body are kept.
const MaxLogged = 5000

var secretName = regexp.MustCompile(`(?i)(authorization|cookie|token|secret|passw|api[-_]?key|access[-_]?key|private[-_]?key|signature|hmac|credential|session|nonce)`)

// IsSecretName tells from the name of a header or field that its value is secret.
func IsSecretName(name string) bool { return secretName.MatchString(name) }

// RedactHeader copies a header for a log: secret values are hidden, by name and
// by value.
func RedactHeader(h http.Header, s Secrets) http.Header {
	out := h.Clone()
	for name, values := range out {
		for i := range values {
			if IsSecretName(name) {
				values[i] = Redacted
			} else {
				values[i] = hide(values[i], s.Values())
			}
		}
	}
	return out
}

// RedactBody is a body for a log: fields with the names of secrets and the
// endpoint's own secrets are hidden, then it is cut at MaxLogged characters. What
// is no JSON is only searched for the latter. It is valid UTF-8 without NUL.
func RedactBody(body []byte, s Secrets) string {
	text := body
	if isJSON := json.Valid(body); isJSON {
		if hidden, err := withoutSecrets(body, 0); err == nil {
			text = hidden
		}
	}
	clean := strings.ReplaceAll(strings.ToValidUTF8(string(text), "\uFFFD"), "\x00", "")
	clean = hide(clean, s.Values())
	if utf8.RuneCountInString(clean) > MaxLogged {
		return string([]rune(clean)[:MaxLogged])
	}
	return clean
}

// hide looks for secrets by value, longest first: one may be part of another.
// Shorter ones than four characters would blank ordinary words.
func hide(text string, secrets []string) string {
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue
		}
		text = strings.ReplaceAll(text, secret, Redacted)
		text = strings.ReplaceAll(text, url.QueryEscape(secret), Redacted)
	}
	return text
}

// withoutSecrets copies well-formed JSON. Nothing else changes but blanks.
func withoutSecrets(raw json.RawMessage, depth int) (json.RawMessage, error) {
	const deepest = 20 // nothing that Towpath sends is; whoever looks there is told nothing
	switch kind := first(raw); {
	case depth >= deepest && (kind == '{' || kind == '['):
		return quoted(Redacted), nil
	case kind == '{':
		list, err := members(raw)
		if err != nil {
			return nil, err
		}
		var o object
		for _, m := range list {
			if IsSecretName(m.name) && !isFalse(m.value) {
				o.text(m.name, Redacted)
				continue
			}
			value, err := withoutSecrets(m.value, depth+1)
			if err != nil {
				return nil, err
			}
			o.raw(m.name, value)
		}
		return o.bytes(), nil
	case kind == '[':
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		for i := range items {
			var err error
			if items[i], err = withoutSecrets(items[i], depth+1); err != nil {
				return nil, err
			}
		}
		return listOf(items), nil
	}
	return compact(raw)
}
