"""Tests with real transactions: what is tested is what a commit leaves behind."""
import contextlib
import uuid

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry
from odoo.tests.common import BaseCase, get_db_name


class OutboxCase(BaseCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = Registry(get_db_name())

    def setUp(self):
        super().setUp()
        self._clear()
        self.addCleanup(self._clear)

    def _clear(self):
        with self.tx() as env:
            env["towpath.rule"].with_context(active_test=False).search([]).unlink()
            env["towpath.connection"].with_context(active_test=False).search([]).unlink()
            env.cr.execute("DELETE FROM towpath_outbox; DELETE FROM towpath_name")

    @contextlib.contextmanager
    def tx(self, user=SUPERUSER_ID):
        """A transaction of one's own, committed at the end."""
        with self.registry.cursor() as cr:
            yield api.Environment(cr, user, {})

    def rule(self, model, **vals):
        with self.tx() as env:
            return env["towpath.rule"].create({
                "name": model, "model_id": env["ir.model"]._get(model).id, "on_unlink": True, **vals,
            }).id

    def events(self):
        """All rows, oldest first, as dictionaries, complete as when they are claimed; and they are gone."""
        with self.tx() as env:
            env.cr.execute("SELECT * FROM towpath_outbox WHERE snapshot IS NOT NULL")
            env["towpath.outbox"]._complete(env.cr, env.cr.dictfetchall())
            env.cr.execute("DELETE FROM towpath_outbox RETURNING *")
            return sorted(env.cr.dictfetchall(), key=lambda row: row["id"])

    def names(self):
        return [row["event"] for row in self.events()]

    def partner(self, **vals):
        """A committed contact, whose event is forgotten."""
        with self.tx() as env:
            id_ = env["res.partner"].create({"name": "Ada", **vals}).id
        self.events()
        return id_

    def user(self, *groups):
        """A user with just these groups and those of every employee."""
        with self.tx() as env:
            vals = {"name": "Test user", "login": "user-%s" % uuid.uuid4()}
            users = env["res.users"].with_context(no_reset_password=True)
            field = "group_ids" if "group_ids" in users._fields else "groups_id"
            vals[field] = [(6, 0, [env.ref(g).id for g in ("base.group_user", *groups)])]
            return users.create(vals).id

    def need(self, *models):
        for model in models:
            if model not in self.registry:
                self.skipTest("%s is not installed" % model)
