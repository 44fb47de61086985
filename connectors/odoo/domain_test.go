package odoo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
)

// A domain whose operator lacks a term would take the bounds of the page for it.
func TestDomainsAreClosed(t *testing.T) {
	for filter, good := range map[string]bool{
		`[]`: true, `[["a", "=", 1]]`: true, `[["a", "=", 1], ["b", "=", 2]]`: true, `["|", ["a", "=", 1], ["b", "=", 2]]`: true,
		`["!", ["a", "=", 1], "&", ["b", "=", 2], ["c", "=", 3]]`: true, `["|", "|", ["a", "=", 1], ["b", "=", 2], "!", ["c", "=", 3]]`: true,
		`["|", ["a", "=", 1]]`: false, `["&"]`: false, `["!"]`: false, `[["a", "=", 1], "|", ["b", "=", 2]]`: false,
		`[["a", "="]]`: false, `["a"]`: false, `[1]`: false, `{"a": 1}`: false, `[`: false,
	} {
		_, err := domain(connectors.RecordQuery{Filter: filter})
		if good {
			require.NoError(t, err, filter)
			continue
		}
		require.Error(t, err, filter)
		require.Equal(t, "odoo.bad_filter", fault.Of(err).Code, filter)
	}
}
