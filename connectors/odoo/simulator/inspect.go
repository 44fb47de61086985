package simulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// An Order is a sales order as it rests in the simulator.
type Order struct {
	ID            int64
	XID           string // external id, if it has one
	Name          string
	Reference     string // client_order_ref
	State         string // draft, sent, sale, done (14), cancel
	Locked        bool
	InvoiceStatus string
	Currency      string
	Untaxed       decimal.Decimal
	Tax           decimal.Decimal
	Total         decimal.Decimal
	PartnerID     int64
	Lines         []Line
}

// A Line is a line of an Order.
type Line struct {
	ID        int64
	XID       string
	ProductID int64
	SKU       string
	Name      string
	Quantity  decimal.Decimal
	UnitPrice decimal.Decimal
	Subtotal  decimal.Decimal
	Tax       decimal.Decimal
	Delivered decimal.Decimal
	Invoiced  decimal.Decimal
	TaxIDs    []int64
}

// A Product is one to add: a good, unless Service.
type Product struct {
	SKU, Barcode, Name string
	Price              decimal.Decimal
	Service, Archived  bool
}

// as runs f as the administrator, in a transaction of its own.
func (s *Server) as(f func(t *tx)) error {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	t := s.db.begin(s.db.users["admin"], map[string]any{"active_test": false}, s.db.clock)
	if e := t.savepoint(func() { f(t); t.recompute() }); e != nil {
		return fmt.Errorf("simulator: %w", e)
	}
	t.commit()
	return nil
}

// see runs f, which only reads.
func (s *Server) see(f func(t *tx)) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	f(s.db.begin(s.db.users["admin"], map[string]any{"active_test": false}, s.db.clock))
}

// Orders gives all sales orders by id.
func (s *Server) Orders() (list []Order) {
	s.see(func(t *tx) {
		m := t.model("sale.order")
		for _, id := range slices.Sorted(maps.Keys(m.rows)) {
			list = append(list, t.order(m.rows[id]))
		}
	})
	return list
}

// Order gives the sales order with the external id.
func (s *Server) Order(xid string) (o Order, ok bool) {
	s.see(func(t *tx) {
		if r := t.named("sale.order", xid); r != nil {
			o, ok = t.order(r), true
		}
	})
	return o, ok
}

// ID gives the record that an external id points to.
func (s *Server) ID(model, xid string) (id int64, ok bool) {
	s.see(func(t *tx) {
		if r := t.named(model, xid); r != nil {
			id, ok = r.id, true
		}
	})
	return id, ok
}

func (t *tx) named(model, name string) *record {
	x, ok := t.db.xids[name]
	if !ok || x.model != model {
		return nil
	}
	return t.model(model).rows[x.id]
}

type place struct {
	model string
	id    int64
}

