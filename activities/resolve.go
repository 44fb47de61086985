package activities

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
)

// resolve finds or makes the target's record of everything the order refers
// to: terms and taxes, products, customer, addresses. What it needs of the
// target it asks at the same time, so that it travels in the same calls.
func (p *pass) resolve(ctx context.Context) error {
	needs, bound, err := p.needs(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.resolveTaxes(gctx) })
	g.Go(func() error { return p.resolveProducts(gctx, needs.Products, bound) })
	g.Go(func() error { return p.resolveParty(gctx, needs, bound) })
	return g.Wait()
}

// resolveKnown resolves from PostgreSQL and cached terms only; anything that
// is not known yet is a fault.
func (p *pass) resolveKnown(ctx context.Context) error {
	unknown := fault.New(fault.NotFound, "order.unresolved", "the order refers to something new")
	needs, bound, err := p.needs(ctx)
	if err != nil {
		return err
	}
	p.res.Products = map[string]string{}
	for _, need := range needs.Products {
		id := boundProduct(need, bound)
		if id == "" {
			return unknown
		}
		for _, line := range need.LineIDs {
			p.res.Products[line] = id
		}
	}
	if err := p.resolveTaxes(ctx); err != nil {
		return err
	}
	customer, mainKey, ok := p.knownCustomer(needs, bound)
	if !ok {
		return unknown
	}
	p.res.CustomerID, p.res.InvoiceID, p.res.DeliveryID = customer, "", ""
	invoice, delivery := needs.Addresses(mainKey)
	addresses, err := p.knownAddresses(ctx, customer, invoice, delivery)
	if err != nil {
		return err
	}
	for need, id := range map[*orders.AddressNeed]*string{invoice: &p.res.InvoiceID, delivery: &p.res.DeliveryID} {
		if need == nil {
			continue
		}
		b, ok := addresses[addressKey(customer, need)]
		if !ok {
			return unknown
		}
		*id = b.TargetID
	}
	return nil
}

// needs lists what the order refers to, and what is known of it already.
func (p *pass) needs(ctx context.Context) (needs orders.Needs, bound map[store.BindingKey]store.Bound, err error) {
	p.res.Source, p.res.Written = p.Connection, p.LineXIDs
	needs, f := orders.ListNeeds(p.rules, p.order)
	if f != nil {
		return needs, nil, f
	}
	bound, err = p.bindings(ctx, needs)
	return needs, bound, err
}

// bindings reads all that is known about the needs in one round trip.
func (p *pass) bindings(ctx context.Context, needs orders.Needs) (map[store.BindingKey]store.Bound, error) {
	var keys []store.BindingKey
	for _, n := range needs.Products {
		for _, k := range n.Keys {
			keys = append(keys, store.BindingKey{Kind: store.BindProduct, ExternalID: k})
		}
	}
	if needs.Party != nil {
		for _, k := range needs.Party.Keys {
			keys = append(keys, store.BindingKey{Kind: store.BindCustomer, ExternalID: k})
		}
	}
	return p.Store.Bindings(ctx, p.Connection, p.Target, keys)
}

func boundProduct(need orders.ProductNeed, bound map[store.BindingKey]store.Bound) string {
	for _, k := range need.Keys {
		if b, ok := bound[store.BindingKey{Kind: store.BindProduct, ExternalID: k}]; ok {
			return b.TargetID
		}
	}
	return ""
}

// resolveTaxes matches the shop's taxes with the target's. A miss asks the
// target anew once: somebody may just have made the tax.
func (p *pass) resolveTaxes(ctx context.Context) error {
	terms, err := p.target.SalesTerms(ctx, false)
	if err != nil {
		return err
	}
	taxes, f := orders.MatchTaxes(p.rules, terms, p.order)
	if f != nil && (p.decision != nil || p.Now().Sub(terms.ReadAt) > termsTrust) { // who decides has just mended it
		if terms, err = p.target.SalesTerms(ctx, true); err != nil {
			return err
		}
		taxes, f = orders.MatchTaxes(p.rules, terms, p.order)
	}
	if f != nil {
		return f
	}
	p.terms, p.res.Taxes = terms, taxes
	return nil
}

