package local_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"towpath/schema/webhook"
)

// receiver is a partner's web server: it verifies every signature with Standard
// Webhooks' own library, keeps what came, and answers as well or ill as told.
type receiver struct {
	t      *testing.T
	name   string
	spec   map[string]any // of the endpoint, beside the usual
	wants  func(webhook.Event) bool
	server *httptest.Server

	mu       sync.Mutex
	secret   string // the one it knows now
	answer   answer
	arrivals []*arrival
	forged   int
}

// arrival is one request whose signature is right.
type arrival struct {
	id     string
	about  story
	nth    int // of this id
	at     time.Time
	status int // what it was answered; 0: nothing
	body   string
}

// story is the data of an event: which of a record's events it is.
type story struct {
	ID   int64  `json:"id"`
	N    int    `json:"n"`
	City string `json:"city,omitempty"` // of Odoo's own contacts, instead of N
}

// read takes what a body or an event says.
func (s *story) read(data []byte) {
	if json.Unmarshal(data, s) == nil && s.N == 0 {
		s.N, _ = strconv.Atoi(s.City)
	}
}

// answer is how a receiver behaves; a is what has come, already noted.
type answer func(w http.ResponseWriter, r *http.Request, a *arrival)

// status answers that.
func status(code int, header ...string) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ *arrival) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

var well = status(http.StatusNoContent)

// hang answers nothing until the sender goes.
func hang(_ http.ResponseWriter, r *http.Request, _ *arrival) { <-r.Context().Done() }

// drip promises success with one byte after the other, and never ends.
func drip(w http.ResponseWriter, r *http.Request, _ *arrival) {
	w.Header().Set("Content-Length", "1000000")
	w.WriteHeader(http.StatusOK)
	for {
		if _, err := w.Write([]byte(".")); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// dripHeaders never comes to the end of its headers.
func dripHeaders(w http.ResponseWriter, r *http.Request, _ *arrival) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	for _, err = conn.Write([]byte("HTTP/1.1 200 OK\r\nX-Drip: ")); err == nil; _, err = conn.Write([]byte(".")) {
		time.Sleep(20 * time.Millisecond)
	}
}

// huge succeeds with far more than anybody wants to read.
func huge(w http.ResponseWriter, _ *http.Request, _ *arrival) {
	w.WriteHeader(http.StatusOK)
	chunk := []byte(strings.Repeat("<p>thank you</p>", 4096))
	for range 500 { // 32 MB
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// reset has received it, and the sender never knows.
func reset(w http.ResponseWriter, _ *http.Request, _ *arrival) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// newReceiver opens one for all events; spec says more about its endpoint.
func newReceiver(t *testing.T, name string, spec map[string]any) *receiver {
	t.Helper()
	r := &receiver{t: t, name: name, spec: spec, secret: webhook.GenerateSecret(webhook.Standard), answer: well, wants: func(webhook.Event) bool { return true }}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.server.CloseClientConnections)
	t.Cleanup(func() { go r.server.Close() }) // who drips may still be dripping
	return r
}

// wanting narrows down which events come; the spec says the same in its words.
func (r *receiver) wanting(wants func(webhook.Event) bool) *receiver {
	r.wants = wants
	return r
}

// behave changes the answers from now on.
func (r *receiver) behave(a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = a
}

// knows changes the secret that the receiver believes from now on.
func (r *receiver) knows(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed in the middle of it
	}
	a := &arrival{id: req.Header.Get("webhook-id"), at: time.Now(), body: string(body)}
	r.mu.Lock()
	library, err := standardwebhooks.NewWebhook(r.secret)
	if err != nil || library.Verify(body, req.Header) != nil {
		r.forged++
		r.mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var envelope struct{ Data json.RawMessage }
	if json.Unmarshal(body, &envelope) == nil {
		a.about.read(envelope.Data)
	}
	for _, before := range r.arrivals {
		if before.id == a.id {
			a.nth++
		}
	}
	a.nth++
	r.arrivals = append(r.arrivals, a)
	behave := r.answer
	r.mu.Unlock()
	behave(&noting{ResponseWriter: w, receiver: r, arrival: a}, req, a)
}

// noting keeps what was answered, before the sender can have read it.
type noting struct {
	http.ResponseWriter
	receiver *receiver
	arrival  *arrival
}

func (n *noting) WriteHeader(code int) {
	n.receiver.mu.Lock()
	n.arrival.status = code
	n.receiver.mu.Unlock()
	n.ResponseWriter.WriteHeader(code)
}

func (n *noting) Write(text []byte) (int, error) {
	n.receiver.mu.Lock()
	if n.arrival.status == 0 {
		n.arrival.status = http.StatusOK
	}
	n.receiver.mu.Unlock()
	return n.ResponseWriter.Write(text)
}

func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// came copies what has come so far.
func (r *receiver) came() (all []arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.arrivals {
		all = append(all, *a)
	}
	return all
}

// taken counts the events that were answered with success.
func (r *receiver) taken() map[string]int {
	taken := map[string]int{}
	for _, a := range r.came() {
		if a.status/100 == 2 {
			taken[a.id]++
		}
	}
	return taken
}

// endpoint is the receiver as towpath.yaml has it.
func (r *receiver) endpoint() map[string]any {
	schedule := slices.Repeat([]string{"1s"}, 45)
	e := map[string]any{"name": r.name, "url": r.server.URL + "/hook", "network": "private", "timeout": "2s",
		"retry": map[string]any{"profile": "custom", "schedule": schedule}, "secrets": map[string]any{"signing": []string{r.secret}}}
	for k, v := range r.spec {
		e[k] = v
	}
	return e
}
