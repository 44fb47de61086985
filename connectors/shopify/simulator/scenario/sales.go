package scenario

import (
	"fmt"

	"github.com/shopspring/decimal"

	"towpath/connectors/shopify/simulator"
)

// Stories of what is sold, to whom and how it is taxed; told once, by one create.

func plain(w *world) {
	o := w.ledger.Place(w.draft())
	w.sold(o)
	w.expect(o, Imported, "")
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
