package odoo

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/odoo_addons/odootest"
	"towpath/schema/fault"
	"towpath/schema/record"
)

func testCheck(t *testing.T, b *bench, c *Connector) {
	report := c.Check(t.Context())
	for _, p := range report.Probes {
		assert.True(t, p.OK, "%+v", p)
	}
	assert.True(t, report.OK())
	assert.NotEmpty(t, report.Version)
	again := b.open(t, nil).Check(t.Context())
	assert.Equal(t, report.Identity, again.Identity)
	assert.Regexp(t, `^(uuid|db):.{20,}`, report.Identity)

	bad := &bench{settings: b.settings, run: b.run}
	var cfg map[string]any
	require.NoError(t, json.Unmarshal(b.settings.Config, &cfg))
	cfg["password"], cfg["api_key"], cfg["transport"] = "wrong", "", "jsonrpc"
	bad.settings.Config, _ = json.Marshal(cfg)
	report = bad.open(t, nil).Check(t.Context())
	require.False(t, report.OK())
	last := report.Probes[len(report.Probes)-1]
	assert.Equal(t, "credentials", last.Name)
	assert.True(t, fault.Is(last.Fault, fault.Unauthorized))
	assert.NotEmpty(t, last.Fix)
}

func testTerms(t *testing.T, b *bench, c *Connector) {
	odootest.Alone(t) // another test of the same Odoo has it round otherwise for a while
	terms := termsOf(t, c)
	assert.Equal(t, "USD", terms.CompanyCurrency)
	assert.Equal(t, "US", terms.CompanyCountry)
	assert.True(t, terms.ForcedTax, "the canary must prove the forced tax on 19")
	assert.Equal(t, int32(-1), terms.PriceDigits)
	assert.Len(t, terms.ServiceProducts, 4)
	for _, rate := range []string{"0.2", "0.055", "0.08875"} {
		for _, included := range []bool{true, false} {
			tax := taxOf(t, terms, rate, included)
			assert.Equal(t, "US", tax.Country)
			assert.True(t, tax.Active)
		}
	}
	for _, currency := range []string{"USD", "EUR", "GBP", "JPY"} {
		assert.NotEmpty(t, priceList(t, terms, currency))
	}
	assert.NotEmpty(t, terms.Warehouses)
	assert.NotEmpty(t, terms.Users)
	assert.NotEmpty(t, terms.PaymentTerms)

	again, err := c.SalesTerms(t.Context(), false)
	require.NoError(t, err)
	assert.Equal(t, terms.ReadAt, again.ReadAt, "cached")
	fresh, err := c.SalesTerms(t.Context(), true)
	require.NoError(t, err)
	assert.True(t, fresh.ReadAt.After(terms.ReadAt))
	assert.False(t, fresh.RoundPerLine)
	orders, err := c.FindOrders(t.Context(), canaryName)
	require.NoError(t, err)
	assert.Empty(t, orders, "the canary order is cancelled")
}

func testFind(t *testing.T, b *bench, _ *Connector) {
	counted := &countingTransport{}
	c := b.open(t, counted)
	termsOf(t, c)
	before := counted.calls.Load()
	// Nobody is answered before all have asked, however long that takes.
	hold := make(chan struct{})
	counted.hold = hold
	var asked atomic.Int64
	together(50, func(i int) {
		if asked.Add(1) == 50 {
			close(hold)
		}
		sku := fmt.Sprintf("SKU-%04d", i+1)
		found, err := c.FindProducts(t.Context(), record.BySKU, []string{sku, "no such"})
		if assert.NoError(t, err) && assert.Len(t, found, 1) {
			assert.Equal(t, sku, found[0].Key)
			assert.False(t, found[0].Archived)
		}
	})
	assert.LessOrEqual(t, counted.calls.Load()-before, int64(10), "fifty questions share calls")

	none, err := c.FindProducts(t.Context(), record.ByBarcode, []string{"", "no such barcode"})
	require.NoError(t, err)
	assert.Empty(t, none)
	parties, err := c.FindParties(t.Context(), "nobody@nowhere.example")
	require.NoError(t, err)
	assert.Empty(t, parties)
	orders, err := c.FindOrders(t.Context(), "no such order")
	require.NoError(t, err)
	assert.Empty(t, orders)
}
