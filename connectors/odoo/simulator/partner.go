package simulator

import (
	"net/mail"
	"strings"
)

// partnerRules are those of customers and their addresses.
func partnerRules(m *model) {
	m.computed["complete_name"] = partnerName
	m.computed["display_name"] = partnerName
	m.recName = "complete_name"
	m.computed["email_normalized"] = func(t *tx, r *record) any { return normalizedEmail(t.text(r, "email")) }
	m.computed["commercial_partner_id"] = func(t *tx, r *record) any { return commercial(t, r).id }
	m.computed["company_type"] = func(t *tx, r *record) any {
		if t.flag(r, "is_company") {
			return "company"
		}
		return "person"
	}
	m.computed["country_code"] = through("country_id", "code")
	m.computed["property_product_pricelist"] = func(t *tx, r *record) any { return firstPriceList(t) }
	m.computed["commercial_company_name"] = func(t *tx, r *record) any {
		if c := commercial(t, r); t.flag(c, "is_company") {
			return t.get(c, "name")
		}
		return t.get(r, "company_name")
	}
	m.filled = []filling{
		{"active", fixed(true)},
		{"type", fixed("contact")},
		{"lang", func(t *tx, r *record) any { return "en_US" }},
		{"autopost_bills", fixed("ask")},
		{"is_company", fixed(false)},
	}
	m.written = func(t *tx, r *record, given map[string]bool, created bool) {
		if t.text(r, "type") == "contact" && t.text(r, "name") == "" {
			raise(&exception{name: "psycopg2.errors.CheckViolation", kind: checkConstraint, table: "res.partner", message: "Contacts require a name"})
		}
	}
	m.unlinking = func(t *tx, r *record) {
		for _, role := range []string{"partner_id", "partner_invoice_id", "partner_shipping_id"} {
			if len(t.model("sale.order").holding(role, r.id)) > 0 {
				raise(validationError("The operation cannot be completed: Another model is using the record you are trying to delete.\n\nThe troublemaker is: 'Sales Order' (sale.order)\nThanks to the following constraint: 'Customer' (partner_id)\nHow about archiving the record instead?"))
			}
		}
	}
}

var addressNames = map[string]string{"invoice": "Invoice", "delivery": "Delivery", "other": "Other"}

// partnerName is "Parent, Name", or the kind of address when it has no name.
func partnerName(t *tx, r *record) any {
	name := t.text(r, "name")
	parent := t.related(r, "parent_id")
	company := t.text(r, "company_name")
	if parent != nil || company != "" {
		if name == "" {
			name = addressNames[t.text(r, "type")]
		}
		if !t.flag(r, "is_company") {
			above := company
			if parent != nil {
				above = t.text(commercial(t, r), "name")
				if !t.flag(commercial(t, r), "is_company") {
					above = t.text(parent, "name")
				}
			}
			name = above + ", " + name
		}
	}
	if name = strings.TrimSpace(name); name == "" {
		return nil
	}
	return name
}

// commercial is the company that a contact belongs to, or the topmost person.
func commercial(t *tx, r *record) *record {
	for !t.flag(r, "is_company") {
		parent := t.related(r, "parent_id")
		if parent == nil {
			break
		}
		r = parent
	}
	return r
}

// normalizedEmail is the bare address in lower case, if there is exactly one.
func normalizedEmail(s string) any {
	s = strings.TrimSpace(s)
	address, err := mail.ParseAddress(s)
	if err != nil {
		return nil
	}
	return strings.ToLower(address.Address)
}

// addressFor finds the address of a kind below a customer, as address_get.
func addressFor(t *tx, r *record, kind string) int64 {
	found := r.id
	var visit func(*record) bool
	visit = func(p *record) bool {
		if t.text(p, "type") == kind {
			found = p.id
			return true
		}
		for _, child := range t.relatedMany(p, "child_ids") {
			if !t.flag(child, "is_company") && visit(child) {
				return true
			}
		}
		return false
	}
	for at := r; at != nil; at = t.related(at, "parent_id") {
		if visit(at) || t.flag(at, "is_company") {
			break
		}
	}
	return found
}

// userRules: a user's name and address are its partner's.
func userRules(m *model) {
	m.parent, m.parentField = "res.partner", "partner_id"
	m.own = map[string]bool{"id": true, "login": true, "partner_id": true, "company_id": true, "company_ids": true,
		"active": true, "group_ids": true, "groups_id": true, "create_date": true, "write_date": true, "create_uid": true, "write_uid": true}
	m.computed["display_name"] = func(t *tx, r *record) any { return t.get(r, "name") }
}
