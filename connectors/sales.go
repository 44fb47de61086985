package connectors

import (
	"context"
	"time"

	"towpath/schema/record"
)

// SalesTarget is a system that orders are written to. All its methods may be
// called by hundreds of goroutines at once: an implementation gathers them
// into few calls. Ids are the target's own, as strings.
type SalesTarget interface {
	// SalesTerms gives what the target knows about selling: taxes, price
	// lists, service products, how it rounds. Cached; fresh asks anew.
	SalesTerms(ctx context.Context, fresh bool) (record.SalesTerms, error)
	// FindProducts gives all sellable products that carry one of the values,
	// archived ones included (marked).
	FindProducts(ctx context.Context, by record.ProductKey, values []string) ([]record.ProductMatch, error)
	// FindParties gives active customers by normalised e-mail (lower case).
	FindParties(ctx context.Context, email string) ([]record.PartyMatch, error)
	// FindOrders gives orders by the shop's reference, not cancelled, made by
	// hand or by us.
	FindOrders(ctx context.Context, reference string) ([]record.OrderState, error)

	// Vanished gives those ids that are not there any more: deleted, or merged
	// into another record. Asked after a refusal.
	Vanished(ctx context.Context, kind record.Kind, ids []string) ([]string, error)

	// UpsertParty writes one customer or address under its external id and
	// gives its id. Same external id, same record, however often it is called.
	UpsertParty(ctx context.Context, row record.PartyRow) (string, error)
	// UpsertProduct makes a product (placeholder or created from the shop).
	UpsertProduct(ctx context.Context, row record.ProductRow) (string, error)
	// ReadOrder reads one order as it is; a fault of kind NotFound if it is gone.
	ReadOrder(ctx context.Context, ref record.OrderRef) (record.OrderState, error)
	// UpsertOrder writes header and lines and gives the order as read back.
	// An Uncertain fault says that the write may have landed.
	UpsertOrder(ctx context.Context, row record.OrderRow) (record.OrderState, error)
	// ConfirmOrder confirms a draft and gives the order as read back; one
	// already confirmed is success.
	ConfirmOrder(ctx context.Context, w record.Write) (record.OrderState, error)
	// CancelOrder cancels and gives the order as read back. Where the target
	// forbids it: a Conflict fault.
	CancelOrder(ctx context.Context, w record.Write) (record.OrderState, error)
}

// OrderStates is a SalesTarget that tells of many orders at once.
type OrderStates interface {
	// OrderStates reads orders as they are, cancelled ones included, by their
	// ids: header only, without lines and external ids. Those that are gone are
	// missing from the answer.
	OrderStates(ctx context.Context, ids []string) (map[string]record.OrderState, error)
}

// Lingering is a target that knows how long a write whose sender has gone may
// still run in it, and land.
type Lingering interface {
	Lingers() time.Duration
}
