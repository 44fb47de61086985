package odoo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// bench is one Odoo that the suite runs against, real or simulated. It holds
// the test records of tools/odoo19.
type bench struct {
	settings connectors.Settings
	// post invoices an order and posts the invoice; nil: this one cannot.
	post func(t *testing.T, c *Connector, order int64)
	// deliver says that one of a line was delivered.
	deliver func(t *testing.T, c *Connector, line int64)
	run     string // part of every external id, so that one database serves many runs
	serial  atomic.Int64
}

// open gives a connector of its own: another process, as far as Odoo can tell.
func (b *bench) open(t *testing.T, transport http.RoundTripper) *Connector {
	t.Helper()
	settings := b.settings
	if transport != nil {
		settings.Runtime.Transport = transport
	}
	c, err := Open(settings)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		assert.NoError(t, c.Close(ctx))
	})
	return c
}

func (b *bench) next(kind string) string {
	return fmt.Sprintf("%s-%s-%d", b.run, kind, b.serial.Add(1))
}

// Suite is what every Odoo must do, real or simulated.
func Suite(t *testing.T, b *bench) {
	b.run = fmt.Sprintf("t%x", time.Now().UnixNano())
	c := b.open(t, nil)
	for name, test := range map[string]func(*testing.T, *bench, *Connector){
		"check":                         testCheck,
		"terms":                         testTerms,
		"find":                          testFind,
		"party and addresses":           testParty,
		"product":                       testProduct,
		"totals are exact":              testTotals,
		"same order twice":              testTwice,
		"header in full":                testHeader,
		"same order at once":            testAtOnce,
		"one bad among fifty":           testOneBad,
		"lost answer":                   testLostAnswer,
		"edit draft and confirmed":      testEdit,
		"deleted, cancelled, locked":    testGuards,
		"confirm":                       testConfirm,
		"cancel":                        testCancel,
		"strange texts":                 testTexts,
		"refused before it is sent":     testRefused,
		"stale fence is not sent":       testFence,
		"adopted order takes no new id": testAdopted,
	} {
		t.Run(name, func(t *testing.T) { test(t, b, c) })
	}
}

// ---- building orders -------------------------------------------------------

func termsOf(t *testing.T, c *Connector) record.SalesTerms {
	t.Helper()
	terms, err := c.SalesTerms(t.Context(), false)
	require.NoError(t, err)
	return terms
}

func taxOf(t *testing.T, terms record.SalesTerms, rate string, included bool) record.Tax {
	t.Helper()
	for _, tax := range terms.Taxes {
		if tax.Rate.Equal(dec(rate)) && tax.PriceIncluded == included && strings.HasPrefix(tax.Name, "Towpath") {
			return tax
		}
	}
	t.Fatalf("no tax of %s, included %v", rate, included)
	return record.Tax{}
}

