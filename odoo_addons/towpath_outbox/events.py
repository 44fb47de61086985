"""From collected changes to rows of the outbox, just before the commit."""
import functools
import json
import logging
import uuid
from collections import namedtuple

from psycopg2.extensions import adapt

from . import capture, compat, document, named, names, nudge, payload, values
from .savepoint import may_be_undone, travelling

_logger = logging.getLogger(__name__)

_COLUMNS = ("event_id", "event", "action", "model", "res_id", "company_id", "user_id",
            "data", "old_values", "changed_fields", "thin")
# document: a document.Document whose lines PostgreSQL copies, or None; lang: of its names.
Row = namedtuple("Row", (*_COLUMNS, "document", "lang"), defaults=(None, None))

# With its casts: without them PostgreSQL looks long for what || may mean here.
_TRANSACTION = "txid_current()::text || '.'::text || extract(epoch from now())::text"
_INSERT = (
    "INSERT INTO towpath_outbox (%s, occurred_at, state, attempts, tx, lines, lang, snapshot) VALUES %%s"
    % ", ".join(_COLUMNS))
# What an earlier part of this transaction wrote is brought up to date, so that a
# transaction tells one event of a kind per record, whatever savepoints it took.
_MERGE = """
    ON CONFLICT (tx, model, res_id, event) WHERE state = 'pending' DO UPDATE SET
        data = excluded.data, thin = excluded.thin, occurred_at = excluded.occurred_at,
        lines = excluded.lines, lang = excluded.lang, snapshot = excluded.snapshot,
        old_values = CASE WHEN excluded.old_values IS NULL THEN towpath_outbox.old_values
            ELSE excluded.old_values || coalesce(towpath_outbox.old_values, '{}') END,
        changed_fields = CASE WHEN excluded.changed_fields IS NULL THEN towpath_outbox.changed_fields
            ELSE (SELECT jsonb_agg(DISTINCT name ORDER BY name) FROM jsonb_array_elements_text(
                excluded.changed_fields || coalesce(towpath_outbox.changed_fields, '[]')) AS name) END
"""


@functools.lru_cache(maxsize=1024)
def _values(event, action, model, thin, lines, lang, merge):
    """SQL of a row; what is the same for many is in it already, since psycopg2 takes its time for each."""
    same = {"event": event, "action": action, "model": model, "thin": thin}
    return "(%s, clock_timestamp() AT TIME ZONE 'UTC', 'pending', 0, %s, %s)" % (
        ", ".join(_literal(same[name]) if name in same else "%s" for name in _COLUMNS),
        _TRANSACTION if merge else "NULL",
        "(%s), %s, txid_current_snapshot()" % (document.copy(lines), _literal(lang)) if lines else "NULL, NULL, NULL")


def _literal(value):
    return adapt(value).getquoted().decode().replace("%", "%%")


def write(env):
    """The hook: one statement for all events of the transaction.

    It never fails. What cannot be told from what the ORM knows is looked at again
    in the database, what cannot be told in full is told by its id, and what cannot
    be told at all is written to the log.
    """
    # Another hook may have left something to write. Its errors are not ours.
    env.flush_all()
    pending = env.cr.precommit.data.pop(capture.KEY, {})
    env.cr.precommit.data.pop(compat.SEEN, None)
    pending = {model: changes for model, changes in pending.items() if model in env}  # else it is deleted itself
    if not pending:
        return
    told = [env[model].browse(changes) for model, changes in pending.items()]
    for records in told:
        capture.read_again(records)
    env.cr.cache.pop(compat.WATCHES, None)  # Odoo 16 keeps it when a savepoint with a new rule is rolled back
    watches = capture.watches_of(env)
    if not _written(env, watches, pending):
        for model, changes in pending.items():
            _logger.error("towpath: lost events of %s: %s", model, sorted(changes))
    for records in told:
        if compat.masks(records):
            records.invalidate_recordset()  # what was read with all rights is not for the user


def _written(env, watches, pending):
    for look, thin, instead in (
            (capture.known, False, "after another look"),
            (capture.columns, False, "by their ids"),
            (capture.columns, True, "by the log only")):
        try:
            with travelling(env.cr) as point:
                _lines_to_parents(env, watches, pending, look, point)
                _former_names(env, watches, pending, look, point)
                rows, gone = [], []
                for model, changes in pending.items():
                    watch = watches.get(model)
                    if watch and watch.tells:
                        _tell(env, watch, model, changes, look, thin, rows, gone, point)
                store(env, rows, gone, point)
            if may_be_undone(env.cr):
                _memory(env.cr).told.append(functools.partial(capture.again, env, pending))
            return True
        except Exception:
            _logger.exception("towpath: events are told %s", instead)
    return False


