package odoo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// sheet is one row of a load, cell by cell. Columns that are not put are left
// out: an empty cell means "write empty" to Odoo, not "leave alone".
type sheet struct {
	fields []string
	cells  []any
	err    error // the first cell that cannot be written
}

func (s *sheet) put(field, value string) {
	s.fields = append(s.fields, field)
	s.cells = append(s.cells, value)
}

// given puts a text unless it is empty.
func (s *sheet) given(field, value string) {
	if value = text(value); value != "" {
		s.put(field, value)
	}
}

// ref puts a reference by database id unless it is empty.
func (s *sheet) ref(field, value string) {
	if value == "" {
		return
	}
	if _, err := dbID(field, value); err != nil && s.err == nil {
		s.err = err
	}
	s.put(field+"/.id", value)
}

// text makes a string that PostgreSQL takes: valid UTF-8 without NUL.
func text(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", ""))
}

// dbID checks a database id.
func dbID(field, value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n <= 0 {
		return 0, invalid(field, fmt.Sprintf("%s takes the id of a record in Odoo, a positive whole number, but got %s", cmp.Or(field, "it"), classOf(value))).WithDetail(value).
			WithResolution("give the id, or let the mapping find the record by what the value is, as in lookup: code")
	}
	return n, nil
}

// classOf says what a text is, without telling it.
func classOf(value string) string {
	if _, err := decimal.NewFromString(value); err == nil {
		return "another number"
	}
	switch {
	case strings.TrimSpace(value) == "":
		return "nothing"
	case strings.HasPrefix(value, record.XIDModule+"."):
		return "an external id"
	case len(value) <= 3:
		return "a short text, such as a code"
	}
	return "a text, such as a name"
}

// checkXID refuses what is no external id of ours. Ours hold no spaces, which
// ir.model.data refuses, and cannot be those of a module, which Odoo 14 would
// overwrite even in another model (odoo-facts 5.3).
func checkXID(field, xid string) error {
	if !strings.HasPrefix(xid, record.XIDModule+".") || len(xid) == len(record.XIDModule)+1 || strings.ContainsFunc(xid, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return invalid(field, "not an external id of Towpath").WithDetail(xid)
	}
	return nil
}

// codeInvalid is what this package itself refuses, unsent.
const codeInvalid = "odoo.invalid_row"

func invalid(field, message string) *fault.Fault {
	return fault.New(fault.Invalid, codeInvalid, "%s", message).WithField(field).
		WithResolution("correct the record or its mapping")
}

// orderSheets writes an order as rows of a load: the header stands in the first
// row, each line has one. confirmed leaves out the columns that Odoo refuses on
// a confirmed order even with equal values (the price list), and the date,
// which confirming has set.
//
// company_id is never written, the context says it: even an equal company makes
// Odoo 19 replace the lines' taxes by their products' own when an order is
// loaded again (tried).
func orderSheets(t *terms, row record.OrderRow, confirmed bool) (fields []string, rows [][]any, err error) {
	head := &sheet{}
	address(head, row.Write)
	head.given("name", row.Name)
	head.given("client_order_ref", row.Reference)
	head.given("origin", row.Origin)
	head.given("note", row.Note)
	head.ref("partner_id", row.CustomerID)
	head.ref("partner_invoice_id", or(row.InvoiceID, row.CustomerID))
	head.ref("partner_shipping_id", or(row.DeliveryID, row.CustomerID))
	if !confirmed {
		head.ref("pricelist_id", row.PriceListID)
		if !row.OrderedAt.IsZero() {
			head.put("date_order", row.OrderedAt.UTC().Format(rpc.DateTimeFormat))
		}
	}
	head.ref("fiscal_position_id", row.FiscalPositionID)
	head.ref("payment_term_id", row.PaymentTermID)
	head.ref("warehouse_id", row.WarehouseID)
	head.ref("team_id", row.TeamID)
	head.ref("user_id", row.UserID)
	if err := firstError(head.err, checkOrder(t, row)); err != nil {
		return nil, nil, err
	}
	if len(row.Lines) == 0 {
		return head.fields, [][]any{head.cells}, nil
	}

	fields = head.fields
	blank := make([]any, len(head.cells))
	for i := range blank {
		blank[i] = ""
	}
	for i, line := range row.Lines {
		cells, err := lineSheet(t, row, i, line)
		if err != nil {
			return nil, nil, err
		}
		start := blank
		if i == 0 {
			start = head.cells
			fields = append(fields, cells.fields...)
		}
		rows = append(rows, append(append(make([]any, 0, len(fields)), start...), cells.cells...))
	}
	return fields, rows, nil
}

// lineSheet writes one line. Every money column is sent every time, since a
// column left out may be recomputed (odoo-facts section 2).
func lineSheet(t *terms, row record.OrderRow, i int, line record.OrderLine) (*sheet, error) {
	at := func(field string) string { return fmt.Sprintf("lines[%d].%s", i, field) }
	if err := checkLine(t, at, line); err != nil {
		return nil, err
	}
	s := &sheet{}
	s.put("order_line/id", line.XID)
	s.put("order_line/sequence", strconv.Itoa(line.Sequence))
	s.put("order_line/product_id/.id", line.ProductID)
	s.put("order_line/name", or(text(line.Name), "-")) // an empty one fails the order
	s.put("order_line/product_uom_qty", line.Quantity.String())
	s.put("order_line/price_unit", line.UnitPrice.String())
	s.put("order_line/discount", "0")
	s.put("order_line/"+t.shape.tax+"/.id", strings.Join(line.TaxIDs, ","))
	if t.shape.technicalPrice {
		// Else Odoo takes the price for its own and resets it with the next
		// change of quantity. Not 0: a price of 0 would equal it.
		s.put("order_line/technical_price_unit", "-1")
	}
	if t.shape.forcedTax {
		cell, err := forcedTax(t, row.Currency, line)
		if err != nil {
			return nil, err
		}
		s.put("order_line/extra_tax_data", cell)
	}
	return s, nil
}

