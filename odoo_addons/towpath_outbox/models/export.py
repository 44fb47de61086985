"""Export to Connectors: chosen records, a system, and a row in the outbox for Towpath."""
import json
import uuid
from collections import Counter

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, MissingError, ValidationError

from .. import compat, events

MODELS = (
    "product.product", "product.template", "sale.order", "res.partner", "stock.picking", "account.move",
)
BATCH = 50
MESSAGES = 10


class System(models.Model):
    """A system behind Towpath; the list is written by Towpath."""

    _name = "towpath.system"
    _description = "Towpath System"
    _order = "name, id"

    code = fields.Char(required=True, help="The connection's name in Towpath")
    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    models = fields.Char(help="Technical names of the models it takes, with commas; empty: all")
    last_export = fields.Datetime(readonly=True)
    last_result = fields.Char(readonly=True)

    def init(self):
        self.env.cr.execute(
            "CREATE UNIQUE INDEX IF NOT EXISTS towpath_system_code_key ON towpath_system (code)")

    def _takes(self, model):
        self.ensure_one()
        taken = [name.strip() for name in (self.models or "").split(",") if name.strip()]
        return model in MODELS and (not taken or model in taken)

    @api.model
    def set_systems(self, systems):
        """Make the list this one: [{code, name, models: [...]}]. Others are archived.

        For Towpath. Returns how many there are.
        """
        self.env["towpath.outbox"]._check_bot()
        known = {s.code: s for s in self.sudo().with_context(active_test=False).search([])}
        for wanted in systems:
            vals = {
                "code": wanted["code"], "name": wanted.get("name") or wanted["code"], "active": True,
                "models": ",".join(wanted.get("models") or ()),
            }
            if wanted["code"] in known:
                known[wanted["code"]].write(vals)
            else:
                self.sudo().create(vals)
        codes = {wanted["code"] for wanted in systems}
        self.sudo().concat(*(s for code, s in known.items() if code not in codes)).write({"active": False})
        self.env["towpath.export"]._offer()
        return len(codes)

    @api.model
    def report_exports(self, reports):
        """Tell people what became of the records that they chose.

        For Towpath, which may tell twice: [{code, model, user_id, exported, created, skipped, errors, cause}],
        cause "" unless a person must do something. Returns how many there are.
        """
        self.env["towpath.outbox"]._check_bot()
        for report in reports:
            system = self.sudo().with_context(active_test=False).search([("code", "=", report["code"])], limit=1)
            user = self.env["res.users"].sudo().browse(int(report.get("user_id") or 0)).exists()
            title, text = system.with_context(lang=user.lang or self.env.lang)._result(report)
            vals = {"last_result": text.replace("\n", " ")}
            if report["exported"]:
                vals["last_export"] = fields.Datetime.now()
            system.write(vals)
            compat.notify(user, "warning" if report["errors"] or report["cause"] else "success", title, text)
        return len(reports)

    def _result(self, report):
        """(title, text) of what became of an export, in the language of the context."""
        text = _("%(model)s to %(system)s: %(exported)s exported (%(created)s new), %(skipped)s skipped, "
                 "%(errors)s errors.",
                 model=self.env["ir.model"]._get(report["model"]).name or report["model"],
                 system=self.name or report["code"], exported=report["exported"], created=report["created"],
                 skipped=report["skipped"], errors=report["errors"])
        return _("Export to Connectors"), "\n".join(filter(None, [text, report["cause"]]))


class Exclusion(models.Model):
    """A record that is never exported: to one system, or to any."""

    _name = "towpath.exclusion"
    _description = "Towpath No Export"
    _order = "id desc"
    _rec_name = "model"

    model = fields.Char(required=True, index=True)
    res_id = fields.Many2oneReference("Record ID", model_field="model", required=True)
    system_id = fields.Many2one("towpath.system", "System", ondelete="cascade", help="Empty: any system")
    reason = fields.Char()


