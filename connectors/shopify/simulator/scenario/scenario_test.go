package scenario

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/shopify"
	"towpath/connectors/shopify/simulator"
	"towpath/schema/fault"
	"towpath/schema/orders"
	"towpath/schema/record"
)

func TestTheDemosScenario(t *testing.T) {
	s := Generate(7, 150, Options{})
	require.GreaterOrEqual(t, len(s.Deliveries), 300)
	told := map[string]bool{}
	for _, d := range s.Deliveries {
		told[d.Story] = true
		require.NotEmpty(t, d.Proves)
	}
	for _, story := range stories {
		assert.True(t, told[story.name], "%q is not told", story.name)
	}
	counts := s.Count(false)
	for _, end := range []End{Imported, Cancelled, Waiting, Skipped, Refused} {
		assert.Positive(t, counts[end], end)
	}
	assert.Greater(t, s.Count(true)[Imported], counts[Imported], "some wait for a mapping")
	assert.Len(t, s.Mappings, 1)
	for _, currency := range []string{"EUR", "USD"} {
		assert.True(t, s.Totals(false)[currency].IsPositive(), currency)
		assert.True(t, s.Totals(true)[currency].GreaterThanOrEqual(s.Totals(false)[currency]), currency)
	}
	assert.Len(t, s.Phases(), 2)

	buyers, placed, seen := map[string]int{}, 0, map[int64]bool{}
	for _, e := range s.Expect {
		require.False(t, seen[e.OrderID], "one expectation per order")
		seen[e.OrderID] = true
		if e.Buyer != "" {
			buyers[e.Buyer]++
			placed++
		}
	}
	assert.GreaterOrEqual(t, float64(len(buyers)), 0.4*float64(placed), "new customers")
	assert.Less(t, len(buyers), placed, "some buy again")
}

func TestScenariosAreDeterministic(t *testing.T) {
	a, b := Generate(3, 80, Options{}), Generate(3, 80, Options{})
	require.Equal(t, len(a.Deliveries), len(b.Deliveries))
	for i := range a.Deliveries {
		require.Equal(t, a.Deliveries[i].WebhookID, b.Deliveries[i].WebhookID)
		require.Equal(t, string(a.Deliveries[i].Body), string(b.Deliveries[i].Body))
	}
	require.Equal(t, a.Expect, b.Expect)
	require.NotEqual(t, string(a.Deliveries[0].Body), string(Generate(4, 80, Options{}).Deliveries[0].Body))
}

func TestEventTimesStrictlyIncrease(t *testing.T) {
	byEvent := map[string]time.Time{}
	byOrder := map[int64]map[time.Time]string{}
	for _, d := range Generate(5, 100, Options{}).Deliveries {
		if was, known := byEvent[d.EventID]; known {
			require.Equal(t, was, d.TriggeredAt)
		}
		byEvent[d.EventID] = d.TriggeredAt
		if d.Order == nil {
			continue
		}
		if byOrder[d.OrderID] == nil {
			byOrder[d.OrderID] = map[time.Time]string{}
		}
		// Two events of one order with one time tell of one content.
		content := d.Order.UpdatedAt.String() + d.Order.Current().Total.String() + string(d.Order.Financial)
		if was, known := byOrder[d.OrderID][d.TriggeredAt]; known {
			require.Equal(t, was, content)
		}
		byOrder[d.OrderID][d.TriggeredAt] = content
	}
}

// The stories keep their word: late ones come late, duplicates are equal.
func TestStoriesAreWhatTheySay(t *testing.T) {
	s := Generate(11, 200, Options{})
	byStory := map[string][]Delivery{}
	for _, d := range s.Deliveries {
		byStory[d.Story] = append(byStory[d.Story], d)
	}
	one := func(story string) []Delivery {
		var list []Delivery
		for _, d := range byStory[story] {
			if d.OrderID == byStory[story][0].OrderID {
				list = append(list, d)
			}
		}
		return list
	}
	first := one("update before create")
	require.Equal(t, simulator.TopicUpdated, first[0].Topic)
	require.Equal(t, simulator.TopicCreate, first[len(first)-1].Topic)
	require.True(t, first[0].TriggeredAt.After(first[len(first)-1].TriggeredAt))

	ids := map[string]int{}
	for _, d := range one("same delivery twice") {
		ids[d.WebhookID]++
	}
	require.Contains(t, values(ids), 3)

	bodies := map[string][]string{}
	for _, d := range one("same content, new delivery") {
		bodies[string(d.Body)] = append(bodies[string(d.Body)], d.WebhookID)
	}
	for _, webhooks := range bodies {
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(webhooks))), len(webhooks), "delivery ids differ")
	}
	require.Less(t, len(bodies), len(one("same content, new delivery")))

	for _, story := range []string{"forged order", "forged change"} {
		require.True(t, slices.ContainsFunc(byStory[story], func(d Delivery) bool { return d.Forged && d.Status == http.StatusUnauthorized }))
	}
	require.Contains(t, string(byStory["unknown tax"][0].Body), "0.0777")
	require.Contains(t, string(byStory["unknown product"][0].Body), "SKU-9001")
	for _, story := range []string{"edited after import", "cancelled after import", "line removed after import"} {
		list := one(story)
		require.Equal(t, 0, list[0].Phase)
		require.Equal(t, 1, list[len(list)-1].Phase)
	}
}

