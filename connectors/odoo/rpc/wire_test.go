package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
)

// A request that may have been committed is Uncertain; one that reads, or that
// cannot have arrived, is Transient.
func TestLostAnswers(t *testing.T) {
	hangUp := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	tooSlow := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices the client's leaving only after the body
		<-r.Context().Done()
	}
	cutShort := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"jsonrpc": "2.0", "result": [1`)
	}
	page := func(status int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const nginx = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

	for _, test := range []struct {
		name           string
		answer         func(http.ResponseWriter, *http.Request)
		writing, reads fault.Kind
	}{
		{"connection reset", hangUp, fault.Uncertain, fault.Transient},
		{"timeout", tooSlow, fault.Uncertain, fault.Transient},
		{"answer cut short", cutShort, fault.Uncertain, fault.Transient},
		{"garbage", page(200, "%&/("), fault.Uncertain, fault.Transient},
		{"empty answer", page(200, ""), fault.Uncertain, fault.Transient},
		{"gateway lost Odoo", page(502, nginx), fault.Uncertain, fault.Transient},
		{"gateway timeout", page(504, nginx), fault.Uncertain, fault.Transient},
		{"maintenance page", page(200, "<!DOCTYPE html><html>down</html>"), fault.Transient, fault.Transient},
		{"refused by a proxy", page(503, nginx), fault.Transient, fault.Transient},
	} {
		for _, transport := range []string{rpc.JSON2, rpc.JSONRPC, rpc.XMLRPC} {
			t.Run(test.name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(nil)
				server.Config.Handler = loggedIn(test.answer)
				t.Cleanup(server.Close)
				limit := time.Minute
				if test.name == "timeout" {
					limit = 2 * time.Second
				}
				c := open(t, rpc.Config{URL: server.URL, Database: "shop", Login: "bot", Password: "key", Transport: transport, Private: true, Timeout: limit})
				ctx := context.Background()
				_, err := c.Load(ctx, "res.partner", []string{"id"}, [][]any{{"x"}}, nil)
				require.Error(t, err)
				assert.Equal(t, test.writing, fault.Of(err).Kind, "load: %v %s", err, fault.Of(err).Detail)
				_, err = c.SearchCount(ctx, "res.partner", nil)
				require.Error(t, err)
				assert.Equal(t, test.reads, fault.Of(err).Kind, "search_count: %v %s", err, fault.Of(err).Detail)
			})
		}
	}
}

// loggedIn answers logins of both kinds, and everything else with answer.
func loggedIn(answer func(http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case strings.HasSuffix(r.URL.Path, "/common"):
			fmt.Fprint(w, `<methodResponse><params><param><value><int>5</int></value></param></params></methodResponse>`)
		case strings.Contains(string(body), `"authenticate"`):
			fmt.Fprint(w, `{"jsonrpc": "2.0", "id": 1, "result": 5}`)
		default:
			answer(w, r)
		}
	}
}

func TestUnreachable(t *testing.T) {
	const closed = "127.0.0.1:1"
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // its complaint about our refusal
	secure.StartTLS()
	defer secure.Close()

	for name, url := range map[string]string{
		"refused":             "http://" + closed,
		"no such name":        "http://no-such-host.invalid",
		"unknown certificate": secure.URL,
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, rpc.Config{URL: url, Database: "shop", APIKey: "key", Transport: rpc.JSON2, Private: true})
			_, err := c.Create(context.Background(), "res.partner", map[string]any{"name": "x"})
			f := fault.Of(err)
			require.NotNil(t, f)
			assert.Equal(t, fault.Transient, f.Kind)
			assert.Equal(t, "odoo.unreachable", f.Code, f.Detail)
			assert.NotEmpty(t, f.Resolution)
		})
	}
	t.Run("private network not allowed", func(t *testing.T) {
		c := open(t, rpc.Config{URL: "http://" + closed, Database: "shop", APIKey: "key", Transport: rpc.JSON2})
		_, err := c.UID(context.Background())
		assert.Equal(t, "odoo.address_refused", fault.Of(err).Code)
	})
	t.Run("given up by the caller", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		c := open(t, rpc.Config{URL: "http://" + closed, Database: "shop", APIKey: "key", Transport: rpc.JSON2, Private: true})
		_, err := c.Create(ctx, "res.partner", map[string]any{"name": "x"})
		assert.Equal(t, "odoo.cancelled", fault.Of(err).Code)
	})
}

func TestRateLimited(t *testing.T) {
	c := replay(t, rpc.JSON2, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := c.SearchCount(context.Background(), "res.partner", nil)
	assert.Equal(t, fault.RateLimited, fault.Of(err).Kind)
	assert.Equal(t, 7*time.Second, fault.Of(err).After)
}

// A refused password or an ended session makes the client log in anew.
func TestLogsInAgain(t *testing.T) {
	for body, code := range map[string]string{
		`{"error": {"code": 100, "message": "Odoo Session Expired"}}`:                                            "odoo.session_expired",
		`{"error": {"code": 200, "data": {"name": "odoo.exceptions.AccessDenied", "message": "Access Denied"}}}`: "odoo.access_denied",
	} {
		var logins, calls atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent, _ := io.ReadAll(r.Body)
			switch {
			case strings.Contains(string(sent), `"authenticate"`):
				logins.Add(1)
				fmt.Fprint(w, `{"result": 5}`)
			case calls.Add(1) == 2:
				fmt.Fprint(w, body)
			default:
				fmt.Fprint(w, `{"result": 3}`)
			}
		}))
		c := open(t, rpc.Config{URL: server.URL, Database: "shop", Login: "bot", Password: "pw", Transport: rpc.JSONRPC, Private: true})
		var err error
		for i := range 3 {
			_, err = c.SearchCount(context.Background(), "res.partner", nil)
			if i == 1 {
				assert.Equal(t, code, fault.Of(err).Code)
			} else {
				assert.NoError(t, err)
			}
		}
		assert.EqualValues(t, 2, logins.Load())
		server.Close()
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var hits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer elsewhere.Close()
	c := replay(t, rpc.JSON2, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusPermanentRedirect)
	})
	_, err := c.SearchCount(context.Background(), "res.partner", nil)
	assert.Equal(t, "odoo.redirected", fault.Of(err).Code)
	assert.Zero(t, hits.Load())
}

// The context's layers: defaults, then ctx, then the call's own.
func TestContextLayers(t *testing.T) {
	var sent map[string]any
	c := replay(t, rpc.JSON2, func(w http.ResponseWriter, r *http.Request) {
		sent = nil
		_ = json.NewDecoder(r.Body).Decode(&sent)
		assert.Equal(t, "bearer key", r.Header.Get("Authorization"))
		assert.Equal(t, "shop", r.Header.Get("X-Odoo-Database"))
		fmt.Fprint(w, `{"ids": [1], "messages": []}`)
	})
	ctx := rpc.WithContext(context.Background(), rpc.Context{"tz": "Europe/Berlin", "active_test": false})
	ctx = rpc.WithContext(ctx, rpc.Context{"active_test": true})
	_, err := c.Load(ctx, "res.partner", []string{"id"}, [][]any{{"x"}}, map[string]any{"tracking_disable": true, "tz": "UTC"})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"context": map[string]any{"lang": "en_US", "tz": "UTC", "active_test": true, "tracking_disable": true},
		"fields":  []any{"id"}, "data": []any{[]any{"x"}},
	}, sent)
}

func TestFieldsAreCached(t *testing.T) {
	var asked atomic.Int32
	c := replay(t, rpc.JSONRPC, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"result": {"price_unit": {"type": "float", "string": "Unit Price", "required": true, "digits": [16, 2]},
			"code": {"type": "char", "size": 2}, "name": {"type": "char", "size": false},
			"state": {"type": "selection", "selection": [["draft", "Quotation"]], "digits": false, "readonly": 1}}}`)
	})
	for range 3 {
		fields, err := c.FieldsGet(context.Background(), "sale.order.line")
		require.NoError(t, err)
		assert.Equal(t, rpc.Field{Type: "float", String: "Unit Price", Required: true, Digits: [2]int32{16, 2}}, fields["price_unit"])
		assert.Equal(t, []int{2, 0}, []int{fields["code"].Size, fields["name"].Size})
		assert.Equal(t, rpc.Field{Type: "selection", ReadOnly: true, Selection: []rpc.Option{{Value: "draft", Label: "Quotation"}}}, fields["state"])
	}
	assert.EqualValues(t, 1, asked.Load())
}

