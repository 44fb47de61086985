package orders

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// Rules are the policy of one flow of orders from a shop to a target. The zero
// value with WithDefaults is a good policy for a shop that takes payment at
// checkout. References to records of the target are its ids or exact names.
type Rules struct {
	// Import says when an order enters the target: "when_paid" (default),
	// "always" or "never".
	Import string `json:"import,omitempty" yaml:"import,omitempty"`
	// CancelUnpaidAfterDays ends the wait for a payment: an order that is not
	// in the target is skipped, one that is gets cancelled. 0 waits for ever.
	CancelUnpaidAfterDays int `json:"cancel_unpaid_after_days,omitempty" yaml:"cancel_unpaid_after_days,omitempty"`
	// ImportFrom skips orders created before it: "2026-01-31" (midnight UTC)
	// or RFC 3339.
	ImportFrom string `json:"import_from,omitempty" yaml:"import_from,omitempty"`
	// ImportTestOrders imports orders that the shop marks as tests.
	ImportTestOrders bool `json:"import_test_orders,omitempty" yaml:"import_test_orders,omitempty"`

	// Guest says what a buyer with an e-mail but no shop account becomes:
	// "create" (default) a customer, "shared_customer" or "park".
	Guest string `json:"guest,omitempty" yaml:"guest,omitempty"`
	// NoCustomer says what an order without customer and e-mail is booked on:
	// "park" (default) or the "shared" customer.
	NoCustomer string `json:"no_customer,omitempty" yaml:"no_customer,omitempty"`
	// SharedCustomer is the id of the target's customer for both.
	SharedCustomer string `json:"shared_customer,omitempty" yaml:"shared_customer,omitempty"`
	// MatchByEmail finds existing customers by e-mail (default true).
	// Companies are never matched by e-mail alone.
	MatchByEmail *bool `json:"match_by_email,omitempty" yaml:"match_by_email,omitempty"`

	// UnknownProduct says what a line whose product is not found does: "hold"
	// (default) the order until somebody maps it, write the "placeholder"
	// product, or "create" the product.
	UnknownProduct string `json:"unknown_product,omitempty" yaml:"unknown_product,omitempty"`
	// PlaceholderProduct is the internal reference of that product.
	PlaceholderProduct string `json:"placeholder_product,omitempty" yaml:"placeholder_product,omitempty"`
	// ProductKeys is the order in which products are looked for; default
	// binding, sku, barcode.
	ProductKeys []string `json:"product_keys,omitempty" yaml:"product_keys,omitempty"`

	// Taxes map the shop's taxes to the target's and override the automatic
	// match by rate, included or not, and country.
	Taxes []TaxRule `json:"taxes,omitempty" yaml:"taxes,omitempty"`
	// UnknownTax can only be "park": a guessed tax is a wrong tax return.
	UnknownTax string `json:"unknown_tax,omitempty" yaml:"unknown_tax,omitempty"`

	// Internal references of the service products that carry what is not
	// goods; default SHIPPING, DISCOUNT, TIP, FEE and ROUNDING.
	ShippingProduct string `json:"shipping_product,omitempty" yaml:"shipping_product,omitempty"`
	DiscountProduct string `json:"discount_product,omitempty" yaml:"discount_product,omitempty"`
	TipProduct      string `json:"tip_product,omitempty" yaml:"tip_product,omitempty"`
	FeeProduct      string `json:"fee_product,omitempty" yaml:"fee_product,omitempty"`
	RoundingProduct string `json:"rounding_product,omitempty" yaml:"rounding_product,omitempty"`
	// RoundingLimitPerLine (default 0.01) times the number of lines, but never
	// more than RoundingLimitMax (default 0.05), is what a rounding line may
	// correct; above it the order parks. Both are in a currency with cents and
	// scale with others (JPY 1 and 5). 0 allows no rounding line.
	RoundingLimitPerLine *decimal.Decimal `json:"rounding_limit_per_line,omitempty" yaml:"rounding_limit_per_line,omitempty"`
	RoundingLimitMax     *decimal.Decimal `json:"rounding_limit_max,omitempty" yaml:"rounding_limit_max,omitempty"`

	// Confirm says when a proved order is confirmed: "when_paid" (default),
	// "always" or "never".
	Confirm string `json:"confirm,omitempty" yaml:"confirm,omitempty"`
	// OnCancel says what a cancellation in the shop does to an order that is
	// in the target: "cancel" (default) or "park". What was delivered or
	// invoiced parks in any case.
	OnCancel string `json:"on_cancel,omitempty" yaml:"on_cancel,omitempty"`
	// Edits says what a change in the shop does: "apply" (default) or "park".
	Edits string `json:"edits,omitempty" yaml:"edits,omitempty"`

	// Where the order lands; empty leaves it to the target. Company is an id.
	Company        string `json:"company,omitempty" yaml:"company,omitempty"`
	Warehouse      string `json:"warehouse,omitempty" yaml:"warehouse,omitempty"`
	PriceList      string `json:"price_list,omitempty" yaml:"price_list,omitempty"`
	FiscalPosition string `json:"fiscal_position,omitempty" yaml:"fiscal_position,omitempty"`
	PaymentTerm    string `json:"payment_term,omitempty" yaml:"payment_term,omitempty"`
	SalesTeam      string `json:"sales_team,omitempty" yaml:"sales_team,omitempty"`
	Salesperson    string `json:"salesperson,omitempty" yaml:"salesperson,omitempty"`
	// NamePrefix names the order prefix + shop name ("SHOP-1001"); empty
	// leaves the name to the target's own sequence.
	NamePrefix string `json:"name_prefix,omitempty" yaml:"name_prefix,omitempty"`
	// AdoptByReference binds an order with the same reference and total that
	// somebody typed in before, instead of making a second one (default true).
	AdoptByReference *bool `json:"adopt_by_reference,omitempty" yaml:"adopt_by_reference,omitempty"`
	// Money is the technique for totals: "auto" (default) takes the best that
	// the target proved to obey.
	Money string `json:"money,omitempty" yaml:"money,omitempty"`
}

