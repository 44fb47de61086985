package simulator

import (
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/shopify/simulator/internal/graph"
)

type object = graph.Object

// orderObject is an order as the Admin API shows it.
func (s *Shop) orderObject(o *Order) *object {
	original, current := o.Original(), o.Current()
	money := o.bag
	f := fields{
		"id": gid("Order", o.ID), "legacyResourceId": itoa(o.ID), "name": o.Name(), "number": o.Number,
		"createdAt": utc(o.CreatedAt), "processedAt": utc(o.CreatedAt), "updatedAt": utc(o.UpdatedAt),
		"cancelledAt": nil, "cancelReason": nil, "cancellation": nil, "closed": false, "closedAt": nil,
		"confirmed": true, "edited": o.Edited, "test": o.Test,
		"currencyCode": o.Currency, "presentmentCurrencyCode": o.Presentment,
		"taxesIncluded": o.TaxesIncluded, "taxExempt": o.TaxExempt, "estimatedTaxes": false, "dutiesIncluded": false,
		"email": orNull(o.Email), "phone": orNull(o.Phone), "customerLocale": "en", "note": orNull(o.Note), "tags": texts(o.Tags),
		"displayFinancialStatus":   strings.ToUpper(string(o.Financial)),
		"displayFulfillmentStatus": "UNFULFILLED",
		"fullyPaid":                o.Financial == Paid, "unpaid": o.Financial == Pending,
		"paymentGatewayNames": []string{o.Gateway}, "sourceName": "web", "poNumber": nil,
		"customAttributes": []any{}, "discountCode": nil, "discountCodes": o.codes(),
		"billingAddress": addressObject(o.Billing), "shippingAddress": addressObject(o.Shipping),
		"customer": customerObject(o.Customer), "purchasingEntity": o.purchasing(),

		"subtotalPriceSet": money(original.Subtotal), "totalPriceSet": money(original.Total),
		"originalTotalPriceSet": money(original.Total),
		"totalTaxSet":           money(original.Tax), "totalDiscountsSet": money(original.Discounts),
		"totalShippingPriceSet": money(original.Shipping), "totalTipReceivedSet": money(original.Tip),
		"currentSubtotalPriceSet": money(current.Subtotal), "currentTotalPriceSet": money(current.Total),
		"currentTotalTaxSet": money(current.Tax), "currentTotalDiscountsSet": money(current.Discounts),
		"currentShippingPriceSet": money(current.Shipping), "totalOutstandingSet": money(o.outstanding()),
		"totalReceivedSet": money(o.received()), "totalRefundedSet": money(o.refunded()), "netPaymentSet": money(o.received().Sub(o.refunded())),
		"currentTotalDutiesSet": nil, "originalTotalDutiesSet": nil,
		"currentTotalAdditionalFeesSet": nil, "originalTotalAdditionalFeesSet": nil,
		"taxLines": o.taxObjects(original.Taxes), "currentTaxLines": o.taxObjects(current.Taxes),

		"lineItems":            pager("LineItem", o.Lines, func(l Line) int64 { return l.ID }, o.lineObject),
		"shippingLines":        pager("ShippingLine", o.ShippingLines, func(l ShippingLine) int64 { return l.ID }, o.shippingObject),
		"shippingLine":         nil,
		"discountApplications": o.discountPager(),
		"additionalFees":       []any{}, "refunds": o.refundObjects(), "fulfillments": []any{}, "transactions": []any{},
		"returns": pager("Return", nil, func(int64) int64 { return 0 }, func(int64) *object { return nil }),
	}
	if o.CancelledAt != nil {
		f["cancelledAt"], f["cancelReason"] = utc(*o.CancelledAt), strings.ToUpper(o.CancelReason)
		f["cancellation"] = &object{Type: "OrderCancellation", Fields: fields{"staffNote": nil}}
	}
	if len(o.ShippingLines) > 0 {
		f["shippingLine"] = o.shippingObject(o.ShippingLines[0])
	}
	return &object{Type: "Order", Implements: []string{"Node", "LegacyInteroperability"}, Fields: f}
}

