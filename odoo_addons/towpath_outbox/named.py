"""The fifteen named events: their payloads and what makes them happen."""
from collections import namedtuple

from . import compat, values

# A rule as the hooks need it, without the ORM.
Rule = namedtuple("Rule", "id model create write unlink domain fields full changed old named lang")

# model: its name; payload(record) -> dict, the full one; minimal: fields of the
# small one; steps: columns whose change may be an event of its own;
# happened(record, before, created) -> names of those events, where before holds
# the old values of the steps that changed; lines: {one2many: columns} that show
# in the payload; before: old values that the payload itself carries; reads: what to
# read at once for all of it.
Named = namedtuple("Named", "model payload reads minimal steps happened lines before")


def of(model):
    """What is special about a model, or None."""
    return _NAMED.get(model._name)


def _partner(record):
    partner = compat.fetch(record.partner_id, "name")
    return {"partner_id": partner.id, "partner_name": partner.name or False}


def _fields(record, *names):
    return {name: values.read(record, name) for name in names if name in record._fields}


def _lines(lines, quantity, kinds):
    compat.fetch(lines, "display_type", "product_id", quantity, "price_unit", "price_subtotal", "currency_id")
    lines = lines.filtered(lambda line: line.display_type in kinds)
    # A product's name is its template's.
    compat.fetch(compat.fetch(lines.product_id, "product_tmpl_id").product_tmpl_id, "name")
    return [{
        "product_id": line.product_id.id,
        "product_name": line.product_id.product_tmpl_id.name or False,
        "quantity": values.read(line, quantity),
        **_fields(line, "price_unit", "price_subtotal"),
    } for line in lines]


# ---- sale.order: created, updated, state.changed, deleted -----------------------------------------

def _sale_order(order):
    return {
        **_fields(order, "id", "name", "state"), **_partner(order),
        **_fields(order, "amount_total", "amount_untaxed", "amount_tax", "date_order", "user_id"),
        "old_values": {},
        "order_lines": _lines(order.order_line, "product_uom_qty", (False,)),
    }


def _sale_order_steps(order, before, created):
    return ["state.changed"] if before.get("state", order.state) != order.state else []


# ---- account.move: created, validated, updated, cancelled ----------------------------------------

def _account_move(move):
    return {
        **_fields(move, "id", "name", "move_type", "state"), **_partner(move),
        **_fields(move, "amount_total", "amount_untaxed", "amount_tax", "invoice_date", "invoice_date_due"),
        "invoice_line_ids": _lines(move.invoice_line_ids, "quantity", (False, "product")),
    }


def _account_move_steps(move, before, created):
    # A move can be made posted at once, by an import; then there is no state before.
    if before.get("state", False if created else move.state) == move.state:
        return []
    return {"posted": ["validated"], "cancel": ["cancelled"]}.get(move.state, [])


# ---- crm.lead: created, updated, converted, won ---------------------------------------------------

def _crm_lead(lead):
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


def _crm_lead_steps(lead, before, created):
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

def _res_partner(partner):
    return {
        **_fields(partner, "id", "name", "display_name", "is_company", "type", "parent_id", "ref", "vat", "email",
                  "phone", "mobile", "street", "street2", "zip", "city", "state_id"),
        "state_code": partner.state_id.code or False,
        **_fields(partner, "country_id"),
        "country_code": partner.country_id.code or False,
        **_fields(partner, "lang", "active", "company_id"),
    }


_NAMED = {named.model: named for named in (
    Named("sale.order", _sale_order,
          ("name", "state", "partner_id", "amount_total", "amount_untaxed", "amount_tax", "date_order", "user_id",
           "currency_id", "company_id"),
          ("id", "name", "state", "partner_id", "amount_total", "date_order"),
          ("state",), _sale_order_steps,
          {"order_line": ("product_id", "product_uom_qty", "price_unit", "price_subtotal")},
          ("state", "amount_total")),
    Named("account.move", _account_move,
          ("name", "move_type", "state", "partner_id", "amount_total", "amount_untaxed", "amount_tax",
           "invoice_date", "invoice_date_due", "currency_id", "company_id"),
          ("id", "name", "state", "partner_id", "amount_total", "invoice_date"),
          ("state",), _account_move_steps,
          {"invoice_line_ids": ("product_id", "quantity", "price_unit", "price_subtotal")}, ()),
    Named("res.partner", _res_partner, (), ("id", "name"), (), lambda *_: [], {}, ()),
    Named("crm.lead", _crm_lead, (), ("id", "name", "type", "partner_id", "stage_id"),
          ("type", "won_status", "stage_id"), _crm_lead_steps, {}, ()),
)}
