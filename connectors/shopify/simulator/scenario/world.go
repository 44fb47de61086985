package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/shopify/simulator"
)

// world is the shop's day as it unfolds: a clock, a queue of what happens
// when, and what was made so far. Stories run inside it one event at a time,
// so that many orders are under way at once and times still only increase.
type world struct {
	rng    *rand.Rand
	ledger *simulator.Ledger
	clock  time.Time
	story  string // the one that is being told
	phase  int
	queue  []happening
	goods  []simulator.Variant
	people []*simulator.Customer
	made   Scenario

	lastID int64
}

type happening struct {
	at    time.Time
	story string
	phase int
	do    func()
}

func newWorld(seed uint64, o Options) *world {
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	}
	if o.Products == 0 {
		o.Products = 200
	}
	if o.Version == "" {
		o.Version = "2026-10"
	}
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0x70a7)), clock: o.Start.UTC(),
		goods: simulator.Catalog(o.Products),
	}
	w.ledger = simulator.NewLedger(seed, func() time.Time { return w.clock }, o.Version)
	return w
}

// at lets something happen after a while, in the current phase.
func (w *world) at(wait time.Duration, story string, do func()) {
	w.push(happening{w.clock.Add(wait), story, w.phase, do})
}

// then goes on with the current story after a while.
func (w *world) then(wait time.Duration, do func()) { w.at(wait, w.story, do) }

// later goes on with the current story in the next phase.
func (w *world) later(do func()) {
	wait := time.Hour + time.Duration(w.rng.IntN(60_000))*time.Millisecond
	w.push(happening{w.clock.Add(wait), w.story, w.phase + 1, do})
}

func (w *world) push(h happening) {
	i, _ := slices.BinarySearchFunc(w.queue, h, func(a, b happening) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1 // equal times keep their order
	})
	w.queue = slices.Insert(w.queue, i, h)
}

func (w *world) run() {
	for len(w.queue) > 0 {
		h := w.queue[0]
		w.queue = w.queue[1:]
		w.clock, w.story, w.phase = h.at, h.story, h.phase
		h.do()
	}
}

// send lets a delivery leave now.
func (w *world) send(d simulator.Delivery, proves string) simulator.Delivery {
	return w.sendAfter(0, d, proves)
}

// sendAfter lets a delivery leave late: Shopify promises no order.
func (w *world) sendAfter(delay time.Duration, d simulator.Delivery, proves string) simulator.Delivery {
	out := Delivery{
		Delivery: d, Phase: w.phase, Story: w.story, Proves: proves, Status: 202, sendAt: w.clock.Add(delay),
	}
	if d.Forged {
		out.Status = 401
	}
	if d.Order != nil {
		out.OrderID = d.Order.ID
	}
	w.made.Deliveries = append(w.made.Deliveries, out)
	return d
}

// expect says how the order must end up; total is what it stands at now.
func (w *world) expect(o *simulator.Order, end End, reason string) *Expectation {
	w.made.Expect = append(w.made.Expect, Expectation{
		OrderID: o.ID, Name: o.Name(), Story: w.story, End: end, Reason: reason,
		Total: o.Current().Total, Currency: o.Currency, Buyer: o.Email,
	})
	return &w.made.Expect[len(w.made.Expect)-1]
}

// sold announces a sale as Shopify does, twice: created, and paid.
func (w *world) sold(o *simulator.Order) {
	w.send(w.ledger.Event(simulator.TopicCreate, o), "a new order")
	if o.Financial == simulator.Paid {
		w.sendAfter(w.delay(), w.ledger.Event(simulator.TopicPaid, o), "a second event with equal content changes nothing")
	}
}

// delay is how late a delivery may be.
func (w *world) delay() time.Duration { return time.Duration(50+w.rng.IntN(3000)) * time.Millisecond }

// cents is an amount between two numbers of cents.
func (w *world) cents(low, high int) decimal.Decimal {
	return decimal.New(int64(low+w.rng.IntN(high-low)), -2)
}

func (w *world) id() int64 {
	w.lastID++
	return w.lastID
}

// chance is true once in so many times.
func (w *world) chance(onceIn int) bool { return w.rng.IntN(onceIn) == 0 }

var (
	firstNames = []string{"Ada", "Blaise", "Chloé", "Dmitri", "Élise", "Fatima", "Gero", "Hanako", "Iñigo", "Jürgen", "Kateřina", "Luca"}
	lastNames  = []string{"Archer", "Bøgh", "Castañeda", "D'Amico", "Eriksson", "Fürst", "Grześ", "Hughes-Lee", "Ito", "Jansen"}
	streets    = []string{"Rue de la Paix", "Main Street", "Chemin du Halage", "Canal Road", "Quai des Brumes"}
)

