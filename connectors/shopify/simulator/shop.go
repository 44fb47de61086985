package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// Options say what kind of shop to open. The zero value is a good shop.
type Options struct {
	Addr         string // where to listen; default 127.0.0.1:0
	Domain       string // default towpath-demo.myshopify.com
	Currency     string // the shop's own; default EUR
	AccessToken  string // default shpat_simulator
	ClientID     string // default simulator-client
	ClientSecret string // also signs webhooks; default simulator-secret
	// Versions are the supported API versions, oldest first; default 2026-01,
	// -04, -07 and -10. Older and unknown ones are served by the oldest.
	Versions []string
	// CountLimit is how far products, variants and customers are counted; default
	// 25,001.
	CountLimit int
	// Scopes that the app was granted; default read_orders, read_all_orders,
	// read_products and read_customers. Without read_all_orders only the last
	// 60 days of orders are shown.
	Scopes []string
	// HookURL receives what Shop.Send and Shop.Deliver send. It stands for a
	// subscription in the app's own configuration, which Shopify never deletes.
	HookURL string
	// TimeScale shortens the waits between retries: 0.001 makes 4 hours 14
	// seconds. Default 1.
	TimeScale float64
	// AnswerTimeout is how long a receiver may take; default 5 s, as Shopify's.
	AnswerTimeout time.Duration
	// Parallel is how many deliveries are under way at once; default 8.
	Parallel int
	// BucketSize and RestoreRate (points per second) bound GraphQL costs;
	// default 2000 and 100. MaxQueryCost bounds one query; default 1000.
	BucketSize   float64
	RestoreRate  float64
	MaxQueryCost float64
	// CheckRequests judges GraphQL requests by Shopify's published schema where
	// that is in the cache or can be fetched; else they are executed unjudged.
	CheckRequests bool
	Seed          uint64           // of the shop's own Ledger; default 999
	Now           func() time.Time // default time.Now
}

func (o Options) withDefaults() Options {
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	number := func(f *float64, v float64) {
		if *f == 0 {
			*f = v
		}
	}
	set(&o.Addr, "127.0.0.1:0")
	set(&o.Domain, "towpath-demo.myshopify.com")
	set(&o.Currency, "EUR")
	set(&o.AccessToken, "shpat_simulator")
	set(&o.ClientID, "simulator-client")
	set(&o.ClientSecret, "simulator-secret")
	number(&o.TimeScale, 1)
	number(&o.BucketSize, 2000)
	number(&o.RestoreRate, 100)
	number(&o.MaxQueryCost, 1000)
	if len(o.Versions) == 0 {
		o.Versions = []string{"2026-01", "2026-04", "2026-07", "2026-10"}
	}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"read_orders", "read_all_orders", "read_products", "read_customers"}
	}
	if o.CountLimit <= 0 {
		o.CountLimit = 25_001
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.AnswerTimeout == 0 {
		o.AnswerTimeout = answerTimeout
	}
	if o.Seed == 0 {
		o.Seed = 999
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Shop is a running shop. All methods may be called by many goroutines.
type Shop struct {
	Faults *Faults // what goes wrong, see Faults
	Ledger *Ledger // the shop's own book, for what happens live

	opts    Options
	sender  *sender
	bucket  *bucket
	tokens  *tokens
	handler http.Handler
	server  *http.Server
	url     string

	goods *goods

	mu            sync.RWMutex
	orders        map[int64]*Order
	subscriptions []*Subscription
	lastID        int64
	hookURL       string
	stats         Stats
}

// New makes a shop without a listener; it is an http.Handler.
func New(opts Options) *Shop {
	opts = opts.withDefaults()
	s := &Shop{
		Faults:  newFaults(),
		Ledger:  NewLedger(opts.Seed, opts.Now, opts.Versions[len(opts.Versions)-1]),
		opts:    opts,
		bucket:  newBucket(opts.BucketSize, opts.RestoreRate, opts.Now),
		tokens:  newTokens(opts),
		goods:   newGoods(opts.Now),
		orders:  map[int64]*Order{},
		hookURL: opts.HookURL,
	}
	s.sender = newSender(s)
	s.handler = s.routes()
	return s
}

// Start opens a shop that listens on 127.0.0.1.
func Start(opts Options) (*Shop, error) {
	s := New(opts)
	listener, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("open the simulated shop: %w", err)
	}
	s.url = "http://" + listener.Addr().String()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Close ends pending deliveries and the listener.
func (s *Shop) Close() error {
	s.sender.close()
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
	s.handler.ServeHTTP(w, r)
}

// URL is where the shop listens; it stands for https://<domain>.
func (s *Shop) URL() string { return s.url }

// Domain is the shop's permanent domain.
func (s *Shop) Domain() string { return s.opts.Domain }

// Secret signs the shop's webhooks; it is the app's client secret.
func (s *Shop) Secret() string { return s.opts.ClientSecret }

// AccessToken is a static token that the shop accepts.
func (s *Shop) AccessToken() string { return s.opts.AccessToken }

// SetHookURL says where Send and Deliver send from now on.
func (s *Shop) SetHookURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hookURL = url
}

// Put makes a snapshot known without telling anybody, unless the shop already
// knows a newer one. This is what a receiver missed.
func (s *Shop) Put(o *Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.orders[o.ID]; known == nil || known.ChangedAt.Before(o.ChangedAt) {
		s.orders[o.ID] = o
	}
}

// Order gives the order as it is now.
func (s *Shop) Order(id int64) (*Order, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.orders[id]
	return o, ok
}

// Orders gives all orders as they are now, deleted ones included, oldest first.
func (s *Shop) Orders() OrderList {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make(OrderList, 0, len(s.orders))
	for _, o := range s.orders {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *Order) int { return int(a.ID - b.ID) })
	return list
}