// extraTaxData is sale.order.line's extra_tax_data on Odoo 19. Only the amounts
// in the order's currency are stated: with both, an order in a foreign currency
// posts wrong amounts (odoo-facts 3.2).
type extraTaxData struct {
	Currency  int64                      `json:"currency_id"`
	UnitPrice rpc.Decimal                `json:"price_unit"`
	Discount  rpc.Decimal                `json:"discount"`
	Quantity  rpc.Decimal                `json:"quantity"`
	Untaxed   rpc.Decimal                `json:"manual_total_excluded_currency"`
	Taxes     map[string]manualTaxAmount `json:"manual_tax_amounts"`
}

type manualTaxAmount struct {
	Tax  rpc.Decimal `json:"tax_amount_currency"`
	Base rpc.Decimal `json:"base_amount_currency"`
}

// forcedTax writes the shop's tax of a line, or an empty cell, which drops one
// written before. Odoo ignores it without a word unless currency, price and
// quantity equal the line's and every tax of the line is listed.
func forcedTax(t *terms, currency string, line record.OrderLine) (string, error) {
	if line.ForcedTax == nil || !t.public.ForcedTax {
		return "", nil
	}
	data := extraTaxData{
		Currency: t.currencies[currency], UnitPrice: rpc.Decimal{Decimal: line.UnitPrice},
		Quantity: rpc.Decimal{Decimal: line.Quantity}, Untaxed: rpc.Decimal{Decimal: line.ForcedTax.Untaxed},
		Taxes: map[string]manualTaxAmount{},
	}
	for _, tax := range line.TaxIDs {
		data.Taxes[tax] = manualTaxAmount{Tax: rpc.Decimal{Decimal: line.ForcedTax.ByTax[tax]}, Base: data.Untaxed}
	}
	raw, err := json.Marshal(data)
	return string(raw), err
}

// checkOrder refuses what load would refuse after seconds, for all its company.
func checkOrder(t *terms, row record.OrderRow) error {
	switch {
	case row.CustomerID == "":
		return invalid("customer", "the order has no customer")
	case row.CompanyID != "" && row.CompanyID != t.public.Company:
		return invalid("company", "this connection sells for another company").
			WithResolution("make a connection for each company that sells")
	case row.PriceListID == "":
		return invalid("price_list", "the order has no price list, which decides its currency")
	}
	for _, list := range t.public.PriceLists {
		if list.ID == row.PriceListID && list.Currency != row.Currency {
			return fault.New(fault.Invalid, "odoo.currency", "the price list is in %s, the order in %s", list.Currency, row.Currency).
				WithField("price_list").WithResolution("choose or create a price list in %s", row.Currency).WithFamily(row.Currency)
		}
	}
	if _, ok := t.currencies[row.Currency]; !ok {
		return fault.New(fault.Invalid, "odoo.no_price_list", "Odoo has no price list in %s", row.Currency).
			WithField("currency").WithResolution("create a price list in %s", row.Currency).WithFamily(row.Currency)
	}
	seen := map[string]bool{}
	for i, line := range row.Lines {
		if seen[line.XID] {
			return invalid(fmt.Sprintf("lines[%d].xid", i), "two lines have the same external id").WithDetail(line.XID)
		}
		seen[line.XID] = true
	}
	for i, gone := range row.Gone {
		field := fmt.Sprintf("gone[%d]", i)
		if err := checkXID(field, gone); err != nil {
			return err
		}
		if seen[gone] {
			return invalid(field, "a line is said to be both there and gone").WithDetail(gone)
		}
	}
	return nil
}

func checkLine(t *terms, at func(string) string, line record.OrderLine) error {
	if err := checkXID(at("xid"), line.XID); err != nil {
		return err
	}
	if line.ProductID == "" {
		return invalid(at("product"), "the line has no product, without which Odoo confirms no order")
	}
	if _, err := dbID(at("product"), line.ProductID); err != nil {
		return err
	}
	if t.shape.quantityDigits >= 0 && !line.Quantity.Equal(line.Quantity.Round(t.shape.quantityDigits)) {
		return invalid(at("quantity"), fmt.Sprintf("Odoo keeps %d decimals of a quantity", t.shape.quantityDigits)).
			WithResolution("raise the decimal accuracy 'Product Unit' in Odoo")
	}
	for _, tax := range line.TaxIDs {
		if _, err := dbID(at("taxes"), tax); err != nil {
			return err
		}
		if line.ForcedTax != nil {
			if _, ok := line.ForcedTax.ByTax[tax]; !ok {
				return invalid(at("forced_tax"), "the forced tax does not state every tax of its line, and Odoo would ignore it")
			}
		}
	}
	return nil
}

// address puts the column that says which record is meant. A record whose
// database id is known is addressed by it: should it be gone, Odoo refuses
// instead of making it anew.
func address(s *sheet, w record.Write) {
	if w.ID != "" {
		if _, err := dbID("id", w.ID); err != nil {
			s.err = err
		}
		s.put(".id", w.ID)
		return
	}
	s.err = checkXID("xid", w.XID)
	s.put("id", w.XID)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// head is the column's own field, before any slash.
func head(column string) string {
	field, _, _ := strings.Cut(column, "/")
	return field
}
