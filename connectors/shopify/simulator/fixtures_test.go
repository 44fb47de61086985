package simulator

import (
	"time"

	"github.com/shopspring/decimal"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

var (
	vat20  = Tax{Title: "TVA", Rate: dec("0.2")}
	vat55  = Tax{Title: "TVA", Rate: dec("0.055")}
	nycTax = Tax{Title: "NY Sales Tax", Rate: dec("0.08875")}
	start  = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
)

func testLedger() *Ledger { return NewLedger(1, func() time.Time { return start }, "2026-07") }

func testAddress() *Address {
	return &Address{
		ID: 51, FirstName: "Ada", LastName: "Lovelace", Company: "Engines", Address1: "1 Rue de Rivoli", City: "Paris", Zip: "75001",
		Province: "Île-de-France", ProvinceCode: "IDF", Country: "France", CountryCode: "FR", Phone: "+33142000000",
	}
}

func testCustomer() *Customer {
	return &Customer{
		ID: 61, FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com", Phone: "+33142000000",
		CreatedAt: start.AddDate(-1, 0, 0), Address: testAddress(),
	}
}

// fullDraft has everything that an order can have.
func fullDraft() Draft {
	goods := Catalog(10)
	return Draft{
		Currency: "EUR", Presentment: "USD", Rate: dec("1.0873"),
		Lines: []DraftLine{
			{Variant: goods[0], Quantity: 3, Discount: dec("1.00"), Taxes: []Tax{vat20}},
			{Variant: goods[4], Quantity: 2, Taxes: []Tax{vat55}},
			{Variant: Variant{Title: "Engraving"}, Quantity: 1, Price: dec("7.35"), Taxes: []Tax{vat20}},
		},
		Shipping:      []DraftShipping{{Title: "Express", Price: dec("9.90"), Discount: dec("2.00"), Taxes: []Tax{vat20}}},
		Tip:           dec("2.50"),
		OrderDiscount: dec("5.00"),
		Customer:      testCustomer(),
		Company:       &Company{ID: 71, Name: "Engines Ltd", ExternalID: "ENG", LocationID: 72, Location: "Paris"},
		Billing:       testAddress(), Delivery: testAddress(),
		Note: "ring twice", Tags: []string{"vip", "web"},
	}
}

func guestDraft() Draft {
	return Draft{
		Currency: "USD", Lines: []DraftLine{{Variant: Catalog(2)[1], Quantity: 1, Taxes: []Tax{nycTax}}},
		Email: "guest@example.com", Billing: testAddress(), Delivery: testAddress(),
	}
}
