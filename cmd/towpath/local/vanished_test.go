package local_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	shopsim "towpath/connectors/shopify/simulator"
)

// People merge contacts and delete products in Odoo; the next order that
// refers to them finds or makes them anew instead of waiting for a person.
func TestMergedCustomerIsFoundAgain(t *testing.T) {
	t.Parallel()
	w := up(t, local.Options{})
	buyer := &shopsim.Customer{ID: 71, FirstName: "Ada", LastName: "Merge", Email: "ada.merge@example.com", CreatedAt: time.Now(),
		Address: &shopsim.Address{FirstName: "Ada", LastName: "Merge", Address1: "1 Main St", City: "Berlin", Zip: "10115", Country: "Germany", CountryCode: "DE"}}
	sell := func() {
		w.Shop.Subscribe(shopsim.TopicCreate, w.APIURL+"/webhooks/shopify/"+local.ShopName)
		w.Shop.Place(shopsim.Draft{
			Currency: "EUR", Customer: buyer, Billing: buyer.Address, Delivery: buyer.Address, TaxesIncluded: true,
			Lines: []shopsim.DraftLine{{Variant: shopsim.Variant{ID: 1, ProductID: 1, SKU: "SKU-0001", Title: "Thing", Price: decimal.New(50, 0)}, Quantity: 1,
				Taxes: []shopsim.Tax{{Title: "VAT", Rate: decimal.RequireFromString("0.2")}}}},
		})
	}
	confirmed := func(n int) func() bool {
		return func() bool {
			return w.count(`SELECT count(*) FROM object WHERE outcome = 'applied' AND stage = 'confirmed'`) == n
		}
	}
	sell()
	w.eventually(patience, "the first order is confirmed", confirmed(1))
	kept, err := w.SimOdoo.Create("res.partner", map[string]any{"name": "Ada Merge", "email": buyer.Email})
	require.NoError(t, err)
	for _, o := range w.SimOdoo.Orders() {
		if o.Reference == "" || o.Reference[0] != '#' {
			continue
		}
		require.NoError(t, w.SimOdoo.Edit("sale.order", o.ID, map[string]any{"partner_id": kept, "partner_invoice_id": kept, "partner_shipping_id": kept}))
		require.NoError(t, w.SimOdoo.Delete("res.partner", o.PartnerID), "merging moves what refers to a contact and deletes it")
	}
	sell()
	w.eventually(patience, "the second order is confirmed", confirmed(2))
	require.Zero(t, w.count(`SELECT count(*) FROM parked WHERE state = 'open'`))
	for _, o := range w.SimOdoo.Orders() {
		if o.Reference != "" && o.Reference[0] == '#' {
			require.Equal(t, kept, o.PartnerID, "the contact that was kept is found by its e-mail")
		}
	}
}