// nameOf gives a record's external id, the first if there are several.
func (t *tx) nameOf(model string, id int64) (first string) {
	for name := range t.db.named[place{model, id}] {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

func (t *tx) order(r *record) Order {
	o := Order{
		ID: r.id, XID: t.nameOf("sale.order", r.id), Name: t.text(r, "name"), Reference: t.text(r, "client_order_ref"),
		State: t.text(r, "state"), Locked: t.flag(r, "locked") || t.text(r, "state") == "done", InvoiceStatus: t.text(r, "invoice_status"),
		Currency: t.text(t.related(r, "currency_id"), "name"), Untaxed: t.decimal(r, "amount_untaxed"),
		Tax: t.decimal(r, "amount_tax"), Total: t.decimal(r, "amount_total"), PartnerID: t.integer(r, "partner_id"),
	}
	for _, line := range t.relatedMany(r, "order_line") {
		taxes, _ := line.values[taxField(t.db.version)].([]int64)
		l := Line{
			ID: line.id, XID: t.nameOf("sale.order.line", line.id), ProductID: t.integer(line, "product_id"), Name: t.text(line, "name"),
			Quantity: t.decimal(line, "product_uom_qty"), UnitPrice: t.decimal(line, "price_unit"), Subtotal: t.decimal(line, "price_subtotal"),
			Tax: t.decimal(line, "price_tax"), Delivered: t.decimal(line, "qty_delivered"), Invoiced: t.decimal(line, "qty_invoiced"), TaxIDs: slices.Clone(taxes),
		}
		if p := t.related(line, "product_id"); p != nil {
			l.SKU = t.text(p, "default_code")
		}
		o.Lines = append(o.Lines, l)
	}
	return o
}

// Count is the number of records of a model, archived ones included.
func (s *Server) Count(model string) (n int) {
	s.see(func(t *tx) {
		if m := t.model(model); m != nil {
			n = len(m.rows)
		}
	})
	return n
}

// AddProduct makes a product and gives the id of its variant.
func (s *Server) AddProduct(p Product) (id int64, err error) {
	err = s.as(func(t *tx) {
		values := map[string]any{"name": p.Name, "default_code": p.SKU, "barcode": p.Barcode, "list_price": p.Price, "active": !p.Archived}
		if p.Service {
			values["type"] = "service"
		}
		id = t.create(t.model("product.product"), values).id
	})
	return id, err
}

// Create makes a record, as a person with all rights would. Values are those
// of Odoo's create: bool, string, int64, decimal.Decimal, []any for lists.
func (s *Server) Create(model string, values map[string]any) (id int64, err error) {
	err = s.as(func(t *tx) { id = t.create(t.model(model), values).id })
	return id, err
}

// Edit changes a record, as a person with all rights would.
func (s *Server) Edit(model string, id int64, values map[string]any) error {
	return s.as(func(t *tx) { t.write(t.exists(t.model(model), id), values) })
}

// Delete removes a record, as a person with all rights would.
func (s *Server) Delete(model string, id int64) error {
	return s.as(func(t *tx) { t.unlink(t.exists(t.model(model), id)) })
}

// Lock locks or unlocks an order.
func (s *Server) Lock(orderID int64, locked bool) error {
	return s.as(func(t *tx) { t.lock([]*record{t.exists(t.model("sale.order"), orderID)}, locked) })
}

// SetInvoiced says how much of a line was invoiced.
func (s *Server) SetInvoiced(lineID int64, quantity decimal.Decimal) error {
	return s.setLine(lineID, "qty_invoiced", quantity)
}

// SetDelivered says how much of a line was delivered.
func (s *Server) SetDelivered(lineID int64, quantity decimal.Decimal) error {
	return s.setLine(lineID, "qty_delivered", quantity)
}

func (s *Server) setLine(lineID int64, field string, quantity decimal.Decimal) error {
	return s.as(func(t *tx) {
		r := t.exists(t.model("sale.order.line"), lineID)
		t.put(r, field, quantity)
		t.stampWrite(r)
	})
}

// SetRounding switches the company's tax rounding: per line or, if not,
// globally. As in Odoo, orders keep their totals until they are written.
func (s *Server) SetRounding(perLine bool) error {
	return s.as(func(t *tx) {
		method := "round_globally"
		if perLine {
			method = "round_per_line"
		}
		t.put(t.company(), "tax_calculation_rounding_method", method)
	})
}

// AddUser makes a user who may call RPC with login and password, whose rights
// are given as "c", "w", "u" by model. Reading is free but for the models
// that only administrators may read.
func (s *Server) AddUser(login, password string, rights map[string]string) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	id := int64(100 + len(s.db.users))
	users := maps.Clone(s.db.users)
	users[login] = &user{ID: id, Login: login, Password: password, TZ: "UTC", Rights: maps.Clone(rights), Forbidden: settingsOnly}
	s.db.users = users
}

// Forbid takes rights on a model from a user: "r", "c", "w", "u".
func (s *Server) Forbid(login, model, operations string) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	old := s.db.users[login]
	u := *old
	u.Rights, u.Forbidden = maps.Clone(old.Rights), maps.Clone(old.Forbidden)
	if u.Forbidden == nil {
		u.Forbidden = map[string]bool{}
	}
	u.Forbidden[model] = u.Forbidden[model] || strings.Contains(operations, "r")
	u.Rights[model] = strings.Map(func(r rune) rune {
		if strings.ContainsRune(operations, r) {
			return -1
		}
		return r
	}, u.Rights[model])
	users := maps.Clone(s.db.users)
	users[login] = &u
	s.db.users = users
}
