package scenario

import (
	"time"

	"towpath/connectors/shopify/simulator"
)

// Stories of what becomes of an order: paid, edited, cancelled, deleted, before
// and after its import.

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
