package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"towpath/connectors"
	"towpath/connectors/shopify"
	"towpath/connectors/shopify/shopifyschema"
	"towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/internal/graph"
	"towpath/schema/fault"
	"towpath/schema/record"
)

type recordDoor interface {
	connectors.RecordSource
	connectors.RecordTarget
	connectors.RecordIDs
}

// judge is a transport that checks every request and answer by the published
// schema of the version that it was asked in.
type judge struct {
	t      *testing.T
	schema *ast.Schema
	web    *http.Transport
	mu     sync.Mutex
	seen   map[string]bool
}

func (j *judge) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := j.web.RoundTrip(r)
	if err != nil || j.schema == nil || !strings.HasSuffix(r.URL.Path, "graphql.json") {
		return resp, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	var req graph.Request
	decode(j.t, body, &req)
	doc, err := parser.ParseQuery(&ast.Source{Input: req.Query})
	if !assert.NoError(j.t, err) {
		return resp, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen[req.OperationName] = true
	assert.Empty(j.t, graph.Judge(j.schema, doc, doc.Operations[0], req.Variables), req.OperationName)
	var reply struct{ Data map[string]any }
	decode(j.t, answer, &reply)
	if reply.Data != nil {
		assert.Empty(j.t, graph.Check(j.schema, doc, doc.Operations[0], reply.Data), req.OperationName)
	}
	return resp, nil
}

func decode(t *testing.T, raw []byte, into any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	assert.NoError(t, d.Decode(into))
}

func records(t *testing.T, s *simulator.Shop, version string) (recordDoor, *judge) {
	t.Helper()
	j := &judge{t: t, seen: map[string]bool{}, web: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(j.web.CloseIdleConnections)
	if version != "" {
		j.schema = shopifyschema.Require(t, version)
	} else {
		version = "2026-10"
	}
	config, err := json.Marshal(map[string]any{
		"shop": s.Domain(), "api_url": s.URL(), "access_token": s.AccessToken(), "webhook_secrets": []string{"x"}, "api_version": version,
	})
	require.NoError(t, err)
	c, err := shopify.Definition.Open(connectors.Settings{Name: "shop", Config: config, Runtime: connectors.Runtime{Transport: j}})
	require.NoError(t, err)
	return c.(recordDoor), j
}

// rich are options of a shop whose cost bucket holds nobody up.
var rich = simulator.Options{BucketSize: 1_000_000, RestoreRate: 1_000_000}

func d(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// readAll reads a query to the end.
func readAll(t *testing.T, c recordDoor, q connectors.RecordQuery, limit int, between func(page int)) (all []record.Sourced) {
	t.Helper()
	after := ""
	for page := 0; ; page++ {
		got, err := c.ReadRecords(t.Context(), q, after, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got.Records), limit)
		all = append(all, got.Records...)
		if after = got.Next; after == "" {
			return all
		}
		if between != nil {
			between(page)
		}
	}
}

func ids(all []record.Sourced) (ids []string) {
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

func count(t *testing.T, c recordDoor, q connectors.RecordQuery) int {
	t.Helper()
	n, err := c.CountRecords(t.Context(), q)
	require.NoError(t, err)
	return int(n)
}

func write(t *testing.T, c recordDoor, row record.Row) string {
	t.Helper()
	id, err := c.WriteRecord(t.Context(), row)
	require.NoError(t, err)
	return id
}

func one(t *testing.T, c recordDoor, model, id string) record.Values {
	t.Helper()
	got, err := c.RecordsByID(t.Context(), model, []string{id}, nil)
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0].Values
}

// Each thing that the connector does with records is asked and answered as the
// published schemas have it, in every version.
func TestRecordsInEveryPublishedSchema(t *testing.T) {
	for _, version := range shopify.Versions {
		t.Run(version, func(t *testing.T) {
			s := start(t, rich)
			c, j := records(t, s, version)
			shelf := s.AddLocation("Berlin")
			ctx := t.Context()

			variant := write(t, c, record.Row{Model: "ProductVariant", Write: record.Write{XID: "x.variant.1"}, Values: record.Values{
				"sku": "A-1", "barcode": "400", "price": d("19.99"), "compareAtPrice": d("25"), "cost": d("7.125"), "weight": d("0.25"), "taxable": true,
				"tracked": true, "productTitle": "Apron", "productVendor": "Acme", "productTags": "b, a", "productActive": true,
				"countryCodeOfOrigin": "DE",
			}})
			got := one(t, c, "ProductVariant", variant)
			for name, want := range map[string]string{"price": "19.99", "compareAtPrice": "25", "cost": "7.125", "weight": "0.25"} {
				assert.True(t, d(want).Equal(got[name].(decimal.Decimal)), "%s: %v", name, got[name])
			}
			product := got["product"].(record.Values)
			assert.Equal(t, "Apron", got["productTitle"])
			assert.Equal(t, "Apron", product["title"])
			assert.Equal(t, "a, b", got["productTags"])
			assert.Equal(t, "A-1", got["sku"])
			assert.Equal(t, true, got["active"])
			assert.NotContains(t, got, "options", "a product without options has none")

			shirt := write(t, c, record.Row{Model: "Product", Write: record.Write{XID: "x.product.2"}, Values: record.Values{"title": "Shirt"}})
			second := write(t, c, record.Row{Model: "ProductVariant", Write: record.Write{XID: "x.variant.2"}, Values: record.Values{
				"product": shirt, "options": "Color=Red; Size=M", "price": d("5"), "sku": "A-2",
			}})
			third := write(t, c, record.Row{Model: "ProductVariant", Write: record.Write{XID: "x.variant.3"}, Values: record.Values{
				"product": record.Values{"id": shirt}, "options": "Size=L; Color=Red", "price": d("5"), "productVendor": "Acme",
			}})
			assert.NotEqual(t, second, third)
			_, err := c.WriteRecord(ctx, record.Row{Model: "ProductVariant", Write: record.Write{XID: "x.variant.4"}, Values: record.Values{
				"product": product["id"], "options": "Color=Red"}})
			assert.Equal(t, "shopify.variant_taken", fault.Of(err).Code, "the apron has no options, and one who owns it")
			got = one(t, c, "ProductVariant", second)
			assert.Equal(t, "Color=Red; Size=M", got["options"])
			assert.Equal(t, []any{"Red", "M"}, []any{got["option1"], got["option2"]})
			write(t, c, record.Row{Model: "ProductVariant", Write: record.Write{ID: second}, Values: record.Values{
				"price": d("6.5"), "barcode": nil, "productTitle": "Apron, long"}})
			got = one(t, c, "ProductVariant", second)
			assert.Equal(t, "6.5", got["price"].(decimal.Decimal).String())
			assert.Equal(t, "Apron, long", got["productTitle"])

			made := write(t, c, record.Row{Model: "Product", Write: record.Write{XID: "x.product.1"}, Values: record.Values{"title": "Lamp", "tags": nil}})
			write(t, c, record.Row{Model: "Product", Write: record.Write{ID: made}, Values: record.Values{"active": false, "vendor": "Lux"}})
			got = one(t, c, "Product", made)
			assert.Equal(t, []any{"ARCHIVED", "Lux", false}, []any{got["status"], got["vendor"], got["active"]})

			ada := record.Row{Model: "Customer", Write: record.Write{XID: "x.customer.1"}, Values: record.Values{
				"email": "ada@example.com", "firstName": "Ada", "addressCity": "Paris", "addressCountryCode": "FR"}}
			customer := write(t, c, ada)
			write(t, c, record.Row{Model: "Customer", Write: record.Write{ID: customer}, Values: record.Values{
				"note": "VIP", "taxExempt": true, "addressCity": "Lyon"}})
			got = one(t, c, "Customer", customer)
			assert.Equal(t, []any{"ada@example.com", "VIP", true, "Lyon", "FR"}, []any{got["email"], got["note"], got["taxExempt"],
				got["addressCity"], got["defaultAddress"].(record.Values)["countryCodeV2"]})
			bare := write(t, c, record.Row{Model: "Customer", Write: record.Write{XID: "x.customer.2"}, Values: record.Values{"lastName": "Bare"}})
			write(t, c, record.Row{Model: "Customer", Write: record.Write{ID: bare}, Values: record.Values{"addressZip": "007"}})
			assert.Equal(t, "007", one(t, c, "Customer", bare)["addressZip"])

			level := write(t, c, record.Row{Model: "InventoryLevel", Values: record.Values{
				"variant": second, "locationId": fmt.Sprint(shelf), "available": d("5")}})
			write(t, c, record.Row{Model: "InventoryLevel", Write: record.Write{ID: level}, Values: record.Values{"on_hand": d("7"), "compare_quantity": d("5")}})
			got = one(t, c, "InventoryLevel", level)
			assert.Equal(t, []any{"A-2", second, "Berlin", "A-2@Berlin", fmt.Sprint(shelf)}, []any{
				got["sku"], got["variant"].(record.Values)["id"], got["locationName"], got["skuAtLocation"], got["locationId"]})
			assert.Equal(t, "7", got["available"].(decimal.Decimal).String())

			for model, want := range map[string]int{"Product": 3, "ProductVariant": 4, "Customer": 2, "InventoryLevel": 1} {
				q := connectors.RecordQuery{Model: model, Archived: true}
				assert.Equal(t, want, count(t, c, q), model)
				assert.Len(t, readAll(t, c, q, 1, nil), want, model)
				some, next, err := c.ReadIDs(ctx, q, "", 100)
				require.NoError(t, err)
				assert.Len(t, some, want)
				assert.Empty(t, next)
			}
			assert.Equal(t, 2, count(t, c, connectors.RecordQuery{Model: "Product"}), "the lamp is archived")
			began := time.Now()
			now, err := c.SourceNow(ctx)
			require.NoError(t, err)
			assert.WithinRange(t, now, began.Add(-5*time.Second), time.Now().Add(5*time.Second))

			found, err := c.FindRecords(ctx, "InventoryLevel", "skuAtLocation", []string{"A-2@Berlin", "A-2@Rome"})
			require.NoError(t, err)
			assert.Equal(t, map[string][]string{"A-2@Berlin": {level}}, found)
			if j.schema != nil {
				assert.Len(t, j.seen, 32, "every operation on records, and that for the clock: %v", j.seen)
			}
		})
	}
}

// A reading neither skips nor repeats what changes meanwhile, though all its
// records were changed in one second, and it survives records that go.
func TestReadingWhileRecordsChange(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	opts := rich
	opts.Now = func() time.Time { return now }
	s := start(t, opts)
	goods := simulator.Catalog(1000)
	s.AddGoods(goods...)
	c, _ := records(t, s, "")
	q := connectors.RecordQuery{Model: "ProductVariant", Fields: []string{"sku", "price"}, Since: now, Until: now.Add(time.Hour)}
	all := readAll(t, c, q, 70, func(page int) {
		now = now.Add(time.Minute)
		s.ChangeGood(goods[0].ID, func(g *simulator.Good) { g.Price = d("1") })   // read already
		s.ChangeGood(goods[950].ID, func(g *simulator.Good) { g.Price = d("2") }) // still to be read
		if page == 3 {
			s.ChangeGood(goods[900].ID, nil)
		}
	})
	assert.Len(t, all, 999)
	assert.True(t, slices.IsSortedFunc(all, func(a, b record.Sourced) int { return strings.Compare(a.ID, b.ID) }))
	assert.Len(t, slices.Compact(ids(all)), 999)
	assert.Equal(t, "variant:4000000000001", all[0].ID)
	assert.Equal(t, 999, count(t, c, q), "counted id by id: Shopify does not count variants by filters")

	q = connectors.RecordQuery{Model: "ProductVariant", Since: now}
	assert.Equal(t, []string{"variant:4000000000001", "variant:4000000000951"}, ids(readAll(t, c, q, 50, nil)), "since is included")
	q = connectors.RecordQuery{Model: "ProductVariant", Until: now}
	assert.Len(t, readAll(t, c, q, 250, nil), 997, "until is not")

	q = connectors.RecordQuery{Model: "ProductVariant", From: "4000000000100", To: "4000000000200"}
	bounded := readAll(t, c, q, 30, nil)
	assert.Len(t, bounded, 100)
	assert.Equal(t, 100, count(t, c, q))
	assert.Equal(t, "variant:4000000000101", bounded[0].ID)

	some, next, err := c.ReadIDs(t.Context(), connectors.RecordQuery{Model: "ProductVariant"}, "", 400)
	require.NoError(t, err)
	rest, end, err := c.ReadIDs(t.Context(), connectors.RecordQuery{Model: "ProductVariant"}, next, 1000)
	require.NoError(t, err)
	assert.Len(t, some, 400)
	assert.Len(t, rest, 599)
	assert.Empty(t, end)
}

// A variant is as new as its product, of which it holds title and status, though
// Shopify does not touch the variant when those change.
func TestVariantsOfChangedProducts(t *testing.T) {
	for name, changed := range map[string]int{"few": 3, "as many as a search names": 250, "more": 251} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
			opts := rich
			opts.Now = func() time.Time { return now }
			s := start(t, opts)
			goods := simulator.Catalog(400)
			s.AddGoods(goods...)
			now = now.Add(time.Hour)
			since := now
			s.ChangeGood(goods[399].ID, func(g *simulator.Good) { g.Price = d("1") })
			products, want := map[int64]bool{}, map[string]bool{fmt.Sprintf("variant:%d", goods[399].ID): true}
			for _, g := range goods {
				if len(products) < changed && !products[g.ProductID] {
					products[g.ProductID] = true
					s.ChangeProduct(g.ProductID, func(p *simulator.Product) { p.Title = "New title" })
				}
				if products[g.ProductID] {
					want[fmt.Sprintf("variant:%d", g.ID)] = true
				}
			}
			require.Len(t, products, changed)
			now = now.Add(time.Hour)
			c, _ := records(t, s, "")
			q := connectors.RecordQuery{Model: "ProductVariant", Fields: []string{"sku", "product.title"}, Since: since, Until: now}
			all := readAll(t, c, q, 100, nil)
			require.Len(t, all, len(want))
			for _, r := range all {
				assert.True(t, want[r.ID], r.ID)
				assert.Equal(t, since, r.Changed, "the later of both times")
			}
			assert.Equal(t, "New title", all[0].Values["product"].(record.Values)["title"])
			assert.Equal(t, len(want), count(t, c, q))
			some, _, err := c.ReadIDs(t.Context(), q, "", 1000)
			require.NoError(t, err)
			assert.Equal(t, ids(all), some)

			s.ChangeProduct(goods[0].ProductID, func(p *simulator.Product) { p.Status = "ARCHIVED" })
			s.ChangeProduct(goods[1].ProductID, nil)
			later := connectors.RecordQuery{Model: "ProductVariant", Since: now, Until: now.Add(time.Minute), Archived: true}
			archived := readAll(t, c, later, 100, nil)
			require.NotEmpty(t, archived)
			for _, r := range archived {
				assert.True(t, r.Archived, r.ID)
			}
			now = now.Add(time.Hour)
			assert.Len(t, readAll(t, c, later, 100, nil), len(archived))
			assert.Empty(t, readAll(t, c, connectors.RecordQuery{Model: "ProductVariant", Since: now}, 100, nil))
		})
	}
}

