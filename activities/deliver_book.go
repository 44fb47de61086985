package activities

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"towpath/connectors/endpoint"
	"towpath/schema/fault"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// openEndpoint is an endpoint ready to be delivered to: compiled, its secrets
// opened.
type openEndpoint struct {
	*webhook.Compiled
	spec     webhook.Endpoint
	secrets  webhook.Secrets
	revision int64
	ackURL   string // where a receiver says that it has applied an event; empty: not asked for
}

// OpenEndpoint compiles a stored endpoint.
func openStored(stored store.Endpoint, keys *seal.Ring) (*openEndpoint, error) {
	e := &openEndpoint{revision: stored.Revision}
	unusable := func(err error) error {
		f := *fault.Of(err)
		return fault.New(fault.Invalid, "webhook.endpoint_unusable", "the endpoint %s cannot be used: %s", stored.Name, f.Message).
			WithField(f.Field).WithResolution("correct it in towpath.yaml and run: towpath apply; then deliver again").WithCause(err)
	}
	if err := json.Unmarshal(stored.Spec, &e.spec); err != nil {
		return nil, unusable(err)
	}
	e.spec = e.spec.WithDefaults()
	open, err := stored.Opened(keys)
	if err != nil {
		return nil, unusable(err)
	}
	raw, err := json.Marshal(open)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &e.secrets); err != nil {
		return nil, unusable(err)
	}
	if e.Compiled, err = webhook.Compile(e.spec); err != nil {
		return nil, unusable(err)
	}
	return e, nil
}

// endpointBook keeps endpoints compiled, by revision.
type endpointBook struct {
	store *store.Store
	keys  *seal.Ring
	mu    sync.Mutex
	open  map[string]bookEntry
	read  time.Time // when all were read
}

type bookEntry struct {
	revision int64
	active   bool
	endpoint *openEndpoint
	err      error // it cannot be used
}

func newEndpointBook(s *store.Store, keys *seal.Ring) *endpointBook {
	return &endpointBook{store: s, keys: keys, open: map[string]bookEntry{}}
}

// bookLasts is how long a change of an endpoint may take to be noticed.
const bookLasts = time.Second

// all reads the endpoints anew, at most once a second.
func (b *endpointBook) all(ctx context.Context) (map[string]bookEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.read) < bookLasts {
		return b.open, nil
	}
	stored, err := b.store.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	fresh := make(map[string]bookEntry, len(stored))
	for _, s := range stored {
		entry, known := b.open[s.Name]
		if !known || entry.revision != s.Revision {
			entry = bookEntry{revision: s.Revision}
			entry.endpoint, entry.err = openStored(s, b.keys)
		}
		entry.active = s.Active
		fresh[s.Name] = entry
	}
	b.open, b.read = fresh, time.Now()
	return fresh, nil
}

// get gives one endpoint.
func (b *endpointBook) get(ctx context.Context, name string) (*openEndpoint, error) {
	all, err := b.all(ctx)
	if err != nil {
		return nil, err
	}
	entry, ok := all[name]
	if !ok {
		return nil, fault.New(fault.Transient, "endpoint.unknown", "there is no endpoint %q", name)
	}
	return entry.endpoint, entry.err
}

func (e *openEndpoint) timeout() time.Duration { return time.Duration(e.spec.Timeout) }

// burst is how many may go at once after a pause: a second's worth.
func (e *openEndpoint) burst() int {
	every := e.spec.Rate.Every()
	if every == 0 {
		return 1
	}
	return max(1, int(time.Second/every))
}

// patience is how long a delivery is tried at all, whatever keeps it from being
// sent: the whole of its profile with all jitter, and an hour for the circuit.
func (e *openEndpoint) patience() time.Duration {
	return e.spec.Retry.Total()*5/4 + time.Hour
}

// forgives says that a refusal may be about a secret which is being replaced.
func (e *openEndpoint) forgives(status int) bool {
	return e.secrets.Rotating() && (status == http.StatusUnauthorized || status == http.StatusForbidden)
}

// HeaderAck carries the address at which a receiver says that it has applied an
// event.
const HeaderAck = "webhook-ack-url"

// request is one attempt as it goes out: body, signature, credentials.
func (e *openEndpoint) request(event webhook.Event, a store.Attempt, at time.Time) (endpoint.Request, error) {
	body, err := e.Body(event)
	if err != nil {
		return endpoint.Request{}, err
	}
	secrets := e.secrets.ForAttempt(e.spec.Profile, a.Number)
	header := http.Header{}
	for _, extra := range []map[string]string{e.spec.Headers, secrets.Headers} {
		for _, name := range slices.Sorted(maps.Keys(extra)) {
			header.Set(name, extra[name])
		}
	}
	signed, err := webhook.Sign(e.spec.Profile, secrets, event.ID, at, body, event)
	if err != nil {
		return endpoint.Request{}, err
	}
	maps.Copy(header, signed)
	if e.ackURL != "" {
		header.Set(HeaderAck, e.ackURL)
	}
	return endpoint.Request{
		Endpoint: e.spec.Name, URL: e.spec.URL, Header: header, Body: body, Timeout: e.timeout(),
		Network: endpoint.Network(e.spec.Network),
		Auth: endpoint.Auth{
			Type: endpoint.AuthType(e.spec.Auth.Type), Token: secrets.Bearer, Username: e.spec.Auth.Username, Password: secrets.Password,
			TokenURL: e.spec.Auth.TokenURL, ClientID: e.spec.Auth.ClientID, ClientSecret: secrets.ClientSecret,
			Scopes: e.spec.Auth.Scopes, Audience: e.spec.Auth.Audience,
		},
	}, nil
}

// requestText is what is noted of a request: header lines, an empty line, the
// body; as the sender redacted and cut them.
func requestText(sent endpoint.Attempt) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sent.SentHeader)) {
		for _, value := range sent.SentHeader[name] {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	b.WriteString("\n" + sent.SentBody)
	return cut(b.String(), maxNoted)
}

// maxNoted bounds what is noted of a request and of an answer (requirements 61).
const maxNoted = 5000
