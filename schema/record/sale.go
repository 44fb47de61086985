package record

import (
	"time"

	"github.com/shopspring/decimal"
)

// ProductKey is a field by which products are found.
type ProductKey string

// The product keys.
const (
	BySKU     ProductKey = "sku"
	ByBarcode ProductKey = "barcode"
)

// SalesTerms is what a target knows about selling, for one company.
type SalesTerms struct {
	Company         string // id
	CompanyCurrency string
	CompanyCountry  string // ISO alpha-2
	Taxes           []Tax
	PriceLists      []PriceList
	FiscalPositions []Named
	PaymentTerms    []Named
	Warehouses      []Named
	Teams           []Named
	Users           []Named
	// ServiceProducts by internal reference: DISCOUNT, SHIPPING, TIP, ROUNDING
	// or what the configuration names them.
	ServiceProducts map[string]string
	// RoundPerLine: tax is rounded line by line, else over the whole order.
	RoundPerLine bool
	// ForcedTax: the shop's own tax amount can be written per line and a
	// canary order has proved that the total obeys.
	ForcedTax bool
	// PriceDigits is how many decimals a unit price keeps; -1 is all.
	PriceDigits int32
	// DeliveriesStay: lowering the quantity of a confirmed line leaves its
	// delivery at the old quantity (Odoo 14), so that a person must adjust it.
	DeliveriesStay bool
	ReadAt         time.Time
}

// Named is a record with an id and a name.
type Named struct{ ID, Name string }

// Tax is one sales tax of the target.
type Tax struct {
	ID            string
	Name          string
	Rate          decimal.Decimal // fraction: 0.2 is 20 %
	PriceIncluded bool
	Country       string // ISO alpha-2; empty: any
	Active        bool
}

// PriceList decides an order's currency.
type PriceList struct{ ID, Name, Currency string }

// ProductMatch is a product found by a key.
type ProductMatch struct {
	ID       string
	Key      string // the value it was found by
	Name     string
	Archived bool
}

// PartyMatch is a customer found by e-mail.
type PartyMatch struct {
	ID        string
	Name      string
	Email     string
	IsCompany bool
	ParentID  string
	// Address is the record's own, so that an order's equal address needs no
	// record below it. Zero when the target does not tell.
	Address Address
}

// Write is what every write carries: where it goes and under which fence it
// was prepared.
type Write struct {
	// XID is the external id of the record, Towpath's idempotency key that
	// lives in the target; ID addresses a record that was adopted instead.
	XID   string
	ID    string
	Fence FenceKey
}

// PartyRole says what a party record is for.
type PartyRole string

// The roles of party records.
const (
	RoleContact  PartyRole = "contact"
	RoleInvoice  PartyRole = "invoice"
	RoleDelivery PartyRole = "delivery"
)

// PartyRow is one customer or one of its addresses.
type PartyRow struct {
	Write
	Role                                                  PartyRole
	ParentID                                              string // the customer an address belongs to
	Name                                                  string
	Email                                                 string
	Phone                                                 string
	IsCompany                                             bool
	Company                                               string // text only
	VAT                                                   string
	Locale                                                string
	Street, Street2, City, Zip, ProvinceCode, CountryCode string
}

// ProductRow is a product made by policy.
type ProductRow struct {
	Write
	Name    string
	SKU     string
	Barcode string
	Service bool
}

// OrderRef addresses an order by external id or, when adopted, by id.
type OrderRef struct{ XID, ID string }

// OrderRow is a whole order in the target's terms.
type OrderRow struct {
	Write
	Name             string // empty: the target's own sequence
	Reference        string // the shop's name for it, e.g. "#1001"
	Origin           string
	OrderedAt        time.Time
	Note             string
	CustomerID       string
	InvoiceID        string // address
	DeliveryID       string // address
	PriceListID      string
	FiscalPositionID string
	PaymentTermID    string
	WarehouseID      string
	TeamID           string
	UserID           string
	CompanyID        string
	Currency         string
	Lines            []OrderLine
	// Gone are lines written earlier that the order no longer has.
	Gone []string // line xids
}

// OrderLine is one line in the target's terms.
type OrderLine struct {
	XID       string
	ProductID string
	Name      string
	Quantity  decimal.Decimal
	UnitPrice decimal.Decimal
	TaxIDs    []string
	// ForcedTax, when not nil, states the tax amounts and the untaxed total
	// that the shop charged, for targets that can be told so.
	ForcedTax *ForcedTax
	Sequence  int
}

// ForcedTax is the shop's own tax of a line.
type ForcedTax struct {
	Untaxed decimal.Decimal
	ByTax   map[string]decimal.Decimal // tax id -> amount
}

// Stage of an order in its target.
type Stage string

// The stages of an order.
const (
	StageDraft     Stage = "draft"
	StageConfirmed Stage = "confirmed"
	StageCancelled Stage = "cancelled"
)

// OrderState is an order as read from its target.
type OrderState struct {
	ID        string
	XID       string
	Name      string
	Reference string
	Stage     Stage
	Locked    bool
	Currency  string
	Total     decimal.Decimal
	Tax       decimal.Decimal
	PartnerID string
	Invoiced  bool // something was invoiced
	Lines     []LineState
	OrderedAt time.Time // by the target; Odoo moves it to when the order was confirmed
	WriteDate time.Time
	// Quarantine, when not zero, says that an earlier send of the same write
	// was never answered and may still land until then: other content must
	// wait for it, or be verified again after it (protocols P3.4).
	Quarantine time.Time
}

// LineState is an order line as read from its target.
type LineState struct {
	ID        string
	ProductID string
	Name      string
	Quantity  decimal.Decimal
	Delivered decimal.Decimal
	Invoiced  decimal.Decimal
	UnitPrice decimal.Decimal
	Total     decimal.Decimal
}

// FenceKey names an object and the fence under which a write was prepared. A
// write whose fence is no longer the object's own is dropped unsent.
type FenceKey struct {
	Connection string
	Kind       Kind
	ExternalID string
	Fence      int64
}