func priceList(t *testing.T, terms record.SalesTerms, currency string) string {
	t.Helper()
	for _, l := range terms.PriceLists {
		if l.Name == "Shop "+currency {
			return l.ID
		}
	}
	t.Fatalf("no price list in %s", currency)
	return ""
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

var customers sync.Map // bench -> id

func (b *bench) customer(t *testing.T, c *Connector) string {
	t.Helper()
	if known, ok := customers.Load(b); ok {
		return known.(string)
	}
	customer, err := c.UpsertParty(t.Context(), record.PartyRow{
		Write: record.Write{XID: record.XID(b.run, "customer", "1")}, Role: record.RoleContact,
		Name: "Suite Customer", Email: b.run + "@example.com", Street: "1 Test Street", City: "Austin", Zip: "73301",
		CountryCode: "US", ProvinceCode: "TX",
	})
	require.NoError(t, err)
	customers.Store(b, customer)
	return customer
}

// order is a plain order of n lines of 10.00 each, plus 20 % forced tax.
func (b *bench) order(t *testing.T, c *Connector, n int) record.OrderRow {
	t.Helper()
	terms := termsOf(t, c)
	key := b.next("order")
	row := record.OrderRow{
		Write:     record.Write{XID: record.XID("suite", "order", key)},
		Reference: key, Origin: "suite", OrderedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		CustomerID: b.customer(t, c), PriceListID: priceList(t, terms, "EUR"), Currency: "EUR", CompanyID: terms.Company,
	}
	tax := taxOf(t, terms, "0.2", false)
	for i := range n {
		row.Lines = append(row.Lines, record.OrderLine{
			XID: record.XID("suite", "line", key, fmt.Sprint(i)), ProductID: terms.ServiceProducts["SHIPPING"],
			Name: fmt.Sprintf("Line %d", i), Quantity: dec("1"), UnitPrice: dec("10"), TaxIDs: []string{tax.ID}, Sequence: i,
			ForcedTax: &record.ForcedTax{Untaxed: dec("10"), ByTax: map[string]decimal.Decimal{tax.ID: dec("2")}},
		})
	}
	return row
}

func read(t *testing.T, c *Connector, id string) record.OrderState {
	t.Helper()
	state, err := c.ReadOrder(t.Context(), record.OrderRef{ID: id})
	require.NoError(t, err)
	return state
}

func upsert(t *testing.T, c *Connector, row record.OrderRow) record.OrderState {
	t.Helper()
	state, err := c.UpsertOrder(t.Context(), row)
	require.NoError(t, err, "%+v", fault.Of(err))
	return state
}

func code(err error) string {
	if f := fault.Of(err); f != nil {
		return f.Code
	}
	return ""
}

func wantCode(t *testing.T, err error, kind fault.Kind, want string) {
	t.Helper()
	require.Error(t, err)
	f := fault.Of(err)
	assert.Equal(t, want, f.Code, "%+v", f)
	assert.Equal(t, kind, f.Kind, "%+v", f)
}

// together runs f(0) … f(n-1) at once.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// ---- the cases -------------------------------------------------------------

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
	terms := termsOf(t, c)
	assert.Equal(t, "USD", terms.CompanyCurrency)
	assert.Equal(t, "US", terms.CompanyCountry)
	assert.False(t, terms.RoundPerLine)
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
	orders, err := c.FindOrders(t.Context(), canaryName)
	require.NoError(t, err)
	assert.Empty(t, orders, "the canary order is cancelled")
}

