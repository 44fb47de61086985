package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"towpath/schema/webhook"
)

// A bell tells Towpath that there is something in the outbox, as the module
// does: after the commit, one nudge under way at most, and nobody hears of its
// failure.
type bell struct {
	mu      sync.Mutex
	url     string
	secret  string
	ringing bool
	again   bool
}

// NudgeTo makes the module send its nudges to an address of Towpath's, signed
// with a secret (whsec_…).
func (s *Server) NudgeTo(url, secret string) {
	s.Watch()
	b := &s.db.outbox.bell
	b.mu.Lock()
	defer b.mu.Unlock()
	b.url, b.secret = url, secret
}

func (b *bell) ring(database string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.url == "" {
		return
	}
	if b.again = b.ringing; b.ringing {
		return
	}
	b.ringing = true
	go func() {
		for b.more() {
			b.post(database)
		}
	}()
}

// more tells whether there is a nudge to send; the first always is.
func (b *bell) more() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ringing
}

func (b *bell) post(database string) {
	b.mu.Lock()
	url, secret := b.url, b.secret
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.ringing, b.again = b.again, false
		b.mu.Unlock()
	}()
	now := time.Now().UTC()
	body, err := json.Marshal(map[string]any{"event": "towpath.nudge", "timestamp": now, "data": map[string]any{"pending": true, "database_uuid": database}})
	if err != nil {
		return
	}
	header, err := webhook.Sign(webhook.Standard, webhook.Secrets{Signing: []string{secret}}, "msg_"+uuid4(), now, body, webhook.Event{})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header = header
	if answer, err := http.DefaultClient.Do(req); err == nil {
		_ = answer.Body.Close()
	}
}
