package connectors

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"towpath/schema/record"
)

// Connector is an open door to one system: one connection of one kind.
type Connector interface {
	// Check asks the system whether the connection works and may do what
	// Towpath needs, and reports each probe by name.
	Check(ctx context.Context) Report
}

// Definition describes a kind of connector without dialing anything.
type Definition struct {
	Kind  string // "odoo", "shopify"
	Proto Connector
	// Home is true of the kind that everything is kept in step with (Odoo):
	// imports go there, exports come from there.
	Home bool
	// NewConfig gives a pointer to the kind's configuration struct, tagged
	// `json`, `doc`, `default`, `required:"true"`, `secret:"true"`.
	NewConfig func() any
	// Open builds a connector from settings; it validates, but never dials.
	Open func(Settings) (Connector, error)
}

// Settings are one connection's stored facts, secrets opened.
type Settings struct {
	Name    string          // the connection's immutable slug
	Config  json.RawMessage // secrets merged in
	Runtime Runtime
}

// Runtime carries what a connector needs of the process it runs in. Every
// field may be nil; a connector then does without.
type Runtime struct {
	Slots     Slots             // call slots shared by all processes (batch.Slots)
	Fences    Fences            // drops writes of superseded passes
	Transport http.RoundTripper // base transport; tests inject faults here
	Polled    PolledRecords     // what systems that are polled for events are known to have
	Now       func() time.Time
	Observe   func(Call) // told of each call that carried rows of many callers
}

// Call is what one batched call to a system did, for metrics and logs.
type Call struct {
	System    string        // the connection
	Operation string        // as in "load sale.order"
	Rows      int           // sent
	Failed    int           // of them, answered with an error, finally
	Again     int           // go again: innocent, or to be found out
	Dropped   int           // never sent: superseded, or nobody waits any more
	Waited    time.Duration // of the row that waited longest
	Took      time.Duration // the call alone
	Waiting   int           // rows left waiting for this system in this process
	Err       error         // the whole call failed
}

// Slots bounds calls in flight per system over all worker processes.
type Slots interface {
	// Acquire waits for one of n slots of the named system. The release func
	// gives it back; a crash frees it too.
	Acquire(ctx context.Context, system string, n int) (release func(), err error)
}

// Fences tells which prepared writes are still current.
type Fences interface {
	// Current returns the subset of keys whose fence is still the object's own.
	Current(ctx context.Context, keys []record.FenceKey) (map[record.FenceKey]bool, error)
}

// Report is the result of a connection check.
type Report struct {
	Probes []Probe
	// Identity is the system's own identity (Odoo: the database's uuid). A
	// change of it stops writing until a person decides.
	Identity string
	Version  string
}

// Probe is one question of a check.
type Probe struct {
	Name  string // "reach", "credentials", "rights", "version", "clock", "tax rounding", "identity"
	OK    bool
	Warn  bool   // OK, but worth reading
	Text  string // what was found
	Fix   string // what to do, when not OK
	Fault error
}

// OK reports whether every probe passed.
func (r Report) OK() bool {
	for _, p := range r.Probes {
		if !p.OK {
			return false
		}
	}
	return len(r.Probes) > 0
}

// HookReceiver verifies and parses inbound webhooks of its system.
type HookReceiver interface {
	// VerifyHook checks the signature over the raw bytes in constant time and
	// gives a fault of kind Unauthorized when it is wrong.
	VerifyHook(h http.Header, raw []byte) error
	// ParseHook reads the events off a verified delivery without keeping the
	// body. A topic that nobody handles gives no events and no error. Bad
	// bodies give a fault of kind Invalid that names the field.
	ParseHook(h http.Header, raw []byte) ([]record.Event, error)
}

// OrderDecoder turns the body of a webhook into a canonical order.
type OrderDecoder interface {
	DecodeOrder(topic string, raw []byte) (record.Order, error)
}

// OrderReader reads one order from its system as it is now.
type OrderReader interface {
	ReadOrder(ctx context.Context, externalID string) (record.Order, error)
}

// OrderLister lists orders by when they were last changed, oldest first.
type OrderLister interface {
	// ListOrders gives one page of orders with updated_at >= since (by the
	// source's clock). An empty next cursor ends the listing.
	ListOrders(ctx context.Context, since time.Time, cursor string) (OrderPage, error)
}

// OrderCounter is an OrderLister that counts, to prove that a listing held all.
type OrderCounter interface {
	// CountOrders says how many orders the system holds at this moment that were
	// last changed at since or later and before until, by its own clock. exact is
	// false where it counts so far and no further.
	CountOrders(ctx context.Context, since, until time.Time) (n int64, exact bool, err error)
}

// OrderPage is one page of a listing.
type OrderPage struct {
	Orders []record.Order
	Next   string
	// Horizon is the oldest order the credentials can see; zero if unlimited.
	// A listing since before it is not complete, and says so.
	Horizon time.Time
	// SourceNow is the source's own clock when the page was read.
	SourceNow time.Time
}

// HookInstaller checks and repairs the subscriptions of a system, so that
// events keep coming.
type HookInstaller interface {
	// EnsureHooks makes the wanted subscriptions to callbackURL exist and
	// returns what it had to create or repair. It never touches others'.
	EnsureHooks(ctx context.Context, callbackURL string) (changed []string, err error)
}

// Identified is a system that can be told apart from its clones and restored
// copies. Identity is cheap enough to be asked once a minute.
type Identified interface {
	Identity(ctx context.Context) (string, error)
}
