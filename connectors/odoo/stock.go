package odoo

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// StockLevel is a model that Odoo does not have: how much of a product is at a
// location. There is one record for each storable product and each warehouse's
// stock location, or each location that the filter names; what lies in the
// locations below counts. Its id is "<product>@<location>". It is only read.
//
// Its filter is a JSON object: "location" is the id or the complete name of a
// location, or a list of these; "products" a domain on product.product.
//
// Changed is when a quant or a move (drafts apart) of the product there was
// last written. So a record has changed whenever one of its quantities has,
// but not the other way round. It is zero where there never was any stock.
const StockLevel = "stock.level"

const float, many2one = "float", "many2one"

var stockFields = map[string]rpc.Field{
	"product_id":   {Type: many2one, String: "Product", Relation: "product.product", ReadOnly: true, Store: true},
	"location_id":  {Type: many2one, String: "Location", Relation: "stock.location", ReadOnly: true, Store: true},
	"warehouse_id": {Type: many2one, String: "Warehouse", Relation: "stock.warehouse", ReadOnly: true, Store: true},
	"on_hand":      {Type: float, String: "On Hand", ReadOnly: true, Store: true},
	"free":         {Type: float, String: "On Hand, not Reserved", ReadOnly: true, Store: true},
	"forecast":     {Type: float, String: "On Hand + Incoming - Outgoing", ReadOnly: true, Store: true},
}

// levelKey is the id of a stock level. Levels are read in its order.
type levelKey struct{ product, location int64 }

func (k levelKey) id() string { return id(k.product) + "@" + id(k.location) }

func (k levelKey) compare(other levelKey) int {
	if k.product != other.product {
		return int(k.product - other.product)
	}
	return int(k.location - other.location)
}

func parseLevel(field, text string) (key levelKey, err error) {
	product, location, ok := strings.Cut(text, "@")
	if !ok {
		return key, invalid(field, "a stock level's id is <product>@<location>").WithDetail(text)
	}
	if key.product, err = dbID(field, product); err != nil {
		return key, err
	}
	key.location, err = dbID(field, location)
	return key, err
}

// place is a location whose levels are asked for.
type place struct {
	id        int64
	name      string
	warehouse rpc.Many2One
}

// stockQuery is a query for stock levels in Odoo's words.
type stockQuery struct {
	products     []any   // domain
	places       []place // by id
	since, until time.Time
	from, to     levelKey // zero: unbounded
}

func (c *Connector) stockQuery(ctx context.Context, q connectors.RecordQuery) (s stockQuery, err error) {
	if err := c.needStock(ctx); err != nil {
		return s, err
	}
	var filter struct {
		Location any   `json:"location"`
		Products []any `json:"products"`
	}
	if q.Filter != "" {
		d := json.NewDecoder(strings.NewReader(q.Filter))
		d.UseNumber()
		d.DisallowUnknownFields()
		if d.Decode(&filter) != nil || !closed(filter.Products) {
			return s, fault.New(fault.Invalid, "odoo.bad_filter", "the filter is no JSON object for stock levels").WithField("filter").
				WithResolution(`write it as {"location": "WH/Stock", "products": [["sale_ok", "=", true]]}; both may be left out`)
		}
	}
	s = stockQuery{since: q.Since.UTC(), until: q.Until.UTC()}
	for _, bound := range []struct {
		name, text string
		key        *levelKey
	}{{"from", q.From, &s.from}, {"to", q.To, &s.to}} {
		if bound.text == "" {
			continue
		}
		if *bound.key, err = parseLevel(bound.name, bound.text); err != nil {
			return s, err
		}
	}
	known, err := c.rpc.FieldsGet(ctx, "product.product")
	if err != nil {
		return s, err
	}
	storable := is("type", "=", "product")
	if _, ok := known["is_storable"]; ok {
		storable = is("is_storable", "=", true)
	}
	s.products = append(slices.Clone(filter.Products), storable)
	if !q.Archived {
		s.products = append(s.products, is("active", "=", true))
	}
	s.places, err = c.stockPlaces(ctx, filter.Location)
	return s, err
}

func (c *Connector) needStock(ctx context.Context) error {
	_, err := c.rpc.FieldsGet(ctx, "stock.quant")
	if missingModel(err) {
		return fault.New(fault.Unsupported, "odoo.no_stock", "this Odoo keeps no stock").
			WithResolution("install Odoo's Inventory app, or leave stock levels out")
	}
	return err
}

