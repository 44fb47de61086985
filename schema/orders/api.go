package orders

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Validate reports every mistake of the policy at once, each with its field
// and its fix.
func (r Rules) Validate() []*fault.Fault { panic("coming") }

// Action is what to do with an order now.
type Action string

// The actions.
const (
	Import  Action = "import"  // write it for the first time
	Edit    Action = "edit"    // write it again; ask DecideEdit once it is planned
	Cancel  Action = "cancel"  // cancel it in the target
	Wait    Action = "wait"    // until WakeAt or the next event
	Skip    Action = "skip"    // it does not belong in the target
	Nothing Action = "nothing" // the target has it already as it should be
	Park    Action = "park"    // a person decides, see Fault
)

// Decision is an action with its reason.
type Decision struct {
	Action Action
	// Reason is a stable code: not_paid, unpaid_deadline, policy_never,
	// test_order, before_import_from, no_lines, cancelled_before_import,
	// deleted_before_import, payment_voided, payment_expired,
	// refunded_before_import, new, changed, cancelled_in_shop,
	// deleted_in_shop, lines_removed, already_cancelled, same_content, or for
	// Park the part of the fault's code after the dot.
	Reason string
	// Confirm says that the order is confirmed once its total is proved
	// (Import, Edit and Nothing).
	Confirm bool
	// WakeAt is when to decide again without an event; zero: only on events.
	WakeAt time.Time
	Fault  *fault.Fault // Park only
}

// Decide says what to do with an order of the shop. bound is the order as it
// is in the target, nil if it is not there.
func Decide(r Rules, o record.Order, bound *record.OrderState, now time.Time) Decision {
	panic("coming")
}

// DecideEdit compares a planned row with the order as it is in the target and
// says Edit, Nothing (same content) or Park: locked or cancelled there,
// quantities below what was delivered or invoiced, edits not allowed by
// policy, an adopted order that differs. d is Decide's answer, whose Confirm
// and WakeAt are kept.
func DecideEdit(r Rules, terms record.SalesTerms, d Decision, row record.OrderRow, bound record.OrderState) Decision {
	panic("coming")
}

// Validate checks that an order is possible and that the shop's own numbers
// add up, before anything is asked of the target.
func Validate(o record.Order) *fault.Fault { panic("coming") }

// Needs are the records that an order refers to.
type Needs struct {
	// Products, one per distinct product, in the order of the lines. Services
	// (shipping, tips, fees) are not among them: SalesTerms has their products.
	Products []ProductNeed
	// Party is the customer; nil books the order on SharedCustomer.
	Party          *PartyNeed
	SharedCustomer string
	// Billing and Delivery as the shop has them; nil if it has none. Use
	// Addresses to learn which of them need a record of their own.
	Billing, Delivery *AddressNeed
	// Taxes are the distinct taxes, as people name them: "20 % excluded, FR".
	Taxes []string
}

// ProductNeed is one product that lines of an order sell.
type ProductNeed struct {
	// Keys to look for it, best first: "variant:11", "sku:A-1",
	// "barcode:400…", or "custom:<title>" for items without any id.
	Keys      []string
	LineIDs   []string // the lines that sell it
	ProductID string
	VariantID string
	SKU       string
	Barcode   string
	Title     string
}

// PartyNeed is a customer to find or make.
type PartyNeed struct {
	// Keys identify it, "shopid:7" and "email:a@b.c"; companies have no e-mail
	// key, but "company:<e-mail>/<name>". Claim them together (protocol P2).
	Keys []string
	// Email to search existing customers by; empty: do not search.
	Email string
	// Row makes it when nobody is found: Role contact, with the main address.
	Row record.PartyRow
	// MainKey is the address key of Row, to be kept with the binding.
	MainKey string
}

// AddressNeed is an address that may need a record below its customer.
type AddressNeed struct {
	// Key is equal for addresses that differ only in case, spacing and
	// punctuation: "address:<digest>".
	Key string
	Row record.PartyRow
}

// ListNeeds says which records an order refers to, or why the policy cannot
// say so (a guest, when guests park).
func ListNeeds(r Rules, o record.Order) (Needs, *fault.Fault) { panic("coming") }

// Addresses gives the invoice and delivery addresses that need records of
// their own below a customer whose own address has mainKey (AddressKey; ""
// when unknown); nil stands for the customer's own record. Two equal ones have
// the same Key and are one record.
func (n Needs) Addresses(mainKey string) (invoice, delivery *AddressNeed) { panic("coming") }

