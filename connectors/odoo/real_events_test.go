package odoo

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/rpc"
	"towpath/odoo_addons/odootest"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// TestRealEvents: how events leave a real Odoo 19, in all three ways.
func TestRealEvents(t *testing.T) {
	t.Parallel()
	o := odootest.Serve(t)
	admin, err := rpc.New(rpc.Config{URL: o.URL, Database: o.DB, Login: "admin", Password: "admin", Transport: rpc.JSONRPC, Private: true, Timeout: patience})
	require.NoError(t, err)
	open := func(t *testing.T, book connectors.PolledRecords, config map[string]any) *Connector {
		all := map[string]any{"url": o.URL, "database": o.DB, "login": o.Login, "password": o.Password, "transport": "jsonrpc"}
		for k, v := range config {
			all[k] = v
		}
		s := settings(t, all)
		s.Runtime.Polled = book
		c, err := Open(s)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		return c
	}
	t.Run("outbox", func(t *testing.T) { realOutbox(t, o, admin, open) })
	t.Run("automation", func(t *testing.T) { realAutomation(t, open) })
	t.Run("polling", func(t *testing.T) { realPolling(t, o, admin, open) })
}

type opener func(t *testing.T, book connectors.PolledRecords, config map[string]any) *Connector

func realOutbox(t *testing.T, o *odootest.Odoo, admin *rpc.Client, open opener) {
	const model = "res.partner.category"
	_, err := open(t, nil, map[string]any{"events": "outbox", "login": "office", "password": "office"}).PullEvents(t.Context(), "", 10)
	wantCode(t, err, fault.Unauthorized, "odoo.outbox_forbidden")
	number, err := admin.Search(t.Context(), "ir.model", []any{is("model", "=", model)}, rpc.Query{})
	require.NoError(t, err)
	rule, err := admin.Create(t.Context(), "towpath.rule", map[string]any{"name": "tags", "model_id": number[0], "on_unlink": true})
	require.NoError(t, err)
	for name, config := range map[string]map[string]any{
		"XML-RPC": {"transport": "xmlrpc"}, "JSON-2": {"transport": "json2", "api_key": o.APIKey},
	} {
		t.Run(name, func(t *testing.T) {
			config["events"] = "outbox"
			rows := make([]map[string]any, 200)
			for n := range rows {
				rows[n] = map[string]any{"name": fmt.Sprint(name, " ", n), "color": n % 11}
			}
			made, err := admin.Create(t.Context(), model, rows...)
			require.NoError(t, err)
			began := time.Now()
			claimed := pull(t, open(t, nil, config), "", 200)
			t.Logf("200 rows claimed in %s", time.Since(began))
			require.Len(t, claimed.Events, 200)
			for i, e := range claimed.Events {
				require.NoError(t, e.Check())
				require.Equal(t, model+".created "+strconv.FormatInt(made[i], 10), e.Type+" "+e.RecordID)
			}
			_, err = admin.Create(t.Context(), model, map[string]any{"name": name + " later"})
			require.NoError(t, err)
			// Killed between claim and ack; the successor has the same name.
			again := pull(t, open(t, nil, config), "", 200)
			require.Equal(t, ids(claimed.Events), ids(again.Events), "the same rows, first, in their order")
			require.True(t, again.More)
			began = time.Now()
			require.NoError(t, again.Ack(t.Context()))
			t.Logf("200 rows acknowledged in %s", time.Since(began))
			rest := pull(t, open(t, nil, config), "", 200)
			require.Len(t, rest.Events, 1)
			require.NoError(t, rest.Ack(t.Context()))
			require.Empty(t, pull(t, open(t, nil, config), "", 200).Events)
		})
	}
	require.NoError(t, admin.Unlink(t.Context(), "towpath.rule", rule))
}

func ids(events []webhook.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.ID)
	}
	return all
}

