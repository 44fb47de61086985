package simulator_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/shopify"
	"towpath/connectors/shopify/simulator"
	"towpath/connectors/shopify/simulator/scenario"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// door is all that the connector can do, as activities see it.
type door interface {
	connectors.Connector
	connectors.HookReceiver
	connectors.OrderDecoder
	connectors.OrderReader
	connectors.OrderLister
	connectors.HookInstaller
}

func open(t *testing.T, s *simulator.Shop, more map[string]any) door {
	t.Helper()
	settings := map[string]any{
		"shop": s.Domain(), "api_url": s.URL(), "client_id": "simulator-client", "client_secret": s.Secret(),
	}
	for name, value := range more {
		settings[name] = value
	}
	config, err := json.Marshal(settings)
	require.NoError(t, err)
	c, err := shopify.Definition.Open(connectors.Settings{Name: "shop", Config: config})
	require.NoError(t, err)
	return c.(door)
}

func start(t *testing.T, opts simulator.Options) *simulator.Shop {
	t.Helper()
	s, err := simulator.Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// What the connector reads over GraphQL is what webhooks told it, for every
// kind of order, in every API version that it supports and in both monies.
func TestReadOrdersEqualDeliveredOnes(t *testing.T) {
	told := scenario.Generate(21, 120, scenario.Options{})
	for _, version := range shopify.Versions {
		for _, money := range []string{"shop", "presentment"} {
			t.Run(version+"/"+money, func(t *testing.T) {
				s := start(t, simulator.Options{CheckRequests: true, BucketSize: 1e9})
				c := open(t, s, map[string]any{"api_version": version, "money": money})
				latest := map[int64]scenario.Delivery{}
				for _, d := range told.Deliveries {
					if d.Order == nil {
						continue
					}
					s.Put(d.Order)
					if was, known := latest[d.OrderID]; !known || was.Order.ChangedAt.Before(d.Order.ChangedAt) {
						latest[d.OrderID] = d
					}
				}
				for id, d := range latest {
					if d.Order.Deleted {
						_, err := c.ReadOrder(t.Context(), text(id))
						require.True(t, fault.Is(err, fault.NotFound))
						continue
					}
					read, err := c.ReadOrder(t.Context(), text(id))
					require.NoError(t, err, d.Story)
					topic := d.Topic
					if topic == simulator.TopicEdited {
						topic = simulator.TopicUpdated
						d.Delivery = simulator.NewLedger(1, time.Now, version).Event(topic, d.Order)
					}
					delivered, err := c.DecodeOrder(topic, d.Body)
					require.NoError(t, err, d.Story)
					require.Empty(t, cmp.Diff(common(delivered), common(read)), d.Story)
				}
			})
		}
	}
}

// common leaves out what the two ways may state differently.
func common(o record.Order) record.Order {
	o.Version = ""
	slices.Sort(o.Tags)
	if len(o.Tags) == 0 {
		o.Tags = nil
	}
	return o
}

// Four processes that share one cost bucket and know nothing of each other all
// read everything.
func TestListingIsCompleteWhileShopifyThrottles(t *testing.T) {
	told := scenario.Generate(22, 100, scenario.Options{Missed: 5})
	s := start(t, simulator.Options{CheckRequests: true, BucketSize: 1000, RestoreRate: 10_000})
	for _, d := range told.Deliveries {
		if d.Order != nil {
			s.Put(d.Order)
		}
	}
	for _, o := range told.Missed {
		s.Put(o)
	}
	var want []string
	for _, o := range s.Orders() {
		if !o.Deleted {
			want = append(want, text(o.ID))
		}
	}
	lists := make([][]string, 4)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range lists {
		c := open(t, s, nil)
		wg.Go(func() { lists[i], errs[i] = listAll(t, c) })
	}
	wg.Wait()
	for i, list := range lists {
		require.NoError(t, errs[i])
		require.Equal(t, want, slices.Compact(slices.Sorted(slices.Values(list))))
	}
	require.Positive(t, s.Stats().Throttled, "else nothing was proved")
}

// listAll pages through all orders and waits when it is told to.
func listAll(t *testing.T, c door) (ids []string, err error) {
	for cursor := ""; ; {
		page, err := c.ListOrders(t.Context(), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), cursor)
		if fault.Is(err, fault.RateLimited) {
			time.Sleep(fault.Of(err).After)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, o := range page.Orders {
			ids = append(ids, o.ExternalID)
		}
		if cursor = page.Next; cursor == "" {
			return ids, nil
		}
	}
}

func TestEnsuredHooksBringLiveEvents(t *testing.T) {
	s := start(t, simulator.Options{CheckRequests: true})
	c := open(t, s, nil)
	got := make(chan record.Event, 20)
	url := receive(t, c, got)
	made, err := c.EnsureHooks(t.Context(), url)
	require.NoError(t, err)
	require.Len(t, made, len(s.Subscriptions()))
	made, err = c.EnsureHooks(t.Context(), url)
	require.NoError(t, err)
	require.Empty(t, made)

	o := s.Place(simulator.Draft{Email: "a@example.com", Lines: []simulator.DraftLine{{Variant: simulator.Catalog(1)[0], Quantity: 2}}})
	o = s.EditOrder(o, simulator.Edit{Quantities: map[int]int{0: 1}})
	s.Cancel(o, "customer")
	topics := map[string]int{}
	for range 6 {
		select {
		case e := <-got:
			require.Equal(t, text(o.ID), e.ExternalID)
			topics[e.Topic]++
		case <-time.After(time.Minute):
			t.Fatalf("only %v came", topics)
		}
	}
	require.Equal(t, map[string]int{"orders/create": 1, "orders/paid": 1, "orders/edited": 1, "orders/updated": 2, "orders/cancelled": 1}, topics)
}

// Every delivery of the demo gets the answer that the scenario foresees over
// parallel connections.
func TestTheDemosDeliveriesAreAnsweredAsForeseen(t *testing.T) {
	told := scenario.Generate(23, 150, scenario.Options{})
	s := start(t, simulator.Options{TimeScale: 1e-6})
	got := make(chan record.Event, 10*len(told.Deliveries))
	s.SetHookURL(receive(t, open(t, s, nil), got))
	sent := 0
	for _, phase := range told.Phases() {
		for i, r := range s.Deliver(t.Context(), scenario.Messages(phase), nil) {
			require.Equal(t, phase[i].Status, r.Status, "%s: %v", phase[i].Story, r.Err)
			require.Equal(t, 1, r.Attempts)
			sent++
		}
	}
	require.Equal(t, len(told.Deliveries), sent)
	orders := map[string]bool{}
	for len(got) > 0 {
		orders[(<-got).ExternalID] = true
	}
	for _, e := range told.Expect {
		require.Equal(t, e.End != scenario.Refused && e.Reason != "test_notification", orders[text(e.OrderID)], e.Story)
	}
}

func TestCheckFindsNothingWrong(t *testing.T) {
	s := start(t, simulator.Options{CheckRequests: true})
	report := open(t, s, nil).Check(t.Context())
	for _, p := range report.Probes {
		require.True(t, p.OK, "%s: %s", p.Name, p.Text)
	}
	require.NotEmpty(t, report.Identity)
}

func TestConnectorSurvivesFaults(t *testing.T) {
	s := start(t, simulator.Options{})
	o := s.Place(simulator.Draft{Email: "a@example.com", Lines: []simulator.DraftLine{{Variant: simulator.Catalog(1)[0], Quantity: 2}}})
	c := open(t, s, nil)
	for name, fault := range map[string]simulator.Fault{
		"throttled": {Throttled: true}, "429": {Status: 429}, "503": {Status: 503}, "reset": {Reset: true}, "html": {Status: 200, Body: "<html>"},
	} {
		s.Faults.Next(fault)
		_, err := c.ReadOrder(t.Context(), text(o.ID))
		require.True(t, err == nil || retryable(err), "%s: %v", name, err)
		s.Faults.Clear()
		read, err := c.ReadOrder(t.Context(), text(o.ID))
		require.NoError(t, err, name)
		require.True(t, read.Total.Equal(o.Current().Total))
	}
}
