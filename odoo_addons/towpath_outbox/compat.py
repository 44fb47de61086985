"""What differs between Odoo 16, 17, 18 and 19 at run time, in one place.

What differs in data files (``list`` or ``tree``, privileges of groups) is done
by ``odoo_addons/build.py``.
"""
from odoo import models

# Key of what is collected in cr.precommit.data, and of what was told in vars(cr).
KEY = "towpath_outbox"
# Keys of cr.cache.
WATCHES = "towpath_outbox.watches"
UNDONE = "towpath_outbox.undone"
# Key of cr.precommit.data.
SEEN = "towpath_outbox.seen"

# What the models that hide values from some users override; the ORM's cache holds what those may see.
_FETCHING = ("_fetch_query", "_fetch_field", "_read")


def remember(cr, key, value):
    """Keep it in cr.cache for this transaction, at whose end Odoo 16 keeps the cache."""
    if key not in cr.cache:
        for ending in (cr.postcommit, cr.postrollback):
            ending.add(lambda: cr.cache.pop(key, None))
    cr.cache[key] = value
    return value


def masks(model):
    """Whether the ORM's cache may hold other values than the database has, for the user who read them."""
    return any(getattr(type(model), name, None) is not getattr(models.BaseModel, name, None) for name in _FETCHING)


def clear_rule_cache(env):
    """Forget the cached rules, here and in every other worker.

    Once more at the end: until then another thread reads, and keeps, what was;
    and what is rolled back was never true.
    """
    _forget_rules(env)
    for ending in (env.cr.postcommit, env.cr.postrollback):
        ending.add(lambda: _forget_rules(env))


def _forget_rules(env):
    env.cr.cache.pop(WATCHES, None)
    if hasattr(env.registry, "clear_cache"):
        env.registry.clear_cache()  # 17 and later
    else:
        env["towpath.rule"].clear_caches()


def check_readable(model):
    """Raise AccessError when the user may not read the model at all."""
    if hasattr(model, "check_access"):
        model.browse().check_access("read")  # 18 and later
    else:
        model.check_access_rights("read")


def in_group(user, xmlid):
    """Whether the user, and not only the current one, is in the group."""
    return user.sudo().has_group(xmlid)


def in_groups(user, groups):
    """The same for a field's list of groups, some of them with a ! before."""
    if hasattr(user, "has_groups"):
        return user.has_groups(groups)  # 18 and later
    return user.user_has_groups(groups)


def check_may_read(records):
    """Raise AccessError or MissingError when the user may not read the records."""
    if hasattr(records, "check_access"):
        records.check_access("read")  # 18 and later
    else:
        records.check_access_rights("read")
        records.check_access_rule("read")
    records.read(["id"])


def groups_of_action(action):
    """The field that holds an action's groups."""
    return "group_ids" if "group_ids" in action._fields else "groups_id"


def cached(env, field):
    """{id: value} of what the ORM knows of a field that depends on no context; to look at only."""
    if hasattr(env.transaction, "field_data"):
        return field._get_cache(env)  # 19
    return env.cache._get_field_cache(env[field.model_name], field)


def unwritten(env, field):
    """The ids whose value the ORM knows and the database does not, yet."""
    if hasattr(env.transaction, "field_dirty"):
        return env.transaction.field_dirty.get(field, ())  # 19
    return env.cache._dirty.get(field, ())


def uninstalling(env):
    return bool(env.context.get("_force_unlink"))


def to_compute(records):
    """[(field, those of the records)] of stored fields that are not computed yet."""
    found = []
    for field in list(records.env.fields_to_compute()):
        if field.model_name == records._name:
            some = records & records.env.records_to_compute(field)
            if some:
                found.append((field, some))
    return found


def fetch(records, *names):
    """Read just these fields into the cache: some models have a hundred."""
    if records and hasattr(records, "fetch"):  # 17 and later
        records.fetch([name for name in names if name in records._fields])
    return records


def notify(user, kind, title, message):
    """Show a message to a user who is in Odoo now. Without the module bus nobody is told."""
    if user and "bus.bus" in user.env:
        user.env["bus.bus"]._sendone(user.partner_id, "simple_notification", {
            "type": kind, "title": title, "message": message, "sticky": kind == "warning",
        })
