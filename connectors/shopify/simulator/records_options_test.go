package simulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// A product is made with options; values come and go, options themselves stay.
func TestProductOptions(t *testing.T) {
	s := start(t, rich)
	c, _ := records(t, s, "")
	row := func(options any) record.Row {
		return record.Row{Model: "Product", Write: record.Write{XID: "x.shirt"}, Values: record.Values{"title": "Shirt", "options": options}}
	}
	shirt := write(t, c, row(`Size=M,S; Color=Red, Blue\, dark`))
	require.Equal(t, shirt, write(t, c, row(`Color=Blue\, dark,Red; Size=S,M`)), "the same in another order")
	require.Equal(t, `Color=Blue\, dark,Red; Size=M,S`, one(t, c, "Product", shirt)["options"], "canonical")
	calls, _ := s.Writes("productOptionsCreate")
	require.Equal(t, 1, calls)

	// Its variants: the first is there, in whatever order its values are given.
	variant := func(xid, options string) string {
		t.Helper()
		return write(t, c, record.Row{Model: "ProductVariant", Write: record.Write{XID: xid}, Values: record.Values{"product": shirt, "options": options, "price": d("5")}})
	}
	first, second := variant("x.1", "Color=Red; Size=M"), variant("x.2", `Size=S; Color=Blue\, dark`)
	require.NotEqual(t, first, second)
	require.Equal(t, `Color=Blue\, dark; Size=S`, one(t, c, "ProductVariant", second)["options"])
	page := readAll(t, c, queryOf("ProductVariant", nil), 50, nil)
	require.Len(t, page, 2, "the variant that the product had was taken")

	byID := func(options any) error {
		_, err := c.WriteRecord(t.Context(), record.Row{Model: "Product", Write: record.Write{ID: shirt}, Values: record.Values{"options": options}})
		return err
	}
	require.NoError(t, byID(`Color=Blue\, dark,Red,Green; Size=M,S,XL`))
	require.Equal(t, `Color=Blue\, dark,Green,Red; Size=M,S,XL`, one(t, c, "Product", shirt)["options"])
	require.NoError(t, byID(`Color=Blue\, dark,Red; Size=M,S`), "values without variants go")
	require.Equal(t, `Color=Blue\, dark,Red; Size=M,S`, one(t, c, "Product", shirt)["options"])
	for options, code := range map[any]string{
		"Color=Red; Size=M,S":              "shopify.option_in_use",
		`Colour=Red,Blue\, dark; Size=M,S`: "shopify.other_options",
		`Color=Red,Blue\, dark`:            "shopify.other_options",
		nil:                                "shopify.other_options",
		"Color":                            "shopify.bad_value",
		"A=1; B=2; C=3; D=4":               "shopify.bad_value",
	} {
		f := fault.Of(byID(options))
		require.NotNil(t, f, options)
		assert.Equal(t, code, f.Code, options)
		assert.Equal(t, "options", f.Field)
		assert.NotEmpty(t, f.Resolution)
	}
	require.NoError(t, func() error {
		_, err := c.WriteRecord(t.Context(), record.Row{Model: "Product", Write: record.Write{ID: shirt}, Values: record.Values{"title": "Shirts"}})
		return err
	}(), "what says nothing of options leaves them alone")
	require.Equal(t, `Color=Blue\, dark,Red; Size=M,S`, one(t, c, "Product", shirt)["options"])

	plain := write(t, c, record.Row{Model: "Product", Write: record.Write{XID: "x.plain"}, Values: record.Values{"title": "Mug", "options": nil}})
	require.NotContains(t, one(t, c, "Product", plain), "options")
}