// resolveProducts takes bound products, looks the others up by SKU and
// barcode, and does what the rules say about unknown ones. All unknown
// products of an order are named together.
func (p *pass) resolveProducts(ctx context.Context, needs []orders.ProductNeed, bound map[store.BindingKey]store.Bound) error {
	products := make(map[string]string, len(needs))
	var open []orders.ProductNeed
	for _, need := range needs {
		if id := boundProduct(need, bound); id != "" {
			assign(products, need, id)
		} else {
			open = append(open, need)
		}
	}
	found, err := p.findProducts(ctx, open)
	if err != nil {
		return err
	}
	var unknown *unresolved
	var learned []store.NewBinding
	for _, need := range open {
		choice, f := orders.MatchProduct(p.rules, need, found)
		if f != nil {
			unknown = unknown.and(p, need, f)
			continue
		}
		id, bind, err := p.chosenProduct(ctx, need, choice)
		if err != nil {
			return err
		}
		assign(products, need, id)
		learned = append(learned, bind...)
	}
	if err := p.Store.Remember(ctx, learned...); err != nil {
		return err
	}
	if unknown != nil {
		return unknown
	}
	p.res.Products = products
	return nil
}

func assign(products map[string]string, need orders.ProductNeed, id string) {
	for _, line := range need.LineIDs {
		products[line] = id
	}
}

func (p *pass) findProducts(ctx context.Context, open []orders.ProductNeed) (map[record.ProductKey][]record.ProductMatch, error) {
	values := map[record.ProductKey][]string{}
	for _, need := range open {
		if need.SKU != "" {
			values[record.BySKU] = append(values[record.BySKU], need.SKU)
		}
		if need.Barcode != "" {
			values[record.ByBarcode] = append(values[record.ByBarcode], need.Barcode)
		}
	}
	found := map[record.ProductKey][]record.ProductMatch{}
	for by, list := range values {
		matches, err := p.target.FindProducts(ctx, by, list)
		if err != nil {
			return nil, err
		}
		found[by] = matches
	}
	return found, nil
}

// chosenProduct gives the id of what the rules chose, making it if they say so,
// and what to remember, so that nobody searches for it again.
func (p *pass) chosenProduct(ctx context.Context, need orders.ProductNeed, choice orders.ProductChoice) (id string, learned []store.NewBinding, err error) {
	b := store.NewBinding{
		Connection: p.Connection, Kind: store.BindProduct, ExternalID: need.Keys[0], Target: p.Target,
		TargetID: choice.ID, SKU: need.SKU, Name: need.Title,
	}
	switch {
	case choice.ID != "":
	case choice.Create != nil:
		row := *choice.Create
		row.XID = record.XID(p.Connection, "product", need.Keys[0])
		if b.TargetID, err = p.target.UpsertProduct(ctx, row); err != nil {
			return "", nil, err
		}
		b.XID = row.XID
	default:
		id, err = p.placeholder(ctx, choice.Placeholder)
		return id, nil, err
	}
	return b.TargetID, []store.NewBinding{b}, nil
}

// placeholder is deliberately not remembered: the order's line gets the right
// product as soon as there is one.
func (p *pass) placeholder(ctx context.Context, code string) (string, error) {
	matches, err := p.target.FindProducts(ctx, record.BySKU, []string{code})
	if err != nil {
		return "", err
	}
	if len(matches) != 1 {
		return "", fault.New(fault.Invalid, "order.no_placeholder", "the placeholder product %q is not there exactly once", code).
			WithField("placeholder_product").WithResolution("create one product with the internal reference %q", code).WithFamily(code)
	}
	return matches[0].ID, nil
}

// unresolved is the fault of an order that waits for mappings.
type unresolved struct {
	*fault.Fault
	needs []string
}

func (u *unresolved) Unwrap() error { return u.Fault }

func (u *unresolved) and(p *pass, need orders.ProductNeed, f *fault.Fault) *unresolved {
	if u == nil {
		u = &unresolved{Fault: f}
	} else {
		u.Detail = strings.TrimSpace(u.Detail + "\n" + f.Message)
	}
	for _, k := range need.Keys {
		u.needs = append(u.needs, store.Need(p.Connection, store.BindProduct, k))
	}
	return u
}
