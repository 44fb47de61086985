package outbound

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"towpath/schema/fault"
	"towpath/schema/seal"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Endpoint is an endpoint ready to be delivered to: compiled, defaults filled
// in, its secrets opened.
type Endpoint struct {
	*webhook.Compiled
	Spec    webhook.Endpoint
	Secrets webhook.Secrets
	Stored  store.Endpoint
}

// Open makes a stored endpoint ready. One whose secrets this process cannot open is
// given out beside the fault: what it wants, and in which order, is known.
//
// Faults: webhook.endpoint_unusable (Invalid), with what is wrong;
// webhook.secrets_sealed (Transient).
func Open(stored store.Endpoint, keys *seal.Ring, now time.Time) (*Endpoint, error) {
	e := &Endpoint{Stored: stored}
	if err := e.compile(); err != nil {
		f := fault.Of(err)
		return nil, fault.New(fault.Invalid, "webhook.endpoint_unusable", "the endpoint %s cannot be used: %s", stored.Name, f.Message).
			WithField(f.Field).WithResolution("correct it in towpath.yaml and run: towpath apply; then deliver again").WithCause(err)
	}
	var err error
	if e.Secrets, err = secretsOf(stored, keys); err != nil {
		// Another process may have the key: nothing is wrong with what is to be sent.
		return e, fault.New(fault.Transient, "webhook.secrets_sealed", "this process cannot open the secrets of the endpoint %s", stored.Name).
			WithField("TOWPATH_KEYS").WithResolution("start it with the keys that they were sealed with; what is due goes out then").WithCause(err)
	}
	if until := stored.OldUntil; until.Valid && now.After(until.Time) {
		e.Secrets = e.Secrets.Retired()
	}
	return e, nil
}

func (e *Endpoint) compile() (err error) {
	if err := json.Unmarshal(e.Stored.Spec, &e.Spec); err != nil {
		return err
	}
	e.Spec.Active = nil // the row says it
	e.Spec = e.Spec.WithDefaults()
	e.Compiled, err = webhook.Compile(e.Spec)
	return err
}

func secretsOf(stored store.Endpoint, keys *seal.Ring) (s webhook.Secrets, err error) {
	open, err := stored.Opened(keys)
	if err != nil {
		return s, err
	}
	raw, err := json.Marshal(open)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// Book keeps all endpoints ready. It may be used by many at once.
type Book struct {
	store *store.Store
	keys  *seal.Ring

	mu   sync.Mutex
	page page
	read time.Time
}

// page is what the book held at one moment. Nobody may change it.
type page struct {
	entries map[string]Entry
	asOf    int64 // store.EndpointsAsOf
}

// Entry is an endpoint of the book, or why it cannot be used.
type Entry struct {
	*Endpoint
	Err    error
	Active bool

	revision int64
	until    time.Time // when it is to be opened anew, whatever its revision
}

// NewBook gives an empty book; it is filled when it is first asked.
func NewBook(s *store.Store, keys *seal.Ring) *Book {
	return &Book{store: s, keys: keys}
}

// bookLasts is how long a change of an endpoint may take to be noticed.
const bookLasts = time.Second

// All gives the endpoints by name. PostgreSQL is asked once a second at most.
// Nobody may change the map.
func (b *Book) All(ctx context.Context) (map[string]Entry, error) {
	p, err := b.since(ctx, bookLasts)
	return p.entries, err
}

// since gives the endpoints as they were that long ago, or later.
func (b *Book) since(ctx context.Context, ago time.Duration) (page, error) {
	asked := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if asked.Sub(b.read) < ago {
		return b.page, nil
	}
	stored, err := b.store.Endpoints(ctx)
	if err != nil {
		return page{}, err
	}
	fresh := make(map[string]Entry, len(stored))
	for _, s := range stored {
		e, known := b.page.entries[s.Name]
		if !known || e.revision != s.Revision || !e.until.IsZero() && now.After(e.until) {
			e = Entry{revision: s.Revision}
			if s.OldUntil.Valid && now.Before(s.OldUntil.Time) {
				e.until = s.OldUntil.Time
			}
			e.Endpoint, e.Err = Open(s, b.keys, now)
		}
		e.Active = s.Active
		fresh[s.Name] = e
	}
	b.page, b.read = page{fresh, store.EndpointsAsOf(stored)}, now
	return b.page, nil
}

// rereads are how often endpoints are read anew because somebody changed one
// while something was stored for them.
const rereads = 5

// current does something with the endpoints as they are when it is stored: where
// one was changed since the book read it, all is done anew.
func (b *Book) current(ctx context.Context, act func(page) error) error {
	for tries, ago := 1, bookLasts; ; tries++ {
		p, err := b.since(ctx, ago)
		if err == nil {
			err = act(p)
		}
		if !store.EndpointsChanged(err) || tries == rereads {
			return err
		}
		ago = 0
	}
}

// Get gives one endpoint.
//
// Faults: endpoint.unknown (NotFound), webhook.endpoint_unusable (Invalid).
func (b *Book) Get(ctx context.Context, name string) (*Endpoint, error) {
	p, err := b.since(ctx, bookLasts)
	if err != nil {
		return nil, err
	}
	if _, ok := p.entries[name]; !ok { // made just now, by another process
		if p, err = b.since(ctx, 0); err != nil {
			return nil, err
		}
	}
	return p.endpoint(name)
}

// endpoint gives one, as Get does.
func (p page) endpoint(name string) (*Endpoint, error) {
	e, ok := p.entries[name]
	if !ok {
		return nil, store.UnknownEndpoint(name)
	}
	return e.Endpoint, e.Err
}
