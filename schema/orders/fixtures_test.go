package orders

import (
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

var (
	placed = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	later  = placed.Add(time.Hour)
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func pointer[T any](v T) *T { return &v }

func codeOf(f *fault.Fault) string {
	if f == nil {
		return ""
	}
	return f.Code
}

// sale is a paid order: 3 × 19.99 − 0.10 and shipping 4.90, 20 % on top.
func sale() record.Order {
	return record.Order{
		ExternalID: "5001", Name: "#1001", Version: "v1", CreatedAt: placed, UpdatedAt: placed,
		PaymentStatus: record.PaymentPaid, Currency: "EUR",
		Customer: &record.Party{ExternalID: "7", Name: "Ada Byron", Email: "Ada@Example.com"},
		Email:    "ada@example.com",
		Billing:  &record.Address{Name: "Ada Byron", Street: "1 Rue X", City: "Lyon", Zip: "69001", CountryCode: "FR"},
		Delivery: &record.Address{Name: "ada byron", Street: "1, rue X", City: "LYON ", Zip: "69 001", CountryCode: "fr"},
		Lines: []record.Line{
			{
				ExternalID: "77", Kind: record.LineProduct, ProductID: "1", VariantID: "11", SKU: "A-1", Title: "Apron",
				Quantity: dec("3"), UnitPrice: dec("19.99"), Discount: dec("0.10"),
				Taxes: []record.TaxLine{{Title: "TVA", Rate: dec("0.2"), Amount: dec("11.97")}},
			},
			{
				ExternalID: "s1", Kind: record.LineShipping, Title: "Standard", Quantity: dec("1"), UnitPrice: dec("4.90"),
				Taxes: []record.TaxLine{{Title: "TVA", Rate: dec("0.2"), Amount: dec("0.98")}},
			},
		},
		Total: dec("77.72"), TotalTax: dec("12.95"),
	}
}

func french() record.SalesTerms {
	return record.SalesTerms{
		Company: "1", CompanyCurrency: "EUR", CompanyCountry: "FR",
		Taxes: []record.Tax{
			{ID: "6", Name: "20 %", Rate: dec("0.2"), Country: "FR", Active: true},
			{ID: "7", Name: "20 % TTC", Rate: dec("0.2"), PriceIncluded: true, Country: "FR", Active: true},
			{ID: "8", Name: "5.5 %", Rate: dec("0.055"), Country: "FR", Active: true},
			{ID: "9", Name: "5.5 % TTC", Rate: dec("0.055"), PriceIncluded: true, Country: "FR", Active: true},
			{ID: "10", Name: "8.875 %", Rate: dec("0.08875"), Country: "FR", Active: true},
			{ID: "11", Name: "8.875 % incl.", Rate: dec("0.08875"), PriceIncluded: true, Country: "FR", Active: true},
		},
		PriceLists:      []record.PriceList{{ID: "1", Name: "Default", Currency: "USD"}, {ID: "2", Name: "Euro", Currency: "EUR"}},
		ServiceProducts: map[string]string{"SHIPPING": "100", "DISCOUNT": "101", "TIP": "102", "FEE": "103", "ROUNDING": "104"},
		Warehouses:      []record.Named{{ID: "1", Name: "Main"}, {ID: "2", Name: "Outlet"}},
		Teams:           []record.Named{{ID: "3", Name: "Web"}, {ID: "4", Name: "web"}},
		ForcedTax:       true, PriceDigits: -1,
	}
}

// resolve gives every line a product of its own.
func resolve(o record.Order, taxes TaxPlan) Resolved {
	res := Resolved{Source: "shop", CustomerID: "50", Products: map[string]string{}, Taxes: taxes}
	for _, l := range o.Lines {
		if l.Kind == record.LineProduct {
			res.Products[l.ExternalID] = "p" + l.ExternalID
		}
	}
	return res
}
