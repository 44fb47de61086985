package scenario

import (
	"fmt"
	"strings"
	"time"

	"towpath/connectors/shopify/simulator"
)

// Stories of how the shop tells: twice, out of order, forged, of nothing that
// concerns orders, or not at all.

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
