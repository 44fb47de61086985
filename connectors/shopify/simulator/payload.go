package simulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Webhook bodies have the shapes of the old REST API, also for GraphQL apps.

type fields = map[string]any

func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("simulator: a payload that JSON cannot hold: %v", err))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func (l *Ledger) orderPayload(o *Order) fields {
	p := fields{
		"id": o.ID, "admin_graphql_api_id": gid("Order", o.ID), "name": o.Name(),
		"number": o.Number - 1000, "order_number": o.Number, "token": token("order", o.ID),
		"app_id": 580111, "user_id": nil, "location_id": nil, "device_id": nil, "source_name": "web",
		"source_identifier": nil, "source_url": nil, "browser_ip": nil, "client_details": nil,
		"cart_token": nil, "checkout_token": token("checkout", o.ID), "checkout_id": nil,
		"confirmation_number": strings.ToUpper(token("confirmation", o.ID)[:9]), "confirmed": true,
		"order_status_url": "https://shop.example/orders/" + token("order", o.ID),
		"landing_site":     nil, "landing_site_ref": nil, "referring_site": nil, "reference": nil,
		"created_at": l.time(o.CreatedAt), "processed_at": l.time(o.CreatedAt), "updated_at": l.time(o.UpdatedAt),
		"closed_at": nil, "cancelled_at": nil, "cancel_reason": nil,
		"test": o.Test, "currency": o.Currency, "presentment_currency": o.Presentment,
		"financial_status": o.Financial, "fulfillment_status": nil, "payment_terms": nil,
		"payment_gateway_names": []string{o.Gateway}, "po_number": nil,
		"taxes_included": o.TaxesIncluded, "tax_exempt": o.TaxExempt, "estimated_taxes": false, "duties_included": false,
		"email": o.Email, "contact_email": o.Email, "phone": orNull(o.Phone), "customer_locale": "en",
		"buyer_accepts_marketing": false, "note": orNull(o.Note), "note_attributes": []any{},
		"tags": strings.Join(o.Tags, ", "), "merchant_business_entity_id": "MTU0ODM4MDAwOQ", "merchant_of_record_app_id": nil,
		"customer": nil, "company": nil, "billing_address": nil, "shipping_address": nil,
		"fulfillments": []any{}, "returns": []any{}, "line_item_groups": []any{},
		"total_weight": 0,
	}
	if o.CancelledAt != nil {
		p["cancelled_at"], p["cancel_reason"] = l.time(*o.CancelledAt), o.CancelReason
	}
	if o.Customer != nil {
		p["customer"] = l.customerPayload(o)
	}
	if o.Company != nil {
		p["company"] = fields{"id": o.Company.ID, "location_id": o.Company.LocationID}
	}
	if o.Billing != nil {
		p["billing_address"] = addressPayload(*o.Billing)
	}
	if o.Shipping != nil {
		p["shipping_address"] = addressPayload(*o.Shipping)
	}
	p["line_items"] = each(o.Lines, o.linePayload)
	p["refunds"] = each(o.Refunds, l.refundPayload(o))
	p["shipping_lines"] = each(o.ShippingLines, o.shippingPayload)
	o.discountPayload(p)
	o.totalsPayload(p)
	return p
}

// totalsPayload tells each sum as text and as a set of shop and buyer money.
func (o *Order) totalsPayload(p fields) {
	original, current := o.Original(), o.Current()
	both := func(name string, amount decimal.Decimal) {
		p[name], p[name+"_set"] = o.text(amount), o.moneySet(amount)
	}
	both("total_line_items_price", original.Goods)
	both("total_discounts", original.Discounts)
	both("subtotal_price", original.Subtotal)
	both("total_tax", original.Tax)
	both("total_price", original.Total)
	both("current_total_discounts", current.Discounts)
	both("current_subtotal_price", current.Subtotal)
	both("current_total_tax", current.Tax)
	both("current_total_price", current.Total)
	p["total_shipping_price_set"] = o.moneySet(original.Shipping)
	p["current_shipping_price_set"] = o.moneySet(current.Shipping)
	p["total_tip_received"] = o.text(original.Tip)
	p["total_outstanding"] = o.text(o.outstanding())
	p["tax_lines"] = each(original.Taxes, o.taxPayload)
	for _, none := range []string{
		"current_total_duties_set", "original_total_duties_set",
		"current_total_additional_fees_set", "original_total_additional_fees_set",
	} {
		p[none] = nil
	}
	p["total_cash_rounding_payment_adjustment_set"] = o.moneySet(decimal.Zero)
	p["total_cash_rounding_refund_adjustment_set"] = o.moneySet(decimal.Zero)
}