// Customers are searched by whole days, and told apart by the second.
func TestCustomersOfAWindow(t *testing.T) {
	now := time.Date(2026, 11, 2, 20, 0, 0, 0, time.UTC)
	opts := rich
	opts.Now = func() time.Time { return now }
	s := start(t, opts)
	begin := now
	for i := range 600 {
		s.AddCustomer(simulator.Customer{ID: int64(1000 + i), Email: fmt.Sprintf("c%d@example.com", i)})
		now = now.Add(time.Minute)
	}
	c, _ := records(t, s, "")
	q := connectors.RecordQuery{Model: "Customer", Fields: []string{"email"}, Since: begin.Add(100 * time.Minute), Until: begin.Add(500 * time.Minute)}
	all := readAll(t, c, q, 30, nil)
	require.Len(t, all, 400)
	assert.Equal(t, []string{"shopid:1100", "shopid:1499"}, []string{all[0].ID, all[399].ID})
	assert.Equal(t, 400, count(t, c, q))
	assert.Equal(t, 600, count(t, c, connectors.RecordQuery{Model: "Customer"}))
	some, next, err := c.ReadIDs(t.Context(), q, "", 400)
	require.NoError(t, err)
	assert.Equal(t, ids(all), some)
	assert.Empty(t, next)
}

