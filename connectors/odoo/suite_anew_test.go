package odoo

import (
	"fmt"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// testVariantsAnew changes the attributes of a template: Odoo keeps its variants,
// or deletes or archives them and makes others, which are found by their values.
// All share the template's price.
func testVariantsAnew(t *testing.T, b *bench, c *Connector) {
	ctx := t.Context()
	color, fit, size := b.next("Color"), b.next("Fit"), b.next("Size")
	template, err := c.WriteRecord(ctx, record.Row{Model: "product.template", Write: record.Write{XID: record.XID(b.run, "template", color)},
		Values: record.Values{"name": "Cap", "list_price": dec("20"), "attributes": color + "=Red,Blue"}})
	require.NoError(t, err)
	attributes := func(text string) {
		t.Helper()
		_, err := c.WriteRecord(ctx, record.Row{Model: "product.template", Write: record.Write{ID: template}, Values: record.Values{"attributes": text}})
		require.NoError(t, err)
	}
	heirs := func(combination string) []string {
		t.Helper()
		found, err := c.Successors(ctx, "product.product", []record.Values{{"default_code": "x"}, {"product_tmpl_id": template, "combination": combination}})
		require.NoError(t, err)
		require.Nil(t, found[0], "nothing says which variant it is")
		require.NotNil(t, found[1])
		return found[1]
	}
	there := func(id string) *record.Sourced {
		t.Helper()
		found, err := c.RecordsByID(ctx, "product.product", []string{id}, []string{"combination", "default_code", "list_price", "lst_price"})
		require.NoError(t, err)
		if len(found) == 0 {
			return nil
		}
		return &found[0]
	}
	red, blue := heirs(color+"=Red"), heirs(color+"=Blue")
	require.Len(t, red, 1)
	require.Len(t, blue, 1)
	require.Empty(t, heirs(color+"=Green"))
	sku := b.next("SKU")
	_, err = c.WriteRecord(ctx, record.Row{Model: "product.product", Write: record.Write{ID: blue[0]}, Values: record.Values{"default_code": sku}})
	require.NoError(t, err)
	order := b.order(t, c, 1)
	order.Lines[0].ProductID = blue[0]
	upsert(t, c, order)

	list, err := c.WriteRecord(ctx, record.Row{Model: "product.pricelist", Write: record.Write{XID: record.XID(b.run, "list", color)}, Values: record.Values{"name": b.next("List")}})
	require.NoError(t, err)
	rule := func(name, variant string) string {
		t.Helper()
		id, err := c.WriteRecord(ctx, record.Row{Model: "product.pricelist.item", Write: record.Write{XID: record.XID(b.run, "price", color+name)},
			Values: record.Values{"pricelist_id": list, "product_id": variant, "applied_on": "0_product_variant", "compute_price": "fixed", "fixed_price": dec("7")}})
		require.NoError(t, err)
		return id
	}
	rules := func(ids ...string) (there []string) {
		t.Helper()
		found, err := c.RecordsByID(ctx, "product.pricelist.item", ids, []string{"product_id"})
		require.NoError(t, err)
		for _, r := range found {
			there = append(there, r.ID)
		}
		return there
	}
	ofRed, ofBlue := rule("red", red[0]), rule("blue", blue[0])
	// One attribute more with a single value: the variants stay. Another instead: too.
	attributes(color + "=Red,Blue; " + fit + "=Slim")
	require.Equal(t, red, heirs(fmt.Sprintf("%s=Red; %s=Slim", color, fit)))
	attributes(color + "=Red,Blue; " + fit + "=Wide")
	require.Equal(t, red, heirs(fmt.Sprintf("%s=Red; %s=Wide", color, fit)))
	attributes(color + "=Red,Blue")
	require.Equal(t, red, heirs(color+"=Red"))
	require.Equal(t, blue, heirs(color+"=Blue"))

	// One with two values makes others: what was sold is archived, the rest deleted.
	attributes(color + "=Red,Blue; " + size + "=M,L")
	require.Nil(t, there(red[0]), "nothing refers to it")
	old := there(blue[0])
	require.NotNil(t, old)
	require.True(t, old.Archived)
	anew := heirs(fmt.Sprintf("%s=M; %s=Blue", size, color))
	require.Len(t, anew, 1)
	require.NotContains(t, []string{red[0], blue[0]}, anew[0])
	// Prices of a variant go with it, behind the back of their external ids.
	require.Equal(t, []string{ofBlue}, rules(ofRed, ofBlue))
	again := rule("red", heirs(fmt.Sprintf("%s=M; %s=Red", size, color))[0])
	require.NotEqual(t, ofRed, again)
	require.Equal(t, []string{again}, rules(ofRed, again))

	// An archived one is found by its SKU until an active one has it.
	find := func() []string {
		t.Helper()
		found, err := c.FindRecords(ctx, "product.product", "default_code", []string{sku})
		require.NoError(t, err)
		return found[sku]
	}
	require.Equal(t, blue, find())
	_, err = c.WriteRecord(ctx, record.Row{Model: "product.product", Write: record.Write{ID: anew[0]}, Values: record.Values{"default_code": sku}})
	require.NoError(t, err)
	require.Equal(t, anew, find())

	// What is written as a variant's price is its template's, and so all variants'.
	price := func(id, field, value string) record.Row {
		return record.Row{Model: "product.product", Write: record.Write{ID: id}, Values: record.Values{field: dec(value), "default_code": sku}}
	}
	for _, field := range []string{"list_price", "lst_price"} {
		refused, err := c.RefuseRows(ctx, []record.Row{price(anew[0], field, "20"), price(anew[0], field, "21"), {Model: "product.template", Write: record.Write{ID: template}, Values: record.Values{"list_price": dec("21")}}})
		require.NoError(t, err)
		require.NoError(t, refused[0], "it says nothing new")
		require.NoError(t, refused[2], "the template's own")
		wantCode(t, refused[1], fault.Conflict, "odoo.shared_price")
		require.Equal(t, field, fault.Of(refused[1]).Field)
	}
	other := heirs(fmt.Sprintf("%s=L; %s=Red", size, color))
	_, err = c.WriteRecord(ctx, price(anew[0], "lst_price", "30"))
	require.NoError(t, err)
	require.Equal(t, "30", there(other[0]).Values["lst_price"].(decimal.Decimal).String(), "this is what is refused")

	// The one variant of a template may have its price written.
	attributes("")
	page, err := c.ReadRecords(ctx, connectors.RecordQuery{Model: "product.product", Filter: fmt.Sprintf(`[["product_tmpl_id", "=", %s]]`, template)}, "", 10)
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
	refused, err := c.RefuseRows(ctx, []record.Row{price(page.Records[0].ID, "list_price", "31"), price(blue[0], "list_price", "31")})
	require.NoError(t, err)
	require.NoError(t, refused[0], "archived ones are sold no more")
	wantCode(t, refused[1], fault.Conflict, "odoo.shared_price")

	for _, c := range []struct {
		model  string
		fields []string
		bad    bool
	}{
		{"product.product", []string{"default_code", "list_price"}, false},
		{"product.product", []string{"combination", "default_code"}, false},
		{"product.template", []string{"attributes", "list_price"}, false},
		{"product.product", []string{"product_tmpl_id", "list_price"}, true},
		{"product.product", []string{"combination", "lst_price"}, true},
	} {
		err := (*Connector)(nil).RefuseFields(c.model, c.fields)
		require.Equal(t, c.bad, err != nil, "%v", c)
		if c.bad {
			wantCode(t, err, fault.Invalid, "odoo.shared_price")
			require.Contains(t, fault.Of(err).Resolution, "kind price")
		}
	}
}