func realAutomation(t *testing.T, open opener) {
	config := map[string]any{"events": "automation", "events_models": "res.partner, res.partner.category", "events_key": testKey}
	bot := open(t, nil, config)
	nudges := make(chan string, 100)
	towpath := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := http.Header{connectors.HeaderKey: {r.URL.Query().Get("key")}}
		err := bot.VerifyEvents(h, body)
		_, nudge, parseErr := bot.ParseEvents(h, body)
		nudges <- fmt.Sprint(r.URL.Path, " ", err, " ", nudge, " ", parseErr)
	}))
	t.Cleanup(towpath.Close)
	nudged := func() {
		t.Helper()
		select {
		case got := <-nudges:
			require.Equal(t, "/webhooks/odoo/test <nil> true <nil>", got)
		case <-time.After(10 * time.Minute):
			t.Fatal("no nudge came")
		}
	}
	_, err := bot.InstallHooks(t.Context(), towpath.URL)
	wantCode(t, err, fault.Unauthorized, "odoo.hooks_forbidden")

	config["login"], config["password"] = "admin", "admin"
	admin := open(t, nil, config)
	states := func(list []Hook, err error) (all []string) {
		t.Helper()
		require.NoError(t, err)
		for _, h := range list {
			all = append(all, h.State+" "+h.Model+" "+h.Trigger)
		}
		return all
	}
	wanted := func(state string) []string {
		return []string{state + " res.partner on_create_or_write", state + " res.partner on_unlink",
			state + " res.partner.category on_create_or_write", state + " res.partner.category on_unlink"}
	}
	require.Equal(t, wanted("missing"), states(admin.HooksStatus(t.Context(), towpath.URL)))
	require.Equal(t, wanted("installed"), states(admin.InstallHooks(t.Context(), "http://127.0.0.1:9")))
	require.Equal(t, wanted("elsewhere"), states(admin.HooksStatus(t.Context(), towpath.URL)))
	rules, err := admin.rpc.Search(t.Context(), ruleModel, nil, rpc.Query{})
	require.NoError(t, err)
	require.NoError(t, admin.rpc.Write(t.Context(), ruleModel, rules[:1], map[string]any{"active": false}))
	require.Equal(t, wanted("installed"), states(admin.InstallHooks(t.Context(), towpath.URL)), "mended")
	count, err := admin.rpc.SearchCount(t.Context(), ruleModel, nil)
	require.NoError(t, err)
	require.EqualValues(t, 4, count, "installed twice is installed once")

	tag, err := bot.rpc.Create(t.Context(), "res.partner.category", map[string]any{"name": "Nudge"})
	require.NoError(t, err)
	nudged()
	require.NoError(t, admin.rpc.Unlink(t.Context(), "res.partner.category", tag))
	nudged()

	config["events_models"] = "res.partner"
	require.Equal(t, wanted("installed")[:2], states(open(t, nil, config).InstallHooks(t.Context(), towpath.URL)), "of what is watched no more")
	removed, err := admin.RemoveHooks(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	for _, model := range []string{ruleModel, actionModel} {
		left, err := admin.rpc.SearchCount(t.Context(), "ir.model.data", []any{is("module", "=", "__towpath__"), is("model", "=", model)})
		require.NoError(t, err)
		require.Zero(t, left)
	}
	require.Equal(t, wanted("missing"), states(admin.HooksStatus(t.Context(), towpath.URL)))
}

