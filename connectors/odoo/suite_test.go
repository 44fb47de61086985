package odoo

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
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
	// shelf makes a location below the warehouse's stock; stock says how much of a
	// product is at a location.
	shelf  func(t *testing.T, name string, below int64) int64
	stock  func(t *testing.T, product, location int64, quantity string)
	run    string // part of every external id, so that one database serves many runs
	serial atomic.Int64
	// One Odoo is reached over several transports. Over one of them everything is
	// tried; the others are thin, and leave out what Towpath makes of answers that
	// it understands, however they came. Examples that are drawn at random are
	// dealt out: this bench gets those of its number, of so many benches.
	thin            bool
	number, benches int
}

// deals tells whether the i-th example is for this bench.
func (b *bench) deals(i int) bool { return b.benches == 0 || i%b.benches == b.number }

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
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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
	tests := map[string]func(*testing.T, *bench, *Connector){
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
		"orders by the page":            testOrderStates,
		"records in bulk":               testRecords,
		"a record's money is exact":     testRecordMoney,
		"records refused":               testRecordsRefused,
		"records in lanes":              testRecordLanes,
		"records: required fields":      testRequiredFields,
		"records: stock levels":         testStockLevels,
		"records: variants":             testVariants,
	}
	if !b.thin {
		tests["records: changes of stock"] = testStockChanges
		tests["records: lanes of stock"] = testStockLanes
		tests["records: variants changed"] = testVariantsChanged
		tests["records: variants made anew"] = testVariantsAnew
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) { tests[name](t, b, c) })
	}
}

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

func number(t *testing.T, id string) int64 {
	t.Helper()
	n, err := dbID("id", id)
	require.NoError(t, err)
	return n
}