// stockPlaces are the locations that a filter names, by default the stock
// locations of the company's warehouses.
func (c *Connector) stockPlaces(ctx context.Context, wanted any) ([]place, error) {
	mine := is("company_id", "in", []any{c.company.Load(), false})
	var houses []struct {
		ID    int64        `json:"id"`
		Name  rpc.Text     `json:"name"`
		Stock rpc.Many2One `json:"lot_stock_id"`
		View  rpc.Many2One `json:"view_location_id"`
	}
	if err := c.rpc.SearchRead(ctx, "stock.warehouse", []any{mine}, []string{"name", "lot_stock_id", "view_location_id"}, rpc.Query{Order: "id"}, &houses); err != nil {
		return nil, err
	}
	d := []any{mine}
	list, many := wanted.([]any)
	switch {
	case wanted == nil:
		var stock []int64
		for _, h := range houses {
			stock = append(stock, h.Stock.ID)
		}
		d = []any{is("id", "in", stock)}
	case !many:
		list = []any{wanted}
	}
	for i, one := range list {
		if i < len(list)-1 {
			d = append(d, "|")
		}
		switch one := one.(type) {
		case json.Number:
			d = append(d, is("id", "=", one))
		case string:
			d = append(d, is("complete_name", "=", one))
		default:
			return nil, invalid("filter", "a location is named by its id or its complete name")
		}
	}
	var found []struct {
		ID   int64    `json:"id"`
		Name rpc.Text `json:"complete_name"`
		Path rpc.Text `json:"parent_path"` // "4/5/"
	}
	if err := c.rpc.SearchRead(ctx, "stock.location", d, []string{"complete_name", "parent_path"}, rpc.Query{Order: "id"}, &found); err != nil {
		return nil, err
	}
	if wanted != nil && len(found) < len(list) || len(found) == 0 {
		return nil, fault.New(fault.Invalid, "odoo.no_such_location", "Odoo has no such location").WithField("filter").
			WithResolution(`name locations by id or complete name ("WH/Stock"), of the connection's company`)
	}
	places := make([]place, len(found))
	for i, f := range found {
		places[i] = place{id: f.ID, name: string(f.Name)}
		for _, h := range houses {
			if h.View.ID != 0 && strings.Contains("/"+string(f.Path), "/"+id(h.View.ID)+"/") {
				places[i].warehouse = rpc.Many2One{ID: h.ID, Name: string(h.Name)}
			}
		}
	}
	return places, nil
}

// changedSince are the products of which anything moved; where to is not asked.
func (s stockQuery) changedSince() []any {
	if s.since.IsZero() {
		return s.products
	}
	since := s.since.Format(rpc.DateTimeFormat)
	return append(slices.Clone(s.products), "|", is("stock_quant_ids.write_date", ">=", since), is("stock_move_ids.write_date", ">=", since))
}

func (s stockQuery) windowed() bool { return !s.since.IsZero() || !s.until.IsZero() }

func (s stockQuery) inWindow(changed time.Time) bool {
	return !changed.Before(s.since) && (s.until.IsZero() || changed.Before(s.until))
}

func (s stockQuery) inRange(k levelKey) bool {
	return k.compare(s.from) > 0 && (s.to == levelKey{} || k.compare(s.to) <= 0)
}

// levelKeys gives up to limit keys after one, of levels that may have changed
// in the window.
func (c *Connector) levelKeys(ctx context.Context, s stockQuery, after string, limit int) (keys []levelKey, next string, err error) {
	if after != "" {
		key, err := parseLevel("after", after)
		if err != nil {
			return nil, "", err
		}
		if key.compare(s.from) > 0 {
			s.from = key
		}
	}
	// The first product may be there in part, hence one more.
	products := (limit+len(s.places)-1)/len(s.places) + 1
	d := append(slices.Clone(s.changedSince()), is("id", ">=", s.from.product))
	if s.to.product != 0 {
		d = append(d, is("id", "<=", s.to.product))
	}
	found, err := c.rpc.Search(ctx, "product.product", d, rpc.Query{Order: "id", Limit: products})
	if err != nil {
		return nil, "", err
	}
	for _, product := range found {
		for _, place := range s.places {
			key := levelKey{product, place.id}
			if !s.inRange(key) {
				continue
			}
			if keys = append(keys, key); len(keys) == limit {
				return keys, key.id(), nil
			}
		}
	}
	return keys, "", nil
}

func stockFieldInfos() (all []record.FieldInfo) {
	for name, f := range stockFields {
		all = append(all, fieldInfo(name, f))
	}
	slices.SortFunc(all, func(a, b record.FieldInfo) int { return strings.Compare(a.Name, b.Name) })
	return all
}
