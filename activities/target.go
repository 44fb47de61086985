package activities

import (
	"context"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
)

// lookInTarget reads the order as it is in the target, if it can be there.
func (p *pass) lookInTarget(ctx context.Context) error {
	ref := p.orderRef()
	if !p.BoundID.Valid && p.Attempts == 0 {
		return p.adopt(ctx)
	}
	state, err := p.target.ReadOrder(ctx, ref)
	switch {
	case err == nil:
		p.bound = &state
		return nil
	case !fault.Is(err, fault.NotFound):
		return err
	case p.BoundID.Valid:
		return fault.New(fault.Conflict, "order.deleted_in_target", "the order was deleted in the target").
			WithResolution("if that was meant: towpath skip %s; if not: towpath forget %s, then it is written anew", p.ref(), p.ref())
	default:
		return p.adopt(ctx)
	}
}

// adopt looks for an order under the shop's reference. One that somebody typed
// in by hand is bound instead of written a second time. One of our own is what
// an earlier pass wrote and never heard of: each of Odoo's workers answers for
// external ids from a cache (_xmlid_lookup), which may still hold a record of a
// transaction that was rolled back instead of this one.
func (p *pass) adopt(ctx context.Context) error {
	byHand := p.rules.AdoptByReference == nil || *p.rules.AdoptByReference
	if p.order.Name == "" || !byHand && p.Attempts == 0 {
		return nil
	}
	found, err := p.target.FindOrders(ctx, p.order.Name)
	if err != nil || len(found) == 0 {
		return err
	}
	for _, f := range found {
		if f.XID == p.xid() {
			p.bound = &f
			return nil
		}
	}
	if !byHand {
		return nil
	}
	free, err := p.free(ctx, found)
	if err != nil {
		return err
	}
	adopted, f := orders.Adopt(p.rules, p.order, free)
	if f != nil {
		return f
	}
	if adopted != nil {
		p.bound, p.res.AdoptedID = adopted, adopted.ID
	}
	return nil
}

// free leaves out orders that came from a shop: by external id or by binding.
func (p *pass) free(ctx context.Context, found []record.OrderState) (free []record.OrderState, err error) {
	var ids []string
	for _, f := range found {
		ids = append(ids, f.ID)
	}
	taken, err := p.Store.BoundTargets(ctx, p.Target, p.Kind, ids)
	for _, f := range found {
		if !taken[f.ID] && !ours(f) {
			free = append(free, f)
		}
	}
	return free, err
}

// ours tells an order of our own by its external id.
func ours(s record.OrderState) bool { return strings.HasPrefix(s.XID, record.XIDModule+".") }

func (p *pass) xid() string {
	return record.XID(p.Connection, string(p.Kind), p.ExternalID)
}

// orderRef addresses the order in the target: adopted ones by id, ours by
// external id.
func (p *pass) orderRef() record.OrderRef {
	if p.BoundID.Valid && !p.BoundXID.Valid {
		return record.OrderRef{ID: p.BoundID.String}
	}
	return record.OrderRef{XID: p.xid(), ID: p.BoundID.String}
}
