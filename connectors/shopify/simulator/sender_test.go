package simulator

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// receiver counts what arrives and answers as told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(n int) int // by how many came before
}

type received struct {
	http.Header
	body string
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		n := len(r.got)
		r.got = append(r.got, received{req.Header.Clone(), string(body)})
		r.mu.Unlock()
		if status := r.answer(n); status >= 300 && status < 400 {
			http.Redirect(w, req, "/elsewhere", status)
		} else {
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func always(status int) func(int) int { return func(int) int { return status } }

const fast = 1e-7 // four hours in 1.4 ms

func startShop(t *testing.T, opts Options) *Shop {
	t.Helper()
	s, err := Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestSendIsSignedAndSaysWhatShopifySays(t *testing.T) {
	r := newReceiver(t, always(202))
	s := startShop(t, Options{HookURL: r.URL, ClientSecret: "hush"})
	d := s.Ledger.Event(TopicCreate, s.Ledger.Place(fullDraft()))
	result, err := s.Send(t.Context(), d)
	require.NoError(t, err)
	require.True(t, result.OK())
	h := r.all()[0]
	require.Equal(t, Sign("hush", d.Body), h.Get("X-Shopify-Hmac-Sha256"))
	require.Equal(t, string(d.Body), h.body)
	for name, want := range map[string]string{
		"X-Shopify-Topic": TopicCreate, "X-Shopify-Shop-Domain": s.Domain(), "X-Shopify-API-Version": "2026-10",
		"X-Shopify-Webhook-Id": d.WebhookID, "X-Shopify-Event-Id": d.EventID,
		"X-Shopify-Triggered-At": d.TriggeredAt.Format(time.RFC3339Nano),
	} {
		require.Equal(t, want, h.Get(name), name)
	}
	_, known := s.Order(d.Order.ID)
	require.True(t, known, "the shop knows what it tells")
}

func TestRetriesKeepTheWebhookID(t *testing.T) {
	for name, failure := range map[string]int{"500": 500, "404": 404, "a redirect": 302} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, func(n int) int {
				if n < 3 {
					return failure
				}
				return 200
			})
			s := startShop(t, Options{HookURL: r.URL, TimeScale: fast})
			d := s.Ledger.Event(TopicCreate, s.Ledger.Place(guestDraft()))
			results := s.Deliver(t.Context(), []Delivery{d}, nil)
			require.True(t, results[0].OK())
			require.Equal(t, 4, results[0].Attempts)
			require.Len(t, r.all(), 4, "a redirect is not followed")
			for _, h := range r.all() {
				require.Equal(t, d.WebhookID, h.Get("X-Shopify-Webhook-Id"))
				require.Equal(t, string(d.Body), h.body, "the original payload is kept")
			}
		})
	}
}

func TestGivesUpAfterEightRetries(t *testing.T) {
	r := newReceiver(t, always(503))
	s := startShop(t, Options{HookURL: r.URL, TimeScale: fast})
	d := s.Ledger.Event(TopicCreate, s.Ledger.Place(guestDraft()))
	result := s.Deliver(t.Context(), []Delivery{d}, nil)[0]
	require.False(t, result.OK())
	require.Equal(t, 9, result.Attempts)
	require.Len(t, r.all(), 9)
}

func TestRetryWaitsAddUpToFourHours(t *testing.T) {
	sum := time.Duration(0)
	for _, w := range retryWaits {
		sum += w
	}
	require.Equal(t, 4*time.Hour, sum)
}

func TestASlowAnswerIsAFailure(t *testing.T) {
	release := make(chan struct{})
	var calls atomic.Int32
	r := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if calls.Add(1) == 1 {
			<-release
		}
	}))
	t.Cleanup(r.Close)
	t.Cleanup(func() { close(release) })
	s := startShop(t, Options{HookURL: r.URL, TimeScale: fast, AnswerTimeout: 200 * time.Millisecond})
	d := s.Ledger.Event(TopicCreate, s.Ledger.Place(guestDraft()))
	result := s.Deliver(t.Context(), []Delivery{d}, nil)[0]
	require.True(t, result.OK())
	require.Greater(t, result.Attempts, 1) // a busy machine may be too slow more often
}