func (o *Order) outstanding() decimal.Decimal {
	if o.Financial == Pending {
		return o.Current().Total
	}
	return decimal.Zero
}

func (o *Order) linePayload(l Line) fields {
	p := fields{
		"id": l.ID, "admin_graphql_api_id": gid("LineItem", l.ID), "title": l.Variant.Title, "name": l.Variant.Title,
		"sku": l.Variant.SKU, "vendor": orNull(l.Variant.Vendor), "variant_title": nil, "variant_inventory_management": nil,
		"product_id": idOrNull(l.Variant.ProductID), "variant_id": idOrNull(l.Variant.ID),
		"product_exists": l.Variant.ProductID != 0,
		"quantity":       l.Ordered, "current_quantity": l.Current, "fulfillable_quantity": l.Current,
		"price": o.text(l.Price), "price_set": o.moneySet(l.Price),
		"fulfillment_service": "manual", "fulfillment_status": nil, "requires_shipping": !l.Tip, "gift_card": false,
		"grams": 0, "taxable": len(l.Taxes) > 0, "properties": []any{}, "duties": []any{}, "attributed_staffs": []any{},
		"sales_line_item_group_id": nil,
		"discount_allocations":     each(l.Discounts, o.allocationPayload),
		"tax_lines":                each(o.taxes(o.net(l, l.Ordered), l.Taxes), o.taxPayload),
	}
	own := o.ownDiscount(l)
	p["total_discount"], p["total_discount_set"] = o.text(own), o.moneySet(own)
	if l.Tip {
		p["tip_payment_gateway"], p["tip_payment_method"] = o.Gateway, "Visa"
	}
	return p
}

// ownDiscount is what was taken off the line itself. A code's share of the
// order is told by the allocations alone.
func (o *Order) ownDiscount(l Line) decimal.Decimal {
	own := decimal.Zero
	for _, a := range l.Discounts {
		if !o.Discounts[a.Discount].Across {
			own = own.Add(a.Amount)
		}
	}
	return own
}

func (o *Order) shippingPayload(s ShippingLine) fields {
	return fields{
		"id": s.ID, "title": s.Title, "code": s.Code, "source": "shopify", "carrier_identifier": nil, "phone": nil,
		"requested_fulfillment_service_id": nil, "is_removed": false,
		"price": o.text(s.Price), "price_set": o.moneySet(s.Price),
		"discounted_price": o.text(s.net()), "discounted_price_set": o.moneySet(s.net()),
		"current_discounted_price_set": o.moneySet(s.net()),
		"discount_allocations":         each(s.Discounts, o.allocationPayload),
		"tax_lines":                    each(o.taxes(s.net(), s.Taxes), o.taxPayload),
	}
}

func (l *Ledger) refundPayload(o *Order) func(Refund) fields {
	return func(r Refund) fields {
		return fields{
			"id": r.ID, "admin_graphql_api_id": gid("Refund", r.ID), "order_id": o.ID, "user_id": nil, "note": nil, "restock": false,
			"created_at": l.time(r.CreatedAt), "processed_at": l.time(r.CreatedAt),
			"transactions": []any{}, "order_adjustments": []any{}, "duties": []any{},
			"refund_line_items": each(r.Lines, func(line RefundLine) fields {
				return fields{
					"id": line.ID, "line_item_id": line.LineID, "location_id": nil, "quantity": line.Quantity, "restock_type": "no_restock",
					"subtotal": number(line.Subtotal), "subtotal_set": o.moneySet(line.Subtotal),
					"total_tax": number(line.Tax), "total_tax_set": o.moneySet(line.Tax),
				}
			}),
		}
	}
}

func (o *Order) taxPayload(t TaxAmount) fields {
	return fields{
		"title": t.Title, "rate": number(t.Rate), "channel_liable": false,
		"price": o.text(t.Amount), "price_set": o.moneySet(t.Amount),
	}
}

func (o *Order) allocationPayload(a Allocation) fields {
	return fields{
		"amount": o.text(a.Amount), "amount_set": o.moneySet(a.Amount), "discount_application_index": a.Discount,
	}
}

func (o *Order) discountPayload(p fields) {
	codes, applications := []any{}, []any{}
	for _, d := range o.Discounts {
		a := fields{
			"type": d.Kind, "value": o.text(d.Amount), "value_type": "fixed_amount",
			"allocation_method": d.method(), "target_selection": d.selection(), "target_type": d.target(),
		}
		if d.Kind == "discount_code" {
			a["code"] = d.Title
			codes = append(codes, fields{"code": d.Title, "amount": o.text(d.Amount), "type": "fixed_amount"})
		} else {
			a["title"], a["description"] = d.Title, d.Title
		}
		applications = append(applications, a)
	}
	p["discount_codes"], p["discount_applications"] = codes, applications
}

