"""What changed in the current transaction, until it is written to the outbox.

Changes are collected in ``cr.precommit.data``. Odoo empties it when it rolls
back to a savepoint, and runs the hook before each savepoint and each commit:
what is collected always belongs to the innermost open savepoint, and what was
written to the outbox before shares the fate of the data in the database.
"""
import functools
import logging

import psycopg2
from psycopg2.extensions import TransactionRollbackError

from . import compat, completion, document, events, names, payload, values
from .savepoint import savepoint, undone

_logger = logging.getLogger(__name__)

KEY = compat.KEY


class Change:
    """What happened to one record since the last savepoint."""

    __slots__ = ("env", "created", "deleted", "tombstone", "old", "touched")

    def __init__(self, env):
        self.env = env  # of whoever changed it
        self.created = False
        self.deleted = False
        self.tombstone = None  # payload.Shaped, of the moment before the deletion
        self.old = {}  # field -> value of the column before the first change
        self.touched = set()  # one2many fields whose records changed

    def before(self, later):
        """This and what happened later, if anything, as one."""
        if later:
            self.created |= later.created
            self.deleted |= later.deleted
            self.tombstone = later.tombstone or self.tombstone
            self.old = {**later.old, **self.old}
            self.touched |= later.touched
        return self

    def company(self):
        """Where the user worked: read only for records that have no company of their own."""
        try:
            return self.env.company.id
        except psycopg2.Error:
            raise
        except Exception:  # companies of the context that the user may not use
            return False


def watch_of(records):
    """The watch on the records' model, or None: the common case, so it is cheap.

    Nothing is watched while modules are being loaded.
    """
    name = records._name
    if not records.pool.ready or name.startswith("towpath."):
        return None
    return watches_of(records.env).get(name)


def watches_of(env):
    """{model: watch.Watch}; asked for so often that Odoo's own cache would be felt."""
    found = env.cr.cache.get(compat.WATCHES)
    if found is None:
        found = compat.remember(env.cr, compat.WATCHES, env["towpath.rule"]._watches())
    return found


def _pending(env):
    data = env.cr.precommit.data
    if KEY not in data:
        data[KEY] = {}
        env.cr.precommit.add(functools.partial(events.write, all_rights(env)))
    return data[KEY]


def again(env, told):
    """Collect once more what was told, since its rows are undone; some of it happened before and is not."""
    for model, earlier in told.items():
        own = changes(env, model)
        for id_, change in earlier.items():
            own[id_] = change.before(own.get(id_))


def all_rights(env):
    return env(user=1, su=True, context={"lang": payload.LANG})


def changes(env, model):
    return _pending(env).setdefault(model, {})


def _careful(capture):
    """A failing capture is told to the log and costs details, not the event.

    Errors of PostgreSQL go on: the transaction is lost already, and Odoo must
    see for itself that it may try again.
    """

    @functools.wraps(capture)
    def guarded(watch, records, *args):
        try:
            capture(watch, records, *args)
        except psycopg2.Error:
            raise
        except Exception:
            _logger.exception("towpath: cannot see what changes on %s %s", records._name, records._ids[:10])

    return guarded


@_careful
def after_create(watch, records):
    if not watch.tells and not watch.parents:
        return
    own = changes(records.env, records._name)
    for id_ in records._ids:
        change = own[id_] = Change(records.env)
        change.created = True


@_careful
def before_write(watch, records, vals):
    """Remember who writes, and where: the ORM may flush it as somebody else, in another company."""
    env, seen = records.env, _seen(records)
    for id_ in records._ids:
        if id_:
            seen.setdefault((id_, None), env)
    _remember(watch, records, vals, seen)


@_careful
def before_change(watch, records, names):
    _remember(watch, records, names, _seen(records))


def _remember(watch, records, names, seen):
    """What the ORM knows of values that it is about to change: it was read already.

    When they are written to the database, the ORM knows only the new ones.
    """
    env = records.env
    if undone(env.cr):
        return
    for name in watch.plain.intersection(names):
        field = records._fields[name]
        known, unwritten = compat.cached(env, field), compat.unwritten(env, field)
        for id_ in records._ids:
            if id_ and id_ in known and id_ not in unwritten:
                seen[id_, name] = known[id_]


def _seen(records):
    """{(id, field): value, (id, None): environment of who writes} of the records' model."""
    data = records.env.cr.precommit.data
    if compat.SEEN not in data:
        data[compat.SEEN] = {}
        _pending(records.env)  # which forgets it in time
    return data[compat.SEEN].setdefault(records._name, {})


@_careful
def before_update(watch, records, names):
    names = watch.columns.intersection(names)
    if not names:
        return
    own = changes(records.env, records._name)
    seen = records.env.cr.precommit.data.get(compat.SEEN, {}).get(records._name, {})
    for id_ in records._ids:
        if id_ and id_ not in own:
            own[id_] = Change(seen.get((id_, None), records.env))
    # Of a record that is new, only what moves it to another state is of interest.
    steps = names & watch.steps
    full = [i for i in records._ids if i and not own[i].created and not names <= own[i].old.keys()]
    new = [i for i in records._ids if i and own[i].created and not steps <= own[i].old.keys()]
    for ids, wanted in ((full, names | watch.parents_columns), (new, steps)):
        if ids and wanted:
            for id_, row in _before(records, ids, wanted, names, seen).items():
                for name, value in row.items():
                    own[id_].old.setdefault(name, value)


def _before(records, ids, wanted, names, seen):
    """{id: {field: value}} right before names are overwritten, read only where nobody has seen it."""
    changing = names & wanted
    here = [id_ for id_ in ids if all((id_, name) in seen for name in changing)]
    found = known(records, here, wanted - changing)
    for id_ in here:
        found.setdefault(id_, {}).update((name, seen[id_, name]) for name in changing)
    if len(here) < len(ids):
        found.update(columns(records, [id_ for id_ in ids if id_ not in found], wanted))
    return found


