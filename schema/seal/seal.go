// Package seal encrypts secrets at rest: AES-256-GCM under a ring of keys. An
// envelope names its key, so keys rotate without downtime, and is bound to the
// place it rests in (table, row, field), so it cannot be moved elsewhere.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"towpath/schema/fault"
)

// Ring holds one active key and any number that only open.
type Ring struct {
	active string
	keys   map[string]cipher.AEAD
	tokens map[string][]byte
}

// ParseRing reads "id:hex64,id:hex64…": 32-byte keys in hex, the first active.
func ParseRing(text string) (*Ring, error) {
	r := &Ring{keys: map[string]cipher.AEAD{}, tokens: map[string][]byte{}}
	for _, entry := range strings.Split(text, ",") {
		id, hexKey, ok := strings.Cut(strings.TrimSpace(entry), ":")
		raw, err := hex.DecodeString(hexKey)
		if !ok || id == "" || strings.ContainsAny(id, ".:") || err != nil || len(raw) != 32 {
			return nil, fault.New(fault.Invalid, "seal.bad_ring", "a key is not of the form id:64-hex-digits").
				WithField("TOWPATH_KEYS").
				WithResolution("make one with: echo k1:$(openssl rand -hex 32)")
		}
		if _, twice := r.keys[id]; twice {
			return nil, fault.New(fault.Invalid, "seal.bad_ring", "the key id %q is there twice", id).
				WithField("TOWPATH_KEYS").WithResolution("give every key an id of its own")
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		if r.active == "" {
			r.active = id
		}
		r.keys[id], r.tokens[id] = aead, tokenKey(raw)
	}
	return r, nil
}

// Seal encrypts plain for one place, such as "connection/shop/access_token".
// The envelope is "keyid.base64(nonce+ciphertext)".
func (r *Ring) Seal(plain, place string) (string, error) {
	aead := r.keys[r.active]
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return r.active + "." + base64.RawStdEncoding.EncodeToString(aead.Seal(nonce, nonce, []byte(plain), []byte(place))), nil
}

// Open decrypts an envelope that was sealed for the same place.
func (r *Ring) Open(envelope, place string) (string, error) {
	id, body, _ := strings.Cut(envelope, ".")
	aead, ok := r.keys[id]
	if !ok {
		return "", fault.New(fault.Unauthorized, "seal.unknown_key", "a secret was sealed with a key that is not in the ring").
			WithField("TOWPATH_KEYS").WithResolution("add the key %q again, or enter the secret anew with towpath apply", id)
	}
	raw, err := base64.RawStdEncoding.DecodeString(body)
	if err != nil || len(raw) < aead.NonceSize() {
		return "", broken(place)
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(place))
	if err != nil {
		return "", broken(place)
	}
	return string(plain), nil
}

// Active reports whether the envelope was sealed with the active key.
func (r *Ring) Active(envelope string) bool { return strings.HasPrefix(envelope, r.active+".") }

func broken(place string) error {
	return fault.New(fault.Unauthorized, "seal.broken", "a stored secret cannot be opened (%s)", place).
		WithResolution("enter it anew with towpath apply")
}