// When all is sent, the shop holds what is expected: same orders, same money.
func TestTheShopEndsAsExpected(t *testing.T) {
	s := Generate(9, 150, Options{Missed: 3})
	require.Len(t, s.Missed, 3)
	shop := simulator.New(simulator.Options{})
	for _, o := range s.Missed {
		shop.Put(o)
	}
	for _, d := range s.Deliveries {
		if d.Order != nil {
			shop.Put(d.Order)
		}
	}
	for _, e := range s.Expect {
		o, there := shop.Order(e.OrderID)
		if e.End == Refused || e.Reason == "test_notification" {
			require.False(t, there, e.Story)
			continue
		}
		require.True(t, there, e.Story)
		require.Equal(t, e.Currency, o.Currency)
		if e.End == Imported || e.End == Waiting {
			require.True(t, e.Total.Equal(o.Current().Total), "%s: %s", e.Story, e.Name)
		}
		require.Equal(t, e.End == Cancelled || e.Reason == "cancelled_before_import", o.CancelledAt != nil, e.Story)
	}
}

// The connector reads every genuine delivery, its money adds up by the order
// rules, and what it decides is what the scenario expects.
func TestConnectorAndRulesAgreeWithTheScenario(t *testing.T) {
	shop := simulator.New(simulator.Options{})
	config, err := json.Marshal(map[string]any{
		"shop": shop.Domain(), "access_token": shop.AccessToken(), "webhook_secrets": []string{shop.Secret()},
	})
	require.NoError(t, err)
	opened, err := shopify.Definition.Open(connectors.Settings{Name: "shop", Config: config})
	require.NoError(t, err)
	hooks, decoder := opened.(connectors.HookReceiver), opened.(connectors.OrderDecoder)

	s := Generate(13, 300, Options{})
	latest := map[int64]record.Order{}
	for _, d := range s.Deliveries {
		h := d.Header(shop.Domain(), shop.Secret())
		err := hooks.VerifyHook(h, d.Body)
		if d.Forged {
			require.True(t, fault.Is(err, fault.Unauthorized))
			continue
		}
		require.NoError(t, err)
		events, err := hooks.ParseHook(h, d.Body)
		require.NoError(t, err)
		if d.Test || strings.HasPrefix(d.Topic, "carts/") {
			require.Empty(t, events)
			continue
		}
		require.Len(t, events, 1)
		require.Equal(t, d.WebhookID, events[0].DeliveryID)
		if d.Topic == simulator.TopicEdited || d.Topic == simulator.TopicDelete {
			require.False(t, events[0].Complete && d.Topic == simulator.TopicEdited)
			continue
		}
		o, err := decoder.DecodeOrder(d.Topic, d.Body)
		require.NoError(t, err)
		if o.CancelledAt == nil {
			f := orders.Validate(o)
			require.Nil(t, f, "%s %s: %v", d.Story, o.Name, f)
		}
		require.True(t, o.Total.Equal(d.Order.Current().Total), "%s: %s, not %s", d.Story, o.Total, d.Order.Current().Total)
		require.True(t, o.TotalTax.Equal(d.Order.Current().Tax), d.Story)
		if was, known := latest[d.OrderID]; !known || was.UpdatedAt.Before(o.UpdatedAt) {
			latest[d.OrderID] = o
		}
	}
	for _, e := range s.Expect {
		o, known := latest[e.OrderID]
		if !known || e.End == Cancelled || e.Reason == "deleted_before_import" {
			continue
		}
		got := orders.Decide(orders.Rules{}, o, nil, o.UpdatedAt)
		switch e.End {
		case Imported:
			require.Equal(t, orders.Import, got.Action, e.Story)
		case Skipped:
			require.Equal(t, orders.Skip, got.Action, e.Story)
			require.Equal(t, e.Reason, got.Reason)
		case Waiting:
			if e.Reason == "not_paid" {
				require.Equal(t, orders.Wait, got.Action)
			}
			if e.Reason == "no_customer" {
				_, f := orders.ListNeeds(orders.Rules{}, o)
				require.NotNil(t, f)
				require.Equal(t, "orders.no_customer", f.Code)
			}
		}
	}
}

func TestBench(t *testing.T) {
	s := Bench(1, 1000, Options{})
	skus, buyers, poisoned := map[string]bool{}, map[string]bool{}, 0
	for _, d := range s.Deliveries {
		require.NotEqual(t, d.Order.Billing, d.Order.Shipping)
		require.NotEmpty(t, d.Order.ShippingLines[0].Taxes)
		require.True(t, d.Order.Current().Discounts.IsPositive())
		for _, l := range d.Order.Lines {
			skus[l.Variant.SKU] = true
		}
	}
	for _, e := range s.Expect {
		buyers[e.Buyer] = true
		if e.End == Waiting {
			poisoned++
		}
	}
	require.Len(t, s.Expect, 1000)
	require.Len(t, s.Deliveries, 1050)
	require.Len(t, skus, 200)
	require.Len(t, buyers, 400)
	require.Equal(t, 10, poisoned)
}

func TestBodiesDoNotCompress(t *testing.T) {
	list := Bodies(1, 50, 4096, Options{})
	require.Len(t, list, 50)
	for _, d := range list {
		require.InDelta(t, 4096, len(d.Body), 8)
		require.True(t, json.Valid(d.Body))
		var small bytes.Buffer
		w, err := flate.NewWriter(&small, flate.BestCompression)
		require.NoError(t, err)
		_, err = w.Write(d.Body)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Greater(t, small.Len(), len(d.Body)*7/10, "beyond what base64 itself wastes")
	}
}

func values(m map[string]int) []int {
	var list []int
	for _, v := range m {
		list = append(list, v)
	}
	return list
}
