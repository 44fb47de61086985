"""Rules: which changes of which records become events."""
from odoo import _, api, fields, models, tools
from odoo.exceptions import AccessError, ValidationError

from .. import compat, payload, values, watch


class Rule(models.Model):
    _name = "towpath.rule"
    _description = "Towpath Rule"
    _order = "sequence, id"

    name = fields.Char(required=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    model_id = fields.Many2one(
        "ir.model", "Model", required=True, ondelete="cascade",
        domain=[("transient", "=", False), ("model", "not like", "towpath.%")])
    model = fields.Char("Model Name", related="model_id.model", store=True, readonly=True)
    on_create = fields.Boolean("When Created", default=True)
    on_write = fields.Boolean("When Updated", default=True)
    on_unlink = fields.Boolean("When Deleted", default=False)
    domain = fields.Char(default="[]", help="Only records that match after the change, or before their deletion")
    field_ids = fields.Many2many(
        "ir.model.fields", "towpath_rule_field_rel", "rule_id", "field_id", "Fields to Send",
        domain="[('model_id', '=', model_id)]", help="Nothing but these; empty: see Full Record")
    full_record = fields.Boolean(
        default=True, help="Without it and without chosen fields an event says little more than which record")
    send_changed_fields = fields.Boolean(default=True)
    send_old_values = fields.Boolean(default=True)
    named_events = fields.Boolean(
        default=True, help="Orders, invoices, contacts and leads: their own content and business steps,"
        " such as sale.order.state.changed or account.move.validated")
    lang = fields.Selection(lambda self: self.env["res.lang"].get_installed(), "Language",
                            help="Of translated texts in the content; empty: English")

    # ---- what may be told ----------------------------------------------------------------------------

    @api.constrains("model_id", "domain")
    def _check_rule(self):
        for rule in self:
            model = rule.model_id.model
            if model not in self.env or model.startswith("towpath.") or not self.env[model]._auto:
                raise ValidationError(_("Changes of %s cannot be told.", model))
            if self.env[model]._transient or self.env[model]._abstract:
                raise ValidationError(_("Changes of %s cannot be told.", model))
            try:
                self.env[model].sudo().search(payload.domain(rule.domain or "[]", self.env), limit=1)
            except Exception as error:
                raise ValidationError(_("The domain does not work: %s", error)) from error

    @api.constrains("model_id", "field_ids")
    def _check_fields(self):
        for rule in self:
            for field in rule.field_ids:
                found = self.env[rule.model_id.model]._fields.get(field.name)
                if field.model_id != rule.model_id or found is None:
                    raise ValidationError(_("The field %s belongs to another model.", field.name))
                if not values.sendable(found):
                    raise ValidationError(_("The field %s is secret or a file, and is never sent.", field.name))

    def _check_own_rights(self):
        """Events are read with all rights; nobody gets by a rule what he may not read himself."""
        if self.env.su:
            return
        for rule in self:
            model = self.env[rule.model_id.model]
            compat.check_readable(model)
            for field in rule.field_ids:
                groups = model._fields[field.name].groups
                if groups and not compat.in_groups(self.env.user, groups):
                    raise AccessError(_("You may not read the field %s yourself.", field.name))

    # ---- the cache -----------------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        rules = super().create(vals_list)
        rules._check_own_rights()
        compat.clear_rule_cache(self.env)
        return rules

    def write(self, vals):
        done = super().write(vals)
        self._check_own_rights()
        compat.clear_rule_cache(self.env)
        return done

    def unlink(self):
        done = super().unlink()
        compat.clear_rule_cache(self.env)
        return done

    @api.model
    @tools.ormcache()
    def _watches(self):
        """{model: watch.Watch} of the active rules."""
        rules = self.sudo().with_context(active_test=True, lang=None).search([])
        return watch.build(self.env(su=True), [watch.Rule(
            id=rule.id, model=rule.model, create=rule.on_create, write=rule.on_write, unlink=rule.on_unlink,
            domain=(rule.domain or "").strip(),
            fields=self._known(rule.model, rule.field_ids.mapped("name")),
            full=rule.full_record, changed=rule.send_changed_fields, old=rule.send_old_values,
            named=rule.named_events, lang=rule.lang or "",
        ) for rule in rules])

    @api.model
    @tools.ormcache()
    def _places(self):
        """{id: decimal places} of the currencies."""
        self.env.cr.execute("SELECT id, decimal_places FROM res_currency")
        return dict(self.env.cr.fetchall())

    def _known(self, model, names):
        """The chosen fields that still exist."""
        return tuple(sorted(n for n in names if model in self.env and n in self.env[model]._fields))
