package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/local"
	shopsim "towpath/connectors/shopify/simulator"
)

// reply is the API's answer to a webhook.
type reply struct {
	Success bool
	Error   struct {
		Code, Message, Resolution string
		Fields                    map[string]string
	}
}

// post sends one webhook, signed as the shop does.
func (w *world) post(d shopsim.Delivery) (int, reply) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.APIURL+"/webhooks/shopify/"+local.ShopName, bytes.NewReader(d.Body))
	require.NoError(w.t, err)
	req.Header = d.Header(w.Shop.Domain(), w.Shop.Secret())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	var r reply
	require.NoError(w.t, json.Unmarshal(raw, &r), "%s", raw)
	return resp.StatusCode, r
}

// What no order can be is refused at once, with the field that is wrong, and
// nothing of it is kept.
func TestBadInputRefused(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Env: []string{"TOWPATH_MAX_BODY=2000000"}})
	const at = `"updated_at":"2026-11-02T09:00:00Z"`
	for name, c := range byName(map[string]struct {
		topic, body string
		status      int
		code, field string
	}{
		"empty":               {shopsim.TopicCreate, ``, 400, "api.empty", "body"},
		"over the cap":        {shopsim.TopicCreate, `{"id":1,"note":"` + strings.Repeat("x", 2_000_000) + `"}`, 413, "api.too_large", "body"},
		"not JSON":            {shopsim.TopicCreate, `<order id="5001"/>`, 400, "shopify.bad_body", ""},
		"cut off":             {shopsim.TopicCreate, `{"id":5001,` + at + `,"line_items":[{"id":`, 400, "shopify.bad_body", ""},
		"a list":              {shopsim.TopicCreate, `[1,2,3]`, 400, "shopify.bad_body", ""},
		"null":                {shopsim.TopicCreate, `null`, 400, "shopify.bad_body", "id"},
		"id is a list":        {shopsim.TopicCreate, `{"id":[1],` + at + `}`, 400, "shopify.bad_body", "id"},
		"id is missing":       {shopsim.TopicCreate, `{` + at + `}`, 400, "shopify.bad_body", "id"},
		"id is words":         {shopsim.TopicCreate, `{"id":"` + strings.Repeat("9", 300) + `",` + at + `}`, 400, "shopify.bad_body", "id"},
		"time is missing":     {shopsim.TopicCreate, `{"id":5001}`, 400, "shopify.bad_body", "updated_at"},
		"time is no time":     {shopsim.TopicCreate, `{"id":5001,"updated_at":"yesterday"}`, 400, "shopify.bad_body", "updated_at"},
		"edit without order":  {shopsim.TopicEdited, `{"id":5001}`, 400, "shopify.bad_body", "order_edit"},
		"delete without id":   {shopsim.TopicDelete, `{}`, 400, "shopify.bad_body", "id"},
		"100,000 brackets":    {shopsim.TopicCreate, strings.Repeat("[", 100_000), 400, "shopify.bad_body", ""},
		"100,000 deep inside": {shopsim.TopicCreate, `{"id":5001,` + at + `,"note_attributes":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, 400, "shopify.bad_body", ""},
		"invalid UTF-8":       {shopsim.TopicCreate, "{\"id\":5001," + at + ",\"note\":\"\xff\xfe\"}", 400, "shopify.bad_body", ""},
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			status, r := w.post(w.Shop.Ledger.Message(c.topic, []byte(c.body)))
			require.Equal(t, c.status, status, "%+v", r)
			require.False(t, r.Success)
			require.Equal(t, c.code, r.Error.Code)
			require.NotEmpty(t, r.Error.Message)
			require.NotEmpty(t, r.Error.Resolution)
			if c.field != "" {
				require.Contains(t, r.Error.Fields, c.field)
			}
		})
	}
	w.as(t)
	forged := w.Shop.Ledger.Message(shopsim.TopicCreate, []byte(`{"id":5001}`))
	forged.Forged = true
	status, _ := w.post(forged)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Zero(t, w.count(`SELECT count(*) FROM inbound_event`), "refused is not kept")
	w.sell(1)
	w.settle(patience)
	w.counted(nil)
}

// What may be an order is taken, and rests with a clear cause: nothing lost.
func TestBadInputParked(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	set := func(name string, value any) func(map[string]any) {
		return func(o map[string]any) { o[name] = value }
	}
	money := func(amount, currency string) map[string]any {
		m := map[string]any{"amount": amount, "currency_code": currency}
		return map[string]any{"shop_money": m, "presentment_money": m}
	}
	line := func(name string, value any) func(map[string]any) {
		return func(o map[string]any) { o["line_items"].([]any)[0].(map[string]any)[name] = value }
	}
	resting := map[*shopsim.Order]string{}
	for name, c := range byName(map[string]struct {
		spoil func(map[string]any)
		code  string
		field string
	}{
		"unknown currency":      {set("currency", "XQQ"), "shopify.bad_body", "currency"},
		"no currency":           {set("currency", nil), "shopify.bad_body", "currency"},
		"lines are words":       {set("line_items", "many"), "shopify.bad_body", "line_items"},
		"a line without id":     {line("id", nil), "shopify.bad_body", "line_items"},
		"quantity is words":     {line("current_quantity", "two"), "shopify.bad_body", "quantity"},
		"negative quantity":     {line("current_quantity", -2), "", "quantity"},
		"quantity of 10^30":     {line("current_quantity", json.Number("1e30")), "", "quantity"},
		"negative price":        {line("price_set", money("-5.00", "EUR")), "", "price"},
		"price of 10^30":        {line("price_set", money("1"+strings.Repeat("0", 30), "EUR")), "", ""},
		"price of 10^(10^9)":    {line("price_set", money("1e1000000000", "EUR")), "", ""},
		"price is no number":    {line("price_set", money("twelve", "EUR")), "shopify.bad_body", "price"},
		"negative total":        {set("current_total_price_set", money("-1.00", "EUR")), "", "total"},
		"absurd total":          {set("current_total_price_set", money("99999999999999.99", "EUR")), "", ""},
		"total doesn't add up":  {set("current_total_price_set", money("1.00", "EUR")), "", ""},
		"total of 10^(10^9)":    {set("current_total_price_set", money("1e1000000000", "EUR")), "", ""},
		"total of 10^-(10^9)":   {set("current_total_price_set", money("1e-1000000000", "EUR")), "", ""},
		"other money in a line": {line("price_set", money("5.00", "JPY")), "", ""},
		"a creation date of 0":  {set("created_at", "0000-00-00"), "shopify.bad_body", "created_at"},
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			o := w.place(1)[0]
			d := w.spoiled(o, c.spoil)
			status, r := w.post(d)
			require.Equal(t, http.StatusAccepted, status, "%+v", r)
			w.eventually(patience, "the order rests", func() bool {
				trail, err := w.Store.Trail(w.ctx, key(o))
				return err == nil && trail.Outcome.String == "parked"
			})
			trail := w.trail(o)
			resting[o] = trail.Code.String
			t.Logf("%s: %s: %s", trail.Code.String, trail.Message.String, trail.Resolution.String)
			if c.code != "" {
				require.Equal(t, c.code, trail.Code.String)
			}
			require.NotEmpty(t, trail.Resolution.String)
			var field string
			require.NoError(t, w.db.QueryRow(`SELECT field FROM parked WHERE external_id = $1 AND state = 'open'`, key(o).ExternalID).Scan(&field))
			require.Contains(t, field, c.field)
		})
	}
	w.as(t)
	w.sell(3)
	w.settle(patience)
	w.counted(resting)
}

// spoiled is a signed delivery about an order whose body was changed.
func (w *world) spoiled(o *shopsim.Order, spoil func(map[string]any)) shopsim.Delivery {
	w.t.Helper()
	d := w.Shop.Ledger.Event(shopsim.TopicCreate, o)
	var body map[string]any
	dec := json.NewDecoder(bytes.NewReader(d.Body))
	dec.UseNumber()
	require.NoError(w.t, dec.Decode(&body))
	spoil(body)
	raw, err := json.Marshal(body)
	require.NoError(w.t, err)
	d.Body = raw
	return d
}

// Strange, but an order: right-to-left marks, markup, and texts longer than any
// column. It goes through, as much of it as can be kept; only NUL, which no
// database can hold, rests with the cause.
func TestStrangeTexts(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{})
	resting := map[*shopsim.Order]string{}
	for name, text := range byName(map[string]string{
		"NUL":           "Ada\x00Archer",
		"controls":      "Ada\u0001\u0002\u001b[31mArcher",
		"right to left": "\u202eAda\u202c Archer",
		"markup":        `<script>alert("Ada")</script>`,
		"SQL":           `Ada'); DROP TABLE object; --`,
		"long":          strings.Repeat("Ada ", 5000),
		"emoji":         "Ada 👩‍👩‍👧‍👦 Archer",
		"placeholders":  "%(name)s %s {0} ${env}",
	}) {
		t.Run(name, func(t *testing.T) {
			w.as(t)
			o := w.place(1, func(d *shopsim.Draft) {
				c := *d.Customer
				address := *c.Address
				c.LastName, address.LastName, address.Address1 = text, text, text
				c.Address = &address
				d.Customer, d.Billing, d.Delivery, d.Note, d.Tags = &c, &address, &address, text, []string{text}
				d.Lines[0].Variant.Title = text
			})[0]
			w.tell(w.events(shopsim.TopicCreate, o)...)
			w.settle(patience)
			if name == "NUL" {
				w.parkedAs("shopify.bad_body", o)
				resting[o] = "shopify.bad_body"
			}
		})
	}
	w.as(t)
	w.counted(resting)
}

// Ten thousand lines arrive whole, in time, and total right.
func TestTenThousandLines(t *testing.T) {
	t.Parallel()
	w := live(t, local.Options{Env: []string{"TOWPATH_MAX_BODY=33554432"}, Shop: shopsim.Options{}})
	o := w.place(1, func(d *shopsim.Draft) {
		line := d.Lines[0]
		d.Lines = nil
		for i := range 10_000 {
			line.Variant, line.Quantity = goods[i%len(goods)], 1
			line.Discount = decimal.New(int64(i%7), -2)
			d.Lines = append(d.Lines, line)
		}
	})[0]
	d := w.Shop.Ledger.Event(shopsim.TopicCreate, o)
	t.Logf("a body of %d kB", len(d.Body)/1000)
	w.tell(d)
	neighbours := w.sell(5)
	w.settle(patience)
	w.counted(nil)
	sold, err := w.Odoo.Sold(w.ctx)
	require.NoError(t, err)
	require.Len(t, sold, 1+len(neighbours))
	lines := map[string]int{}
	for _, s := range sold {
		lines[s.OrderID()] = s.Lines
	}
	require.GreaterOrEqual(t, lines[fmt.Sprint(o.ID)], 10_000)
}
