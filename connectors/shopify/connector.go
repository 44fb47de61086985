package shopify

import (
	"context"
	"sync"
	"time"

	"towpath/connectors"
	"towpath/connectors/httpx"
)

// Kind is this connector's name in the catalog and in webhook addresses.
const Kind = "shopify"

// Definition describes the Shopify connector.
var Definition = connectors.Definition{
	Kind:      Kind,
	Proto:     (*Connector)(nil),
	NewConfig: func() any { return new(Config) },
	Open:      open,
}

// What it can do.
var (
	_ connectors.Connector     = (*Connector)(nil)
	_ connectors.HookReceiver  = (*Connector)(nil)
	_ connectors.OrderDecoder  = (*Connector)(nil)
	_ connectors.OrderReader   = (*Connector)(nil)
	_ connectors.OrderLister   = (*Connector)(nil)
	_ connectors.HookInstaller = (*Connector)(nil)
)

// Connector is an open connection to one shop. It is safe for concurrent use.
type Connector struct {
	name   string
	config Config
	docs   documents
	api    *client
	now    func() time.Time

	sizes  *pageSizes
	scopes scopeCache

	recordWriter
	locations struct {
		mu     sync.Mutex
		all    []location
		readAt time.Time
	}
	touched  touchedProducts
	currency currencyCache
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
	web := httpx.NewClient(httpx.Options{
		Room:    Kind,
		MaxBody: 64 << 20, // a page of large orders
		Private: config.APIURL != "",
		Base:    s.Runtime.Transport,
	})
	c := &Connector{
		name:   s.Name,
		config: config,
		docs:   documentsFor(config.Money),
		api:    newClient(web, config, now),
		now:    now,
		sizes:  defaultSizes(),
	}
	c.addRecordWriters(s.Runtime)
	return c, nil
}

// Close stops admission of writes and lets those in flight end.
func (c *Connector) Close(ctx context.Context) error { return c.scheduler.Close(ctx) }
