-- What Towpath brought into Odoo, so that others can bring in the same: the
-- partners it made and its confirmed orders with their lines. Products, taxes
-- and price lists have equal ids in every copy of the template.
WITH named AS (
    SELECT model, res_id, module || '.' || name AS xid FROM ir_model_data WHERE module = '__towpath__'
), partner AS (
    SELECT p.id, n.xid, (SELECT x.xid FROM named x WHERE x.model = 'res.partner' AND x.res_id = p.parent_id) AS parent,
           p.name, p.type, p.email, p.phone, p.street, p.street2, p.city, p.zip, p.state_id, p.country_id, p.lang, p.is_company, p.company_name
    FROM res_partner p JOIN named n ON n.model = 'res.partner' AND n.res_id = p.id
), line AS (
    SELECT l.order_id, n.xid, l.sequence, l.product_id, pp.default_code AS sku, l.name, l.product_uom_qty::text AS qty,
           l.price_unit::text AS price, coalesce(l.extra_tax_data::text, '') AS extra,
           ARRAY(SELECT r.account_tax_id FROM account_tax_sale_order_line_rel r WHERE r.sale_order_line_id = l.id ORDER BY 1) AS taxes
    FROM sale_order_line l JOIN named n ON n.model = 'sale.order.line' AND n.res_id = l.id
    JOIN product_product pp ON pp.id = l.product_id
), sold AS (
    SELECT o.id, n.xid, o.client_order_ref AS ref, coalesce(o.origin, '') AS origin, o.name, o.pricelist_id,
           (SELECT xid FROM partner WHERE id = o.partner_id) AS partner,
           (SELECT xid FROM partner WHERE id = o.partner_invoice_id) AS invoice,
           (SELECT xid FROM partner WHERE id = o.partner_shipping_id) AS delivery,
           (SELECT json_agg(line ORDER BY sequence, xid) FROM line WHERE order_id = o.id) AS lines
    FROM sale_order o JOIN named n ON n.model = 'sale.order' AND n.res_id = o.id
    WHERE o.state = 'sale' AND o.client_order_ref LIKE '#%'
)
SELECT json_build_object(
    'partners', (SELECT json_agg(partner ORDER BY id) FROM partner),
    'orders', (SELECT json_agg(sold ORDER BY length(ref), ref) FROM sold))
