"""The fifteen named events: their payloads and what makes them happen."""
from collections import namedtuple

from . import document, values

# A rule as the hooks need it, without the ORM.
Rule = namedtuple("Rule", "id model create write unlink domain fields full changed old named lang")

# model: its name; payload(record, row) -> dict, the full one; document: how to read the
# row at once, for orders and invoices, else None and so is the row; minimal: fields of
# the small one; steps: columns whose change may be an event of its own;
# happened(record, before, now, created) -> names of those events, where before holds
# the old values of the steps that changed, now all columns of the steps; lines:
# {one2many: columns} that show in the payload; before: old values that the payload
# itself carries.
Named = namedtuple("Named", "model payload document minimal steps happened lines before")


def of(model):
    """What is special about a model, or None."""
    return _NAMED.get(model._name)


def _fields(record, *names):
    return {name: values.read(record, name) for name in names if name in record._fields}


# ---- sale.order: created, updated, state.changed, deleted -----------------------------------------

_ORDER = document.Document(
    ("name", "state", "partner_id", "amount_total", "amount_untaxed", "amount_tax", "date_order", "user_id",
     "company_id"),
    "sale.order.line", "order_id", "product_uom_qty", "l.sequence, l.id", "order_lines")


def _sale_order(order, row):
    return {
        **document.head(order, row, "id", "name", "state", "partner_id"),
        "partner_name": False,  # with lines and names later: completion.py
        **document.head(order, row, "amount_total", "amount_untaxed", "amount_tax", "date_order", "user_id"),
        "old_values": {},
        "order_lines": [],
    }


def _sale_order_steps(order, before, now, created):
    return ["state.changed"] if before.get("state", now["state"]) != now["state"] else []


# ---- account.move: created, validated, updated, cancelled ----------------------------------------

_MOVE = document.Document(
    ("name", "move_type", "state", "partner_id", "amount_total", "amount_untaxed", "amount_tax", "invoice_date",
     "invoice_date_due", "company_id"),
    "account.move.line", "move_id", "quantity", "l.id", "invoice_line_ids")


def _account_move(move, row):
    return {
        **document.head(move, row, "id", "name", "move_type", "state", "partner_id"),
        "partner_name": False,
        **document.head(move, row, "amount_total", "amount_untaxed", "amount_tax", "invoice_date", "invoice_date_due"),
        "invoice_line_ids": [],
    }


def _account_move_steps(move, before, now, created):
    # A move can be made posted at once, by an import; then there is no state before.
    if before.get("state", False if created else now["state"]) == now["state"]:
        return []
    return {"posted": ["validated"], "cancel": ["cancelled"]}.get(now["state"], [])


# ---- crm.lead: created, updated, converted, won ---------------------------------------------------

def _crm_lead(lead, _row):
    return {
        **_fields(lead, "id", "name", "type"),
        "partner_id": lead.partner_id.id,
        "partner_name": lead.partner_id.name or lead.partner_name or False,
        **_fields(lead, "contact_name", "email_from", "phone", "expected_revenue", "probability", "stage_id"),
        "stage_name": lead.stage_id.name or False,
        **_fields(lead, "user_id", "team_id", "active"),
        "won": _won(lead),
    }


def _won(lead, stage=None):
    if stage is None and "won_status" in lead._fields:
        return lead.won_status == "won"
    stage = lead.stage_id if stage is None else lead.stage_id.browse(stage or [])
    return bool(stage.is_won)


def _crm_lead_steps(lead, before, now, created):
    steps = []
    if before.get("type") == "lead" and lead.type == "opportunity":
        steps.append("converted")
    if "won_status" in before:
        was = before["won_status"] == "won"
    elif "won_status" not in lead._fields and "stage_id" in before:
        was = _won(lead, before["stage_id"])
    else:
        was = not created and _won(lead)
    if _won(lead) and not was:
        steps.append("won")
    return steps


# ---- res.partner: created, updated, deleted -------------------------------------------------------

def _res_partner(partner, _row):
    return {
        **_fields(partner, "id", "name", "display_name", "is_company", "type", "parent_id", "ref", "vat", "email",
                  "phone", "mobile", "street", "street2", "zip", "city", "state_id"),
        "state_code": partner.state_id.code or False,
        **_fields(partner, "country_id"),
        "country_code": partner.country_id.code or False,
        **_fields(partner, "lang", "active", "company_id"),
    }


_NAMED = {named.model: named for named in (
    Named("sale.order", _sale_order, _ORDER,
          ("id", "name", "state", "partner_id", "amount_total", "date_order"),
          ("state",), _sale_order_steps,
          {"order_line": ("product_id", "product_uom_qty", "price_unit", "price_subtotal")},
          ("state", "amount_total")),
    Named("account.move", _account_move, _MOVE,
          ("id", "name", "state", "partner_id", "amount_total", "invoice_date"),
          ("state",), _account_move_steps,
          {"invoice_line_ids": ("product_id", "quantity", "price_unit", "price_subtotal")}, ()),
    Named("res.partner", _res_partner, None, ("id", "name"), (), lambda *_: [], {}, ()),
    Named("crm.lead", _crm_lead, None, ("id", "name", "type", "partner_id", "stage_id"),
          ("type", "won_status", "stage_id"), _crm_lead_steps, {}, ()),
)}
