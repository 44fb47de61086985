package shopify

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"towpath/connectors/shopify/shopifyschema"
)

// Every document, in both kinds of money, is valid in Shopify's own schema of
// every version that a connection may pin, and uses nothing deprecated there.
func TestDocumentsFitEveryPublishedSchema(t *testing.T) {
	require.Equal(t, shopifyschema.Versions(), Versions)
	for _, version := range Versions {
		t.Run(version, func(t *testing.T) {
			schema := shopifyschema.Require(t, version)
			for _, money := range []string{moneyShop, moneyPresentment} {
				for _, op := range documentsFor(money).all() {
					doc, errs := gqlparser.LoadQueryWithRules(schema, op.document, rules.NewDefaultRules())
					require.Empty(t, errs, "%s in %s", op.name, money)
					require.NotNil(t, doc.Operations.ForName(op.name), op.name)
				}
			}
		})
	}
}

// Names that are sent or compared as values exist in every version.
func TestNamesFitEveryPublishedSchema(t *testing.T) {
	for _, version := range Versions {
		t.Run(version, func(t *testing.T) {
			schema := shopifyschema.Require(t, version)
			for _, topic := range wantedTopics {
				assert.NotNil(t, schema.Types["WebhookSubscriptionTopic"].EnumValues.ForName(topic), topic)
			}
			for _, c := range schema.Types["CurrencyCode"].EnumValues {
				assert.Equal(t, c.Name != "XXX", currencies[c.Name], c.Name)
			}
			for code := range currencies {
				assert.NotNil(t, schema.Types["CurrencyCode"].EnumValues.ForName(code), code)
			}
		})
	}
}

func TestEveryDocumentIsListed(t *testing.T) {
	var names []string
	for _, op := range documentsFor(moneyShop).all() {
		names = append(names, op.name)
	}
	slices.Sort(names)
	assert.Equal(t, []string{
		"ActivateStock", "CreateHook", "CreateOptions", "CreateVariants", "CustomerByXID", "CustomerCount", "CustomerKeys", "CustomerRecords", "CustomersByID",
		"DefineXID", "Hooks", "Items", "Levels", "LevelsOfItems", "Locations", "Order", "OrderCount", "OrderLines", "OrderRefunds", "Orders",
		"ProductByXID", "ProductCount", "ProductKeys", "ProductRecords", "ProductsByID", "RefundLines", "Scopes", "SetCustomer", "SetProduct", "SetStock", "Shop", "ShopCurrency", "Siblings",
		"UpdateAddress", "UpdateCustomer", "UpdateHook", "UpdateOption", "UpdateProduct", "UpdateVariants",
		"VariantByXID", "VariantCount", "VariantKeys", "VariantRecords", "VariantsByID",
	}, names)
}
