package orders

import (
	"strings"
	"time"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Action is what to do with an order now.
type Action string

// The actions.
const (
	Import  Action = "import"  // write it for the first time
	Edit    Action = "edit"    // write it again; ask DecideEdit once it is planned
	Cancel  Action = "cancel"  // cancel it in the target
	Wait    Action = "wait"    // until WakeAt or the next event
	Skip    Action = "skip"    // it does not belong in the target
	Nothing Action = "nothing" // the target has it already as it should be
	Park    Action = "park"    // a person decides, see Fault
)

// The reasons of decisions; stable codes. A Park has its fault's code after
// the dot instead.
const (
	ReasonNew                   = "new"
	ReasonChanged               = "changed"
	ReasonSameContent           = "same_content"
	ReasonNotPaid               = "not_paid"
	ReasonUnpaidDeadline        = "unpaid_deadline"
	ReasonPolicyNever           = "policy_never"
	ReasonTestOrder             = "test_order"
	ReasonBeforeImportFrom      = "before_import_from"
	ReasonNoLines               = "no_lines"
	ReasonCancelledBeforeImport = "cancelled_before_import"
	ReasonDeletedBeforeImport   = "deleted_before_import"
	ReasonRefundedBeforeImport  = "refunded_before_import"
	ReasonPaymentVoided         = "payment_voided"
	ReasonPaymentExpired        = "payment_expired"
	ReasonCancelledInShop       = "cancelled_in_shop"
	ReasonDeletedInShop         = "deleted_in_shop"
	ReasonLinesRemoved          = "lines_removed"
	ReasonAlreadyCancelled      = "already_cancelled"
)

// Decision is an action with its reason.
type Decision struct {
	Action Action
	Reason string // one of the Reason… codes
	// Confirm says that the order is confirmed once its total is proved
	// (Import, Edit and Nothing).
	Confirm bool
	// WakeAt is when to decide again without an event; zero: only on events.
	WakeAt time.Time
	Fault  *fault.Fault // Park only
}

// Decide says what to do with an order of the shop. bound is the order as it
// is in the target, nil if it is not there.
func Decide(r Rules, o record.Order, bound *record.OrderState, now time.Time) Decision {
	r = r.WithDefaults()
	if bound == nil {
		return decideNew(r, o, now)
	}
	return decideBound(r, o, *bound, now)
}

func decideNew(r Rules, o record.Order, now time.Time) Decision {
	if reason := neverImported(r, o); reason != "" {
		return Decision{Action: Skip, Reason: reason}
	}
	deadline := unpaidDeadline(r, o)
	if !deadline.IsZero() && !now.Before(deadline) {
		return Decision{Action: Skip, Reason: ReasonUnpaidDeadline}
	}
	if r.Import == WhenPaid && !paid(o) {
		return Decision{Action: Wait, Reason: ReasonNotPaid, WakeAt: deadline}
	}
	return Decision{Action: Import, Reason: ReasonNew, Confirm: confirms(r, o), WakeAt: deadline}
}

// neverImported gives the reason for which an order that the target does not
// have stays out of it, whatever time brings.
func neverImported(r Rules, o record.Order) string {
	switch {
	case o.Deleted:
		return ReasonDeletedBeforeImport
	case o.CancelledAt != nil:
		return ReasonCancelledBeforeImport
	case r.Import == Never:
		return ReasonPolicyNever
	case o.Test && !r.ImportTestOrders:
		return ReasonTestOrder
	case o.CreatedAt.Before(r.importFrom()):
		return ReasonBeforeImportFrom
	case o.PaymentStatus == record.PaymentVoided:
		return ReasonPaymentVoided
	case o.PaymentStatus == record.PaymentExpired:
		return ReasonPaymentExpired
	case o.PaymentStatus == record.PaymentRefunded:
		return ReasonRefundedBeforeImport
	case !hasLines(o):
		return ReasonNoLines
	}
	return ""
}

func decideBound(r Rules, o record.Order, bound record.OrderState, now time.Time) Decision {
	ended := endedInShop(r, o, now)
	switch {
	case bound.Stage == record.StageCancelled && ended != "":
		return Decision{Action: Nothing, Reason: ReasonAlreadyCancelled}
	case bound.Stage == record.StageCancelled:
		return park(cancelledInTarget())
	case ended != "":
		return decideCancel(r, bound, ended)
	case lostPayment(o) && bound.Stage == record.StageConfirmed:
		return park(conflict("payment_lost", "the payment was voided or has expired, but the order is confirmed in the target").
			WithResolution("collect the payment or cancel the order, in the shop or in the target, then retry"))
	}
	return Decision{
		Action:  Edit,
		Reason:  ReasonChanged,
		Confirm: confirms(r, o) && bound.Stage == record.StageDraft,
		WakeAt:  unpaidDeadline(r, o),
	}
}

// endedInShop gives the reason for which an order that the target has is over.
func endedInShop(r Rules, o record.Order, now time.Time) string {
	deadline := unpaidDeadline(r, o)
	switch {
	case o.Deleted:
		return ReasonDeletedInShop
	case o.CancelledAt != nil:
		return ReasonCancelledInShop
	case !hasLines(o):
		return ReasonLinesRemoved
	case !deadline.IsZero() && !now.Before(deadline):
		return ReasonUnpaidDeadline
	}
	return ""
}

// decideCancel cancels only what left no trace in stock and books: Odoo would
// keep a posted invoice and, in some versions, cancel the open deliveries
// while it says that it did nothing.
func decideCancel(r Rules, bound record.OrderState, reason string) Decision {
	switch {
	case r.OnCancel == ParkIt:
		return park(conflict(reason, "the order is over in the shop (%s); the policy leaves it to a person", reason).
			WithResolution("cancel the order in the target, or ignore this entry to keep it"))
	case bound.Locked:
		return park(lockedInTarget())
	case delivered(bound):
		return park(conflict("cancel_after_delivery", "the order is over in the shop, but goods were delivered").
			WithResolution("take the goods back with a return in the target, then cancel the order there and retry"))
	case bound.Invoiced:
		return park(conflict("cancel_after_invoice", "the order is over in the shop, but it was invoiced").
			WithResolution("make a credit note in the target, then cancel the order there and retry"))
	}
	return Decision{Action: Cancel, Reason: reason}
}

func cancelledInTarget() *fault.Fault {
	return conflict("cancelled_in_target", "the order is cancelled in the target, but not in the shop").
		WithResolution("cancel it in the shop too, or set it back to quotation in the target, then retry")
}

func lockedInTarget() *fault.Fault {
	return conflict("locked_in_target", "the order is locked in the target").
		WithResolution("unlock the order in the target and retry, or make the change there by hand and ignore this entry")
}

func park(f *fault.Fault) Decision {
	_, reason, _ := strings.Cut(f.Code, ".")
	return Decision{Action: Park, Reason: reason, Fault: f}
}

// paid reports whether nothing is left to wait for; a free order has nothing
// to pay.
func paid(o record.Order) bool { return o.PaymentStatus.Settled() || o.Total.IsZero() }

func lostPayment(o record.Order) bool {
	return o.PaymentStatus == record.PaymentVoided || o.PaymentStatus == record.PaymentExpired
}

func confirms(r Rules, o record.Order) bool {
	return r.Confirm == Always || r.Confirm == WhenPaid && paid(o)
}

// unpaidDeadline is when the wait for the first payment ends; zero when there
// is no deadline. Money that was authorised or paid in part is a person's
// business, never a timer's.
func unpaidDeadline(r Rules, o record.Order) time.Time {
	money := o.PaymentStatus == record.PaymentAuthorized || o.PaymentStatus == record.PaymentPartiallyPaid
	if r.CancelUnpaidAfterDays <= 0 || paid(o) || money {
		return time.Time{}
	}
	return o.CreatedAt.UTC().AddDate(0, 0, r.CancelUnpaidAfterDays)
}

func hasLines(o record.Order) bool {
	for _, l := range o.Lines {
		if !l.Quantity.IsZero() {
			return true
		}
	}
	return false
}

func delivered(bound record.OrderState) bool {
	for _, l := range bound.Lines {
		if l.Delivered.IsPositive() {
			return true
		}
	}
	return false
}
