package odoo

import (
	"context"
	"encoding/json"
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
		if err := json.Unmarshal([]byte(q.Filter), &d); err != nil || !closed(d) {
			return nil, fault.New(fault.Invalid, "odoo.bad_filter", "the filter is no Odoo domain in JSON").
				WithField("filter").WithResolution(`write it as JSON, for example [["sale_ok", "=", true]]; before two terms that are alternatives stands "|"`)
		}
	}
	if !q.Since.IsZero() {
		d = append(d, is("write_date", ">=", q.Since.UTC().Format(rpc.DateTimeFormat)))
	}
	if !q.Until.IsZero() {
		d = append(d, is("write_date", "<", q.Until.UTC().Format(rpc.DateTimeFormat)))
	}
	for _, bound := range []struct{ name, operator, cursor string }{{"from", ">", q.From}, {"to", "<=", q.To}} {
		if bound.cursor == "" {
			continue
		}
		n, err := cursor(bound.name, bound.cursor)
		if err != nil {
			return nil, err
		}
		d = append(d, is("id", bound.operator, n))
	}
	if d == nil {
		d = []any{}
	}
	return d, nil
}

// closed says that every operator of a domain has what it joins. Else it would join
// the bounds of a page that stand behind it, and the page would be another one.
func closed(domain []any) bool {
	wanted := 0
	for _, term := range domain {
		wanted = max(wanted, 1)
		switch term := term.(type) {
		case string:
			switch term {
			case "&", "|":
				wanted++
			case "!":
			default:
				return false
			}
		case []any:
			if len(term) != 3 {
				return false
			}
			wanted--
		default:
			return false
		}
	}
	return wanted == 0
}

// cursor is where a reading stands: after the record of an id; "" is 0.
func cursor(name, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	return dbID(name, text)
}

func archivedToo(ctx context.Context, q connectors.RecordQuery) context.Context {
	if !q.Archived {
		return ctx
	}
	return rpc.WithContext(ctx, rpc.Context{"active_test": false})
}

// recordAsk is what somebody wants of the records that a query selects.
type recordAsk struct {
	query connectors.RecordQuery
	after string
	limit int
	ids   []string // these, instead of a page of the query
	lanes int
}

// idPage is a page of ids only.
type idPage struct {
	ids  []string
	next string // "" ends the reading
}

// addRecords makes the operations that read records in bulk: each is a call of
// its own and takes its turn among all others.
func (c *Connector) addRecords() {
	c.pages = newRead(c, "read records", c.readPage)
	c.idPages = newRead(c, "read ids", c.readIDs)
	c.splits = newRead(c, "split records", c.splitRecords)
	c.counts = newRead(c, "count records", c.countRecords)
	c.sharing = newRead(c, "read shared prices", c.readSharing)
}

// inBulk marks operations that only runs over many records use: orders and
// people go first.
func inBulk[R any](R) bool { return true }

func newRead[A any](c *Connector, name string, read func(context.Context, recordAsk) (A, error)) *batch.Op[recordAsk, A] {
	return batch.NewOp(c.scheduler, batch.OpConfig[recordAsk, A]{
		Name: name, Priority: batch.Read, MaxRows: 1, Timeout: writeTimeout, Background: inBulk[recordAsk],
		Call: func(ctx context.Context, asks []recordAsk) ([]batch.Result[A], error) {
			answer, err := read(archivedToo(c.scope(ctx), asks[0].query), asks[0])
			if err != nil {
				return nil, err
			}
			return []batch.Result[A]{{Answer: answer}}, nil
		},
	})
}

// ask reads the company, which the scope needs, before an operation.
func ask[A any](ctx context.Context, c *Connector, op *batch.Op[recordAsk, A], a recordAsk) (answer A, err error) {
	if _, err := c.known.get(ctx, false); err != nil {
		return answer, err
	}
	return op.Do(ctx, a)
}

// CountRecords says how many records a query selects at this moment.
func (c *Connector) CountRecords(ctx context.Context, q connectors.RecordQuery) (int64, error) {
	return ask(ctx, c, c.counts, recordAsk{query: q})
}

func (c *Connector) countRecords(ctx context.Context, a recordAsk) (int64, error) {
	if a.query.Model == StockLevel {
		return c.countLevels(ctx, a)
	}
	d, err := domain(a.query)
	if err != nil {
		return 0, err
	}
	return c.rpc.SearchCount(ctx, a.query.Model, d)
}

// SplitRecords gives ids that part a query into ranges of about equal size.
func (c *Connector) SplitRecords(ctx context.Context, q connectors.RecordQuery, lanes int) ([]string, error) {
	if lanes <= 1 {
		return nil, nil
	}
	return ask(ctx, c, c.splits, recordAsk{query: q, lanes: lanes})
}

func (c *Connector) splitRecords(ctx context.Context, a recordAsk) ([]string, error) {
	if a.query.Model == StockLevel {
		return c.splitLevels(ctx, a)
	}
	d, err := domain(a.query)
	if err != nil {
		return nil, err
	}
	bounds, err := c.splitIDs(ctx, a.query.Model, d, a.lanes)
	return texts(bounds), err
}

