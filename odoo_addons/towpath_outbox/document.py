"""Orders and invoices as they stand in the database, with their lines, in one statement.

Most orders change one field at a time, and their event tells all of the order.
Read through the ORM that takes seven statements and costs more than the change
itself; every column here is a stored one in all versions of Odoo.
"""
from collections import namedtuple

from . import values

# columns: of the head; lines: their model; inverse: their many2one to the head;
# quantity: their column of that kind; order: by which they stand, as Odoo has it.
Document = namedtuple("Document", "columns lines inverse quantity order")

# Keys of what is read beside the columns themselves.
PARTNER, PLACES, LINES = "partner_id.name", "currency_id.decimal_places", "lines"

# Sections and notes have a display type; lines of invoices with a product have one, too.
# Selects within the list are planned in less time than joins, which is most of what it takes.
_QUERY = """
    SELECT t.id, {columns}, (SELECT name FROM res_partner WHERE id = t.partner_id),
        (SELECT decimal_places FROM res_currency WHERE id = t.currency_id), (
        SELECT json_agg(json_build_array(
            l.product_id, (
                SELECT pt.name FROM product_product pp JOIN product_template pt ON pt.id = pp.product_tmpl_id
                WHERE pp.id = l.product_id),
            l."{quantity}", l.price_unit, l.price_subtotal,
            (SELECT decimal_places FROM res_currency WHERE id = l.currency_id)) ORDER BY {order})
        FROM "{lines}" l
        WHERE l."{inverse}" = t.id AND coalesce(l.display_type, 'product') = 'product')
    FROM "{table}" t WHERE t.id IN %s
"""


def read(document, records, ids, names=(), execute=None):
    """{id: {column: value}}, as capture.columns, with what :func:`head` and :func:`lines` need."""
    names = sorted({"id", *document.columns, *names})
    cr = records.env.cr
    (execute or cr.execute)(_QUERY.format(
        columns=", ".join('t."%s"' % name for name in names), table=records._table,
        lines=records.env[document.lines]._table, inverse=document.inverse, quantity=document.quantity,
        order=document.order,
    ), [tuple(ids)])
    names += [PARTNER, PLACES, LINES]
    return {row[0]: dict(zip(names, row[1:])) for row in cr.fetchall()}


def flush(document, records):
    """Write down what the ORM holds back of the records, for :func:`read`."""
    records.flush_recordset([*document.columns, "currency_id"])
    records.env[document.lines].flush_model([
        document.inverse, document.quantity, "display_type", "product_id", "price_unit", "price_subtotal",
        "currency_id", "sequence"])


def head(record, row, *names):
    """{name: value as JSON} of the document's own columns."""
    return {name: values.from_column(record, name, row[name], row[PLACES]) for name in names}


def lines(document, record, row):
    """The lines with goods or services, in their order."""
    line = record.env[document.lines]
    lang = record.env.lang
    return [{
        "product_id": product or False,
        # As translated; a product's name is its template's.
        "product_name": name and (name.get(lang) or name.get("en_US")) or False,
        "quantity": values.from_column(line, document.quantity, quantity, places),
        "price_unit": values.from_column(line, "price_unit", price, places),
        "price_subtotal": values.from_column(line, "price_subtotal", subtotal, places),
    } for product, name, quantity, price, subtotal, places in row[LINES] or ()]
