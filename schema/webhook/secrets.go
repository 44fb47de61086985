package webhook

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"towpath/schema/fault"
)

// Secrets are what an endpoint's signatures and credentials are made with. They
// rest sealed, apart from the Endpoint, and print as nothing.
type Secrets struct {
	// Signing is newest first: while a secret is replaced, both are valid.
	Signing []string `json:"signing,omitempty" yaml:"signing,omitempty"`
	// Bearer is the token of auth bearer and of profile odoo-s3.
	Bearer string `json:"bearer,omitempty" yaml:"bearer,omitempty"`
	// FormerBearer is the token of odoo-s3 before it was rotated, while both are
	// valid. Nobody gives it.
	FormerBearer string `json:"former_bearer,omitempty" yaml:"-"`
	// Password is that of auth basic, ClientSecret that of oauth2.
	Password     string `json:"password,omitempty" yaml:"password,omitempty"`
	ClientSecret string `json:"client_secret,omitempty" yaml:"client_secret,omitempty"`
	// Headers are secret headers of every attempt: X-API-Key.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
}

// Format keeps secrets out of logs, whatever the verb.
func (Secrets) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// Values are all secrets as they might show up in a text.
func (s Secrets) Values() []string {
	values := slices.Clone(s.Signing)
	for _, secret := range s.Signing {
		for _, prefix := range []string{hmacPrefix, privatePrefix} {
			if bare, has := strings.CutPrefix(secret, prefix); has {
				values = append(values, bare)
			}
		}
	}
	values = append(values, s.Bearer, s.FormerBearer, s.Password, s.ClientSecret)
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		values = append(values, s.Headers[name])
	}
	return slices.DeleteFunc(values, func(v string) bool { return v == "" })
}

// ForAttempt gives the secrets with which an attempt (1, 2, …) is signed. odoo-s0
// and odoo-s1 have room for one signature only, and odoo-s3 for one token, so that
// while it is replaced attempts take turns: nothing is lost, whichever of them the
// receiver knows, as long as 401 and 403 are tried again meanwhile.
func (s Secrets) ForAttempt(p Profile, attempt int) Secrets {
	if p == OdooS3 && s.FormerBearer != "" && attempt > 0 && attempt%2 == 0 {
		s.Bearer, s.FormerBearer = s.FormerBearer, s.Bearer
	}
	n := len(s.Signing)
	if n < 2 || attempt < 1 || p != OdooS0 && p != OdooS1 {
		return s
	}
	first := (attempt - 1) % n
	s.Signing = slices.Concat(s.Signing[first:], s.Signing[:first])
	return s
}

// Rotating reports whether more than one signing secret, or token, is valid.
func (s Secrets) Rotating() bool { return len(s.Signing) > 1 || s.FormerBearer != "" }

// Retired leaves the newest only.
func (s Secrets) Retired() Secrets {
	s.Signing, s.FormerBearer = s.Signing[:min(len(s.Signing), 1)], ""
	return s
}

const (
	hmacPrefix    = "whsec_" // then base64 of 24 to 64 bytes
	privatePrefix = "whsk_"  // then base64 of an ed25519 seed
	publicPrefix  = "whpk_"  // then base64 of the public key

	minHMACKey, maxHMACKey = 24, 64
	// plain secrets of odoo-s0 and odoo-s1 are the key as they stand.
	minPlain, maxPlain = 16, 512
)

// GenerateSecret makes a signing secret, or the token of odoo-s3, in the form of
// the profile.
func GenerateSecret(p Profile) string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see its documentation
	switch p {
	case StandardV1a:
		return privatePrefix + base64.StdEncoding.EncodeToString(key)
	case OdooS0, OdooS1, OdooS3:
		return hex.EncodeToString(key)
	default:
		return hmacPrefix + base64.StdEncoding.EncodeToString(key)
	}
}

// PublicKey is what the receiver of standard-v1a checks signatures with:
// whpk_… of a whsk_… secret.
func PublicKey(secret string) (string, error) {
	key, err := privateKey(secret)
	if err != nil {
		return "", err
	}
	return publicPrefix + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)), nil
}

// CheckSecret refuses a signing secret that has not the form of the profile.
func CheckSecret(p Profile, secret string) error {
	var err error
	switch p {
	case StandardV1a:
		_, err = privateKey(secret)
	case OdooS0, OdooS1:
		_, err = plainKey(secret)
	case OdooS3:
		if err = badToken(secret); err != nil {
			return err
		}
	default:
		_, err = hmacKey(secret)
	}
	return err
}

func badSecret(problem, fix string) error {
	return fault.New(fault.Invalid, "webhook.secret_invalid", "a signing secret %s", problem).
		WithField("secrets.signing").WithResolution("%s", fix)
}

// hmacKey is the key of whsec_….
func hmacKey(secret string) ([]byte, error) {
	const fix = "give whsec_ and the base64 of 24 to 64 random bytes, or let Towpath make one"
	text, has := strings.CutPrefix(secret, hmacPrefix)
	if !has {
		return nil, badSecret("does not begin with whsec_", fix)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, badSecret("is not base64 after whsec_", fix)
	}
	if len(key) < minHMACKey || len(key) > maxHMACKey {
		return nil, badSecret(fmt.Sprintf("has %d bytes", len(key)), fix)
	}
	return key, nil
}

// privateKey takes the seed of 32 bytes and also the 64 bytes of seed and public
// key, which some libraries call the private key.
func privateKey(secret string) (ed25519.PrivateKey, error) {
	const fix = "give whsk_ and the base64 of an ed25519 seed of 32 bytes, or let Towpath make one"
	text, has := strings.CutPrefix(secret, privatePrefix)
	if !has {
		return nil, badSecret("does not begin with whsk_", fix)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, badSecret("is not base64 after whsk_", fix)
	}
	switch len(raw) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(raw), nil
	case ed25519.PrivateKeySize:
		key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
		if subtle.ConstantTimeCompare(key, raw) == 1 {
			return key, nil
		}
		return nil, badSecret("has a public half that is not its own", fix)
	}
	return nil, badSecret(fmt.Sprintf("has %d bytes", len(raw)), fix)
}

func plainKey(secret string) ([]byte, error) {
	if len(secret) < minPlain || len(secret) > maxPlain || strings.TrimSpace(secret) != secret {
		return nil, badSecret("is not 16 to 512 characters without blanks at its ends",
			"give a random text of 32 characters or more, or let Towpath make one")
	}
	return []byte(secret), nil
}
