package shopify

import (
	"bytes"
	"encoding/json"
	"strings"
)

// orderPayload is an order as webhooks carry it, and as the GraphQL documents
// of this package shape their answers by aliases. A comment marks the few
// fields that only one of them fills.
type orderPayload struct {
	ID              scalar  `json:"id"`
	Name            string  `json:"name"`
	CreatedAt       scalar  `json:"created_at"`
	UpdatedAt       scalar  `json:"updated_at"`
	CancelledAt     scalar  `json:"cancelled_at"`
	CancelReason    string  `json:"cancel_reason"`
	FinancialStatus string  `json:"financial_status"`
	Currency        string  `json:"currency"`
	Presentment     string  `json:"presentment_currency"`
	TaxesIncluded   bool    `json:"taxes_included"`
	TaxExempt       bool    `json:"tax_exempt"`
	DutiesIncluded  bool    `json:"duties_included"`
	Test            bool    `json:"test"`
	Note            string  `json:"note"`
	Tags            tagList `json:"tags"`

	Email        string           `json:"email"`
	ContactEmail string           `json:"contact_email"` // webhook
	Phone        string           `json:"phone"`
	Locale       string           `json:"customer_locale"`
	Customer     *customerPayload `json:"customer"`
	Company      *companyPayload  `json:"company"` // webhook
	Purchasing   *struct {
		Company *companyPayload `json:"company"`
	} `json:"purchasing_entity"` // GraphQL
	Billing  *addressPayload `json:"billing_address"`
	Delivery *addressPayload `json:"shipping_address"`

	Lines    list[linePayload]     `json:"line_items"`
	Shipping list[shippingPayload] `json:"shipping_lines"`
	Refunds  list[refundPayload]   `json:"refunds"`

	CurrentTotal moneySet `json:"current_total_price_set"`
	CurrentTax   moneySet `json:"current_total_tax_set"`
	CurrentFees  moneySet `json:"current_total_additional_fees_set"`
	Tip          scalar   `json:"total_tip_received"` // webhook; shop currency
	TipSet       moneySet `json:"total_tip_received_set"`
}

type customerPayload struct {
	ID           scalar `json:"id"`
	FirstName    string `json:"first_name"`
	LastName     string `json:"last_name"`
	Email        string `json:"email"` // webhook
	Phone        string `json:"phone"` // webhook
	DefaultEmail *struct {
		Address string `json:"address"`
	} `json:"default_email"` // GraphQL
	DefaultPhone *struct {
		Number string `json:"number"`
	} `json:"default_phone"` // GraphQL
}

type companyPayload struct {
	ID scalar `json:"id"`
}

type addressPayload struct {
	Name         string `json:"name"`
	FirstName    string `json:"first_name"`
	LastName     string `json:"last_name"`
	Company      string `json:"company"`
	Address1     string `json:"address1"`
	Address2     string `json:"address2"`
	City         string `json:"city"`
	Zip          string `json:"zip"`
	ProvinceCode string `json:"province_code"`
	CountryCode  string `json:"country_code"`
	Phone        string `json:"phone"`
}

type linePayload struct {
	ID        scalar `json:"id"`
	Name      string `json:"name"`
	Title     string `json:"title"`
	SKU       string `json:"sku"`
	ProductID scalar `json:"product_id"` // webhook
	VariantID scalar `json:"variant_id"` // webhook
	Product   *struct {
		ID scalar `json:"id"`
	} `json:"product"` // GraphQL
	Variant *struct {
		ID      scalar `json:"id"`
		Barcode string `json:"barcode"`
	} `json:"variant"` // GraphQL
	Quantity         scalar            `json:"quantity"`
	CurrentQuantity  scalar            `json:"current_quantity"`
	GiftCard         bool              `json:"gift_card"`
	RequiresShipping bool              `json:"requires_shipping"`
	Taxable          bool              `json:"taxable"`
	Price            scalar            `json:"price"`
	PriceSet         moneySet          `json:"price_set"`
	Discounts        []allocation      `json:"discount_allocations"`
	Taxes            []taxPayload      `json:"tax_lines"`
	Duties           list[dutyPayload] `json:"duties"`
}

type shippingPayload struct {
	ID                scalar       `json:"id"`
	Title             string       `json:"title"`
	Code              string       `json:"code"`
	Removed           bool         `json:"is_removed"`
	Price             scalar       `json:"price"`
	PriceSet          moneySet     `json:"price_set"`
	CurrentDiscounted moneySet     `json:"current_discounted_price_set"`
	Discounts         []allocation `json:"discount_allocations"`
	Taxes             []taxPayload `json:"tax_lines"`
}

type allocation struct {
	Amount    scalar   `json:"amount"`
	AmountSet moneySet `json:"amount_set"`
}

type taxPayload struct {
	Title    string   `json:"title"`
	Rate     scalar   `json:"rate"`
	Price    scalar   `json:"price"`
	PriceSet moneySet `json:"price_set"`
}

type dutyPayload struct {
	ID       scalar       `json:"id"`
	PriceSet moneySet     `json:"price_set"`
	moneySet              // older webhooks state the money without a wrapper
	Taxes    []taxPayload `json:"tax_lines"`
}

type refundPayload struct {
	ID    scalar                  `json:"id"`
	Lines list[refundLinePayload] `json:"refund_line_items"`
}

type refundLinePayload struct {
	LineID scalar `json:"line_item_id"` // webhook
	Line   *struct {
		ID scalar `json:"id"`
	} `json:"line_item"`
	Quantity    scalar   `json:"quantity"`
	Subtotal    scalar   `json:"subtotal"`
	SubtotalSet moneySet `json:"subtotal_set"`
	Tax         scalar   `json:"total_tax"`
	TaxSet      moneySet `json:"total_tax_set"`
}

// moneySet is one amount in the shop's and in the buyer's currency. GraphQL
// answers hold only the one that is configured.
type moneySet struct {
	Shop        *moneyPayload `json:"shop_money"`
	Presentment *moneyPayload `json:"presentment_money"`
}

type moneyPayload struct {
	Amount   scalar `json:"amount"`
	Currency string `json:"currency_code"`
}

// scalar is the text of a JSON string or number, kept as written: amounts and
// ids never pass through a float. null is empty. What is neither is kept too,
// so that whoever parses it can name its place.
type scalar string

// UnmarshalJSON keeps the text.
func (s *scalar) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		return nil
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(s))
	default:
		*s = scalar(b)
		return nil
	}
}

// present tells that a key is there and not null, without keeping its value.
type present bool

// UnmarshalJSON notes that there is a value.
func (p *present) UnmarshalJSON(b []byte) error {
	*p = string(b) != "null"
	return nil
}

// list is an array of a webhook, or a connection {nodes, pageInfo} of GraphQL.
// Items is nil when it was missing or null.
type list[T any] struct {
	Items []T
	Page  pageInfo
}

type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}

// UnmarshalJSON reads either form.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '{' {
		var c struct {
			Nodes    []T      `json:"nodes"`
			PageInfo pageInfo `json:"pageInfo"`
		}
		err := json.Unmarshal(b, &c)
		l.Items, l.Page = c.Nodes, c.PageInfo
		return err
	}
	return json.Unmarshal(b, &l.Items)
}

// tagList is "a, b" in webhooks and ["a", "b"] in GraphQL.
type tagList []string

// UnmarshalJSON reads either form.
func (t *tagList) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(t))
	}
	var joined string
	if err := json.Unmarshal(b, &joined); err != nil {
		return err
	}
	*t = strings.Split(joined, ",")
	return nil
}