func testFind(t *testing.T, b *bench, _ *Connector) {
	counted := &countingTransport{latency: 20 * time.Millisecond}
	c := b.open(t, counted)
	termsOf(t, c)
	before := counted.calls.Load()
	together(50, func(i int) {
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

func number(t *testing.T, id string) int64 {
	t.Helper()
	n, err := dbID("id", id)
	require.NoError(t, err)
	return n
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

// testTotals is promise 3: the order totals what the shop charged.
func testTotals(t *testing.T, b *bench, c *Connector) {
	terms := termsOf(t, c)
	require.True(t, terms.ForcedTax)
	for _, rate := range []string{"0.2", "0.055", "0.08875"} {
		for _, included := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s included=%v", rate, included), func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, uint64(len(rate))))
				tax := taxOf(t, terms, rate, included)
				sales := make([]shopOrder, 60)
				for i := range sales {
					sales[i] = generate(random, b.order(t, c, 0), terms, tax)
				}
				together(len(sales), func(i int) {
					want := sales[i]
					state, err := c.UpsertOrder(t.Context(), want.row)
					if assert.NoError(t, err) {
						assert.Equal(t, want.total.StringFixed(2), state.Total.StringFixed(2), "total of %+v", want.row.Lines)
						assert.Equal(t, want.tax.StringFixed(2), state.Tax.StringFixed(2), "tax of %+v", want.row.Lines)
						assert.Equal(t, "EUR", state.Currency)
					}
					// Written again, and again under its id: nothing is recomputed.
					again, err := c.UpsertOrder(t.Context(), want.row)
					if assert.NoError(t, err) {
						want.row.ID = again.ID
						known, err := c.UpsertOrder(t.Context(), want.row)
						assert.NoError(t, err)
						assert.Equal(t, []string{state.ID, state.Total.String(), state.Tax.String()}, []string{again.ID, again.Total.String(), again.Tax.String()})
						assert.Equal(t, []string{state.ID, state.Total.String(), state.Tax.String()}, []string{known.ID, known.Total.String(), known.Tax.String()})
					}
				})
			})
		}
	}
}

// shopOrder is an order and what the shop charged for it.
type shopOrder struct {
	row        record.OrderRow
	total, tax decimal.Decimal
}

// generate makes an order of 1–6 lines with odd cents, discounts as lines of
// their own and shipping; the shop rounds tax half up, line by line.
func generate(random *rand.Rand, row record.OrderRow, terms record.SalesTerms, tax record.Tax) shopOrder {
	sale := shopOrder{row: row}
	taxOn := func(amount decimal.Decimal) decimal.Decimal {
		if tax.PriceIncluded {
			return amount.Sub(amount.Div(tax.Rate.Add(dec("1")))).Round(2)
		}
		return amount.Mul(tax.Rate).Round(2)
	}
	add := func(product, name string, quantity, price, amount decimal.Decimal) {
		untaxed := quantity.Mul(price)
		sale.total = sale.total.Add(untaxed)
		if tax.PriceIncluded {
			untaxed = untaxed.Sub(amount)
		} else {
			sale.total = sale.total.Add(amount)
		}
		sale.tax = sale.tax.Add(amount)
		n := len(sale.row.Lines)
		sale.row.Lines = append(sale.row.Lines, record.OrderLine{
			XID: record.XID("suite", "line", row.Reference, fmt.Sprint(n)), ProductID: product, Name: name,
			Quantity: quantity, UnitPrice: price, TaxIDs: []string{tax.ID}, Sequence: n,
			ForcedTax: &record.ForcedTax{Untaxed: untaxed, ByTax: map[string]decimal.Decimal{tax.ID: amount}},
		})
	}
	cents := func(n int) decimal.Decimal { return decimal.New(int64(random.IntN(n)+1), -2) }
	for range random.IntN(6) + 1 {
		quantity, price := decimal.NewFromInt(int64(random.IntN(7)+1)), cents(20000)
		gross := quantity.Mul(price)
		add("5", "Goods", quantity, price, taxOn(gross))
		if random.IntN(3) == 0 {
			off := decimal.Min(cents(500), gross)
			add(terms.ServiceProducts["DISCOUNT"], "Discount", dec("1"), off.Neg(), taxOn(gross.Sub(off)).Sub(taxOn(gross)))
		}
	}
	if shipping := cents(1500); random.IntN(2) == 0 {
		add(terms.ServiceProducts["SHIPPING"], "Shipping", dec("1"), shipping, taxOn(shipping))
	}
	return sale
}

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

// countingTransport counts calls and can lose the answer of a load.
type countingTransport struct {
	calls atomic.Int64
	lose  atomic.Int64 // answers to lose
	what  string       // of requests that contain this
	// latency keeps calls in flight for a while, as a real network does.
	latency time.Duration
}

var errLost = errors.New("connection reset by peer")

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	time.Sleep(c.latency)
	var body string
	if r.GetBody != nil && c.what != "" {
		copied, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		raw, _ := io.ReadAll(copied)
		body = string(raw)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && c.what != "" && (strings.Contains(body, c.what) || strings.Contains(r.URL.Path, c.what)) && c.lose.Add(-1) >= 0 {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, errLost
	}
	return resp, err
}

func testLostAnswer(t *testing.T, b *bench, c *Connector) {
	customer := b.customer(t, c)
	lossy := &countingTransport{what: "suite.order"}
	target := b.open(t, lossy)
	termsOf(t, target)
	row := b.order(t, target, 2)
	require.Equal(t, customer, row.CustomerID)

	lossy.lose.Store(1)
	state := upsert(t, target, row)
	assert.Negative(t, lossy.lose.Load(), "one answer was lost and the load sent again")
	assert.Equal(t, "24", state.Total.String())
	assert.True(t, state.Quarantine.After(time.Now().Add(time.Minute)), "the lost call may still be running")
	found, err := c.FindOrders(t.Context(), row.Reference)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Len(t, read(t, c, state.ID).Lines, 2)
	assert.True(t, found[0].Quarantine.IsZero())

	lossy.lose.Store(2)
	_, err = target.UpsertOrder(t.Context(), row)
	require.Error(t, err)
	assert.Equal(t, fault.Uncertain, fault.Of(err).Kind, "lost twice: the caller must know")

	lossy.lose.Store(0)
	confirming := &countingTransport{what: "action_confirm"}
	confirming.lose.Store(1)
	confirmed, err := b.open(t, confirming).ConfirmOrder(t.Context(), record.Write{XID: row.XID})
	require.NoError(t, err)
	assert.Equal(t, record.StageConfirmed, confirmed.Stage)
	assert.Zero(t, confirming.lose.Load(), "it was not confirmed again")
}

func testEdit(t *testing.T, b *bench, c *Connector) {
	for _, confirmed := range []bool{false, true} {
		t.Run(fmt.Sprintf("confirmed=%v", confirmed), func(t *testing.T) {
			row := b.order(t, c, 3)
			state := upsert(t, c, row)
			if confirmed {
				_, err := c.ConfirmOrder(t.Context(), record.Write{XID: row.XID, ID: state.ID})
				require.NoError(t, err)
			}
			// One line changes, one goes, one comes; the header changes.
			row.ID = state.ID
			row.Gone = []string{row.Lines[2].XID}
			row.Lines = row.Lines[:2]
			row.Lines[0].Quantity = dec("3")
			row.Lines[0].ForcedTax.Untaxed = dec("30")
			for tax := range row.Lines[0].ForcedTax.ByTax {
				row.Lines[0].ForcedTax.ByTax[tax] = dec("6.01")
			}
			row.Lines = append(row.Lines, record.OrderLine{
				XID: record.XID("suite", "line", row.Reference, "new"), ProductID: "5", Name: "New", Quantity: dec("2"), UnitPrice: dec("4.5"),
			})
			row.Note = "leave at the door"
			edited := upsert(t, c, row)
			assert.Equal(t, state.ID, edited.ID)
			assert.Equal(t, "57.01", edited.Total.String(), "36.01 + 12 + 9")
			assert.Equal(t, map[bool]int{false: 3, true: 4}[confirmed], len(edited.Lines), "gone lines are zeroed once confirmed")
			again := upsert(t, c, row)
			assert.Equal(t, "57.01", again.Total.String())
			assert.Len(t, again.Lines, len(edited.Lines))
			prices := map[string]string{}
			for _, l := range again.Lines {
				prices[l.Name] = l.UnitPrice.String() + "×" + l.Quantity.String()
			}
			want := map[string]string{"Line 0": "10×3", "Line 1": "10×1", "New": "4.5×2"}
			if confirmed {
				want["Line 2"] = "10×0"
			}
			assert.Empty(t, cmp.Diff(want, prices))

			// Without its id, as after a crash before the binding was stored.
			row.ID = ""
			recovered := upsert(t, c, row)
			assert.Equal(t, state.ID, recovered.ID)
			assert.Equal(t, "57.01", recovered.Total.String())
		})
	}
}

func testGuards(t *testing.T, b *bench, c *Connector) {
	row := b.order(t, c, 1)
	row.ID = "99999999"
	_, err := c.UpsertOrder(t.Context(), row)
	wantCode(t, err, fault.Conflict, "odoo.deleted_in_odoo")
	_, err = c.ReadOrder(t.Context(), record.OrderRef{ID: "99999999"})
	wantCode(t, err, fault.NotFound, "odoo.order_missing")

	row.ID = ""
	state := upsert(t, c, row)
	row.ID = state.ID
	_, err = c.ConfirmOrder(t.Context(), record.Write{ID: state.ID})
	require.NoError(t, err)
	require.NoError(t, c.rpc.Call(t.Context(), "sale.order", "action_lock", []int64{number(t, state.ID)}, nil, nil, nil))
	_, err = c.UpsertOrder(t.Context(), row)
	wantCode(t, err, fault.Conflict, "odoo.order_locked")
	_, err = c.CancelOrder(t.Context(), record.Write{ID: state.ID})
	wantCode(t, err, fault.Conflict, "odoo.order_locked")
	require.NoError(t, c.rpc.Call(t.Context(), "sale.order", "action_unlock", []int64{number(t, state.ID)}, nil, nil, nil))
	cancelled, err := c.CancelOrder(t.Context(), record.Write{ID: state.ID})
	require.NoError(t, err)
	assert.Equal(t, record.StageCancelled, cancelled.Stage)
	_, err = c.UpsertOrder(t.Context(), row)
	wantCode(t, err, fault.Conflict, "odoo.order_cancelled")
	_, err = c.ConfirmOrder(t.Context(), record.Write{ID: state.ID})
	wantCode(t, err, fault.Conflict, "odoo.order_cancelled")
}

func testConfirm(t *testing.T, b *bench, c *Connector) {
	const n = 12
	ids := make([]string, n)
	rows := make([]record.OrderRow, n)
	for i := range rows {
		rows[i] = b.order(t, c, 1)
	}
	rows[3].Lines = nil // confirming it would be a mistake
	together(n, func(i int) { ids[i] = upsert(t, c, rows[i]).ID })
	_, err := c.CancelOrder(t.Context(), record.Write{ID: ids[5]})
	require.NoError(t, err)
	_, err = c.ConfirmOrder(t.Context(), record.Write{ID: ids[7]})
	require.NoError(t, err)

	together(n, func(i int) {
		state, err := c.ConfirmOrder(t.Context(), record.Write{XID: rows[i].XID, ID: ids[i]})
		switch i {
		case 3:
			assert.Equal(t, "odoo.order_empty", code(err))
		case 5:
			assert.Equal(t, "odoo.order_cancelled", code(err))
		default:
			if assert.NoError(t, err) {
				assert.Equal(t, record.StageConfirmed, state.Stage)
				assert.Equal(t, rows[i].XID, state.XID)
				assert.Equal(t, "12", state.Total.String())
			}
		}
	})
	again, err := c.ConfirmOrder(t.Context(), record.Write{ID: ids[0]})
	require.NoError(t, err)
	assert.Equal(t, record.StageConfirmed, again.Stage)
	_, err = c.ConfirmOrder(t.Context(), record.Write{XID: record.XID("suite", "order", "never made")})
	wantCode(t, err, fault.NotFound, "odoo.order_missing")
}

func testCancel(t *testing.T, b *bench, c *Connector) {
	confirmed := func(n int) (string, int64) {
		state := upsert(t, c, b.order(t, c, n))
		_, err := c.ConfirmOrder(t.Context(), record.Write{ID: state.ID})
		require.NoError(t, err)
		return state.ID, number(t, state.ID)
	}
	for range 2 {
		draft := upsert(t, c, b.order(t, c, 1))
		for range 2 {
			state, err := c.CancelOrder(t.Context(), record.Write{ID: draft.ID})
			require.NoError(t, err)
			assert.Equal(t, record.StageCancelled, state.Stage)
		}
	}

	delivered, _ := confirmed(1)
	line := number(t, read(t, c, delivered).Lines[0].ID)
	b.deliver(t, c, line)
	_, err := c.CancelOrder(t.Context(), record.Write{ID: delivered})
	wantCode(t, err, fault.Conflict, "odoo.cancel_needs_decision")

	plain, _ := confirmed(1)
	state, err := c.CancelOrder(t.Context(), record.Write{ID: plain})
	require.NoError(t, err)
	assert.Equal(t, record.StageCancelled, state.Stage)

	if b.post == nil {
		return // this one has no invoices
	}
	invoiced, n := confirmed(1)
	b.post(t, c, n)
	assert.True(t, read(t, c, invoiced).Invoiced)
	_, err = c.CancelOrder(t.Context(), record.Write{ID: invoiced})
	wantCode(t, err, fault.Conflict, "odoo.cancel_needs_decision")
	assert.Equal(t, record.StageConfirmed, read(t, c, invoiced).Stage)
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

// staleFences knows of a newer pass over every object.
type staleFences struct{}

func (staleFences) Current(context.Context, []record.FenceKey) (map[record.FenceKey]bool, error) {
	return nil, nil
}

func testFence(t *testing.T, b *bench, c *Connector) {
	row := b.order(t, c, 1)
	stale := &bench{settings: b.settings, run: b.run}
	stale.settings.Runtime.Fences = staleFences{}
	row.Fence = record.FenceKey{Connection: "suite", Kind: record.KindOrder, ExternalID: row.Reference, Fence: 1}
	_, err := stale.open(t, nil).UpsertOrder(t.Context(), row)
	require.Error(t, err)
	assert.Equal(t, "batch.superseded", code(err))
	found, err := c.FindOrders(t.Context(), row.Reference)
	require.NoError(t, err)
	assert.Empty(t, found)
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
