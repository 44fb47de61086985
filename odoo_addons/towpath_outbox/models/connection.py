"""Towpath installations to nudge, and the systems behind them to export to."""
import base64
import secrets

from odoo import _, api, fields, models, tools
from odoo.exceptions import ValidationError

from .. import compat, nudge


class Connection(models.Model):
    _name = "towpath.connection"
    _description = "Towpath Connection"
    _order = "name, id"

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    url = fields.Char("URL", required=True, help="Towpath's https://…/webhooks/odoo/CONNECTION")
    secret = fields.Char(
        groups="towpath_outbox.group_manager", copy=False,
        default=lambda self: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        help="whsec_… of Standard Webhooks, the same in Towpath")

    @api.constrains("url", "secret")
    def _check_url_and_secret(self):
        for connection in self.sudo():
            if not (connection.url or "").startswith(("https://", "http://")):
                raise ValidationError(_("The URL must begin with https:// or http://."))
            try:
                long_enough = len(nudge.key_of(connection.secret or "")) >= 24
            except ValueError:
                long_enough = False
            if not long_enough:
                raise ValidationError(_("The secret must be whsec_ and at least 24 bytes in base64."))

    @api.model_create_multi
    def create(self, vals_list):
        made = super().create(vals_list)
        compat.clear_rule_cache(self.env)
        return made

    def write(self, vals):
        done = super().write(vals)
        compat.clear_rule_cache(self.env)
        return done

    def unlink(self):
        done = super().unlink()
        compat.clear_rule_cache(self.env)
        return done

    @api.model
    @tools.ormcache()
    def _targets(self):
        """The nudge.Targets of the active connections."""
        uuid = self.env["ir.config_parameter"].sudo().get_param("database.uuid") or ""
        active = self.sudo().with_context(active_test=True).search([])
        return tuple(nudge.Target(c.url, c.secret, uuid) for c in active if c.secret)

    def action_test(self):
        """Send a nudge now."""
        self.ensure_one()
        nudge.ring([t for t in self._targets() if t.url == self.url])
        return {
            "type": "ir.actions.client", "tag": "display_notification",
            "params": {"type": "info", "message": _("A nudge is on its way; Towpath's log tells whether it arrived.")},
        }
