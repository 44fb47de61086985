package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/shopify/simulator"
)

// story is one thing that happens to an order. share is how many of 100 orders
// it happens to; each story is told at least once.
type story struct {
	name  string
	share int
	tell  func(*world)
}

// stories are all that can happen. What a share of 100 leaves is plain sales.
var stories = []story{
	{"same delivery twice", 5, sameDelivery},
	{"same content, new delivery", 5, sameContent},
	{"update before create", 5, updateFirst},
	{"late stale delivery", 3, staleDelivery},
	{"paid later", 3, paidLater},
	{"edited before import", 4, editedEarly},
	{"edited after import", 5, editedLate},
	{"line removed after import", 2, lineRemoved},
	{"line added after import", 2, lineAdded},
	{"cancelled before import", 3, cancelledEarly},
	{"only the cancellation came", 2, onlyCancellation},
	{"cancelled after import", 4, cancelledLate},
	{"deleted before import", 1, deletedEarly},
	{"guest", 6, guest},
	{"discount on the order", 4, orderDiscount},
	{"discount on lines", 4, lineDiscount},
	{"shipping with tax and discount", 4, shipping},
	{"tax on top", 3, taxOnTop},
	{"tax exempt", 1, taxExempt},
	{"tip", 1, tip},
	{"bought in another currency", 2, presented},
	{"business customer", 2, business},
	{"custom item", 1, customItem},
	{"test order", 1, testOrder},
	{"never paid", 2, neverPaid},
	{"nobody", 1, nobody},
	{"unknown tax", 1, unknownTax},
	{"unknown product", 2, unknownProduct},
	{"five at once", 1, fiveAtOnce},
	{"forged order", 1, forgedOrder},
	{"forged change", 1, forgedChange},
	{"unknown topic", 1, unknownTopic},
	{"test notification", 1, testNotification},
}

// tellings gives n stories by their shares.
func tellings(n int) []story {
	var list []story
	for _, s := range stories {
		for range max(1, n*s.share/100) {
			list = append(list, s)
		}
	}
	for len(list) < n {
		list = append(list, story{name: "plain sale", tell: plain})
	}
	return list
}

const (
	soon = 4 * time.Second
	late = 9 * time.Second
)

func plain(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	w.expect(o, Imported, "")
}

func sameDelivery(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	d := w.send(w.ledger.Event(simulator.TopicUpdated, o), "the first of three equal deliveries")
	w.sendAfter(w.delay(), d, "the same delivery id is taken once")
	w.sendAfter(soon, d, "the same delivery id is taken once, also late")
	w.expect(o, Imported, "")
}

func sameContent(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	d := w.send(w.ledger.Event(simulator.TopicUpdated, o), "the first of two equal contents")
	w.sendAfter(w.delay(), w.ledger.Resend(d), "equal content under a new delivery id makes no second order")
	w.expect(o, Imported, "")
}

func updateFirst(w *world) {
	o := w.ledger.Place(w.draft())
	created := w.ledger.Event(simulator.TopicCreate, o)
	w.sendAfter(late, created, "a create that comes after its update does not bring old content back")
	w.then(time.Second, func() {
		o := w.ledger.Edit(o, simulator.Edit{Quantities: map[int]int{0: o.Lines[0].Current + 1}})
		w.send(w.ledger.Event(simulator.TopicUpdated, o), "an update whose create has not come makes the order")
		w.expect(o, Imported, "")
	})
}

func staleDelivery(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	old := w.ledger.Touch(o, "checked")
	w.sendAfter(late, w.ledger.Event(simulator.TopicUpdated, old), "older content that comes late is dropped")
	w.then(time.Second, func() {
		o := w.ledger.Edit(old, simulator.Edit{Quantities: map[int]int{0: old.Lines[0].Current + 2}})
		w.send(w.ledger.Event(simulator.TopicUpdated, o), "newer content wins")
		w.expect(o, Imported, "")
	})
}

func paidLater(w *world) {
	d := w.draft()
	d.Unpaid = true
	o := w.ledger.Place(d)
	w.sold(o)
	w.then(soon, func() {
		o := w.ledger.Pay(o)
		w.send(w.ledger.Event(simulator.TopicPaid, o), "the payment releases the order")
		w.send(w.ledger.Event(simulator.TopicUpdated, o), "a second event with equal content changes nothing")
		w.expect(o, Imported, "")
	})
}

