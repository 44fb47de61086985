package odoo

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/connectors/batch"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// maxPage is the most records of one call; larger pages would hold one of
// Odoo's workers for long.
const maxPage = 1000

// fieldTypes are the types that can be mapped, in the words all systems share.
// Times of Odoo are UTC, cut to seconds.
var fieldTypes = map[string]record.FieldType{
	"char": record.TypeText, "text": record.TypeText, "html": record.TypeText,
	"float": record.TypeNumber, "monetary": record.TypeNumber, "integer": record.TypeInteger,
	"boolean": record.TypeBoolean, "date": record.TypeDate, "datetime": record.TypeTime,
	"selection": record.TypeSelection, "many2one": record.TypeReference,
	"one2many": record.TypeMany, "many2many": record.TypeMany,
}

// RecordFields describes a model's fields, sorted by name.
func (c *Connector) RecordFields(ctx context.Context, model string) ([]record.FieldInfo, error) {
	fields, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	var all []record.FieldInfo
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		all = append(all, fieldInfo(name, fields[name]))
	}
	return all, nil
}

func fieldInfo(name string, f rpc.Field) record.FieldInfo {
	info := record.FieldInfo{
		Name: name, Label: f.String, Type: fieldTypes[f.Type], Required: f.Required, ReadOnly: f.ReadOnly, Relation: f.Relation,
	}
	if info.Type == "" {
		info.Type = record.TypeOther
	}
	for _, o := range f.Selection {
		info.Options = append(info.Options, o.Value)
	}
	return info
}

// SourceNow is Odoo's clock, cut to seconds, as its answers' Date tells.
func (c *Connector) SourceNow(ctx context.Context) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.cfg.URL, nil)
	if err != nil {
		return time.Time{}, err
	}
	resp, err := c.web.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	_ = resp.Body.Close()
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fault.New(fault.Unsupported, "odoo.no_clock", "Odoo does not tell the time").
			WithResolution("let the proxy before Odoo pass the Date header on")
	}
	return now.UTC(), nil
}

// domain is a query in Odoo's words. Datetimes are compared by whole second
// from 18.4 on, so both bounds are cut to one.
func domain(q connectors.RecordQuery) ([]any, error) {
	var d []any
	if q.Filter != "" {
		if err := json.Unmarshal([]byte(q.Filter), &d); err != nil {
			return nil, fault.New(fault.Invalid, "odoo.bad_filter", "the filter is no Odoo domain in JSON").
				WithField("filter").WithResolution(`write it as JSON, for example [["sale_ok", "=", true]]`)
		}
	}
	if !q.Since.IsZero() {
		d = append(d, is("write_date", ">=", q.Since.UTC().Format(rpc.DateTimeFormat)))
	}
	if !q.Until.IsZero() {
		d = append(d, is("write_date", "<", q.Until.UTC().Format(rpc.DateTimeFormat)))
	}
	if d == nil {
		d = []any{}
	}
	return d, nil
}

func archivedToo(ctx context.Context, q connectors.RecordQuery) context.Context {
	if !q.Archived {
		return ctx
	}
	return rpc.WithContext(ctx, rpc.Context{"active_test": false})
}

// recordAsk is one page that somebody wants.
type recordAsk struct {
	query connectors.RecordQuery
	after int64
	limit int
	ids   []int64 // these, instead of a page of the query
}

// addRecords makes the operations that read records in bulk: a page is a call
// of its own and takes its turn among all others.
func (c *Connector) addRecords() {
	c.pages = batch.NewOp(c.scheduler, batch.OpConfig[recordAsk, connectors.RecordPage]{
		Name: "read records", Priority: batch.Read, MaxRows: 1, Timeout: writeTimeout,
		Call: func(ctx context.Context, asks []recordAsk) ([]batch.Result[connectors.RecordPage], error) {
			page, err := c.readPage(c.scope(ctx), asks[0])
			if err != nil {
				return nil, err
			}
			return []batch.Result[connectors.RecordPage]{{Answer: page}}, nil
		},
	})
	c.counts = batch.NewOp(c.scheduler, batch.OpConfig[connectors.RecordQuery, int64]{
		Name: "count records", Priority: batch.Read, MaxRows: 1, Timeout: writeTimeout,
		Call: func(ctx context.Context, asks []connectors.RecordQuery) ([]batch.Result[int64], error) {
			d, err := domain(asks[0])
			if err != nil {
				return nil, err
			}
			n, err := c.rpc.SearchCount(archivedToo(c.scope(ctx), asks[0]), asks[0].Model, d)
			if err != nil {
				return nil, err
			}
			return []batch.Result[int64]{{Answer: n}}, nil
		},
	})
}

