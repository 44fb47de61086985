package odoo

import (
	"fmt"
	"maps"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

func attributesOf(names [2]string, colors, sizes []any) []any {
	list := []any{record.Values{"name": names[0], "values": colors}}
	if sizes != nil {
		list = append(list, record.Values{"name": names[1], "values": sizes})
	}
	return list
}

// shirts are templates in two colors and two sizes; Blue costs more.
type shirts struct {
	b      *bench
	c      *Connector
	names  [2]string // of their attributes: color and size
	colors []any
	sizes  []any
	combos []string // their variants, in this order: Blue and L, Blue and M, Red and L, Red and M
	ids    []string
}

func makeShirts(t *testing.T, b *bench, c *Connector, many int) *shirts {
	t.Helper()
	s := &shirts{b: b, c: c, names: [2]string{b.next("Color"), b.next("Size")}, ids: make([]string, many),
		colors: []any{"Red", record.Values{"name": "Blue", "extra": dec("2.5")}}, sizes: []any{"M", "L"}}
	for _, color := range []string{"Blue", "Red"} {
		for _, size := range []string{"L", "M"} {
			s.combos = append(s.combos, fmt.Sprintf("%s=%s; %s=%s", s.names[0], color, s.names[1], size))
		}
	}
	together(many, func(n int) {
		var err error
		s.ids[n], err = c.WriteRecord(t.Context(), s.row(n, s.full()))
		assert.NoError(t, err)
	})
	return s
}

func (s *shirts) full() []any { return attributesOf(s.names, s.colors, s.sizes) }

func (s *shirts) row(n int, attributes []any) record.Row {
	return record.Row{Model: "product.template", Write: record.Write{XID: record.XID(s.b.run, "template", s.names[0], fmt.Sprint(n))},
		Values: record.Values{"name": fmt.Sprintf("Shirt %d", n), "list_price": dec("20"), "attributes": attributes}}
}

// first writes the first shirt, known by its id.
func (s *shirts) first(t *testing.T, values record.Values) {
	t.Helper()
	row := s.row(0, nil)
	row.ID, row.Values = s.ids[0], values
	_, err := s.c.WriteRecord(t.Context(), row)
	require.NoError(t, err)
}

// variant writes a variant of the first shirt.
func (s *shirts) variant(t *testing.T, combination any, values record.Values) (string, error) {
	values["product_tmpl_id"], values["combination"] = record.Values{"id": s.ids[0]}, combination
	return s.c.WriteRecord(t.Context(), record.Row{Model: "product.product", Write: record.Write{XID: record.XID(s.b.run, "variant", s.b.next("v"))}, Values: values})
}

// stockKeeping gives each variant a SKU and a barcode.
func (s *shirts) stockKeeping(t *testing.T) (variants, skus []string) {
	variants, skus = make([]string, len(s.combos)), make([]string, len(s.combos))
	together(len(s.combos), func(n int) {
		skus[n] = s.b.next("SKU")
		var err error
		variants[n], err = s.variant(t, s.combos[n], record.Values{"default_code": skus[n], "barcode": skus[n] + "B"})
		assert.NoError(t, err)
	})
	return variants, skus
}

// testVariants writes products with attributes in bulk, and their variants with
// SKU and price.
func testVariants(t *testing.T, b *bench, c *Connector) {
	ctx, s := t.Context(), makeShirts(t, b, c, 8)
	names, combos, ids := s.names, s.combos, s.ids
	before := variantsOf(t, c, ids[0])
	require.ElementsMatch(t, combos, before.active)
	found, err := c.FindRecords(ctx, "product.attribute", "name", []string{names[0]})
	require.NoError(t, err)
	require.Len(t, found[names[0]], 1, "one attribute, however many asked for it at once")

	// The same again, by external id and by id, changes nothing.
	again, err := c.WriteRecord(ctx, s.row(0, s.full()))
	require.NoError(t, err)
	require.Equal(t, ids[0], again)
	s.first(t, s.row(0, s.full()).Values)
	require.Equal(t, before, variantsOf(t, c, ids[0]))

	// What was written is read.
	back, err := c.RecordsByID(ctx, "product.template", ids[:1], []string{"name", "attributes"})
	require.NoError(t, err)
	spelt := fmt.Sprintf("%s=Blue,Red; %s=L,M", names[0], names[1])
	require.Equal(t, spelt, back[0].Values["attributes"], "sorted by name")

	// As text, in any order, it is the same; extra prices stay.
	s.first(t, record.Values{"attributes": fmt.Sprintf("%s=M, L;%s = Red,Blue", names[1], names[0])})
	require.Equal(t, before, variantsOf(t, c, ids[0]))

	// Variants are found by their values, in any order and spelling of a combination.
	variants, skus := s.stockKeeping(t)
	same, err := s.variant(t, record.Values{names[1]: "M", names[0]: "Red"}, record.Values{"default_code": skus[3]})
	require.NoError(t, err)
	require.Equal(t, variants[3], same)
	same, err = s.variant(t, names[1]+"=M;"+names[0]+"= Red", record.Values{})
	require.NoError(t, err)
	require.Equal(t, variants[3], same)
	read, err := c.RecordsByID(ctx, "product.product", variants, []string{"default_code", "barcode", "combination", "lst_price", "product_tmpl_id"})
	require.NoError(t, err)
	for _, v := range read {
		n := indexOf(variants, v.ID)
		require.Equal(t, skus[n], v.Values["default_code"])
		require.Equal(t, skus[n]+"B", v.Values["barcode"])
		require.Equal(t, combos[n], v.Values["combination"])
		require.Equal(t, []string{"22.5", "22.5", "20", "20"}[n], v.Values["lst_price"].(decimal.Decimal).String())
	}
	_, err = s.variant(t, names[0]+"=Green; "+names[1]+"=M", record.Values{"default_code": "x"})
	wantCode(t, err, fault.NotFound, "odoo.no_such_variant")
	plain, err := c.WriteRecord(ctx, record.Row{Model: "product.product", Write: record.Write{ID: variants[0]},
		Values: record.Values{"product_tmpl_id": ids[0], "combination": combos[0], "default_code": skus[0]}})
	require.NoError(t, err)
	require.Equal(t, variants[0], plain)

	// A variant cannot become another; what says nothing new of it is good.
	for _, other := range []record.Values{{"combination": combos[1]}, {"combination": nil}, {"product_tmpl_id": ids[1]}} {
		_, err = c.WriteRecord(ctx, record.Row{Model: "product.product", Write: record.Write{ID: variants[0]}, Values: over(record.Values{"combination": combos[0]}, other)})
		wantCode(t, err, fault.Conflict, "odoo.other_variant")
	}
	same, err = c.WriteRecord(ctx, record.Row{Model: "product.product", Write: record.Write{ID: variants[0]}, Values: record.Values{"combination": names[1] + "=L;" + names[0] + "=Blue"}})
	require.NoError(t, err)
	require.Equal(t, variants[0], same)
}

// testVariantsChanged changes which attributes products have: some none, some
// other ones, and refuses what are no attributes.
func testVariantsChanged(t *testing.T, b *bench, c *Connector) {
	ctx, s := t.Context(), makeShirts(t, b, c, 2)
	names, combos, ids := s.names, s.combos, s.ids
	variants, _ := s.stockKeeping(t)

	// A template without attributes has one variant, which needs no combination.
	mug, err := c.WriteRecord(ctx, record.Row{Model: "product.template", Write: record.Write{XID: record.XID(b.run, "template", b.next("mug"))},
		Values: record.Values{"name": "Mug", "attributes": nil}})
	require.NoError(t, err)
	only, err := c.WriteRecord(ctx, record.Row{Model: "product.product", Write: record.Write{XID: record.XID(b.run, "variant", b.next("v"))},
		Values: record.Values{"product_tmpl_id": mug, "default_code": b.next("SKU")}})
	require.NoError(t, err)
	require.Equal(t, variantSet{ids: []string{only}, active: []string{""}}, variantsOf(t, c, mug))

	// Names may hold the signs that part them.
	odd, err := c.WriteRecord(ctx, record.Row{Model: "product.template", Write: record.Write{XID: record.XID(b.run, "template", b.next("odd"))},
		Values: record.Values{"name": "Rope", "attributes": b.run + `-Length\=m=1\,5 m,2 m`}})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{b.run + `-Length\=m=1\,5 m`, b.run + `-Length\=m=2 m`}, variantsOf(t, c, odd).active)

	// A vanished value takes its variants along: archived where they were used, else
	// deleted. The others stay as they are; one that comes back is found again.
	order := b.order(t, c, 1)
	order.Lines[0].ProductID = variants[0] // Blue, L
	upsert(t, c, order)
	s.first(t, s.row(0, attributesOf(names, s.colors, s.sizes[:1])).Values)
	after := variantsOf(t, c, ids[0])
	require.ElementsMatch(t, []string{combos[1], combos[3]}, after.active)
	require.Equal(t, []string{variants[0]}, after.archived)
	s.first(t, s.row(0, s.full()).Values)
	after = variantsOf(t, c, ids[0])
	require.ElementsMatch(t, combos, after.active)
	require.Contains(t, after.ids, variants[0])
	require.Contains(t, after.ids, variants[3])

	// A vanished attribute, and one more.
	third := b.next("Cut")
	s.first(t, record.Values{"attributes": []any{record.Values{"name": names[0], "values": []any{"Red", "Green"}}, record.Values{"name": third, "values": []any{"Slim"}}}})
	require.ElementsMatch(t, []string{
		fmt.Sprintf("%s=Red; %s=Slim", names[0], third), fmt.Sprintf("%s=Green; %s=Slim", names[0], third),
	}, variantsOf(t, c, ids[0]).active)

	for _, bad := range []any{
		"Color", []any{"Color"}, []any{record.Values{"name": "Color"}}, []any{record.Values{"name": "Color", "values": []any{""}}},
		[]any{record.Values{"name": "Color", "values": []any{"Red", "Red"}}},
		[]any{record.Values{"name": "Color", "values": []any{record.Values{"name": "Red", "extra": "much"}}}},
	} {
		_, err = c.WriteRecord(ctx, s.row(0, nil))
		require.NoError(t, err, "without attributes")
		refused := s.row(1, nil)
		refused.Values["attributes"] = bad
		_, err = c.WriteRecord(ctx, refused)
		wantCode(t, err, fault.Invalid, codeInvalid)
		require.Equal(t, "attributes", fault.Of(err).Field)
	}
}

func over(base, more record.Values) record.Values {
	all := maps.Clone(base)
	maps.Copy(all, more)
	return all
}

type variantSet struct{ ids, active, archived []string }

func variantsOf(t *testing.T, c *Connector, template string) (set variantSet) {
	t.Helper()
	page, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "product.product", Fields: []string{"combination"}, Archived: true,
		Filter: fmt.Sprintf(`[["product_tmpl_id", "=", %s]]`, template)}, "", 100)
	require.NoError(t, err)
	for _, r := range page.Records {
		set.ids = append(set.ids, r.ID)
		if combination, _ := r.Values["combination"].(string); r.Archived {
			set.archived = append(set.archived, r.ID)
		} else {
			set.active = append(set.active, combination)
		}
	}
	return set
}

func indexOf(all []string, one string) int {
	for i, v := range all {
		if v == one {
			return i
		}
	}
	return -1
}
