package shopify

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

var (
	_ connectors.RecordSource = (*Connector)(nil)
	_ connectors.RecordTarget = (*Connector)(nil)
	_ connectors.RecordIDs    = (*Connector)(nil)

	_ connectors.RecordArchiver = (*Connector)(nil)
)

// maxPage is the most that Shopify gives or takes in one list.
const maxPage = 250

// SourceNow is Shopify's clock, as its answers' Date tells, cut to seconds.
func (c *Connector) SourceNow(ctx context.Context) (time.Time, error) {
	var out any
	got, err := c.api.run(ctx, c.docs.scopes, "", nil, &out)
	if err != nil {
		return time.Time{}, err
	}
	if got.SourceNow.IsZero() {
		return time.Time{}, fault.New(fault.Unsupported, "shopify.no_clock", "Shopify's answer tells no time").
			WithResolution("let the proxy before Shopify pass the Date header on")
	}
	return got.SourceNow.Truncate(time.Second), nil
}

// found is a page of records.
type found struct {
	Found *list[node] `json:"found"`
}

// ReadRecords gives a page in the order of ids, which never change: a record
// that changes while others are read is neither skipped nor read twice. Pages
// may be shorter than limit: Shopify bounds what a query costs.
func (c *Connector) ReadRecords(ctx context.Context, q connectors.RecordQuery, after string, limit int) (connectors.RecordPage, error) {
	m, err := modelOf(q.Model)
	if err == nil {
		err = m.known(q.Fields)
	}
	if err != nil {
		return connectors.RecordPage{}, err
	}
	if m.name == modelLevel {
		return c.readLevels(ctx, m, q, after, limit)
	}
	for after = cmp.Or(after, q.From); ; {
		page, err := c.readPage(ctx, m, q, after, limit)
		// Nothing of a page may lie within the query's window; the next does.
		if err != nil || page.Next == "" || len(page.Records) > 0 {
			return page, err
		}
		after = page.Next
	}
}

func (c *Connector) readPage(ctx context.Context, m *recordModel, q connectors.RecordQuery, after string, limit int) (page connectors.RecordPage, err error) {
	query, err := c.search(ctx, m, q, after)
	if err != nil {
		return page, err
	}
	op, _, size := c.pageOf(m)
	vars := m.parts(q.Fields)
	vars["query"] = nullable(query)
	var out found
	if _, err := c.paged(size, func(s pageSize) (reply, error) {
		out = found{}
		s.orders = min(s.orders, max(limit, 1))
		vars["first"] = s.orders
		return c.api.run(ctx, op, s.key(), vars, &out)
	}); err != nil {
		return page, err
	}
	last, err := m.ordered(out.Found, after)
	if err != nil {
		return page, err
	}
	for _, n := range out.Found.Items {
		r, err := m.sourced(n, m.prefix+n.number("id"), q.Fields)
		if err != nil {
			return page, err
		}
		if within(q, r.Changed) {
			page.Records = append(page.Records, r)
		}
	}
	if out.Found.Page.HasNextPage {
		page.Next = last
	}
	return page, nil
}

// ordered checks that a page is in the order of ids, on which reading on from
// its last one relies, and gives that.
func (m *recordModel) ordered(page *list[node], after string) (last string, err error) {
	if page == nil {
		return "", badAnswer(errors.New("no records in the answer"))
	}
	var before int64
	if after != "" {
		before, _ = number("after", strings.TrimPrefix(after, m.prefix))
	}
	for _, n := range page.Items {
		at, err := number("id", n.number("id"))
		if err != nil || at <= before {
			return "", badAnswer(errors.New("records are not in the order of their ids"))
		}
		before, last = at, n.number("id")
	}
	if last == "" && page.Page.HasNextPage {
		return "", badAnswer(errors.New("an empty page that is not the last"))
	}
	return last, nil
}

// pageOf gives what reads a page of a model, what reads its keys only, and how
// large a page is asked for.
func (c *Connector) pageOf(m *recordModel) (records, keys operation, size *pageSize) {
	d := c.docs.records
	switch m.name {
	case modelProduct:
		return d.products, d.productKeys, &c.sizes.products
	case modelVariant:
		return d.variants, d.variantKeys, &c.sizes.variants
	}
	return d.customers, d.customerKeys, &c.sizes.customers
}

