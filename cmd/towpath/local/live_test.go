package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	shopsim "towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/scenario"
	"towpath/schema/record"
	"towpath/schema/store"
)

// live starts an installation whose shop sells while the test looks on. It
// reads its shop at its start only, so that a lost webhook stays lost and is
// seen; the invariant is watched to the end, and no log may tell of a panic.
func live(t *testing.T, o local.Options) *world {
	t.Helper()
	o.Env = append([]string{"TOWPATH_CATCH_UP=24h"}, o.Env...)
	o.Shop.TimeScale, o.Shop.Parallel = 0.01, 16
	w := up(t, o)
	w.eventually(patience, "the worker's first look at the shop", func() bool {
		return w.count(`SELECT count(*) FROM connection WHERE caught_up_to IS NOT NULL`) == 1
	})
	stop := w.watch()
	t.Cleanup(func() {
		w.t = t
		stop()
		w.noPanic()
	})
	return w
}

// as lets a subtest use the installation.
func (w *world) as(t *testing.T) { w.t = t }

// stoodStill are lines of Temporal's: it takes a workflow that got no processor
// for a second, its own as well as ours, for one that hangs, and tries it again.
var stoodStill = regexp.MustCompile(`(?m)^.*Potential deadlock detected.*$`)

func (w *world) noPanic() {
	w.t.Helper()
	logs, err := filepath.Glob(filepath.Join(w.Stack.Dir(), "*.log"))
	require.NoError(w.t, err)
	require.NotEmpty(w.t, logs)
	for _, path := range logs {
		if strings.HasPrefix(filepath.Base(path), "odoo") {
			continue
		}
		text, err := os.ReadFile(path)
		require.NoError(w.t, err)
		text = stoodStill.ReplaceAll(text, nil)
		if at := bytes.Index(text, []byte("panic")); at >= 0 {
			w.t.Errorf("%s: %s", filepath.Base(path), text[max(0, at-200):min(len(text), at+2000)])
		}
	}
}

var (
	goods  = shopsim.Catalog(100)
	french = shopsim.Tax{Title: "TVA 20%", Rate: decimal.RequireFromString("0.2")}
	oddTax = shopsim.Tax{Title: "Odd tax", Rate: decimal.RequireFromString("0.0777")}
	buyers atomic.Int64
)

// buyer is a customer whom nobody has seen before.
func buyer() *shopsim.Customer {
	n := buyers.Add(1)
	last := fmt.Sprintf("Archer %d", n)
	return &shopsim.Customer{
		ID: 8_100_000_000_000 + n, FirstName: "Ada", LastName: last, Email: fmt.Sprintf("ada%d@example.com", n), CreatedAt: time.Now().Add(-time.Hour),
		Address: &shopsim.Address{ID: 9_100_000_000_000 + n, FirstName: "Ada", LastName: last, Address1: fmt.Sprintf("%d Quai des Brumes", n),
			City: "Paris", Zip: "75002", Province: "Île-de-France", ProvinceCode: "IDF", Country: "France", CountryCode: "FR"},
	}
}

// draft is a paid sale of two goods to a new customer.
func draft() shopsim.Draft {
	c, pick := buyer(), rand.IntN(len(goods)-1)
	return shopsim.Draft{
		Currency: "EUR", TaxesIncluded: true, Customer: c, Billing: c.Address, Delivery: c.Address,
		Lines: []shopsim.DraftLine{
			{Variant: goods[pick], Quantity: 1 + rand.IntN(3), Taxes: []shopsim.Tax{french}},
			{Variant: goods[pick+1], Quantity: 1, Taxes: []shopsim.Tax{french}, Discount: decimal.New(33, -2)},
		},
	}
}

// place makes n such sales, each changed as told, without telling anybody.
func (w *world) place(n int, change ...func(*shopsim.Draft)) (placed []*shopsim.Order) {
	for range n {
		d := draft()
		for _, c := range change {
			c(&d)
		}
		o := w.Shop.Ledger.Place(d)
		w.Shop.Put(o)
		placed = append(placed, o)
	}
	return placed
}

