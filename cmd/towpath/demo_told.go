package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"towpath/cmd/towpath/local"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// partner is a web server that is told what the demo's orders do in Odoo: it
// verifies each signature over the raw body, and counts.
type partner struct {
	secret string
	server *http.Server
	url    string

	mu     sync.Mutex
	came   map[string]int  // by event
	orders map[string]bool // that something came of
	forged int
}

const partnerName = "partner"

func newPartner() (*partner, error) {
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &partner{secret: webhook.GenerateSecret(webhook.Standard), url: "http://" + at.Addr().String() + "/hook", came: map[string]int{}, orders: map[string]bool{}}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(at) }()
	return p, nil
}

func (p *partner) close() { _ = p.server.Close() }

// endpoint is the partner as towpath.yaml has it.
func (p *partner) endpoint() map[string]any {
	return map[string]any{
		"name": partnerName, "url": p.url, "network": "private", "events": []string{"sale.order.state.changed"},
		"secrets": map[string]any{"signing": []string{p.secret}},
	}
}

func (p *partner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var event struct{ Data struct{ ID int64 } }
	if err == nil {
		err = webhook.Verify([]string{p.secret}, r.Header, body, time.Now())
	}
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.forged++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.came[r.Header.Get(webhook.HeaderID)]++
	p.orders[strconv.FormatInt(event.Data.ID, 10)] = true
	w.WriteHeader(http.StatusNoContent)
}

// telling is what Odoo's events and what the partner got say of each other.
type telling struct {
	told, received, twice int
	wrong                 []string
}

// told waits until everything that happened in Odoo is told, and counts both
// sides: every order that was confirmed or cancelled there, and every event.
func (p *partner) told(ctx context.Context, in *local.Installation) (t telling, err error) {
	if err := p.settled(ctx, in); err != nil {
		return t, err
	}
	deliveries, err := in.Store.Deliveries(ctx, store.DeliveryFilter{Endpoint: partnerName})
	if err != nil {
		return t, err
	}
	sold, err := in.Odoo.Sold(ctx)
	if err != nil {
		return t, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.told, t.received = len(deliveries), len(p.came)
	for _, d := range deliveries {
		if d.State != store.DeliveryOK || p.came[d.Event] == 0 {
			t.wrong = append(t.wrong, fmt.Sprintf("event %s of order %s is %s, and came %d times", d.Event, d.RecordID, d.State, p.came[d.Event]))
		}
		t.twice += max(0, p.came[d.Event]-1)
	}
	for _, s := range sold {
		if s.State != "draft" && s.State != "sent" && !p.orders[s.ID] {
			t.wrong = append(t.wrong, fmt.Sprintf("order %s is %s in Odoo, and the partner was never told", s.Reference, s.State))
		}
	}
	if t.received > t.told || p.forged > 0 {
		t.wrong = append(t.wrong, fmt.Sprintf("the partner got %d events of %d, and %d that were not signed well", t.received, t.told, p.forged))
	}
	return t, nil
}

// settled waits until Odoo's outbox is empty and nothing is on its way.
func (p *partner) settled(ctx context.Context, in *local.Installation) error {
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		waiting, err := in.Odoo.Waiting(limit) // first: what leaves it is a delivery then
		if err == nil && waiting == 0 {
			if open, err := in.Store.OpenDeliveries(limit); err == nil && len(open) == 0 {
				return nil
			}
		}
		select {
		case <-limit.Done():
			return ctx.Err() // what is missing is told by counting
		case <-time.After(50 * time.Millisecond):
		}
	}
}
