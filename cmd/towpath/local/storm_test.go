package local_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	"towpath/cmd/towpath/stack"
	odoosim "towpath/connectors/odoo/simulator"
	shopsim "towpath/connectors/shopify/simulator"
)

// Every webhook comes ten times, half of them as retries under the same
// delivery id, half under new ones, shuffled and all at once.
func TestDuplicateStorm(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	orders := w.place(40)
	var storm []shopsim.Delivery
	for _, d := range w.events(shopsim.TopicCreate, orders...) {
		for range 5 {
			storm = append(storm, d, w.Shop.Ledger.Resend(d))
		}
	}
	rand.Shuffle(len(storm), func(i, j int) { storm[i], storm[j] = storm[j], storm[i] })
	w.tell(storm...)
	w.settle(patience)
	w.counted(nil)
	require.Len(t, storm, 400)
	require.Equal(t, 40, w.SimOdoo.Stats.Rows("sale.order", "action_confirm"), "each is confirmed once")
	require.Equal(t, 40*6, w.count(`SELECT count(*) FROM inbound_event`), "five retries are one event, five other deliveries are five")
}

// Five orders of one new customer arrive at once, of twenty customers, half of
// them guests with nothing but an e-mail address.
func TestFiveOrdersOfOneNewCustomer(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Odoo: odoosim.Options{Workers: 2, Latency: odoosim.Latency{PerCall: 5 * time.Millisecond}}})
	w.sell(1) // the canary has its customer, too
	w.settle(patience)
	before, err := w.Odoo.Partners(w.ctx)
	require.NoError(t, err)
	var all []*shopsim.Order
	for i := range 20 {
		c := buyer()
		all = append(all, w.place(5, func(d *shopsim.Draft) {
			d.Customer, d.Email, d.Billing, d.Delivery = c, c.Email, c.Address, c.Address
			if i%2 == 1 {
				d.Customer = nil
			}
		})...)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	w.tell(w.events(shopsim.TopicCreate, all...)...)
	w.settle(patience)
	w.counted(nil)
	after, err := w.Odoo.Partners(w.ctx)
	require.NoError(t, err)
	require.Equal(t, before+20, after, "one partner each, and no address of its own where it is the customer's")
}

// Among 500 orders is one that Odoo refuses: its product was deleted there
// behind Towpath's back. 499 go through, and hardly slower.
func TestOnePoisonedOrder(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Odoo: odoosim.Options{Workers: 2, Latency: odoosim.Latency{PerCall: 10 * time.Millisecond, PerRow: time.Millisecond, PerConfirm: time.Millisecond}}})
	wrong := shopsim.Variant{ProductID: 7_990_000_000_000, ID: 4_990_000_000_000, SKU: "GONE-1", Title: "Gone", Price: decimal.New(1500, -2)}
	lost, err := w.SimOdoo.AddProduct(odoosim.Product{SKU: "OTHER-1", Name: "Gone"})
	require.NoError(t, err)
	w.towpath("map", "product", local.ShopName, "variant:4990000000000", strconv.FormatInt(lost, 10))
	require.NoError(t, w.SimOdoo.Delete("product.product", lost))

	cleanTook, clean := w.worked(w.place(250))
	orders := w.place(249)
	poison := w.place(1, func(d *shopsim.Draft) { d.Lines[0].Variant = wrong })[0]
	strange := w.place(1, func(d *shopsim.Draft) { d.Lines[0].Taxes = []shopsim.Tax{oddTax} })[0]
	among := slices.Insert(slices.Clone(orders), 125, poison, strange)
	took, poisoned := w.worked(among)
	t.Logf("250 clean orders: %s, %d rows loaded; 249 among two poisoned: %s, %d; poison is %s", cleanTook, clean, took, poisoned, w.trail(poison).Code.String)
	w.counted(map[*shopsim.Order]string{poison: "orders.product_unmapped", strange: "orders.tax_unmapped"})

	require.NotEmpty(t, w.trail(poison).Resolution.String)
	// Odoo's work tells, and not the time, which other tests take their part of:
	// at worst one full call of a hundred orders is sent again without the one
	// that spoiled it, which then travels alone.
	require.LessOrEqual(t, poisoned, clean+101*(clean/250+1), "a poisoned order must not make its neighbours travel again and again")
}

// worked tells of orders and gives the time to the end of the last that got
// through, and how many rows Odoo was given to load for it: one per line.
func (w *world) worked(orders []*shopsim.Order) (took time.Duration, loaded int) {
	began, before := time.Now(), w.SimOdoo.Stats.Rows("sale.order", "load")
	w.tell(w.events(shopsim.TopicCreate, orders...)...)
	w.settle(patience)
	last := began
	for _, o := range orders {
		if t := w.trail(o); t.Outcome.String == "applied" && t.SettledAt.Time.After(last) {
			last = t.SettledAt.Time
		}
	}
	return last.Sub(began).Round(time.Millisecond), w.SimOdoo.Stats.Rows("sale.order", "load") - before
}

