package endpoint

import (
	"net/http"
	"time"

	"towpath/schema/fault"
)

// Request is one webhook to send. Header and Body go out exactly as given;
// credentials of Auth are added.
type Request struct {
	// Endpoint is the endpoint's name. Tokens are kept per endpoint.
	Endpoint string
	// URL is where it is sent, as Check accepts it.
	URL string
	// Header holds the signature, the webhook id and the operator's own
	// headers. Content-Type is application/json where none is given.
	Header http.Header
	Body   []byte
	Auth   Auth
	// Timeout bounds everything: name resolution, connection, token, answer.
	// 1 to 30 s; DefaultTimeout when zero.
	Timeout time.Duration
	// Network is Public where empty. Private is an operator's own choice,
	// never that of a partner who supplies the URL.
	Network Network
}

// Limits of Request.Timeout.
const (
	DefaultTimeout = 15 * time.Second
	MinTimeout     = time.Second
	MaxTimeout     = 30 * time.Second
)

// Network says which addresses may be dialed.
type Network string

// The networks. Neither reaches link-local or metadata addresses: what hands
// out credentials to whoever can send a request is nobody's webhook receiver.
const (
	Public  Network = "public"  // https to addresses of the public Internet
	Private Network = "private" // also http, private networks and loopback
)

// AuthType says how a request proves who sends it, beside its signature.
type AuthType string

// The types of Auth.
const (
	AuthNone   AuthType = "none" // also ""
	AuthBearer AuthType = "bearer"
	AuthBasic  AuthType = "basic"
	AuthOAuth2 AuthType = "oauth2" // client credentials, RFC 6749 4.4
)

// Auth holds an endpoint's credentials.
type Auth struct {
	Type     AuthType
	Token    string // bearer
	Username string // basic
	Password string // basic

	// For oauth2. TokenURL is dialed behind the same guard as the endpoint.
	TokenURL     string
	ClientID     string
	ClientSecret string
	Scopes       []string
	Audience     string // sent as `audience` where the token server wants one
	// Style says where the client's credentials go: "header" (basic), "body",
	// or "" to find out by trying the header first.
	Style string
}

// Outcome says what an attempt means for its delivery.
type Outcome string

// The outcomes.
const (
	Delivered Outcome = "delivered" // 2xx: the receiver has it
	Retry     Outcome = "retry"     // may succeed later by itself
	Park      Outcome = "park"      // will not, until somebody changes something
	Disable   Outcome = "disable"   // 410: the receiver wants no more of them
)

// Attempt is what came of one Send. Its texts are redacted, valid UTF-8
// without NUL, and capped: they may be stored as they are.
type Attempt struct {
	Outcome Outcome
	// Fault says why it was not delivered; nil when it was. Its code starts
	// with "webhook.".
	Fault *fault.Fault

	Status int         // 0: no answer
	Header http.Header // the part of the answer's header that helps an operator
	Body   string      // the answer's, at most MaxText characters
	// Cut says that the answer's body was longer than what was kept, or ended
	// before its end.
	Cut bool
	// RetryAfter is the receiver's own wish, 1 s to 24 h; 0 when it has none.
	// It goes before the retry profile, also where the profile ends sooner.
	RetryAfter time.Duration

	SentHeader http.Header // what was sent, secrets hidden
	SentBody   string      // what was sent, at most MaxText characters, secrets hidden

	StartedAt time.Time     // UTC
	Took      time.Duration // everything, token and answer included
	Trip      Trip
}

// Trip tells how an attempt went over the wire, for logs and statistics. With
// several requests (a renewed token) it is that of the last one.
type Trip struct {
	Host     string        // the URL's, with its port
	Remote   string        // the address that was dialed
	Proto    string        // "HTTP/1.1", "HTTP/2.0"
	TLS      string        // "TLS 1.3"
	Reused   bool          // over a connection of an earlier attempt
	Written  bool          // the whole request was handed to the network
	Requests int           // how often the webhook was sent: 0 to 2
	Resolve  time.Duration // name resolution
	Connect  time.Duration // TCP
	Secure   time.Duration // TLS handshake
	Wait     time.Duration // from the request's first byte to the answer's
	Token    time.Duration // waiting for an access token
}

// MaxText is how many characters of a request's and an answer's body are kept.
const MaxText = 5000
