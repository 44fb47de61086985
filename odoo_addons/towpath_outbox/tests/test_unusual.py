import uuid

from odoo import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .. import capture
from .common import OutboxCase


@tagged("-at_install", "post_install")
class TestUnusual(OutboxCase):
    """What happens seldom is told, too, and above all not in anybody's way."""

    def deleted(self):
        return {row["res_id"] for row in self.events() if row["action"] == "unlink"}

    def test_a_tree_is_deleted_with_its_root(self):
        self.rule("res.partner.category")
        with self.tx() as env:
            tags, above = [], False
            for name in ("root", "branch", "leaf"):
                above = env["res.partner.category"].create({"name": name, "parent_id": above}).id
                tags.append(above)
        self.events()
        with self.tx() as env:
            env["res.partner.category"].browse(tags[0]).unlink()
            self.assertFalse(env["res.partner.category"].browse(tags).exists())
        self.assertEqual(self.deleted(), set(tags))

    def test_a_module_that_goes_takes_its_columns_along_before_its_records(self):
        self.rule("res.partner.category")
        with self.tx() as env:
            tag = env["res.partner.category"].create({"name": "of a module", "color": 1})
            env.cr.flush()
            env.cr.execute("ALTER TABLE res_partner_category RENAME COLUMN parent_id TO gone")
            tag = tag.with_context(_force_unlink=True)
            with mute_logger("odoo.sql_db", "odoo.addons.towpath_outbox.capture"):
                capture.before_unlink(capture.watch_of(tag), tag)
            env.cr.execute("SELECT 1")  # the transaction lives
            env.cr.rollback()

    def test_a_model_that_is_deleted_with_its_records(self):
        name = "x_towpath_%s" % uuid.uuid4().hex[:8]
        with self.tx() as env:
            model = env["ir.model"].create({"name": "Thing", "model": name}).id
        self.rule(name)
        with self.tx() as env:
            there = env[name].create({"x_name": "was there"}).id
        self.assertEqual(self.names(), [name + ".created"])
        with self.tx() as env:
            env[name].browse(there).x_name = "changed"
            env[name].create({"x_name": "never was"})
            env.flush_all()
            env["ir.model"].browse(model).unlink()
            self.assertNotIn(name, env)
        self.assertEqual(self.events(), [])
        with self.tx() as env:
            self.assertFalse(env["towpath.rule"].search([]))
            env["res.partner"].create({"name": "Ada"})

    def test_a_number_that_is_none(self):
        self.rule("res.partner", named_events=False)
        id_, other = self.partner(), self.partner()
        with self.tx() as env:
            env.cr.execute("UPDATE res_partner SET partner_latitude = 'NaN' WHERE id = %s", [id_])
        with self.tx() as env:
            env["res.partner"].browse([id_, other]).write({"city": "Paris"})
        self.assertEqual([(r["thin"], r["data"]["city"], r["data"]["partner_latitude"]) for r in self.events()],
                         [(False, "Paris", False), (False, "Paris", 0.0)])

    def test_properties(self):
        self.need("product.template")
        self.rule("product.template")
        with self.tx() as env:
            if "product_properties" not in env["product.template"]._fields:
                self.skipTest("no properties")
            partner = env["res.partner"].create({"name": "Ada"}).id
            category = env["product.category"].create({"name": "Made", "product_properties_definition": [
                {"name": "aa01", "type": "char", "string": "Material"},
                {"name": "aa02", "type": "many2one", "string": "Maker", "comodel": "res.partner"},
                {"name": "aa03", "type": "tags", "string": "Tags", "tags": [["a", "A", 1], ["b", "B", 2]]},
            ]}).id
            id_ = env["product.template"].create({
                "name": "Chair", "categ_id": category, "product_properties": {"aa01": "wood", "aa02": partner}}).id
        [row] = [r for r in self.events() if r["event"] == "product.template.created"]
        self.assertFalse(row["thin"])
        self.assertLessEqual({"aa01": "wood", "aa02": partner}.items(), row["data"]["product_properties"].items())
        with self.tx() as env:
            env["product.template"].browse(id_).product_properties = {"aa01": "steel", "aa02": partner, "aa03": ["a"]}
        [row] = [r for r in self.events() if r["event"] == "product.template.updated"]
        self.assertEqual(row["changed_fields"], ["product_properties"])
        self.assertEqual(row["old_values"]["product_properties"]["aa01"], "wood")
        self.assertEqual(row["data"]["product_properties"], {"aa01": "steel", "aa02": partner, "aa03": ["a"]})

    def test_contacts_are_merged(self):
        self.rule("res.partner", named_events=False)
        ids = [self.partner(name=name, email="ada@example.com", color=1) for name in ("Ada", "Ada L.", "A. Lovelace")]
        with self.tx() as env:
            child = env["res.partner"].create({"name": "Child", "parent_id": ids[1]}).id
        self.events()
        with self.tx() as env:
            if "base.partner.merge.automatic.wizard" not in env:
                self.skipTest("no merging")
            env["base.partner.merge.automatic.wizard"]._merge(ids, env["res.partner"].browse(ids[0]))
            self.assertEqual(env["res.partner"].browse(child).parent_id.id, ids[0])
        self.assertEqual(self.deleted(), set(ids[1:]))

    def test_imported_and_copied(self):
        self.rule("res.partner", named_events=False)
        xids = ["__towpath_test__.%s_%d" % (uuid.uuid4().hex, n) for n in range(3)]

        def load(city, *more):
            with self.tx() as env:
                return env["res.partner"].load(["id", "name", "city"], [[x, "P", city] for x in xids] + list(more))

        made = load("Paris")["ids"]
        self.assertEqual([r["res_id"] for r in self.events()], made)
        self.assertEqual(load("Rome")["ids"], made)
        self.assertEqual([(r["event"], r["old_values"]["city"]) for r in self.events()],
                         [("res.partner.updated", "Paris")] * 3)
        with mute_logger("odoo.sql_db", "odoo.models"):
            self.assertFalse(load("Turin", ["", "", "no name"])["ids"])
        self.assertEqual(self.events(), [], "all or nothing")
        with self.tx() as env:
            copy = env["res.partner"].browse(made[0]).copy().id
        self.assertEqual([(r["event"], r["res_id"], r["data"]["city"]) for r in self.events()],
                         [("res.partner.created", copy, "Rome")])

    def test_new_records_that_are_no_records(self):
        self.need("sale.order")
        self.rule("sale.order")
        self.rule("res.partner")
        id_ = self.partner()
        with self.tx() as env:
            order = env["sale.order"].new({"partner_id": id_, "order_line": [Command.create({"name": "a note"})]})
            order.note = "x"
            partner = env["res.partner"].new(origin=env["res.partner"].browse(id_))
            partner.city = "Paris"
        self.assertEqual(self.events(), [])