// received is what buyers paid in, refunded what they got back.
func (o *Order) received() decimal.Decimal {
	if o.Financial != Pending && o.Financial != Voided {
		return decimal.Max(o.Original().Total, o.Current().Total)
	}
	return decimal.Zero
}

func (o *Order) refunded() decimal.Decimal {
	switch o.Financial {
	case Refunded:
		return o.received()
	case Partly:
		return o.received().Sub(o.Current().Total)
	}
	return decimal.Zero
}

func (o *Order) refundObjects() []*object {
	list := make([]*object, len(o.Refunds))
	for i, r := range o.Refunds {
		list[i] = &object{Type: "Refund", Implements: []string{"Node", "LegacyInteroperability"}, Fields: fields{
			"id": gid("Refund", r.ID), "legacyResourceId": itoa(r.ID), "createdAt": utc(r.CreatedAt), "updatedAt": utc(r.CreatedAt), "note": nil,
			"refundLineItems": pager("RefundLineItem", r.Lines, func(l RefundLine) int64 { return l.ID }, o.refundLineObject),
		}}
	}
	return list
}

func (o *Order) refundLineObject(r RefundLine) *object {
	f := fields{
		"id": gid("RefundLineItem", r.ID), "quantity": r.Quantity, "restocked": false, "restockType": "NO_RESTOCK",
		"subtotalSet": o.bag(r.Subtotal), "totalTaxSet": o.bag(r.Tax), "lineItem": nil, "location": nil,
	}
	for _, l := range o.Lines {
		if l.ID == r.LineID {
			f["lineItem"] = o.lineObject(l)
		}
	}
	return &object{Type: "RefundLineItem", Fields: f}
}

func (o *Order) lineObject(l Line) *object {
	gross, net := l.gross(l.Ordered), o.net(l, l.Ordered)
	f := fields{
		"id": gid("LineItem", l.ID), "title": l.Variant.Title, "name": l.Variant.Title, "variantTitle": nil,
		"sku": orNull(l.Variant.SKU), "vendor": orNull(l.Variant.Vendor),
		"quantity": l.Ordered, "currentQuantity": l.Current, "refundableQuantity": l.Current,
		"unfulfilledQuantity": l.Current, "nonFulfillableQuantity": l.Ordered - l.Current,
		"taxable": len(l.Taxes) > 0, "requiresShipping": !l.Tip, "isGiftCard": false, "restockable": !l.Tip,
		"originalUnitPriceSet": o.bag(l.Price), "originalTotalSet": o.bag(gross),
		"discountedTotalSet": o.bag(gross.Sub(o.ownDiscount(l))), "totalDiscountSet": o.bag(o.ownDiscount(l)),
		"discountedUnitPriceAfterAllDiscountsSet": o.bag(round(net.Div(decimal.NewFromInt(int64(max(1, l.Ordered)))), o.Currency)),
		"discountAllocations":                     o.allocationObjects(l.Discounts),
		"taxLines":                                graph.Resolver(func(graph.Args) (any, error) { return o.taxObjects(o.taxes(net, l.Taxes)), nil }),
		"duties":                                  []any{}, "customAttributes": []any{}, "product": nil, "variant": nil,
	}
	if v := l.Variant; v.ID != 0 {
		product := &object{Type: "Product", Implements: []string{"Node"}, Fields: fields{
			"id": gid("Product", v.ProductID), "legacyResourceId": itoa(v.ProductID), "title": v.Title, "vendor": v.Vendor,
		}}
		f["product"] = product
		f["variant"] = &object{Type: "ProductVariant", Implements: []string{"Node"}, Fields: fields{
			"id": gid("ProductVariant", v.ID), "legacyResourceId": itoa(v.ID), "sku": orNull(v.SKU), "barcode": orNull(v.Barcode),
			"title": "Default Title", "displayName": v.Title, "price": o.text(v.Price), "taxable": true, "product": product,
		}}
	}
	return &object{Type: "LineItem", Implements: []string{"Node"}, Fields: f}
}

