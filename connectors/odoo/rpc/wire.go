package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// do makes one method call over the transport in use.
func (c *Client) do(ctx context.Context, r request) (answer, error) {
	transport, err := c.transport(ctx)
	if err != nil {
		return nil, fault.Of(err)
	}
	r.Kwargs = c.withContext(ctx, r.Kwargs)
	if r.reads() {
		ctx = httpx.RetrySafe(ctx)
	}
	if transport == JSON2 {
		return c.json2(ctx, r)
	}

	uid, err := c.UID(ctx)
	if err != nil {
		return nil, fault.Of(err)
	}
	args := []any{c.cfg.Database, uid, c.cfg.Password, r.Model, r.Method, r.positional(), r.Kwargs}
	var raw answer
	if transport == XMLRPC {
		raw, err = c.xmlRPC(ctx, "/xmlrpc/2/object", "execute_kw", args...)
	} else {
		raw, err = c.jsonRPC(ctx, "/jsonrpc", service("object", "execute_kw", args...))
	}
	if f := fault.Of(err); f != nil {
		if f.Code == codeAccessDenied || f.Code == codeSession {
			c.login.forget() // the user was exchanged, or the database restored
		}
		return nil, f
	}
	return raw, nil
}

// reading are the methods that change nothing, so that a lost answer is
// Transient, not Uncertain.
var reading = map[string]bool{
	"search": true, "search_read": true, "search_count": true, "read": true, "fields_get": true,
	"name_search": true, "name_get": true, "read_group": true, "formatted_read_group": true,
	"web_read": true, "web_search_read": true, "web_read_group": true, "default_get": true,
	"context_get": true, "has_group": true, "has_access": true, "check_access_rights": true,
	"exists": true, "get_metadata": true, "get_external_id": true, "export_data": true,
}

func (r request) reads() bool { return reading[r.Method] }

// positional puts the records first, as execute_kw wants them.
func (r request) positional() []any {
	if r.IDs == nil || ofModel[r.Method] {
		if r.Args == nil {
			return []any{}
		}
		return r.Args
	}
	return append([]any{r.IDs}, r.Args...)
}

// withContext lays the context's layers over each other: the client's
// defaults, those of ctx, the call's own.
func (c *Client) withContext(ctx context.Context, kwargs map[string]any) map[string]any {
	merged := map[string]any{"lang": c.cfg.Lang, "tz": c.cfg.TZ}
	if len(c.cfg.Companies) > 0 {
		merged["allowed_company_ids"] = c.cfg.Companies
	}
	maps.Copy(merged, contextOf(ctx))
	switch own := kwargs["context"].(type) {
	case map[string]any:
		maps.Copy(merged, own)
	case Context:
		maps.Copy(merged, own)
	}
	out := map[string]any{}
	maps.Copy(out, kwargs)
	out["context"] = merged
	return out
}

// service is the body of the old RPC services.
func service(name, method string, args ...any) map[string]any {
	if args == nil {
		args = []any{}
	}
	return map[string]any{"service": name, "method": method, "args": args}
}

// jsonRPC posts one JSON-RPC request. Odoo answers errors with status 200; a
// method that returns None leaves out the result.
func (c *Client) jsonRPC(ctx context.Context, path string, params map[string]any) (answer, error) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": "call", "id": 1, "params": params})
	if err != nil {
		return nil, unsendable(err)
	}
	got, err := c.post(ctx, path, "application/json", body, nil)
	if err != nil {
		return nil, err
	}
	if got.status != http.StatusOK {
		return nil, got.fault("", "")
	}
	return readJSONRPC(got)
}

func readJSONRPC(got *reply) (answer, error) {
	var envelope struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Code    json.Number `json:"code"`
			Message string      `json:"message"`
			Data    struct {
				Name    string          `json:"name"`
				Message json.RawMessage `json:"message"`
			} `json:"data"`
		} `json:"error"`
	}
	if err := json.Unmarshal(got.body, &envelope); err != nil {
		return nil, got.garbled(err)
	}
	if e := envelope.Error; e != nil {
		status := http.StatusOK
		if e.Code.String() == "404" {
			status = http.StatusNotFound
		}
		if e.Code.String() == "100" && e.Data.Name == "" {
			e.Data.Name = "SessionExpiredException"
		}
		text := textOf(e.Data.Message)
		if text == "" {
			text = e.Message
		}
		return nil, Classify(status, e.Data.Name, text)
	}
	if string(envelope.Result) == "null" {
		return nil, nil
	}
	return envelope.Result, nil
}

// json2 posts to /json/2. Its answer is the bare result, its errors carry real
// statuses.
func (c *Client) json2(ctx context.Context, r request) (answer, error) {
	named, err := r.named()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(named)
	if err != nil {
		return nil, unsendable(err)
	}
	path := "/json/2/" + url.PathEscape(r.Model) + "/" + url.PathEscape(r.Method)
	got, err := c.post(ctx, path, "application/json", body, http.Header{
		"Authorization":   {"bearer " + c.cfg.APIKey},
		"X-Odoo-Database": {c.cfg.Database},
	})
	if err != nil {
		return nil, err
	}
	return readJSON2(got)
}

func readJSON2(got *reply) (answer, error) {
	if got.status != http.StatusOK {
		var said struct {
			Name    string          `json:"name"`
			Message json.RawMessage `json:"message"`
			// arguments, context and debug are left unread: they hold record
			// data and tracebacks.
		}
		_ = json.Unmarshal(got.body, &said) // not JSON: a proxy's page, judged by status
		return nil, got.fault(said.Name, textOf(said.Message))
	}
	body := bytes.TrimSpace(got.body)
	if !json.Valid(body) {
		return nil, got.garbled(errNotJSON)
	}
	if string(body) == "null" {
		return nil, nil
	}
	return answer(body), nil
}

// get fetches a public path.
func (c *Client) get(ctx context.Context, path string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.URL+path, nil)
	if err != nil {
		return nil, unsendable(err)
	}
	got, err := c.send(req)
	if err != nil {
		return nil, err
	}
	return readJSON2(got)
}

func (c *Client) post(ctx context.Context, path, contentType string, body []byte, header http.Header) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, unsendable(err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", contentType)
	return c.send(req)
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	safe   bool // the request may be repeated
}

func (c *Client) send(req *http.Request) (*reply, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fault.Of(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fault.Of(err)
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: body, safe: httpx.IsRetrySafe(req)}, nil
}

// textOf reads a message that is usually a string; some exceptions carry a
// list or a number.
func textOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}
