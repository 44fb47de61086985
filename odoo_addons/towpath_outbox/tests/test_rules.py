from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .. import capture, values
from .common import OutboxCase


@tagged("-at_install", "post_install")
class TestRules(OutboxCase):

    def field(self, model, name):
        with self.tx() as env:
            return env["ir.model.fields"]._get(model, name).id

    def test_no_rule_no_event(self):
        self.partner()
        self.assertEqual(self.events(), [])

    def test_an_archived_rule_is_none(self):
        rule = self.rule("res.partner")
        with self.tx() as env:
            env["towpath.rule"].browse(rule).active = False
        with self.tx() as env:
            env["res.partner"].create({"name": "Ada"})
        self.assertEqual(self.events(), [])

    def test_a_rule_counts_from_its_commit_on(self):
        """For every thread of the process, also one that looked just before."""
        with self.tx() as env:
            rule = env["towpath.rule"].create({"name": "new", "model_id": env["ir.model"]._get("res.partner").id})
            rule_id = rule.id
            with self.tx() as other:
                self.assertEqual(capture.watches_of(other), {})
        with self.tx() as env:
            env["res.partner"].create({"name": "Ada"})
        self.assertEqual(self.names(), ["res.partner.created"])
        with self.tx() as env:
            env["towpath.rule"].browse(rule_id).unlink()
            with self.tx() as other:
                self.assertIn("res.partner", capture.watches_of(other))
        with self.tx() as env:
            env["res.partner"].create({"name": "Bob"})
        self.assertEqual(self.events(), [])

    def test_a_rule_that_is_rolled_back_never_was(self):
        with self.tx() as env:
            with self.assertRaises(ZeroDivisionError), env.cr.savepoint():
                env["towpath.rule"].create({"name": "new", "model_id": env["ir.model"]._get("res.partner").id})
                self.assertIn("res.partner", capture.watches_of(env))
                raise ZeroDivisionError
        with self.tx() as env:
            env["res.partner"].create({"name": "Ada"})
        self.assertEqual(self.events(), [])

    def test_only_what_is_switched_on(self):
        self.rule("res.partner", on_create=False, on_unlink=False)
        with self.tx() as env:
            id_ = env["res.partner"].create({"name": "Ada"}).id
        with self.tx() as env:
            env["res.partner"].browse(id_).city = "Paris"
        with self.tx() as env:
            env["res.partner"].browse(id_).unlink()
        self.assertEqual(self.names(), ["res.partner.updated"])

    def test_domain(self):
        self.rule("res.partner", domain="[('city', '=', 'Paris'), ('create_date', '<', datetime.datetime(2999, 1, 1))]")
        with self.tx() as env:
            env["res.partner"].create([{"name": "A", "city": "Rome"}, {"name": "B", "city": "Paris"}])
        [row] = self.events()
        self.assertEqual(row["data"]["name"], "B")

    def test_two_rules_are_one_event_with_what_both_ask(self):
        self.rule("res.partner", field_ids=[(6, 0, [self.field("res.partner", "city")])], send_old_values=False)
        self.rule("res.partner", field_ids=[(6, 0, [self.field("res.partner", "zip")])], domain="[('zip', '!=', False)]")
        with self.tx() as env:
            env["res.partner"].create([{"name": "A", "city": "Rome"}, {"name": "B", "city": "Rome", "zip": "1"}])
        first, second = self.events()
        self.assertEqual(set(first["data"]), {"id", "city"})
        self.assertEqual(set(second["data"]), {"id", "city", "zip"})
        self.assertFalse(second["thin"])

    def test_switches_of_the_content(self):
        self.rule("res.partner", send_old_values=False, send_changed_fields=False, full_record=False)
        id_ = self.partner()
        with self.tx() as env:
            env["res.partner"].browse(id_).city = "Paris"
        [row] = self.events()
        self.assertEqual((row["old_values"], row["changed_fields"], row["data"], row["thin"]),
                         (None, None, {"id": id_, "name": "Ada"}, True))

    def test_secrets_are_never_told(self):
        with self.tx() as env:
            secret = [n for n in env["res.users"]._fields if not values.sendable(env["res.users"]._fields[n])]
        self.assertIn("password", secret)
        self.assertIn("image_1920", secret)
        with self.assertRaises(ValidationError):
            self.rule("res.users", field_ids=[(6, 0, [self.field("res.users", "password")])])
        self.rule("res.users")
        self.user()
        [row] = [r for r in self.events() if r["event"] == "res.users.created"]
        self.assertIn("login", row["data"])
        self.assertFalse(set(row["data"]) & set(secret))
        with self.tx() as env:
            hidden = {n for n, f in env["res.users"]._fields.items() if f.groups}
        self.assertFalse(set(row["data"]) & hidden)
        if "sale.order" in self.registry:
            with self.assertRaises(ValidationError):
                self.rule("sale.order", field_ids=[(6, 0, [self.field("sale.order", "access_token")])])

    def test_rules_that_cannot_be(self):
        for model in ("towpath.outbox", "base.language.install"):
            with self.assertRaises(ValidationError):
                self.rule(model)
        with self.assertRaises(ValidationError), mute_logger("odoo.sql_db"):
            self.rule("res.partner", domain="[('no_such_field', '=', 1)]")

    def test_who_may_write_rules(self):
        for groups, allowed in ((("towpath_outbox.group_user",), False), (("towpath_outbox.group_bot",), False),
                                (("towpath_outbox.group_manager",), True)):
            user = self.user(*groups)
            with self.tx(user) as env:
                vals = {"name": "x", "model_id": env["ir.model"].sudo()._get("res.partner").id}
                if allowed:
                    env["towpath.rule"].create(vals).unlink()
                    continue
                with self.assertRaises(AccessError), mute_logger("odoo.addons.base.models.ir_model"):
                    env["towpath.rule"].create(vals)
        # Nobody gets by a rule what he may not read himself.
        manager = self.user("towpath_outbox.group_manager")
        with self.tx(manager) as env, self.assertRaises(AccessError):
            env["towpath.rule"].create({
                "name": "x", "model_id": env["ir.model"].sudo()._get("ir.mail_server").id})

    def test_language_of_the_content(self):
        with self.tx() as env:
            env["res.lang"]._activate_lang("fr_FR")
            # Without a colour Odoo draws one of eleven, and 3 would be no change.
            tag = env["res.partner.category"].create({"name": "Customer", "color": 1})
            tag.with_context(lang="fr_FR").name = "Client"
            tag_id = tag.id
        self.rule("res.partner.category", lang="fr_FR")
        with self.tx() as env:
            env["res.partner.category"].browse(tag_id).color = 3
        [row] = self.events()
        self.assertEqual((row["data"]["name"], row["changed_fields"]), ("Client", ["color"]))

    def test_values(self):
        self.assertEqual(values._number(0.1 + 0.2, None), 0.3)
        self.assertEqual(values._number(0.1 + 0.2, 2), 0.3)
        self.assertEqual(str(values._number(-0.001, 2)), "0.0")
        self.assertEqual(values.clean({"a": [None, 1.1 + 2.2]}), {"a": [False, 3.3]})
