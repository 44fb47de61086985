"""Orders and invoices with their lines, as they stand in the database.

Most orders change one field at a time, and their event tells all of the order.
Read through the ORM that takes seven statements and costs more than the change
itself. PostgreSQL spends most of a small statement on its plan, and keeps none
from one request to the next, since Odoo resets its connections: so what the ORM
knows is not asked, and each statement has as few tables as can be. Every column
here is a stored one in all versions of Odoo.
"""
import functools
from collections import namedtuple

from . import values

# columns: of the head; lines: their model; inverse: their many2one to the head;
# quantity: their column of that kind; order: by which they stand, as Odoo has it.
Document = namedtuple("Document", "columns lines inverse quantity order")

# Keys of what is read beside the columns themselves.
PARTNER, PLACES, LINES = "partner_id.name", "currency_id.decimal_places", "lines"

# Sections and notes have a display type; lines of invoices with a product have one, too.
# Selects within the list are planned in less time than joins.
_LINES = """
    SELECT l."{inverse}", l.product_id, (
            SELECT name FROM product_template WHERE id = (
                SELECT product_tmpl_id FROM product_product WHERE id = l.product_id)),
        l."{quantity}", l.price_unit, l.price_subtotal, l.currency_id, (SELECT name FROM res_partner WHERE id = %s)
    FROM "{lines}" l
    WHERE l."{inverse}" IN %s AND coalesce(l.display_type, 'product') = 'product'
    ORDER BY {order}
"""


def read(document, records, ids, names, look, execute=None):
    """{id: {column: value}}, as capture.columns, with what :func:`head` and :func:`lines` need.

    ``look`` finds the columns: capture.columns, or capture.known. Lines and names are always read.
    """
    cr = records.env.cr
    execute = execute or cr.execute
    found = look(records, ids, {*document.columns, "currency_id", *names}, execute)
    if not found:
        return found
    places = Places(records.env)
    partners = {row["partner_id"] for row in found.values()} - {None, False}
    # Of one order, its partner's name can come along with the lines.
    partner = partners.pop() if len(partners) == 1 else None
    execute(_query(document, records.env[document.lines]._table), [partner, tuple(found)])
    lines, called = {id_: [] for id_ in found}, {}
    for id_, *line, currency, name in cr.fetchall():
        lines[id_].append((*line, places[currency]))
        called[partner] = name
    if partner and not called:
        partners.add(partner)
    if partners:
        execute("SELECT id, name FROM res_partner WHERE id IN %s", [tuple(partners)])
        called.update(cr.fetchall())
    for id_, row in found.items():
        row.update({
            "id": id_, PARTNER: called.get(row["partner_id"]), PLACES: places[row["currency_id"]], LINES: lines[id_]})
    return found


@functools.lru_cache(maxsize=8)
def _query(document, table):
    return _LINES.format(lines=table, inverse=document.inverse, quantity=document.quantity, order=document.order)


class Places(dict):
    """{id of a currency: its decimal places}"""

    def __init__(self, env):
        super().__init__(env["towpath.rule"]._places())
        self.env = env
        self[None] = self[False] = None

    def __missing__(self, currency):  # a new one
        return self.env["res.currency"].browse(currency).decimal_places


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
    line, lang = record.env[document.lines], record.env.lang
    counted, priced, summed = (values.numbers(line, name) for name in (document.quantity, "price_unit", "price_subtotal"))
    return [{
        "product_id": product or False,
        # As translated; a product's name is its template's.
        "product_name": name and (name.get(lang) or name.get("en_US")) or False,
        "quantity": counted(quantity, places),
        "price_unit": priced(price, places),
        "price_subtotal": summed(subtotal, places),
    } for product, name, quantity, price, subtotal, places in row[LINES]]
