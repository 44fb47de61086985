"""The lines and names of orders and invoices, put into an event's content when it is claimed.

What the event says is true of the moment when it was told: the lines were copied
then (document.py), and names are those that it saw (names.py).
"""
import logging
from collections import namedtuple

from psycopg2.extensions import TransactionRollbackError

from . import document, named, names, values
from .savepoint import savepoint

_logger = logging.getLogger(__name__)

# data: of an event, to be completed; lines: [product, quantity, price, subtotal, currency]s
# or None; moment: the names.Moment of its transaction.
Told = namedtuple("Told", "data document lines lang moment")


def complete(env, told):
    """Put lines and names into the data: as they were in the transaction that told it."""
    products = {line[0] for one in told for line in one.lines or ()} - {None}
    partners = {one.data["partner_id"] for one in told} - {False}
    called, places = names.Names(env.cr, products, partners), document.Places(env)
    for one in told:
        one.data["partner_name"] = called.at(one.moment, names.PARTNER, one.data["partner_id"]) or False
        one.data[one.document.key] = _lines(env, one, called, places)


def _lines(env, one, called, places):
    line = env[one.document.lines]
    counted, priced, summed = (
        values.numbers(line, name) for name in (one.document.quantity, "price_unit", "price_subtotal"))
    lines = []
    for product, quantity, price, subtotal, currency in one.lines or ():
        name = called.at(one.moment, names.PRODUCT, product)
        digits = places[currency]
        lines.append({
            "product_id": product or False,
            # As translated; a product's name is its template's.
            "product_name": name and (name.get(one.lang) or name.get("en_US")) or False,
            "quantity": counted(quantity, digits),
            "price_unit": priced(price, digits),
            "price_subtotal": summed(subtotal, digits),
        })
    return lines


def complete_rows(env, rows):
    """The same for rows of the outbox that have a snapshot.

    What cannot be completed is told by its id, so that it holds up nothing.
    """
    try:
        with savepoint(env.cr):
            complete(env, [
                Told(row["data"], named.of(env[row["model"]]).document, row["lines"], row["lang"],
                     names.Moment.read(row["snapshot"], int(row["tx"].split(".")[0])))
                for row in rows])
    except TransactionRollbackError:
        raise
    except Exception:
        if len(rows) > 1:
            for row in rows:
                complete_rows(env, [row])
            return
        [row] = rows
        _logger.exception("towpath: event %s is told without content", row["id"])
        row.update(data={"id": row["res_id"]}, thin=True)


def complete_now(env, shaped):
    """The same for {id: payload.Shaped} in the transaction itself: the records are about to go."""
    told = []
    for id_, one in shaped.items():
        if one.document:
            env.cr.execute(document.copy(one.document), [id_])
            [(lines,)] = env.cr.fetchall()
            told.append(Told(one.data, one.document, lines, one.asked.lang, None))
    complete(env, told)
    return {id_: one._replace(document=None) for id_, one in shaped.items()}
