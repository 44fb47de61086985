package webhook

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

// judge compiles a type's schema with a validator that we did not write.
func judge(t *testing.T, et EventType) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(et.Schema))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	require.NoError(t, c.AddResource("type.json", doc))
	schema, err := c.Compile("type.json")
	require.NoError(t, err)
	return schema
}

func judged(t *testing.T, schema *jsonschema.Schema, raw []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	return schema.Validate(value)
}

func TestTheCatalogueHasEveryType(t *testing.T) {
	// Requirement 49, and what Towpath has beside it.
	want := strings.Fields(`sale.order.created sale.order.updated sale.order.state.changed sale.order.deleted
		account.move.created account.move.validated account.move.updated account.move.cancelled
		res.partner.created res.partner.updated res.partner.deleted
		crm.lead.created crm.lead.updated crm.lead.converted crm.lead.won
		<model>.created <model>.updated <model>.deleted export.requested towpath.endpoint.disabled towpath.test`)
	var got []string
	for _, et := range Catalogue() {
		got = append(got, et.Name)
		assert.NotEmpty(t, et.Description, et.Name)
	}
	assert.Equal(t, want, got)
	files, err := catalogueFiles.ReadDir("catalogue")
	require.NoError(t, err)
	assert.Len(t, files, len(want), "a file that no type names")
}

// What is sent is what the schema says: of every type, with its example.
func TestEveryBodyIsWhatItsSchemaSays(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 38, 56, 0, time.UTC)
	for _, et := range Catalogue() {
		t.Run(et.Name, func(t *testing.T) {
			schema := judge(t, et)
			require.NoError(t, judged(t, schema, et.Example))
			var example struct{ Type string }
			require.NoError(t, json.Unmarshal(et.Example, &example))
			e, found := TestEvent(example.Type, "evt-1", "erp", at)
			require.True(t, found)
			for _, test := range []bool{true, false} {
				e.Test = test
				assert.NoError(t, judged(t, schema, []byte(body(t, endpoint(), e))))
			}
			e.Type = "other.thing.happened"
			assert.Error(t, judged(t, schema, []byte(body(t, endpoint(), e))), "of another type")
			for field := range et.data.Properties {
				if slices.Contains([]string{"mobile", "old_values"}, field) && et.Model != "sale.order" {
					continue // not every Odoo or rule has it
				}
				assert.Error(t, judged(t, schema, without(t, et.Example, field)), "without %s", field)
			}
			assert.Error(t, judged(t, schema, bytes.ReplaceAll(et.Example, []byte(`"timestamp": "2026`), []byte(`"timestamp": "in 2026`))))
		})
	}
}

// without gives an example whose data lacks a field.
func without(t *testing.T, example json.RawMessage, field string) []byte {
	t.Helper()
	var whole map[string]any
	require.NoError(t, json.Unmarshal(example, &whole))
	delete(whole["data"].(map[string]any), field)
	raw, err := json.Marshal(whole)
	require.NoError(t, err)
	return raw
}

// Requirements 52 and 53: these fields, no others.
func TestThePayloadsOfSalesAndInvoicesAreTheSeeds(t *testing.T) {
	line := "price_subtotal price_unit product_id product_name quantity"
	for _, et := range Catalogue() {
		var whole, lines string
		switch et.Model {
		case "sale.order":
			whole = "amount_tax amount_total amount_untaxed date_order id name old_values order_lines partner_id partner_name state user_id"
			lines = "order_lines"
		case "account.move":
			whole = "amount_tax amount_total amount_untaxed id invoice_date invoice_date_due invoice_line_ids move_type name partner_id partner_name state"
			lines = "invoice_line_ids"
		default:
			continue
		}
		properties := maps.Clone(et.data.Properties)
		if et.Model == "account.move" {
			delete(properties, "old_values") // requirement 48: where the rule sends them
		}
		assert.Equal(t, strings.Fields(whole), slices.Sorted(maps.Keys(properties)), et.Name)
		assert.Equal(t, strings.Fields(line), slices.Sorted(maps.Keys(et.data.Properties[lines].Items.Properties)), et.Name)
		var example struct {
			Data map[string]json.RawMessage `json:"data"`
		}
		require.NoError(t, json.Unmarshal(et.Example, &example))
		delete(properties, "old_values")
		delete(example.Data, "old_values")
		assert.Equal(t, slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(example.Data)), et.Name)
	}
}

func TestLookup(t *testing.T) {
	for name, want := range map[string]string{
		"sale.order.created": "sale.order.created", "stock.picking.updated": "<model>.updated", "x_thing.deleted": "<model>.deleted",
		"sale.order.state.changed": "sale.order.state.changed", "sale.order.confirmed": "", "created": "", "": "", "Sale.created": "",
		"<model>.created": "<model>.created",
	} {
		et, found := Lookup(name)
		assert.Equal(t, want != "", found, name)
		assert.Equal(t, want, et.Name, name)
	}
}