// CountRecords says how many records a query selects at this moment.
func (c *Connector) CountRecords(ctx context.Context, q connectors.RecordQuery) (int64, error) {
	if _, err := c.known.get(ctx, false); err != nil { // the company, which the scope needs
		return 0, err
	}
	return c.counts.Do(ctx, q)
}

// ReadRecords gives a page in the order of ids, which never change: a record
// that changes while others are read is neither skipped nor read twice.
func (c *Connector) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (connectors.RecordPage, error) {
	ask := recordAsk{query: q, limit: min(max(limit, 1), maxPage)}
	if after != "" {
		n, err := dbID("after", after)
		if err != nil {
			return connectors.RecordPage{}, err
		}
		ask.after = n
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return connectors.RecordPage{}, err
	}
	return c.pages.Do(ctx, ask)
}

// RecordsByID reads records as they are, archived ones included; those that
// are gone are missing.
func (c *Connector) RecordsByID(ctx context.Context, model string, ids, fields []string) ([]record.Sourced, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ask := recordAsk{query: connectors.RecordQuery{Model: model, Fields: fields, Archived: true}, limit: len(ids)}
	for _, one := range ids {
		n, err := dbID("id", one)
		if err != nil {
			return nil, err
		}
		ask.ids = append(ask.ids, n)
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	page, err := c.pages.Do(ctx, ask)
	return page.Records, err
}

func (c *Connector) readPage(ctx context.Context, ask recordAsk) (page connectors.RecordPage, err error) {
	d, err := domain(ask.query)
	if err != nil {
		return page, err
	}
	if ask.ids != nil {
		d = append(d, is("id", "in", ask.ids))
	} else {
		d = append(d, is("id", ">", ask.after))
	}
	paths := ask.query.Fields
	if len(paths) == 0 {
		if paths, err = c.mappable(ctx, ask.query.Model); err != nil {
			return page, err
		}
	}
	records, err := c.readTree(archivedToo(ctx, ask.query), ask.query.Model, d, ask.limit, paths, maxDepth)
	if err != nil {
		return page, err
	}
	page.Records = records
	if ask.ids == nil && len(records) == ask.limit {
		page.Next = records[len(records)-1].ID
	}
	return page, nil
}

// mappable are the stored fields whose values can be mapped.
func (c *Connector) mappable(ctx context.Context, model string) (names []string, err error) {
	fields, err := c.rpc.FieldsGet(ctx, model)
	for name, f := range fields {
		if _, ok := fieldTypes[f.Type]; ok && f.Store {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// maxDepth bounds dot paths: order.partner.country is three calls per page.
const maxDepth = 3

// readTree reads records with what dot paths ask of those they refer to: one
// call for the records, and one for each relation that is followed.
func (c *Connector) readTree(ctx context.Context, model string, d []any, limit int, paths []string, depth int) ([]record.Sourced, error) {
	known, err := c.rpc.FieldsGet(ctx, model)
	if err != nil {
		return nil, err
	}
	own, followed, err := split(model, known, paths, depth)
	if err != nil {
		return nil, err
	}
	ask := slices.Clone(own)
	for _, name := range []string{"write_date", "active"} {
		if _, ok := known[name]; ok && !slices.Contains(ask, name) {
			ask = append(ask, name)
		}
	}
	var rows []map[string]json.RawMessage
	if err := c.rpc.SearchRead(ctx, model, d, ask, rpc.Query{Order: "id", Limit: limit}, &rows); err != nil {
		return nil, err
	}
	records := make([]record.Sourced, len(rows))
	for i, row := range rows {
		if records[i], err = sourced(row, known, own); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(followed)) {
		if err := c.follow(ctx, known[name].Relation, name, followed[name], records, depth); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// split parts dot paths into the model's own fields and what is asked of the
// records they refer to.
func split(model string, known map[string]rpc.Field, paths []string, depth int) (own []string, followed map[string][]string, err error) {
	followed = map[string][]string{}
	for _, path := range paths {
		name, rest, deeper := strings.Cut(path, ".")
		f, ok := known[name]
		switch {
		case name == "id" && !deeper:
			continue
		case !ok:
			return nil, nil, fault.New(fault.Invalid, "odoo.unknown_field", "%s has no field %q", model, name).
				WithField(path).WithResolution("correct the field's name, or give the bot user the right to read it")
		case deeper && rest != "id" && (f.Relation == "" || depth <= 1):
			return nil, nil, fault.New(fault.Invalid, "odoo.bad_path", "%q leads nowhere", path).
				WithField(path).WithResolution("follow references only, at most %d deep", maxDepth)
		case deeper && rest != "id":
			followed[name] = append(followed[name], rest)
		}
		if !slices.Contains(own, name) {
			own = append(own, name)
		}
	}
	return own, followed, nil
}

// follow reads the records that a field of others refers to, each once, and
// puts them in.
func (c *Connector) follow(ctx context.Context, model, field string, paths []string, records []record.Sourced, depth int) error {
	var ids []int64
	each := func(visit func(record.Values)) {
		for _, r := range records {
			switch v := r.Values[field].(type) {
			case record.Values:
				visit(v)
			case []any:
				for _, one := range v {
					if ref, ok := one.(record.Values); ok {
						visit(ref)
					}
				}
			}
		}
	}
	each(func(v record.Values) {
		if n, err := strconv.ParseInt(v["id"].(string), 10, 64); err == nil {
			ids = append(ids, n)
		}
	})
	if len(ids) == 0 {
		return nil
	}
	ctx = rpc.WithContext(ctx, rpc.Context{"active_test": false}) // archived ones are referred to as well
	found, err := c.readTree(ctx, model, []any{is("id", "in", unique(ids))}, 0, paths, depth-1)
	if err != nil {
		return err
	}
	byID := make(map[string]record.Values, len(found))
	for _, f := range found {
		byID[f.ID] = f.Values
	}
	each(func(v record.Values) { maps.Copy(v, byID[v["id"].(string)]) })
	return nil
}

// sourced converts a row as read.
func sourced(row map[string]json.RawMessage, known map[string]rpc.Field, own []string) (record.Sourced, error) {
	var n int64
	if err := json.Unmarshal(row["id"], &n); err != nil {
		return record.Sourced{}, unreadable("id", err)
	}
	r := record.Sourced{ID: id(n), Values: record.Values{"id": id(n)}}
	for _, name := range own {
		v, err := value(row[name], known[name].Type)
		if err != nil {
			return r, unreadable(name, err)
		}
		if v != nil {
			r.Values[name] = v
		}
	}
	var changed rpc.Time
	if raw, ok := row["write_date"]; ok {
		if err := changed.UnmarshalJSON(raw); err != nil {
			return r, unreadable("write_date", err)
		}
	}
	r.Changed = changed.Time
	r.Archived = string(row["active"]) == "false" && known["active"].Type == "boolean"
	return r, nil
}

func unreadable(field string, err error) *fault.Fault {
	return fault.New(fault.Transient, "odoo.unreadable", "Odoo's answer cannot be read").WithField(field).
		WithResolution("it is tried again; if it stays, look what answers at the connection's address").WithCause(err)
}

// value reads one value by its field's type. Odoo writes "no value" as false,
// which only a boolean means.
func value(raw json.RawMessage, kind string) (any, error) {
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "false" && kind != "boolean" {
		return nil, nil
	}
	switch fieldTypes[kind] {
	case record.TypeBoolean:
		return string(raw) == "true" || string(raw) == "1", nil
	case record.TypeNumber, record.TypeInteger:
		var d rpc.Decimal
		err := d.UnmarshalJSON(raw)
		return d.Decimal, err
	case record.TypeTime:
		var t rpc.Time
		err := t.UnmarshalJSON(raw)
		return t.Time, err
	case record.TypeDate:
		var s rpc.Text
		err := s.UnmarshalJSON(raw)
		return record.Date(s), err
	case record.TypeReference:
		var m rpc.Many2One
		if err := m.UnmarshalJSON(raw); err != nil || m.ID == 0 {
			return nil, err
		}
		return record.Values{"id": id(m.ID), "display_name": m.Name}, nil
	case record.TypeMany:
		var ids []int64
		if err := json.Unmarshal(raw, &ids); err != nil {
			return nil, err
		}
		many := make([]any, len(ids))
		for i, n := range ids {
			many[i] = record.Values{"id": id(n)}
		}
		return many, nil
	}
	var s rpc.Text
	err := s.UnmarshalJSON(raw)
	return string(s), err
}
