package scenario

import (
	"cmp"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/shopify/simulator"
)

// Options adjust a scenario. The zero value is the demo's.
type Options struct {
	// Start is when the first order is placed; default 2026-11-02 09:00 UTC.
	// Give a recent time where the receiver looks at ages.
	Start time.Time
	// Products is how many of SKU-0001… are sold; default 200.
	Products int
	// Version is the API version that webhooks speak; default 2026-10.
	Version string
	// Missed is how many paid orders the shop never sends a webhook for. Only
	// a receiver that catches up by itself has them in the end.
	Missed int
}

// End is how an order must end up in the target.
type End string

// The ends. Only Imported and Cancelled orders are in the target.
const (
	Imported  End = "imported"  // there and confirmed, with Total in Currency
	Cancelled End = "cancelled" // there, cancelled (Total is what it was)
	Waiting   End = "waiting"   // not there (yet): Reason says for what
	Skipped   End = "skipped"   // not there, and rightly so: Reason
	Refused   End = "refused"   // its only webhook was forged; not in the shop either
)

// Delivery is one webhook to send.
type Delivery struct {
	simulator.Delivery
	// Phase counts from 0. Later phases change what earlier ones brought into
	// the target, so the receiver has to settle in between. One that is not
	// given the time cancels before import what should be cancelled after it.
	Phase   int
	OrderID int64  // 0 when it is about no order
	Story   string // which story it belongs to
	Proves  string // what it is meant to prove
	Status  int    // the answer it must get: 202 (any 2xx) or 401
	sendAt  time.Time
}

// Expectation is how one order must end up.
type Expectation struct {
	OrderID  int64
	Name     string
	Story    string
	End      End
	Reason   string // as schema/orders has it: not_paid, product_unmapped, tax_unmapped, …
	Total    decimal.Decimal
	Currency string
	Buyer    string // e-mail; empty if unknown
	// SKU is the product that a Waiting order waits for. Once it is mapped the
	// order must end up as Imported, by itself.
	SKU string
}

// Mapping is a product that the target lacks until somebody maps it, while the
// orders that sell it wait.
type Mapping struct {
	Variant simulator.Variant
	To      string // the SKU of the target's product that it is sold as
}

// Scenario is what to send and what must come of it.
type Scenario struct {
	Deliveries []Delivery
	Expect     []Expectation
	Mappings   []Mapping
	// Missed are orders for Shop.Put: they happened, and nobody was told.
	Missed []*simulator.Order
}

// Phases splits the deliveries by phase.
func (s Scenario) Phases() [][]Delivery {
	var phases [][]Delivery
	for _, d := range s.Deliveries {
		for len(phases) <= d.Phase {
			phases = append(phases, nil)
		}
		phases[d.Phase] = append(phases[d.Phase], d)
	}
	return phases
}

// Messages are the deliveries as Shop.Deliver takes them, in the same order.
func Messages(list []Delivery) []simulator.Delivery {
	messages := make([]simulator.Delivery, len(list))
	for i, d := range list {
		messages[i] = d.Delivery
	}
	return messages
}

// Count counts orders by end, as they are once all Mappings are made if mapped.
func (s Scenario) Count(mapped bool) map[End]int {
	counts := map[End]int{}
	for _, e := range s.Expect {
		counts[e.end(mapped)]++
	}
	return counts
}

// Totals sums what the target must hold by currency: the imported orders.
func (s Scenario) Totals(mapped bool) map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{}
	for _, e := range s.Expect {
		if e.end(mapped) == Imported {
			sums[e.Currency] = sums[e.Currency].Add(e.Total)
		}
	}
	return sums
}

func (e Expectation) end(mapped bool) End {
	if mapped && e.SKU != "" {
		return Imported
	}
	return e.End
}

// Generate makes a scenario of n orders (at least 60, so that every story is
// told), each with two webhooks or so: 150 orders send over 300. Every story
// of the list in stories.go is told at least once.
func Generate(seed uint64, n int, o Options) Scenario {
	w := newWorld(seed, o)
	n = max(n, 60)
	tales := tellings(n)
	w.rng.Shuffle(len(tales), func(i, j int) { tales[i], tales[j] = tales[j], tales[i] })
	for i, t := range tales {
		w.at(time.Duration(i)*700*time.Millisecond, t.name, func() { t.tell(w) })
	}
	for range o.Missed {
		w.at(time.Duration(n)*700*time.Millisecond, "missed", func() { missed(w) })
	}
	w.run()
	return w.scenario()
}

// scenario puts the deliveries into the order of sending.
func (w *world) scenario() Scenario {
	s := w.made
	slices.SortStableFunc(s.Deliveries, func(a, b Delivery) int {
		return cmp.Or(cmp.Compare(a.Phase, b.Phase), a.sendAt.Compare(b.sendAt))
	})
	slices.SortFunc(s.Expect, func(a, b Expectation) int { return cmp.Compare(a.OrderID, b.OrderID) })
	return s
}