func (w *world) events(topic string, orders ...*shopsim.Order) (list []shopsim.Delivery) {
	for _, o := range orders {
		list = append(list, w.Shop.Ledger.Event(topic, o))
	}
	return list
}

// tell sends webhooks and insists that each is taken.
func (w *world) tell(deliveries ...shopsim.Delivery) {
	w.t.Helper()
	results := w.Shop.Deliver(w.ctx, deliveries, nil)
	for _, r := range results {
		require.True(w.t, r.OK(), "webhook %s: %d %v", r.Delivery.Topic, r.Status, r.Err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, results...)
}

// sell places n orders and tells of them.
func (w *world) sell(n int, change ...func(*shopsim.Draft)) []*shopsim.Order {
	w.t.Helper()
	placed := w.place(n, change...)
	w.tell(w.events(shopsim.TopicCreate, placed...)...)
	return placed
}

// more is an order of which the buyer wants one more.
func (w *world) more(o *shopsim.Order) *shopsim.Order {
	return w.Shop.Ledger.Edit(o, shopsim.Edit{Quantities: map[int]int{0: o.Lines[0].Current + 1}})
}

// confirmed counts the shop's confirmed orders in Odoo, past Towpath.
func (w *world) confirmed() (n int) {
	w.t.Helper()
	sold, err := w.Odoo.Sold(w.ctx)
	require.NoError(w.t, err)
	for _, o := range sold {
		if o.State == "sale" {
			n++
		}
	}
	return n
}

// counted proves promises 1 to 3 and 6 for all that the shop ever sold: each
// order is in Odoo once, as the shop has it now and to the cent; but those
// given rest parked or waiting with that code.
func (w *world) counted(resting map[*shopsim.Order]string) {
	w.t.Helper()
	reasons := map[int64]string{}
	for o, code := range resting {
		reasons[o.ID] = code
	}
	w.expect = nil
	for _, o := range w.Shop.Orders() {
		e := scenario.Expectation{OrderID: o.ID, Name: o.Name(), Story: w.t.Name(), End: scenario.Imported, Total: o.Current().Total, Currency: o.Currency}
		switch {
		case reasons[o.ID] != "":
			e.End, e.Reason = scenario.Waiting, reasons[o.ID]
		case o.CancelledAt != nil:
			e.End = scenario.Cancelled
		}
		w.expect = append(w.expect, e)
	}
	w.holds()
	backlog, err := w.Store.Backlog(w.ctx)
	require.NoError(w.t, err)
	require.Zero(w.t, backlog.Pending, "accepted events that nobody dealt with")
	require.Equal(w.t, len(resting), backlog.Parked, "parked")
}

func key(o *shopsim.Order) store.Key {
	return store.Key{Connection: local.ShopName, Kind: record.KindOrder, ExternalID: strconv.FormatInt(o.ID, 10)}
}

func ref(o *shopsim.Order) string { return fmt.Sprintf("order/%s/%d", local.ShopName, o.ID) }

// trail is what Towpath knows of an order.
func (w *world) trail(o *shopsim.Order) *store.Trail {
	w.t.Helper()
	trail, err := w.Store.Trail(w.ctx, key(o))
	require.NoError(w.t, err)
	return trail
}

// parkedAs waits until an order rests parked with a code.
func (w *world) parkedAs(code string, orders ...*shopsim.Order) {
	w.t.Helper()
	for _, o := range orders {
		var got string
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			if t, err := w.Store.Trail(w.ctx, key(o)); err == nil && t.Outcome.String == "parked" {
				if got = t.Code.String; got == code {
					break
				}
			}
			require.True(w.t, time.Now().Before(end), "%s must be parked as %s, but is %q", o.Name(), code, got)
		}
	}
}

// towpath runs a command that must succeed.
func (w *world) towpath(args ...string) string {
	w.t.Helper()
	said, err := w.Run(w.ctx, args...)
	require.NoError(w.t, err, said)
	return said
}

// exitCode is that of a command which failed.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func logged(file, text string) bool {
	raw, err := os.ReadFile(file)
	return err == nil && bytes.Contains(raw, []byte(text))
}