// TaxRule maps one tax of the shop to one of the target. The most specific
// rule wins: country before included, both before neither.
type TaxRule struct {
	// Rate is a fraction: 0.2 is 20 %.
	Rate decimal.Decimal `json:"rate" yaml:"rate"`
	// Country is where the goods go, ISO 3166-1 alpha-2; empty: anywhere.
	Country string `json:"country,omitempty" yaml:"country,omitempty"`
	// Included restricts the rule to prices with or without tax.
	Included *bool `json:"included,omitempty" yaml:"included,omitempty"`
	// TaxID is the target's tax.
	TaxID string `json:"tax_id" yaml:"tax_id"`
}

// The values that the fields of Rules take.
const (
	Always         = "always"
	WhenPaid       = "when_paid"
	Never          = "never"
	Create         = "create"
	SharedCustomer = "shared_customer"
	Shared         = "shared"
	ParkIt         = "park"
	Hold           = "hold"
	Placeholder    = "placeholder"
	CancelIt       = "cancel"
	Apply          = "apply"
	Auto           = "auto"

	// ByBinding finds a product by what was mapped before; the other product
	// keys are record.BySKU and record.ByBarcode.
	ByBinding = "binding"
)

// WithDefaults fills in what was left out.
func (r Rules) WithDefaults() Rules {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	text(&r.Import, WhenPaid)
	text(&r.Guest, Create)
	text(&r.NoCustomer, ParkIt)
	text(&r.UnknownProduct, Hold)
	text(&r.UnknownTax, ParkIt)
	text(&r.ShippingProduct, "SHIPPING")
	text(&r.DiscountProduct, "DISCOUNT")
	text(&r.TipProduct, "TIP")
	text(&r.FeeProduct, "FEE")
	text(&r.RoundingProduct, "ROUNDING")
	text(&r.Confirm, WhenPaid)
	text(&r.OnCancel, CancelIt)
	text(&r.Edits, Apply)
	text(&r.Money, Auto)
	if len(r.ProductKeys) == 0 {
		r.ProductKeys = []string{ByBinding, string(record.BySKU), string(record.ByBarcode)}
	}
	r.MatchByEmail = orDefault(r.MatchByEmail, true)
	r.AdoptByReference = orDefault(r.AdoptByReference, true)
	r.RoundingLimitPerLine = orDefault(r.RoundingLimitPerLine, decimal.New(1, -2))
	r.RoundingLimitMax = orDefault(r.RoundingLimitMax, decimal.New(5, -2))
	return r
}

func orDefault[T any](field *T, value T) *T {
	if field != nil {
		return field
	}
	return &value
}

// Revision is a digest of the policy with its defaults: orders are looked at
// again when it changes.
func (r Rules) Revision() string {
	raw, err := json.Marshal(r.WithDefaults())
	if err != nil { // strings, numbers and decimals always marshal
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// Oldest is when the oldest orders that the rules import were created; zero
// where they name no day.
func (r Rules) Oldest() time.Time { return r.importFrom() }

// importFrom is ImportFrom as a time; zero when not given or not readable,
// which Validate reports.
func (r Rules) importFrom() time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, r.ImportFrom); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
