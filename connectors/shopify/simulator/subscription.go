package simulator

import (
	"slices"
	"strings"
	"time"
)

// Subscription is a webhook subscription made through the Admin API.
type Subscription struct {
	ID        int64
	Topic     string // "orders/create"
	URI       string
	CreatedAt time.Time
	UpdatedAt time.Time
	Format    string
	Name      string
	Filter    string
	Include   []string
}

// Subscriptions gives the subscriptions that stand, oldest first.
func (s *Shop) Subscriptions() []Subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]Subscription, len(s.subscriptions))
	for i, sub := range s.subscriptions {
		list[i] = *sub
	}
	return list
}

// Subscribe makes a subscription as the Admin API would.
func (s *Shop) Subscribe(topic, uri string) Subscription {
	return s.addSubscription(Subscription{Topic: topic, URI: uri, Format: "JSON"})
}

// Unsubscribe drops a subscription, as a merchant's click or Shopify's patience
// would; it reports whether there was one.
func (s *Shop) Unsubscribe(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.subscriptions)
	s.subscriptions = slices.DeleteFunc(s.subscriptions, func(sub *Subscription) bool { return sub.ID == id })
	return len(s.subscriptions) < before
}

func (s *Shop) addSubscription(sub Subscription) Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	sub.ID = 1_400_000_000_000 + s.lastID
	sub.CreatedAt = s.opts.Now().UTC().Truncate(time.Second)
	sub.UpdatedAt = sub.CreatedAt
	s.subscriptions = append(s.subscriptions, &sub)
	return sub
}

func (s *Shop) changeSubscription(id int64, change func(*Subscription)) (Subscription, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subscriptions {
		if sub.ID == id {
			change(sub)
			sub.UpdatedAt = s.opts.Now().UTC().Truncate(time.Second)
			return *sub, true
		}
	}
	return Subscription{}, false
}

func (s *Shop) subscribed(topic string) []Subscription {
	return slices.DeleteFunc(s.Subscriptions(), func(sub Subscription) bool { return sub.Topic != topic })
}

// settle ends a subscription whose receiver failed a delivery to the last
// retry, eight times in a row, as Shopify does to those made through its API.
func (s *Shop) settle(id int64, r Result) {
	if !r.OK() && r.Attempts > maxRetries {
		s.Unsubscribe(id)
	}
}

// topicEnum is a topic as GraphQL spells it: ORDERS_CREATE.
func topicEnum(topic string) string {
	return strings.ToUpper(strings.NewReplacer("/", "_", ".", "_").Replace(topic))
}

// topicName is a topic as webhooks spell it. Only the first underscore divides,
// which is right for orders/… and all one-word resources.
func topicName(enum string) string {
	return strings.Replace(strings.ToLower(enum), "_", "/", 1)
}
