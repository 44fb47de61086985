"""A savepoint that leaves the ORM alone.

``cr.savepoint()`` flushes and runs the hooks that run before a commit, of which
ours is one; ``cr.savepoint(flush=False)`` would do, were it not that errors in
between are to be handled here and never reach the business operation.

It is Odoo's own, too, after whose end the ORM's cache may hold what is no longer
in the database; that is what :func:`undone` knows.
"""
import functools
import weakref

from odoo import sql_db

from . import compat

_NAME = '"towpath_outbox"'
_OPEN = "towpath_outbox.savepoints"  # key of vars(cr)


class savepoint:
    """Undo in the database whatever fails inside; the error goes on."""

    def __init__(self, cr):
        self.cr = cr
        self.open = False

    def __enter__(self):
        self.begin()
        return self

    def begin(self):
        self.cr.execute("SAVEPOINT " + _NAME)
        self.open = True

    def __exit__(self, error, _value, _traceback):
        # What is no Exception, as the end of the process, ends the transaction, too.
        if self.open and error and issubclass(error, Exception):
            self.cr.execute("ROLLBACK TO SAVEPOINT %s; RELEASE SAVEPOINT %s" % (_NAME, _NAME))
        elif self.open and not error:
            self.cr.execute("RELEASE SAVEPOINT " + _NAME)
        self.open = False


class travelling(savepoint):
    """The same, sent along with the first and the last statement inside.

    A small change costs little more than its round trips to PostgreSQL. What comes
    first must go through :meth:`execute`, or :meth:`begin` be called before it; the
    last statement may go through :meth:`last`.
    """

    def begin(self):
        """Also when it has begun."""
        if not self.open:
            super().begin()

    def __enter__(self):
        return self

    def execute(self, query, params):
        self.cr.execute(self._with_beginning(query), params)

    def last(self, query, params):
        """Execute, and keep all that was done."""
        self.cr.execute("%s; RELEASE SAVEPOINT %s" % (self._with_beginning(query), _NAME), params)
        self.open = False

    def _with_beginning(self, query):
        if self.open:
            return query
        # Before it is sent: it is there, unless the query is no SQL at all.
        self.open = True
        return "SAVEPOINT %s; %s" % (_NAME, query)


def undone(cr):
    """Whether a savepoint was rolled back in this transaction, so that the ORM's cache cannot be believed."""
    return compat.UNDONE in cr.cache


def may_be_undone(cr):
    """Whether a savepoint is open for which nobody flushed, so that it may take what was done before it along."""
    return any(not point.closed for point in vars(cr).get(_OPEN, ()))


def _known_to_the_cursor(init):
    @functools.wraps(init)
    def knowing(self, cr):
        init(self, cr)
        if type(self) is sql_db.Savepoint and isinstance(cr, sql_db.BaseCursor):
            vars(cr).setdefault(_OPEN, weakref.WeakSet()).add(self)

    return knowing


def _told_to_the_cursor(rollback):
    @functools.wraps(rollback)
    def telling(self):
        rollback(self)
        cr = self._cr
        if not isinstance(cr, sql_db.BaseCursor):
            return  # psycopg2's, below a cursor of Odoo's own tests
        # Where Odoo empties its cache it has done so before: then this costs a look at the database.
        compat.remember(cr, compat.UNDONE, True)
        cr.precommit.data.pop(compat.SEEN, None)
        memory = vars(cr).get(compat.KEY)
        if memory and type(self) is sql_db.Savepoint:
            while memory.told:
                memory.told.pop()()

    telling.towpath = True
    return telling


# With and without flush, in all versions of Odoo.
if not hasattr(sql_db.Savepoint.rollback, "towpath"):
    sql_db.Savepoint.__init__ = _known_to_the_cursor(sql_db.Savepoint.__init__)
    sql_db.Savepoint.rollback = _told_to_the_cursor(sql_db.Savepoint.rollback)
