"""The outbox: rows that Towpath claims, commits on its side, and acknowledges."""
import contextlib
import json
from datetime import timedelta

from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from odoo import SUPERUSER_ID, _, api, fields, models
from odoo.exceptions import AccessError

from .. import compat, completion

PROTOCOL = 1
RETENTION_DAYS = 7


class Outbox(models.Model):
    """One event of one record. Written by SQL only; see events.py."""

    _name = "towpath.outbox"
    _description = "Towpath Outbox"
    _order = "id desc"
    _rec_name = "event"
    _log_access = False  # user_id and occurred_at are of the event, and never cost a foreign key

    event_id = fields.Char("Event ID", required=True, readonly=True, help="The same for ever, also when claimed again")
    event = fields.Char(required=True, readonly=True)
    action = fields.Selection([
        ("create", "Created"), ("write", "Updated"), ("unlink", "Deleted"), ("action", "Business step"),
        ("export", "Export"),
    ], required=True, readonly=True)
    model = fields.Char(required=True, readonly=True)
    res_id = fields.Many2oneReference("Record ID", model_field="model", readonly=True)
    company_id = fields.Integer("Company ID", readonly=True)
    user_id = fields.Integer("User ID", readonly=True)
    occurred_at = fields.Datetime(required=True, readonly=True)
    data = fields.Json(readonly=True, groups="towpath_outbox.group_manager")
    old_values = fields.Json(readonly=True, groups="towpath_outbox.group_manager")
    changed_fields = fields.Json(readonly=True)
    thin = fields.Boolean(readonly=True, help="The content is not complete; Towpath reads the record")
    state = fields.Selection([
        ("pending", "Pending"), ("claimed", "Claimed"), ("done", "Done"),
    ], required=True, readonly=True)
    attempts = fields.Integer("Times Claimed", readonly=True)
    claimed_by = fields.Char(readonly=True)
    lease_until = fields.Datetime(readonly=True)
    acked_at = fields.Datetime("Acknowledged At", readonly=True)
    tx = fields.Char("Transaction", readonly=True)
    # What completes the content when the row is claimed; empty afterwards. See completion.py.
    lines = fields.Json(readonly=True, groups="towpath_outbox.group_manager")
    lang = fields.Char("Language", readonly=True)
    snapshot = fields.Char(readonly=True)
    details = fields.Text(compute="_compute_details", groups="towpath_outbox.group_manager")

    def init(self):
        # The same statements on all versions. No more of them: each costs every event's transaction.
        for statement in (
            "CREATE INDEX IF NOT EXISTS towpath_outbox_open_idx ON towpath_outbox (id) WHERE state <> 'done'",
            "CREATE UNIQUE INDEX IF NOT EXISTS towpath_outbox_tx_key"
            " ON towpath_outbox (tx, model, res_id, event) WHERE state = 'pending'",
            "CREATE INDEX IF NOT EXISTS towpath_outbox_done_idx ON towpath_outbox (acked_at) WHERE state = 'done'",
        ):
            self.env.cr.execute(statement)

    @api.depends("data", "old_values", "changed_fields")
    def _compute_details(self):
        for row in self:
            whole = row.sudo().read(["model", "res_id", "data", "lines", "lang", "snapshot", "tx"], load="")[0]
            if whole["snapshot"]:
                completion.complete_rows(self.env(su=True), [whole])
            row.details = json.dumps(
                {"data": whole["data"], "old_values": row.old_values, "changed_fields": row.changed_fields},
                indent=2, sort_keys=True, ensure_ascii=False)

    # ---- what Towpath calls --------------------------------------------------------------------------

    @api.model
    def claim(self, limit=100, lease=60, worker=""):
        """Take the oldest open rows, for ``lease`` seconds.

        A row is open that is pending, or whose lease ran out, or that was claimed
        under the same name before: who comes after a worker that died gets its rows
        again, before newer ones of the same records. Never two workers of different
        names get the same row at once. Returns a list of dictionaries, oldest first.
        """
        self._check_bot()
        limit, lease = max(1, min(int(limit), 1000)), max(1, min(int(lease), 86400))
        worker = str(worker or "")[:100] or None
        with self._now() as cr:
            # A claim whose caller died may still be under way, and its rows would be skipped.
            if worker:
                cr.execute("SELECT pg_advisory_xact_lock(hashtext('towpath_outbox'), hashtext(%s))", [worker])
            cr.execute("""
                WITH open AS (
                    SELECT id FROM towpath_outbox
                    WHERE state <> 'done'
                      AND (state = 'pending' OR lease_until < clock_timestamp() AT TIME ZONE 'UTC' OR claimed_by = %s)
                    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
                ), taken AS (
                    UPDATE towpath_outbox o
                    SET state = 'claimed', attempts = o.attempts + 1, claimed_by = %s,
                        lease_until = clock_timestamp() AT TIME ZONE 'UTC' + %s
                    FROM open WHERE o.id = open.id
                    RETURNING o.*
                )
                SELECT id, event_id, event, action, model, res_id, company_id, user_id,
                       to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS occurred_at,
                       data, old_values, changed_fields, thin, lines, lang, snapshot, tx
                FROM taken ORDER BY id
            """, [worker, limit, worker, timedelta(seconds=lease)])
            rows = cr.dictfetchall()
            self._complete(cr, rows)
        # XML-RPC knows no null.
        return [{k: False if v is None else v for k, v in row.items()} for row in rows]

    @staticmethod
    def _complete(cr, rows):
        """Add what was left for later to the rows, once: it stays the same when they are claimed again."""
        todo = [row for row in rows if row["snapshot"]]
        if todo:
            completion.complete_rows(api.Environment(cr, SUPERUSER_ID, {}), todo)
            cr.execute(
                "UPDATE towpath_outbox o SET data = v.data::jsonb, thin = v.thin, lines = NULL, lang = NULL,"
                " snapshot = NULL FROM (VALUES %s) AS v (id, data, thin) WHERE o.id = v.id"
                % ", ".join(["(%s, %s, %s)"] * len(todo)),
                [value for row in todo for value in (row["id"], json.dumps(row["data"]), row["thin"])])
        for row in rows:
            for name in ("lines", "lang", "snapshot", "tx"):
                del row[name]

    def ack(self, ids=None):
        """Say that Towpath has committed the rows. May be said twice.

        The rows are the records it is called on, or ``ids``: JSON-2 knows the
        name ids only for the former.

        Returns how many of them are done now. A row counts also when its lease
        ran out meanwhile: what is committed is committed.
        """
        self._check_bot()
        ids = [int(i) for i in ids or self.ids]
        if not ids:
            return 0
        with self._now() as cr:
            cr.execute("""
                WITH mine AS (
                    SELECT id FROM towpath_outbox WHERE id IN %s AND state <> 'done' ORDER BY id FOR UPDATE)
                UPDATE towpath_outbox o
                SET state = 'done', acked_at = clock_timestamp() AT TIME ZONE 'UTC', lease_until = NULL
                FROM mine WHERE o.id = mine.id
            """, [tuple(ids)])
            cr.execute("SELECT count(*) FROM towpath_outbox WHERE id IN %s AND state = 'done'", [tuple(ids)])
            [done] = cr.fetchone()
        self.invalidate_model()
        return done

    def release(self, ids=None, worker=""):
        """Give rows back before their lease runs out; with ``worker`` only that one's.

        Returns how many are pending again.
        """
        self._check_bot()
        ids = [int(i) for i in ids or self.ids]
        if not ids:
            return 0
        with self._now() as cr:
            cr.execute("""
                WITH mine AS (
                    SELECT id FROM towpath_outbox
                    WHERE id IN %s AND state = 'claimed' AND (%s = '' OR claimed_by = %s) ORDER BY id FOR UPDATE)
                UPDATE towpath_outbox o SET state = 'pending', lease_until = NULL, claimed_by = NULL
                FROM mine WHERE o.id = mine.id
            """, [tuple(ids), str(worker or ""), str(worker or "")])
            given = cr.rowcount
        self.invalidate_model()
        return given

    @api.model
    def pending(self):
        """{pending, oldest_seconds, claimed}: what waits, since when, and what is being taken."""
        self._check_bot()
        self.env.cr.execute("""
            SELECT count(*) FILTER (WHERE state = 'pending' OR lease_until < clock),
                   coalesce(extract(epoch FROM max(clock - occurred_at)), 0)::int,
                   count(*) FILTER (WHERE state = 'claimed' AND lease_until >= clock)
            FROM towpath_outbox, (SELECT clock_timestamp() AT TIME ZONE 'UTC' AS clock) AS now
            WHERE state <> 'done'
        """)
        pending, oldest, claimed = self.env.cr.fetchone()
        return {"pending": pending, "oldest_seconds": max(oldest, 0), "claimed": claimed}

    @api.model
    def info(self):
        """{protocol, module, database_uuid}: whom one talks to."""
        self._check_bot()
        module = self.env["ir.module.module"].sudo().search([("name", "=", "towpath_outbox")], limit=1)
        uuid = self.env["ir.config_parameter"].sudo().get_param("database.uuid")
        return {"protocol": PROTOCOL, "module": module.installed_version or "", "database_uuid": uuid or ""}

    @contextlib.contextmanager
    def _now(self):
        """A cursor on the state of this moment, committed at the end.

        In the caller's transaction, a snapshot, PostgreSQL refuses rows that another
        worker took or acknowledged since it began, and Odoo then waits for seconds
        before it tries again.
        """
        with self.env.registry.cursor() as cr:
            cr.connection.set_isolation_level(ISOLATION_LEVEL_READ_COMMITTED)
            yield cr

    def _check_bot(self):
        if not (self.env.su or compat.in_group(self.env.user, "towpath_outbox.group_bot")):
            raise AccessError(_("Only a user of the group Towpath bot may do this."))

    # ---- for people ----------------------------------------------------------------------------------

    def action_release(self):
        """Give the chosen claimed rows back, for another worker to take."""
        if not compat.in_group(self.env.user, "towpath_outbox.group_manager"):
            raise AccessError(_("Only a Towpath manager may do this."))
        self.sudo().release()

    @api.model
    def _remove_old(self):
        """The daily job: acknowledged rows go after their time, open ones never."""
        days = self.env["ir.config_parameter"].sudo().get_param("towpath_outbox.retention_days", RETENTION_DAYS)
        try:
            days = max(int(days), 0)
        except ValueError:
            days = RETENTION_DAYS
        self.env.cr.execute("""
            DELETE FROM towpath_outbox WHERE id IN (
                SELECT id FROM towpath_outbox
                WHERE state = 'done' AND acked_at < now() AT TIME ZONE 'UTC' - %s
                ORDER BY acked_at LIMIT 200000)
        """, [timedelta(days=days)])
        removed = self.env.cr.rowcount
        self.env["towpath.name"]._remove_old()
        self.invalidate_model()
        return removed
