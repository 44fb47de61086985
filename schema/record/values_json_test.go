package record

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestValuesAreReadBackAsTheyWere(t *testing.T) {
	was := Values{
		"nothing": nil, "yes": true, "text": `<b>"ß"</b>`, "price": decimal.RequireFromString("9999999999999999999.990"),
		"at": time.Date(2026, 11, 22, 12, 0, 0, 5, time.UTC), "day": Date("2026-01-31"),
		"partner": Values{"id": "7", "credit": decimal.RequireFromString("0.1")},
		"tags":    []any{Values{"id": "1"}, "x", decimal.NewFromInt(3)}, "none": []any{},
	}
	raw, err := json.Marshal(was)
	require.NoError(t, err)
	var is Values
	require.NoError(t, json.Unmarshal(raw, &is))
	assert.Equal(t, was["price"].(decimal.Decimal).String(), is["price"].(decimal.Decimal).String())
	again, err := json.Marshal(is)
	require.NoError(t, err)
	assert.JSONEq(t, string(raw), string(again))
	assert.Equal(t, was["at"], is["at"])
	assert.Equal(t, was["day"], is["day"])
	assert.Equal(t, was["partner"].(Values)["id"], is["partner"].(Values)["id"])
	assert.Contains(t, is, "nothing")

	one, err := ParseValue(ValueJSON(was["at"]))
	require.NoError(t, err)
	assert.Equal(t, was["at"], one)
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	var v Values
	require.Error(t, json.Unmarshal([]byte(`{"$time": "2026-01-01T00:00:00Z"}`), &v), "a single value")
	require.Error(t, json.Unmarshal([]byte(`[1]`), &v))
	require.NoError(t, json.Unmarshal([]byte(`null`), &v))
	assert.Nil(t, v)
}
