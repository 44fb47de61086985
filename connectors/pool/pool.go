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
	mu        sync.Mutex
	connector connectors.Connector
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
	p.mu.Lock()
	e, ok := p.open[name]
	if !ok {
		e = &entry{}
		p.open[name] = e
	}
	p.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.connector != nil && time.Since(e.checked) < freshFor {
		return e.connector, nil
	}
	stored, err := p.load(ctx, name)
	if err != nil {
		if e.connector != nil && fault.Retryable(err) {
			return e.connector, nil // PostgreSQL is away for a moment: go on with what is open
		}
		return nil, err
	}
	if e.connector != nil && e.revision == stored.Revision {
		e.checked = time.Now()
		return e.connector, nil
	}
	fresh, err := p.build(stored)
	if err != nil {
		return nil, err
	}
	if e.connector != nil {
		go closeIt(e.connector) // lets calls in flight end
	}
	e.connector, e.revision, e.checked = fresh, stored.Revision, time.Now()
	return fresh, nil
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

// Close closes all connectors that can be closed.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.open {
		closeIt(e.connector)
	}
	p.open = map[string]*entry{}
}