func TestATestEventSaysThatItIsOne(t *testing.T) {
	e, found := TestEvent("", "evt-1", "erp", time.Now())
	require.True(t, found)
	assert.Equal(t, TestType, e.Type)
	assert.True(t, e.Test)
	assert.NoError(t, e.Check())
	h, err := Sign(Standard, Secrets{Signing: []string{GenerateSecret(Standard)}}, e.ID, time.Now(), nil, e)
	require.NoError(t, err)
	assert.Equal(t, "true", h.Get(HeaderTest))

	e, found = TestEvent("stock.picking.updated", "evt-1", "erp", time.Now())
	require.True(t, found)
	assert.Equal(t, []string{"stock.picking", "9", "write"}, []string{e.Model, e.RecordID, string(e.Action)})
	_, found = TestEvent("no.such.thing", "evt-1", "erp", time.Now())
	assert.False(t, found)
}

const outboxRows = `[{"id": 12, "event_id": "7d9f5a3e-0f7e-4a2b-9d2f-1a2b3c4d5e6f", "event": "sale.order.updated", "action": "write", "model": "sale.order",
	"res_id": 42, "company_id": 1, "user_id": 2, "occurred_at": "2026-11-23T02:38:56.123456Z", "thin": false,
	"data": {"id": 42, "user_id": false, "amount_total": 120.50, "old_values": {}, "date_order": false, "order_lines": [{"product_id": false, "quantity": 0.10}]},
	"old_values": {"user_id": false, "note": false}, "changed_fields": ["user_id"]},
	{"id": 13, "event_id": "e-2", "event": "stock.picking.created", "action": "create", "model": "stock.picking", "res_id": 9, "company_id": false, "user_id": 2,
	"occurred_at": "2026-11-23T02:38:56.000000Z", "thin": true, "data": {"id": 9, "origin": false}, "old_values": false, "changed_fields": false},
	{"id": 14, "event_id": "e-3", "event": "export.requested", "action": "export", "model": "product.template", "res_id": false, "company_id": false, "user_id": 2,
	"occurred_at": "2026-11-23T02:38:56.000000Z", "thin": false, "data": {"system": "shop", "model": "product.template", "ids": [1], "requested_by": 2}, "old_values": false, "changed_fields": false}]`

func TestOutboxRowsAreEvents(t *testing.T) {
	rows, err := ReadOutbox([]byte(outboxRows))
	require.NoError(t, err)
	require.Len(t, rows, 3)
	var events []Event
	for _, row := range rows {
		e, err := row.From("erp")
		require.NoError(t, err)
		events = append(events, e)
	}
	assert.Equal(t, Event{
		ID: "7d9f5a3e-0f7e-4a2b-9d2f-1a2b3c4d5e6f", Type: "sale.order.updated", Connection: "erp", Model: "sale.order", RecordID: "42", Action: Write,
		OccurredAt: time.Date(2026, 11, 23, 2, 38, 56, 123456000, time.UTC), Sequence: 12,
		Data: json.RawMessage(`{"id":42,"user_id":null,"amount_total":120.50,"old_values":{},"date_order":null,"order_lines":[{"product_id":null,"quantity":0.10}]}`),
		Old:  json.RawMessage(`{"user_id":null,"note":false}`), Changed: []string{"user_id"},
	}, events[0])
	assert.JSONEq(t, `{"id": 9, "origin": false}`, string(events[1].Data), "of other models nobody knows what false means")
	assert.True(t, events[1].Thin)
	assert.Empty(t, events[1].Old)
	assert.Empty(t, events[2].RecordID)
}

func TestRowsThatDoNotFit(t *testing.T) {
	_, err := ReadOutbox([]byte(`{"error": 1}`))
	assert.Equal(t, "webhook.outbox_unreadable", fault.Of(err).Code)
	good, err := ReadOutbox([]byte(outboxRows))
	require.NoError(t, err)
	for name, change := range map[string]func(*OutboxRow){
		"id":      func(r *OutboxRow) { r.EventID = "" },
		"record":  func(r *OutboxRow) { r.RecordID = json.RawMessage(`"x"`) },
		"data":    func(r *OutboxRow) { r.Data = json.RawMessage(`false`) },
		"old":     func(r *OutboxRow) { r.OldValues = json.RawMessage(`[1]`) },
		"changed": func(r *OutboxRow) { r.ChangedFields = json.RawMessage(`{"a":1}`) },
	} {
		row := good[0]
		change(&row)
		_, err := row.From("erp")
		assert.Equal(t, "webhook.event_invalid", fault.Of(err).Code, name)
	}
}
