package activities

import (
	"context"
	"slices"

	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

// forgetVanished looks, after a refusal, whether records that the order refers
// to are gone from the target: people merge contacts and delete products. Their
// bindings are forgotten, and the fault is one that a retry helps: the next
// pass finds or makes them anew. Nil when all are there.
func (p *pass) forgetVanished(ctx context.Context, parties, products []string) error {
	forgotten := 0
	for _, referred := range []struct {
		kind  record.Kind
		bound []record.Kind // the kinds of bindings that may point there
		ids   []string
	}{
		{store.BindCustomer, []record.Kind{store.BindCustomer, store.BindAddress}, distinct(parties)},
		{store.BindProduct, []record.Kind{store.BindProduct}, distinct(products)},
	} {
		gone, err := p.target.Vanished(ctx, referred.kind, referred.ids)
		if err != nil {
			return err
		}
		for _, id := range gone {
			for _, kind := range referred.bound {
				if err := p.Store.Forget(ctx, p.Target, kind, id); err != nil {
					return err
				}
			}
			forgotten++
		}
	}
	if forgotten == 0 {
		return nil
	}
	return fault.New(fault.Transient, "order.references_vanished", "%d records that the order refers to are gone from the target; they are looked for anew", forgotten)
}

func distinct(ids []string) []string {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	slices.Sort(ids)
	return slices.Compact(ids)
}
