"""What an event carries: the records that rules match, shaped as they ask."""
import ast
import functools
import logging
from collections import defaultdict, namedtuple

import psycopg2

from . import compat, document, named, values

_logger = logging.getLogger(__name__)

# data of one record; thin: it is not all of it, so read the record; company: its id or False;
# document: a document.Document whose lines and names are still to come.
Shaped = namedtuple("Shaped", "data thin asked company document", defaults=(None,))
# What the matching rules ask for together.
Asked = namedtuple("Asked", "fields full changed old named lang")
LANG = "en_US"  # unless a rule says otherwise


@functools.lru_cache(maxsize=256)
def ask(rules):
    """For a tuple of rules."""
    return Asked(
        fields=tuple(sorted({name for rule in rules for name in rule.fields})),
        full=any(rule.full and not rule.fields for rule in rules),
        changed=any(rule.changed for rule in rules),
        old=any(rule.old for rule in rules),
        named=any(rule.named for rule in rules),
        lang=next((rule.lang for rule in rules if rule.lang), LANG),
    )


def shape(watch, action, records, rows=None, changes=None):
    """{id: Shaped} of the records that rules for the action match.

    ``rows`` are those of document.read, when the watch has a document. ``changes``,
    {id: capture.Change}, say in which company a record was changed that has none.
    Whatever goes wrong with a rule or a record costs its details: the record
    is then told by its id. Errors of PostgreSQL go on.
    """
    matching = defaultdict(list)
    unsure = set()
    for rule in watch.rules_on(action):
        try:
            found = _matching(rule, records)
        except psycopg2.Error:
            raise
        except Exception:
            _logger.exception("towpath: rule %s fails, its events are told without content", rule.id)
            found = records
            unsure.update(records.ids)
        for id_ in found.ids:
            matching[id_].append(rule)
    groups = defaultdict(list)
    for id_, rules in matching.items():
        groups[tuple(rules)].append(id_)
    shaped = {}
    for rules, ids in groups.items():
        asked = ask(rules)
        here = in_lang(records.browse(ids), asked.lang)
        special = named.of(records)
        if asked.named and special and special.document and not asked.full and not asked.fields:
            compat.fetch(here, "company_id", "currency_id", *special.minimal)
        for record in here:
            row = rows.get(record.id) if rows else None
            change = changes[record.id] if changes and watch.dependent else None
            shaped[record.id] = _careful(record, asked, row, record.id in unsure, change)
    return shaped


def in_lang(records, lang):
    """Mostly it is the language already, and another environment is not free."""
    return records if records.env.context.get("lang") == lang else records.with_context(lang=lang)


def all_thin(watch, action, ids):
    """The same when even the rules cannot be asked."""
    asked = ask(tuple(watch.rules_on(action)))
    return {id_: Shaped({"id": id_}, True, asked, False) for id_ in ids}


def _matching(rule, records):
    if not rule.domain or rule.domain == "[]":
        return records
    return records.filtered_domain(domain(rule.domain, records.env))


def domain(text, env):
    """A rule's domain; it may use time, datetime and uid."""
    try:
        return ast.literal_eval(text)
    except ValueError:
        from odoo.tools.safe_eval import datetime as safe_datetime, safe_eval, time as safe_time

        return safe_eval(text, {"datetime": safe_datetime, "time": safe_time, "uid": env.uid})


def _careful(record, asked, row, unsure, change):
    if unsure:
        return Shaped({"id": record.id}, True, asked, False)
    try:
        if row and document.PLACES in row and asked.named and asked.full and not asked.fields:
            # Nothing of it depends on the company.
            special = named.of(record)
            return Shaped(special.payload(record, row), False, asked, row["company_id"], special.document)
        company = _company(record)
        where = company.id or change and change.company()
        if where:
            record = record.with_company(where)
        data, thin = _data(record, asked, row)
        special = asked.named and asked.full and named.of(record)
        return Shaped(data, thin, asked, company.id, special and special.document or None)
    except psycopg2.Error:
        raise
    except Exception:
        _logger.exception("towpath: %s %s is told without content", record._name, record.id)
        return Shaped({"id": record.id}, True, asked, False)


def _company(record):
    field = record._fields.get("company_id")
    if field is not None and field.type == "many2one" and field.comodel_name == "res.company":
        return record.company_id
    return record.env["res.company"]


def _data(record, asked, row):
    special = named.of(record) if asked.named else None
    data = {"id": record.id}
    thin = False
    if asked.full and special:
        data = special.payload(record, row)
    elif asked.full:
        for name in values.full_names(record):
            data[name] = values.read(record, name)
    elif not asked.fields:
        thin = True
        for name in special.minimal if special else (record._rec_name,):
            if name and name in record._fields:
                data[name] = values.read(record, name)
    for name in asked.fields:
        if name not in data:
            data[name] = values.read(record, name)
    return data, thin
