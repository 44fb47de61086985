package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/schema/fault"
)

func body(t testing.TB, ep Endpoint, e Event) string {
	t.Helper()
	raw, err := compiled(t, ep).Body(e)
	require.NoError(t, err)
	require.True(t, json.Valid(raw), "%s", raw)
	return string(raw)
}

const (
	saleData = `"id":42,"name":"S00042 <é>","state":"sale","amount_total":120.50,"partner_id":7,` +
		`"order_lines":[{"product_id":1,"quantity":2.0,"price_unit":10.00},{"product_id":2,"quantity":1,"price_unit":100.5}]`
	saleOld = `"old_values":{"state":"draft","amount_total":99.90}`
	saleAt  = `"timestamp":"2026-11-23T02:38:56.123456Z"`
)

func TestBodies(t *testing.T) {
	acted, deleted, plain, test := sale(), sale(), sale(), sale()
	acted.Type, acted.Action = "sale.order.state.changed", Acted
	deleted.Type, deleted.Action, deleted.Old, deleted.Changed = "sale.order.deleted", Unlink, nil, nil
	plain.Old, plain.Changed, plain.Data = nil, nil, json.RawMessage(`{"id":42}`)
	test.Test, test.Old, test.Changed, test.Data = true, nil, nil, json.RawMessage(`{"id":42}`)
	ownOld := plain
	ownOld.Data, ownOld.Old = json.RawMessage(`{"id":42,"old_values":{"state":"draft"},"name":"S"}`), json.RawMessage(`{"state":"draft","note":"x"}`)
	with := func(change func(*Endpoint)) Endpoint {
		e := endpoint()
		change(&e)
		return e
	}
	profile := func(p Profile) Endpoint { return with(func(e *Endpoint) { e.Profile = p }) }
	fields := func(paths ...string) Endpoint { return with(func(e *Endpoint) { e.Fields = paths }) }
	transform := func(text string) Endpoint { return with(func(e *Endpoint) { e.Transform = text }) }
	for name, row := range map[string]struct {
		endpoint Endpoint
		event    Event
		want     string
	}{
		"standard":      {profile(Standard), sale(), `{"type":"sale.order.updated",` + saleAt + `,"data":{` + saleData + `,` + saleOld + `},"changed_fields":["state","amount_total"]}`},
		"standard-v1a":  {profile(StandardV1a), plain, `{"type":"sale.order.updated",` + saleAt + `,"data":{"id":42}}`},
		"standard test": {profile(Standard), test, `{"type":"sale.order.updated",` + saleAt + `,"data":{"id":42},"test":true}`},
		"odoo-s0":       {profile(OdooS0), sale(), `{` + saleData + `,` + saleOld + `}`},
		"odoo-s1": {profile(OdooS1), sale(), `{"event":"write","model":"sale.order",` + saleAt + `,"data":{` + saleData + `,` + saleOld +
			`},"changed_fields":["state","amount_total"]}`},
		"odoo-s1, a step is a write": {profile(OdooS1), acted, `{"event":"write","model":"sale.order",` + saleAt + `,"data":{` + saleData + `,` + saleOld +
			`},"changed_fields":["state","amount_total"]}`},
		"odoo-s1 deleted":          {profile(OdooS1), deleted, `{"event":"unlink","model":"sale.order",` + saleAt + `,"data":{` + saleData + `}}`},
		"odoo-s3":                  {profile(OdooS3), sale(), `{"event":"sale.order.updated",` + saleAt + `,"data":{` + saleData + `,` + saleOld + `}}`},
		"old values of the rule":   {profile(OdooS3), ownOld, `{"event":"sale.order.updated",` + saleAt + `,"data":{"id":42,"old_values":{"state":"draft","note":"x"},"name":"S"}}`},
		"fields":                   {fields("amount_total", "order_lines.price_unit"), sale(), `{"type":"sale.order.updated",` + saleAt + `,"data":{"id":42,"amount_total":120.50,"order_lines":[{"price_unit":10.00},{"price_unit":100.5}],"old_values":{"amount_total":99.90}},"changed_fields":["amount_total"]}`},
		"fields without old":       {fields("name"), sale(), `{"type":"sale.order.updated",` + saleAt + `,"data":{"id":42,"name":"S00042 <é>"}}`},
		"fields, whole and part":   {fields("order_lines.quantity", "order_lines", "id"), plain, `{"type":"sale.order.updated",` + saleAt + `,"data":{"id":42}}`},
		"fields into plain values": {fields("name.first", "state"), sale(), `{"type":"sale.order.updated",` + saleAt + `,"data":{"id":42,"state":"sale","old_values":{"state":"draft"}},"changed_fields":["state"]}`},
		"transform":                {transform(`{"text": "Order " + event.data.name, "total": event.data.amount_total, "twice": event.data.amount_total * 2}`), sale(), `{"text":"Order S00042 <é>","total":120.50,"twice":241.00}`},
		"transform with whole": {transform(`{"at": event.occurred_at, "was": event.old.state, "none": event.data.nothing, "lines": event.data.order_lines.filter(l, l.quantity > 1), "n": event.sequence, "t": event.test, "c": event.changed}`),
			sale(), `{"at":"2026-11-23T02:38:56.123456Z","c":["state","amount_total"],"lines":[{"price_unit":10.00,"product_id":1,"quantity":2.0}],"n":7,"none":null,"t":false,"was":"draft"}`},
		"transform that nests": {transform(`{"order": event.data, "items": event.data.order_lines.map(l, {"sku": l.product_id, "qty": l.quantity})}`), plain, `{"items":[],"order":{"id":42}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "transform that nests" {
				row.event.Data = json.RawMessage(`{"id":42,"order_lines":[{"product_id":1,"quantity":3}]}`)
				row.want = `{"items":[{"qty":3,"sku":1}],"order":{"id":42,"order_lines":[{"product_id":1,"quantity":3}]}}`
			}
			assert.Equal(t, row.want, body(t, row.endpoint, row.event))
		})
	}
}

func TestBodiesThatCannotBeMade(t *testing.T) {
	for name, row := range map[string]struct {
		endpoint func(*Endpoint)
		event    func(*Event)
		code     string
	}{
		"no object":        {event: func(e *Event) { e.Data = json.RawMessage(`[1]`) }, code: "webhook.event_invalid"},
		"no JSON":          {event: func(e *Event) { e.Data = json.RawMessage(`{"a":}`) }, code: "webhook.event_invalid"},
		"no UTF-8":         {event: func(e *Event) { e.Data = json.RawMessage("{\"a\":\"\xff\"}") }, code: "webhook.event_invalid"},
		"no id":            {event: func(e *Event) { e.ID = "" }, code: "webhook.event_invalid"},
		"an id with dots":  {event: func(e *Event) { e.ID = "a.1" }, code: "webhook.event_invalid"},
		"no time":          {event: func(e *Event) { e.OccurredAt = time.Time{} }, code: "webhook.event_invalid"},
		"a type of others": {event: func(e *Event) { e.Type = "Sale\r\nOrder" }, code: "webhook.event_invalid"},
		"old no object":    {event: func(e *Event) { e.Old = json.RawMessage(`false`) }, code: "webhook.event_invalid"},
		"too large":        {event: func(e *Event) { e.Data = json.RawMessage(`{"a":"` + strings.Repeat("x", MaxBody) + `"}`) }, code: "webhook.body_too_large"},
		"transform: text":  {endpoint: func(e *Endpoint) { e.Transform = `event.data.name` }, code: "webhook.transform_failed"},
		"transform: fails": {endpoint: func(e *Endpoint) { e.Transform = `{"a": event.data.name * 2}` }, code: "webhook.transform_failed"},
		"absurd number": {endpoint: func(e *Endpoint) { e.Transform = `{"d": event.data}` },
			event: func(e *Event) { e.Data = json.RawMessage(`{"a":1e500}`) }, code: "webhook.number_absurd"},
	} {
		t.Run(name, func(t *testing.T) {
			ep, e := endpoint(), sale()
			if row.endpoint != nil {
				row.endpoint(&ep)
			}
			if row.event != nil {
				row.event(&e)
			}
			_, err := compiled(t, ep).Body(e)
			f := fault.Of(err)
			require.NotNil(t, f)
			assert.Equal(t, row.code, f.Code)
			assert.Equal(t, fault.Invalid, f.Kind, "it is parked, not tried for ever")
			assert.NotEmpty(t, f.Resolution)
			assert.NotContains(t, f.Error()+f.Resolution, "S00042", "no record data in public texts")
		})
	}
}

// anyJSON draws JSON text as another program might write it.
func anyJSON(depth int) *rapid.Generator[string] {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?`)
	text := rapid.Map(rapid.String(), func(s string) string { return string(quoted(strings.ToValidUTF8(s, "?"))) })
	plain := rapid.OneOf(number, text, rapid.SampledFrom([]string{"true", "false", "null"}))
	if depth == 0 {
		return plain
	}
	inner := anyJSON(depth - 1)
	list := rapid.Map(rapid.SliceOfN(inner, 0, 3), func(items []string) string { return "[ " + strings.Join(items, " ,") + "]" })
	return rapid.OneOf(plain, list, anyObject(depth-1))
}

func anyObject(depth int) *rapid.Generator[string] {
	return rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z_]{1,8}`), anyJSON(depth), 0, 4), func(m map[string]string) string {
		var fields []string
		for name, value := range m {
			fields = append(fields, string(quoted(name))+" : "+value)
		}
		return "{" + strings.Join(fields, ",\n") + "}"
	})
}

// numbersOf lists the numbers of a JSON text as they are written.
func numbersOf(t require.TestingT, raw string) (all []string) {
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			require.EqualError(t, err, "EOF")
			return all
		}
		if n, isNumber := token.(json.Number); isNumber {
			all = append(all, n.String())
		}
	}
}

func TestDataIsSentDigitByDigitAndAlwaysTheSame(t *testing.T) {
	profiles := Profiles()
	var cs []*Compiled
	for _, p := range profiles {
		e := endpoint()
		e.Profile = p
		cs = append(cs, compiled(t, e))
	}
	rapid.Check(t, func(t *rapid.T) {
		e := sale()
		e.Old = nil
		e.Data = json.RawMessage(anyObject(2).Draw(t, "data"))
		c := cs[rapid.IntRange(0, len(cs)-1).Draw(t, "profile")]
		raw, err := c.Body(e)
		require.NoError(t, err)
		again, err := c.Body(e)
		require.NoError(t, err)
		assert.Equal(t, raw, again)
		var want bytes.Buffer
		require.NoError(t, json.Compact(&want, e.Data))
		assert.Contains(t, string(raw), want.String())
		assert.Equal(t, numbersOf(t, string(e.Data)), numbersOf(t, string(raw)))
	})
}

// A selection leaves out, and changes nothing that stays.
func TestSelectingEveryFieldChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := json.RawMessage(anyObject(1).Draw(t, "data"))
		list, err := members(raw)
		require.NoError(t, err)
		var paths []string
		for _, m := range list {
			paths = append(paths, m.name)
		}
		whole, err := newSelection(paths).of(raw)
		require.NoError(t, err)
		if len(paths) > 0 {
			assert.JSONEq(t, string(raw), string(whole))
			assert.Equal(t, numbersOf(t, string(raw)), numbersOf(t, string(whole)))
		}
		none, err := newSelection([]string{"NOT_THERE"}).of(raw)
		require.NoError(t, err)
		assert.Equal(t, "{}", string(none))
	})
}