# ---- what happened --------------------------------------------------------------------------------

def _lines_to_parents(env, watches, pending, look, point):
    for model in list(pending):
        watch = watches.get(model)
        if not watch or not watch.parents:
            continue
        changes = pending[model]
        shown = watch.parents_columns.union(*(link.columns for link in watch.parents))
        now = look(env[model], list(changes), shown, point.execute)
        for id_, change in list(changes.items()):  # which may hold the parents, too
            here = now.get(id_)
            for link in watch.parents:
                moved = {change.old.get(link.inverse), here and here[link.inverse]} - {None, False}
                differs = change.created or here is None or any(
                    name in change.old and change.old[name] != here[name]
                    for name in link.columns | {link.inverse})
                if differs:
                    for parent in moved:
                        _touch(pending, link, parent, change)


def _touch(pending, link, parent, change):
    parents = pending.setdefault(link.parent, {})
    if parent not in parents:
        parents[parent] = capture.Change(change.env)
    parents[parent].touched.add(link.name)


def _former_names(env, watches, pending, look, point):
    """Keep the names that records had until now, for what was told of them and is not claimed yet."""
    former = []
    for model, changes in pending.items():
        watch = watches.get(model)
        before = watch and watch.called and {
            id_: change.old[names.COLUMN] for id_, change in changes.items() if names.COLUMN in change.old}
        if before:
            there = [id_ for id_ in before if not changes[id_].deleted]
            now = look(env[model], there, {names.COLUMN}, point.execute) if there else {}
            former += [(model, id_, name) for id_, name in before.items()
                       if id_ not in now or now[id_][names.COLUMN] != name]
    if former:
        names.keep(point.execute, former)


def _tell(env, watch, model, changes, look, thin, rows, gone, point):
    records = env[model]
    changed = {name for change in changes.values() for name in change.old}
    wanted = changed & watch.columns
    if thin or not watch.document:
        now = look(records, list(changes), wanted | watch.steps or {"id"}, point.execute)
    else:
        now = document.read(watch.document, records, list(changes), wanted | watch.steps, look, point.execute)
    if thin or _needs_orm(watch, records, changed, now):
        point.begin()
    for name in changed & watch.relations:
        for id_, value in capture.related(records, list(now), name).items():
            now[id_][name] = value
    new_here = _memory(env.cr).created
    created, written, before = [], [], {}
    for id_, change in changes.items():
        if id_ not in now:
            if (model, id_) in new_here or change.created:
                gone.append((model, id_))
            elif change.deleted:
                gone.append((model, id_))
                if change.tombstone:
                    rows.append(_row(model, id_, "deleted", "unlink", change, change.tombstone, thin))
            continue
        old = {n: v for n, v in change.old.items() if n in now[id_] and v != now[id_][n]}
        if change.created or (model, id_) in new_here:
            new_here.add((model, id_))
            created.append(id_)
            before[id_] = old
        elif old or change.touched:
            written.append(id_)
            before[id_] = old
    for action, ids in (("create", created), ("write", written)):
        shaped = _shape(watch, action, records.browse(ids), now, thin, changes) if ids else {}
        for id_ in ids:
            change = changes[id_]
            if id_ in shaped:
                rows.extend(_rows(records.browse(id_), action, change, before[id_], now[id_], shaped[id_], thin))
            elif action == "create" and not thin:
                gone.append((model, id_))
            if action == "create":
                rows.extend(_step_rows(watch, records.browse(id_), change, before[id_], now[id_], thin))


def _needs_orm(watch, records, changed, now):
    """Whether more has to be read than is known, and something may go wrong."""
    return (
        not watch.columns_only
        or any(name in watch.relations or values.dependent(records._fields[name]) for name in changed)
        or not all(row["company_id"] and row[document.PLACES] is not None for row in now.values()))


def _shape(watch, action, records, now, thin, changes):
    if thin:
        return payload.all_thin(watch, action, records.ids)
    return payload.shape(watch, action, records, now if watch.document else None, changes)


