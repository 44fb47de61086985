package rpc_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
)

// realOdoo gives the settings of a real Odoo 19, or skips loudly. Where
// TOWPATH_REQUIRE_REAL=1 a missing part is a failure.
func realOdoo(t *testing.T, transport string) rpc.Config {
	t.Helper()
	need := func(name string) string {
		value := os.Getenv(name)
		if value == "" && os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			t.Fatalf("%s is not set, and real parts are required", name)
		}
		if value == "" {
			t.Skipf("SKIPPED: no real Odoo, %s is not set", name)
		}
		return value
	}
	cfg := rpc.Config{
		URL: need("TOWPATH_TEST_ODOO_URL"), Database: need("TOWPATH_TEST_ODOO_DB"),
		Login: need("TOWPATH_TEST_ODOO_LOGIN"), Password: need("TOWPATH_TEST_ODOO_PASSWORD"),
		Transport: transport, Private: true,
		Timeout: 10 * time.Minute, // a process that has just been started first reads its registry
	}
	if transport == rpc.JSON2 || transport == rpc.Auto {
		cfg.APIKey = need("TOWPATH_TEST_ODOO_API_KEY")
	}
	return cfg
}

func open(t *testing.T, cfg rpc.Config) *rpc.Client {
	t.Helper()
	client, err := rpc.New(cfg)
	require.NoError(t, err)
	return client
}

// onEach runs a test over every transport against the real Odoo.
func onEach(t *testing.T, test func(t *testing.T, c *rpc.Client, tag string)) {
	for _, transport := range []string{rpc.JSON2, rpc.JSONRPC, rpc.XMLRPC} {
		t.Run(transport, func(t *testing.T) {
			c := open(t, realOdoo(t, transport))
			test(t, c, fmt.Sprintf("%s-%d", transport, time.Now().UnixNano()))
		})
	}
}

type partner struct {
	ID        int64         `json:"id"`
	Name      string        `json:"name"`
	Email     rpc.Text      `json:"email"`
	Parent    rpc.Many2One  `json:"parent_id"`
	Latitude  rpc.Decimal   `json:"partner_latitude"`
	CreatedAt rpc.Time      `json:"create_date"`
	Tags      []int64       `json:"category_id"`
	Active    bool          `json:"active"`
	Country   *rpc.Many2One `json:"country_id"`
}

var partnerFields = []string{"name", "email", "parent_id", "partner_latitude", "create_date", "category_id", "active", "country_id"}

