package odoo

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"towpath/connectors"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/record"
)

// lastChanges says when levels last changed, of those that changed since.
func (c *Connector) lastChanges(ctx context.Context, places []place, products []any, since time.Time) (map[levelKey]time.Time, error) {
	changes := map[levelKey]time.Time{}
	products = through("product_id", products)
	if !since.IsZero() {
		products = append(products, is("write_date", ">=", since.Format(rpc.DateTimeFormat)))
	}
	for _, p := range places {
		here := is("location_id", "child_of", p.id)
		for model, d := range map[string][]any{
			"stock.quant": {here}, "stock.move": {is("state", "!=", "draft"), "|", here, is("location_dest_id", "child_of", p.id)},
		} {
			var groups []struct {
				Product rpc.Many2One `json:"product_id"`
				Changed rpc.Time     `json:"write_date"`
			}
			args := []any{append(d, products...), []string{"write_date:max"}, []string{"product_id"}}
			if err := c.rpc.Call(ctx, model, "read_group", nil, args, map[string]any{"lazy": false}, &groups); err != nil {
				return nil, err
			}
			for _, g := range groups {
				if key := (levelKey{g.Product.ID, p.id}); g.Changed.After(changes[key]) {
					changes[key] = g.Changed.Time
				}
			}
		}
	}
	return changes, nil
}

// through makes a domain on a model one on those that refer to it.
func through(field string, d []any) []any {
	out := make([]any, len(d))
	for i, node := range d {
		out[i] = node
		if leaf, ok := node.([]any); ok && len(leaf) == 3 {
			if name, ok := leaf[0].(string); ok {
				out[i] = []any{field + "." + name, leaf[1], leaf[2]}
			}
		}
	}
	return out
}

func ofProducts(keys []levelKey) []any {
	var ids []int64
	for _, k := range keys {
		ids = append(ids, k.product)
	}
	return []any{is("id", "in", unique(ids))}
}

// inWindow leaves the keys whose levels changed within the query's window.
func (c *Connector) inWindow(ctx context.Context, s stockQuery, keys []levelKey) ([]levelKey, map[levelKey]time.Time, error) {
	if len(keys) == 0 {
		return nil, nil, nil
	}
	changes, err := c.lastChanges(ctx, s.places, ofProducts(keys), time.Time{})
	return slices.DeleteFunc(keys, func(k levelKey) bool { return !s.inWindow(changes[k]) }), changes, err
}

func (c *Connector) readLevels(ctx context.Context, a recordAsk) (page connectors.RecordPage, err error) {
	s, err := c.stockQuery(ctx, a.query)
	if err != nil {
		return page, err
	}
	keys, next, err := c.levelKeys(ctx, s, a.after, a.limit)
	if err != nil {
		return page, err
	}
	keys, changes, err := c.inWindow(ctx, s, keys)
	if err != nil {
		return page, err
	}
	page.Next = next
	page.Records, err = c.levels(ctx, s.places, keys, changes, a.query.Fields)
	return page, err
}

// levelsByID reads levels as they are.
func (c *Connector) levelsByID(ctx context.Context, a recordAsk) (page connectors.RecordPage, err error) {
	if err := c.needStock(ctx); err != nil {
		return page, err
	}
	var keys []levelKey
	var at []any
	for _, one := range a.ids {
		key, err := parseLevel("id", one)
		if err != nil {
			return page, err
		}
		keys = append(keys, key)
		if number := json.Number(id(key.location)); !slices.Contains(at, any(number)) {
			at = append(at, number)
		}
	}
	places, err := c.stockPlaces(ctx, at)
	if err != nil {
		return page, err
	}
	changes, err := c.lastChanges(ctx, places, ofProducts(keys), time.Time{})
	if err != nil {
		return page, err
	}
	page.Records, err = c.levels(ctx, places, keys, changes, a.query.Fields)
	return page, err
}

