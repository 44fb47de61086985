package orders

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Resolved are the target's ids of all that an order refers to.
type Resolved struct {
	Source     string            `json:"source"` // slug of the shop's connection; part of every xid
	CustomerID string            `json:"customer_id"`
	InvoiceID  string            `json:"invoice_id"`  // empty: the customer
	DeliveryID string            `json:"delivery_id"` // empty: the customer
	Products   map[string]string `json:"products"`    // line external id -> product id
	Taxes      TaxPlan           `json:"taxes"`
	// AdoptedID addresses an order that was not made by us.
	AdoptedID string `json:"adopted_id,omitempty"`
	// Written are the xids of the lines written by earlier passes; those that
	// the plan does not have any more become OrderRow.Gone.
	Written []string `json:"-"`
}

// OrderXID is the external id of a shop's order in the target.
func OrderXID(source, orderID string) string { return record.XID(source, "order", orderID) }

// RoundingXID is the external id of an order's rounding line.
func RoundingXID(source, orderID string) string { return record.XID(source, "rounding", orderID) }

// Plan builds the order in the target's terms. The fence of the row is left to
// the caller. Equal arguments give equal rows.
func Plan(r Rules, terms record.SalesTerms, o record.Order, res Resolved) (record.OrderRow, *fault.Fault) {
	r = r.WithDefaults()
	row, f := planHeader(r, terms, o, res)
	if f != nil {
		return record.OrderRow{}, f
	}
	p := newPricer(terms, o, res)
	for i, l := range o.Lines {
		if l.Quantity.IsZero() { // removed in the shop
			continue
		}
		product, f := lineProduct(r, terms, l, res)
		if f != nil {
			return record.OrderRow{}, f.WithField(fmt.Sprintf("lines[%d]", i))
		}
		discount := ""
		if p.ownDiscountLine(l) {
			if discount, f = serviceProduct(terms, r.DiscountProduct, "discounts"); f != nil {
				return record.OrderRow{}, f.WithField(fmt.Sprintf("lines[%d].discount", i))
			}
		}
		row.Lines = append(row.Lines, p.lines(l, product, discount)...)
	}
	for i := range row.Lines {
		row.Lines[i].Sequence = 10 * (i + 1)
	}
	row.Gone = gone(res.Written, row.Lines)
	return row, nil
}

func planHeader(r Rules, terms record.SalesTerms, o record.Order, res Resolved) (record.OrderRow, *fault.Fault) {
	if res.CustomerID == "" {
		return record.OrderRow{}, invalid("customer_missing", "customer", "the order has no customer in the target").
			WithResolution("bind the customer, or name a shared_customer, and retry")
	}
	if r.Company != "" && terms.Company != "" && r.Company != terms.Company {
		return record.OrderRow{}, conflict("company_differs", "the policy is for another company than the target's connection").
			WithField("company").WithResolution("set company to %s, or connect the target with company %s", terms.Company, r.Company)
	}
	row := record.OrderRow{
		Reference: oneLine(o.Name),
		Origin:    oneLine(res.Source + " " + o.Name),
		OrderedAt: o.CreatedAt.UTC().Truncate(time.Second), // as much as the target keeps
		Note:      manyLines(o.Note, maxNote),
		Currency:  o.Currency,
		CompanyID: terms.Company,

		CustomerID: res.CustomerID, InvoiceID: res.InvoiceID, DeliveryID: res.DeliveryID,
	}
	if row.CompanyID == "" {
		row.CompanyID = r.Company
	}
	if row.InvoiceID == "" {
		row.InvoiceID = res.CustomerID
	}
	if row.DeliveryID == "" {
		row.DeliveryID = res.CustomerID
	}
	if res.AdoptedID != "" {
		row.ID = res.AdoptedID
	} else {
		row.XID = OrderXID(res.Source, o.ExternalID)
	}
	if r.NamePrefix != "" {
		row.Name = r.NamePrefix + strings.TrimLeft(row.Reference, "#")
	}

	var f *fault.Fault
	if row.PriceListID, f = priceList(r, terms, o.Currency); f != nil {
		return record.OrderRow{}, f
	}
	for _, ref := range []struct {
		field, value string
		among        []record.Named
		id           *string
	}{
		{"warehouse", r.Warehouse, terms.Warehouses, &row.WarehouseID},
		{"fiscal_position", r.FiscalPosition, terms.FiscalPositions, &row.FiscalPositionID},
		{"payment_term", r.PaymentTerm, terms.PaymentTerms, &row.PaymentTermID},
		{"sales_team", r.SalesTeam, terms.Teams, &row.TeamID},
		{"salesperson", r.Salesperson, terms.Users, &row.UserID},
	} {
		if *ref.id, f = named(ref.field, ref.value, ref.among); f != nil {
			return record.OrderRow{}, f
		}
	}
	return row, nil
}