func (c *Connector) splitIDs(ctx context.Context, model string, d []any, lanes int) (bounds []int64, err error) {
	n, err := c.rpc.SearchCount(ctx, model, d)
	if err != nil {
		return nil, err
	}
	var last int64
	for lane := 1; lane < lanes; lane++ {
		offset := int(n)*lane/lanes - 1
		if offset < 0 {
			continue
		}
		ids, err := c.rpc.Search(ctx, model, d, rpc.Query{Order: "id", Offset: offset, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(ids) == 1 && ids[0] > last { // not where records were deleted in between
			last = ids[0]
			bounds = append(bounds, last)
		}
	}
	return bounds, nil
}

// ReadRecords gives a page in the order of ids, which never change: a record
// that changes while others are read is neither skipped nor read twice.
func (c *Connector) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (connectors.RecordPage, error) {
	return ask(ctx, c, c.pages, recordAsk{query: q, after: after, limit: min(max(limit, 1), maxPage)})
}

// ReadIDs gives a page of ids only, in the order of ReadRecords.
func (c *Connector) ReadIDs(ctx context.Context, q connectors.RecordQuery, after string, limit int) (ids []string, next string, err error) {
	page, err := ask(ctx, c, c.idPages, recordAsk{query: q, after: after, limit: min(max(limit, 1), connectors.MaxIDs)})
	return page.ids, page.next, err
}

func (c *Connector) readIDs(ctx context.Context, a recordAsk) (page idPage, err error) {
	if a.query.Model == StockLevel {
		return c.levelIDs(ctx, a)
	}
	d, err := domain(a.query)
	if err != nil {
		return page, err
	}
	after, err := cursor("after", a.after)
	if err != nil {
		return page, err
	}
	found, err := c.rpc.Search(ctx, a.query.Model, append(d, is("id", ">", after)), rpc.Query{Order: "id", Limit: a.limit})
	page.ids = texts(found)
	if len(found) == a.limit {
		page.next = page.ids[a.limit-1]
	}
	return page, err
}

func texts(ids []int64) []string {
	all := make([]string, len(ids))
	for i, n := range ids {
		all[i] = id(n)
	}
	return all
}

// RecordsByID reads records as they are, archived ones included; those that
// are gone are missing.
func (c *Connector) RecordsByID(ctx context.Context, model string, ids, fields []string) ([]record.Sourced, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	wanted := recordAsk{query: connectors.RecordQuery{Model: model, Fields: fields, Archived: true}, limit: len(ids), ids: ids}
	page, err := ask(ctx, c, c.pages, wanted)
	return page.Records, err
}

// SelectRecords gives those of some records that a domain selects. Levels of stock
// are found by their products; what is left of a filter for them is which to read.
func (c *Connector) SelectRecords(ctx context.Context, model, filter string, ids []string) ([]string, error) {
	if filter == "" || model == StockLevel || len(ids) == 0 {
		return ids, nil
	}
	page, err := ask(ctx, c, c.pages, recordAsk{query: connectors.RecordQuery{Model: model, Filter: filter, Fields: []string{"id"}, Archived: true}, limit: len(ids), ids: ids})
	selected := make([]string, len(page.Records))
	for i, r := range page.Records {
		selected[i] = r.ID
	}
	return selected, err
}

func (c *Connector) readPage(ctx context.Context, a recordAsk) (page connectors.RecordPage, err error) {
	switch {
	case a.query.Model == StockLevel && a.ids != nil:
		return c.levelsByID(ctx, a)
	case a.query.Model == StockLevel:
		return c.readLevels(ctx, a)
	}
	d, err := domain(a.query)
	if err != nil {
		return page, err
	}
	after, err := cursor("after", a.after)
	if err != nil {
		return page, err
	}
	if a.ids == nil {
		d = append(d, is("id", ">", after))
	} else {
		var wanted []int64
		for _, one := range a.ids {
			n, err := dbID("id", one)
			if err != nil {
				return page, err
			}
			wanted = append(wanted, n)
		}
		d = append(d, is("id", "in", wanted))
	}
	paths := a.query.Fields
	if len(paths) == 0 {
		if paths, err = c.mappable(ctx, a.query.Model); err != nil {
			return page, err
		}
	}
	made := virtualFields[a.query.Model].Name
	wantsMade := slices.Contains(paths, made)
	if wantsMade {
		paths = slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return path == made })
	}
	page.Records, err = c.readTree(ctx, a.query.Model, d, a.limit, paths, maxDepth)
	if err == nil && wantsMade {
		err = c.fillVirtual(ctx, a.query.Model, page.Records)
	}
	if err != nil {
		return page, err
	}
	if n := len(page.Records); a.ids == nil && n == a.limit {
		page.Next = page.Records[n-1].ID
	}
	return page, nil
}
