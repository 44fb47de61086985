"""Values of Odoo as JSON: exact, in UTC, never a secret, never None.

Empty is ``False`` throughout, as in everything that Odoo's own RPC answers:
XML-RPC knows no null.
"""
import datetime
import math
import re

# Columns that change with everything else and tell nothing.
_NOISE = re.compile(r"^(write_date|write_uid|__last_update|parent_path|message_.*|activity_.*)$")
# What opens a door is told to nobody, also when a rule asks for it.
_SECRET = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|totp|api_?key|private_key|access_key|signature_key)(_|$)"
    r"|(^|_)(pin|cvv|otp)$", re.IGNORECASE)
_SKIPPED = ("binary", "image", "properties_definition")
# What the ORM's cache holds just as the column does.
_PLAIN = frozenset((
    "boolean", "char", "date", "datetime", "float", "integer", "many2one", "monetary", "selection", "text"))


def secret(field):
    return bool(_SECRET.search(field.name))


def tracked(field):
    """Whether a change of the column is a change of the record."""
    return field.name != "id" and not _NOISE.match(field.name) and not secret(field) and field.type not in _SKIPPED


def plain(field):
    """Whether a value of the column may be taken from the ORM's cache."""
    return field.type in _PLAIN and not getattr(field, "translate", False) and not dependent(field)


def dependent(field):
    """Whether each company has a value of its own; a column only in Odoo 18 and later."""
    return bool(getattr(field, "company_dependent", False))


def sendable(field):
    """Whether a rule may choose the field."""
    return not secret(field) and field.type not in _SKIPPED


def full_names(model):
    """The fields of a full record: what is stored and everybody may read.

    Lists of records that point here can be endless; a rule can choose them.
    """
    return [
        name for name, f in sorted(model._fields.items())
        if f.store and tracked(f) and not f.groups and f.type != "one2many"
        and (f.column_type or f.type == "many2many")
    ] + ["write_date"] * ("write_date" in model._fields)


def read(record, name):
    """The field's value as JSON."""
    field = record._fields[name]
    value = record[name]
    if field.type in ("one2many", "many2many"):
        return sorted(value.ids)
    if field.type in ("many2one", "reference"):
        if not value:
            return False
        return value.id if field.type == "many2one" else "%s,%s" % (value._name, value.id)
    if field.type == "properties":
        return clean(field.convert_to_cache(value, record))  # {name: value}, as in the column
    return _scalar(record, field, value)


def from_column(record, name, value, places=None):
    """The same for a value as it stands, or stood, in the column.

    ``places`` are the decimal places of its currency, where the caller knows them.
    """
    field = record._fields[name]
    if field.type == "many2many":
        return value
    if dependent(field):
        company = str(record.env.company.id)
        if not value or company not in value:
            return _of_every_company(record, field)
        value = value[company]
    elif isinstance(value, dict):
        if getattr(field, "translate", False):
            value = value.get(record.env.lang or "en_US") or value.get("en_US")
    if field.type in ("many2one", "reference"):
        return value or False
    if places is not None and field.type == "monetary":
        return _number(value or 0.0, places)
    return _scalar(record, field, value)


def _of_every_company(record, field):
    """What a company has that has no value of its own."""
    value = field.get_company_dependent_fallback(record)
    return value.id if field.type == "many2one" else _scalar(record, field, value)


def numbers(model, name):
    """A function of a column's value and of its currency's places: the number as :func:`from_column` has it."""
    field = model._fields[name]
    if field.type == "monetary":
        return lambda value, places: _number(value or 0.0, places)
    places = _places(model, field)
    return lambda value, _places_of_currency: _number(value or 0.0, places)


def _scalar(record, field, value):
    if field.type == "boolean":
        return bool(value)
    if field.type in ("integer", "many2one_reference"):
        return value or 0
    if field.type in ("float", "monetary"):
        return _number(value or 0.0, _places(record, field))
    return clean(value)


def _places(record, field):
    if field.type == "monetary":
        name = field.get_currency_field(record)
        currency = name and record[name]
        return currency.decimal_places if currency else None
    digits = field.get_digits(record.env)
    return digits[1] if digits else None


def _number(value, places):
    """The shortest number: 0.3 and never 0.30000000000000004, nor -0.0. JSON knows no infinity, nor NaN."""
    if not math.isfinite(value):
        return False
    text = "%.15g" % value if places is None else "%.*f" % (places, value)
    return float(text) or 0.0


def clean(value):
    """Any other value, down to the last member."""
    if value is None:
        return False
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds" if value.microsecond else "seconds") + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return _number(value, None)
    if isinstance(value, dict):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [clean(v) for v in value]
    if hasattr(value, "ids"):
        return value.ids
    return str(value)