func TestFiltersAndArchived(t *testing.T) {
	s := start(t, rich)
	goods := simulator.Catalog(10)
	s.AddGoods(goods...)
	s.ChangeProduct(goods[2].ProductID, func(p *simulator.Product) { p.Status = "ARCHIVED"; p.Vendor = "Other" })
	c, _ := records(t, s, "")
	for filter, want := range map[string]int{"": 9, "vendor:Towpath OR vendor:Other": 9, "vendor:Other": 0, `vendor:"Towpath Supplies"`: 9} {
		q := connectors.RecordQuery{Model: "ProductVariant", Filter: filter}
		assert.Equal(t, want, count(t, c, q), filter)
		assert.Len(t, readAll(t, c, q, 4, nil), want, filter)
	}
	q := connectors.RecordQuery{Model: "ProductVariant", Archived: true}
	all := readAll(t, c, q, 100, nil)
	require.Len(t, all, 10)
	assert.True(t, all[2].Archived)
	assert.False(t, all[1].Archived)
	assert.Equal(t, 10, count(t, c, q))
}

// What Shopify does not count to the end is counted id by id.
func TestCountBeyondShopifysLimit(t *testing.T) {
	opts := rich
	opts.CountLimit = 100
	s := start(t, opts)
	s.AddGoods(simulator.Catalog(345)...)
	c, _ := records(t, s, "")
	assert.Equal(t, 345, count(t, c, connectors.RecordQuery{Model: "Product"}))
	assert.Equal(t, 345, count(t, c, connectors.RecordQuery{Model: "ProductVariant", Archived: true}))
}