def _rows(record, action, change, old, now, shaped, thin):
    model, id_ = record._name, record.id
    if action == "create":
        yield _row(model, id_, "created", action, change, shaped, thin)
        return
    record = payload.in_lang(record, shaped.asked.lang)
    special = named.of(record) if shaped.asked.named else None
    extra = {}
    if not thin:
        # Columns may differ where values do not: rounding, other languages.
        places = now.get(document.PLACES)
        elsewhere = {n for n in old if values.dependent(record._fields[n])}
        if elsewhere:
            record = record.with_company(shaped.company or change.company() or None)
        was = {n: values.from_column(record, n, v, places) for n, v in old.items()}
        was = {n: v for n, v in was.items() if v != values.from_column(record, n, now[n], places)}
        # What changed for another company than the event's has no value to be told, but is a change.
        changed = sorted(was.keys() | change.touched | elsewhere)
        if not changed:
            return
        if special and special.before and "old_values" in shaped.data:
            shaped.data["old_values"] = {n: was[n] for n in special.before if n in was}
        extra = {
            "old_values": was if shaped.asked.old else None,
            "changed_fields": changed if shaped.asked.changed else None,
        }
    yield _row(model, id_, "updated", action, change, shaped, thin, **extra)
    for step in special.happened(record, old, now, False) if special else ():
        yield _row(model, id_, step, "action", change, shaped, thin, **extra)


def _step_rows(watch, record, change, old, now, thin):
    """A record that is new may have gone through its first steps already."""
    special = named.of(record)
    if not special or not special.steps or not any(r.named for r in watch.rules_on("write")):
        return
    steps = special.happened(record, old, now, True)
    if not steps:
        return
    shaped = _shape(watch, "write", record, {record.id: now}, thin, {record.id: change}).get(record.id)
    if shaped and shaped.asked.named:
        for step in steps:
            yield _row(record._name, record.id, step, "action", change, shaped, thin)


def _row(model, id_, what, action, change, shaped, thin, old_values=None, changed_fields=None):
    data = {"id": id_} if thin else shaped.data
    return Row(
        str(uuid.uuid4()), "%s.%s" % (model, what), action, model, id_,
        shaped.company or change.company() or None, change.env.uid, json.dumps(data),
        None if old_values is None else json.dumps(old_values),
        None if changed_fields is None else json.dumps(changed_fields),
        thin or shaped.thin, shaped.document, shaped.document and shaped.asked.lang,
    )


# ---- to the table ---------------------------------------------------------------------------------

def store(env, rows, gone=(), point=None, merge=True):
    """Write rows; first take back what this transaction told of deleted records.

    With ``point``, a travelling savepoint, it ends with the last statement.
    """
    cr = env.cr
    memory = _memory(cr)
    if memory.wrote:
        for model in {model for model, _id in gone}:
            cr.execute(
                "DELETE FROM towpath_outbox WHERE tx = " + _TRANSACTION
                + " AND state = 'pending' AND model = %s AND res_id IN %s",
                [model, tuple(id_ for of, id_ in gone if of == model)])
    if not rows:
        return
    # Nothing to merge with, mostly; and planning it takes longer than the rest.
    query = _INSERT + _MERGE if memory.wrote else _INSERT
    if not memory.wrote:
        memory.wrote = True
        _afterwards(env)
    for start in range(0, len(rows), 500):
        # psycopg2's own, since it is the same in all versions of Odoo.
        part = rows[start:start + 500]
        execute = point.last if point and start + 500 >= len(rows) else cr.execute
        execute(
            query % ", ".join([
                _values(row.event, row.action, row.model, row.thin, row.document, row.lang, merge) for row in part]),
            [value for row in part for value in (
                row.event_id, row.res_id, row.company_id, row.user_id, row.data, row.old_values, row.changed_fields,
                *((row.res_id,) if row.document else ()))],
        )


class _Memory:
    """What was told in the transaction."""

    __slots__ = ("created", "wrote", "told")

    def __init__(self):
        self.created = set()  # (model, id)
        self.wrote = False
        self.told = []  # functions to tell again what a savepoint may take along


def _memory(cr):
    # From 17 on Odoo empties cr.cache when it rolls back to a savepoint, and what was told before it stays.
    here = vars(cr)
    if capture.KEY not in here:
        here[capture.KEY] = _Memory()

        def forget():
            here.pop(capture.KEY, None)

        cr.postrollback.add(forget)
        cr.postcommit.add(forget)
    return here[capture.KEY]


def _afterwards(env):
    """Once per transaction: ring at Towpath's door."""
    targets, cr = env["towpath.connection"]._targets(), env.cr
    if targets:
        cr.postcommit.add(lambda: nudge.ring(targets))