type town struct{ city, zip, province, code, country, iso string }

var towns = map[string][]town{
	"EUR": {
		{"Paris", "75002", "Île-de-France", "IDF", "France", "FR"},
		{"Lyon", "69001", "Auvergne-Rhône-Alpes", "ARA", "France", "FR"},
		{"Strasbourg", "67000", "Grand Est", "GES", "France", "FR"},
	},
	"USD": {
		{"New York", "10001", "New York", "NY", "United States", "US"},
		{"Brooklyn", "11201", "New York", "NY", "United States", "US"},
	},
}

func (w *world) address(first, last, currency string) *simulator.Address {
	t := towns[currency][w.rng.IntN(len(towns[currency]))]
	id := w.id()
	return &simulator.Address{
		ID: 9_000_000_000_000 + id, FirstName: first, LastName: last,
		Address1: fmt.Sprintf("%d %s", 1+w.rng.IntN(200), streets[w.rng.IntN(len(streets))]),
		City:     t.city, Zip: t.zip, Province: t.province, ProvinceCode: t.code, Country: t.country, CountryCode: t.iso,
		Phone: fmt.Sprintf("+3314%07d", id),
	}
}

// customer gives a buyer: a new one, or one who has bought before.
func (w *world) customer(isNew bool, currency string) *simulator.Customer {
	if !isNew && len(w.people) > 0 {
		return w.people[w.rng.IntN(len(w.people))]
	}
	id := w.id()
	first, last := firstNames[w.rng.IntN(len(firstNames))], lastNames[w.rng.IntN(len(lastNames))]
	c := &simulator.Customer{
		ID: 8_000_000_000_000 + id, FirstName: first, LastName: last, Email: fmt.Sprintf("buyer%d@example.com", id),
		Phone: fmt.Sprintf("+3316%07d", id), CreatedAt: w.clock.AddDate(0, -1, 0), Address: w.address(first, last, currency),
	}
	w.people = append(w.people, c)
	return c
}

var (
	vat20  = simulator.Tax{Title: "TVA 20%", Rate: decimal.RequireFromString("0.2")}
	vat55  = simulator.Tax{Title: "TVA 5.5%", Rate: decimal.RequireFromString("0.055")}
	nycTax = simulator.Tax{Title: "New York City Tax", Rate: decimal.RequireFromString("0.08875")}
	// odd is a tax that the target does not have.
	odd = simulator.Tax{Title: "Odd tax", Rate: decimal.RequireFromString("0.0777")}
)

// draft is an ordinary sale: a few goods in EUR with French taxes included, or
// in USD with New York's on top (and now and then the other way), maybe
// shipping, a discount on a line, one on the order, a tip.
func (w *world) draft() simulator.Draft {
	d := simulator.Draft{Currency: "EUR", TaxesIncluded: !w.chance(4)}
	if w.chance(3) {
		d.Currency, d.TaxesIncluded = "USD", w.chance(6)
	}
	for range 1 + w.rng.IntN(3) {
		d.Lines = append(d.Lines, w.line(d.Currency))
	}
	if !w.chance(4) {
		d.Shipping = []simulator.DraftShipping{{Title: "Standard", Price: w.cents(390, 1490), Taxes: d.Lines[0].Taxes}}
	}
	if w.chance(5) {
		d.OrderDiscount = w.cents(100, 300)
	}
	w.buyer(&d, !w.chance(3))
	return d
}

func (w *world) line(currency string) simulator.DraftLine {
	l := simulator.DraftLine{Variant: w.goods[w.rng.IntN(len(w.goods))], Quantity: 1 + w.rng.IntN(4), Taxes: []simulator.Tax{nycTax}}
	if currency == "EUR" {
		l.Taxes = []simulator.Tax{vat20}
		if w.chance(3) {
			l.Taxes = []simulator.Tax{vat55}
		}
	}
	if w.chance(5) {
		l.Discount = w.cents(10, 150)
	}
	return l
}

// buyer gives the draft a customer with an account and two addresses.
func (w *world) buyer(d *simulator.Draft, isNew bool) {
	c := w.customer(isNew, d.Currency)
	d.Customer, d.Email, d.Phone = c, c.Email, c.Phone
	d.Billing, d.Delivery = c.Address, c.Address
	if w.chance(3) {
		d.Delivery = w.address(c.FirstName, c.LastName, d.Currency)
	}
}

// guest makes the draft a guest's.
func (w *world) guest(d *simulator.Draft) {
	d.Customer = nil
	d.Email = fmt.Sprintf("guest%d@example.com", w.id())
}
