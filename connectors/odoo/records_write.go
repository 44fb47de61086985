package odoo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// WriteRecord writes one record by `load` and gives its id: under its external
// id, or by its database id. Fields that row does not hold are left alone; nil
// empties a field. References are written by database id: Values{"id": …} or
// the id as text; several as []any of these.
func (c *Connector) WriteRecord(ctx context.Context, row record.Row) (string, error) {
	if _, err := c.known.get(ctx, false); err != nil {
		return "", err
	}
	if row.Model == StockLevel {
		return "", fault.New(fault.Unsupported, "odoo.read_only_model", "stock levels of Odoo are only read").
			WithResolution("change stock in Odoo by its own documents: receipts, deliveries, inventory adjustments")
	}
	known, err := c.rpc.FieldsGet(ctx, row.Model)
	if err != nil {
		return "", err
	}
	_, attributes := row.Values[fieldAttributes]
	switch {
	case attributes && row.Model == modelTemplate:
		return c.writeTemplate(ctx, known, row)
	case namesVariant(row):
		if row, err = c.locateVariant(ctx, row); err != nil || len(row.Values) == 0 {
			return row.ID, err
		}
	}
	s, err := recordSheet(known, row)
	if err != nil {
		return "", err
	}
	number, _, err := c.load(ctx, c.recordLoad(row.Model), loadRow{write: row.Write, fields: s.fields, rows: [][]any{s.cells}, bulk: true})
	if err != nil {
		return "", err
	}
	return id(number), nil
}

// recordLoad gives the operation that loads a model's records: the one that
// orders use where there is one, so that a record is never in two calls.
func (c *Connector) recordLoad(model string) *batch.Op[loadRow, int64] {
	switch model {
	case "res.partner":
		return c.partyLoads
	case "product.product":
		return c.productLoads
	}
	c.loadsMu.Lock()
	defer c.loadsMu.Unlock()
	op := c.loads[model]
	if op == nil {
		op = c.newLoad(model, maxParties)
		c.loads[model] = op
	}
	return op
}

// recordSheet writes a record as one row of a load. Columns are sorted, so that
// records with the same fields travel together.
func recordSheet(known map[string]rpc.Field, row record.Row) (*sheet, error) {
	s := &sheet{}
	address(s, row.Write)
	if s.err != nil {
		return nil, s.err
	}
	for _, name := range slices.Sorted(maps.Keys(row.Values)) {
		if name == "id" {
			continue
		}
		f, ok := known[name]
		if !ok {
			return nil, invalid(name, "the model has no such field")
		}
		if f.ReadOnly {
			return nil, invalid(name, "the field cannot be written")
		}
		column, cell, err := cell(name, f.Type, row.Values[name])
		if err != nil {
			return nil, err
		}
		s.put(column, cell)
	}
	return s, nil
}

// cell writes a value as Odoo's importer reads it: all cells are texts.
func cell(name, kind string, v any) (column, text string, err error) {
	switch fieldTypes[kind] {
	case record.TypeReference, record.TypeMany:
		text, err = references(name, v)
		return name + "/.id", text, err
	case "", record.TypeOther:
		return name, "", invalid(name, "fields of type "+kind+" cannot be written")
	}
	text, ok := plainCell(v)
	if !ok {
		return name, "", invalid(name, fmt.Sprintf("%s holds %s in Odoo, but got %s", name, kind, valueClass(v)))
	}
	return name, text, nil
}

func plainCell(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return text(v), true
	case bool:
		if v {
			return "1", true
		}
		return "0", true
	case decimal.Decimal:
		return v.String(), true
	case time.Time:
		return v.UTC().Format(rpc.DateTimeFormat), true
	case record.Date:
		return string(v), true
	}
	return "", false
}

// valueClass says what a value is, without telling it.
func valueClass(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case decimal.Decimal:
		return "a number"
	case time.Time:
		return "a time"
	case record.Date:
		return "a date"
	case record.Values:
		return "a record"
	case []any:
		return "a list"
	}
	return "something else"
}