class Export(models.TransientModel):
    _name = "towpath.export"
    _description = "Export to Connectors"

    model = fields.Char(readonly=True)
    record_ids = fields.Char(readonly=True)
    record_count = fields.Integer("Records", readonly=True)
    offered_ids = fields.Many2many("towpath.system", compute="_compute_offered")
    system_id = fields.Many2one("towpath.system", "System", domain="[('id', 'in', offered_ids)]")

    @api.model
    def default_get(self, names):
        found = super().default_get(names)
        model = self.env.context.get("active_model")
        ids = self.env.context.get("active_ids") or []
        found.update(model=model, record_ids=json.dumps(ids), record_count=len(ids))
        systems = self._systems(model)
        if len(systems) == 1:
            found["system_id"] = systems.id
        return {name: value for name, value in found.items() if name in names}

    @api.model
    def _systems(self, model):
        return self.env["towpath.system"].search([]).filtered(lambda s: s._takes(model))

    @api.depends("model")
    def _compute_offered(self):
        for export in self:
            export.offered_ids = self._systems(export.model)

    # ---- the two buttons -----------------------------------------------------------------------------

    def action_export(self):
        """Queue the records that are ready, and say what became of all."""
        self.ensure_one()
        ids = json.loads(self.record_ids or "[]")
        if not ids or self.model not in self.env:
            return self._notify("warning", _("Choose records first: there is nothing to export."))
        if not self.system_id or not self.system_id._takes(self.model):
            raise ValidationError(_("Choose a system that takes these records."))
        ready, counts, messages = self._sort_out(ids)
        self._queue(ready)
        text = _("%(queued)s queued for %(system)s, %(excluded)s not to be exported, "
                 "%(unready)s not ready, %(errors)s errors.",
                 queued=len(ready), system=self.system_id.name, excluded=counts["excluded"],
                 unready=counts["unready"], errors=counts["errors"])
        if len(messages) > MESSAGES:
            messages[MESSAGES:] = [_("… and %s more", len(messages) - MESSAGES)]
        kind = "success" if ready and not (counts["unready"] or counts["errors"]) else "warning"
        return self._notify(kind, "\n".join([text, *messages]))

    def action_exclude(self):
        """Never export these records, to the chosen system or to any."""
        self.ensure_one()
        ids = json.loads(self.record_ids or "[]")
        if not ids or self.model not in self.env:
            return self._notify("warning", _("Choose records first."))
        known = set(self._excluded(ids))
        self.env["towpath.exclusion"].create([
            {"model": self.model, "res_id": id_, "system_id": self.system_id.id}
            for id_ in ids if id_ not in known
        ])
        return self._notify("success", _("%s records are not exported any more.", len(ids)))

    def _notify(self, kind, message):
        return {
            "type": "ir.actions.client", "tag": "display_notification",
            "params": {
                "type": kind, "title": _("Export to Connectors"), "message": message,
                "sticky": kind == "warning", "next": {"type": "ir.actions.act_window_close"},
            },
        }

    # ---- which records -------------------------------------------------------------------------------

    def _sort_out(self, ids):
        """(ids that are ready, Counter of the others, why not)."""
        counts, messages, ready = Counter(), [], []
        excluded = set(self._excluded(ids))
        records = self.env[self.model].browse([id_ for id_ in ids if id_ not in excluded])
        counts["excluded"] = len(ids) - len(records)
        # All at once: a thousand one by one take seconds, for which a person waits.
        found = set(records.exists().ids)
        try:
            compat.check_may_read(records.browse(found))
            readable = True
        except (AccessError, MissingError):
            readable = False
        for record in records:
            try:
                if record.id not in found:
                    raise MissingError("")
                if not readable:  # nor is what others would be read together with
                    record = records.browse(record.id)
                    compat.check_may_read(record)
                reason = self._not_ready(record)
                name = reason and record.display_name
            except (AccessError, MissingError):
                counts["errors"] += 1
                messages.append(_("Record %s: gone, or you may not read it", record.id))
                continue
            if reason:
                counts["unready"] += 1
                messages.append("%s: %s" % (name, reason))
            else:
                ready.append(record.id)
        return ready, counts, messages

    def _excluded(self, ids):
        return self.env["towpath.exclusion"].search([
            ("model", "=", self.model), ("res_id", "in", ids),
            "|", ("system_id", "=", False), ("system_id", "=", self.system_id.id),
        ]).mapped("res_id")

    def _queue(self, ids):
        data = [
            {"system": self.system_id.code, "model": self.model, "ids": ids[start:start + BATCH],
             "requested_by": self.env.uid}
            for start in range(0, len(ids), BATCH)
        ]
        events.store(self.env(su=True), [
            events.Row(
                event_id=str(uuid.uuid4()), event="export.requested", action="export", model=self.model, res_id=0,
                company_id=self.env.company.id, user_id=self.env.uid, data=json.dumps(part),
                old_values=None, changed_fields=None, thin=False)
            for part in data
        ], merge=False)

    # ---- the menu entry on lists and forms ------------------------------------------------------------

    @api.model
    def _offer(self):
        """Bind the action to the models that exist; called again when systems change."""
        base = self.env.ref("towpath_outbox.action_export").sudo()
        group = self.env.ref("towpath_outbox.group_user")
        bound = base.search([("res_model", "=", self._name), ("binding_model_id", "!=", False)])
        there = set(bound.mapped("binding_model_id.model"))
        for model in MODELS:
            if model in self.env and model not in there:
                made = base.copy({
                    "binding_model_id": self.env["ir.model"].sudo()._get(model).id,
                    "binding_view_types": "list,form",
                    compat.groups_of_action(base): [(6, 0, group.ids)],
                })
                # So that it goes when the module is uninstalled, and not when it is updated.
                self.env["ir.model.data"].sudo()._update_xmlids([{
                    "xml_id": "towpath_outbox.action_export_" + model.replace(".", "_"),
                    "record": made, "noupdate": True,
                }])
                bound |= made
        for code, _name in self.env["res.lang"].get_installed():
            name = base.with_context(lang=code).name
            for action in bound.with_context(lang=code):
                if action.name != name:
                    action.name = name
        return True

    # ---- what must be true of a record before it is exported ------------------------------------------

    def _not_ready(self, record):
        """Why the record is not to be exported yet, or None."""
        check = getattr(self, "_not_ready_" + record._name.replace(".", "_"), None)
        return check(record) if check else None

    def _not_ready_product_product(self, product):
        if not product.active:
            return _("archived")
        if "website_published" in product._fields and not product.website_published:
            return _("not published")
        return None

    _not_ready_product_template = _not_ready_product_product

    def _not_ready_sale_order(self, order):
        if order.state not in ("sale", "done"):
            return _("not confirmed")
        if not order.partner_id:
            return _("no customer")
        return None if order.order_line.filtered(lambda l: not l.display_type) else _("no lines")

    def _not_ready_res_partner(self, partner):
        return None if partner.active else _("archived")

    def _not_ready_stock_picking(self, picking):
        if picking.state in ("draft", "cancel"):
            return _("a draft, or cancelled")
        return None if picking.move_ids else _("no lines")

    def _not_ready_account_move(self, move):
        if move.state != "posted":
            return _("not posted")
        return None if move.is_invoice(include_receipts=True) else _("not an invoice")