func realPolling(t *testing.T, o *odootest.Odoo, admin *rpc.Client, open opener) {
	ctx := t.Context()
	c := open(t, &polledBook{}, map[string]any{"events": "polling", "events_models": "res.partner, res.partner.category, sale.order, account.move, crm.lead",
		"transport": "json2", "api_key": o.APIKey})
	cursor, seen := "", map[string]bool{}
	var last []webhook.Event
	told := func() (news []string) {
		t.Helper()
		last = nil
		for more := true; more; {
			b := pull(t, c, cursor, 200)
			for _, e := range b.Events {
				require.NoError(t, e.Check())
				if !seen[e.ID] {
					seen[e.ID], news, last = true, append(news, e.Type+" "+e.RecordID), append(last, e)
				}
			}
			if cursor, more = b.Cursor, b.More; len(b.Events) > 0 {
				require.NoError(t, b.Ack(ctx))
			}
		}
		return news
	}
	_, err := c.SalesTerms(ctx, false)
	require.NoError(t, err)
	time.Sleep(1100 * time.Millisecond) // what this test made is not of the second in which watching begins
	told()
	nextSecond := func() { time.Sleep(1100 * time.Millisecond) } // write_date has whole seconds

	nextSecond()
	partner, err := admin.Create(ctx, "res.partner", map[string]any{"name": "Ada", "city": "Lyon"})
	require.NoError(t, err)
	number := strconv.FormatInt(partner[0], 10)
	require.Equal(t, []string{"res.partner.created " + number}, told())
	nextSecond()
	require.NoError(t, admin.Write(ctx, "res.partner", partner, map[string]any{"city": "Paris"}))
	require.Equal(t, []string{"res.partner.updated " + number}, told())
	require.NoError(t, admin.Unlink(ctx, "res.partner", partner))
	var place pollCursor
	require.NoError(t, json.Unmarshal([]byte(cursor), &place))
	place.Models["res.partner"].Counted = ""
	raw, err := json.Marshal(place)
	require.NoError(t, err)
	cursor = string(raw)
	require.Equal(t, []string{"res.partner.deleted " + number}, told())

	// A transaction that began before others, and commits after they were told.
	db, err := sql.Open("postgres", o.PG)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	var late int64
	require.NoError(t, tx.QueryRow(`INSERT INTO res_partner_category (name, color, active, create_date, write_date, create_uid, write_uid)
		VALUES ('{"en_US": "Late"}', 1, true, now() at time zone 'UTC', now() at time zone 'UTC', 1, 1) RETURNING id`).Scan(&late))
	nextSecond()
	early, err := admin.Create(ctx, "res.partner.category", map[string]any{"name": "Early"})
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprint("res.partner.category.created ", early[0])}, told())
	nextSecond()
	require.NoError(t, tx.Commit())
	require.Equal(t, []string{fmt.Sprint("res.partner.category.created ", late)}, told())

	// Named events have the fields of the catalogue.
	who, err := admin.Create(ctx, "res.partner", map[string]any{"name": "Eve"})
	require.NoError(t, err)
	products, err := admin.Search(ctx, "product.product", []any{is("default_code", "=", "SKU-0001")}, rpc.Query{})
	require.NoError(t, err)
	order, err := admin.Create(ctx, "sale.order", map[string]any{"partner_id": who[0], "order_line": []any{[]any{0, 0, map[string]any{"product_id": products[0], "product_uom_qty": 2}}}})
	require.NoError(t, err)
	move, err := admin.Create(ctx, "account.move", map[string]any{"partner_id": who[0], "move_type": "out_invoice", "invoice_date": "2026-11-20",
		"invoice_line_ids": []any{[]any{0, 0, map[string]any{"product_id": products[0], "quantity": 1, "price_unit": 5}}}})
	require.NoError(t, err)
	lead, err := admin.Create(ctx, "crm.lead", map[string]any{"name": "Deal", "partner_id": who[0], "type": "lead"})
	require.NoError(t, err)
	news := told()
	for _, want := range []string{fmt.Sprint("sale.order.created ", order[0]), fmt.Sprint("account.move.created ", move[0]), fmt.Sprint("crm.lead.created ", lead[0]), fmt.Sprint("res.partner.created ", who[0])} {
		require.Contains(t, news, want)
	}
	checkPayloads(t, last)
	nextSecond()
	require.NoError(t, admin.Call(ctx, "sale.order", "action_confirm", order, nil, nil, nil))
	require.NoError(t, admin.Call(ctx, "account.move", "action_post", move, nil, nil, nil))
	require.NoError(t, admin.Write(ctx, "crm.lead", lead, map[string]any{"type": "opportunity"}))
	require.NoError(t, admin.Call(ctx, "crm.lead", "action_set_won", lead, nil, nil, nil))
	news = told()
	for _, want := range []string{fmt.Sprint("sale.order.state.changed ", order[0]), fmt.Sprint("account.move.validated ", move[0]), fmt.Sprint("crm.lead.converted ", lead[0]), fmt.Sprint("crm.lead.won ", lead[0])} {
		require.Contains(t, news, want)
	}
	checkPayloads(t, last)
}

// checkPayloads compares the data of named events with what the catalogue says.
func checkPayloads(t *testing.T, events []webhook.Event) {
	t.Helper()
	for _, e := range events {
		kind, ok := webhook.Lookup(e.Type)
		if !ok || kind.Generic() || e.Thin {
			continue
		}
		var schema struct {
			Properties struct {
				Data struct {
					Required   []string
					Properties map[string]any
				}
			}
		}
		require.NoError(t, json.Unmarshal(kind.Schema, &schema))
		var data map[string]any
		require.NoError(t, json.Unmarshal(e.Data, &data))
		for _, name := range schema.Properties.Data.Required {
			require.Contains(t, data, name, e.Type)
		}
		for name := range data {
			require.Contains(t, schema.Properties.Data.Properties, name, e.Type)
		}
		if lines, ok := data["order_lines"].([]any); ok && slices.Contains(schema.Properties.Data.Required, "order_lines") {
			require.NotEmpty(t, lines)
		}
	}
}