func (o *Order) shippingObject(s ShippingLine) *object {
	return &object{Type: "ShippingLine", Fields: fields{
		"id": gid("ShippingLine", s.ID), "title": s.Title, "code": s.Code, "source": "shopify", "carrierIdentifier": nil,
		"custom": false, "isRemoved": false, "phone": nil, "deliveryCategory": nil, "shippingRateHandle": nil,
		"originalPriceSet": o.bag(s.Price), "discountedPriceSet": o.bag(s.net()), "currentDiscountedPriceSet": o.bag(s.net()),
		"discountAllocations": o.allocationObjects(s.Discounts), "taxLines": o.taxObjects(o.taxes(s.net(), s.Taxes)),
	}}
}

func (o *Order) taxObjects(taxes []TaxAmount) []*object {
	list := make([]*object, len(taxes))
	for i, t := range taxes {
		list[i] = &object{Type: "TaxLine", Fields: fields{
			"title": t.Title, "rate": number(t.Rate), "ratePercentage": number(t.Rate.Shift(2)),
			"channelLiable": false, "source": "shopify", "priceSet": o.bag(t.Amount), "price": o.text(t.Amount),
		}}
	}
	return list
}

func (o *Order) allocationObjects(allocations []Allocation) []*object {
	list := make([]*object, len(allocations))
	for i, a := range allocations {
		list[i] = &object{Type: "DiscountAllocation", Fields: fields{
			"allocatedAmountSet": o.bag(a.Amount), "discountApplication": o.discountObject(a.Discount),
		}}
	}
	return list
}

func (o *Order) discountPager() graph.Resolver {
	indexes := make([]int64, len(o.Discounts))
	for i := range indexes {
		indexes[i] = int64(i)
	}
	return pager("DiscountApplication", indexes, func(i int64) int64 { return i },
		func(i int64) *object { return o.discountObject(int(i)) })
}

func (o *Order) discountObject(index int) *object {
	d := o.Discounts[index]
	f := fields{
		"index": index, "allocationMethod": strings.ToUpper(d.method()), "targetSelection": strings.ToUpper(d.selection()),
		"targetType": strings.ToUpper(d.target()), "value": o.money(o.text(d.Amount), o.Currency, "PricingValue"),
	}
	kind := "AutomaticDiscountApplication"
	switch d.Kind {
	case "discount_code":
		kind, f["code"] = "DiscountCodeApplication", d.Title
	case "manual":
		kind, f["title"], f["description"] = "ManualDiscountApplication", d.Title, nil
	default:
		f["title"] = d.Title
	}
	return &object{Type: kind, Implements: []string{"DiscountApplication"}, Fields: f}
}

func (o *Order) codes() []string {
	codes := []string{}
	for _, d := range o.Discounts {
		if d.Kind == "discount_code" {
			codes = append(codes, d.Title)
		}
	}
	return codes
}

// bag is an amount in the shop's and in the buyer's currency.
func (o *Order) bag(amount decimal.Decimal) *object {
	return &object{Type: "MoneyBag", Fields: fields{
		"shopMoney":        o.money(o.text(amount), o.Currency),
		"presentmentMoney": o.money(o.presented(amount), o.Presentment),
	}}
}

func (o *Order) money(amount, currency string, implements ...string) *object {
	return &object{Type: "MoneyV2", Implements: implements, Fields: fields{"amount": amount, "currencyCode": currency}}
}