// Hundreds of rows may need a model's fields at once: so many calls at once
// made a real Odoo reset connections.
func TestFieldsAreAskedOnceByAll(t *testing.T) {
	var asked atomic.Int32
	all := make(chan struct{})
	c := replay(t, rpc.JSON2, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-all
		fmt.Fprint(w, `{"name": {"type": "char"}}`)
	})
	leaver, leave := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := c.FieldsGet(leaver, "res.partner")
		left <- err
	}()
	require.Eventually(t, func() bool { return asked.Load() == 1 }, time.Minute, time.Millisecond)
	var wg, ready sync.WaitGroup
	ready.Add(100)
	for range 100 {
		wg.Go(func() {
			ready.Done()
			fields, err := c.FieldsGet(context.Background(), "res.partner")
			assert.NoError(t, err, "one who asked first and left takes no answer from others")
			assert.Equal(t, "char", fields["name"].Type)
		})
	}
	ready.Wait()
	leave()
	require.Error(t, <-left)
	close(all)
	wg.Wait()
	assert.EqualValues(t, 1, asked.Load())
}

// The transport follows the server's version, asked once.
func TestAutoTransport(t *testing.T) {
	for version, want := range map[string]string{
		`{"server_version": "19.0", "server_version_info": [19, 0]}`:               "/json/2/res.partner/search_count",
		`{"server_version": "saas~19.1+e", "server_version_info": ["saas~19", 1]}`: "/json/2/res.partner/search_count",
		`{"server_version": "18.0", "server_version_info": [18, 0]}`:               "/jsonrpc",
		`{"server_version": "14.0-20231205", "server_version_info": [14, 0]}`:      "/jsonrpc",
	} {
		t.Run(version, func(t *testing.T) {
			var asked atomic.Int32
			var path atomic.Value
			c := replay(t, rpc.Auto, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/web/webclient/version_info" {
					asked.Add(1)
					fmt.Fprintf(w, `{"jsonrpc": "2.0", "id": 1, "result": %s}`, version)
					return
				}
				path.Store(r.URL.Path)
				if r.URL.Path == "/jsonrpc" {
					fmt.Fprint(w, `{"jsonrpc": "2.0", "id": 1, "result": 3}`)
					return
				}
				fmt.Fprint(w, `3`)
			})
			for range 2 {
				n, err := c.SearchCount(context.Background(), "res.partner", nil)
				require.NoError(t, err)
				assert.EqualValues(t, 3, n)
			}
			assert.Equal(t, want, path.Load())
			assert.EqualValues(t, 1, asked.Load())
		})
	}
}