// AddressKey is the key of an address whose recipient defaults to name.
func AddressKey(a record.Address, name string) string { panic("coming") }

// MatchParty picks the existing customer among those found by e-mail: "" when
// none fits and one must be made. Several that fit equally give a fault.
func MatchParty(r Rules, need PartyNeed, found []record.PartyMatch) (string, *fault.Fault) {
	panic("coming")
}

// ProductChoice is the answer to a product that no binding names.
type ProductChoice struct {
	ID string // found
	// Placeholder is the internal reference of the product to write instead.
	Placeholder string
	Create      *record.ProductRow // make it; Write is left to the caller
}

// MatchProduct picks the product among those found by key, in the order of the
// rules, and else what the policy says about unknown products: a fault when
// the order is held.
func MatchProduct(r Rules, need ProductNeed, found map[record.ProductKey][]record.ProductMatch) (ProductChoice, *fault.Fault) {
	panic("coming")
}

// Adopt picks the order that somebody made before under the same reference,
// nil if there is none. Give it only orders that are bound to nothing: two
// shops may well share a reference.
func Adopt(r Rules, o record.Order, found []record.OrderState) (*record.OrderState, *fault.Fault) {
	panic("coming")
}

// TaxPlan says which taxes of the target each line carries, by the line's
// external id. A line without taxes is not in it.
type TaxPlan map[string][]LineTax

// LineTax is one tax of the target on one line.
type LineTax struct {
	TaxID  string          `json:"tax_id"`
	Rate   decimal.Decimal `json:"rate"`   // the target's, a fraction
	Amount decimal.Decimal `json:"amount"` // the shop's
}

// MatchTaxes finds the target's taxes for every line and checks that the
// shop's amounts are what their rates make plausible.
func MatchTaxes(r Rules, terms record.SalesTerms, o record.Order) (TaxPlan, *fault.Fault) {
	panic("coming")
}

// Resolved are the target's ids of all that an order refers to.
type Resolved struct {
	Source     string            `json:"source"` // slug of the shop's connection; part of every xid
	CustomerID string            `json:"customer_id"`
	InvoiceID  string            `json:"invoice_id"`  // empty: the customer
	DeliveryID string            `json:"delivery_id"` // empty: the customer
	Products   map[string]string `json:"products"`    // line external id -> product id
	Taxes      TaxPlan           `json:"taxes"`
	// AdoptedID addresses an order that was not made by us.
	AdoptedID string `json:"adopted_id,omitempty"`
	// Written are the xids of the lines written by earlier passes; those that
	// the plan does not have any more become OrderRow.Gone.
	Written []string `json:"-"`
}

// Plan builds the order in the target's terms. The fence of the row is left to
// the caller. Equal arguments give equal rows.
func Plan(r Rules, terms record.SalesTerms, o record.Order, res Resolved) (record.OrderRow, *fault.Fault) {
	panic("coming")
}

// Proof compares an order as read back with what the shop charged.
type Proof struct {
	Equal      bool            // to the cent, in the right currency
	Difference decimal.Decimal // shop − target
	// TaxDifference is shop − target; Equal does not depend on it, since a
	// right total can hide a tax split off by a cent. Worth a warning.
	TaxDifference decimal.Decimal
	// RoundingLine closes the gap when it is within the limit; write the row
	// again Corrected and prove again.
	RoundingLine *record.OrderLine
	Reason       string       // what was found, for people
	Fault        *fault.Fault // not equal and not to be closed
}

// Prove compares the target's totals with the shop's.
func Prove(r Rules, terms record.SalesTerms, o record.Order, res Resolved, state record.OrderState) Proof {
	panic("coming")
}

// Corrected is the row with the proof's rounding line.
func (p Proof) Corrected(row record.OrderRow) record.OrderRow { panic("coming") }

// Digest identifies what Towpath would write: equal digests need no second
// write. It covers the order's content that rules and plans look at, the
// policy (Rules.Revision), the resolved ids and the stage reached; not tags,
// versions or the order of JSON fields.
func Digest(o record.Order, rulesRevision string, res Resolved, stage record.Stage) string {
	panic("coming")
}

// Patch applies an operator's correction: a JSON merge patch (RFC 7396) over
// the canonical order. "lines" may also be an object by line external id, so
// that {"lines":{"77":{"sku":"A-1"}}} corrects one line and null removes it.
// Identity and what the shop charged (external_id, version, created_at,
// updated_at, currency, total, total_tax) cannot be changed. Faults are
// Invalid and name the field.
func Patch(o record.Order, patch json.RawMessage) (record.Order, *fault.Fault) { panic("coming") }
