package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

const (
	// maxWait is how long a call waits for the cost bucket by itself; beyond
	// it the caller is told, and may do something else meanwhile.
	maxWait     = 20 * time.Second
	maxThrottle = 4
)

// client speaks GraphQL to one shop.
type client struct {
	web     *http.Client
	url     string
	version string
	tokens  *tokens
	limit   *limiter
	now     func() time.Time
	served  atomic.Pointer[string] // the version that Shopify last answered with
}

func newClient(web *http.Client, c Config, now func() time.Time) *client {
	return &client{
		web:     web,
		url:     c.baseURL() + "/admin/api/" + c.APIVersion + "/graphql.json",
		version: c.APIVersion,
		tokens:  &tokens{web: web, config: c, now: now},
		limit:   newLimiter(now),
		now:     now,
	}
}

// reply is what came beside the data.
type reply struct {
	// SourceNow is Shopify's clock when it began to answer, never later, so
	// that no change made meanwhile seems older than the answer.
	SourceNow time.Time
}

type envelope struct {
	Data       json.RawMessage `json:"data"`
	Errors     json.RawMessage `json:"errors"` // a list, or in some refusals a text
	Extensions struct {
		Cost *struct {
			Requested float64         `json:"requestedQueryCost"`
			Throttle  *throttleStatus `json:"throttleStatus"`
		} `json:"cost"`
	} `json:"extensions"`
}

// run sends one operation and decodes its data into out. It waits for the cost
// bucket, fetches tokens as needed, and gives faults only. size names how big a
// page is asked for: cost is learned per operation and size.
func (c *client) run(ctx context.Context, op operation, size string, vars map[string]any, out any) (reply, error) {
	body, err := json.Marshal(map[string]any{"query": op.document, "operationName": op.name, "variables": vars})
	if err != nil {
		return reply{}, fault.Of(err)
	}
	query := op.name + size
	for try := 1; ; try++ {
		cost, wait := c.limit.reserve(query)
		got, again, err := c.attempt(ctx, query, cost, wait, body, out)
		switch {
		case err == nil:
			return got, nil
		case again <= 0 || try >= maxThrottle:
			return got, fault.Of(err)
		case again > maxWait:
			return got, fault.Of(err).WithAfter(again)
		}
		if err := sleep(ctx, again); err != nil {
			return got, fault.Of(err)
		}
	}
}

// attempt sends once. again > 0: throttled, worth another try after that time.
func (c *client) attempt(ctx context.Context, query string, cost float64, wait time.Duration, body []byte, out any) (got reply, again time.Duration, err error) {
	var cut *envelope
	defer func() {
		if cut == nil || cut.Extensions.Cost == nil {
			c.limit.settle(query, cost, 0, nil)
			return
		}
		c.limit.settle(query, cost, cut.Extensions.Cost.Requested, cut.Extensions.Cost.Throttle)
	}()
	if wait > maxWait {
		return got, 0, fault.New(fault.RateLimited, "shopify.rate_limited", "the shop's query budget is used up").
			WithResolution("nothing to do; it continues by itself").WithAfter(wait)
	}
	if err := sleep(ctx, wait); err != nil {
		return got, 0, err
	}
	answer, got, err := c.post(ctx, body)
	if err != nil {
		return got, 0, err
	}
	cut = answer
	if failed := answer.firstError(); failed != nil {
		f := failed.fault()
		if f.Kind == fault.RateLimited {
			again = answer.restoreTime()
			f = f.WithAfter(again)
		}
		if failed.Extensions.Code == codeMaxCost {
			f = f.WithCause(costError{failed.Extensions.Cost, failed.Extensions.MaxCost})
		}
		return got, again, f
	}
	if err := json.Unmarshal(answer.Data, out); err != nil {
		return got, 0, badAnswer(err)
	}
	return got, 0, nil
}

// post sends the body, once more with a new token when the first was refused.
func (c *client) post(ctx context.Context, body []byte) (*envelope, reply, error) {
	for fresh := false; ; fresh = true {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return nil, reply{}, err
		}
		answer, got, err := c.send(ctx, token, body)
		if fault.Is(err, fault.Unauthorized) && fault.Of(err).Code == "shopify.unauthorized" && !fresh && c.tokens.drop(token) {
			continue
		}
		return answer, got, err
	}
}

func (c *client) send(ctx context.Context, token string, body []byte) (*envelope, reply, error) {
	// Every operation here may be repeated: queries only read; what is there
	// already is refused by Shopify (subscriptions, variants, options) or found
	// by our external id; changes say what shall be, and carry an idempotency
	// key where what was before matters.
	request, err := http.NewRequestWithContext(httpx.RetrySafe(ctx), http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, reply{}, fault.Of(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("X-Shopify-Access-Token", token)
	began := c.now()
	answer, err := c.web.Do(request)
	if err != nil {
		return nil, reply{}, fault.Of(err)
	}
	defer answer.Body.Close()
	if served := answer.Header.Get("X-Shopify-Api-Version"); served != "" {
		c.served.Store(&served)
	}
	var got reply
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		got.SourceNow = date.UTC().Add(-c.now().Sub(began))
	}
	if f := statusFault(answer.StatusCode, answer.Header); f != nil {
		return nil, got, f
	}
	e := &envelope{}
	if err := json.NewDecoder(answer.Body).Decode(e); err != nil {
		return nil, got, badAnswer(err)
	}
	return e, got, nil
}

// badAnswer keeps a fault of the transport (a broken or too long answer).
func badAnswer(err error) error {
	if f := fault.Of(err); f.Code != "unknown" {
		return f
	}
	return fault.New(fault.Transient, answerNotClear, "Shopify's answer is not readable; it is tried again").
		WithResolution("check that the connection's address is Shopify's").WithDetail(err.Error()).WithCause(err)
}

// firstError gives the error that decides, a throttled one before all others.
func (e *envelope) firstError() *graphqlError {
	if len(e.Errors) == 0 || string(e.Errors) == "null" {
		if len(e.Data) == 0 || string(e.Data) == "null" {
			return &graphqlError{Message: "neither data nor errors"}
		}
		return nil
	}
	var all []graphqlError
	if json.Unmarshal(e.Errors, &all) != nil || len(all) == 0 {
		return &graphqlError{Message: string(e.Errors)}
	}
	for i := range all {
		if all[i].Extensions.Code == codeThrottled {
			return &all[i]
		}
	}
	return &all[0]
}

func (e *envelope) restoreTime() time.Duration {
	if e.Extensions.Cost == nil || e.Extensions.Cost.Throttle == nil {
		return time.Second
	}
	return e.Extensions.Cost.Throttle.restoreTime(e.Extensions.Cost.Requested)
}

// costError says by how much a query was too costly.
type costError struct{ cost, limit float64 }

func (e costError) Error() string { return fmt.Sprintf("query cost %g exceeds %g", e.cost, e.limit) }
