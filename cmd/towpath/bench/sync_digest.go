package bench

import (
	"context"
	"crypto/md5" //nolint:gosec // compares rows, protects nothing
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
)

// What the rows of a sheet became in Odoo's own tables, one text each, in the
// order of their keys. $1 and $2 are the first and the last key.
var rowsSQL = map[string]string{
	"product": `
SELECT concat_ws('|', p.default_code, t.name->>'en_US', trim_scale(t.list_price::numeric), p.barcode, trim_scale(p.weight::numeric),
    coalesce(t.description_sale->>'en_US', ''), t.type, p.active, t.active,
    (SELECT count(*) FROM product_product v WHERE v.product_tmpl_id = t.id),
    (SELECT count(*) FROM ir_model_data d WHERE d.model = 'product.product' AND d.res_id = p.id AND d.module = '__towpath__'))
FROM product_product p JOIN product_template t ON t.id = p.product_tmpl_id
WHERE p.default_code COLLATE "C" BETWEEN $1 AND $2 ORDER BY p.default_code COLLATE "C"`,
	"customer": `
SELECT concat_ws('|', p.ref, p.name, p.email, p.phone, p.street, coalesce(p.street2, ''), p.city, p.zip, p.is_company, p.active, p.lang, p.type,
    (SELECT count(*) FROM ir_model_data d WHERE d.model = 'res.partner' AND d.res_id = p.id AND d.module = '__towpath__'))
FROM res_partner p WHERE p.ref COLLATE "C" BETWEEN $1 AND $2 ORDER BY p.ref COLLATE "C"`,
}

// rowsDigest is over all that a sheet's rows became in an Odoo database, and
// that each has one external id.
func rowsDigest(ctx context.Context, dsn string, s sheet) (string, error) {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, rowsSQL[s.kind], s.rows[0][0], s.rows[len(s.rows)-1][0])
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	n, sum := 0, md5.New() //nolint:gosec // see above
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			return "", err
		}
		n++
		_, _ = io.WriteString(sum, row+"\n")
	}
	return fmt.Sprintf("%d rows %s", n, hex.EncodeToString(sum.Sum(nil)[:6])), rows.Err()
}
