package odoo

import (
	"context"
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

// ArchiveField is the field by which Odoo archives records; models without it
// have no such field in RecordFields.
func (c *Connector) ArchiveField(string) (field string, archived, active any) {
	return "active", false, true
}
