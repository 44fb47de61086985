package activities

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"towpath/connectors"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/orders"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// TestOldContentAfterThePurge: what the shop said of an order long ago, and says
// once more when nothing newer is kept of it, is not written: the order is read as
// it is now.
func TestOldContentAfterThePurge(t *testing.T) {
	t.Parallel()
	now, pass := clockFrom(time.Now().Add(-time.Hour))
	w, s, server := orderWorld(t, shop.Options{Now: now})
	w.flow(orders.Rules{})
	placed := s.Ledger.Place(draft(shop.Catalog(1)[0], buyer(1)))
	s.Put(placed)
	id := fmt.Sprint(placed.ID)
	old, err := w.doors["shop"].(connectors.OrderReader).ReadOrder(t.Context(), id)
	require.NoError(t, err)
	body, err := json.Marshal(old)
	require.NoError(t, err)
	inbox := w.store.NewInbox(nil)
	t.Cleanup(inbox.Close)
	o := NewOrders(Deps{Store: w.store, Pool: w.doors, Log: zerolog.Nop()})
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(o.ApplyOrder)
	env.RegisterActivity(o.FetchOrder)
	ref := contract.Ref{Connection: "shop", Kind: record.KindOrder, ExternalID: id}
	fetch := func() {
		t.Helper()
		_, err := env.ExecuteActivity(o.FetchOrder, ref)
		require.NoError(t, err)
	}
	apply := func() (out contract.ApplyResult) {
		t.Helper()
		result, err := env.ExecuteActivity(o.ApplyOrder, contract.ApplyInput{Ref: ref, Target: "odoo"})
		require.NoError(t, err)
		require.NoError(t, result.Get(&out))
		return out
	}
	tell := func(delivery string) {
		t.Helper()
		fresh, err := inbox.Accept(t.Context(), []store.Inbound{{Connection: "shop", Format: store.FormatRecord, Body: body, Event: record.Event{
			Kind: record.KindOrder, ExternalID: id, Topic: "orders/create", Complete: true, DeliveryID: delivery, Version: old.Version, OccurredAt: old.UpdatedAt,
		}}})
		require.NoError(t, err)
		require.Equal(t, 1, fresh)
	}
	quantity := func() string {
		t.Helper()
		for _, o := range server.Orders() {
			if strings.HasPrefix(o.XID, "__towpath__.shop.") {
				return o.Lines[0].Quantity.String()
			}
		}
		return ""
	}

	tell("first")
	require.Equal(t, contract.Applied, apply().Outcome)
	require.Equal(t, "1", quantity())
	pass(time.Minute)
	s.Put(s.Ledger.Edit(placed, shop.Edit{Quantities: map[int]int{0: 2}}))
	fetch()
	require.Equal(t, contract.Applied, apply().Outcome)
	require.Equal(t, "2", quantity())
	_, err = w.store.PurgeInbound(t.Context(), -time.Minute)
	require.NoError(t, err)
	require.Zero(t, w.number(`SELECT count(*) FROM inbound_event`))

	tell("once more, under another id")
	require.Equal(t, contract.NeedFetch, apply().Outcome)
	fetch()
	require.Equal(t, contract.Unchanged, apply().Outcome)
	require.Equal(t, "2", quantity())
}
