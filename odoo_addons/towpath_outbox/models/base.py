"""The places where every model's changes pass.

Nothing here may fail or alter the operation that it watches: old values are
those that the ORM has read already, or read by SQL and not through the ORM, which
might compute or flush something at a moment when nobody expects it. See capture.py.
"""
from odoo import api, models

from .. import capture

# Odoo 18 and later write many records with different values at once.
_MULTI = hasattr(models.BaseModel, "_write_multi")


class Base(models.AbstractModel):
    _inherit = "base"

    @api.model
    def _create(self, data_list):
        records = super()._create(data_list)
        watch = capture.watch_of(self)
        if watch:
            capture.after_create(watch, records)
        return records

    def write(self, vals):
        # Columns are caught when they are flushed; many2many fields are not columns.
        watch = capture.watch_of(self)
        if watch:
            if not watch.relations.isdisjoint(vals):
                capture.before_relations(watch, self, watch.relations.intersection(vals))
            if not watch.columns.isdisjoint(vals):
                capture.before_write(watch, self, vals)
        return super().write(vals)

    def _compute_field_value(self, field):
        if field.store:
            watch = capture.watch_of(self)
            if watch and field.name in watch.plain:
                capture.before_change(watch, self, [f.name for f in self.pool.field_computed[field]])
        return super()._compute_field_value(field)

    def unlink(self):
        watch = capture.watch_of(self)
        if watch and self:
            capture.before_unlink(watch, self)
        return super().unlink()

    # The low-level writes see every column that changes, given or recomputed.
    if _MULTI:

        def _write_multi(self, vals_list):
            watch = capture.watch_of(self)
            if watch and self:
                capture.before_update(watch, self, set().union(*vals_list))
            return super()._write_multi(vals_list)

    else:

        def _write(self, vals):
            watch = capture.watch_of(self)
            if watch and self:
                capture.before_update(watch, self, set(vals))
            return super()._write(vals)
