package bench

import (
	"context"
	"crypto/md5" //nolint:gosec // compares rows, protects nothing
	"database/sql"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/lib/pq"

	"towpath/cmd/towpath/local"
)

//go:embed content.sql
var contentSQL string

// content is what Towpath brought into Odoo, for the references to bring in
// the same.
type content struct {
	Partners []partner `json:"partners"`
	Orders   []sale    `json:"orders"`
	Warm     int       `json:"warm"` // the first so many are done before the clock starts
}

type partner struct {
	XID         string  `json:"xid"`
	Parent      *string `json:"parent"`
	Name        *string `json:"name"`
	Type        string  `json:"type"`
	Email       *string `json:"email"`
	Phone       *string `json:"phone"`
	Street      *string `json:"street"`
	Street2     *string `json:"street2"`
	City        *string `json:"city"`
	Zip         *string `json:"zip"`
	State       *int64  `json:"state_id"`
	Country     *int64  `json:"country_id"`
	Lang        *string `json:"lang"`
	IsCompany   bool    `json:"is_company"`
	CompanyName *string `json:"company_name"`
}

type sale struct {
	XID       string     `json:"xid"`
	Ref       string     `json:"ref"`
	Name      string     `json:"name"`
	Origin    string     `json:"origin"`
	PriceList int64      `json:"pricelist_id"`
	Partner   string     `json:"partner"`
	Invoice   string     `json:"invoice"`
	Delivery  string     `json:"delivery"`
	Lines     []saleLine `json:"lines"`
	Edited    bool       `json:"edited"`
}

type saleLine struct {
	XID      string  `json:"xid"`
	Sequence int     `json:"sequence"`
	Product  int64   `json:"product_id"`
	SKU      string  `json:"sku"`
	Name     string  `json:"name"`
	Qty      string  `json:"qty"`
	Price    string  `json:"price"`
	Extra    string  `json:"extra"`
	Taxes    []int64 `json:"taxes"`
}

// readContent reads what is in an Odoo's own database. Orders come in the
// order of their sale; warm counts those that the measurement leaves out.
func readContent(ctx context.Context, o *local.Real, edited map[string]bool, warm int) (content, error) {
	db, err := sql.Open("postgres", o.PGDSN)
	if err != nil {
		return content{}, err
	}
	defer func() { _ = db.Close() }()
	var raw []byte
	if err := db.QueryRowContext(ctx, contentSQL).Scan(&raw); err != nil {
		return content{}, err
	}
	var c content
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, err
	}
	c.Warm = warm
	for i := range c.Orders {
		c.Orders[i].Edited = edited[c.Orders[i].Ref]
	}
	return c, nil
}

// refs are the references of the first n orders.
func (c content) refs(n int) []string {
	refs := make([]string, 0, n)
	for _, o := range c.Orders[:min(n, len(c.Orders))] {
		refs = append(refs, o.Ref)
	}
	return refs
}

// digest is over all that an order is about: whose it is, what was sold, to
// the cent, and that it is confirmed with a delivery.
func digest(ctx context.Context, dsn string, refs []string) (string, error) {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, `
SELECT concat_ws('|', o.client_order_ref, o.state, o.pricelist_id, o.amount_total, o.amount_tax, p.name, p.email, i.street, i.zip, s.street, s.zip,
    (SELECT count(*) FROM stock_picking k WHERE k.sale_id = o.id),
    (SELECT string_agg(concat_ws(',', l.product_id, l.product_uom_qty, l.price_unit, l.price_subtotal, l.price_tax), ';' ORDER BY l.sequence, l.product_id, l.price_unit)
     FROM sale_order_line l WHERE l.order_id = o.id))
FROM sale_order o JOIN res_partner p ON p.id = o.partner_id JOIN res_partner i ON i.id = o.partner_invoice_id JOIN res_partner s ON s.id = o.partner_shipping_id
WHERE o.client_order_ref = ANY($1)`, pq.Array(refs))
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			return "", err
		}
		all = append(all, row)
	}
	sort.Strings(all)
	sum := md5.Sum([]byte(strings.Join(all, "\n"))) //nolint:gosec // see above
	return fmt.Sprintf("%d orders %s", len(all), hex.EncodeToString(sum[:6])), rows.Err()
}

// keepStock makes all goods of a fresh database stocked, 10,000 on hand, or
// none: the two kinds cost differently at confirming.
func keepStock(ctx context.Context, dsn string, stocked bool) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `
UPDATE product_template SET is_storable = $1 WHERE id IN (SELECT product_tmpl_id FROM product_product WHERE default_code LIKE 'SKU-%')`, stocked); err != nil || !stocked {
		return err
	}
	_, err = db.ExecContext(ctx, `
INSERT INTO stock_quant (product_id, company_id, location_id, quantity, reserved_quantity, in_date, create_uid, write_uid, create_date, write_date)
SELECT p.id, q.company_id, q.location_id, 10000, 0, q.in_date, q.create_uid, q.write_uid, q.create_date, q.write_date
FROM product_product p, (SELECT * FROM stock_quant WHERE quantity = 10000 ORDER BY id LIMIT 1) q
WHERE p.default_code LIKE 'SKU-%' AND NOT EXISTS (SELECT 1 FROM stock_quant x WHERE x.product_id = p.id AND x.location_id = q.location_id)`)
	return err
}