// priceList gives the list in the order's currency, which nothing else
// decides: a currency written to the order is silently ignored. Every price is
// written explicitly, so of several lists any will do, and the oldest does.
func priceList(r Rules, terms record.SalesTerms, currency string) (string, *fault.Fault) {
	var inCurrency []record.Named
	for _, p := range terms.PriceLists {
		wanted := r.PriceList != "" && (p.ID == r.PriceList || strings.EqualFold(p.Name, r.PriceList))
		switch {
		case wanted && p.Currency != currency:
			return "", invalid("pricelist_currency", "price_list", "the price list of the policy is in %s, the order in %s", p.Currency, currency).
				WithFamily(currency).WithResolution("set price_list to one in %s, or leave it empty", currency)
		case wanted:
			return p.ID, nil
		case p.Currency == currency:
			inCurrency = append(inCurrency, record.Named{ID: p.ID, Name: p.Name})
		}
	}
	switch {
	case r.PriceList != "":
		return named("price_list", r.PriceList, nil)
	case len(inCurrency) == 0:
		return "", invalid("pricelist_missing", "currency", "the target has no price list in %s", currency).
			WithFamily(currency).WithResolution("create a pricelist in %s", currency)
	}
	return slices.MinFunc(inCurrency, func(a, b record.Named) int { return compareIDs(a.ID, b.ID) }).ID, nil
}

// named finds a record of the target by id or exact name; an empty reference
// gives none.
func named(field, ref string, among []record.Named) (string, *fault.Fault) {
	if ref == "" {
		return "", nil
	}
	var found []string
	for _, n := range among {
		if n.ID == ref {
			return n.ID, nil
		}
		if strings.EqualFold(n.Name, ref) {
			found = append(found, n.ID)
		}
	}
	label := strings.ReplaceAll(field, "_", " ")
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", invalid("reference_unknown", field, "the target has no %s %q", label, ref).
			WithFamily(ref).WithResolution("set %s to an id or exact name that exists", field)
	}
	return "", invalid("reference_ambiguous", field, "the target has several records for %s %q", label, ref).
		WithFamily(ref).WithResolution("set %s to one of the ids %s", field, strings.Join(found, ", "))
}

func lineProduct(r Rules, terms record.SalesTerms, l record.Line, res Resolved) (string, *fault.Fault) {
	switch l.Kind {
	case record.LineShipping:
		return serviceProduct(terms, r.ShippingProduct, "shipping")
	case record.LineTip:
		return serviceProduct(terms, r.TipProduct, "tips")
	case record.LineFee:
		return serviceProduct(terms, r.FeeProduct, "fees")
	}
	if id := res.Products[l.ExternalID]; id != "" {
		return id, nil
	}
	return "", invalid("product_unmapped", "", "a line has no product in the target").
		WithResolution("map the shop's product to one of the target; all orders that wait for it go on by themselves")
}

func serviceProduct(terms record.SalesTerms, ref, purpose string) (string, *fault.Fault) {
	if id := terms.ServiceProducts[ref]; id != "" {
		return id, nil
	}
	return "", invalid("service_product_missing", "", "the target has no product %s for %s", ref, purpose).
		WithFamily(ref).
		WithResolution("create a service product with the internal reference %s, or name another one in the policy", ref)
}

// gone gives the written lines that are not planned any more.
func gone(written []string, planned []record.OrderLine) []string {
	keep := map[string]bool{}
	for _, l := range planned {
		keep[l.XID] = true
	}
	var out []string
	for _, xid := range written {
		if !keep[xid] {
			out = append(out, xid)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// linesOf counts the lines that an order still has.
func linesOf(o record.Order) decimal.Decimal {
	n := int64(0)
	for _, l := range o.Lines {
		if !l.Quantity.IsZero() {
			n++
		}
	}
	return decimal.NewFromInt(n)
}
