package orders

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaultsAreValid(t *testing.T) {
	assert.Empty(t, Rules{}.Validate())
	assert.Equal(t, Rules{}.WithDefaults(), Rules{}.WithDefaults().WithDefaults())
}

func TestRulesReportAllMistakesAtOnce(t *testing.T) {
	r := Rules{
		Import: "sometimes", CancelUnpaidAfterDays: -1, ImportFrom: "31.1.2026", Guest: SharedCustomer,
		UnknownProduct: Placeholder, UnknownTax: "guess", ProductKeys: []string{"sku", "sku", "title"},
		Taxes: []TaxRule{
			{Rate: dec("20"), TaxID: "6"}, {Rate: dec("0.2"), Country: "France"},
			{Rate: dec("0.1"), TaxID: "1"}, {Rate: dec("0.10"), TaxID: "2"}, {Rate: dec("1e9999"), TaxID: "2"},
		},
		RoundingLimitMax: pointer(dec("5")), RoundingProduct: "DISCOUNT",
	}
	var fields []string
	for _, f := range r.Validate() {
		fields = append(fields, f.Field)
		assert.Equal(t, "orders.rule_invalid", f.Code)
		assert.NotEmpty(t, f.Resolution, f.Field)
	}
	assert.Equal(t, []string{
		"cancel_unpaid_after_days", "import", "import_from", "placeholder_product", "product_keys[1]", "product_keys[2]",
		"rounding_limit_max", "rounding_product", "shared_customer", "taxes[0].rate", "taxes[1].country", "taxes[1].tax_id",
		"taxes[3]", "taxes[4].rate", "unknown_tax",
	}, fields)
}

func TestRevisionFollowsContentNotSpelling(t *testing.T) {
	var a, b Rules
	require.NoError(t, json.Unmarshal([]byte(`{"import":"when_paid","taxes":[{"rate":"0.20","tax_id":"6"}]}`), &a))
	require.NoError(t, json.Unmarshal([]byte(`{"taxes":[{"tax_id":"6","rate":0.2}],"match_by_email":true}`), &b))
	assert.Equal(t, a.Revision(), b.Revision())
	b.MatchByEmail = pointer(false)
	assert.NotEqual(t, a.Revision(), b.Revision())
}
