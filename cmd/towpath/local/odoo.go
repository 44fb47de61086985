package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	_ "github.com/lib/pq" // Odoo's own database is read to count what arrived
	"github.com/shopspring/decimal"

	"towpath/cmd/towpath/stack"
	"towpath/connectors/odoo/rpc"
	odoosim "towpath/connectors/odoo/simulator"
	"towpath/schema/record"
)

// Sold is an order as the target holds it, read past Towpath: from the
// simulator's memory, or with SQL from a real Odoo's own database.
type Sold struct {
	ID, XID, Reference, State, Currency string
	Total                               decimal.Decimal
	Lines                               int
}

// OrderID is the shop's id of an order that Towpath wrote; empty for others.
func (s Sold) OrderID() string {
	i := strings.LastIndexByte(s.XID, '.')
	if i < 0 || !strings.HasPrefix(s.XID, record.XIDModule+".") {
		return ""
	}
	return s.XID[i+1:]
}

// Odoo is the target of an installation.
type Odoo interface {
	// Settings are the connection's config in towpath.yaml.
	Settings() map[string]any
	// Sold lists all sales orders that came from a shop.
	Sold(ctx context.Context) ([]Sold, error)
	// ProductID gives the id of the product with an internal reference.
	ProductID(ctx context.Context, sku string) (string, error)
	// Partners counts customers and addresses.
	Partners(ctx context.Context) (int, error)
	// Waiting counts the events of its outbox that are not acknowledged.
	Waiting(ctx context.Context) (int, error)
	// What is what people call it.
	What() string
}

// Simulated is an Odoo in this process's memory.
type Simulated struct{ *odoosim.Server }

// Settings implements Odoo.
func (s Simulated) Settings() map[string]any {
	return map[string]any{"url": s.URL(), "database": s.Database(), "login": "towpath", "api_key": odoosim.BotKey,
		"limit_time_real": 1} // no call lives on in the simulator, but for those that a test holds
}

// What implements Odoo.
func (s Simulated) What() string { return "Odoo simulator" }

// Sold implements Odoo.
func (s Simulated) Sold(context.Context) ([]Sold, error) {
	var all []Sold
	for _, o := range s.Orders() {
		if fromShop(o.Reference) {
			all = append(all, Sold{ID: strconv.FormatInt(o.ID, 10), XID: o.XID, Reference: o.Reference, State: o.State,
				Currency: o.Currency, Total: o.Total, Lines: len(o.Lines)})
		}
	}
	return all, nil
}

// fromShop tells a shop's order from the canary that probes forced taxes.
func fromShop(reference string) bool { return strings.HasPrefix(reference, "#") }

// ProductID implements Odoo.
func (s Simulated) ProductID(_ context.Context, sku string) (string, error) {
	id, ok := s.Product(sku)
	if !ok {
		return "", fmt.Errorf("the simulated Odoo has no product %s", sku)
	}
	return strconv.FormatInt(id, 10), nil
}

// Partners implements Odoo.
func (s Simulated) Partners(context.Context) (int, error) { return s.Count("res.partner"), nil }

// Waiting implements Odoo.
func (s Simulated) Waiting(context.Context) (int, error) { return s.Server.Waiting(), nil }

// Real is a real Odoo 19.
type Real struct {
	*stack.Odoo
	db *sql.DB
}

// NewReal opens a real Odoo's own database beside it, for counting.
func NewReal(o *stack.Odoo) (*Real, error) {
	db, err := sql.Open("postgres", o.PGDSN)
	return &Real{Odoo: o, db: db}, err
}

// Settings implements Odoo.
func (r *Real) Settings() map[string]any {
	return map[string]any{"url": r.URL, "database": r.DB, "login": r.Login, "api_key": r.APIKey}
}

// What implements Odoo.
func (r *Real) What() string { return "real Odoo 19" }

// Sold implements Odoo.
func (r *Real) Sold(ctx context.Context) ([]Sold, error) {
	rows, err := r.db.QueryContext(ctx, `
SELECT o.id, coalesce(d.module || '.' || d.name, ''), o.client_order_ref, o.state, c.name, o.amount_total,
       (SELECT count(*) FROM sale_order_line l WHERE l.order_id = o.id)
FROM sale_order o JOIN res_currency c ON c.id = o.currency_id
LEFT JOIN ir_model_data d ON d.model = 'sale.order' AND d.res_id = o.id
WHERE o.client_order_ref LIKE '#%' ORDER BY o.id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []Sold
	for rows.Next() {
		var s Sold
		if err := rows.Scan(&s.ID, &s.XID, &s.Reference, &s.State, &s.Currency, &s.Total, &s.Lines); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// ProductID implements Odoo.
func (r *Real) ProductID(ctx context.Context, sku string) (id string, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT id FROM product_product WHERE default_code = $1 AND active`, sku).Scan(&id)
	return id, err
}

// Partners implements Odoo.
func (r *Real) Partners(ctx context.Context) (n int, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT count(*) FROM res_partner`).Scan(&n)
	return n, err
}

// tells makes Odoo tell what happens to records of a model, with everything that
// a rule tells unless somebody says otherwise, and nudge Towpath at an address.
func (r *Real) tells(ctx context.Context, model, hook, secret string) error {
	admin, err := rpc.New(rpc.Config{URL: r.URL, Database: r.DB, Login: "admin", Password: "admin", Transport: rpc.JSONRPC, Private: true})
	if err != nil {
		return err
	}
	id, err := admin.Search(ctx, "ir.model", []any{[]any{"model", "=", model}}, rpc.Query{})
	if err != nil || len(id) != 1 {
		return errors.Join(err, fmt.Errorf("the real Odoo has %d models %s", len(id), model))
	}
	if _, err := admin.Create(ctx, "towpath.rule", map[string]any{"name": model, "model_id": id[0]}); err != nil {
		return err
	}
	_, err = admin.Create(ctx, "towpath.connection", map[string]any{"name": "Towpath", "url": hook, "secret": secret})
	return err
}

// Waiting counts the events that Towpath has not acknowledged yet.
func (r *Real) Waiting(ctx context.Context) (n int, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT count(*) FROM towpath_outbox WHERE state <> 'done'`).Scan(&n)
	return n, err
}

// Close closes the database.
func (r *Real) Close() error { return r.db.Close() }

// Confirmed counts the confirmed orders that came from a shop.
func (r *Real) Confirmed(ctx context.Context) (n int, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT count(*) FROM sale_order WHERE client_order_ref LIKE '#%' AND state = 'sale'`).Scan(&n)
	return n, err
}
