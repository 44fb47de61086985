package odoo

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

func field(t *testing.T, fields []record.FieldInfo, name string) record.FieldInfo {
	t.Helper()
	i := slices.IndexFunc(fields, func(f record.FieldInfo) bool { return f.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return fields[i]
}

// testRecords writes partners in bulk, reads them back page by page, and finds
// them by a key.
func testRecords(t *testing.T, b *bench, c *Connector) {
	ctx := t.Context()
	began, err := c.SourceNow(ctx)
	require.NoError(t, err)
	fields, err := c.RecordFields(ctx, "res.partner")
	require.NoError(t, err)
	require.Equal(t, record.TypeText, field(t, fields, "name").Type)
	require.Equal(t, record.TypeBoolean, field(t, fields, "is_company").Type)
	require.Equal(t, record.TypeSelection, field(t, fields, "type").Type)
	require.Contains(t, field(t, fields, "type").Options, "invoice")
	require.Equal(t, "res.country", field(t, fields, "country_id").Relation)

	us, california := only(t, c, "res.country", "code", "US"), only(t, c, "res.country.state", "name", "California")
	run := b.next("records")
	row := func(n int) record.Row {
		return record.Row{Model: "res.partner", Write: record.Write{XID: record.XID(run, "customer", fmt.Sprint(n))}, Values: record.Values{
			"name": fmt.Sprintf("Record %d ☃ \"quoted\"", n), "email": fmt.Sprintf("%s-%d@example.com", run, n), "is_company": n%2 == 0,
			"country_id": record.Values{"id": us}, "state_id": california, "zip": "007", "type": "contact",
		}}
	}
	const many = 25
	ids := make([]string, many)
	var wg sync.WaitGroup
	for n := range many {
		wg.Go(func() {
			var err error
			ids[n], err = c.WriteRecord(ctx, row(n))
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	again, err := c.WriteRecord(ctx, row(3))
	require.NoError(t, err)
	require.Equal(t, ids[3], again, "the same external id is the same record")

	q := connectors.RecordQuery{
		Model: "res.partner", Fields: []string{"name", "is_company", "zip", "country_id.code", "state_id.country_id.code", "street"},
		Filter: fmt.Sprintf(`[["email", "like", %q]]`, run+"-"),
	}
	count, err := c.CountRecords(ctx, q)
	require.NoError(t, err)
	require.EqualValues(t, many, count)
	now, err := c.SourceNow(ctx)
	require.NoError(t, err)
	var read []record.Sourced
	for after, pages := "", 0; ; pages++ {
		page, err := c.ReadRecords(ctx, q, after, 10)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Records), 10)
		read = append(read, page.Records...)
		if page.Next == "" {
			require.LessOrEqual(t, pages, 3)
			break
		}
		after = page.Next
	}
	require.Len(t, read, many)
	slices.Sort(ids)
	got := make([]string, many)
	for i, r := range read {
		got[i] = r.ID
		require.Equal(t, "007", r.Values["zip"])
		require.Equal(t, "US", r.Values["country_id"].(record.Values)["code"])
		require.Equal(t, "US", r.Values["state_id"].(record.Values)["country_id"].(record.Values)["code"])
		require.NotContains(t, r.Values, "street", "what is empty is absent")
		require.IsType(t, true, r.Values["is_company"])
		require.False(t, r.Changed.Before(began.Add(-time.Second)) || r.Changed.After(now.Add(time.Second)), "%s is not of %s to %s", r.Changed, began, now)
	}
	slices.Sort(got)
	require.Equal(t, ids, got)

	// A window by Odoo's own clock holds them all, and none after it.
	q.Since, q.Until = began.Add(-5*time.Minute), now.Add(time.Minute)
	count, err = c.CountRecords(ctx, q)
	require.NoError(t, err)
	require.EqualValues(t, many, count)
	q.Since, q.Until = now.Add(time.Minute), time.Time{}
	count, err = c.CountRecords(ctx, q)
	require.NoError(t, err)
	require.Zero(t, count)

	// By key; and one value that nobody has.
	mail := row(7).Values["email"].(string)
	found, err := c.FindRecords(ctx, "res.partner", "email", []string{mail, "nobody@example.com", ""})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Len(t, found[mail], 1)

	// As Odoo itself compares them, and as they would be written.
	typed := "Typed." + b.next("By-Hand") + "@Example.com"
	_, err = c.WriteRecord(ctx, record.Row{Model: "res.partner", Write: record.Write{XID: record.XID(b.run, "customer", typed)},
		Values: record.Values{"name": "Typed in", "email": typed, "ref": typed}})
	require.NoError(t, err)
	byMail := only(t, c, "res.partner", "email", strings.ToLower(typed))
	require.Equal(t, byMail, only(t, c, "res.partner", "email", strings.ToUpper(typed)))
	require.Equal(t, byMail, only(t, c, "res.partner", "email", typed))
	require.Equal(t, byMail, only(t, c, "res.partner", "ref", " "+typed+"\t"))
	none, err := c.FindRecords(ctx, "res.partner", "ref", []string{strings.ToLower(typed)})
	require.NoError(t, err)
	require.Empty(t, none, "else to the letter")

	// A field that is nil is emptied, one that is not there is left alone; archived ones are read by id.
	changed := record.Row{Model: "res.partner", Write: record.Write{ID: found[mail][0]}, Values: record.Values{"zip": nil, "active": false}}
	_, err = c.WriteRecord(ctx, changed)
	require.NoError(t, err)
	back, err := c.RecordsByID(ctx, "res.partner", []string{found[mail][0], "99999999"}, []string{"zip", "name"})
	require.NoError(t, err)
	require.Len(t, back, 1)
	require.True(t, back[0].Archived)
	require.NotContains(t, back[0].Values, "zip")
	require.Equal(t, row(7).Values["name"], back[0].Values["name"])
}

// testRecordMoney writes a price that binary floats cannot hold, and several
// references, and reads them back.
func testRecordMoney(t *testing.T, b *bench, c *Connector) {
	ctx := t.Context()
	sku, terms := b.next("SKU"), termsOf(t, c)
	taxes := []any{taxOf(t, terms, "0.2", false).ID, record.Values{"id": taxOf(t, terms, "0.055", false).ID}}
	id, err := c.WriteRecord(ctx, record.Row{Model: "product.product", Write: record.Write{XID: record.XID(b.run, "product", sku)}, Values: record.Values{
		"name": "Priced", "default_code": sku, "list_price": dec("19.99"), "taxes_id": taxes,
	}})
	require.NoError(t, err)
	back, err := c.RecordsByID(ctx, "product.product", []string{id}, []string{"list_price", "default_code", "taxes_id"})
	require.NoError(t, err)
	require.Len(t, back, 1)
	require.Equal(t, "19.99", back[0].Values["list_price"].(decimal.Decimal).Round(noise).String())
	require.Equal(t, sku, back[0].Values["default_code"])
	require.ElementsMatch(t, []any{record.Values{"id": taxes[0]}, taxes[1]}, back[0].Values["taxes_id"])
}

func testRecordsRefused(t *testing.T, b *bench, c *Connector) {
	ctx := t.Context()
	row := func(values record.Values) record.Row {
		return record.Row{Model: "res.partner", Write: record.Write{XID: record.XID(b.run, "customer", b.next("bad"))}, Values: values}
	}
	for name, r := range map[string]record.Row{
		"no such field":    row(record.Values{"name": "N", "nofield": "x"}),
		"read-only field":  row(record.Values{"name": "N", "create_date": time.Now()}),
		"no reference":     row(record.Values{"name": "N", "country_id": "Germany"}),
		"no value at all":  row(record.Values{"name": struct{}{}}),
		"no external id":   {Model: "res.partner", Values: record.Values{"name": "N"}},
		"not our own name": {Model: "res.partner", Write: record.Write{XID: "base.main_partner"}, Values: record.Values{"name": "N"}},
	} {
		_, err := c.WriteRecord(ctx, r)
		require.Error(t, err, name)
		wantCode(t, err, fault.Invalid, codeInvalid)
		require.NotEmpty(t, fault.Of(err).Field, name)
	}
	for _, q := range []connectors.RecordQuery{
		{Model: "res.partner", Filter: "no JSON"},
		{Model: "res.partner", Fields: []string{"nofield"}},
		{Model: "res.partner", Fields: []string{"name.length"}},
	} {
		_, err := c.ReadRecords(ctx, q, "", 10)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		require.NotEmpty(t, fault.Of(err).Resolution)
	}
}

// only gives the id of the one record with a value.
func only(t *testing.T, c *Connector, model, field, value string) string {
	t.Helper()
	found, err := c.FindRecords(t.Context(), model, field, []string{value})
	require.NoError(t, err)
	require.Len(t, found[value], 1)
	return found[value][0]
}

// testRequiredFields: of what Odoo requires, only what nobody fills in is left
// to the mapping, and a load of just that succeeds.
func testRequiredFields(t *testing.T, b *bench, c *Connector) {
	for model, want := range map[string][]string{
		"product.product": {"name"}, "product.template": {"name"}, "res.partner": nil, "product.pricelist.item": nil,
		"sale.order": {"partner_id"}, "product.pricelist": {"name"}, "product.attribute": {"name"},
	} {
		fields, err := c.RecordFields(t.Context(), model)
		require.NoError(t, err)
		var needed []string
		for _, f := range fields {
			if f.Required && !f.Defaulted {
				needed = append(needed, f.Name)
			}
		}
		require.Equal(t, want, needed, model)
	}
	for _, model := range []string{"product.product", "product.template"} {
		sku := b.next("SKU")
		id, err := c.WriteRecord(t.Context(), record.Row{Model: model, Write: record.Write{XID: record.XID(b.run, model, sku)},
			Values: record.Values{"name": "Plain", "default_code": sku, "list_price": dec("9.99")}})
		require.NoError(t, err)
		back, err := c.RecordsByID(t.Context(), model, []string{id}, []string{"list_price", "default_code", "type"})
		require.NoError(t, err)
		require.Equal(t, "9.99", back[0].Values["list_price"].(decimal.Decimal).String())
		require.Equal(t, sku, back[0].Values["default_code"])
		require.Equal(t, "consu", back[0].Values["type"])
	}
}
