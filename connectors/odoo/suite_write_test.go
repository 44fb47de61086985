package odoo

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

func testTwice(t *testing.T, b *bench, c *Connector) {
	row := b.order(t, c, 3)
	first := upsert(t, c, row)
	second := upsert(t, b.open(t, nil), row)
	assert.Equal(t, first.ID, second.ID)
	assert.Equal(t, "36", second.Total.String())
	assert.Len(t, read(t, c, first.ID).Lines, 3)
	byXID, err := c.ReadOrder(t.Context(), record.OrderRef{XID: row.XID})
	require.NoError(t, err)
	assert.Equal(t, first.ID, byXID.ID)
	found, err := c.FindOrders(t.Context(), row.Reference)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, row.XID, found[0].XID)
	_, err = c.ReadOrder(t.Context(), record.OrderRef{XID: row.XID + "x"})
	wantCode(t, err, fault.NotFound, "odoo.order_missing")
}

// testHeader writes every header field, and lines whose taxes are not their
// products' own: loading it again must not bring those back.
func testHeader(t *testing.T, b *bench, c *Connector) {
	terms := termsOf(t, c)
	row := b.order(t, c, 1)
	row.Name, row.Note = row.Reference+"/A", "<b>note</b> & more"
	row.FiscalPositionID, row.PaymentTermID = terms.FiscalPositions[0].ID, terms.PaymentTerms[1].ID
	row.WarehouseID, row.TeamID, row.UserID = terms.Warehouses[0].ID, terms.Teams[0].ID, terms.Users[0].ID
	address := func(role record.PartyRole) string {
		made, err := c.UpsertParty(t.Context(), record.PartyRow{
			Write: record.Write{XID: record.XID("suite", string(role), row.Reference)}, Role: role, ParentID: row.CustomerID,
			Name: string(role), Street: "3 Other St", City: "Wien", Zip: "1010", CountryCode: "AT",
		})
		require.NoError(t, err)
		return made
	}
	row.InvoiceID, row.DeliveryID = address(record.RoleInvoice), address(record.RoleDelivery)
	for i, taxes := range [][]string{nil, {taxOf(t, terms, "0.055", false).ID, taxOf(t, terms, "0.2", false).ID}} {
		row.Lines = append(row.Lines, record.OrderLine{
			XID: record.XID("suite", "line", row.Reference, "plain", fmt.Sprint(i)), ProductID: "6", Name: "own taxes",
			Quantity: dec("1"), UnitPrice: dec("100"), TaxIDs: taxes, Sequence: 10 + i,
		})
	}
	for range 3 {
		state := upsert(t, c, row)
		assert.Equal(t, "237.5", state.Total.String(), "12 + 100 + 125.50")
		assert.Equal(t, row.Name, state.Name)
		assert.Equal(t, row.CustomerID, state.PartnerID)
		row.ID = state.ID
	}
	var orders []struct {
		Invoice   rpc.Many2One `json:"partner_invoice_id"`
		Delivery  rpc.Many2One `json:"partner_shipping_id"`
		Position  rpc.Many2One `json:"fiscal_position_id"`
		Payment   rpc.Many2One `json:"payment_term_id"`
		Warehouse rpc.Many2One `json:"warehouse_id"`
		Team      rpc.Many2One `json:"team_id"`
		User      rpc.Many2One `json:"user_id"`
		Company   rpc.Many2One `json:"company_id"`
		Date      rpc.Time     `json:"date_order"`
		Origin    rpc.Text     `json:"origin"`
	}
	require.NoError(t, c.rpc.Read(t.Context(), "sale.order", []int64{number(t, row.ID)}, []string{
		"partner_invoice_id", "partner_shipping_id", "fiscal_position_id", "payment_term_id", "warehouse_id",
		"team_id", "user_id", "company_id", "date_order", "origin",
	}, &orders))
	o := orders[0]
	assert.Equal(t,
		[]string{row.InvoiceID, row.DeliveryID, row.FiscalPositionID, row.PaymentTermID, row.WarehouseID, row.TeamID, row.UserID, row.CompanyID},
		[]string{id(o.Invoice.ID), id(o.Delivery.ID), id(o.Position.ID), id(o.Payment.ID), id(o.Warehouse.ID), id(o.Team.ID), id(o.User.ID), id(o.Company.ID)})
	assert.Equal(t, row.OrderedAt, o.Date.Time)
	assert.Equal(t, "suite", string(o.Origin))

	_, err := c.ConfirmOrder(t.Context(), record.Write{ID: row.ID})
	require.NoError(t, err)
	state := upsert(t, c, row)
	assert.Equal(t, "237.5", state.Total.String())
}

