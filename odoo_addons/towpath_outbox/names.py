"""Names of partners and products, as they were when an event was told.

Reading them costs an order's event more than all the rest of it, and most
names never change: they are read when the event is claimed, for many at once.
Whoever changes a name leaves the old one in ``towpath_name``, in the same
transaction. An event that could not see the change yet gets the old name.
"""
import json
from collections import defaultdict, namedtuple

PARTNER, PRODUCT, TEMPLATE = "res.partner", "product.product", "product.template"
COLUMN = "name"

# What a transaction saw of others: PostgreSQL's txid_snapshot, and its own txid.
_Moment = namedtuple("_Moment", "own begun_before ended_before under_way")


class Moment(_Moment):
    __slots__ = ()

    @classmethod
    def read(cls, snapshot, own):
        """From ``xmin:xmax:xip,xip``."""
        oldest, newest, under_way = snapshot.split(":")
        return cls(own, int(oldest), int(newest), frozenset(int(x) for x in under_way.split(",") if x))

    def sees(self, transaction):
        """Whether what the transaction did is part of what was seen."""
        return transaction == self.own or transaction < self.begun_before or (
            transaction < self.ended_before and transaction not in self.under_way)


class Names:
    """Of the products and partners with these ids."""

    def __init__(self, cr, products, partners):
        self._now = {PRODUCT: of(cr, PRODUCT, products), PARTNER: of(cr, PARTNER, partners)}
        # After the names themselves: of one that changes meanwhile the old one is found here.
        self._former = defaultdict(list)
        if products or partners:
            cr.execute("SELECT model, res_id, tx, name FROM towpath_name WHERE res_id IN %s ORDER BY id",
                       [(*products, *partners)])
            for model, id_, tx, name in cr.fetchall():
                self._former[model, id_].append((tx, name))

    def at(self, moment, model, id_):
        """Of a partner, or of a product in every language: {language: name}; at no moment: now."""
        # The first change that was not seen has the name that was.
        return next((name for tx, name in self._former.get((model, id_), ()) if moment and not moment.sees(tx)),
                    self._now[model].get(id_))


_NAMES = {
    PARTNER: "SELECT id, name FROM res_partner WHERE id IN %s",
    TEMPLATE: "SELECT id, name FROM product_template WHERE id IN %s",
    PRODUCT: "SELECT p.id, t.name FROM product_product p"
             " JOIN product_template t ON t.id = p.product_tmpl_id WHERE p.id IN %s",
}


def of(cr, model, ids):
    """{id: name} as the columns have it."""
    if not ids:
        return {}
    cr.execute(_NAMES[model], [tuple(ids)])
    return dict(cr.fetchall())


def keep(execute, former):
    """Leave the names that somebody changed: (model, id, name)s. A template's are those of its products."""
    for start in range(0, len(former), 500):
        part = former[start:start + 500]
        execute(
            "INSERT INTO towpath_name (model, res_id, name, tx, changed_at)"
            " SELECT CASE WHEN p.id IS NULL THEN f.model ELSE %s END, coalesce(p.id, f.id), f.name::jsonb,"
            " txid_current(), clock_timestamp() AT TIME ZONE 'UTC'"
            " FROM (VALUES " + ", ".join(["(%s, %s, %s)"] * len(part)) + ") AS f (model, id, name)"
            " LEFT JOIN product_product p ON f.model = %s AND p.product_tmpl_id = f.id",
            [PRODUCT, *(value for model, id_, name in part for value in (model, id_, json.dumps(name))), TEMPLATE])
