package odoo

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"towpath/connectors/odoo/rpc"
)

// named are the fields of the named events (requirements A6), as far as this Odoo
// has them; other models tell all that is stored.
var namedFields = map[string][]string{
	"sale.order":   {"name", "state", "partner_id", "amount_total", "amount_untaxed", "amount_tax", "date_order", "user_id", "order_line"},
	"account.move": {"name", "move_type", "state", "partner_id", "amount_total", "amount_untaxed", "amount_tax", "invoice_date", "invoice_date_due", "invoice_line_ids"},
	"res.partner": {"name", "display_name", "is_company", "type", "parent_id", "ref", "vat", "email", "phone", "mobile", "street", "street2",
		"zip", "city", "state_id", "country_id", "lang", "active", "company_id"},
	"crm.lead": {"name", "type", "partner_id", "partner_name", "contact_name", "email_from", "phone", "expected_revenue", "probability",
		"stage_id", "user_id", "team_id", "active"},
}

// attached are texts of referred records that the named events show beside the
// reference: field of the payload, reference, the other model's field.
var attached = map[string][][3]string{
	"sale.order":   {{"partner_name", "partner_id", "name"}},
	"account.move": {{"partner_name", "partner_id", "name"}},
	"res.partner":  {{"state_code", "state_id", "code"}, {"country_code", "country_id", "code"}},
	"crm.lead":     {{"partner_name", "partner_id", "name"}, {"stage_name", "stage_id", "name"}, {"won", "stage_id", "is_won"}},
}

// linesOf are the lines that the named events show: their name in the payload,
// the field that holds them, their quantity.
var linesOf = map[string][3]string{
	"sale.order":   {"order_lines", "order_line", "product_uom_qty"},
	"account.move": {"invoice_line_ids", "invoice_line_ids", "quantity"},
}

var (
	untold = regexp.MustCompile(`^(write_uid|__last_update|parent_path|message_.*|activity_.*)$`)
	// What opens a door is told to nobody.
	opensDoors = regexp.MustCompile(`(?i)(^|_)(password|passwd|passphrase|secret|token|totp|api_?key|private_key|access_key|signature_key)(_|$)|(^|_)(pin|cvv|otp)$`)
)

// readPolled reads records with what their events tell, in the order of ids;
// those that are gone are missing.
func (c *Connector) readPolled(ctx context.Context, model string, ids []int64) (records []polledRecord, err error) {
	err = c.turn(ctx, func(ctx context.Context) error {
		records, err = c.readContents(ctx, model, ids)
		return err
	})
	return records, err
}

type fieldsOf map[string]json.RawMessage

func (c *Connector) readContents(ctx context.Context, model string, ids []int64) ([]polledRecord, error) {
	known, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	names := tellable(model, known)
	rows, err := c.rowsOf(ctx, model, ids, append(slices.Clone(names), "create_date", "write_date"))
	if err != nil {
		return nil, err
	}
	var records []polledRecord
	for _, id := range ids {
		row, there := rows[id]
		if !there {
			continue
		}
		r := polledRecord{id: id, content: map[string]json.RawMessage{"id": row["id"]}}
		if r.made, r.written = textIn(row["create_date"]), textIn(row["write_date"]); r.made == "" {
			r.made = r.written
		}
		for _, name := range names {
			if name != linesOf[model][1] {
				r.content[name] = plain(row[name], known[name].Type)
			}
		}
		records = append(records, r)
	}
	if err := c.attach(ctx, model, known, records); err != nil {
		return nil, err
	}
	if err := c.tellLines(ctx, model, known, records, rows); err != nil {
		return nil, err
	}
	for i := range records {
		records[i].state = stateOf(model, records[i].content)
	}
	return records, nil
}

// tellable are the fields whose values events carry.
func tellable(model string, known map[string]rpc.Field) (names []string) {
	if list := namedFields[model]; list != nil {
		for _, name := range list {
			if _, there := known[name]; there {
				names = append(names, name)
			}
		}
		return names
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		f := known[name]
		switch {
		case !f.Store || f.Type == "one2many" || f.Type == "binary" || f.Type == "image" || strings.HasPrefix(f.Type, "properties"):
		case name == "id" || untold.MatchString(name) || opensDoors.MatchString(name):
		default:
			names = append(names, name)
		}
	}
	return names
}