// edit sends what Shopify sends for an edit: the edit, which must be looked
// up, and sometimes the whole order besides.
func (w *world) edit(before *simulator.Order, e simulator.Edit, proves string) *simulator.Order {
	after := w.ledger.Edit(before, e)
	w.send(w.ledger.Edited(before, after), proves+" (the order has to be read)")
	if w.chance(2) {
		w.sendAfter(w.delay(), w.ledger.Event(simulator.TopicUpdated, after), proves)
	}
	return after
}

func editedEarly(w *world) {
	d := w.draft()
	d.Lines = append(d.Lines, w.line(d.Currency))
	o := w.ledger.Place(d)
	w.sold(o)
	w.then(time.Second, func() {
		o := w.edit(o, simulator.Edit{Quantities: map[int]int{0: o.Lines[0].Current + 1}}, "an edit before import counts")
		w.expect(o, Imported, "")
	})
}

func editedLate(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	w.later(func() {
		o := w.edit(o, simulator.Edit{Quantities: map[int]int{0: o.Lines[0].Current + 1 + w.rng.IntN(3)}}, "an edit after import reaches the target")
		w.expect(o, Imported, "")
	})
}

func lineRemoved(w *world) {
	d := w.draft()
	d.Lines = append(d.Lines, w.line(d.Currency), w.line(d.Currency))
	o := w.ledger.Place(d)
	w.sold(o)
	w.later(func() {
		last := len(d.Lines) - 1
		o := w.edit(o, simulator.Edit{Quantities: map[int]int{last: 0}}, "a line that was removed is zeroed, never left")
		w.expect(o, Imported, "")
	})
}

func lineAdded(w *world) {
	d := w.draft()
	o := w.ledger.Place(d)
	w.sold(o)
	w.later(func() {
		more := w.line(d.Currency)
		o := w.edit(o, simulator.Edit{Add: []simulator.DraftLine{more}}, "a line that was added is added once")
		w.expect(o, Imported, "")
	})
}

func cancelledEarly(w *world) {
	d := w.draft()
	d.Unpaid = true
	o := w.ledger.Place(d)
	w.sold(o)
	w.then(soon, func() { w.cancel(o, Skipped, "cancelled_before_import", "a cancelled order is not imported") })
}

func onlyCancellation(w *world) {
	o := w.ledger.Place(w.draft())
	w.then(soon, func() {
		w.cancel(o, Skipped, "cancelled_before_import", "a cancellation whose create was lost imports nothing")
	})
}

func cancelledLate(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	w.later(func() {
		w.cancel(o, Cancelled, "cancelled_in_shop", "a cancellation after import cancels in the target")
	})
}

func (w *world) cancel(o *simulator.Order, end End, reason, proves string) {
	total := o.Current().Total
	o = w.ledger.Cancel(o, "customer")
	w.send(w.ledger.Event(simulator.TopicCancelled, o), proves)
	w.sendAfter(w.delay(), w.ledger.Event(simulator.TopicUpdated, o), "a second event with equal content changes nothing")
	w.expect(o, end, reason).Total = total
}

func deletedEarly(w *world) {
	d := w.draft()
	d.Unpaid = true
	o := w.ledger.Place(d)
	w.sold(o)
	w.then(soon, func() {
		o := w.ledger.Delete(o)
		w.send(w.ledger.Event(simulator.TopicDelete, o), "an order that was deleted unpaid is given up")
		w.expect(o, Skipped, "deleted_before_import")
	})
}

// special is a plain sale with a twist.
func special(w *world, end End, reason string, twist func(*simulator.Draft)) *Expectation {
	d := w.draft()
	twist(&d)
	o := w.ledger.Place(d)
	w.sold(o)
	return w.expect(o, end, reason)
}

func guest(w *world) { special(w, Imported, "", w.guest) }

func orderDiscount(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) {
		d.Lines = append(d.Lines, w.line(d.Currency), w.line(d.Currency))
		d.OrderDiscount = w.cents(101, 400)
	})
}

func lineDiscount(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) {
		for i := range d.Lines {
			d.Lines[i].Discount = w.cents(5, 200)
		}
	})
}

func shipping(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) {
		d.Shipping = []simulator.DraftShipping{{Title: "Express", Price: w.cents(1500, 2500), Discount: w.cents(100, 499), Taxes: d.Lines[0].Taxes}}
	})
}

func taxOnTop(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) { d.TaxesIncluded = false })
}

func taxExempt(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) { d.TaxExempt, d.TaxesIncluded = true, false })
}

func tip(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) { d.Tip = w.cents(100, 900) })
}

