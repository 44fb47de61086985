package webhook

import "time"

// Profile is the shape of the body and the way in which it is signed.
type Profile string

// The profiles.
const (
	Standard    Profile = "standard"     // Standard Webhooks, HMAC-SHA256
	StandardV1a Profile = "standard-v1a" // Standard Webhooks, ed25519
	OdooS0      Profile = "odoo-s0"
	OdooS1      Profile = "odoo-s1"
	OdooS3      Profile = "odoo-s3"
)

// Profiles are all of them, the default first.
func Profiles() []Profile { return []Profile{Standard, StandardV1a, OdooS0, OdooS1, OdooS3} }

// AuthType is how Towpath shows an endpoint who it is, beside the signature.
type AuthType string

// The types.
const (
	AuthNone   AuthType = "none"
	AuthBearer AuthType = "bearer"
	AuthBasic  AuthType = "basic"
	AuthOAuth2 AuthType = "oauth2" // client credentials
)

// Ordering says whether deliveries wait for one another.
type Ordering string

// The orderings.
const (
	Unordered Ordering = "none"
	// PerRecord sends the events of one record one after another; other records
	// never wait for it.
	PerRecord Ordering = "per_record"
)

// OnPark is what becomes of a record's later events when one is parked.
type OnPark string

// The choices.
const (
	Hold OnPark = "hold"  // they wait until a person has decided
	GoOn OnPark = "go_on" // the next one is sent
)

// Network says which addresses an endpoint may have.
type Network string

// The networks.
const (
	Public  Network = "public"  // https; no private, loopback or metadata addresses
	Private Network = "private" // an operator vouches for an address inside; http is allowed
)

// Endpoint is one receiver of events. Its secrets rest apart, see Secrets.
type Endpoint struct {
	// Name is a slug: it is part of workflow ids and never changes.
	Name        string `json:"name" yaml:"name"`
	URL         string `json:"url" yaml:"url"`
	Description string `json:"description,omitempty" yaml:"description,omitempty"`
	// Events are types, with * for one or more parts: "*", "sale.order.*",
	// "*.created". Empty is all. With odoo-s1 also create, write and unlink.
	Events []string `json:"events,omitempty" yaml:"events,omitempty"`
	// Connections and Models narrow it down; empty is all. Models take *, too.
	Connections []string `json:"connections,omitempty" yaml:"connections,omitempty"`
	Models      []string `json:"models,omitempty" yaml:"models,omitempty"`
	// Filter is CEL over `event` that gives true for what is sent:
	// event.data.amount_total > 1000 && event.data.state == "sale".
	Filter string `json:"filter,omitempty" yaml:"filter,omitempty"`
	// Fields are those of the data that are sent, dot paths; id always is. Old
	// values and the names of changed fields are narrowed with them. Empty is all.
	Fields []string `json:"fields,omitempty" yaml:"fields,omitempty"`
	// Profile is standard by default.
	Profile Profile `json:"profile,omitempty" yaml:"profile,omitempty"`
	// Auth is none by default, bearer with odoo-s3.
	Auth  Auth  `json:"auth,omitzero" yaml:"auth,omitempty"`
	Retry Retry `json:"retry,omitzero" yaml:"retry,omitempty"`
	// Timeout of one attempt is 1 to 30 seconds, 15 by default.
	Timeout Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`
	// Rate limits attempts; without it there is no limit but the endpoint's own.
	Rate Rate `json:"rate,omitzero" yaml:"rate,omitempty"`
	// Ordering is none by default, per_record with collapse.
	Ordering Ordering `json:"ordering,omitempty" yaml:"ordering,omitempty"`
	// OnPark is hold by default; without an order nothing is held.
	OnPark OnPark `json:"on_park,omitempty" yaml:"on_park,omitempty"`
	// Collapse sends of several waiting updates of a record the latest only.
	Collapse bool `json:"collapse,omitempty" yaml:"collapse,omitempty"`
	// Transform is CEL over `event` that gives the object which is sent as body.
	Transform   string      `json:"transform,omitempty" yaml:"transform,omitempty"`
	Acknowledge Acknowledge `json:"acknowledge,omitzero" yaml:"acknowledge,omitempty"`
	// Active is true unless it is set.
	Active *bool `json:"active,omitempty" yaml:"active,omitempty"`
	// Headers are sent with every attempt. Secret ones belong to Secrets.Headers.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	// Network is public by default.
	Network Network `json:"network,omitempty" yaml:"network,omitempty"`
	// DisableAfter is how long an endpoint may only fail before it is switched
	// off, 5 days by default.
	DisableAfter Duration `json:"disable_after,omitempty" yaml:"disable_after,omitempty"`
}

// Auth is what an endpoint is shown beside the signature. Its secret is in
// Secrets: Bearer, Password or ClientSecret.
type Auth struct {
	Type     AuthType `json:"type,omitempty" yaml:"type,omitempty"`
	Username string   `json:"username,omitempty" yaml:"username,omitempty"`   // basic
	TokenURL string   `json:"token_url,omitempty" yaml:"token_url,omitempty"` // oauth2
	ClientID string   `json:"client_id,omitempty" yaml:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	Audience string   `json:"audience,omitempty" yaml:"audience,omitempty"`
}

// Rate is so many attempts per second or minute.
type Rate struct {
	Limit int     `json:"limit,omitempty" yaml:"limit,omitempty"`
	Per   RatePer `json:"per,omitempty" yaml:"per,omitempty"` // second by default
}

// RatePer is the unit of a rate.
type RatePer string

// The units.
const (
	PerSecond RatePer = "second"
	PerMinute RatePer = "minute"
)

// Every is the time between two attempts; 0 is no limit.
func (r Rate) Every() time.Duration {
	switch {
	case r.Limit <= 0:
		return 0
	case r.Per == PerMinute:
		return time.Minute / time.Duration(r.Limit)
	default:
		return time.Second / time.Duration(r.Limit)
	}
}

// Acknowledge asks for a second answer: the endpoint takes the event now and
// says later that it was applied. Within 0 asks for none.
type Acknowledge struct {
	Within Duration `json:"within,omitempty" yaml:"within,omitempty"`
}

// The defaults and bounds of an endpoint.
const (
	DefaultTimeout      = 15 * time.Second
	MinTimeout          = time.Second
	MaxTimeout          = 30 * time.Second
	DefaultDisableAfter = 5 * day
	MinDisableAfter     = time.Minute
	MaxDisableAfter     = 90 * day
	MinAcknowledge      = time.Second
	MaxAcknowledge      = 30 * day
)

// WithDefaults fills in what was left out. The endpoint given stays as it is.
func (e Endpoint) WithDefaults() Endpoint {
	orElse(&e.Profile, Standard)
	if e.Profile == OdooS3 {
		orElse(&e.Auth.Type, AuthBearer)
	}
	orElse(&e.Auth.Type, AuthNone)
	orElse(&e.Retry.Profile, RetryStandard)
	orElse(&e.Timeout, Duration(DefaultTimeout))
	if e.Rate.Limit != 0 {
		orElse(&e.Rate.Per, PerSecond)
	}
	if e.Collapse {
		orElse(&e.Ordering, PerRecord)
	}
	orElse(&e.Ordering, Unordered)
	orElse(&e.OnPark, Hold)
	orElse(&e.Active, new(true))
	orElse(&e.Network, Public)
	orElse(&e.DisableAfter, Duration(DefaultDisableAfter))
	return e
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// IsActive reports whether anything is sent to it.
func (e Endpoint) IsActive() bool { return e.Active == nil || *e.Active }