func (c *Connector) rowsOf(ctx context.Context, model string, ids []int64, fields []string) (map[int64]fieldsOf, error) {
	var rows []fieldsOf
	slices.Sort(fields)
	if err := c.rpc.SearchRead(ctx, model, []any{is("id", "in", unique(ids))}, slices.Compact(fields), rpc.Query{Order: "id"}, &rows); err != nil {
		return nil, err
	}
	byID := make(map[int64]fieldsOf, len(rows))
	for _, row := range rows {
		var id int64
		if err := json.Unmarshal(row["id"], &id); err != nil {
			return nil, unreadable("id", err)
		}
		byID[id] = row
	}
	return byID, nil
}

// attach reads what events show of the records that others refer to.
func (c *Connector) attach(ctx context.Context, model string, known map[string]rpc.Field, records []polledRecord) error {
	for _, a := range attached[model] {
		show, link, field := a[0], a[1], a[2]
		f, there := known[link]
		if !there {
			continue
		}
		var ids []int64
		for _, r := range records {
			if id := numberIn(r.content[link]); id != 0 {
				ids = append(ids, id)
			}
		}
		var rows map[int64]fieldsOf
		if len(ids) > 0 {
			var err error
			if rows, err = c.rowsOf(ctx, f.Relation, ids, []string{field}); err != nil {
				return err
			}
		}
		for _, r := range records {
			if row := rows[numberIn(r.content[link])]; row != nil {
				r.content[show] = row[field]
			} else if _, own := r.content[show]; !own {
				r.content[show] = json.RawMessage("false")
			}
		}
	}
	return nil
}

func (c *Connector) tellLines(ctx context.Context, model string, known map[string]rpc.Field, records []polledRecord, rows map[int64]fieldsOf) error {
	show, link, quantity := linesOf[model][0], linesOf[model][1], linesOf[model][2]
	f, there := known[link]
	if !there || show == "" {
		return nil
	}
	var ids []int64
	lists := map[int64][]int64{}
	for _, r := range records {
		var list []int64
		if err := json.Unmarshal(rows[r.id][link], &list); err != nil {
			return unreadable(link, err)
		}
		lists[r.id] = list
		ids = append(ids, list...)
	}
	var lines map[int64]fieldsOf
	if len(ids) > 0 {
		var err error
		if lines, err = c.rowsOf(ctx, f.Relation, ids, []string{"product_id", quantity, "price_unit", "price_subtotal", "display_type"}); err != nil {
			return err
		}
	}
	for _, r := range records {
		told := []map[string]json.RawMessage{}
		for _, id := range lists[r.id] {
			line, there := lines[id]
			if kind := textIn(line["display_type"]); !there || kind != "" && kind != "product" { // sections, notes, taxes
				continue
			}
			var product rpc.Many2One
			if err := product.UnmarshalJSON(line["product_id"]); err != nil {
				return unreadable("product_id", err)
			}
			name := json.RawMessage("false")
			if product.Name != "" {
				name = jsonOf(product.Name)
			}
			told = append(told, map[string]json.RawMessage{
				"product_id": plain(line["product_id"], "many2one"), "product_name": name,
				"quantity": line[quantity], "price_unit": line["price_unit"], "price_subtotal": line["price_subtotal"],
			})
		}
		r.content[show] = jsonOf(told)
		if model == "sale.order" {
			r.content["old_values"] = json.RawMessage("{}")
		}
	}
	return nil
}

// plain is a value as the module tells it: references as ids, times in ISO 8601.
func plain(raw json.RawMessage, kind string) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("false")
	}
	switch kind {
	case "many2one":
		var ref rpc.Many2One
		if ref.UnmarshalJSON(raw) == nil {
			out, _ := ref.MarshalJSON() // a number or false
			return out
		}
	case "datetime":
		if text := textIn(raw); len(text) == len(rpc.DateTimeFormat) {
			return json.RawMessage(`"` + strings.Replace(text, " ", "T", 1) + `Z"`)
		}
	}
	return raw
}

func textIn(raw json.RawMessage) string {
	var text string
	_ = json.Unmarshal(raw, &text) // false is none
	return text
}

func numberIn(raw json.RawMessage) (n int64) {
	_ = json.Unmarshal(raw, &n) // false is none
	return n
}

// stateOf is what tells business steps apart; "-" where a model has none.
func stateOf(model string, content map[string]json.RawMessage) string {
	switch model {
	case "sale.order", "account.move":
		if state := textIn(content["state"]); state != "" {
			return state
		}
	case "crm.lead":
		state := textIn(content["type"])
		if string(content["won"]) == "true" {
			state += " won"
		}
		return state
	}
	return "-"
}
