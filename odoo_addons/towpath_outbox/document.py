"""Orders and invoices with their lines, as they stand in the database.

Most orders change one field at a time, and their event tells all of the order.
Read through the ORM that takes seven statements and costs more than the change
itself. PostgreSQL spends most of a small statement on its plan, keeps none from
one request to the next, since Odoo resets its connections, and in a plan looks
at every index of every table: there are fifty on the four tables that lines and
names are in. So the head is what the ORM knows, the lines are copied by the
statement that writes the event, and names, which lie in the tables with most
indexes, are added when Towpath claims it: see completion.py. Every column
here is a stored one in all versions of Odoo.
"""
import functools
from collections import namedtuple

from . import values

# columns: of the head; lines: their model; inverse: their many2one to the head;
# quantity: their column of that kind; order: by which they stand, as Odoo has it;
# key: where they stand in what is told.
Document = namedtuple("Document", "columns lines inverse quantity order key")

# Key of what stands beside the columns themselves.
PLACES = "currency_id.decimal_places"

# Sections and notes have a display type; lines of invoices with a product have one, too.
_COPY = """
    SELECT jsonb_agg(jsonb_build_array(
        l.product_id, l."{quantity}", l.price_unit, l.price_subtotal, l.currency_id) ORDER BY {order})
    FROM "{lines}" l
    WHERE l."{inverse}" = %s AND coalesce(l.display_type, 'product') = 'product'
"""


@functools.lru_cache(maxsize=8)
def copy(document):
    """SQL of the lines of a document with an id, as completion.Told has them."""
    return _COPY.format(lines=document.lines.replace(".", "_"), inverse=document.inverse,
                        quantity=document.quantity, order=document.order)


def read(document, records, ids, columns, look, execute=None):
    """{id: {column: value}}, as capture.columns, with what :func:`head` needs.

    ``look`` finds the columns: capture.columns, or capture.known.
    """
    found = look(records, ids, {*document.columns, "currency_id", *columns}, execute)
    places = Places(records.env)
    for id_, row in found.items():
        row["id"] = id_
        row[PLACES] = places[row["currency_id"]]
    return found


class Places(dict):
    """{id of a currency: its decimal places}"""

    def __init__(self, env):
        super().__init__(env["towpath.rule"]._places())
        self.env = env
        self[None] = self[False] = None

    def __missing__(self, currency):  # a new one
        return self.env["res.currency"].browse(currency).decimal_places


def flush(document, records):
    """Write down what the ORM holds back of the records, for :func:`read` and :func:`copy`."""
    records.flush_recordset([*document.columns, "currency_id"])
    records.env[document.lines].flush_model([
        document.inverse, document.quantity, "display_type", "product_id", "price_unit", "price_subtotal",
        "currency_id", "sequence"])


def head(record, row, *columns):
    """{name: value as JSON} of the document's own columns."""
    return {name: values.from_column(record, name, row[name], row[PLACES]) for name in columns}
