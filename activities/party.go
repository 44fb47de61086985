package activities

import (
	"cmp"
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"towpath/schema/failpoint"
	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// resolveParty finds or makes the customer, then its addresses.
func (p *pass) resolveParty(ctx context.Context, needs orders.Needs, bound map[store.BindingKey]store.Bound) error {
	customer, mainKey, ok := p.knownCustomer(needs, bound)
	if !ok {
		var err error
		if customer, mainKey, err = p.claimCustomer(ctx, needs.Party); err != nil {
			return err
		}
	}
	p.res.CustomerID, p.res.InvoiceID, p.res.DeliveryID = customer, "", ""
	invoice, delivery := needs.Addresses(mainKey)
	known, err := p.knownAddresses(ctx, customer, invoice, delivery)
	if err != nil {
		return err
	}
	if invoice != nil && delivery != nil && invoice.Key == delivery.Key {
		id, err := p.address(ctx, customer, invoice, known)
		p.res.InvoiceID, p.res.DeliveryID = id, id
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for need, id := range map[*orders.AddressNeed]*string{invoice: &p.res.InvoiceID, delivery: &p.res.DeliveryID} {
		if need == nil {
			continue
		}
		g.Go(func() (err error) {
			*id, err = p.address(gctx, customer, need, known)
			return err
		})
	}
	return g.Wait()
}

// knownCustomer needs no call: a shared customer, or one that is bound.
func (p *pass) knownCustomer(needs orders.Needs, bound map[store.BindingKey]store.Bound) (id, mainKey string, ok bool) {
	if needs.Party == nil {
		return needs.SharedCustomer, "", needs.SharedCustomer != ""
	}
	for _, k := range needs.Party.Keys {
		if b, ok := bound[store.BindingKey{Kind: store.BindCustomer, ExternalID: k}]; ok {
			return b.TargetID, b.ContentKey, true
		}
	}
	return "", "", false
}

// claimCustomer agrees with all who need the same customer on one identity,
// looks for it by e-mail, and else makes it under the claim's external id:
// five orders of a new customer make one (protocol P2).
func (p *pass) claimCustomer(ctx context.Context, need *orders.PartyNeed) (id, mainKey string, err error) {
	xid := record.XID(p.Connection, "customer", strings.TrimPrefix(need.Keys[0], "shopid:"))
	claim, err := p.Store.Claim(ctx, p.Target, store.BindCustomer, p.claimKeys(need.Keys), xid)
	if err != nil {
		return "", "", err
	}
	var matched bool
	if claim.TargetID == "" {
		if id, matched, err = p.findOrMakeCustomer(ctx, need, claim.XID); err != nil {
			return "", "", err
		}
		failpoint.Here("customer")
		if claim, err = p.Store.Claimed(ctx, p.Target, store.BindCustomer, claim.XID, id, matched); err != nil {
			return "", "", err
		}
	}
	if !claim.Matched {
		mainKey = need.MainKey // our own record holds this address; a found one may hold any
	}
	var remember []store.NewBinding
	for _, k := range need.Keys {
		remember = append(remember, store.NewBinding{
			Connection: p.Connection, Kind: store.BindCustomer, ExternalID: k, Target: p.Target,
			TargetID: claim.TargetID, XID: claimXID(claim), ContentKey: mainKey,
		})
	}
	return claim.TargetID, mainKey, p.Store.Remember(ctx, remember...)
}

// findOrMakeCustomer looks for the customer by e-mail, and else makes it. Who
// makes it says so before: what the others find, or a successor of one who died
// in between, is then not taken for a stranger's record, whose address is
// unknown, but written once more under its external id.
func (p *pass) findOrMakeCustomer(ctx context.Context, need *orders.PartyNeed, xid string) (id string, matched bool, err error) {
	if id, err = p.findCustomer(ctx, need); err != nil {
		return "", false, err
	}
	if id != "" {
		made, err := p.Store.Made(ctx, p.Target, store.BindCustomer, xid)
		if err != nil || !made {
			return id, true, err
		}
	} else if err := p.Store.Making(ctx, p.Target, store.BindCustomer, xid); err != nil {
		return "", false, err
	}
	row := need.Row
	row.XID = xid
	if id, err = p.target.UpsertParty(ctx, row); err != nil && !fault.Retryable(err) {
		// The target refused it: whom a person makes instead is a stranger.
		return "", false, cmp.Or(p.Store.NotMade(ctx, p.Target, store.BindCustomer, xid), err)
	}
	return id, false, err
}

func claimXID(c store.Claim) string {
	if c.Matched {
		return ""
	}
	return c.XID
}

// claimKeys are match keys over all shops of a target: an e-mail address is
// one person everywhere, a customer number only within its shop.
func (p *pass) claimKeys(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		if strings.HasPrefix(k, "email:") {
			out[i] = k
		} else {
			out[i] = p.Connection + "/" + k
		}
	}
	return out
}

func (p *pass) findCustomer(ctx context.Context, need *orders.PartyNeed) (string, error) {
	if need.Email == "" {
		return "", nil
	}
	found, err := p.target.FindParties(ctx, need.Email)
	if err != nil {
		return "", err
	}
	id, f := orders.MatchParty(p.rules, *need, found)
	if f != nil {
		return "", f
	}
	return id, nil
}

func addressKey(customer string, need *orders.AddressNeed) store.BindingKey {
	return store.BindingKey{Kind: store.BindAddress, ExternalID: customer + "/" + need.Key}
}

// knownAddresses reads which of the addresses are bound, in one round trip.
func (p *pass) knownAddresses(ctx context.Context, customer string, needs ...*orders.AddressNeed) (map[store.BindingKey]store.Bound, error) {
	var keys []store.BindingKey
	for _, need := range needs {
		if need != nil {
			keys = append(keys, addressKey(customer, need))
		}
	}
	return p.Store.Bindings(ctx, p.Connection, p.Target, keys)
}

// address finds or makes one address below its customer. Its external id comes
// from its content, so the same address is one record.
func (p *pass) address(ctx context.Context, customer string, need *orders.AddressNeed, known map[store.BindingKey]store.Bound) (string, error) {
	key := addressKey(customer, need)
	if b, ok := known[key]; ok {
		return b.TargetID, nil
	}
	row := need.Row
	row.XID = record.XID(p.Connection, "address", customer, strings.TrimPrefix(need.Key, "address:"))
	row.ParentID = customer
	id, err := p.target.UpsertParty(ctx, row)
	if fault.Is(err, fault.Invalid) {
		if ferr := p.forgetVanished(ctx, []string{customer}, nil); ferr != nil {
			return "", ferr
		}
	}
	if err != nil {
		return "", err
	}
	return id, p.Store.Remember(ctx, store.NewBinding{
		Connection: p.Connection, Kind: store.BindAddress, ExternalID: key.ExternalID, Target: p.Target, TargetID: id, XID: row.XID,
	})
}