func TestRealVerbs(t *testing.T) {
	onEach(t, func(t *testing.T, c *rpc.Client, tag string) {
		ctx := context.Background()
		info, err := c.Server(ctx)
		require.NoError(t, err)
		assert.Equal(t, "19.0", info.Version)
		assert.Equal(t, 19, info.Major)

		uid, err := c.UID(ctx)
		require.NoError(t, err)
		assert.Positive(t, uid)

		name := tag + ` <&>"' ünïcode 日本 😀` + "\nsecond line"
		ids, err := c.Create(ctx, "res.partner",
			map[string]any{"name": tag, "is_company": true},
			map[string]any{"name": name, "partner_latitude": decimal.RequireFromString("12.3456789"), "country_id": 233})
		require.NoError(t, err)
		require.Len(t, ids, 2)
		require.NoError(t, c.Write(ctx, "res.partner", ids[1:], map[string]any{"parent_id": rpc.Many2One{ID: ids[0]}}))

		var read []partner
		require.NoError(t, c.Read(ctx, "res.partner", ids[1:], partnerFields, &read))
		require.Len(t, read, 1)
		got := read[0]
		assert.Equal(t, name, got.Name)
		assert.Equal(t, rpc.Text(""), got.Email, "false is nothing")
		assert.Equal(t, ids[0], got.Parent.ID)
		assert.Contains(t, got.Parent.Name, tag)
		assert.Equal(t, "12.3456789", got.Latitude.String())
		assert.WithinDuration(t, time.Now(), got.CreatedAt.Time, time.Hour)
		assert.Empty(t, got.Tags)
		assert.True(t, got.Active)

		domain := []any{[]any{"id", "in", ids}}
		found, err := c.Search(ctx, "res.partner", domain, rpc.Query{Order: "id desc", Limit: 1})
		require.NoError(t, err)
		assert.Equal(t, ids[1:], found)
		count, err := c.SearchCount(ctx, "res.partner", domain)
		require.NoError(t, err)
		assert.EqualValues(t, 2, count)
		var page []partner
		require.NoError(t, c.SearchRead(ctx, "res.partner", domain, []string{"name"}, rpc.Query{Order: "id", Offset: 1}, &page))
		require.Len(t, page, 1)
		assert.Equal(t, ids[1], page[0].ID)
		var loose []map[string]any
		require.NoError(t, c.Read(ctx, "res.partner", ids[:1], []string{"name"}, &loose))
		assert.Equal(t, fmt.Sprint(ids[0]), fmt.Sprint(loose[0]["id"]), "numbers keep their digits")

		err = c.Unlink(ctx, "res.partner", ids[1:])
		assert.Equal(t, "odoo.access_error", fault.Of(err).Code, "the bot may not delete partners")
		order, err := c.Create(ctx, "sale.order", map[string]any{"partner_id": ids[0]})
		require.NoError(t, err)
		lines, err := c.Create(ctx, "sale.order.line", map[string]any{"order_id": order[0], "display_type": "line_note", "name": "note"})
		require.NoError(t, err)
		require.NoError(t, c.Unlink(ctx, "sale.order.line", lines))
		var gone []partner
		require.NoError(t, c.Read(ctx, "sale.order.line", lines, []string{"name"}, &gone))
		assert.Empty(t, gone, "a record that is gone is missing from the answer")
		err = c.Unlink(ctx, "sale.order.line", nil)
		assert.NoError(t, err, "nothing to delete")

		fields, err := c.FieldsGet(ctx, "sale.order.line")
		require.NoError(t, err)
		assert.Equal(t, "res.partner", fields["order_partner_id"].Relation)
		assert.Contains(t, fields, "technical_price_unit")
		assert.True(t, fields["order_id"].Required)
		orders, err := c.FieldsGet(ctx, "sale.order")
		require.NoError(t, err)
		assert.Contains(t, orders["state"].Selection, rpc.Option{Value: "draft", Label: "Quotation"})
	})
}

func TestRealContext(t *testing.T) {
	onEach(t, func(t *testing.T, c *rpc.Client, tag string) {
		ctx := context.Background()
		ids, err := c.Create(ctx, "res.partner", map[string]any{"name": tag, "active": false})
		require.NoError(t, err)
		domain := []any{[]any{"name", "=", tag}}
		n, err := c.SearchCount(ctx, "res.partner", domain)
		require.NoError(t, err)
		assert.Zero(t, n)
		found, err := c.Search(rpc.WithContext(ctx, rpc.Context{"active_test": false}), "res.partner", domain, rpc.Query{})
		require.NoError(t, err)
		assert.Equal(t, ids, found)
	})
}

// A method that returns None is a success on every transport, XML-RPC's fault
// included, and its work is done.
func TestRealNone(t *testing.T) {
	onEach(t, func(t *testing.T, c *rpc.Client, tag string) {
		ctx := context.Background()
		partners, err := c.Create(ctx, "res.partner", map[string]any{"name": tag})
		require.NoError(t, err)
		orders, err := c.Create(ctx, "sale.order", map[string]any{"partner_id": partners[0]})
		require.NoError(t, err)
		require.NoError(t, c.Call(ctx, "sale.order", "action_confirm", orders, nil, nil, nil))
		out := "untouched"
		require.NoError(t, c.Call(ctx, "sale.order", "action_lock", orders, nil, nil, &out))
		assert.Equal(t, "untouched", out)
		var read []struct {
			Locked bool   `json:"locked"`
			State  string `json:"state"`
		}
		require.NoError(t, c.Read(ctx, "sale.order", orders, []string{"locked", "state"}, &read))
		require.Len(t, read, 1)
		assert.True(t, read[0].Locked)

		err = c.Call(ctx, "sale.order", "action_confirm", orders, nil, nil, nil)
		f := fault.Of(err)
		require.NotNil(t, f)
		assert.Equal(t, fault.Conflict, f.Kind)
		assert.Equal(t, "odoo.user_error", f.Code)
		assert.Contains(t, f.Detail, "not in a state requiring confirmation")
		assert.NotContains(t, f.Error(), "requiring", "Odoo's texts stay private")
	})
}

