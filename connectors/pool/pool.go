// Package pool keeps connectors open: one per connection, opened on first use
// and anew when the connection's settings change.
package pool

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
)

// Stored is a connection as it rests in the book of record.
type Stored struct {
	Name, Kind string
	Revision   int64
	Active     bool
	// Settings opens the sealed secrets and gives the merged settings.
	Settings func() (json.RawMessage, error)
}

// Pool opens connectors by connection name.
type Pool struct {
	load    func(ctx context.Context, name string) (Stored, error)
	kinds   map[string]connectors.Definition
	runtime connectors.Runtime

	mu   sync.Mutex
	open map[string]*entry
}

type entry struct {
	refresh chan struct{} // held by the one who reads the settings anew

	mu        sync.Mutex
	connector connectors.Connector
	kind      string
	revision  int64
	checked   time.Time
}

// freshFor is how long a connection's revision is believed before it is read
// again: a change of settings is in force everywhere within that time.
const freshFor = 2 * time.Second

// New makes a pool over stored connections and known kinds.
func New(load func(ctx context.Context, name string) (Stored, error), catalog []connectors.Definition, rt connectors.Runtime) *Pool {
	p := &Pool{load: load, kinds: map[string]connectors.Definition{}, runtime: rt, open: map[string]*entry{}}
	for _, d := range catalog {
		p.kinds[d.Kind] = d
	}
	return p
}

// Get gives the open connector of a connection.
func (p *Pool) Get(ctx context.Context, name string) (connectors.Connector, error) {
	c, _, err := p.get(ctx, name)
	return c, err
}

// Kind gives the kind of a connection, as Get would open it.
func (p *Pool) Kind(ctx context.Context, name string) (string, error) {
	_, kind, err := p.get(ctx, name)
	return kind, err
}

// get never lets a caller wait for another's look at the book of record when a
// connector is open already, and never longer than its own context.
func (p *Pool) get(ctx context.Context, name string) (connectors.Connector, string, error) {
	e := p.entry(name)
	if c, kind, fresh := e.current(); fresh {
		return c, kind, nil
	}
	select {
	case e.refresh <- struct{}{}:
	default:
		if c, kind, _ := e.current(); c != nil {
			return c, kind, nil
		}
		select {
		case e.refresh <- struct{}{}:
		case <-ctx.Done():
			return nil, "", fault.New(fault.Transient, "connection.not_read", "the connection's settings could not be read in time").WithCause(ctx.Err())
		}
	}
	defer func() { <-e.refresh }()
	if p.entry(name) != e { // dropped while we waited: nobody else would find what we open
		return p.get(ctx, name)
	}
	if c, kind, fresh := e.current(); fresh {
		return c, kind, nil
	}
	c, kind, err := p.read(ctx, e, name)
	if c == nil {
		p.drop(name, e)
	}
	return c, kind, err
}

// read looks the connection up and opens it when it is new or changed.
func (p *Pool) read(ctx context.Context, e *entry, name string) (connectors.Connector, string, error) {
	old, kind, _ := e.current()
	stored, err := p.load(ctx, name)
	if err != nil {
		if old != nil && fault.Retryable(err) {
			return old, kind, nil // PostgreSQL is away for a moment: go on with what is open
		}
		return nil, "", err
	}
	if old != nil && stored.Active && e.sameRevision(stored.Revision) {
		return old, kind, nil
	}
	fresh, err := p.build(stored)
	if err != nil {
		return nil, "", err
	}
	e.set(fresh, stored)
	if old != nil {
		go closeIt(old) // lets calls in flight end
	}
	return fresh, stored.Kind, nil
}

func (p *Pool) entry(name string) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.open[name]
	if !ok {
		e = &entry{refresh: make(chan struct{}, 1)}
		p.open[name] = e
	}
	return e
}

// drop forgets a connection that cannot be opened, or any more: strangers ask
// for names without end, and what is switched off is to be closed.
func (p *Pool) drop(name string, e *entry) {
	p.mu.Lock()
	if p.open[name] == e {
		delete(p.open, name)
	}
	p.mu.Unlock()
	if old := e.take(); old != nil {
		go closeIt(old)
	}
}

func (e *entry) current() (c connectors.Connector, kind string, fresh bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.connector, e.kind, e.connector != nil && time.Since(e.checked) < freshFor
}

// sameRevision notes that the settings were looked at, and whether they are
// those that the connector was opened with.
func (e *entry) sameRevision(revision int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checked = time.Now()
	return e.revision == revision
}

func (e *entry) set(c connectors.Connector, s Stored) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.connector, e.kind, e.revision, e.checked = c, s.Kind, s.Revision, time.Now()
}

func (e *entry) take() connectors.Connector {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.connector
	e.connector = nil
	return c
}

func (p *Pool) build(s Stored) (connectors.Connector, error) {
	d, ok := p.kinds[s.Kind]
	if !ok {
		return nil, fault.New(fault.Unsupported, "connection.unknown_kind", "there is no connector of kind %q", s.Kind).
			WithField("kind").WithResolution("see towpath connection kinds")
	}
	if !s.Active {
		return nil, fault.New(fault.Conflict, "connection.inactive", "connection %q is switched off", s.Name).
			WithResolution("set active: true in towpath.yaml and run towpath apply")
	}
	settings, err := s.Settings()
	if err != nil {
		return nil, err
	}
	return d.Open(connectors.Settings{Name: s.Name, Config: settings, Runtime: p.runtime})
}

// closeIt ends a connector that has something to end, within a call's time.
func closeIt(c connectors.Connector) {
	closer, ok := c.(interface {
		Close(ctx context.Context) error
	})
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 70*time.Second)
	defer cancel()
	_ = closer.Close(ctx)
}

// Close closes all connectors that can be closed, all at once.
func (p *Pool) Close() {
	p.mu.Lock()
	open := p.open
	p.open = map[string]*entry{}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, e := range open {
		wg.Add(1)
		go func() { defer wg.Done(); closeIt(e.take()) }()
	}
	wg.Wait()
}