func (d Discount) method() string {
	if d.Across {
		return "across"
	}
	return "one"
}

func (d Discount) selection() string {
	if d.Kind == "manual" {
		return "explicit"
	}
	return "all"
}

func (d Discount) target() string {
	if d.Shipping {
		return "shipping_line"
	}
	return "line_item"
}

func (l *Ledger) customerPayload(o *Order) fields {
	c := *o.Customer
	p := fields{
		"id": c.ID, "admin_graphql_api_id": gid("Customer", c.ID), "first_name": c.FirstName, "last_name": c.LastName,
		"email": c.Email, "phone": orNull(c.Phone), "note": nil, "state": "enabled", "verified_email": true,
		"multipass_identifier": nil, "tax_exempt": c.TaxExempt, "tax_exemptions": []any{}, "tags": "", "currency": o.Currency,
		"created_at": l.time(c.CreatedAt), "updated_at": l.time(o.UpdatedAt),
		"email_marketing_consent": fields{"state": "not_subscribed", "opt_in_level": "single_opt_in", "consent_updated_at": nil},
		"sms_marketing_consent":   nil,
	}
	if c.Address != nil {
		a := addressPayload(*c.Address)
		delete(a, "latitude")
		delete(a, "longitude")
		a["id"], a["customer_id"], a["default"], a["country_name"] = c.Address.ID, c.ID, true, c.Address.Country
		p["default_address"] = a
	}
	return p
}

func addressPayload(a Address) fields {
	return fields{
		"first_name": a.FirstName, "last_name": a.LastName, "name": a.Name(), "company": orNull(a.Company),
		"address1": a.Address1, "address2": orNull(a.Address2), "city": a.City, "zip": a.Zip,
		"province": a.Province, "province_code": a.ProvinceCode, "country": a.Country, "country_code": a.CountryCode,
		"phone": a.Phone, "latitude": nil, "longitude": nil,
	}
}

func (l *Ledger) editPayload(before, after *Order) fields {
	was := map[int64]int{}
	for _, line := range before.Lines {
		was[line.ID] = line.Current
	}
	additions, removals := []any{}, []any{}
	for _, line := range after.Lines {
		switch delta := line.Current - was[line.ID]; {
		case delta > 0:
			additions = append(additions, fields{"id": line.ID, "delta": delta})
		case delta < 0:
			removals = append(removals, fields{"id": line.ID, "delta": -delta})
		}
	}
	none := fields{"additions": []any{}, "removals": []any{}}
	return fields{"order_edit": fields{
		"id": after.ChangedAt.UnixMicro(), "order_id": after.ID, "app_id": nil, "user_id": nil,
		"notify_customer": false, "staff_note": "",
		"created_at": l.time(after.ChangedAt), "committed_at": l.time(after.ChangedAt),
		"line_items":     fields{"additions": additions, "removals": removals},
		"discounts":      fields{"line_item": none},
		"shipping_lines": none,
	}}
}

// Name is what people call the order: "#1001".
func (o *Order) Name() string { return fmt.Sprintf("#%d", o.Number) }

func (o *Order) text(amount decimal.Decimal) string { return text(amount, o.Currency) }

func (o *Order) moneySet(amount decimal.Decimal) fields {
	return fields{
		"shop_money":        fields{"amount": o.text(amount), "currency_code": o.Currency},
		"presentment_money": fields{"amount": o.presented(amount), "currency_code": o.Presentment},
	}
}

// presented is the amount as the buyer saw it.
func (o *Order) presented(amount decimal.Decimal) string {
	return text(round(amount.Mul(o.Rate), o.Presentment), o.Presentment)
}

// time prints a time as webhooks do: whole seconds in the shop's own zone.
func (l *Ledger) time(t time.Time) string { return t.In(l.zone).Format(time.RFC3339) }

func gid(kind string, id int64) string { return fmt.Sprintf("gid://shopify/%s/%d", kind, id) }

// token is a secret-looking name of a thing, always the same for the same thing.
func token(kind string, id int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", kind, id))
	return hex.EncodeToString(sum[:16])
}

// number is a decimal as a JSON number, never through a float.
func number(d decimal.Decimal) json.Number { return json.Number(d.String()) }

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func idOrNull(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

func each[T any](list []T, shape func(T) fields) []any {
	shaped := make([]any, len(list))
	for i, v := range list {
		shaped[i] = shape(v)
	}
	return shaped
}
