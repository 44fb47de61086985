package odoo

import (
	"context"
	"strconv"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// UpsertParty writes one customer or address and gives its id. With row.ID the
// record is addressed by it and never made anew: one that is gone is the
// Conflict odoo.deleted_in_odoo.
//
// An address is written as a whole, empty parts too. A contact field that is
// empty in row is left alone, so that a guest's next order wipes nothing.
func (c *Connector) UpsertParty(ctx context.Context, row record.PartyRow) (string, error) {
	t, err := c.known.get(ctx, false)
	if err != nil {
		return "", err
	}
	where, err := c.places.get(ctx, false)
	if err != nil {
		return "", err
	}
	s, err := partySheet(t, where, row)
	if err != nil {
		return "", err
	}
	number, _, err := c.load(ctx, c.partyLoads, loadRow{write: row.Write, fields: s.fields, rows: [][]any{s.cells}})
	if err != nil {
		return "", err
	}
	return id(number), nil
}

// partySheet writes a party as one row of a load, in the columns that this
// server has.
func partySheet(t *terms, where *places, row record.PartyRow) (*sheet, error) {
	s := &sheet{}
	address(s, row.Write)
	name := text(row.Name)
	role := row.Role
	if role == "" {
		role = record.RoleContact
	}
	if name == "" && role == record.RoleContact {
		return nil, invalid("name", "a customer needs a name")
	}
	s.put("name", name)
	s.put("type", string(role))
	s.ref("parent_id", row.ParentID)
	s.given("email", row.Email)
	s.given("phone", row.Phone)
	s.given("vat", row.VAT)
	s.given("lang", where.language(row.Locale))
	if !row.IsCompany {
		s.given("company_name", row.Company)
	}
	if role == record.RoleContact {
		s.put("is_company", strconv.Itoa(map[bool]int{true: 1}[row.IsCompany]))
	}
	if err := s.address(where, row); err != nil {
		return nil, err
	}
	s.only(t.shape.partner)
	return s, s.err
}

// address puts the postal address, unless row has none.
func (s *sheet) address(where *places, row record.PartyRow) error {
	if row.Street+row.Street2+row.City+row.Zip+row.ProvinceCode+row.CountryCode == "" {
		return nil
	}
	country, state := "", ""
	if row.CountryCode != "" {
		n := where.country(row.CountryCode)
		if n == 0 {
			return fault.New(fault.Invalid, "odoo.unknown_country", "Odoo knows no country %q", text(row.CountryCode)).
				WithField("country_code").WithResolution("correct the address in the shop, or add the country in Odoo").WithFamily(row.CountryCode)
		}
		country = id(n)
	}
	// A state that Odoo doesn't have is left out: shops know more provinces
	// than Odoo has states, and the rest of the address finds its way.
	if n := where.state(row.CountryCode, row.ProvinceCode); n != 0 {
		state = id(n)
	}
	s.put("street", text(row.Street))
	s.put("street2", text(row.Street2))
	s.put("city", text(row.City))
	s.put("zip", text(row.Zip))
	s.put("state_id/.id", state)
	s.put("country_id/.id", country)
	return nil
}

// only keeps the columns that the server has and lets the bot write, and the
// record's address.
func (s *sheet) only(known map[string]rpc.Field) {
	kept := sheet{err: s.err}
	for i, field := range s.fields {
		f, ok := known[head(field)]
		if field == "id" || field == ".id" || ok && !f.ReadOnly {
			kept.fields, kept.cells = append(kept.fields, field), append(kept.cells, s.cells[i])
		}
	}
	*s = kept
}

// UpsertProduct makes a product, a placeholder or one from the shop, and gives
// its id. A known product (row.ID) keeps its type: changing it would stop
// deliveries of goods (odoo-facts section 7).
func (c *Connector) UpsertProduct(ctx context.Context, row record.ProductRow) (string, error) {
	if _, err := c.known.get(ctx, false); err != nil {
		return "", err
	}
	s := &sheet{}
	address(s, row.Write)
	name := or(text(row.Name), text(row.SKU))
	if name == "" {
		return "", invalid("name", "a product needs a name")
	}
	s.put("name", name)
	s.given("default_code", row.SKU)
	s.given("barcode", row.Barcode)
	if row.ID == "" {
		kind := "consu"
		if row.Service {
			kind = "service"
		}
		s.put("type", kind)
	}
	if s.err != nil {
		return "", s.err
	}
	number, _, err := c.load(ctx, c.productLoads, loadRow{write: row.Write, fields: s.fields, rows: [][]any{s.cells}})
	if err != nil {
		return "", err
	}
	return id(number), nil
}
