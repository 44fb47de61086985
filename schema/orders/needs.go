package orders

import (
	"slices"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Needs are the records that an order refers to.
type Needs struct {
	// Products, one per distinct product, in the order of the lines. Services
	// (shipping, tips, fees) are not among them: SalesTerms has their products.
	Products []ProductNeed
	// Party is the customer; nil books the order on SharedCustomer.
	Party          *PartyNeed
	SharedCustomer string
	// Billing and Delivery as the shop has them; nil if it has none. Use
	// Addresses to learn which of them need a record of their own.
	Billing, Delivery *AddressNeed
	// Taxes are the distinct taxes, as people name them: "20 % excluded, FR".
	Taxes []string
}

// ProductNeed is one product that lines of an order sell.
type ProductNeed struct {
	// Keys to look for it, best first: "variant:11", "sku:A-1",
	// "barcode:400…", or "custom:<title>" for items without any id.
	Keys      []string
	LineIDs   []string // the lines that sell it
	ProductID string
	VariantID string
	SKU       string
	Barcode   string
	Title     string
}

// PartyNeed is a customer to find or make.
type PartyNeed struct {
	// Keys identify it, "shopid:7" and "email:a@b.c"; companies have no e-mail
	// key, but "company:<e-mail>/<name>", and nothing at all gives "order:<id>".
	// Only "email:" means the same in every shop. Claim them together (P2).
	Keys []string
	// Email to search existing customers by; empty: do not search.
	Email string
	// Row makes it when nobody is found: Role contact, with the main address.
	Row record.PartyRow
	// MainKey is the address key of Row, to be kept with the binding.
	MainKey string
}

// AddressNeed is an address that may need a record below its customer.
type AddressNeed struct {
	// Key is equal for addresses that differ only in case, spacing and
	// punctuation: "address:<digest>".
	Key string
	Row record.PartyRow
}

// ListNeeds says which records an order refers to, or why the policy cannot
// say so (a guest, when guests park).
func ListNeeds(r Rules, o record.Order) (Needs, *fault.Fault) {
	r = r.WithDefaults()
	n := Needs{Products: productNeeds(r, o), Taxes: taxNames(o)}
	var f *fault.Fault
	if n.Party, f = partyNeed(r, o); f != nil {
		return Needs{}, f
	}
	name := buyerName(o)
	if n.Party == nil {
		n.SharedCustomer = r.SharedCustomer
	} else {
		name = n.Party.Row.Name
	}
	n.Billing = addressNeed(record.RoleInvoice, o.Billing, name)
	n.Delivery = addressNeed(record.RoleDelivery, o.Delivery, name)
	return n, nil
}

func productNeeds(r Rules, o record.Order) []ProductNeed {
	var needs []ProductNeed
	at := map[string]int{} // by best key
	for _, l := range o.Lines {
		if l.Kind != record.LineProduct || l.Quantity.IsZero() {
			continue
		}
		keys := productKeys(r, l)
		i, known := at[keys[0]]
		if !known {
			i = len(needs)
			at[keys[0]] = i
			needs = append(needs, ProductNeed{
				Keys: keys, ProductID: l.ProductID, VariantID: l.VariantID,
				SKU: l.SKU, Barcode: l.Barcode, Title: l.Title,
			})
		}
		needs[i].LineIDs = append(needs[i].LineIDs, l.ExternalID)
	}
	return needs
}

// productKeys are never empty: an item without any id can still be mapped by
// its title.
func productKeys(r Rules, l record.Line) []string {
	var keys []string
	add := func(prefix, value string) {
		if value = strings.TrimSpace(value); value != "" {
			keys = append(keys, prefix+":"+value)
		}
	}
	for _, key := range r.ProductKeys {
		switch key {
		case ByBinding:
			if l.VariantID != "" {
				add("variant", l.VariantID)
			} else {
				add("product", l.ProductID)
			}
		case string(record.BySKU):
			add("sku", l.SKU)
		case string(record.ByBarcode):
			add("barcode", l.Barcode)
		}
	}
	if len(keys) == 0 {
		keys = []string{"custom:" + normalise(l.Title)}
	}
	return keys
}

// partyNeed gives nil for the shared customer.
func partyNeed(r Rules, o record.Order) (*PartyNeed, *fault.Fault) {
	var p record.Party
	if o.Customer != nil {
		p = *o.Customer
	}
	if p.Email == "" {
		p.Email = o.Email
	}
	if p.Phone == "" {
		p.Phone = o.Phone
	}
	email := normaliseEmail(p.Email)
	switch account := p.ExternalID != ""; {
	case account:
	case email == "" && r.NoCustomer == Shared, email != "" && r.Guest == SharedCustomer:
		return nil, nil
	case email == "":
		return nil, invalid("no_customer", "customer", "the order has neither customer nor e-mail").
			WithResolution("add the customer with an edit and retry, or set no_customer to shared and name a shared_customer")
	case r.Guest == ParkIt:
		return nil, conflict("guest", "a guest placed the order; the policy leaves guests to a person").
			WithField("customer").WithResolution("add the customer with an edit and retry, or set guest to create")
	}
	p.Name = buyerName(o)
	main := o.Billing
	if main == nil {
		main = o.Delivery
	}
	need := &PartyNeed{Keys: partyKeys(r, o, p, email), Row: partyRow(record.RoleContact, p, main)}
	if *r.MatchByEmail {
		need.Email = email
	}
	if main != nil {
		need.MainKey = AddressKey(*main, p.Name)
	}
	return need, nil
}

func partyKeys(r Rules, o record.Order, p record.Party, email string) []string {
	var keys []string
	if p.ExternalID != "" {
		keys = append(keys, "shopid:"+p.ExternalID)
	}
	switch {
	case !*r.MatchByEmail || email == "":
	case p.IsCompany: // one mailbox may order for several companies
		keys = append(keys, "company:"+email+"/"+normalise(p.Name))
	default:
		keys = append(keys, "email:"+email)
	}
	if len(keys) == 0 {
		keys = []string{"order:" + o.ExternalID} // a customer for this order alone
	}
	return keys
}

// buyerName is never empty, since a target refuses customers without a name.
func buyerName(o record.Order) string {
	var names []string
	if o.Customer != nil {
		names = append(names, o.Customer.Name)
	}
	for _, a := range []*record.Address{o.Billing, o.Delivery} {
		if a != nil {
			names = append(names, a.Name, a.Company)
		}
	}
	mailbox, _, _ := strings.Cut(o.Email, "@")
	names = append(names, mailbox, o.Name, o.ExternalID)
	for _, name := range names {
		if name = oneLine(name); name != "" {
			return name
		}
	}
	return "?"
}

func partyRow(role record.PartyRole, p record.Party, a *record.Address) record.PartyRow {
	row := record.PartyRow{
		Role: role, Name: oneLine(p.Name), Email: strings.TrimSpace(p.Email), Phone: oneLine(p.Phone),
		IsCompany: p.IsCompany, VAT: oneLine(p.VAT), Locale: p.Locale,
	}
	if a == nil {
		return row
	}
	row.Company = oneLine(a.Company)
	row.Street, row.Street2 = oneLine(a.Street), oneLine(a.Street2)
	row.City, row.Zip = oneLine(a.City), oneLine(a.Zip)
	row.ProvinceCode, row.CountryCode = strings.ToUpper(strings.TrimSpace(a.ProvinceCode)), country(a)
	if row.Phone == "" {
		row.Phone = oneLine(a.Phone)
	}
	return row
}

func country(a *record.Address) string {
	if a == nil {
		return ""
	}
	return strings.ToUpper(strings.TrimSpace(a.CountryCode))
}

// taxNames are the distinct taxes of the lines, sorted.
func taxNames(o record.Order) []string {
	var names []string
	for _, l := range o.Lines {
		for _, t := range l.Taxes {
			if !t.Rate.IsZero() {
				names = append(names, taxName(t.Rate, o))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