func presented(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) {
		d.Presentment, d.Rate = "GBP", decimal.RequireFromString("0.8437")
	})
}

func business(w *world) {
	special(w, Imported, "", func(d *simulator.Draft) {
		w.buyer(d, true)
		id := w.id()
		d.Company = &simulator.Company{
			ID: 3_000_000_000_000 + id, Name: fmt.Sprintf("Lock & Weir %d", id), ExternalID: fmt.Sprintf("LW-%d", id),
			LocationID: 3_500_000_000_000 + id, Location: "Head office",
		}
		billing := *d.Billing
		billing.Company = d.Company.Name
		d.Billing = &billing
	})
}

// customItem sells something that is no product; it waits for a person.
func customItem(w *world) {
	special(w, Waiting, "product_unmapped", func(d *simulator.Draft) {
		item := w.line(d.Currency)
		item.Variant, item.Price = simulator.Variant{Title: fmt.Sprintf("Engraving %d", w.id())}, w.cents(500, 1500)
		d.Lines = append(d.Lines, item)
	})
}

func testOrder(w *world) {
	special(w, Skipped, "test_order", func(d *simulator.Draft) { d.Test = true })
}

func neverPaid(w *world) {
	special(w, Waiting, "not_paid", func(d *simulator.Draft) { d.Unpaid = true })
}

func nobody(w *world) {
	special(w, Waiting, "no_customer", func(d *simulator.Draft) {
		d.Customer, d.Email, d.Phone = nil, "", ""
		d.Billing, d.Delivery = nil, nil
	})
}

func unknownTax(w *world) {
	special(w, Waiting, "tax_unmapped", func(d *simulator.Draft) {
		d.Lines[0].Taxes = []simulator.Tax{odd}
	})
}

// unknownProduct sells SKU-9001, which is mapped while orders wait for it.
func unknownProduct(w *world) {
	unknown := simulator.Variant{
		ProductID: 7_000_000_009_001, ID: 4_000_000_009_001, SKU: "SKU-9001",
		Title: "Novelty", Vendor: "Towpath Supplies", Price: decimal.New(1990, -2),
	}
	if len(w.made.Mappings) == 0 {
		w.made.Mappings = []Mapping{{Variant: unknown, To: "SKU-0007"}}
	}
	special(w, Waiting, "product_unmapped", func(d *simulator.Draft) { d.Lines[0].Variant = unknown }).SKU = unknown.SKU
}

// fiveAtOnce lets one new customer buy five times within a moment.
func fiveAtOnce(w *world) {
	d := w.draft()
	w.buyer(&d, true)
	for range 5 {
		d.Lines = []simulator.DraftLine{w.line(d.Currency)}
		d.OrderDiscount = decimal.Zero
		o := w.ledger.Place(d)
		w.send(w.ledger.Event(simulator.TopicCreate, o), "five orders of one new customer make one customer")
		w.expect(o, Imported, "")
	}
}

func forgedOrder(w *world) {
	o := w.ledger.Place(w.draft())
	d := w.ledger.Event(simulator.TopicCreate, o)
	d.Forged, d.Order = true, nil // it never happened
	w.send(d, "a wrong signature is refused and leaves nothing behind")
	w.expect(o, Refused, "signature")
}

// forgedChange is a real order that somebody tries to make cheaper.
func forgedChange(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	later := w.ledger.Touch(o)
	d := w.ledger.Event(simulator.TopicUpdated, later)
	d.Body = []byte(strings.ReplaceAll(string(d.Body), o.Current().Total.StringFixed(2), "0.01"))
	d.Forged, d.Order = true, nil
	w.sendAfter(late, d, "a forged change of a real order is refused")
	w.expect(o, Imported, "")
}

func unknownTopic(w *world) {
	w.send(w.ledger.Message("carts/update", fmt.Appendf(nil, `{"id":"c%d","line_items":[],"token":"c%d"}`, w.id(), w.id())),
		"a topic that nobody handles is taken and ignored")
}

func testNotification(w *world) {
	o := w.ledger.Place(w.draft())
	d := w.ledger.Event(simulator.TopicCreate, o)
	d.Test, d.Order = true, nil // a whole order, but not one of the shop's
	w.send(d, "the admin's test notification makes no order")
	w.expect(o, Skipped, "test_notification")
}

// missed is a sale that no webhook tells of.
func missed(w *world) {
	o := w.ledger.Place(w.draft())
	w.made.Missed = append(w.made.Missed, o)
	w.expect(o, Imported, "")
}
