package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"towpath/api"
	"towpath/connectors"
	"towpath/connectors/pool"
	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Planted: neither may ever leave through a log or an answer.
const (
	secret = "planted-secret-4711"
	email  = "jane.planted@example.com"
)

// receiver takes deliveries signed with the secret; the topic says what its
// parser does.
type receiver struct{}

func (receiver) Check(context.Context) connectors.Report { return connectors.Report{} }

func (receiver) VerifyHook(h http.Header, raw []byte) error {
	if h.Get("Signature") != secret {
		return fault.New(fault.Unauthorized, "test.signature_wrong", "the signature is wrong").WithDetail(string(raw))
	}
	return nil
}

func (receiver) ParseHook(h http.Header, raw []byte) ([]record.Event, error) {
	switch h.Get("Topic") {
	case "unhandled":
		return nil, nil
	case "panic":
		panic("cannot parse " + string(raw))
	case "out of range":
		return []record.Event{{Topic: string(raw[:len(raw)+1000][999999])}}, nil
	case "bad":
		return nil, fault.New(fault.Invalid, "test.bad_body", "the id is missing").WithField("id").WithDetail(string(raw))
	}
	return []record.Event{{Kind: record.KindOrder, ExternalID: "1", DeliveryID: h.Get("Delivery"), Topic: "t", Version: "1", Complete: true}}, nil
}

// teller is an Odoo: it tells events, or nudges.
type teller struct{ key string }

func (teller) Check(context.Context) connectors.Report { return connectors.Report{} }

func (t teller) VerifyEvents(h http.Header, _ []byte) error {
	if h.Get("Authorization") != "Bearer "+t.key {
		return fault.New(fault.Unauthorized, "test.key_wrong", "wrong key")
	}
	return nil
}

func (teller) ParseEvents(_ http.Header, body []byte) ([]webhook.Event, bool, error) {
	var in struct{ Event, ID string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, fault.New(fault.Invalid, "test.bad_body", "no JSON").WithField("body")
	}
	if in.Event == "nudge" {
		return nil, true, nil
	}
	return []webhook.Event{{ID: in.ID, Type: in.Event}}, false, nil
}

// events is what the API tells of events.
type events struct {
	mu      sync.Mutex
	got     map[string]string // event -> connection
	nudged  []string
	applied []string
	err     error
}

func (e *events) Record(_ context.Context, connection string, all []webhook.Event, _ string) (fresh int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range all {
		if _, known := e.got[event.ID]; !known && e.err == nil {
			e.got[event.ID] = connection
			fresh++
		}
	}
	return fresh, e.err
}

func (e *events) Nudge(_ context.Context, connection string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nudged = append(e.nudged, connection)
	return e.err
}

func (e *events) Applied(_ context.Context, event, endpoint string, ok bool, message string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.applied = append(e.applied, fmt.Sprint(event, endpoint, ok, message))
	return e.err
}

func (*events) CheckAck(_, _, token string) bool { return token == "good" }

// deaf is a connector that takes no webhooks.
type deaf struct{}

func (deaf) Check(context.Context) connectors.Report { return connectors.Report{} }

type inboxFunc func(ctx context.Context, batch []store.Inbound) (int, error)

func (f inboxFunc) Accept(ctx context.Context, batch []store.Inbound) (int, error) {
	return f(ctx, batch)
}

// world is a real server over a real pool; what lies behind can be exchanged.
type world struct {
	*httptest.Server
	log    *lines
	events *events
	deps   api.Deps
	load   func(ctx context.Context, name string) (pool.Stored, error)
	router routers.Router
}

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.Write(p) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }

func stored(_ context.Context, name string) (pool.Stored, error) {
	kinds := map[string]string{"shop": "shopify", "other": "woo", "odoo": "deaf", "erp": "odoo", "erp2": "odoo"}
	if kinds[name] == "" {
		return pool.Stored{}, fault.New(fault.NotFound, "connection.unknown", "no")
	}
	return pool.Stored{Name: name, Kind: kinds[name], Active: true, Settings: func() (json.RawMessage, error) { return []byte(`{}`), nil }}, nil
}

func newWorld(t *testing.T, change func(*world)) *world {
	t.Helper()
	w := &world{log: &lines{}, load: stored, events: &events{got: map[string]string{}}}
	w.deps = api.Deps{
		Inbox:  inboxFunc(func(_ context.Context, batch []store.Inbound) (int, error) { return len(batch), nil }),
		Events: w.events,
		Ready:  func(context.Context) error { return nil },
		Connections: func(context.Context) ([]store.Connection, error) {
			return []store.Connection{{Name: "odoo", Kind: "deaf", Config: []byte(`{"shop":"a.example"}`)}, {Name: "shop", Kind: "shopify", Config: []byte(`{"shop":"A.example"}`)},
				{Name: "erp", Kind: "odoo", Active: true}, {Name: "erp2", Kind: "odoo", Active: true}}, nil
		},
		Log: zerolog.New(w.log), MaxBody: 1000,
	}
	if change != nil {
		change(w)
	}
	open := func(c connectors.Connector) func(connectors.Settings) (connectors.Connector, error) {
		return func(connectors.Settings) (connectors.Connector, error) { return c, nil }
	}
	w.deps.Pool = pool.New(func(ctx context.Context, name string) (pool.Stored, error) { return w.load(ctx, name) },
		[]connectors.Definition{{Kind: "shopify", Open: open(receiver{})}, {Kind: "woo", Open: open(receiver{})}, {Kind: "deaf", Open: open(deaf{})}, {Kind: "odoo", Open: func(s connectors.Settings) (connectors.Connector, error) { return teller{s.Name}, nil }}}, connectors.Runtime{})
	w.Server = httptest.NewServer(api.New(w.deps))
	t.Cleanup(w.Close)
	w.router = contract(t)
	return w
}

func contract(t *testing.T) routers.Router {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	router, err := legacy.NewRouter(doc)
	require.NoError(t, err)
	return router
}

// reply is an answer as its sender sees it.
type reply struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Body   []byte      `json:"-"`
	Data   struct {
		Status string
		Events int
	}
	Error struct {
		Code, Message, Resolution string
		Fields                    map[string]string
	}
}

// ask sends a request, holds the answer against the contract and reads its
// envelope.
func (w *world) ask(t *testing.T, method, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	out := w.send(t, method, path, body, headers...)
	if strings.HasPrefix(out.Header.Get("Content-Type"), "application/json") {
		require.NoError(t, json.Unmarshal(out.Body, &out))
	}
	return out
}

// send is ask for answers without an envelope.
func (w *world) send(t *testing.T, method, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	w.judge(t, method, path, answer, text)
	out := reply{Status: answer.StatusCode, Header: answer.Header, Body: text}
	require.NotContains(t, string(text), secret)
	require.NotContains(t, string(text), email)
	return out
}

func (w *world) judge(t *testing.T, method, path string, answer *http.Response, body []byte) {
	t.Helper()
	asked, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	require.NoError(t, err)
	route, params, err := w.router.FindRoute(asked)
	if err != nil {
		require.Contains(t, []int{404, 405}, answer.StatusCode, "outside the contract there is nothing")
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, Route: route, PathParams: params},
		Status:                 answer.StatusCode, Header: answer.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	input.SetBodyBytes(body)
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), input), "%s %s: %s", method, path, body)
}

// hook sends a signed delivery.
func (w *world) hook(t *testing.T, body string, headers ...string) reply {
	t.Helper()
	return w.ask(t, http.MethodPost, "/webhooks/shopify/shop", strings.NewReader(body), append([]string{"Signature", secret}, headers...)...)
}
