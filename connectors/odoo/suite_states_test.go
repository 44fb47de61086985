package odoo

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/record"
)

// testOrderStates reads a page of orders in one call: money, currency and stage
// as they are, whatever became of them, and no word of those that are gone.
func testOrderStates(t *testing.T, b *bench, c *Connector) {
	const many = 30
	began := time.Now()
	rows, made := make([]record.OrderRow, many), make([]record.OrderState, many)
	for i := range rows {
		rows[i] = b.order(t, c, i%3+1)
		if i == 3 {
			rows[i].Currency, rows[i].PriceListID = "USD", priceList(t, termsOf(t, c), "USD")
		}
	}
	together(many, func(i int) {
		var err error
		made[i], err = c.UpsertOrder(t.Context(), rows[i])
		assert.NoError(t, err)
	})
	_, err := c.ConfirmOrder(t.Context(), record.Write{ID: made[1].ID})
	require.NoError(t, err)
	_, err = c.CancelOrder(t.Context(), record.Write{ID: made[2].ID})
	require.NoError(t, err)

	ids := []string{"2000000000", "no number", made[0].ID}
	for _, m := range made {
		ids = append(ids, m.ID)
	}
	requests := &countingTransport{}
	counted := b.open(t, requests)
	_, err = counted.SalesTerms(t.Context(), false)
	require.NoError(t, err)
	requests.calls.Store(0)
	states, err := counted.OrderStates(t.Context(), ids)
	require.NoError(t, err)
	require.EqualValues(t, 1, requests.calls.Load(), "one call for all")
	require.Len(t, states, many)
	for i, m := range made {
		got := states[m.ID]
		assert.Equal(t, m.ID, got.ID)
		assert.Equal(t, rows[i].Reference, got.Reference)
		assert.Equal(t, fmt.Sprint(12*(i%3+1)), got.Total.String())
		assert.Equal(t, map[bool]string{true: "USD", false: "EUR"}[i == 3], got.Currency)
		switch i {
		case 1:
			assert.Equal(t, record.StageConfirmed, got.Stage)
			assert.False(t, got.OrderedAt.Before(began.Add(-time.Minute)), "confirming moves the date of an order: %s", got.OrderedAt)
		case 2:
			assert.Equal(t, record.StageCancelled, got.Stage)
		default:
			assert.Equal(t, record.StageDraft, got.Stage)
			assert.True(t, rows[i].OrderedAt.Equal(got.OrderedAt), got.OrderedAt)
		}
	}
	none, err := c.OrderStates(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, none)
}