func TestRealFaults(t *testing.T) {
	onEach(t, func(t *testing.T, c *rpc.Client, _ string) {
		ctx := context.Background()
		var out any
		for _, test := range []struct {
			name string
			call func() error
			kind fault.Kind
			code string
		}{
			{"model", func() error { return c.Call(ctx, "res.nope", "search", nil, []any{[]any{}}, nil, &out) }, fault.NotFound, "odoo.model_missing"},
			{"method", func() error { return c.Call(ctx, "res.partner", "nope", []int64{1}, nil, nil, &out) }, fault.Unsupported, "odoo.method_missing"},
			{"private", func() error { return c.Call(ctx, "res.partner", "_write", []int64{1}, nil, nil, &out) }, fault.Unsupported, "odoo.private_method"},
			{"argument", func() error {
				return c.Call(ctx, "res.partner", "search", nil, nil, map[string]any{"domain": []any{}, "nope": 1}, &out)
			}, fault.Unsupported, "odoo.wrong_arguments"},
			{"field read", func() error { return c.Read(ctx, "res.partner", []int64{1}, []string{"nope"}, &out) }, fault.Invalid, "odoo.unknown_field"},
			{"field written", func() error { return c.Write(ctx, "res.partner", []int64{1}, map[string]any{"nope": 1}) }, fault.Invalid, "odoo.unknown_field"},
			{"rights", func() error { _, err := c.Search(ctx, "ir.model.data", nil, rpc.Query{}); return err }, fault.Unauthorized, "odoo.access_error"},
			{"gone", func() error { return c.Write(ctx, "res.partner", []int64{99999999}, map[string]any{"name": "x"}) }, fault.NotFound, "odoo.record_missing"},
		} {
			t.Run(test.name, func(t *testing.T) {
				f := fault.Of(test.call())
				require.NotNil(t, f)
				assert.Equal(t, test.kind, f.Kind, f.Detail)
				assert.Equal(t, test.code, f.Code, f.Detail)
				assert.NotContains(t, f.Detail, "Traceback")
				if f.Code == "odoo.unknown_field" {
					assert.Equal(t, "nope", f.Field)
				}
			})
		}
	})
}

func TestRealRefusedCredentials(t *testing.T) {
	for _, transport := range []string{rpc.JSON2, rpc.JSONRPC, rpc.XMLRPC} {
		t.Run(transport, func(t *testing.T) {
			cfg := realOdoo(t, transport)
			cfg.APIKey, cfg.Password = "wrong-key-of-nobody", "wrong-key-of-nobody"
			_, err := open(t, cfg).UID(context.Background())
			f := fault.Of(err)
			require.NotNil(t, f)
			assert.Equal(t, fault.Unauthorized, f.Kind, f.Detail)
			assert.NotContains(t, fmt.Sprint(f.Error(), f.Detail), "wrong-key")

			cfg = realOdoo(t, transport)
			cfg.Database = "no_such_database"
			_, err = open(t, cfg).UID(context.Background())
			f = fault.Of(err)
			require.NotNil(t, f)
			assert.Equal(t, fault.NotFound, f.Kind, f.Detail)
			assert.Equal(t, "odoo.database_missing", f.Code, f.Detail)
		})
	}
}

func TestRealAutoPrefersJSON2(t *testing.T) {
	cfg := realOdoo(t, rpc.Auto)
	cfg.Login, cfg.Password = "", "" // only JSON-2 can do without
	uid, err := open(t, cfg).UID(context.Background())
	require.NoError(t, err)
	assert.Positive(t, uid)
}
