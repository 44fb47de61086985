package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Token proves that this installation gave an address out: it is bound to a
// place, such as "acknowledge/ENDPOINT/EVENT", and stays the same as long as the
// active key does. It holds nothing.
func (r *Ring) Token(place string) string { return r.token(r.active, place) }

// CheckToken reports whether Token gave this one for the place, under any key of
// the ring.
func (r *Ring) CheckToken(place, token string) bool {
	id, _, _ := strings.Cut(token, ".")
	if _, ok := r.tokens[id]; !ok {
		return false
	}
	return hmac.Equal([]byte(token), []byte(r.token(id, place)))
}

func (r *Ring) token(id, place string) string {
	mac := hmac.New(sha256.New, r.tokens[id])
	mac.Write([]byte(place))
	return id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24])
}

// tokenKey is a key of its own, derived from one that encrypts.
func tokenKey(raw []byte) []byte {
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("towpath token"))
	return mac.Sum(nil)
}
