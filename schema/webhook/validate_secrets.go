package webhook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"towpath/schema/fault"
)

// maxSigning is how many signing secrets may be valid at once.
const maxSigning = 5

// SecretFaults are the mistakes of the secrets that were given for an endpoint.
// What is not given may be stored already, see Missing.
func (e Endpoint) SecretFaults(s Secrets) []*fault.Fault {
	e = e.WithDefaults()
	var c check
	c.that(len(s.Signing) <= maxSigning, "secrets.signing", "are too many", fmt.Sprintf("keep %d or less; old ones are retired one by one", maxSigning))
	c.that(e.Profile != OdooS3 || len(s.Signing) == 0, "secrets.signing", "are of no use to odoo-s3, which signs nothing", "remove them; its token is secrets.bearer")
	for i, secret := range s.Signing {
		if err := CheckSecret(e.Profile, secret); err != nil && e.Profile != OdooS3 {
			f := fault.Of(err)
			c.that(false, fmt.Sprintf("secrets.signing[%d]", i), strings.TrimPrefix(f.Message, "a signing secret "), f.Resolution)
		}
	}
	c.that(badToken(s.Bearer) == nil, "secrets.bearer", "has characters that no header holds", "give it without blanks and line breaks, in ASCII")
	c.that(!strings.ContainsFunc(s.Password, isControl), "secrets.password", "has characters that no header holds", "give it without line breaks")
	for _, secret := range e.credentials(s) {
		c.that(secret.value == "" || secret.wanted, secret.field, "does not go with auth.type: "+string(e.Auth.Type), "correct auth.type, or remove the secret")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		c.header("secrets.headers."+shorten(name), name, s.Headers[name])
	}
	slices.SortStableFunc(c.faults, func(a, b *fault.Fault) int { return cmp.Compare(a.Field, b.Field) })
	return c.faults
}

type credential struct {
	field, value string
	wanted       bool
}

func (e Endpoint) credentials(s Secrets) []credential {
	return []credential{
		{"secrets.bearer", s.Bearer, e.Auth.Type == AuthBearer},
		{"secrets.password", s.Password, e.Auth.Type == AuthBasic},
		{"secrets.client_secret", s.ClientSecret, e.Auth.Type == AuthOAuth2},
	}
}

// Used are those of the secrets that the endpoint has a use for. Others may be
// stored from a time when its profile or auth was another; signing secrets of
// another form are such, too.
func (e Endpoint) Used(s Secrets) Secrets {
	e = e.WithDefaults()
	if e.Auth.Type != AuthBearer {
		s.Bearer, s.FormerBearer = "", ""
	}
	if e.Auth.Type != AuthBasic {
		s.Password = ""
	}
	if e.Auth.Type != AuthOAuth2 {
		s.ClientSecret = ""
	}
	unfit := func(secret string) bool { return CheckSecret(e.Profile, secret) != nil }
	if e.Profile == OdooS3 || slices.ContainsFunc(s.Signing, unfit) {
		s.Signing = nil
	}
	return s
}

// Missing is what an endpoint cannot be used without, given what is stored: the
// secret of its auth. Signing secrets are Towpath's to make, see GenerateSecret.
func (e Endpoint) Missing(s Secrets) error {
	e = e.WithDefaults()
	for _, secret := range e.credentials(s) {
		if secret.wanted && secret.value == "" {
			return fault.New(fault.Invalid, "webhook.secret_missing", "the endpoint %s has no %s", e.Name, secret.field).
				WithField(secret.field).WithResolution("give it, or correct auth.type (%s)", e.Auth.Type)
		}
	}
	return nil
}

// ValidateSecrets is SecretFaults as one error, or nil.
func (e Endpoint) ValidateSecrets(s Secrets) error { return joined(e.Name, e.SecretFaults(s)) }
