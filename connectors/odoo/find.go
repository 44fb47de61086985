package odoo

import (
	"context"
	"encoding/json"
	"strings"

	"towpath/connectors/batch"
	"towpath/connectors/httpx"
	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// addFinders makes the operations that look things up: each merges the values
// of all that wait into one question.
func (c *Connector) addFinders() {
	c.products = batch.NewOp(c.scheduler, batch.OpConfig[productAsk, []record.ProductMatch]{
		Name: "find products", Priority: batch.Read, Timeout: readTimeout,
		Group: func(a productAsk) string { return string(a.by) },
		Call:  c.callFindProducts,
	})
	c.parties = batch.NewOp(c.scheduler, batch.OpConfig[string, []record.PartyMatch]{
		Name: "find parties", Priority: batch.Read, Timeout: readTimeout, Call: c.callFindParties,
	})
	c.references = batch.NewOp(c.scheduler, batch.OpConfig[string, []record.OrderState]{
		Name: "find orders", Priority: batch.Read, Timeout: readTimeout, Call: c.callFindOrders,
	})
	c.lookups = batch.NewOp(c.scheduler, batch.OpConfig[string, located]{
		Name: "look up external ids", Priority: batch.Read, MaxRows: 20, Timeout: readTimeout, Call: c.callLookUp,
	})
	c.orders = batch.NewOp(c.scheduler, batch.OpConfig[orderAsk, record.OrderState]{
		Name: "read orders", Priority: batch.Read, Timeout: readTimeout,
		Group: func(a orderAsk) string { return map[bool]string{true: "full"}[a.full] },
		Call:  c.callReadOrders,
	})
}

// productAsk is one caller's question for products.
type productAsk struct {
	by     record.ProductKey
	values []string
}

var productFields = map[record.ProductKey]string{record.BySKU: "default_code", record.ByBarcode: "barcode"}

// FindProducts gives all products that can be sold and carry one of the values
// as internal reference or barcode, archived ones included. Internal
// references are not unique in Odoo: two matches for one value are ambiguous,
// and the caller decides.
func (c *Connector) FindProducts(ctx context.Context, by record.ProductKey, values []string) ([]record.ProductMatch, error) {
	if _, ok := productFields[by]; !ok {
		return nil, fault.New(fault.Unsupported, "odoo.product_key", "Odoo products are not found by %q", by)
	}
	ask := productAsk{by: by, values: nonEmpty(values)}
	if len(ask.values) == 0 {
		return nil, nil
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	return c.products.Do(ctx, ask)
}

func (c *Connector) callFindProducts(ctx context.Context, asks []productAsk) ([]batch.Result[[]record.ProductMatch], error) {
	field := productFields[asks[0].by]
	var values []string
	for _, a := range asks {
		values = append(values, a.values...)
	}
	var products []struct {
		ID      int64    `json:"id"`
		Code    rpc.Text `json:"default_code"`
		Barcode rpc.Text `json:"barcode"`
		Name    rpc.Text `json:"display_name"`
		Active  bool     `json:"active"`
	}
	ctx = rpc.WithContext(c.scope(ctx), rpc.Context{"active_test": false})
	domain := []any{
		is(field, "in", anys(values)), is("sale_ok", "=", true),
		is("company_id", "in", []any{false, c.company.Load()}),
	}
	fields := []string{"default_code", "barcode", "display_name", "active"}
	if err := c.rpc.SearchRead(ctx, "product.product", domain, fields, rpc.Query{Order: "id"}, &products); err != nil {
		return nil, err
	}
	found := map[string][]record.ProductMatch{}
	for _, p := range products {
		key := string(p.Code)
		if field == "barcode" {
			key = string(p.Barcode)
		}
		found[key] = append(found[key], record.ProductMatch{ID: id(p.ID), Key: key, Name: string(p.Name), Archived: !p.Active})
	}
	return results(asks, func(a productAsk) ([]record.ProductMatch, error) {
		var mine []record.ProductMatch
		for _, value := range a.values {
			mine = append(mine, found[value]...)
		}
		return mine, nil
	}), nil
}

// FindParties gives the active customers with a normalised e-mail address;
// records that are only an invoice or delivery address are left out.
func (c *Connector) FindParties(ctx context.Context, email string) ([]record.PartyMatch, error) {
	email = strings.ToLower(text(email))
	if email == "" {
		return nil, nil
	}
	if _, err := c.known.get(ctx, false); err != nil {
		return nil, err
	}
	return c.parties.Do(ctx, email)
}

func (c *Connector) callFindParties(ctx context.Context, emails []string) ([]batch.Result[[]record.PartyMatch], error) {
	var partners []struct {
		ID        int64        `json:"id"`
		Name      rpc.Text     `json:"name"`
		Email     rpc.Text     `json:"email_normalized"`
		IsCompany bool         `json:"is_company"`
		Parent    rpc.Many2One `json:"parent_id"`
		Company   rpc.Text     `json:"company_name"`
		Phone     rpc.Text     `json:"phone"`
		Street    rpc.Text     `json:"street"`
		Street2   rpc.Text     `json:"street2"`
		City      rpc.Text     `json:"city"`
		Zip       rpc.Text     `json:"zip"`
		State     rpc.Many2One `json:"state_id"`
		Country   rpc.Many2One `json:"country_id"`
	}
	domain := []any{
		is("email_normalized", "in", anys(emails)), is("type", "not in", []any{"invoice", "delivery"}),
		is("company_id", "in", []any{false, c.company.Load()}),
	}
	fields := []string{
		"name", "email_normalized", "is_company", "parent_id", "company_name", "phone",
		"street", "street2", "city", "zip", "state_id", "country_id",
	}
	where, err := c.placesWithin(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.rpc.SearchRead(c.scope(ctx), "res.partner", domain, fields, rpc.Query{Order: "id"}, &partners); err != nil {
		return nil, err
	}
	found := map[string][]record.PartyMatch{}
	for _, p := range partners {
		match := record.PartyMatch{
			ID: id(p.ID), Name: string(p.Name), Email: string(p.Email), IsCompany: p.IsCompany,
			Address: record.Address{
				Name: string(p.Name), Company: string(p.Company), Phone: string(p.Phone),
				Street: string(p.Street), Street2: string(p.Street2), City: string(p.City), Zip: string(p.Zip),
				ProvinceCode: where.stateCode[p.State.ID], CountryCode: where.codes[p.Country.ID],
			},
		}
		if p.Parent.ID != 0 {
			match.ParentID = id(p.Parent.ID)
		}
		found[match.Email] = append(found[match.Email], match)
	}
	return results(emails, func(email string) ([]record.PartyMatch, error) { return found[email], nil }), nil
}

// located is what an external id names.
type located struct {
	model string
	id    int64 // 0: nothing, or nothing that the bot may see
}

// lookUp finds the record of an external id; the zero located if there is none.
func (c *Connector) lookUp(ctx context.Context, xid string) (located, error) {
	return c.lookups.Do(ctx, xid)
}

// callLookUp asks one id at a time, since Odoo has no question for many that a
// bot may ask on 19 (see the package's documentation).
func (c *Connector) callLookUp(ctx context.Context, xids []string) ([]batch.Result[located], error) {
	ctx = httpx.RetrySafe(rpc.WithContext(c.scope(ctx), rpc.Context{"active_test": false}))
	out := make([]batch.Result[located], len(xids))
	for i, xid := range xids {
		module, name, _ := strings.Cut(xid, ".")
		var pair []any
		err := c.rpc.Call(ctx, "ir.model.data", "check_object_reference", nil, nil,
			map[string]any{"module": module, "xml_id": name}, &pair)
		switch {
		case err == nil:
			out[i].Answer = locatedIn(pair)
		case !unknownXID(err):
			return nil, err
		}
	}
	return out, nil
}

// locatedIn reads ["sale.order", 7], or ["sale.order", false] where the bot may
// not see the record.
func locatedIn(pair []any) located {
	if len(pair) != 2 {
		return located{}
	}
	model, _ := pair[0].(string)
	number, ok := pair[1].(json.Number)
	if !ok {
		return located{}
	}
	n, err := number.Int64()
	if err != nil {
		return located{}
	}
	return located{model: model, id: n}
}

// unknownXID reads Odoo's ValueError "External ID not found in the system".
func unknownXID(err error) bool {
	return strings.Contains(fault.Of(err).Detail, "External ID not found")
}

// nonEmpty drops what cannot be a key: Odoo stores "no value" as false, and a
// search for "" would find all products without one.
func nonEmpty(values []string) []string {
	var out []string
	for _, v := range values {
		if v = text(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
