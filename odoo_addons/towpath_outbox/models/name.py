"""Former names; see names.py."""
from odoo import fields, models


class Name(models.Model):
    """A name that a record had until a transaction changed it. Written by SQL only."""

    _name = "towpath.name"
    _description = "Towpath Former Name"
    _log_access = False

    model = fields.Char(required=True, readonly=True)
    res_id = fields.Many2oneReference("Record ID", model_field="model", readonly=True)
    name = fields.Json(readonly=True)
    changed_at = fields.Datetime(readonly=True)

    def init(self):
        # Larger than what an Odoo field can hold.
        self.env.cr.execute("ALTER TABLE towpath_name ADD COLUMN IF NOT EXISTS tx bigint NOT NULL")
        self.env.cr.execute("CREATE INDEX IF NOT EXISTS towpath_name_res_id_idx ON towpath_name (res_id)")

    def _remove_old(self):
        """Those that no event needs any more; transactions that last longer than a day are not expected."""
        self.env.cr.execute("""
            DELETE FROM towpath_name n
            WHERE changed_at < now() AT TIME ZONE 'UTC' - interval '1 day'
              AND NOT EXISTS (
                SELECT FROM towpath_outbox o
                WHERE o.state <> 'done' AND o.snapshot IS NOT NULL AND o.occurred_at < n.changed_at)
        """)