func TestForgedDeliveriesAreSentOnce(t *testing.T) {
	r := newReceiver(t, always(401))
	s := startShop(t, Options{HookURL: r.URL, TimeScale: fast})
	d := s.Ledger.Event(TopicCreate, s.Ledger.Place(guestDraft()))
	d.Forged = true
	require.Equal(t, 1, s.Deliver(t.Context(), []Delivery{d}, nil)[0].Attempts)
	require.NotEqual(t, Sign(s.Secret(), d.Body), r.all()[0].Get("X-Shopify-Hmac-Sha256"))
}

func TestParallelConnections(t *testing.T) {
	var now, most atomic.Int32
	release := make(chan struct{})
	r := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old; old = most.Load() {
			if most.CompareAndSwap(old, n) {
				break
			}
		}
		if n == 4 {
			close(release) // all four are here at once
		}
		<-release
	}))
	t.Cleanup(r.Close)
	s := startShop(t, Options{HookURL: r.URL, Parallel: 4})
	var list []Delivery
	for range 4 {
		list = append(list, s.Ledger.Event(TopicCreate, s.Ledger.Place(guestDraft())))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var told atomic.Int32
	for _, result := range s.Deliver(ctx, list, func(Result) { told.Add(1) }) {
		require.True(t, result.OK())
	}
	require.EqualValues(t, 4, most.Load())
	require.EqualValues(t, 4, told.Load())
}

func TestEventsReachTheSubscriptionsToTheirTopic(t *testing.T) {
	r := newReceiver(t, always(200))
	s := startShop(t, Options{})
	for _, topic := range []string{TopicCreate, TopicPaid, TopicEdited, TopicCancelled, TopicDelete} {
		s.Subscribe(topic, r.URL)
	}
	s.Subscribe(TopicCreate, r.URL+"/other")
	o := s.Place(fullDraft())
	o = s.EditOrder(o, Edit{Quantities: map[int]int{0: 1}})
	o = s.Cancel(o, "fraud")
	s.Delete(o)
	require.Eventually(t, func() bool { return len(r.all()) == 6 }, time.Minute, time.Millisecond)
	events := map[string][]string{}
	ids := map[string]bool{}
	for _, h := range r.all() {
		events[h.Get("X-Shopify-Topic")] = append(events[h.Get("X-Shopify-Topic")], h.Get("X-Shopify-Event-Id"))
		ids[h.Get("X-Shopify-Webhook-Id")] = true
	}
	require.Len(t, events[TopicCreate], 2)
	require.Equal(t, events[TopicCreate][0], events[TopicCreate][1], "one event")
	require.Len(t, ids, 6, "and a webhook id for each subscription")
	for _, topic := range []string{TopicPaid, TopicEdited, TopicCancelled, TopicDelete} {
		require.Len(t, events[topic], 1, topic)
	}
	require.True(t, s.Orders()[0].Deleted)
}

func TestSubscriptionDiesAfterEightStraightRetries(t *testing.T) {
	r := newReceiver(t, always(500))
	s := startShop(t, Options{TimeScale: fast})
	s.Subscribe(TopicCreate, r.URL)
	kept := s.Subscribe(TopicCancelled, r.URL)
	s.Place(guestDraft())
	require.Eventually(t, func() bool { return len(s.Subscriptions()) == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, kept.ID, s.Subscriptions()[0].ID)
	require.Len(t, r.all(), 9)
}

func TestCloseEndsPendingRetries(t *testing.T) {
	r := newReceiver(t, always(500))
	s, err := Start(Options{TimeScale: 1}) // the first retry is a minute away
	require.NoError(t, err)
	s.Subscribe(TopicCreate, r.URL)
	s.Place(guestDraft())
	require.Eventually(t, func() bool { return len(r.all()) == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, s.Close())
	require.Len(t, s.Subscriptions(), 1)
}
