package contract

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/record"
)

func TestRefs(t *testing.T) {
	for text, want := range map[string]Ref{
		"order/shop/5001":             {Connection: "shop", Kind: record.KindOrder, ExternalID: "5001"},
		"product/files/P1":            {Connection: "files", Kind: record.KindProduct, ExternalID: "P1"},
		"customer/shop/gid://x/1":     {Connection: "shop", Kind: record.KindCustomer, ExternalID: "gid://x/1"},
		"price/erp/7":                 {Connection: "erp", Kind: record.KindPrice, ExternalID: "7"},
		"inventory/shop/12@Main Yard": {Connection: "shop", Kind: record.KindInventory, ExternalID: "12@Main Yard"},
	} {
		got, err := ParseRef(text)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, text, got.String())
	}
	for _, bad := range []string{"", "5001", "order/shop", "order//5001", "order/shop/", "address/shop/1", "Order/shop/1"} {
		_, err := ParseRef(bad)
		assert.ErrorContains(t, err, "names no object: write order/SHOP/ID", bad)
	}
}
