import json

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from .common import OutboxCase


@tagged("-at_install", "post_install")
class TestExport(OutboxCase):

    def setUp(self):
        super().setUp()
        self.exporter = self.user("towpath_outbox.group_user", "base.group_partner_manager")
        self.bot = self.user("towpath_outbox.group_bot")
        self.systems([{"code": "shop", "name": "Web shop", "models": ["res.partner", "sale.order"]},
                      {"code": "erp", "name": "Other"}])

    def systems(self, systems):
        with self.tx(self.bot) as env:
            return env["towpath.system"].set_systems(systems)

    def wizard(self, env, model, ids, **context):
        return env["towpath.export"].with_context(active_model=model, active_ids=ids, **context).create({})

    def export(self, env, model, ids, code="shop", **context):
        wizard = self.wizard(env, model, ids, **context)
        wizard.system_id = env["towpath.system"].search([("code", "=", code)])
        return wizard.action_export()["params"]

    def test_only_relevant_systems(self):
        self.need("product.template")
        with self.tx(self.exporter) as env:
            self.assertEqual(set(self.wizard(env, "res.partner", [1]).offered_ids.mapped("code")), {"erp", "shop"})
            self.assertEqual(self.wizard(env, "product.template", [1]).offered_ids.mapped("code"), ["erp"])
            self.assertEqual(self.wizard(env, "product.template", [1]).system_id.code, "erp")
            wizard = self.wizard(env, "product.template", [1])
            wizard.system_id = env["towpath.system"].search([("code", "=", "shop")])
            with self.assertRaises(ValidationError):
                wizard.action_export()
        self.assertEqual(self.systems([{"code": "erp"}]), 1)
        with self.tx(self.exporter) as env:
            self.assertEqual(env["towpath.system"].search([]).mapped("code"), ["erp"])

    def test_records_are_queued_in_batches(self):
        with self.tx() as env:
            ids = env["res.partner"].create([{"name": "P%d" % n} for n in range(120)]).ids
        with self.tx(self.exporter) as env:
            told = self.export(env, "res.partner", ids)
        self.assertEqual(told["type"], "success")
        self.assertEqual(told["message"], "120 queued for Web shop, 0 not to be exported, 0 not ready, 0 errors.")
        rows = self.events()
        self.assertEqual([(r["event"], r["action"], r["model"], r["res_id"]) for r in rows],
                         [("export.requested", "export", "res.partner", 0)] * 3)
        self.assertEqual([r["data"] for r in rows], [
            {"system": "shop", "model": "res.partner", "ids": ids[n:n + 50], "requested_by": self.exporter}
            for n in (0, 50, 100)])

    def test_nothing_chosen(self):
        with self.tx(self.exporter) as env:
            told = self.export(env, "res.partner", [])
        self.assertEqual(told["type"], "warning")
        self.assertEqual(self.events(), [])

    def test_what_is_not_queued_and_why(self):
        with self.tx() as env:
            good, archived, excluded, gone = env["res.partner"].create(
                [{"name": "Good"}, {"name": "Old", "active": False}, {"name": "No"}, {"name": "Gone"}])
            ids = [good.id, archived.id, excluded.id, gone.id]
            gone.unlink()
        with self.tx(self.exporter) as env:
            wizard = self.wizard(env, "res.partner", ids[2:3])
            wizard.action_exclude()
        with self.tx(self.exporter) as env:
            told = self.export(env, "res.partner", ids)
        self.assertEqual(told["type"], "warning")
        self.assertEqual(told["message"].splitlines(), [
            "1 queued for Web shop, 1 not to be exported, 1 not ready, 1 errors.", "Old: archived",
            "Record %d: gone, or you may not read it" % ids[3]])
        [row] = self.events()
        self.assertEqual(row["data"]["ids"], ids[:1])

    def test_a_thousand_at_once(self):
        with self.tx() as env:
            ids = env["res.partner"].create([{"name": "P%d" % n} for n in range(1000)]).ids
        with self.tx(self.exporter) as env:
            wizard = self.wizard(env, "res.partner", ids)
            wizard.system_id = env["towpath.system"].search([("code", "=", "shop")])
            env.flush_all()
            env.invalidate_all()
            before = env.cr.sql_log_count
            told = wizard.action_export()["params"]
            self.assertLess(env.cr.sql_log_count - before, 60, "queries, however many records")
        self.assertIn("1000 queued", told["message"])
        self.assertEqual(len(self.events()), 20)

    def test_what_one_may_not_read(self):
        with self.tx() as env:
            seen, hidden = env["res.partner"].create([{"name": "Seen"}, {"name": "Hidden"}]).ids
            rule = env["ir.rule"].create({
                "name": "test", "model_id": env["ir.model"]._get("res.partner").id,
                "domain_force": [("name", "!=", "Hidden")]})
        try:
            with self.tx(self.exporter) as env:
                told = self.export(env, "res.partner", [hidden, seen])
        finally:
            with self.tx() as env:
                env["ir.rule"].browse(rule.id).unlink()
        self.assertEqual(told["message"].splitlines(), [
            "1 queued for Web shop, 0 not to be exported, 0 not ready, 1 errors.",
            "Record %d: gone, or you may not read it" % hidden])
        [row] = self.events()
        self.assertEqual(row["data"]["ids"], [seen])

    def test_the_first_ten_messages(self):
        with self.tx() as env:
            ids = env["res.partner"].create([{"name": "P%d" % n, "active": False} for n in range(14)]).ids
        with self.tx(self.exporter) as env:
            lines = self.export(env, "res.partner", ids)["message"].splitlines()
        self.assertEqual((len(lines), lines[10], lines[11]), (12, "P9: archived", "… and 4 more"))

    def test_orders_must_be_confirmed(self):
        self.need("sale.order")
        with self.tx() as env:
            partner = env["res.partner"].create({"name": "Ada"})
            product = env["product.product"].create({"name": "Chair", "type": "service"})
            line = [(0, 0, {"product_id": product.id})]
            orders = env["sale.order"].create([
                {"partner_id": partner.id, "order_line": line}, {"partner_id": partner.id, "order_line": line},
                {"partner_id": partner.id}])
            (orders[1] | orders[2]).action_confirm()
            ids = orders.ids
        with self.tx() as env:
            told = self.export(env, "sale.order", ids)
        self.assertIn("1 queued", told["message"])
        self.assertIn("not confirmed", told["message"])
        self.assertIn("no lines", told["message"])
        [row] = self.events()
        self.assertEqual(row["data"]["ids"], [ids[1]])

    def report(self, **values):
        with self.tx(self.bot) as env:
            return env["towpath.system"].report_exports([{
                "code": "shop", "model": "res.partner", "user_id": self.exporter, "exported": 3, "created": 1,
                "skipped": 0, "errors": 0, "cause": "", **values}])

    def told(self):
        """What was shown to the exporter; and it is gone."""
        with self.tx() as env:
            if "bus.bus" not in env:
                self.skipTest("bus is not installed")
            partner = env["res.users"].browse(self.exporter).partner_id.id
            rows = env["bus.bus"].search([], order="id")
            own = rows.filtered(lambda row: json.loads(row.channel)[1:] == ["res.partner", partner])
            messages = [json.loads(row.message) for row in own]
            own.unlink()
        return [m["payload"] for m in messages if m["type"] == "simple_notification"]

    def test_people_are_told_what_became_of_it(self):
        self.assertEqual(self.report(), 1)
        with self.tx() as env:
            system = env["towpath.system"].search([("code", "=", "shop")])
            name = env["ir.model"]._get("res.partner").name
            self.assertTrue(system.last_export)
            text = name + " to Web shop: 3 exported (1 new), 0 skipped, 0 errors."
            self.assertEqual(system.last_result, text)
            system.last_export = False
        self.assertEqual([(m["type"], m["title"], m["message"]) for m in self.told()],
                         [("success", "Export to Connectors", text)])
        self.report(exported=0, created=0, errors=2, cause="The run failed")
        self.report(user_id=False, code="nobody knows it")
        with self.tx() as env:
            system = env["towpath.system"].search([("code", "=", "shop")])
            self.assertFalse(system.last_export)
            self.assertIn("2 errors. The run failed", system.last_result)
        [message] = self.told()
        self.assertEqual((message["type"], message["sticky"]), ("warning", True))
        with self.tx(self.exporter) as env, self.assertRaises(AccessError):
            env["towpath.system"].report_exports([])

    def test_in_french(self):
        with self.tx() as env:
            env["res.lang"]._activate_lang("fr_FR")
            env["ir.module.module"].search([("name", "=", "towpath_outbox")])._update_translations(["fr_FR"])
            id_ = env["res.partner"].create({"name": "Ada", "active": False}).id
            env["towpath.export"]._offer()
        with self.tx(self.exporter) as env:
            told = self.export(env, "res.partner", [id_], lang="fr_FR")
            self.assertEqual(told["title"], "Exporter vers les connecteurs")
            self.assertEqual(told["message"].splitlines(), [
                "0 en file pour Web shop, 0 à ne pas exporter, 1 pas prêts, 0 erreurs.", "Ada: archivé"])
            rule = env["towpath.rule"].with_context(lang="fr_FR").fields_get(["on_create"])
            self.assertEqual(rule["on_create"]["string"], "À la création")
            bound = env["ir.actions.act_window"].sudo().with_context(lang="fr_FR").search(
                [("res_model", "=", "towpath.export"), ("binding_model_id", "!=", False)])
            self.assertEqual(set(bound.mapped("name")), {"Exporter vers les connecteurs"})

    def test_the_action_is_on_lists_and_forms(self):
        with self.tx() as env:
            models = [m for m in ("product.product", "product.template", "sale.order", "res.partner", "stock.picking",
                                  "account.move") if m in env]
            for model in models:
                bound = env["ir.actions.act_window"].search(
                    [("res_model", "=", "towpath.export"), ("binding_model_id.model", "=", model)])
                self.assertEqual(len(bound), 1, model)
                self.assertEqual(bound.binding_view_types, "list,form")
        outsider = self.user("base.group_partner_manager")
        for user, sees in ((self.exporter, True), (outsider, False)):
            with self.tx(user) as env:
                actions = env["ir.actions.actions"].get_bindings("res.partner").get("action", [])
                self.assertEqual("Export to Connectors" in [a["name"] for a in actions], sees)
        with self.tx(outsider) as env, self.assertRaises(AccessError):
            env["towpath.export"].create({})