// OrderList is a list of orders to count.
type OrderList []*Order

// Totals sums by currency what buyers pay for the orders that stand: not
// deleted, not cancelled, not tests.
func (l OrderList) Totals() map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{}
	for _, o := range l {
		if !o.Deleted && o.CancelledAt == nil && !o.Test {
			sums[o.Currency] = sums[o.Currency].Add(o.Current().Total)
		}
	}
	return sums
}

// Place, Pay, EditOrder, Cancel and Delete make something happen in the shop
// now: they store the new snapshot and tell all subscriptions.

// Place sells: orders/create, and orders/paid when it is paid at once.
func (s *Shop) Place(d Draft) *Order {
	if d.Currency == "" {
		d.Currency = s.opts.Currency
	}
	o := s.Ledger.Place(d)
	topics := []string{TopicCreate}
	if o.Financial == Paid {
		topics = append(topics, TopicPaid)
	}
	s.happened(o, topics...)
	return o
}

// Pay takes the money: orders/paid and orders/updated.
func (s *Shop) Pay(o *Order) *Order {
	o = s.Ledger.Pay(o)
	s.happened(o, TopicPaid, TopicUpdated)
	return o
}

// EditOrder edits: orders/edited and orders/updated.
func (s *Shop) EditOrder(o *Order, e Edit) *Order {
	after := s.Ledger.Edit(o, e)
	s.Put(after)
	s.publish(s.Ledger.Edited(o, after))
	s.publish(s.Ledger.Event(TopicUpdated, after))
	return after
}

// Cancel cancels: orders/cancelled and orders/updated.
func (s *Shop) Cancel(o *Order, reason string) *Order {
	o = s.Ledger.Cancel(o, reason)
	s.happened(o, TopicCancelled, TopicUpdated)
	return o
}

// Delete deletes: orders/delete.
func (s *Shop) Delete(o *Order) *Order {
	o = s.Ledger.Delete(o)
	s.happened(o, TopicDelete)
	return o
}

func (s *Shop) happened(o *Order, topics ...string) {
	s.Put(o)
	for _, topic := range topics {
		s.publish(s.Ledger.Event(topic, o))
	}
}