func customerObject(c *Customer) *object {
	if c == nil {
		return nil
	}
	f := fields{
		"id": gid("Customer", c.ID), "legacyResourceId": itoa(c.ID), "firstName": orNull(c.FirstName), "lastName": orNull(c.LastName),
		"displayName": c.Name(), "email": orNull(c.Email), "phone": orNull(c.Phone), "locale": c.locale(), "note": nil, "tags": []string{},
		"state": "ENABLED", "taxExempt": c.TaxExempt, "verifiedEmail": true,
		"createdAt": utc(c.CreatedAt), "updatedAt": utc(c.CreatedAt), "defaultAddress": addressObject(c.Address),
		"defaultEmailAddress": nil, "defaultPhoneNumber": nil,
	}
	if c.Email != "" {
		f["defaultEmailAddress"] = &object{Type: "CustomerEmailAddress", Fields: fields{"emailAddress": c.Email, "validFormat": true}}
	}
	if c.Phone != "" {
		f["defaultPhoneNumber"] = &object{Type: "CustomerPhoneNumber", Fields: fields{"phoneNumber": c.Phone}}
	}
	return &object{Type: "Customer", Implements: []string{"Node", "PurchasingEntity", "LegacyInteroperability"}, Fields: f}
}

func (c Customer) locale() string {
	if c.Locale == "" {
		return "en"
	}
	return c.Locale
}

// purchasing is who buys: a company, a customer, or nobody known.
func (o *Order) purchasing() *object {
	if o.Company == nil {
		return customerObject(o.Customer)
	}
	company := &object{Type: "Company", Implements: []string{"Node"}, Fields: fields{
		"id": gid("Company", o.Company.ID), "name": o.Company.Name, "externalId": orNull(o.Company.ExternalID), "note": nil,
	}}
	contact := customerObject(o.Customer)
	f := fields{
		"company": company, "contact": nil,
		"location": &object{Type: "CompanyLocation", Implements: []string{"Node"}, Fields: fields{
			"id": gid("CompanyLocation", o.Company.LocationID), "name": o.Company.Location, "externalId": nil,
			"company": company, "phone": nil,
		}},
	}
	if contact != nil {
		f["contact"] = &object{Type: "CompanyContact", Implements: []string{"Node"}, Fields: fields{
			"id": gid("CompanyContact", o.Customer.ID), "customer": contact, "company": company, "isMainContact": true, "title": nil, "locale": nil,
		}}
	}
	return &object{Type: "PurchasingCompany", Implements: []string{"PurchasingEntity"}, Fields: f}
}

func addressObject(a *Address) *object {
	if a == nil {
		return nil
	}
	return &object{Type: "MailingAddress", Implements: []string{"Node"}, Fields: fields{
		"id": gid("MailingAddress", a.ID), "firstName": orNull(a.FirstName), "lastName": orNull(a.LastName), "name": a.Name(),
		"company": orNull(a.Company), "address1": orNull(a.Address1), "address2": orNull(a.Address2), "city": orNull(a.City),
		"zip": orNull(a.Zip), "province": orNull(a.Province), "provinceCode": orNull(a.ProvinceCode),
		"country": orNull(a.Country), "countryCodeV2": orNull(a.CountryCode), "phone": orNull(a.Phone),
		"latitude": nil, "longitude": nil, "coordinatesValidated": false, "timeZone": nil,
	}}
}

// pager is a connection over a list whose members are ordered by id.
func pager[T any](kind string, list []T, id func(T) int64, shape func(T) *object) graph.Resolver {
	return func(args graph.Args) (any, error) {
		items := make([]graph.Item, len(list))
		for i, v := range list {
			items[i] = graph.Item{Key: sortable(id(v)), Node: func() *object { return shape(v) }}
		}
		return graph.Page(kind, items, args)
	}
}

// sortable is an id as text that sorts like the number.
func sortable(id int64) string {
	s := itoa(id)
	return strings.Repeat("0", 20-len(s)) + s
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// utc is a time as GraphQL prints it.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
