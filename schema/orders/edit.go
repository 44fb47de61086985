package orders

import (
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// DecideEdit compares a planned row with the order as it is in the target and
// says Edit, Nothing (same content) or Park: locked or cancelled there,
// quantities below what was delivered or invoiced, edits not allowed by
// policy, an adopted order that differs. d is Decide's answer, whose Confirm
// and WakeAt are kept. Prove the total after Nothing too.
//
// Lines are compared by product: a target need not tell which of its lines is
// which of ours.
func DecideEdit(r Rules, terms record.SalesTerms, d Decision, row record.OrderRow, bound record.OrderState) Decision {
	r = r.WithDefaults()
	if bound.Stage == record.StageCancelled {
		return park(cancelledInTarget())
	}
	want, have := plannedSums(row), boundSums(bound)
	delete(have, terms.ServiceProducts[r.RoundingProduct]) // ours, and not part of the plan
	// Ours have both, once they are bound.
	if row.ID != "" && row.XID == "" {
		return decideAdopted(r, terms, d, want, have)
	}
	same := maps.EqualFunc(want, have, productSum.sameSale)
	switch {
	case same && bound.Locked:
		return Decision{Action: Nothing, Reason: ReasonSameContent, Confirm: d.Confirm, WakeAt: d.WakeAt}
	case same: // notes and addresses may differ
		return d
	case bound.Locked:
		return park(lockedInTarget())
	case r.Edits == ParkIt:
		return park(conflict("edited_in_shop", "the order was changed in the shop; the policy leaves it to a person").
			WithResolution("make the change in the target by hand and ignore this entry, or set edits to apply and retry"))
	case bound.Stage == record.StageDraft:
		return d
	}
	if f := editFault(r, terms, want, have); f != nil {
		return park(f)
	}
	return d
}

// decideAdopted leaves an order that a person typed as it is: its lines are
// not ours, so that writing ours would double them.
func decideAdopted(r Rules, terms record.SalesTerms, d Decision, want, have map[string]productSum) Decision {
	for _, ref := range []string{r.ShippingProduct, r.DiscountProduct, r.TipProduct, r.FeeProduct} {
		delete(want, terms.ServiceProducts[ref])
		delete(have, terms.ServiceProducts[ref])
	}
	// Prices may be split otherwise by hand; Adopt has compared the totals.
	if !maps.EqualFunc(want, have, productSum.sameQuantity) {
		return park(conflict("adopted_differs", "the order was made in the target by hand and has other products or quantities").
			WithResolution("make the change in the target by hand and ignore this entry"))
	}
	return Decision{Action: Nothing, Reason: ReasonSameContent, Confirm: d.Confirm, WakeAt: d.WakeAt}
}

// editFault says what forbids an edit of a confirmed order.
func editFault(r Rules, terms record.SalesTerms, want, have map[string]productSum) *fault.Fault {
	services := map[string]bool{}
	for _, ref := range []string{r.ShippingProduct, r.DiscountProduct, r.TipProduct, r.FeeProduct} {
		services[terms.ServiceProducts[ref]] = true
	}
	for _, id := range slices.Sorted(maps.Keys(have)) {
		h, w := have[id], want[id]
		repriced := h.invoiced.IsPositive() && w.sameQuantity(h) && !w.sameAmount(h)
		switch {
		case w.quantity.LessThan(h.delivered):
			return conflict("below_delivered", "the shop now sells fewer than were delivered").
				WithResolution("take the goods back with a return in the target and retry").
				WithDetail("product " + id)
		case w.quantity.LessThan(h.invoiced),
			repriced && w.amount.LessThan(h.amount):
			return conflict("refund_due", "the shop now charges less than was invoiced").
				WithResolution("make a credit note in the target, change the order there and ignore this entry").
				WithDetail("product " + id)
		case repriced:
			return conflict("invoice_differs", "the price of something that was invoiced changed in the shop").
				WithResolution("correct the invoice and the order in the target and ignore this entry").
				WithDetail("product " + id)
		case terms.DeliveriesStay && !services[id] && w.quantity.LessThan(h.quantity):
			return conflict("delivery_by_hand", "the quantity was lowered, and this version of the target leaves the delivery as it was").
				WithResolution("lower quantity and delivery in the target by hand and ignore this entry").
				WithDetail("product " + id)
		}
	}
	return nil
}

// productSum is what an order has of one product over all its lines.
type productSum struct {
	quantity, amount, delivered, invoiced decimal.Decimal
}

func (s productSum) sameSale(other productSum) bool {
	return s.sameQuantity(other) && s.sameAmount(other)
}

func (s productSum) sameQuantity(other productSum) bool { return s.quantity.Equal(other.quantity) }

// sameAmount forgives what a target's floating-point prices lose.
func (s productSum) sameAmount(other productSum) bool {
	return s.amount.Sub(other.amount).Abs().LessThan(decimal.New(1, -4))
}

func plannedSums(row record.OrderRow) map[string]productSum {
	sums := map[string]productSum{}
	for _, l := range row.Lines {
		s := sums[l.ProductID]
		s.quantity = s.quantity.Add(l.Quantity)
		s.amount = s.amount.Add(l.Quantity.Mul(l.UnitPrice))
		sums[l.ProductID] = s
	}
	return sums
}

// boundSums leaves out lines that were zeroed: that is how lines of confirmed
// orders vanish.
func boundSums(bound record.OrderState) map[string]productSum {
	sums := map[string]productSum{}
	for _, l := range bound.Lines {
		if l.Quantity.IsZero() && l.Delivered.IsZero() && l.Invoiced.IsZero() {
			continue
		}
		s := sums[l.ProductID]
		s.quantity = s.quantity.Add(l.Quantity)
		s.amount = s.amount.Add(l.Quantity.Mul(l.UnitPrice))
		s.delivered = s.delivered.Add(l.Delivered)
		s.invoiced = s.invoiced.Add(l.Invoiced)
		sums[l.ProductID] = s
	}
	return sums
}
