package shopify

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/fault"
)

func nodeOf(t *testing.T, text string) (n node) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &n))
	return n
}

func TestWeightsAreKilograms(t *testing.T) {
	for text, want := range map[string]string{
		`{"value": 250.0, "unit": "GRAMS"}`: "0.25", `{"value": 0.1, "unit": "KILOGRAMS"}`: "0.1",
		`{"value": 2, "unit": "POUNDS"}`: "0.90718474", `{"value": 16, "unit": "OUNCES"}`: "0.45359237",
	} {
		n := nodeOf(t, `{"inventoryItem": {"measurement": {"weight": `+text+`}}}`)
		assert.Equal(t, want, readWeight(n).(interface{ String() string }).String(), text)
	}
	assert.Nil(t, readWeight(nodeOf(t, `{"inventoryItem": {"measurement": {"weight": null}}}`)))
	assert.Nil(t, readWeight(nodeOf(t, `{"inventoryItem": {"measurement": {"weight": {"value": 1, "unit": "STONES"}}}}`)))
}

// Options are written as they are read.
func TestOptionsAsText(t *testing.T) {
	part := rapid.StringMatching(`[A-Za-z0-9äß][A-Za-z0-9äß /.,"-]{0,10}[a-z]`)
	rapid.Check(t, func(t *rapid.T) {
		var all []any
		names := rapid.SliceOfNDistinct(part, 1, 3, rapid.ID).Draw(t, "options")
		slices.Sort(names) // as they are written
		for _, name := range names {
			all = append(all, map[string]any{"name": name, "value": part.Draw(t, "value") + rapid.SampledFrom([]string{"", "=", "=1"}).Draw(t, "end")})
		}
		n := node{"selectedOptions": all}
		back, err := parseOptions(optionText(n).(string))
		require.NoError(t, err)
		require.Equal(t, realOptions(n), back)
	})
	for _, bad := range []string{"Red", "=Red", "Color=", "a=1;b=2;c=3;d=4", "Color=A;B", "Color=Red,Blue"} {
		_, err := parseOptions(bad)
		assert.Equal(t, "options", fault.Of(err).Field, bad)
	}
	assert.Nil(t, optionText(nodeOf(t, `{"selectedOptions": [{"name": "Title", "value": "Default Title"}]}`)))
}

func TestLocationsInFilters(t *testing.T) {
	for filter, want := range map[string]struct {
		rest string
		only []int64
	}{
		"":                                      {"", nil},
		"location_id:5":                         {"", []int64{5}},
		"location_id:5 AND inventory_item_id:7": {"inventory_item_id:7", []int64{5}},
		`location_id:"5" location_id:6`:         {"", []int64{5, 6}},
		"inventory_item_id:7":                   {"inventory_item_id:7", nil},
	} {
		rest, only := onlyLocations(filter)
		assert.Equal(t, want.rest, rest, filter)
		assert.Equal(t, want.only, only, filter)
	}
}

// Refusals name our fields, wherever Shopify's input has them.
func TestRefusalsNameOurFields(t *testing.T) {
	for _, c := range []struct {
		model string
		path  []string
		want  string
	}{
		{modelVariant, []string{"variants", "3", "price"}, "price"},
		{modelVariant, []string{"variants", "3", "inventoryItem", "sku"}, "sku"},
		{modelVariant, []string{"variants", "0", "inventoryItem", "measurement", "weight", "value"}, "weight"},
		{modelVariant, []string{"variants", "0"}, "options"},
		{modelProduct, []string{"input", "title"}, "title"},
		{modelCustomer, []string{"input", "phone"}, "phone"},
		{modelCustomer, []string{"input", "addresses", "0", "phone"}, "addressPhone"},
		{modelCustomer, []string{"address", "countryCode"}, "addressCountryCode"},
		{modelLevel, []string{"input", "quantities", "2", "quantity"}, "input.quantities.quantity"},
		{modelProduct, nil, ""},
	} {
		assert.Equal(t, c.want, recordModels[c.model].named(c.path), "%v", c.path)
	}
}

// What Shopify says of a mutation, and what is done about it.
func TestUserErrors(t *testing.T) {
	for code, want := range map[string]fault.Kind{
		"CHANGE_FROM_QUANTITY_STALE": fault.Conflict, "IDEMPOTENCY_CONCURRENT_REQUEST": fault.Transient, "PRODUCT_DOES_NOT_EXIST": fault.NotFound,
		"TAKEN": fault.Invalid, "SOMETHING_NEW": fault.Invalid,
	} {
		f := userError{Code: code, Message: "secret words"}.fault(recordModels[modelVariant])
		assert.Equal(t, want, f.Kind, code)
		assert.NotContains(t, f.Error(), "secret")
		assert.NotEmpty(t, f.Resolution)
	}
	assert.Equal(t, fault.Transient, saved{}.errors()[0].fault(recordModels[modelProduct]).Kind, "no answer at all")
}
