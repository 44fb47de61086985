package endpoint

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// Wherever a receiver's text holds the secrets, and wherever it is cut or
// breaks off: no part of one stays that tells more than three characters.
func TestNoPartOfASecretStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Letters that the rest of the text has not, so that a part is known.
		secret := rapid.StringMatching(`[A-Z]{4,60}`).Draw(t, "secret")
		longer := secret + rapid.StringMatching(`[A-Z]{0,20}`).Draw(t, "longer")
		filler := rapid.SliceOfN(rapid.StringMatching(`[a-zé☀ \x00]{0,40}`), 0, 12).Draw(t, "filler")
		limit := rapid.IntRange(1, 300).Draw(t, "limit")
		var text strings.Builder
		for i, f := range filler {
			text.WriteString(f)
			text.WriteString([]string{secret, longer}[i%2])
			text.WriteString(" ")
		}
		whole := text.String()
		broken := rapid.Bool().Draw(t, "broken")
		if broken && whole != "" {
			whole = whole[:rapid.IntRange(0, len(whole)-1).Draw(t, "breaks")]
		}
		var s secrets
		s.add(secret, longer)
		kept, _ := s.cut(whole, limit, broken)
		if utf8.RuneCountInString(kept) > limit || !utf8.ValidString(kept) || strings.Contains(kept, "\x00") {
			t.Fatalf("%q may not be kept", kept)
		}
		for i := 0; i+4 <= len(secret); i++ {
			if strings.Contains(kept, secret[i:i+4]) {
				t.Fatalf("%q holds a part of %q", kept, secret)
			}
		}
	})
}

func TestHiddenHeaders(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "X-Api-Key": true, "X-Partner-Key": true, "Apikey": true, "X-Signature": true, "Webhook-Signature": true,
		"X-Odoo-Webhook-Signature": true, "X-Access-Token": true, "Cookie": true,
		"Webhook-Id": false, "Webhook-Timestamp": false, "X-Timestamp": false, "X-Webhook-Event": false, "Content-Type": false, "Idempotency-Key": false,
	} {
		assert.Equal(t, want, hidden(name), name)
	}
	assert.Nil(t, secrets(nil).header(nil))
	long := secrets{"s3cret"}.header(http.Header{"X-Note": {"s3cret " + strings.Repeat("x", 1000)}})
	assert.Len(t, long.Get("X-Note"), maxValue)
	assert.NotContains(t, long.Get("X-Note"), "s3cret")
}