// A server without the web client's path still tells its version.
func TestVersionFallsBack(t *testing.T) {
	c := replay(t, rpc.Auto, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/jsonrpc" {
			http.Error(w, "<html>no</html>", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `{"result": {"server_version": "16.0+e", "server_version_info": [16, 0]}}`)
	})
	info, err := c.Server(context.Background())
	require.NoError(t, err)
	assert.Equal(t, "16.0", info.Version)
}

func TestNewChecksItsConfig(t *testing.T) {
	good := rpc.Config{URL: "https://erp.example.com/", Database: "shop", Login: "bot", Password: "pw"}
	for field, spoil := range map[string]func(*rpc.Config){
		"":          func(*rpc.Config) {},
		"url":       func(c *rpc.Config) { c.URL = "erp.example.com" },
		"database":  func(c *rpc.Config) { c.Database = "" },
		"login":     func(c *rpc.Config) { c.Login = "" },
		"api_key":   func(c *rpc.Config) { c.Password = "" },
		"transport": func(c *rpc.Config) { c.Transport = "soap" },
	} {
		cfg := good
		spoil(&cfg)
		_, err := rpc.New(cfg)
		if field == "" {
			require.NoError(t, err)
			continue
		}
		require.Error(t, err)
		assert.Equal(t, field, fault.Of(err).Field)
	}
	leaky := good
	leaky.URL = "https://bot:hunter2@erp.example.com"
	_, err := rpc.New(leaky)
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%+v", fault.Of(err)), "hunter2")
}