func references(name string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		_, err := dbID(name, v)
		return v, err
	case record.Values:
		one, _ := v["id"].(string)
		_, err := dbID(name, one)
		return one, err
	case []any:
		all := make([]string, len(v))
		for i, one := range v {
			ref, err := references(name, one)
			if err != nil {
				return "", err
			}
			all[i] = ref
		}
		return strings.Join(all, ","), nil
	}
	return "", invalid(name, fmt.Sprintf("%s takes the id of a record in Odoo, but got %s", name, valueClass(v))).
		WithResolution("map a reference, or let the mapping find the record by what the value is, as in lookup: code")
}

// recordFind is one caller's question for records by a field's values.
type recordFind struct {
	model, field string
	values       []string
}

func (c *Connector) addRecordFinder() {
	c.finds = batch.NewOp(c.scheduler, batch.OpConfig[recordFind, map[string][]string]{
		Name: "find records", Priority: batch.Read, Timeout: readTimeout,
		Group: func(f recordFind) string { return f.model + " " + f.field }, Background: inBulk[recordFind],
		Call: c.callFindRecords,
	})
}

// FindRecords gives the ids of the records whose field holds one of the values,
// by value, in order of id; archived ones where no active one holds the value. Of
// a field that refers to a record, the value is that one's id.
func (c *Connector) FindRecords(ctx context.Context, model, field string, values []string) (map[string][]string, error) {
	values = nonEmpty(values)
	if len(values) == 0 {
		return map[string][]string{}, nil
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	return c.finds.Do(ctx, recordFind{model: model, field: field, values: values})
}

func (c *Connector) callFindRecords(ctx context.Context, asks []recordFind) ([]batch.Result[map[string][]string], error) {
	var values []string
	for _, a := range asks {
		values = append(values, a.values...)
	}
	slices.Sort(values)
	values = slices.Compact(values)
	model, field := asks[0].model, asks[0].field
	ctx = rpc.WithContext(c.scope(ctx), rpc.Context{"active_test": false})
	known, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	toOne, wanted := known[field].Type == many2one, anys(values)
	for i := range wanted {
		if !toOne {
			break
		}
		if wanted[i], err = dbID(field, values[i]); err != nil {
			return nil, err
		}
	}
	ask := []string{field}
	if _, archives := known["active"]; archives && field != "active" {
		ask = append(ask, "active")
	}
	var rows []map[string]json.RawMessage
	if err := c.rpc.SearchRead(ctx, model, []any{is(field, "in", wanted)}, ask, rpc.Query{Order: "id"}, &rows); err != nil {
		return nil, err
	}
	found, archived := map[string][]string{}, map[string][]string{}
	for _, row := range rows {
		var n int64
		var v rpc.Text
		if err := json.Unmarshal(row["id"], &n); err != nil {
			return nil, unreadable("id", err)
		}
		var to rpc.Many2One
		if toOne {
			if err := json.Unmarshal(row[field], &to); err != nil {
				return nil, unreadable(field, err)
			}
			v = rpc.Text(id(to.ID))
		} else if err := v.UnmarshalJSON(row[field]); err != nil {
			return nil, unreadable(field, err)
		}
		if string(row["active"]) == "false" {
			archived[string(v)] = append(archived[string(v)], id(n))
		} else {
			found[string(v)] = append(found[string(v)], id(n))
		}
	}
	for v, ids := range archived { // beside an active one they are its past: a variant that was made anew
		if len(found[v]) == 0 {
			found[v] = ids
		}
	}
	return results(asks, func(a recordFind) (map[string][]string, error) {
		mine := map[string][]string{}
		for _, v := range a.values {
			if ids := found[v]; len(ids) > 0 {
				mine[v] = ids
			}
		}
		return mine, nil
	}), nil
}

// ArchiveField is the field by which Odoo archives records; models without it
// have no such field in RecordFields.
func (c *Connector) ArchiveField(string) (field string, archived, active any) {
	return "active", false, true
}
