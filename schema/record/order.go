package record

import (
	"time"

	"github.com/shopspring/decimal"
)

// PaymentStatus is how far a shop says an order has been paid. The names are
// the lower-cased values of Shopify's OrderDisplayFinancialStatus, which other
// shops map onto without loss.
type PaymentStatus string

// The payment states of an order.
const (
	PaymentPending           PaymentStatus = "pending"
	PaymentAuthorized        PaymentStatus = "authorized"
	PaymentPartiallyPaid     PaymentStatus = "partially_paid"
	PaymentPaid              PaymentStatus = "paid"
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentVoided            PaymentStatus = "voided"
	PaymentExpired           PaymentStatus = "expired"
)

// Settled reports whether the shop has taken all the money at some time, even
// if it gave some of it back later: goods are owed, or were.
func (s PaymentStatus) Settled() bool {
	return s == PaymentPaid || s == PaymentPartiallyRefunded || s == PaymentRefunded
}

// Order is one sale as the shop charged it. All amounts are in Currency (the
// shop's own currency, not the buyer's presentment currency).
type Order struct {
	ExternalID    string        `json:"external_id"` // the shop's id, e.g. "5001"
	Name          string        `json:"name"`        // what people call it, e.g. "#1001"
	Version       string        `json:"version"`     // sorts as text; newer content has a greater one, see NewVersion
	CreatedAt     time.Time     `json:"created_at"`
	UpdatedAt     time.Time     `json:"updated_at"`
	CancelledAt   *time.Time    `json:"cancelled_at,omitempty"`
	CancelReason  string        `json:"cancel_reason,omitempty"`
	Deleted       bool          `json:"deleted,omitempty"` // the shop no longer has it; only ids are set
	Test          bool          `json:"test,omitempty"`
	PaymentStatus PaymentStatus `json:"payment_status,omitempty"`
	Currency      string        `json:"currency"` // ISO 4217, upper case
	TaxesIncluded bool          `json:"taxes_included"`
	TaxExempt     bool          `json:"tax_exempt,omitempty"`

	Customer *Party   `json:"customer,omitempty"` // nil: the shop knows no customer
	Email    string   `json:"email,omitempty"`    // contact of this order; guests have only this
	Phone    string   `json:"phone,omitempty"`
	Billing  *Address `json:"billing,omitempty"`
	Delivery *Address `json:"delivery,omitempty"`

	Lines []Line   `json:"lines"`
	Note  string   `json:"note,omitempty"`
	Tags  []string `json:"tags,omitempty"`

	// Total is what the shop charged, tax and everything included: the number
	// that the order in the target must equal. TotalTax is its tax share.
	Total    decimal.Decimal `json:"total"`
	TotalTax decimal.Decimal `json:"total_tax"`
}

// LineKind says what a line sells.
type LineKind string

// The kinds of order lines.
const (
	LineProduct  LineKind = "product"
	LineShipping LineKind = "shipping"
	LineTip      LineKind = "tip"
	LineFee      LineKind = "fee" // duties, additional fees
)

// Line is one position of an order, goods or service. What the buyer pays for
// it is Quantity × UnitPrice − Discount, plus the taxes when the order's
// prices exclude them.
type Line struct {
	ExternalID string   `json:"external_id"` // unique within the order over all kinds
	Kind       LineKind `json:"kind"`
	ProductID  string   `json:"product_id,omitempty"` // the shop's product, empty for custom items
	VariantID  string   `json:"variant_id,omitempty"`
	SKU        string   `json:"sku,omitempty"`
	Barcode    string   `json:"barcode,omitempty"`
	Title      string   `json:"title"`
	// Quantity is what is still ordered: edits and removals are already taken off.
	Quantity  decimal.Decimal `json:"quantity"`
	UnitPrice decimal.Decimal `json:"unit_price"` // before discounts; includes tax when the order says so
	Discount  decimal.Decimal `json:"discount"`   // amount taken off the whole line, ≥ 0
	Taxes     []TaxLine       `json:"taxes,omitempty"`
}

// TaxLine is the shop's own statement of one tax on one line, after discounts.
type TaxLine struct {
	Title  string          `json:"title"`
	Rate   decimal.Decimal `json:"rate"` // a fraction: 0.2 is 20 %
	Amount decimal.Decimal `json:"amount"`
}

// Tax is the sum of the line's taxes.
func (l Line) Tax() decimal.Decimal {
	sum := decimal.Zero
	for _, t := range l.Taxes {
		sum = sum.Add(t.Amount)
	}
	return sum
}

// Net is what the buyer pays for the line before excluded taxes are added.
func (l Line) Net() decimal.Decimal {
	return l.UnitPrice.Mul(l.Quantity).Sub(l.Discount)
}

// Party is a customer: a person or, with IsCompany, a company.
type Party struct {
	ExternalID string `json:"external_id,omitempty"` // empty for guests
	Name       string `json:"name"`
	Email      string `json:"email,omitempty"`
	Phone      string `json:"phone,omitempty"`
	IsCompany  bool   `json:"is_company,omitempty"`
	VAT        string `json:"vat,omitempty"`
	Locale     string `json:"locale,omitempty"`
}

// Address is a postal address.
type Address struct {
	Name         string `json:"name,omitempty"`
	Company      string `json:"company,omitempty"`
	Street       string `json:"street,omitempty"`
	Street2      string `json:"street2,omitempty"`
	City         string `json:"city,omitempty"`
	Zip          string `json:"zip,omitempty"`
	ProvinceCode string `json:"province_code,omitempty"` // ISO 3166-2 without the country, e.g. "CA"
	CountryCode  string `json:"country_code,omitempty"`  // ISO 3166-1 alpha-2
	Phone        string `json:"phone,omitempty"`
}
