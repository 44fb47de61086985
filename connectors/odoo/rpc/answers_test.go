package rpc_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
)

// answers were recorded from a real Odoo 19; tracebacks are cut, and JSON's
// "debug" was replaced by a planted secret that must never come out.
//
//go:embed testdata/answers.json
var answers []byte

type recorded struct {
	Name        string `json:"name"`
	Transport   string `json:"transport"`
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
}

func (r recorded) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", r.ContentType)
	w.WriteHeader(r.Status)
	_, _ = w.Write([]byte(r.Body))
}

// replay serves one answer to every call but the login, which succeeds.
func replay(t *testing.T, transport string, answer func(w http.ResponseWriter, r *http.Request)) *rpc.Client {
	t.Helper()
	server := httptest.NewServer(loggedIn(answer))
	t.Cleanup(server.Close)
	return open(t, rpc.Config{URL: server.URL, Database: "shop", Login: "bot", Password: "pw", APIKey: "key", Transport: transport, Private: true})
}

func TestRecordedAnswers(t *testing.T) {
	want := map[string]struct {
		kind fault.Kind
		code string
	}{
		"model missing":         {fault.NotFound, "odoo.model_missing"},
		"method missing":        {fault.Unsupported, "odoo.method_missing"},
		"private method":        {fault.Unsupported, "odoo.private_method"},
		"record missing":        {fault.NotFound, "odoo.record_missing"},
		"no right":              {fault.Unauthorized, "odoo.access_error"},
		"no right to create":    {fault.Unauthorized, "odoo.access_error"},
		"unknown field read":    {fault.Invalid, "odoo.unknown_field"},
		"unknown field written": {fault.Invalid, "odoo.unknown_field"},
		"wrong argument":        {fault.Unsupported, "odoo.wrong_arguments"},
		"boolean in load":       {fault.Invalid, "odoo.bad_value"},
		"validation":            {fault.Invalid, "odoo.validation"},
		"recursive parent":      {fault.Invalid, "odoo.validation"},
		"confirmed twice":       {fault.Conflict, "odoo.user_error"},
		"database missing":      {fault.NotFound, "odoo.database_missing"},
		"key refused":           {fault.Unauthorized, "odoo.key_refused"},
		"path missing":          {fault.NotFound, "odoo.path_missing"},
		"password refused":      {fault.Unauthorized, "odoo.access_denied"},
		"returns nothing":       {},
		"one order":             {},
		"bad load":              {},
		"login refused":         {},
	}
	var all []recorded
	require.NoError(t, json.Unmarshal(answers, &all))
	for _, answer := range all {
		t.Run(answer.Name+"/"+answer.Transport, func(t *testing.T) {
			expected, known := want[answer.Name]
			require.True(t, known)
			c := replay(t, answer.Transport, func(w http.ResponseWriter, _ *http.Request) { answer.write(w) })
			err := c.Call(context.Background(), "res.partner", "anything", []int64{1}, nil, nil, nil)
			if expected.code == "" {
				require.NoError(t, err)
				return
			}
			f := fault.Of(err)
			require.NotNil(t, f)
			if answer.Name == "recursive parent" && answer.Transport == rpc.XMLRPC {
				// XML-RPC does not tell a ValidationError from its parent class.
				expected.kind, expected.code = fault.Conflict, "odoo.user_error"
			}
			assert.Equal(t, expected.kind, f.Kind, f.Detail)
			assert.Equal(t, expected.code, f.Code, f.Detail)
			assert.NotEmpty(t, f.Resolution)
			assert.NotContains(t, fmt.Sprintf("%+v", *f), "planted-secret", "debug is never kept")
			assert.NotContains(t, f.Detail, "Traceback")
		})
	}
}

func TestRecordedOrder(t *testing.T) {
	var all []recorded
	require.NoError(t, json.Unmarshal(answers, &all))
	seen := 0
	for _, answer := range all {
		if answer.Name != "one order" {
			continue
		}
		seen++
		c := replay(t, answer.Transport, func(w http.ResponseWriter, _ *http.Request) { answer.write(w) })
		var orders []struct {
			ID        int64        `json:"id"`
			Name      string       `json:"name"`
			Total     rpc.Decimal  `json:"amount_total"`
			Partner   rpc.Many2One `json:"partner_id"`
			Date      rpc.Time     `json:"date_order"`
			Reference rpc.Text     `json:"client_order_ref"`
		}
		require.NoError(t, c.SearchRead(context.Background(), "sale.order", nil, nil, rpc.Query{}, &orders))
		require.Len(t, orders, 1)
		assert.EqualValues(t, 1, orders[0].ID)
		assert.Equal(t, "S00001", orders[0].Name)
		assert.True(t, orders[0].Total.IsZero())
		assert.Equal(t, rpc.Many2One{ID: 17, Name: "Some Shop"}, orders[0].Partner)
		assert.Equal(t, "2026-11-22 17:51:52", orders[0].Date.Format(rpc.DateTimeFormat))
		assert.Empty(t, orders[0].Reference)
	}
	assert.Equal(t, 3, seen)
}

func TestRecordedLoginRefused(t *testing.T) {
	var all []recorded
	require.NoError(t, json.Unmarshal(answers, &all))
	for _, answer := range all {
		if answer.Name != "login refused" {
			continue
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer.write(w) }))
		t.Cleanup(server.Close)
		c := open(t, rpc.Config{URL: server.URL, Database: "shop", Login: "bot", Password: "hunter2secret", Transport: answer.Transport, Private: true})
		_, err := c.SearchCount(context.Background(), "res.partner", nil)
		f := fault.Of(err)
		require.NotNil(t, f)
		assert.Equal(t, "odoo.login_refused", f.Code)
		assert.Equal(t, fault.Unauthorized, f.Kind)
		assert.NotContains(t, fmt.Sprintf("%+v", *f), "hunter2secret")
	}
}
