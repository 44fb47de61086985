package odoo

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"towpath/connectors"
	"towpath/connectors/batch"
	"towpath/connectors/httpx"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/record"
	"towpath/schema/webhook"
)

// Time limits of one call. A write's is longer: Odoo may itself retry for 30 s
// inside (protocols P3.2). Tests on a real Odoo, on a machine that may be as busy as
// it likes, have others.
var (
	readTimeout  = 30 * time.Second
	writeTimeout = 60 * time.Second
)

// Connector is an open door to one company of one Odoo database. It is safe
// for use by any number of goroutines.
type Connector struct {
	cfg       Config
	system    string // the connection's slug
	rpc       *rpc.Client
	web       *http.Client // for what is no RPC: the server's clock
	now       func() time.Time
	scheduler *batch.Scheduler

	known   *kept[*terms]
	company atomic.Int64 // of the terms read last; 0 before
	canary  canary
	places  *kept[*places]
	name    *kept[string] // the database's identity

	products   *batch.Op[productAsk, []record.ProductMatch]
	parties    *batch.Op[string, []record.PartyMatch]
	references *batch.Op[string, []record.OrderState]
	lookups    *batch.Op[string, located]
	orders     *batch.Op[orderAsk, record.OrderState]
	orderPages *batch.Op[[]int64, map[int64]reading]

	partyLoads   *batch.Op[loadRow, int64]
	productLoads *batch.Op[loadRow, int64]
	orderLoads   *batch.Op[loadRow, int64]
	removals     *batch.Op[removal, struct{}]
	uuidDenied   atomic.Bool // the bot may not read the database's uuid
	confirms     *batch.Op[action, record.OrderState]
	cancels      *batch.Op[action, record.OrderState]

	pages   *batch.Op[recordAsk, connectors.RecordPage]
	idPages *batch.Op[recordAsk, idPage]
	splits  *batch.Op[recordAsk, []string]
	counts  *batch.Op[recordAsk, int64]
	finds   *batch.Op[recordFind, map[string][]string]

	book           attributeBook
	attributes     *batch.Op[attribute, knownAttribute]
	attributeLines *batch.Op[int64, []attributeLine]
	lineRemovals   *batch.Op[[]int64, struct{}]
	variants       *batch.Op[variantAsk, int64]
	sharing        *batch.Op[recordAsk, map[string]priced]
	successions    *batch.Op[[]variantAsk, [][]string]

	claims *batch.Op[int, []webhook.OutboxRow]
	acks   *batch.Op[[]int64, struct{}]
	bite   bite

	polled    connectors.PolledRecords // nil: deletions and business steps are not told
	turns     *batch.Op[func(context.Context) error, struct{}]
	sightings sightings

	loadsMu sync.Mutex
	loads   map[string]*batch.Op[loadRow, int64] // by model, of those without one above
}

var (
	_ connectors.Connector   = (*Connector)(nil)
	_ connectors.SalesTarget = (*Connector)(nil)
	_ connectors.Identified  = (*Connector)(nil)
	_ connectors.Lingering   = (*Connector)(nil)
	_ connectors.OrderStates = (*Connector)(nil)

	_ connectors.RecordSource   = (*Connector)(nil)
	_ connectors.RecordTarget   = (*Connector)(nil)
	_ connectors.RecordArchiver = (*Connector)(nil)

	_ connectors.RecordSuccession = (*Connector)(nil)
	_ connectors.RecordSelector   = (*Connector)(nil)
	_ connectors.RecordRefuser    = (*Connector)(nil)

	_ connectors.RecordSplitter = (*Connector)(nil)
	_ connectors.RecordIDs      = (*Connector)(nil)
)

// Definition describes the Odoo connector.
var Definition = connectors.Definition{
	Kind:      Kind,
	Proto:     (*Connector)(nil),
	Home:      true,
	NewConfig: func() any { return newConfig() },
	Open: func(s connectors.Settings) (connectors.Connector, error) {
		c, err := Open(s)
		if err != nil {
			return nil, err // not c: a typed nil would not be nil
		}
		return c, nil
	},
}

// Open builds a connector; it validates the settings and never dials. Close it
// to let writes in flight end.
func Open(s connectors.Settings) (*Connector, error) {
	cfg, err := parse(s.Config)
	if err != nil {
		return nil, err
	}
	client, err := rpc.New(rpc.Config{
		URL: cfg.URL, Database: cfg.Database, Login: cfg.Login, Password: cfg.Password, APIKey: cfg.APIKey,
		Transport: cfg.Transport, Lang: cfg.Lang, TZ: cfg.TZ, HTTP: s.Runtime.Transport, Private: cfg.Private,
		Timeout: writeTimeout + 10*time.Second,
	})
	if err != nil {
		return nil, err
	}
	c := &Connector{
		loads: map[string]*batch.Op[loadRow, int64]{},
		cfg:   cfg, system: s.Name, rpc: client, now: s.Runtime.Now, polled: s.Runtime.Polled,
		web: httpx.NewClient(httpx.Options{
			Room: Kind, Timeout: readTimeout, Private: cfg.Private, Base: s.Runtime.Transport,
		}),
		scheduler: batch.NewScheduler(batch.Config{
			System: s.Name, Slots: s.Runtime.Slots, Fences: s.Runtime.Fences, Calls: cfg.Calls, Now: s.Runtime.Now,
			Observe: observed(s.Runtime.Observe),
		}),
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.known = newKept(c, "terms", termsKept, c.readTerms)
	c.places = newKept(c, "places", placesKept, c.readPlaces)
	c.name = newKept(c, "identity", identityKept, c.identity)
	c.addFinders()
	c.addOrderStates()
	c.addWriters()
	c.addActions()
	c.addRecords()
	c.addRecordFinder()
	c.addAttributes()
	c.addOutbox()
	c.addPolls()
	return c, nil
}

// observed passes on what the batcher tells of a call.
func observed(observe func(connectors.Call)) func(batch.Flush) {
	if observe == nil {
		return nil
	}
	return func(f batch.Flush) {
		observe(connectors.Call{
			System: f.System, Operation: f.Op, Rows: f.Rows, Failed: f.Failed, Again: f.Resent + f.Suspects,
			Dropped: f.Superseded + f.Expired, Waited: f.Waited, Took: f.Took, Waiting: f.Waiting, Err: f.Err,
		})
	}
}

// Close stops admission and lets calls in flight end.
func (c *Connector) Close(ctx context.Context) error { return c.scheduler.Close(ctx) }

// Lingers is Odoo's own limit for a request, and a little.
func (c *Connector) Lingers() time.Duration { return c.cfg.quarantine() }

// scope adds the selling company to the Odoo context of the calls made with
// ctx, and what the configuration wants of writes.
func (c *Connector) scope(ctx context.Context) context.Context {
	values := rpc.Context{}
	if id := c.company.Load(); id != 0 {
		values["allowed_company_ids"] = []int64{id}
	}
	if c.cfg.TrackingDisable {
		values["tracking_disable"] = true
	}
	return rpc.WithContext(ctx, values)
}

// results answers all rows of a call from one function.
func results[R, A any](rows []R, answer func(R) (A, error)) []batch.Result[A] {
	out := make([]batch.Result[A], len(rows))
	for i, row := range rows {
		out[i].Answer, out[i].Err = answer(row)
	}
	return out
}
