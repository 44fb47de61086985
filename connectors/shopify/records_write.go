package shopify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors"
	"towpath/connectors/batch"
	"towpath/schema/fault"
	"towpath/schema/record"
)

const (
	recordCalls   = 8 // in flight; what they may cost, the limiter bounds
	recordTimeout = 60 * time.Second

	// Where values go that are no field of the mutation's input.
	inputProduct = "@product"
	inputOptions = "@options"
	inputAddress = "@address"
)

// recordWriter is what writes records: many callers' rows in few calls.
type recordWriter struct {
	scheduler *batch.Scheduler
	saves     *batch.Op[record.Row, string] // products, customers and new variants, one each
	variants  *batch.Op[variantRow, struct{}]
	parents   *batch.Op[string, string] // the product of a variant, both gids
	stock     *batch.Op[stockRow, struct{}]

	definedMu sync.Mutex
	defined   map[string]bool // owner types whose external id is defined in the shop
}

func (c *Connector) addRecordWriters(r connectors.Runtime) {
	c.defined = map[string]bool{}
	c.scheduler = batch.NewScheduler(batch.Config{
		System: c.name, Slots: r.Slots, Fences: r.Fences, Calls: recordCalls, Now: r.Now, Observe: observed(r.Observe),
	})
	c.saves = batch.NewOp(c.scheduler, batch.OpConfig[record.Row, string]{
		Name: "save record", MaxRows: 1, Timeout: recordTimeout,
		Key:     func(r record.Row) string { return r.Model + " " + r.ID + " " + r.XID },
		Content: func(r record.Row) string { return fmt.Sprint(r.Values) },
		Fence:   func(r record.Row) record.FenceKey { return r.Fence },
		Call: func(ctx context.Context, rows []record.Row) ([]batch.Result[string], error) {
			id, err := c.saveRecord(ctx, rows[0])
			return []batch.Result[string]{{Answer: id, Err: err}}, nil
		},
	})
	c.addVariantWriters()
	c.addStockWriter()
}

// observed passes on what the batcher tells of a call.
func observed(observe func(connectors.Call)) func(batch.Flush) {
	if observe == nil {
		return nil
	}
	return func(f batch.Flush) {
		observe(connectors.Call{
			System: f.System, Operation: f.Op, Rows: f.Rows, Failed: f.Failed, Again: f.Resent + f.Suspects,
			Dropped: f.Superseded + f.Expired, Waited: f.Waited, Took: f.Took, Waiting: f.Waiting, Err: f.Err,
		})
	}
}

// WriteRecord writes one record, by id or under its external id, and gives its
// id. Shopify keeps our external ids in a metafield of type id, which is unique
// (metafield "$app.towpath_id"): the same external id is the same record.
// Levels of stock are known by item and location, and need none.
//
// Fields that row does not hold are left alone; nil empties a field. What
// Shopify refuses is a fault of kind Invalid that names the field.
func (c *Connector) WriteRecord(ctx context.Context, row record.Row) (string, error) {
	m, err := modelOf(row.Model)
	if err != nil {
		return "", err
	}
	in, err := m.inputs(row.Values)
	if err != nil {
		return "", err
	}
	if m.name == modelLevel {
		return c.writeLevel(ctx, row)
	}
	if row.ID != "" {
		if _, err := number("id", strings.TrimPrefix(row.ID, m.prefix)); err != nil {
			return "", err
		}
	} else if row.XID == "" {
		return "", fault.New(fault.Invalid, "shopify.no_id", "a record is written by its id or under an external id").WithField("id")
	}
	if m.name == modelVariant && row.ID != "" {
		return row.ID, c.updateVariant(ctx, row, in)
	}
	return c.saves.Do(ctx, row)
}

// inputs are a row's values as a mutation takes them, by group: "" for the
// record itself, and those in records around it.
type inputs map[string]map[string]any

func (i inputs) group(name string) map[string]any {
	if i[name] == nil {
		i[name] = map[string]any{}
	}
	return i[name]
}

