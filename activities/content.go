package activities

import (
	"context"
	"encoding/json"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// readContent decodes the newest event's body into the order. complete is
// false when no body says what the order is: then it is read from the shop.
func (p *pass) readContent(ctx context.Context) (complete bool, err error) {
	if !p.EventID.Valid || !p.Complete.Bool || len(p.Body) == 0 || p.outdated() {
		return false, nil
	}
	switch p.Format.String {
	case store.FormatRecord:
		if err := json.Unmarshal(p.Body, &p.order); err != nil {
			return false, fault.New(fault.Invalid, "order.bad_record", "the stored order cannot be read").
				WithResolution("read it anew: towpath backfill %s --order %s", p.Connection, p.ExternalID).WithCause(err)
		}
	default:
		door, err := p.Pool.Get(ctx, p.Connection)
		if err != nil {
			return false, err
		}
		decoder, ok := door.(connectors.OrderDecoder)
		if !ok {
			return false, fault.New(fault.Unsupported, "order.no_decoder", "connection %q cannot decode orders", p.Connection)
		}
		if p.order, err = decoder.DecodeOrder(p.Topic.String, p.Body); err != nil {
			return false, err
		}
	}
	if p.order.ExternalID == "" {
		p.order.ExternalID = p.ExternalID
	}
	if len(p.Override) > 0 && string(p.Override) != "null" {
		corrected, f := orders.Patch(p.order, p.Override)
		if f != nil {
			return false, f
		}
		p.order = corrected
	}
	return true, nil
}

// outdated says that the newest event that is kept was told before what was written
// last: those in between have been purged. What was read is never outdated.
func (p *pass) outdated() bool {
	return p.Topic.String != "read" && p.Version.String < p.AppliedVersion
}

// FetchOrder reads an order from its shop as it is now and puts it into the
// inbox, where the next pass finds it. The shop's "gone" is content, too.
func (o *Orders) FetchOrder(ctx context.Context, ref contract.Ref) error {
	defer beat(ctx)() // or the order rests for the whole timeout when a worker dies
	return toTemporal(o.fetchOrder(ctx, ref))
}

func (o *Orders) fetchOrder(ctx context.Context, ref contract.Ref) error {
	door, err := o.Pool.Get(ctx, ref.Connection)
	if err != nil {
		return err
	}
	reader, ok := door.(connectors.OrderReader)
	if !ok {
		return fault.New(fault.Unsupported, "order.no_reader", "connection %q cannot read orders", ref.Connection)
	}
	order, err := reader.ReadOrder(ctx, ref.ExternalID)
	if fault.Is(err, fault.NotFound) {
		order, err = record.Order{ExternalID: ref.ExternalID, Deleted: true, Version: record.NewVersion(o.Now(), o.Now())}, nil
	}
	if err != nil {
		return err
	}
	return o.Store.PutContent(ctx, keyOf(ref), order.Version, order)
}
