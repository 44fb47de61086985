package shopify

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// DecodeOrder turns the body of a webhook into a canonical order: the package
// documentation says what its lines add up to. Of orders/delete only the id is
// known. orders/edited tells what changed but not the order: that is a fault
// of kind Unsupported, and the order is to be read. Anything unreadable is a
// fault shopify.bad_body of kind Invalid that names the field.
func (c *Connector) DecodeOrder(topic string, raw []byte) (record.Order, error) {
	switch {
	case topic == topicDelete:
		return decodeDeleted(raw)
	case !wholeOrder(topic):
		return record.Order{}, fault.New(fault.Unsupported, "shopify.not_an_order", "webhooks of this topic do not hold the whole order").
			WithFamily(topic).WithResolution("the order is read from the shop instead")
	}
	var p orderPayload
	if err := decodeJSON(raw, &p); err != nil {
		return record.Order{}, err
	}
	return c.build(p, time.Time{})
}

func decodeDeleted(raw []byte) (record.Order, error) {
	var body struct {
		ID scalar `json:"id"`
	}
	if err := decodeJSON(raw, &body); err != nil {
		return record.Order{}, err
	}
	var r reader
	order := record.Order{ExternalID: r.id("id", body.ID), Deleted: true}
	if r.err != nil {
		return record.Order{}, r.err
	}
	return order, nil
}

// build makes the canonical order. readAt breaks ties between versions of the
// same second: when the shop answered, for orders that were read; zero for
// delivered ones, whose event carries the tie-break.
func (c *Connector) build(p orderPayload, readAt time.Time) (record.Order, error) {
	r := &reader{money: c.config.Money, currency: p.Currency}
	if c.config.Money == moneyPresentment {
		r.currency = p.Presentment
	}
	order := r.header(p, readAt)
	order.Billing = r.address("billing_address", p.Billing)
	order.Delivery = r.address("shipping_address", p.Delivery)
	order.Customer = r.customer(p, order)
	order.Lines = r.lines(p)
	order.Total = r.amount(place{}, "current_total_price_set", p.CurrentTotal, "")
	order.TotalTax, _ = r.optionalAmount(place{}, "current_total_tax_set", p.CurrentTax, "")
	if r.err != nil {
		return record.Order{}, r.err
	}
	return order, nil
}

func (r *reader) header(p orderPayload, readAt time.Time) record.Order {
	if !currencies[r.currency] {
		r.fail("currency", "holds no known currency")
	}
	updated := r.time("updated_at", p.UpdatedAt)
	order := record.Order{
		ExternalID:    r.id("id", p.ID),
		Name:          r.text(place{}, "name", p.Name),
		Version:       record.NewVersion(updated, readAt),
		CreatedAt:     r.time("created_at", p.CreatedAt),
		UpdatedAt:     updated,
		CancelReason:  strings.ToLower(r.text(place{}, "cancel_reason", p.CancelReason)),
		Test:          p.Test,
		PaymentStatus: record.PaymentStatus(strings.ToLower(r.text(place{}, "financial_status", p.FinancialStatus))),
		Currency:      r.currency,
		TaxesIncluded: p.TaxesIncluded,
		TaxExempt:     p.TaxExempt,
		Email:         r.text(place{}, "email", cmp.Or(p.Email, p.ContactEmail)),
		Phone:         r.text(place{}, "phone", p.Phone),
		Note:          r.text(place{}, "note", p.Note),
		Tags:          r.tags(p.Tags),
	}
	if cancelled := r.optionalTime("cancelled_at", p.CancelledAt); !cancelled.IsZero() {
		order.CancelledAt = &cancelled
	}
	return order
}

// tags come in any order; sorted, equal sets are equal.
func (r *reader) tags(raw tagList) []string {
	var tags []string
	for _, t := range raw {
		if t = r.text(place{}, "tags", t); t != "" {
			tags = append(tags, t)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// customer is nil for guests: the shop then knows an e-mail address only. In
// business-to-business orders the company is the customer, whoever of its
// people ordered.
func (r *reader) customer(p orderPayload, order record.Order) *record.Party {
	if p.Customer == nil {
		return nil
	}
	const at = "customer."
	email, phone := p.Customer.Email, p.Customer.Phone
	if p.Customer.DefaultEmail != nil {
		email = p.Customer.DefaultEmail.Address
	}
	if p.Customer.DefaultPhone != nil {
		phone = p.Customer.DefaultPhone.Number
	}
	party := &record.Party{
		ExternalID: r.id(at+"id", p.Customer.ID),
		Name:       r.fullName("customer", p.Customer.FirstName, p.Customer.LastName),
		Email:      r.text(place{}, at+"email", email),
		Phone:      r.text(place{}, at+"phone", phone),
		Locale:     r.text(place{}, "customer_locale", p.Locale),
	}
	for _, a := range []*record.Address{order.Billing, order.Delivery} {
		if a != nil {
			party.Name = cmp.Or(party.Name, a.Name)
		}
	}
	party.Name = cmp.Or(party.Name, party.Email)
	if company := p.company(); company != nil {
		party.IsCompany = true
		party.ExternalID = "company-" + r.id("company.id", company.ID)
		if order.Billing != nil {
			party.Name = cmp.Or(order.Billing.Company, party.Name)
		}
	}
	return party
}

func (p orderPayload) company() *companyPayload {
	if p.Purchasing != nil {
		return p.Purchasing.Company
	}
	return p.Company
}

func (r *reader) fullName(at, first, last string) string {
	first = r.text(place{}, at+".first_name", first)
	last = r.text(place{}, at+".last_name", last)
	return strings.TrimSpace(first + " " + last)
}

// address is nil when nothing is filled in.
func (r *reader) address(at string, p *addressPayload) *record.Address {
	if p == nil {
		return nil
	}
	text := func(name, s string) string { return r.text(place{}, at+"."+name, s) }
	a := record.Address{
		Name:         cmp.Or(text("name", p.Name), r.fullName(at, p.FirstName, p.LastName)),
		Company:      text("company", p.Company),
		Street:       text("address1", p.Address1),
		Street2:      text("address2", p.Address2),
		City:         text("city", p.City),
		Zip:          text("zip", p.Zip),
		ProvinceCode: text("province_code", p.ProvinceCode),
		CountryCode:  strings.ToUpper(text("country_code", p.CountryCode)),
		Phone:        text("phone", p.Phone),
	}
	if a == (record.Address{}) {
		return nil
	}
	return &a
}
