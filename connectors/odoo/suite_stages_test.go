package odoo

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func testEdit(t *testing.T, b *bench, c *Connector) {
	for _, confirmed := range []bool{false, true} {
		t.Run(fmt.Sprintf("confirmed=%v", confirmed), func(t *testing.T) {
			row := b.order(t, c, 3)
			state := upsert(t, c, row)
			if confirmed {
				_, err := c.ConfirmOrder(t.Context(), record.Write{XID: row.XID, ID: state.ID})
				require.NoError(t, err)
			}
			// One line changes, one goes, one comes; the header changes.
			row.ID = state.ID
			row.Gone = []string{row.Lines[2].XID}
			row.Lines = row.Lines[:2]
			row.Lines[0].Quantity = dec("3")
			row.Lines[0].ForcedTax.Untaxed = dec("30")
			for tax := range row.Lines[0].ForcedTax.ByTax {
				row.Lines[0].ForcedTax.ByTax[tax] = dec("6.01")
			}
			row.Lines = append(row.Lines, record.OrderLine{
				XID: record.XID("suite", "line", row.Reference, "new"), ProductID: "5", Name: "New", Quantity: dec("2"), UnitPrice: dec("4.5"),
			})
			row.Note = "leave at the door"
			edited := upsert(t, c, row)
			assert.Equal(t, state.ID, edited.ID)
			assert.Equal(t, "57.01", edited.Total.String(), "36.01 + 12 + 9")
			assert.Equal(t, map[bool]int{false: 3, true: 4}[confirmed], len(edited.Lines), "gone lines are zeroed once confirmed")
			again := upsert(t, c, row)
			assert.Equal(t, "57.01", again.Total.String())
			assert.Len(t, again.Lines, len(edited.Lines))
			prices := map[string]string{}
			for _, l := range again.Lines {
				prices[l.Name] = l.UnitPrice.String() + "×" + l.Quantity.String()
			}
			want := map[string]string{"Line 0": "10×3", "Line 1": "10×1", "New": "4.5×2"}
			if confirmed {
				want["Line 2"] = "10×0"
			}
			assert.Empty(t, cmp.Diff(want, prices))

			// Without its id, as after a crash before the binding was stored.
			row.ID = ""
			recovered := upsert(t, c, row)
			assert.Equal(t, state.ID, recovered.ID)
			assert.Equal(t, "57.01", recovered.Total.String())
		})
	}
}

func testGuards(t *testing.T, b *bench, c *Connector) {
	row := b.order(t, c, 1)
	row.ID = "99999999"
	_, err := c.UpsertOrder(t.Context(), row)
	wantCode(t, err, fault.Conflict, "odoo.deleted_in_odoo")
	_, err = c.ReadOrder(t.Context(), record.OrderRef{ID: "99999999"})
	wantCode(t, err, fault.NotFound, "odoo.order_missing")

	row.ID = ""
	state := upsert(t, c, row)
	row.ID = state.ID
	_, err = c.ConfirmOrder(t.Context(), record.Write{ID: state.ID})
	require.NoError(t, err)
	require.NoError(t, c.rpc.Call(t.Context(), "sale.order", "action_lock", []int64{number(t, state.ID)}, nil, nil, nil))
	_, err = c.UpsertOrder(t.Context(), row)
	wantCode(t, err, fault.Conflict, "odoo.order_locked")
	_, err = c.CancelOrder(t.Context(), record.Write{ID: state.ID})
	wantCode(t, err, fault.Conflict, "odoo.order_locked")
	require.NoError(t, c.rpc.Call(t.Context(), "sale.order", "action_unlock", []int64{number(t, state.ID)}, nil, nil, nil))
	cancelled, err := c.CancelOrder(t.Context(), record.Write{ID: state.ID})
	require.NoError(t, err)
	assert.Equal(t, record.StageCancelled, cancelled.Stage)
	_, err = c.UpsertOrder(t.Context(), row)
	wantCode(t, err, fault.Conflict, "odoo.order_cancelled")
	_, err = c.ConfirmOrder(t.Context(), record.Write{ID: state.ID})
	wantCode(t, err, fault.Conflict, "odoo.order_cancelled")
}

func testConfirm(t *testing.T, b *bench, c *Connector) {
	const n = 12
	ids := make([]string, n)
	rows := make([]record.OrderRow, n)
	for i := range rows {
		rows[i] = b.order(t, c, 1)
	}
	rows[3].Lines = nil // confirming it would be a mistake
	together(n, func(i int) { ids[i] = upsert(t, c, rows[i]).ID })
	_, err := c.CancelOrder(t.Context(), record.Write{ID: ids[5]})
	require.NoError(t, err)
	_, err = c.ConfirmOrder(t.Context(), record.Write{ID: ids[7]})
	require.NoError(t, err)

	together(n, func(i int) {
		state, err := c.ConfirmOrder(t.Context(), record.Write{XID: rows[i].XID, ID: ids[i]})
		switch i {
		case 3:
			assert.Equal(t, "odoo.order_empty", code(err))
		case 5:
			assert.Equal(t, "odoo.order_cancelled", code(err))
		default:
			if assert.NoError(t, err) {
				assert.Equal(t, record.StageConfirmed, state.Stage)
				assert.Equal(t, rows[i].XID, state.XID)
				assert.Equal(t, "12", state.Total.String())
			}
		}
	})
	again, err := c.ConfirmOrder(t.Context(), record.Write{ID: ids[0]})
	require.NoError(t, err)
	assert.Equal(t, record.StageConfirmed, again.Stage)
	_, err = c.ConfirmOrder(t.Context(), record.Write{XID: record.XID("suite", "order", "never made")})
	wantCode(t, err, fault.NotFound, "odoo.order_missing")
}

func testCancel(t *testing.T, b *bench, c *Connector) {
	confirmed := func(n int) (string, int64) {
		state := upsert(t, c, b.order(t, c, n))
		_, err := c.ConfirmOrder(t.Context(), record.Write{ID: state.ID})
		require.NoError(t, err)
		return state.ID, number(t, state.ID)
	}
	for range 2 {
		draft := upsert(t, c, b.order(t, c, 1))
		for range 2 {
			state, err := c.CancelOrder(t.Context(), record.Write{ID: draft.ID})
			require.NoError(t, err)
			assert.Equal(t, record.StageCancelled, state.Stage)
		}
	}

	delivered, _ := confirmed(1)
	line := number(t, read(t, c, delivered).Lines[0].ID)
	b.deliver(t, c, line)
	_, err := c.CancelOrder(t.Context(), record.Write{ID: delivered})
	wantCode(t, err, fault.Conflict, "odoo.cancel_needs_decision")

	plain, _ := confirmed(1)
	state, err := c.CancelOrder(t.Context(), record.Write{ID: plain})
	require.NoError(t, err)
	assert.Equal(t, record.StageCancelled, state.Stage)

	if b.post == nil {
		return // this one has no invoices
	}
	invoiced, n := confirmed(1)
	b.post(t, c, n)
	assert.True(t, read(t, c, invoiced).Invoiced)
	_, err = c.CancelOrder(t.Context(), record.Write{ID: invoiced})
	wantCode(t, err, fault.Conflict, "odoo.cancel_needs_decision")
	assert.Equal(t, record.StageConfirmed, read(t, c, invoiced).Stage)
}