@_careful
def before_relations(watch, records, names):
    own = changes(records.env, records._name)
    ids = [i for i in records._ids if i]
    for id_ in ids:
        if id_ not in own:
            own[id_] = Change(records.env)
    ids = [i for i in ids if not own[i].created]
    for name in names:
        for id_, value in related(records, ids, name).items():
            own[id_].old.setdefault(name, value)


def before_unlink(watch, records):
    """Keep what is told of deleted records.

    Whatever the user has written so far is flushed first, as Odoo does next anyway,
    and its errors are the user's. Were it flushed by what is read below, an error
    would be swallowed and the ORM believe that it is in the database.
    """
    if not watch.rules_on("unlink") and not watch.cascades:
        return _before_unlink(watch, records)
    # What is not computed yet of the records themselves, Odoo drops without computing it.
    waiting = compat.to_compute(records)
    try:
        for field, some in waiting:
            records.env.remove_to_compute(field, some)
        records.env.flush_all()
    finally:
        _compute_later(waiting)
    if compat.uninstalling(records.env):
        _before_uninstall(watch, records)
    else:
        _before_unlink(watch, records)
    # Again: it may have been computed for the tombstone, and undone.
    _compute_later(waiting)


def _compute_later(waiting):
    for field, some in waiting:
        some.env.add_to_compute(field, some)


def _before_uninstall(watch, records):
    """Of a module that goes, tables and columns may have gone already."""
    try:
        with savepoint(records.env.cr):
            _before_unlink(watch, records)
    except TransactionRollbackError:
        raise
    except psycopg2.Error:
        _logger.exception("towpath: cannot see what a module takes along with %s", records._name)


@_careful
def _before_unlink(watch, records, above=frozenset()):
    env = records.env
    ids = [i for i in records._ids if i]
    above |= {(records._name, i) for i in ids}
    # Odoo leaves these to PostgreSQL, so nobody else hears of them.
    for model, field in watch.cascades:
        child = env[model]
        env.cr.execute(
            'SELECT id FROM "%s" WHERE "%s" IN %%s' % (child._table, field), [tuple(ids)]
        )
        found = [id_ for id_, in env.cr.fetchall() if (model, id_) not in above]
        below = watch_of(child)
        if found and below:
            _before_unlink(below, child.browse(found), above)
    if not watch.tells and not watch.parents and not watch.called:
        return
    own = changes(env, records._name)
    ids = [i for i in ids if i not in own or not own[i].deleted]
    for id_ in ids:
        if id_ not in own:
            own[id_] = Change(env)
        own[id_].deleted = True
    if ids and watch.parents_columns:
        for id_, row in columns(records, ids, watch.parents_columns).items():
            for name, value in row.items():
                own[id_].old.setdefault(name, value)
    if watch.called:
        for id_, name in names.of(env.cr, records._name, ids).items():
            own[id_].old.setdefault(names.COLUMN, name)
    if ids and watch.rules_on("unlink"):
        try:
            with savepoint(env.cr):
                last = all_rights(env)[records._name].browse(ids)
                if watch.document:
                    document.flush(watch.document, last)  # what was to be computed of them, and no more
                read_again(last)
                rows = watch.document and document.read(watch.document, last, ids, (), columns)
                shaped = payload.shape(watch, "unlink", last, rows, own)
                if watch.document:
                    shaped = completion.complete_now(last.env, shaped)
        except TransactionRollbackError:
            raise  # somebody else writes there, too: Odoo tries again
        except Exception:
            _logger.exception("towpath: only the ids of deleted %s can be told", records._name)
            shaped = payload.all_thin(watch, "unlink", ids)
        for id_ in ids:
            own[id_].tombstone = shaped.get(id_)


def read_again(records):
    """Let the ORM forget what may not be what the database has; all of it must have been flushed."""
    if undone(records.env.cr) or compat.masks(records):
        records.invalidate_recordset(flush=False)


def known(records, ids, names, execute=None):
    """The same as :func:`columns`, from what the ORM knows where that is what the database has."""
    env, found = records.env, {id_: {} for id_ in ids}
    if undone(env.cr) or compat.masks(records):
        return columns(records, ids, names, execute)
    for name in names:
        field = records._fields[name]
        if not values.plain(field):
            return columns(records, ids, names, execute)
        cache, unwritten = compat.cached(env, field), compat.unwritten(env, field)
        for id_ in ids:
            if id_ not in cache or id_ in unwritten:
                return columns(records, ids, names, execute)
            found[id_][name] = cache[id_]
    return found


def columns(records, ids, names, execute=None):
    """{id: {field: value}} as the database has it."""
    if not ids:
        return {}
    cr, names = records.env.cr, sorted(names)
    (execute or cr.execute)(
        'SELECT id%s FROM "%s" WHERE id IN %%s'
        % ("".join(', "%s"' % n for n in names), records._table),
        [tuple(ids)],
    )
    return {row[0]: dict(zip(names, row[1:])) for row in cr.fetchall()}


def related(records, ids, name):
    """{id: sorted ids} of a many2many field, as the database has it."""
    found = {id_: [] for id_ in ids}
    if ids:
        field, cr = records._fields[name], records.env.cr
        cr.execute(
            'SELECT "%s", "%s" FROM "%s" WHERE "%s" IN %%s ORDER BY 1, 2'
            % (field.column1, field.column2, field.relation, field.column1),
            [tuple(ids)],
        )
        for id_, other in cr.fetchall():
            found[id_].append(other)
    return found