// inputs checks and converts values. Fields are taken in order of name, so that
// status comes after active, and wins.
func (m *recordModel) inputs(values record.Values) (inputs, error) {
	in := inputs{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		f := m.field(name)
		switch {
		case name == "id":
			continue
		case f == nil:
			return nil, unknownField(m, name)
		case f.ReadOnly || f.input == "":
			return nil, fault.New(fault.Invalid, "shopify.read_only", "%q cannot be written", name).WithField(name).
				WithResolution("take it out of the mapping")
		}
		value, err := f.plain(values[name])
		if err != nil {
			return nil, err
		}
		group, path := "", f.input
		if strings.HasPrefix(path, "@") {
			group, path, _ = strings.Cut(path, ".")
		}
		put(in.group(group), path, value)
	}
	return in, nil
}

// put sets a value at a path.
func put(in map[string]any, path string, value any) {
	first, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		in[first] = value
		return
	}
	below, ok := in[first].(map[string]any)
	if !ok {
		below = map[string]any{}
		in[first] = below
	}
	put(below, rest, value)
}

// plain is a value as Shopify takes it. Texts are emptied by "", since null
// leaves some of them alone.
func (f *recordField) plain(v any) (any, error) {
	if f.write != nil {
		return f.write(v)
	}
	switch f.Type {
	case record.TypeText:
		if v == nil && f.null {
			return nil, nil
		}
		if v == nil {
			return "", nil
		}
		if s, ok := v.(string); ok {
			return s, nil
		}
		return nil, wrongValue(f.Name, "a text")
	case record.TypeSelection:
		if s, ok := v.(string); ok && slices.Contains(f.Options, s) {
			return s, nil
		}
		return nil, wrongValue(f.Name, "one of "+strings.Join(f.Options, ", "))
	case record.TypeBoolean:
		if v == nil {
			return false, nil
		}
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, wrongValue(f.Name, "true or false")
	case record.TypeNumber:
		if d, ok := v.(decimal.Decimal); ok {
			return d.String(), nil
		}
		if v == nil && f.Name != "price" {
			return nil, nil
		}
		return nil, wrongValue(f.Name, "a number")
	case record.TypeInteger:
		if d, ok := v.(decimal.Decimal); ok && d.IsInteger() {
			return json.Number(d.Truncate(0).String()), nil
		}
		if v == nil && f.Name == compareQuantity {
			return nil, nil
		}
		return nil, wrongValue(f.Name, "a whole number")
	case record.TypeReference:
		id := referenced(v)
		if _, err := number(f.Name, strings.TrimPrefix(id, recordModels[f.Relation].prefix)); id != "" && err != nil {
			return nil, err
		}
		return id, nil
	}
	return nil, wrongValue(f.Name, "of a kind that can be written")
}

// referenced is the id of the record that a value refers to.
func referenced(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case record.Values:
		id, _ := v["id"].(string)
		return id
	}
	return ""
}

// saveRecord writes one product or customer, or a variant that may have to be made.
func (c *Connector) saveRecord(ctx context.Context, row record.Row) (string, error) {
	m := recordModels[row.Model]
	in, err := m.inputs(row.Values)
	if err != nil {
		return "", err
	}
	number := strings.TrimPrefix(row.ID, m.prefix)
	if number == "" {
		if number, err = c.byXID(ctx, m, row.XID); err != nil {
			return "", err
		}
	}
	switch {
	case m.name == modelVariant && number == "":
		number, err = c.createVariant(ctx, m, row.XID, in)
	case m.name == modelVariant:
		err = c.updateVariantNow(ctx, m, number, in)
	case m.name == modelProduct:
		number, err = c.saveProduct(ctx, m, row.XID, number, in)
	case number == "":
		number, err = c.createCustomer(ctx, m, row.XID, in)
	default:
		err = c.updateCustomer(ctx, m, number, in)
	}
	if err != nil {
		return "", err
	}
	return m.prefix + number, nil
}

// mutate runs a mutation; its first user error is a fault.
func (c *Connector) mutate(ctx context.Context, m *recordModel, op operation, vars map[string]any) (saved, error) {
	var out saved
	if _, err := c.api.run(ctx, op, "", vars, &out); err != nil {
		return out, err
	}
	for _, e := range out.errors() {
		return out, e.fault(m)
	}
	return out, nil
}

// ArchiveField is the field that sets a product aside. Variants have none of
// their own: it is their product's, which other variants share. Customers and
// levels of stock cannot be archived.
func (c *Connector) ArchiveField(model string) (field string, archived, active any) {
	if model == modelProduct {
		return "status", "ARCHIVED", "ACTIVE"
	}
	return "", nil, nil
}
