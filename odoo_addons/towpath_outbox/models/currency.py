"""Decimal places of currencies, which towpath.rule keeps: see its _places."""
from odoo import api, models

from .. import compat


class Currency(models.Model):
    _inherit = "res.currency"

    @api.model_create_multi
    def create(self, vals_list):
        currencies = super().create(vals_list)
        compat.clear_rule_cache(self.env)
        return currencies

    def write(self, vals):
        done = super().write(vals)
        if "rounding" in vals:
            compat.clear_rule_cache(self.env)
        return done