// Shopify's index finds parts of words and ignores case; what is found here is
// what was asked for.
func TestFinding(t *testing.T) {
	s := start(t, rich)
	goods := simulator.Catalog(300)
	goods[0].SKU, goods[1].SKU, goods[2].SKU = `A "quoted" \ (1)`, "a-1", "A-1"
	goods[3].SKU, goods[4].Barcode = "A-1", "4006381333931"
	s.AddGoods(goods...)
	s.AddCustomer(simulator.Customer{ID: 61, Email: "Ada@Example.com", Phone: "+33142000000"})
	s.AddCustomer(simulator.Customer{ID: 62, Email: "not-ada@example.com"})
	c, _ := records(t, s, "")
	asked := []string{`A "quoted" \ (1)`, "A-1", "SKU-000", "", "A-1"}
	for _, g := range goods[100:250] {
		asked = append(asked, g.SKU)
	}
	found, err := c.FindRecords(t.Context(), "ProductVariant", "sku", asked)
	require.NoError(t, err)
	assert.Len(t, found, 152)
	assert.Equal(t, []string{"variant:4000000000001"}, found[asked[0]])
	assert.Equal(t, []string{"variant:4000000000003", "variant:4000000000004"}, found["A-1"], "in order of id, to the letter")
	found, err = c.FindRecords(t.Context(), "ProductVariant", "barcode", []string{"4006381333931", "400"})
	require.NoError(t, err)
	assert.Equal(t, map[string][]string{"4006381333931": {"variant:4000000000005"}}, found)
	found, err = c.FindRecords(t.Context(), "Customer", "email", []string{"ada@example.com"})
	require.NoError(t, err)
	assert.Equal(t, map[string][]string{"ada@example.com": {"shopid:61"}}, found)

	_, err = c.FindRecords(t.Context(), "Customer", "note", []string{"x"})
	assert.Equal(t, "shopify.no_key", fault.Of(err).Code)
	back, err := c.RecordsByID(t.Context(), "ProductVariant", []string{"variant:4000000000003", "variant:5", "variant:4000000000001"}, []string{"sku"})
	require.NoError(t, err)
	assert.Equal(t, []string{"variant:4000000000003", "variant:4000000000001"}, ids(back), "who is gone is missing")
}
