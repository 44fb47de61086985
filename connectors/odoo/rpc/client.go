package rpc

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// The transports of Odoo's external API.
const (
	Auto    = "auto"    // JSON-2 on Odoo 19 and newer when a key is given, else JSON-RPC
	JSON2   = "json2"   // /json/2/<model>/<method>, Odoo 19 and newer, needs an API key
	JSONRPC = "jsonrpc" // /jsonrpc, Odoo 14 to 21
	XMLRPC  = "xmlrpc"  // /xmlrpc/2/object, Odoo 14 to 21
)

// Config says how to reach one database of one Odoo, as whom.
type Config struct {
	URL      string // https://erp.example.com, without a path
	Database string
	Login    string
	Password string // a password, or an API key: Odoo takes both here
	APIKey   string // for JSON-2; stands in for Password where that is empty

	Transport string  // Auto when empty
	Lang      string  // en_US when empty: error texts are classified, keep the bot user on en_US
	TZ        string  // UTC when empty: load reads datetimes in this zone
	Companies []int64 // allowed_company_ids; the first is the current company

	Timeout time.Duration     // of one call; 70 s when zero: Odoo may itself retry for 30 s
	HTTP    http.RoundTripper // base transport; nil dials by itself
	Private bool              // may dial loopback and private networks (an operator's choice)
	Trace   func(httpx.Exchange)
}

// Client talks to one Odoo database. It is safe for concurrent use and keeps
// its connections open between calls.
type Client struct {
	cfg  Config
	http *http.Client
	now  func() time.Time

	login  *onceOK[int64]
	server *onceOK[ServerInfo]
	chosen *onceOK[string]

	fieldsMu sync.Mutex
	fields   map[string]cachedFields
	// fieldsAsked holds the questions for fields that are on their way.
	fieldsAsked singleflight.Group
}

// Context is Odoo's own context: lang, tz, active_test, tracking_disable …
type Context map[string]any

type contextKey struct{}

// WithContext adds values to the Odoo context of all calls made with ctx, over
// the client's defaults and under a context given to the call itself.
func WithContext(ctx context.Context, values Context) context.Context {
	merged := Context{}
	for _, layer := range []Context{contextOf(ctx), values} {
		for k, v := range layer {
			merged[k] = v
		}
	}
	return context.WithValue(ctx, contextKey{}, merged)
}

func contextOf(ctx context.Context) Context {
	values, _ := ctx.Value(contextKey{}).(Context)
	return values
}

// ServerInfo is what a server says of itself.
type ServerInfo struct {
	Version string // "19.0"
	Major   int    // 19
	Minor   int    // 0; 1 to 4 for the interim releases of Odoo Online
	Raw     string // "19.0+e", "saas~18.3+e-20250905"
	Online  bool   // Odoo Online (saas~…)
}

// Call is one method call on one model.
//
// ids nil calls a method of the model (search, create, load, fields_get …);
// ids not nil, even empty, calls it on those records. args are the positional
// arguments after the records. JSON-2 knows no positional arguments: for the
// methods in the table of this package they are named after Odoo 19's own
// parameters, for any other method use kwargs. kwargs["context"] is merged
// over the client's context. out receives the decoded answer (nil ignores it);
// numbers in an any become json.Number. A method that returns None is a
// success and leaves out alone.
func (c *Client) Call(ctx context.Context, model, method string, ids []int64, args []any, kwargs map[string]any, out any) error {
	r := request{Model: model, Method: method, IDs: ids, Args: args, Kwargs: kwargs}
	raw, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if err := decode(raw, out); err != nil {
		return r.afterwards(err)
	}
	return nil
}

// afterwards is a fault that was found when Odoo had done the work.
func (r request) afterwards(err error) *fault.Fault {
	f := fault.Of(err)
	if !r.reads() {
		f.Kind = fault.Uncertain
	}
	return f
}

// Query narrows a search. The zero value takes everything in Odoo's own order.
type Query struct {
	Offset int
	Limit  int    // 0: no limit
	Order  string // "write_date, id"
}

func (q Query) kwargs() map[string]any {
	kw := map[string]any{}
	if q.Offset > 0 {
		kw["offset"] = q.Offset
	}
	if q.Limit > 0 {
		kw["limit"] = q.Limit
	}
	if q.Order != "" {
		kw["order"] = q.Order
	}
	return kw
}

// Search gives the ids of the records that match the domain.
func (c *Client) Search(ctx context.Context, model string, domain []any, q Query) ([]int64, error) {
	var ids []int64
	err := c.Call(ctx, model, "search", nil, []any{orEmpty(domain)}, q.kwargs(), &ids)
	return ids, err
}

// SearchCount counts the records that match the domain.
func (c *Client) SearchCount(ctx context.Context, model string, domain []any) (int64, error) {
	var n int64
	err := c.Call(ctx, model, "search_count", nil, []any{orEmpty(domain)}, nil, &n)
	return n, err
}

// SearchRead reads the fields of the records that match the domain into out, a
// pointer to a slice of structs with json tags (or of map[string]any).
func (c *Client) SearchRead(ctx context.Context, model string, domain []any, fields []string, q Query, out any) error {
	kw := q.kwargs()
	if len(fields) > 0 {
		kw["fields"] = fields
	}
	return c.Call(ctx, model, "search_read", nil, []any{orEmpty(domain)}, kw, out)
}

// Read reads the fields of records into out, a pointer to a slice of structs
// with json tags; no fields reads all. Records that are gone are missing from
// the answer.
func (c *Client) Read(ctx context.Context, model string, ids []int64, fields []string, out any) error {
	var args []any
	if len(fields) > 0 {
		args = []any{fields}
	}
	return c.Call(ctx, model, "read", orNoIDs(ids), args, nil, out)
}

// Create makes records and gives their ids in order. It is not repeatable: use
// Load with external ids wherever a lost answer must not make duplicates.
func (c *Client) Create(ctx context.Context, model string, values ...map[string]any) ([]int64, error) {
	if len(values) == 0 {
		return nil, nil
	}
	var ids []int64
	err := c.Call(ctx, model, "create", nil, []any{values}, nil, &ids)
	return ids, err
}

// Write writes the same values to all records. A fault of kind NotFound says
// that one of them is gone.
func (c *Client) Write(ctx context.Context, model string, ids []int64, values map[string]any) error {
	return c.Call(ctx, model, "write", orNoIDs(ids), []any{values}, nil, nil)
}

// Unlink deletes records. Never use it on orders (odoo-facts section 4).
func (c *Client) Unlink(ctx context.Context, model string, ids []int64) error {
	return c.Call(ctx, model, "unlink", orNoIDs(ids), nil, nil, nil)
}

// Odoo wants lists where Go has nil slices.
func orEmpty(domain []any) []any {
	if domain == nil {
		return []any{}
	}
	return domain
}

func orNoIDs(ids []int64) []int64 {
	if ids == nil {
		return []int64{}
	}
	return ids
}

// request is one method call, on its way to a transport.
type request struct {
	Model, Method string
	IDs           []int64
	Args          []any
	Kwargs        map[string]any
}

// answer is what every transport hands over: JSON text, nil for None.
type answer = json.RawMessage
