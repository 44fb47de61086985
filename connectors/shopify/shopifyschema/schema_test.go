package shopifyschema_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"towpath/connectors/shopify/shopifyschema"
)

func TestEverySupportedVersionLoads(t *testing.T) {
	for _, version := range shopifyschema.Versions() {
		t.Run(version, func(t *testing.T) {
			schema := shopifyschema.Require(t, version)
			assert.Greater(t, len(schema.Types), 2500)
			require.NotNil(t, schema.Query)
			assert.Equal(t, "QueryRoot", schema.Query.Name)
			assert.Equal(t, "Order", schema.Query.Fields.ForName("order").Type.Name())
			assert.NotNil(t, schema.Directives["idempotent"], "the directive of mutations that may be repeated")
		})
	}
}

func TestLoadIsParsedOncePerProcess(t *testing.T) {
	first := shopifyschema.Require(t, "2026-10")
	assert.Same(t, first, shopifyschema.Require(t, "2026-10"))
}

// TestItJudges proves that the loaded schema refuses what Shopify refuses: an
// unknown field, and the stock input that was removed in 2026-04.
func TestItJudges(t *testing.T) {
	const compare = `mutation($q: Int) { inventorySetQuantities(input: {name: "available", reason: "correction",
		quantities: [{inventoryItemId: "1", locationId: "2", quantity: 3, compareQuantity: $q}]}) { userErrors { message } } }`
	for _, c := range []struct {
		name, version, query string
		ok                   bool
	}{
		{"a good query", "2026-10", `{ shop { name currencyCode } }`, true},
		{"an unknown field", "2026-10", `{ shop { nonsense } }`, false},
		{"compareQuantity while it lived", "2026-01", compare, true},
		{"compareQuantity after its removal", "2026-04", compare, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := shopifyschema.Require(t, c.version)
			_, errs := gqlparser.LoadQueryWithRules(schema, c.query, rules.NewDefaultRules())
			assert.Equal(t, c.ok, len(errs) == 0, "%v", errs)
		})
	}
}

func TestAnUnknownVersionIsAnErrorNotASkip(t *testing.T) {
	shopifyschema.Require(t, "2026-10") // the package itself can be had
	_, err := shopifyschema.Load("1999-01")
	require.Error(t, err)
	assert.NotErrorIs(t, err, shopifyschema.ErrUnavailable)
}
