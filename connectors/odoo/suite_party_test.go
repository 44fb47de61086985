package odoo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func testParty(t *testing.T, b *bench, c *Connector) {
	email := b.next("Mixed.Case") + "@Example.com"
	row := record.PartyRow{
		Write: record.Write{XID: record.XID("suite", "customer", email)}, Role: record.RoleContact,
		Name: "Ümit ☃ Öz\x00ger", Email: email, Phone: "+1 555 0100", Locale: "en-GB",
		Street: "1 Main St", Street2: "Apt 2", City: "Springfield", Zip: "12345", CountryCode: "us", ProvinceCode: "CA",
	}
	customer, err := c.UpsertParty(t.Context(), row)
	require.NoError(t, err)
	again, err := c.UpsertParty(t.Context(), row)
	require.NoError(t, err)
	assert.Equal(t, customer, again)

	address := record.PartyRow{
		Write: record.Write{XID: record.XID("suite", "address", email)}, Role: record.RoleDelivery, ParentID: customer,
		Street: "2 Side St", City: "Berlin", Zip: "10115", CountryCode: "DE", Email: email,
	}
	delivery, err := c.UpsertParty(t.Context(), address)
	require.NoError(t, err, "a delivery address needs no name")
	assert.NotEqual(t, customer, delivery)

	found, err := c.FindParties(t.Context(), strings.ToUpper(email))
	require.NoError(t, err)
	want := []record.PartyMatch{{
		ID: customer, Name: "Ümit ☃ Özger", Email: strings.ToLower(email),
		Address: record.Address{
			Name: "Ümit ☃ Özger", Phone: "+1 555 0100", Street: "1 Main St", Street2: "Apt 2", City: "Springfield",
			Zip: "12345", ProvinceCode: "CA", CountryCode: "US",
		},
	}}
	assert.Empty(t, cmp.Diff(want, found), "the address below the customer is no customer")

	// Known by id: an emptied part of the address is written, an empty contact field is not.
	row.ID, row.Street2, row.Phone, row.Email = customer, "", "", ""
	same, err := c.UpsertParty(t.Context(), row)
	require.NoError(t, err)
	assert.Equal(t, customer, same)
	found, err = c.FindParties(t.Context(), email)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Empty(t, found[0].Address.Street2)
	assert.Equal(t, "+1 555 0100", found[0].Address.Phone)

	// Archived by an office user: still written, found no more.
	require.NoError(t, c.rpc.Write(t.Context(), "res.partner", []int64{number(t, customer)}, map[string]any{"active": false}))
	same, err = c.UpsertParty(t.Context(), row)
	require.NoError(t, err)
	assert.Equal(t, customer, same)
	found, err = c.FindParties(t.Context(), email)
	require.NoError(t, err)
	assert.Empty(t, found)

	row.ID = "99999999"
	_, err = c.UpsertParty(t.Context(), row)
	wantCode(t, err, fault.Conflict, "odoo.deleted_in_odoo")
	row.ID, row.CountryCode = "", "QQ"
	_, err = c.UpsertParty(t.Context(), row)
	wantCode(t, err, fault.Invalid, "odoo.unknown_country")
	row.CountryCode, row.Name = "US", " \x00 "
	_, err = c.UpsertParty(t.Context(), row)
	wantCode(t, err, fault.Invalid, "odoo.invalid_row")
}

func testProduct(t *testing.T, b *bench, c *Connector) {
	sku := b.next("SKU")
	row := record.ProductRow{Write: record.Write{XID: record.XID("suite", "product", sku)}, Name: "From the shop", SKU: sku}
	made, err := c.UpsertProduct(t.Context(), row)
	require.NoError(t, err, "%+v", fault.Of(err))
	row.ID = made
	again, err := c.UpsertProduct(t.Context(), row)
	require.NoError(t, err)
	assert.Equal(t, made, again)
	found, err := c.FindProducts(t.Context(), record.BySKU, []string{sku})
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, made, found[0].ID)

	require.NoError(t, c.rpc.Write(t.Context(), "product.product", []int64{number(t, made)}, map[string]any{"active": false}))
	found, err = c.FindProducts(t.Context(), record.BySKU, []string{sku})
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.True(t, found[0].Archived)
}
