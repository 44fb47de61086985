package simulator

import (
	"slices"
	"strings"

	"towpath/connectors/shopify/simulator/internal/graph"
)

func (g *goods) customerSet(args graph.Args) (any, error) {
	r := refusals{kind: "CustomerSetUserError"}
	identifier, in := args.Map("identifier"), args.Map("input")
	a := g.accounts[gidNumber("Customer", identifier.Text("id"))]
	xid := xidOf(identifier)
	if xid != "" {
		if err := g.needsDefinition("CUSTOMER"); err != nil {
			return nil, err
		}
		for _, one := range g.accounts {
			if one.XID == xid {
				a = one
			}
		}
	} else if a == nil {
		r.add("NOT_FOUND", "Resource matching the identifier was not found.", "identifier")
		return r.payload("CustomerSetPayload", fields{"customer": nil}), nil
	}
	isNew := a == nil
	if isNew {
		a = &Account{XID: xid, State: "DISABLED", Customer: Customer{ID: g.id(), CreatedAt: g.second()}}
	}
	g.fillAccount(a, in, &r)
	if list, given := in["addresses"]; given && len(r.list) == 0 {
		a.Address = nil
		for _, address := range inputsOf(list) {
			a.Address = &Address{ID: g.id()}
			fillAddress(a.Address, address)
		}
	}
	if isNew && a.Email == "" && a.Phone == "" && a.FirstName == "" && a.LastName == "" {
		r.add("BLANK", "A name, phone number, or email address must be present", "input")
	}
	if len(r.list) > 0 {
		return r.payload("CustomerSetPayload", fields{"customer": nil}), nil
	}
	g.accounts[a.ID] = a
	g.wrote("customerSet", 1)
	return r.payload("CustomerSetPayload", fields{"customer": g.accountObject(a)}), nil
}

func (g *goods) customerUpdate(args graph.Args) (any, error) {
	r := refusals{kind: "UserError"}
	in := args.Map("input")
	a := g.accounts[gidNumber("Customer", in.Text("id"))]
	if a == nil {
		r.add("", "Customer does not exist", "id")
		return r.payload("CustomerUpdatePayload", fields{"customer": nil}), nil
	}
	if g.fillAccount(a, in, &r); len(r.list) > 0 {
		return r.payload("CustomerUpdatePayload", fields{"customer": nil}), nil
	}
	g.wrote("customerUpdate", 1)
	return r.payload("CustomerUpdatePayload", fields{"customer": g.accountObject(a)}), nil
}

// fillAccount takes an input over, or refuses all of it.
func (g *goods) fillAccount(a *Account, in graph.Args, r *refusals) {
	path := func(name string) []string {
		if r.kind == "UserError" { // of customerUpdate: without the argument's name
			return []string{name}
		}
		return []string{"input", name}
	}
	email := in.Text("email")
	if email != "" && !strings.Contains(email, "@") {
		r.add("INVALID", "Email is invalid", path("email")...)
		return
	}
	for _, other := range g.accounts {
		if other != a && email != "" && strings.EqualFold(other.Email, email) {
			r.add("TAKEN", "Email has already been taken", path("email")...)
			return
		}
	}
	for name, into := range map[string]*string{
		"email": &a.Email, "phone": &a.Phone, "firstName": &a.FirstName, "lastName": &a.LastName, "note": &a.Note, "locale": &a.Locale,
	} {
		setText(in, name, into)
	}
	setBool(in, "taxExempt", &a.TaxExempt)
	if _, given := in["tags"]; given {
		a.Tags = in.Texts("tags")
		slices.Sort(a.Tags)
	}
	a.UpdatedAt = g.second()
}

func (g *goods) addressUpdate(args graph.Args) (any, error) {
	r := refusals{kind: "UserError"}
	a := g.accounts[gidNumber("Customer", args.Text("customerId"))]
	if a == nil || a.Address == nil || a.Address.ID != gidNumber("MailingAddress", args.Text("addressId")) {
		r.add("", "Address does not exist", "addressId")
		return r.payload("CustomerAddressUpdatePayload", fields{"address": nil}), nil
	}
	changed := *a.Address
	fillAddress(&changed, args.Map("address"))
	a.Address, a.UpdatedAt = &changed, g.second()
	g.wrote("customerAddressUpdate", 1)
	return r.payload("CustomerAddressUpdatePayload", fields{"address": addressObject(a.Address)}), nil
}

func fillAddress(a *Address, in graph.Args) {
	for name, into := range map[string]*string{
		"firstName": &a.FirstName, "lastName": &a.LastName, "company": &a.Company, "address1": &a.Address1, "address2": &a.Address2,
		"city": &a.City, "zip": &a.Zip, "provinceCode": &a.ProvinceCode, "countryCode": &a.CountryCode, "phone": &a.Phone,
	} {
		setText(in, name, into)
	}
}
