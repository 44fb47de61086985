package simulator

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// Variant is what can be bought: one variant of one product.
type Variant struct {
	ProductID int64
	ID        int64
	SKU       string
	Barcode   string
	Title     string
	Vendor    string
	Price     decimal.Decimal
}

// Catalog gives n products of one variant each, SKU-0001 and on, as the Odoo
// fixtures have them (tools/odoo19/fixtures.py).
func Catalog(n int) []Variant {
	variants := make([]Variant, n)
	for i := range variants {
		number := int64(i + 1)
		variants[i] = Variant{
			ProductID: 7_000_000_000_000 + number,
			ID:        4_000_000_000_000 + number,
			SKU:       fmt.Sprintf("SKU-%04d", number),
			Title:     fmt.Sprintf("Test article %d", number),
			Vendor:    "Towpath Supplies",
			// Prices that leave odd cents behind when taxed.
			Price: decimal.New(499+number*173%19_500, -2),
		}
	}
	return variants
}

// Customer is a buyer with an account.
type Customer struct {
	ID        int64
	FirstName string
	LastName  string
	Email     string
	Phone     string
	Locale    string
	TaxExempt bool
	CreatedAt time.Time
	Address   *Address
}

// Name is the customer's whole name.
func (c Customer) Name() string { return c.FirstName + " " + c.LastName }

// Company is a B2B buyer; Contact of the order is its Customer.
type Company struct {
	ID         int64
	Name       string
	ExternalID string
	LocationID int64
	Location   string
}

// Address is a postal address.
type Address struct {
	ID           int64
	FirstName    string
	LastName     string
	Company      string
	Address1     string
	Address2     string
	City         string
	Zip          string
	Province     string
	ProvinceCode string
	Country      string
	CountryCode  string
	Phone        string
}

// Name is the recipient's whole name.
func (a Address) Name() string { return a.FirstName + " " + a.LastName }