// parts says which costly parts of a record are asked for.
func (m *recordModel) parts(fields []string) map[string]any {
	asks := func(path string) bool {
		for i := range m.fields {
			f := &m.fields[i]
			if wanted(fields, f.Name) && (strings.HasPrefix(f.Name, path) || strings.HasPrefix(f.at, path) || strings.HasPrefix(f.input, path)) {
				return true
			}
		}
		return false
	}
	switch m.name {
	case modelVariant:
		return map[string]any{"product": asks("product."), "item": asks("inventoryItem"), "cost": wanted(fields, "cost")}
	case modelCustomer:
		return map[string]any{"address": asks("defaultAddress")}
	}
	return map[string]any{"options": wanted(fields, "options")}
}

// eachKey reads the keys of all records of a query, up to limit at a time, until
// visit says no.
func (c *Connector) eachKey(ctx context.Context, m *recordModel, q connectors.RecordQuery, after string, limit int, visit func(node) bool) error {
	_, op, _ := c.pageOf(m)
	for after = cmp.Or(after, q.From); ; {
		query, err := c.search(ctx, m, q, after)
		if err != nil {
			return err
		}
		var out found
		if _, err := c.paged(&c.sizes.keys, func(s pageSize) (reply, error) {
			out = found{}
			s.orders = min(s.orders, limit)
			return c.api.run(ctx, op, s.key(), map[string]any{"query": nullable(query), "first": s.orders}, &out)
		}); err != nil {
			return err
		}
		last, err := m.ordered(out.Found, after)
		if err != nil {
			return err
		}
		for _, n := range out.Found.Items {
			if within(q, m.changed(n)) && !visit(n) {
				return nil
			}
		}
		if !out.Found.Page.HasNextPage {
			return nil
		}
		after = last
	}
}

// ReadIDs gives up to limit ids after a cursor, in the order of ReadRecords.
func (c *Connector) ReadIDs(ctx context.Context, q connectors.RecordQuery, after string, limit int) (ids []string, next string, err error) {
	m, err := modelOf(q.Model)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), connectors.MaxIDs)
	if m.name == modelLevel {
		return c.readLevelIDs(ctx, m, q, after, limit)
	}
	err = c.eachKey(ctx, m, q, after, limit+1, func(n node) bool {
		if len(ids) == limit { // there is one more
			next = strings.TrimPrefix(ids[limit-1], m.prefix)
			return false
		}
		ids = append(ids, m.prefix+n.number("id"))
		return true
	})
	return ids, next, err
}

// RecordsByID reads records as they are, archived ones included; those that are
// gone are missing.
func (c *Connector) RecordsByID(ctx context.Context, model string, ids, fields []string) ([]record.Sourced, error) {
	m, err := modelOf(model)
	if err == nil {
		err = m.known(fields)
	}
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	ids = distinct(ids)
	if m.name == modelLevel {
		return c.levelsByID(ctx, m, ids, fields)
	}
	gids := make([]string, len(ids))
	for i, id := range ids {
		if _, err := number("id", strings.TrimPrefix(id, m.prefix)); err != nil {
			return nil, err
		}
		gids[i] = gid(m.name, strings.TrimPrefix(id, m.prefix))
	}
	op := map[string]operation{
		modelProduct: c.docs.records.productsByID, modelVariant: c.docs.records.variantsByID, modelCustomer: c.docs.records.customersByID,
	}[m.name]
	_, _, size := c.pageOf(m)
	var all []record.Sourced
	err = c.eachNode(ctx, op, size, gids, m.parts(fields), func(n node) error {
		r, err := m.sourced(n, m.prefix+n.number("id"), fields)
		all = append(all, r)
		return err
	})
	return all, err
}

// eachNode reads nodes by their ids, as many at once as a query may cost.
func (c *Connector) eachNode(ctx context.Context, op operation, size *pageSize, gids []string, vars map[string]any, visit func(node) error) error {
	for len(gids) > 0 {
		var out struct {
			Nodes []node `json:"nodes"`
		}
		var asked int
		if _, err := c.paged(size, func(s pageSize) (reply, error) {
			out.Nodes = nil
			s.orders = min(s.orders, len(gids))
			asked = s.orders
			vars["ids"] = gids[:asked]
			return c.api.run(ctx, op, s.key(), vars, &out)
		}); err != nil {
			return err
		}
		for _, n := range out.Nodes {
			if n.text("id") == "" { // gone, or of another kind
				continue
			}
			if err := visit(n); err != nil {
				return err
			}
		}
		gids = gids[asked:]
	}
	return nil
}