// testAtOnce writes one order from four goroutines in two processes.
func testAtOnce(t *testing.T, b *bench, c *Connector) {
	row := b.order(t, c, 2)
	other := b.open(t, nil)
	termsOf(t, other)
	var mu sync.Mutex
	ids := map[string]bool{}
	together(4, func(i int) {
		target := []*Connector{c, other}[i%2]
		for range 10 {
			state, err := target.UpsertOrder(t.Context(), row)
			if fault.Is(err, fault.Transient) {
				continue // the loser of a collision tries again
			}
			if assert.NoError(t, err) {
				mu.Lock()
				ids[state.ID] = true
				mu.Unlock()
			}
			return
		}
		t.Error("never written")
	})
	assert.Len(t, ids, 1)
	found, err := c.FindOrders(t.Context(), row.Reference)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Len(t, read(t, c, found[0].ID).Lines, 2)
}

func testOneBad(t *testing.T, b *bench, c *Connector) {
	rows := make([]record.OrderRow, 50)
	for i := range rows {
		rows[i] = b.order(t, c, 1)
	}
	const bad = 17
	rows[bad].Lines[0].ProductID = "99999999"
	together(len(rows), func(i int) {
		state, err := c.UpsertOrder(t.Context(), rows[i])
		if i == bad {
			if assert.Error(t, err) {
				assert.Equal(t, fault.Invalid, fault.Of(err).Kind, "%+v", fault.Of(err))
				assert.NotEmpty(t, fault.Of(err).Resolution)
			}
			return
		}
		if assert.NoError(t, err, "%d: %+v", i, fault.Of(err)) {
			assert.Equal(t, "12", state.Total.String())
		}
	})
	found, err := c.FindOrders(t.Context(), rows[bad].Reference)
	require.NoError(t, err)
	assert.Empty(t, found)
}

func testTexts(t *testing.T, b *bench, c *Connector) {
	for _, name := range []string{"日本語 ☃ \U0001F600", "nul\x00inside", "bad \xff utf-8", `quotes " ' ; -- <b>`, "two\nlines", "", "\x00", "  ", "0", "false", "=1+1"} {
		row := b.order(t, c, 1)
		row.Lines[0].Name, row.Note, row.Name = name, name, name
		state, err := c.UpsertOrder(t.Context(), row)
		if !assert.NoError(t, err, "%q: %+v", name, fault.Of(err)) {
			continue
		}
		assert.Equal(t, or(text(name), "-"), read(t, c, state.ID).Lines[0].Name)
		assert.Equal(t, "12", state.Total.String())
		if text(name) != "" {
			assert.Equal(t, text(name), state.Name)
		}
	}
	row := b.order(t, c, 1)
	row.XID = record.XID("suite", "order", b.next("gid://shop/Order/日本 1"))
	state := upsert(t, c, row)
	again := upsert(t, c, row)
	assert.Equal(t, state.ID, again.ID)
}

func testRefused(t *testing.T, b *bench, c *Connector) {
	for name, change := range map[string]func(*record.OrderRow){
		"no customer":            func(r *record.OrderRow) { r.CustomerID = "" },
		"other company":          func(r *record.OrderRow) { r.CompanyID = "99" },
		"no price list":          func(r *record.OrderRow) { r.PriceListID = "" },
		"other currency":         func(r *record.OrderRow) { r.Currency = "GBP" },
		"currency without list":  func(r *record.OrderRow) { r.Currency, r.PriceListID = "CHF", "99999999" },
		"no number":              func(r *record.OrderRow) { r.WarehouseID = "main" },
		"foreign xid":            func(r *record.OrderRow) { r.XID = "base.us" },
		"xid with space":         func(r *record.OrderRow) { r.XID += " 1" },
		"no product":             func(r *record.OrderRow) { r.Lines[0].ProductID = "" },
		"line twice":             func(r *record.OrderRow) { r.Lines = append(r.Lines, r.Lines[0]) },
		"tax no number":          func(r *record.OrderRow) { r.Lines[0].TaxIDs = []string{"6,7"} },
		"forced tax incomplete":  func(r *record.OrderRow) { r.Lines[0].ForcedTax.ByTax = nil },
		"quantity too fine":      func(r *record.OrderRow) { r.Lines[0].Quantity = dec("0.001") },
		"line there and gone":    func(r *record.OrderRow) { r.Gone = []string{r.Lines[0].XID} },
		"gone line without name": func(r *record.OrderRow) { r.Gone = []string{""} },
	} {
		t.Run(name, func(t *testing.T) {
			row := b.order(t, c, 1)
			change(&row)
			_, err := c.UpsertOrder(t.Context(), row)
			require.Error(t, err)
			f := fault.Of(err)
			assert.Equal(t, fault.Invalid, f.Kind, "%+v", f)
			assert.NotEmpty(t, f.Field)
			assert.NotEmpty(t, f.Resolution)
		})
	}
}

func testAdopted(t *testing.T, b *bench, c *Connector) {
	row := b.order(t, c, 0)
	made, err := c.rpc.Create(t.Context(), "sale.order", map[string]any{"partner_id": number(t, row.CustomerID)})
	require.NoError(t, err)
	row.Write = record.Write{ID: id(made[0])}
	state := upsert(t, c, row)
	assert.Equal(t, id(made[0]), state.ID)
	assert.Equal(t, row.Reference, state.Reference)
	found, err := c.FindOrders(t.Context(), row.Reference)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Empty(t, found[0].XID)
}
