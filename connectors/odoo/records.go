package odoo

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
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
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, strings.TrimRight(c.cfg.URL, "/")+"/web/health", nil)
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
