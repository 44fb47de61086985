"""Decimal places of currencies, which towpath.rule keeps: see its _places."""
from odoo import api, models

from .. import compat


class Currency(models.Model):
    _inherit = "res.currency"

    @api.model_create_multi
    def create(self, vals_list):
        currencies = super().create(vals_list)
        self._towpath_forget_places()
        return currencies

    def write(self, vals):
        done = super().write(vals)
        if "rounding" in vals:
            self._towpath_forget_places()
        return done

    def _towpath_forget_places(self):
        # Once more at the end: until then another thread reads, and keeps, what was.
        env = self.env
        compat.clear_rule_cache(env)
        for ending in (env.cr.postcommit, env.cr.postrollback):
            ending.add(lambda: compat.clear_rule_cache(env))