// levels reads the quantities of levels, in their order; those whose product
// or location is gone are missing.
func (c *Connector) levels(ctx context.Context, places []place, keys []levelKey, changes map[levelKey]time.Time, paths []string) ([]record.Sourced, error) {
	if len(paths) == 0 {
		for name := range stockFields {
			paths = append(paths, name)
		}
	}
	own, followed, err := split(StockLevel, stockFields, paths, maxDepth)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	at := map[levelKey]record.Sourced{}
	for _, p := range places {
		if err := c.levelsAt(ctx, p, keys, own, changes, at); err != nil {
			return nil, err
		}
	}
	records := make([]record.Sourced, 0, len(keys))
	for _, k := range keys {
		if r, ok := at[k]; ok {
			records = append(records, r)
		}
	}
	for name, rest := range followed {
		if err := c.follow(ctx, stockFields[name].Relation, name, rest, records, maxDepth); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (c *Connector) levelsAt(ctx context.Context, p place, keys []levelKey, own []string, changes map[levelKey]time.Time, into map[levelKey]record.Sourced) error {
	var products []int64
	for _, k := range keys {
		if k.location == p.id {
			products = append(products, k.product)
		}
	}
	var rows []struct {
		ID       int64       `json:"id"`
		Name     rpc.Text    `json:"display_name"`
		Active   bool        `json:"active"`
		OnHand   rpc.Decimal `json:"qty_available"`
		Free     rpc.Decimal `json:"free_qty"`
		Forecast rpc.Decimal `json:"virtual_available"`
	}
	ctx = rpc.WithContext(ctx, rpc.Context{"location": p.id, "active_test": false})
	fields := []string{"display_name", "active", "qty_available", "free_qty", "virtual_available"}
	if err := c.rpc.SearchRead(ctx, "product.product", []any{is("id", "in", unique(products))}, fields, rpc.Query{Order: "id"}, &rows); err != nil {
		return err
	}
	for _, row := range rows {
		key := levelKey{row.ID, p.id}
		values := record.Values{
			"product_id":  record.Values{"id": id(row.ID), "display_name": string(row.Name)},
			"location_id": record.Values{"id": id(p.id), "display_name": p.name},
			"on_hand":     row.OnHand.Round(noise), "free": row.Free.Round(noise), "forecast": row.Forecast.Round(noise),
		}
		if p.warehouse.ID != 0 {
			values["warehouse_id"] = record.Values{"id": id(p.warehouse.ID), "display_name": p.warehouse.Name}
		}
		r := record.Sourced{ID: key.id(), Changed: changes[key], Archived: !row.Active, Values: record.Values{"id": key.id()}}
		for _, name := range own {
			if v, ok := values[name]; ok {
				r.Values[name] = v
			}
		}
		into[key] = r
	}
	return nil
}

func (c *Connector) levelIDs(ctx context.Context, a recordAsk) (ids idPage, err error) {
	s, err := c.stockQuery(ctx, a.query)
	if err != nil {
		return ids, err
	}
	keys, next, err := c.levelKeys(ctx, s, a.after, a.limit)
	if err == nil && s.windowed() {
		keys, _, err = c.inWindow(ctx, s, keys)
	}
	for _, k := range keys {
		ids.ids = append(ids.ids, k.id())
	}
	ids.next = next
	return ids, err
}

// countLevels counts levels: those of a window one by one, since only what
// changed is told; of others their products.
func (c *Connector) countLevels(ctx context.Context, a recordAsk) (int64, error) {
	s, err := c.stockQuery(ctx, a.query)
	if err != nil {
		return 0, err
	}
	changed := func(since time.Time) (n int64, err error) {
		changes, err := c.lastChanges(ctx, s.places, s.products, since)
		for key, at := range changes {
			if s.inRange(key) && (since.Equal(s.until) || s.inWindow(at)) {
				n++
			}
		}
		return n, err
	}
	if !s.since.IsZero() {
		return changed(s.since)
	}
	all, err := c.countKeys(ctx, s)
	if err != nil || s.until.IsZero() {
		return all, err
	}
	later, err := changed(s.until) // what never moved counts as changed before
	return all - later, err
}

// countKeys counts products, of which each has a level at each place, save the
// first and the last of a range, which may be there in part.
func (c *Connector) countKeys(ctx context.Context, s stockQuery) (int64, error) {
	d := append(slices.Clone(s.products), is("id", ">", s.from.product))
	if s.to.product != 0 {
		d = append(d, is("id", "<=", s.to.product))
	}
	n, err := c.rpc.SearchCount(ctx, "product.product", d)
	n *= int64(len(s.places))
	for _, end := range []struct {
		key  levelKey
		sign int64
	}{{s.from, 1}, {s.to, -1}} {
		var beyond int64
		for _, p := range s.places {
			if p.id > end.key.location {
				beyond++
			}
		}
		if err != nil || end.key.product == 0 || beyond == 0 {
			continue
		}
		var there int64
		there, err = c.rpc.SearchCount(ctx, "product.product", append(slices.Clone(s.products), is("id", "=", end.key.product)))
		n += end.sign * there * beyond
	}
	return n, err
}

// splitLevels parts by products: all levels of one stay together.
func (c *Connector) splitLevels(ctx context.Context, a recordAsk) ([]string, error) {
	s, err := c.stockQuery(ctx, a.query)
	if err != nil {
		return nil, err
	}
	d := append(slices.Clone(s.changedSince()), is("id", ">", s.from.product))
	if s.to.product != 0 {
		d = append(d, is("id", "<", s.to.product)) // a bound within the range, not its end
	}
	ids, err := c.splitIDs(ctx, "product.product", d, a.lanes)
	bounds := make([]string, len(ids))
	for i, n := range ids {
		bounds[i] = levelKey{n, s.places[len(s.places)-1].id}.id()
	}
	return bounds, err
}