// Two workers share the work; one is killed in the midst of it, while Odoo has
// calls in hand, and stays dead.
func TestTwoWorkersOneKilled(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Workers: 2, Odoo: odoosim.Options{Workers: 2, Latency: odoosim.RealisticLatency}})
	w.sell(100)
	w.eventually(patience, "both are at work", func() bool {
		return w.confirmed() > 15 && logged(w.Worker[0].LogPath(), "order pass") && logged(w.Worker[1].LogPath(), "order pass")
	})
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	loads := w.SimOdoo.Stats.Calls("sale.order", "load")
	w.SimOdoo.Faults.Add(odoosim.Fault{Model: "sale.order", Method: "load", Gate: gate})
	w.sell(50)
	w.eventually(patience, "Odoo has a call in hand", func() bool { return w.SimOdoo.Stats.Calls("sale.order", "load") > loads })
	require.NoError(t, w.Worker[0].Kill())
	release()
	w.settle(patience)
	w.counted(nil)
}

// A worker sends an order and dies; its request is held up, on the way to Odoo
// or inside it. Another worker takes over, with content that is newer by now.
// Whenever the old request goes on, Odoo ends with the newer content, or in the
// case of a cancellation without a living order.
func TestZombieWithOldContent(t *testing.T) {
	t.Parallel()
	edit := func(w *world, o *shopsim.Order) (*shopsim.Order, string) { return w.more(o), shopsim.TopicUpdated }
	cancel := func(w *world, o *shopsim.Order) (*shopsim.Order, string) {
		return w.Shop.Ledger.Cancel(o, "customer"), shopsim.TopicCancelled
	}
	for name, c := range map[string]struct {
		inside bool
		change func(*world, *shopsim.Order) (*shopsim.Order, string)
	}{
		"edited, held on the way":    {false, edit},
		"edited, held inside Odoo":   {true, edit},
		"cancelled, held on the way": {false, cancel},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := newHolder(t)
			// A draft: Odoo itself would refuse the old content of a confirmed order.
			w := live(t, local.Options{Rules: map[string]any{"confirm": "never"}, Odoo: odoosim.Options{Addr: proxy.odoo}, OdooConfig: map[string]any{"url": proxy.URL}})
			w.sell(1) // terms, canary and such are read
			w.settle(patience)

			if c.inside {
				w.SimOdoo.Faults.Add(odoosim.Fault{Model: "sale.order", Method: "load", Times: 1, Gate: proxy.gate})
			} else {
				proxy.armed.Store(true)
			}
			loads := w.SimOdoo.Stats.Calls("sale.order", "load")
			old := w.sell(1)[0]
			w.eventually(patience, "the old content is under way", func() bool {
				return proxy.held.Load() || c.inside && w.SimOdoo.Stats.Calls("sale.order", "load") > loads
			})
			require.NoError(t, w.Worker[0].Kill())
			newer, topic := c.change(w, old)
			w.tell(w.events(topic, newer)...)
			require.NoError(t, w.NewWorker("successor").Start(w.ctx))
			w.eventually(patience, "the successor is at it", func() bool { return w.trail(old).Outcome.Valid })
			if c.inside { // as late as can be: the newer content is there
				w.settle(patience)
				w.eventually(patience, "the newer content is there", func() bool { return w.trail(old).Outcome.String == "applied" })
			}
			close(proxy.gate)
			w.eventually(patience, "the old request is done", func() bool { return c.inside || proxy.landed.Load() })
			w.settle(patience)

			sold, err := w.Odoo.Sold(w.ctx)
			require.NoError(t, err)
			var found []local.Sold
			for _, s := range sold {
				if s.OrderID() == key(old).ExternalID {
					found = append(found, s)
				}
			}
			require.Len(t, found, 1)
			if newer.CancelledAt != nil {
				require.Equal(t, "cancel", found[0].State)
			} else {
				require.Equal(t, "draft", found[0].State)
				require.True(t, newer.Current().Total.Equal(found[0].Total), "shop %s, Odoo %s, before the edit %s", newer.Current().Total, found[0].Total, old.Current().Total)
			}
			w.noWorkflowFailed()
		})
	}
}

// holder is a proxy before Odoo that holds the next load of orders until its
// gate opens, and then carries it on, whether its sender lives or not.
type holder struct {
	*httptest.Server
	odoo                string // where Odoo is to listen
	armed, held, landed atomic.Bool
	gate                chan struct{}
}

func newHolder(t *testing.T) *holder {
	port, err := stack.FreePort()
	require.NoError(t, err)
	h := &holder{odoo: fmt.Sprintf("127.0.0.1:%d", port), gate: make(chan struct{})}
	h.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		hold := strings.HasSuffix(r.URL.Path, "/sale.order/load") && h.armed.CompareAndSwap(true, false)
		if hold {
			h.held.Store(true)
			<-h.gate
		}
		onward, err := http.NewRequest(r.Method, "http://"+h.odoo+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			return
		}
		onward.Header = r.Header.Clone()
		resp, err := http.DefaultTransport.RoundTrip(onward)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer func() { _ = resp.Body.Close() }()
		for name, values := range resp.Header {
			rw.Header()[name] = values
		}
		rw.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(rw, resp.Body)
		if hold {
			h.landed.Store(true)
		}
	}))
	t.Cleanup(h.Close)
	return h
}
