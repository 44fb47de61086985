package odoo

import (
	"context"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// termsKept is how long the terms of selling are believed.
const termsKept = 10 * time.Minute

// terms is what Towpath knows of one Odoo before it writes: the public terms of
// selling, and how the columns of this server are called.
type terms struct {
	public     record.SalesTerms
	shape      shape
	company    int64
	partner    int64            // the bot user's own
	currencies map[string]int64 // of price lists, by code
	version    string
}

// SalesTerms gives what Odoo knows about selling. ServiceProducts is keyed by
// role (DISCOUNT, SHIPPING, TIP, ROUNDING) and by internal reference; one that
// is missing or ambiguous is left out. Tax rates with other amount types than
// percent are left out too.
func (c *Connector) SalesTerms(ctx context.Context, fresh bool) (record.SalesTerms, error) {
	t, err := c.known.get(ctx, fresh)
	if err != nil {
		return record.SalesTerms{}, err
	}
	return t.public, nil
}

// reader reads the terms; its first error sticks, so that the story below is
// not interrupted after each question.
type reader struct {
	c         *Connector
	ctx       context.Context
	companies []any // whose records count: the company, its ancestors, and none
	err       error
}

// readTerms asks all questions in one call slot.
func (c *Connector) readTerms(ctx context.Context) (*terms, error) {
	server, err := c.rpc.Server(ctx)
	if err != nil {
		return nil, err
	}
	t := &terms{version: server.Raw, currencies: map[string]int64{}}
	// Tried on 14 (they stay) and 19 (they follow); between, take no chances.
	t.public.DeliveriesStay = server.Major < 19
	r := &reader{c: c, ctx: ctx}
	t.public.ReadAt = c.now().UTC()

	r.user(t)
	if r.err != nil {
		return nil, r.err
	}
	c.company.Store(t.company)
	r.ctx = c.scope(ctx)

	r.companyTerms(t)
	t.shape = r.shape()
	t.public.PriceDigits = t.shape.priceDigits
	r.taxes(t)
	r.priceLists(t)
	t.public.FiscalPositions = r.named("account.fiscal.position", r.ofCompany())
	t.public.PaymentTerms = r.named("account.payment.term", r.ofCompany())
	t.public.Warehouses = r.named("stock.warehouse", r.ofCompany())
	t.public.Teams = r.named("crm.team", r.ofCompany())
	t.public.Users = r.named("res.users", []any{is("share", "=", false)})
	r.services(t)
	if r.err != nil {
		return nil, r.err
	}
	t.public.ForcedTax = c.canary.obeys(r.ctx, c, t)
	return t, nil
}

// user finds the company that sells: the configured one, else the bot's own.
func (r *reader) user(t *terms) {
	uid, err := r.c.rpc.UID(r.ctx)
	if err != nil {
		r.err = err
		return
	}
	var users []struct {
		Partner rpc.Many2One `json:"partner_id"`
		Company rpc.Many2One `json:"company_id"`
	}
	if err := r.c.rpc.Read(r.ctx, "res.users", []int64{uid}, []string{"partner_id", "company_id"}, &users); err != nil || len(users) == 0 {
		r.err = err
		if err == nil {
			r.err = fault.New(fault.Transient, "odoo.no_user", "Odoo does not show the bot user to itself").
				WithResolution("check the bot user's access rights")
		}
		return
	}
	t.partner, t.company = users[0].Partner.ID, users[0].Company.ID
	if wanted := r.c.cfg.Company; wanted != "" {
		t.company = r.companyNamed(wanted)
	}
}

func (r *reader) companyNamed(wanted string) int64 {
	domain := []any{is("name", "=", wanted)}
	if id, err := strconv.ParseInt(wanted, 10, 64); err == nil {
		domain = []any{"|", is("id", "=", id), is("name", "=", wanted)}
	}
	ids, err := r.c.rpc.Search(r.ctx, "res.company", domain, rpc.Query{})
	switch {
	case err != nil:
		r.err = err
	case len(ids) != 1:
		r.err = fault.New(fault.Invalid, "odoo.company", "%d companies match the configured one", len(ids)).WithField("company").
			WithResolution("name one company that the bot user is allowed to work in")
	default:
		return ids[0]
	}
	return 0
}

func (r *reader) companyTerms(t *terms) {
	fields := []string{"currency_id", "country_id", "tax_calculation_rounding_method"}
	known := r.fields("res.company")
	if _, branches := known["parent_ids"]; branches { // 17 and newer: branches share their root's taxes
		fields = append(fields, "parent_ids")
	}
	var companies []struct {
		Currency rpc.Many2One `json:"currency_id"`
		Country  rpc.Many2One `json:"country_id"`
		Rounding rpc.Text     `json:"tax_calculation_rounding_method"`
		Parents  []int64      `json:"parent_ids"`
	}
	r.read("res.company", []any{is("id", "=", t.company)}, fields, nil, &companies)
	if r.err != nil || len(companies) == 0 {
		return
	}
	company := companies[0]
	t.public.Company = id(t.company)
	t.public.CompanyCurrency = company.Currency.Name
	t.public.CompanyCountry = r.countryCodes()[company.Country.ID]
	t.public.RoundPerLine = company.Rounding == "round_per_line"
	r.companies = []any{false, t.company}
	for _, parent := range company.Parents {
		if parent != t.company {
			r.companies = append(r.companies, parent)
		}
	}
}

// countryCodes gives the ISO codes of all countries by id.
func (r *reader) countryCodes() map[int64]string {
	if r.err != nil {
		return nil
	}
	where, err := r.c.placesWithin(r.ctx)
	if err != nil {
		r.err = err
		return nil
	}
	return where.codes
}

var hundred = decimal.NewFromInt(100)

// taxes reads the percentage taxes, archived ones included.
func (r *reader) taxes(t *terms) {
	known := r.fields("account.tax")
	fields := []string{"name", "amount", "active"}
	for _, optional := range []string{"price_include", "price_include_override", "country_id"} {
		if _, ok := known[optional]; ok {
			fields = append(fields, optional)
		}
	}
	var taxes []struct {
		ID       int64        `json:"id"`
		Name     rpc.Text     `json:"name"`
		Amount   rpc.Decimal  `json:"amount"`
		Active   bool         `json:"active"`
		Included bool         `json:"price_include"`
		Override rpc.Text     `json:"price_include_override"`
		Country  rpc.Many2One `json:"country_id"`
	}
	domain := append(r.ofCompany(), is("type_tax_use", "=", "sale"), is("amount_type", "=", "percent"))
	r.read("account.tax", domain, fields, rpc.Context{"active_test": false}, &taxes)
	codes := r.countryCodes()
	for _, tax := range taxes {
		// price_include is computed on 18 and newer and heeds the company's
		// default; the override alone would not.
		included := tax.Included || tax.Override == "tax_included"
		t.public.Taxes = append(t.public.Taxes, record.Tax{
			ID: id(tax.ID), Name: string(tax.Name), Rate: tax.Amount.Div(hundred), PriceIncluded: included,
			Country: codes[tax.Country.ID], Active: tax.Active,
		})
	}
}

func (r *reader) priceLists(t *terms) {
	var lists []struct {
		ID       int64        `json:"id"`
		Name     rpc.Text     `json:"name"`
		Currency rpc.Many2One `json:"currency_id"`
	}
	r.read("product.pricelist", r.ofCompany(), []string{"name", "currency_id"}, nil, &lists)
	for _, l := range lists {
		t.public.PriceLists = append(t.public.PriceLists, record.PriceList{ID: id(l.ID), Name: string(l.Name), Currency: l.Currency.Name})
		t.currencies[l.Currency.Name] = l.Currency.ID
	}
}

// services finds the service products; one whose reference is carried by two
// products is as good as missing.
func (r *reader) services(t *terms) {
	roles := r.c.cfg.services()
	var references []any
	for _, reference := range roles {
		references = append(references, reference)
	}
	var products []struct {
		ID   int64    `json:"id"`
		Code rpc.Text `json:"default_code"`
	}
	r.read("product.product", append(r.ofCompany(), is("default_code", "in", references)), []string{"default_code"}, nil, &products)
	found := map[string][]int64{}
	for _, p := range products {
		found[string(p.Code)] = append(found[string(p.Code)], p.ID)
	}
	t.public.ServiceProducts = map[string]string{}
	for role, reference := range roles {
		if ids := found[reference]; len(ids) == 1 {
			t.public.ServiceProducts[role] = id(ids[0])
			t.public.ServiceProducts[reference] = id(ids[0])
		}
	}
}

// named reads id and name of a model's records; a model that is not installed
// has none.
func (r *reader) named(model string, domain []any) []record.Named {
	var rows []struct {
		ID   int64    `json:"id"`
		Name rpc.Text `json:"display_name"`
	}
	if r.err != nil {
		return nil
	}
	r.read(model, domain, []string{"display_name"}, nil, &rows)
	if missingModel(r.err) {
		r.err = nil
		return nil
	}
	out := make([]record.Named, 0, len(rows))
	for _, row := range rows {
		out = append(out, record.Named{ID: id(row.ID), Name: string(row.Name)})
	}
	return out
}

func (r *reader) ofCompany() []any { return []any{is("company_id", "in", r.companies)} }

func (r *reader) read(model string, domain []any, fields []string, context rpc.Context, out any) {
	if r.err != nil {
		return
	}
	r.err = r.c.rpc.SearchRead(rpc.WithContext(r.ctx, context), model, domain, fields, rpc.Query{Order: "id"}, out)
}

func (r *reader) fields(model string) map[string]rpc.Field {
	if r.err != nil {
		return nil
	}
	fields, err := r.c.rpc.FieldsGet(r.ctx, model)
	if err != nil {
		r.err = err
	}
	return fields
}

// shape is how this server's columns are called and how precise they are:
// found with fields_get, never by version (odoo-facts section 1).
type shape struct {
	tax            string // tax_ids (19) or tax_id
	technicalPrice bool   // technical_price_unit: -1 keeps our price
	forcedTax      bool   // extra_tax_data
	locked         bool   // sale.order.locked; before, state "done" says it
	priceDigits    int32  // -1: all
	quantityDigits int32  // -1: all
	partner        map[string]rpc.Field
}

func (r *reader) shape() shape {
	line, order := r.fields("sale.order.line"), r.fields("sale.order")
	s := shape{tax: "tax_id", priceDigits: digits(line["price_unit"]), quantityDigits: digits(line["product_uom_qty"])}
	if _, ok := line["tax_ids"]; ok {
		s.tax = "tax_ids"
	}
	_, s.technicalPrice = line["technical_price_unit"]
	_, s.forcedTax = line["extra_tax_data"]
	_, s.locked = order["locked"]
	s.partner = r.fields("res.partner")
	return s
}

func digits(f rpc.Field) int32 {
	if f.Digits == [2]int32{} {
		return -1
	}
	return f.Digits[1]
}

// is builds one condition of a domain.
func is(field, operator string, value any) []any { return []any{field, operator, value} }

// id prints a database id as the rest of Towpath knows it.
func id(n int64) string { return strconv.FormatInt(n, 10) }

// missingModel says that a module is not installed.
func missingModel(err error) bool {
	f := fault.Of(err)
	return f != nil && f.Code == "odoo.model_missing"
}
