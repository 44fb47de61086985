package csv

import (
	"context"
	"io/fs"
	"sync"
	"time"

	"towpath/connectors"
)

// Kind is this connector's name in the catalog.
const Kind = "csv"

// Definition describes the CSV connector.
var Definition = connectors.Definition{
	Kind:      Kind,
	Proto:     (*Connector)(nil),
	NewConfig: func() any { return new(Config) },
	Open:      open,
}

// What it can do.
var (
	_ connectors.Connector    = (*Connector)(nil)
	_ connectors.RecordSource = (*Connector)(nil)
	_ connectors.RecordIDs    = (*Connector)(nil)
	_ connectors.ModelClock   = (*Connector)(nil)
	_ connectors.RecordSink   = (*Connector)(nil)
)

// Connector is an open connection to one folder. It is safe for concurrent use.
type Connector struct {
	config Config
	now    func() time.Time
	scan   int64             // maxScan; less in tests
	at     func(step string) // where a test lets the process die

	mu      sync.Mutex
	layouts map[string]layout // by model, as last seen
}

func open(s connectors.Settings) (connectors.Connector, error) {
	config, err := readConfig(s.Config)
	if err != nil {
		return nil, err
	}
	now := s.Runtime.Now
	if now == nil {
		now = time.Now
	}
	return &Connector{config: config, now: now, scan: maxScan, layouts: map[string]layout{}}, nil
}

// SourceNow is this machine's clock: a folder has none of its own. Watermarks
// are by ModelNow.
func (c *Connector) SourceNow(context.Context) (time.Time, error) {
	return c.now().UTC(), nil
}

// ModelNow is when the model's file was last written: until then its records
// tell of changes.
func (c *Connector) ModelNow(_ context.Context, model string) (time.Time, error) {
	info, err := c.stat(model)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime().UTC(), nil
}

func (c *Connector) stat(model string) (fs.FileInfo, error) {
	root, err := c.root()
	if err != nil {
		return nil, err
	}
	defer shut(root)
	return statIn(root, model)
}
