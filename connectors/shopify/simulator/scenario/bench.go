package scenario

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"time"

	"towpath/connectors/shopify/simulator"
)

// Bench makes the orders of design section 12: n orders over Products goods
// (200 by default), each with one line per three of them or so, two addresses,
// taxes, shipping with tax and a discount; 40 % of the orders bring a new
// customer, 5 % are edited afterwards and 1 % bear a tax that the target does
// not have. One delivery per order, and one per edit, all in phase 0.
func Bench(seed uint64, n int, o Options) Scenario {
	w := newWorld(seed, o)
	for i := range n {
		w.at(time.Duration(i)*20*time.Millisecond, "bench", func() { w.benchOrder(i, n) })
	}
	w.run()
	return w.scenario()
}

func (w *world) benchOrder(i, n int) {
	d := simulator.Draft{Currency: "EUR", TaxesIncluded: i%2 == 0}
	if i%3 == 0 {
		d.Currency = "USD"
	}
	for line := range 3 {
		l := w.line(d.Currency)
		l.Variant = w.goods[(3*i+line)%len(w.goods)] // all are sold, evenly
		d.Lines = append(d.Lines, l)
	}
	w.buyer(&d, i%5 < 2) // the first two of five are new
	d.Delivery = w.address(d.Customer.FirstName, d.Customer.LastName, d.Currency)
	d.Shipping = []simulator.DraftShipping{{Title: "Standard", Price: w.cents(390, 1490), Taxes: d.Lines[0].Taxes}}
	d.OrderDiscount = w.cents(100, 300)
	poisoned := i%100 == 50
	if poisoned {
		d.Lines[0].Taxes = []simulator.Tax{odd}
	}
	o := w.ledger.Place(d)
	w.send(w.ledger.Event(simulator.TopicCreate, o), "throughput")
	switch {
	case poisoned:
		w.expect(o, Waiting, "tax_unmapped")
	case i%20 == 7:
		// In the middle of the run, so that some edits meet an imported order.
		w.then(time.Duration(n)*10*time.Millisecond, func() {
			o := w.ledger.Edit(o, simulator.Edit{Quantities: map[int]int{0: o.Lines[0].Current + 1}})
			w.send(w.ledger.Event(simulator.TopicUpdated, o), "throughput of edits")
			w.expect(o, Imported, "")
		})
	default:
		w.expect(o, Imported, "")
	}
}

// Bodies makes n signed deliveries of about size bytes each, which do not
// compress, every one about an order of its own: for measuring acceptance.
func Bodies(seed uint64, n, size int, o Options) []simulator.Delivery {
	w := newWorld(seed, o)
	noise := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 0x70})
	list := make([]simulator.Delivery, n)
	for i := range list {
		w.clock = w.clock.Add(time.Millisecond)
		head := fmt.Sprintf(`{"id":%d,"updated_at":%q,"line_items":[],"current_total_price_set":{"shop_money":{"amount":"1.00","currency_code":"EUR"}},"note":"`,
			6_000_000_000_000+int64(i), w.clock.Format(time.RFC3339))
		raw := make([]byte, max(0, size-len(head)-2)*3/4)
		_, _ = noise.Read(raw) // never fails
		body := head + base64.RawStdEncoding.EncodeToString(raw) + `"}`
		list[i] = w.ledger.Message(simulator.TopicUpdated, []byte(body))
	}
	return list
}
