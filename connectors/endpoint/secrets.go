package endpoint

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"towpath/connectors/httpx"
)

// secrets are the credentials of one attempt. Receivers echo what they were
// sent, so none of them may be kept in any text of it.
type secrets []string

// Shorter ones are not looked for: they would blank ordinary words.
const minSecret = 4

func (s *secrets) add(values ...string) {
	for _, v := range values {
		if len(v) < minSecret {
			continue
		}
		*s = append(*s, v)
		if quoted, err := json.Marshal(v); err == nil { // as a JSON answer spells it
			if inner := string(quoted[1 : len(quoted)-1]); inner != v {
				*s = append(*s, inner)
			}
		}
	}
}

// addHeader takes the values of hidden headers, each word of them: the scheme
// of an Authorization is no secret, and a signature may be one of several.
func (s *secrets) addHeader(h http.Header) {
	for name, values := range h {
		if hidden(name) {
			for _, v := range values {
				for _, word := range strings.Fields(v) {
					if !strings.EqualFold(word, "bearer") && !strings.EqualFold(word, "basic") {
						s.add(word)
					}
				}
			}
		}
	}
}

// hidden tells the headers whose values are not kept. Partners name theirs as
// they like: beside what httpx knows, anything that ends in "key" is one.
func hidden(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasSuffix(lower, "key") && lower != "idempotency-key" {
		return true
	}
	return httpx.SecretName(name)
}

// header copies a header with secrets hidden and values cut.
func (s secrets) header(h http.Header) http.Header {
	if h == nil {
		return nil
	}
	out := h.Clone()
	for name, values := range out {
		if hidden(name) {
			out[name] = []string{httpx.Redacted}
			continue
		}
		for i, v := range values {
			values[i], _ = s.cut(v, maxValue, false)
		}
	}
	return out
}

const maxValue = 500

// telling is the part of an answer's header that is kept.
func telling(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range h {
		if slices.Contains(kept, name) {
			out[name] = slices.Clone(values[:min(len(values), 3)])
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

var kept = []string{
	"Allow", "Cf-Ray", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Retry-After", "Server", "Traceparent", "Via",
	"Request-Id", "X-Amzn-Requestid", "X-Amzn-Trace-Id", "X-Correlation-Id", "X-Request-Id",
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
}

// excerpt is the beginning of a text that may be kept: MaxText characters of
// valid UTF-8 without NUL (PostgreSQL takes none), without secrets. broken says
// that the text ended before its end.
func (s secrets) excerpt(text string, broken bool) (kept string, cut bool) {
	return s.cut(text, MaxText, broken)
}

func (s secrets) cut(text string, limit int, broken bool) (string, bool) {
	window := limit + 256
	for _, v := range s {
		window = max(window, limit+len(v))
	}
	text, more := head(text, window)
	text = httpx.Redact(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"), s.longestFirst()...)
	if more || broken {
		text = s.trimTail(text)
	}
	text, cut := head(text, limit)
	return text, cut || more
}

// longestFirst: a secret that holds another one must go first, or its rest
// would stay.
func (s secrets) longestFirst() []string {
	unique := map[string]bool{}
	for _, v := range s {
		unique[v] = true
	}
	return slices.SortedFunc(maps.Keys(unique), func(a, b string) int { return len(b) - len(a) })
}

// trimTail takes off the beginning of a secret whose rest was cut off.
func (s secrets) trimTail(text string) string {
	for _, v := range s.longestFirst() {
		for n := min(len(v), len(text)); n >= minSecret; n-- {
			if strings.HasSuffix(text, v[:n]) {
				return text[:len(text)-n] + httpx.Redacted
			}
		}
	}
	return text
}

// head is the first limit characters.
func head(text string, limit int) (string, bool) {
	if len(text) <= limit {
		return text, false
	}
	at := 0
	for range limit {
		if at >= len(text) {
			return text, false
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return text[:at], at < len(text)
}
