package record

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestXID(t *testing.T) {
	require.Equal(t, "__towpath__.shop.order.5001", XID("shop", "order", "5001"))
	require.Equal(t, "__towpath__.shop.line.5001.77", XID("shop", "line", "5001", "77"))
	require.Equal(t, "__towpath__.shop.sku.A%2EB%20%25%C3%9F%5F", XID("shop", "sku", "A.B %ß_"))
}

// Different records never share an external id, and Odoo takes each.
func TestXIDsDiffer(t *testing.T) {
	valid := regexp.MustCompile(`^[A-Za-z0-9._%-]+$`)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.String(), 1, 4)
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		x, y := XID("shop", "k", a...), XID("shop", "k", b...)
		require.Equal(t, slices.Equal(a, b), x == y)
		require.Regexp(t, valid, x)
		require.Equal(t, len(a)+2, strings.Count(x, "."))
	})
}

func TestVersionsSortAsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time {
			zone := time.FixedZone("z", rapid.IntRange(-12, 14).Draw(t, name+" zone")*3600)
			return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, name), rapid.Int64Range(0, 999999999).Draw(t, name+" ns")).In(zone)
		}
		u1, u2, t1, t2 := at("u1"), at("u2"), at("t1"), at("t2")
		require.Equal(t, u1.Before(u2), NewVersion(u1, time.Time{}) < NewVersion(u2, time.Time{}))
		if !u1.Equal(u2) {
			require.Equal(t, u1.Before(u2), NewVersion(u1, t1) < NewVersion(u2, t2), "the tie-break only breaks ties")
		}
		require.Equal(t, t1.Before(t2), NewVersion(u1, t1) < NewVersion(u1, t2))
	})
}

func TestLineSums(t *testing.T) {
	d := decimal.RequireFromString
	l := Line{Quantity: d("3"), UnitPrice: d("19.99"), Discount: d("0.97"), Taxes: []TaxLine{{Amount: d("9.999")}, {Amount: d("0.001")}}}
	require.Equal(t, "59", l.Net().String())
	require.Equal(t, "10", l.Tax().String())
	require.Equal(t, "0", Line{}.Tax().String())
}

func TestSettledPayments(t *testing.T) {
	for status, settled := range map[PaymentStatus]bool{
		PaymentPending: false, PaymentAuthorized: false, PaymentPartiallyPaid: false, PaymentVoided: false, PaymentExpired: false, "": false,
		PaymentPaid: true, PaymentPartiallyRefunded: true, PaymentRefunded: true,
	} {
		require.Equal(t, settled, status.Settled(), status)
	}
}

// Stored orders are read again as they were: money keeps every digit.
func TestOrderSurvivesJSON(t *testing.T) {
	o := Order{ExternalID: "1", Total: decimal.RequireFromString("0.1000000000000000055"), Lines: []Line{{ExternalID: "l", Quantity: decimal.RequireFromString("1e-9")}}}
	text, err := json.Marshal(o)
	require.NoError(t, err)
	var back Order
	require.NoError(t, json.Unmarshal(text, &back))
	require.True(t, o.Total.Equal(back.Total))
	require.True(t, o.Lines[0].Quantity.Equal(back.Lines[0].Quantity))
	require.Contains(t, string(text), `"total":"0.1000000000000000055"`)
}
