import contextlib
import uuid
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo import SUPERUSER_ID, sql_db
from odoo.exceptions import RedirectWarning, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .. import capture, compat, events, named, payload
from .common import OutboxCase

_LOGS = ("odoo.addons.towpath_outbox.payload", "odoo.addons.towpath_outbox.events",
         "odoo.addons.towpath_outbox.capture")


@tagged("-at_install", "post_install")
class TestCapture(OutboxCase):

    def test_created_updated_deleted(self):
        self.rule("res.partner")
        with self.tx() as env:
            partner = env["res.partner"].create({"name": "Ada", "city": "London"})
            id_ = partner.id
        with self.tx() as env:
            env["res.partner"].browse(id_).city = "Turin"
        with self.tx() as env:
            env["res.partner"].browse(id_).unlink()
        created, updated, deleted = self.events()
        self.assertEqual(
            [(r["event"], r["action"], r["res_id"], r["thin"]) for r in (created, updated, deleted)],
            [("res.partner.created", "create", id_, False), ("res.partner.updated", "write", id_, False),
             ("res.partner.deleted", "unlink", id_, False)])
        self.assertEqual(created["data"]["city"], "London")
        self.assertIsNone(created["old_values"])
        self.assertEqual(updated["data"]["city"], "Turin")
        self.assertEqual(updated["old_values"]["city"], "London")
        self.assertIn("city", updated["changed_fields"])
        self.assertNotIn("write_date", updated["changed_fields"])
        self.assertEqual(deleted["data"]["city"], "Turin", "the tombstone holds the last known values")
        self.assertEqual(len({r["event_id"] for r in (created, updated, deleted)}), 3)

    def test_a_batch_is_one_event_per_record(self):
        self.rule("res.partner")
        with self.tx() as env:
            made = env["res.partner"].create([{"name": "P%d" % n} for n in range(600)]).ids
        rows = self.events()
        self.assertEqual([r["res_id"] for r in rows], made)
        self.assertEqual([r["data"]["name"] for r in rows], ["P%d" % n for n in range(600)])

    def test_many_writes_are_one_event_with_the_final_values(self):
        self.rule("res.partner")
        id_ = self.partner(city="London")
        with self.tx() as env:
            partner = env["res.partner"].browse(id_)
            partner.city = "Paris"
            env.flush_all()
            partner.city = "Rome"
            partner.flush_recordset()
            partner.write({"zip": "00100", "city": "Turin"})
        [row] = self.events()
        self.assertEqual((row["data"]["city"], row["data"]["zip"]), ("Turin", "00100"))
        self.assertEqual(row["old_values"], {"city": "London", "zip": False})
        self.assertEqual(row["changed_fields"], ["city", "zip"])

    def test_old_values_that_the_orm_has_read_or_not(self):
        self.rule("res.partner", named_events=False)
        told = []
        for read in (False, True):
            id_ = self.partner(city="London", color=3, ref="x", website="https://example.com")
            with self.tx() as env:
                partner = env["res.partner"].browse(id_)
                if read:
                    partner.read()
                partner.write({"city": "Paris", "color": 4, "ref": False, "is_company": True})
                partner.city = "Rome"
            [row] = self.events()
            told.append((row["old_values"], row["changed_fields"]))
        self.assertEqual(*told)
        self.assertLessEqual({"city": "London", "color": 3, "ref": "x", "is_company": False}.items(),
                             told[0][0].items())

    def test_what_a_write_costs(self):
        """Statements that a write takes more with a rule than without."""
        self.need("sale.order")
        with self.tx() as env:
            partner = env["res.partner"].create({"name": "Ada"})
            order = env["sale.order"].create({
                "partner_id": partner.id, "order_line": [(0, 0, {
                    "product_id": env["product.product"].create({"name": "Chair"}).id})]})
            records = {"sale.order": (order.id, "client_order_ref"), "res.partner": (partner.id, "ref")}

        def statements(model):
            counts = []
            for _warm in range(3):
                with self.tx() as env:
                    id_, name = records[model]
                    env[model].browse(id_).write({name: str(uuid.uuid4())})
                    env.cr.flush()
                    counts.append(env.cr.sql_log_count)
            return counts[-1]

        without = {model: statements(model) for model in records}
        for model in records:
            self.rule(model)
        more = {model: statements(model) - without[model] for model in records}
        self.assertLessEqual(more["sale.order"], 1, "the event, with its lines")
        self.assertLessEqual(more["res.partner"], 3, "a savepoint, old values that were not read, and the event")

    def test_savepoints_do_not_split_the_event(self):
        self.rule("res.partner")
        id_ = self.partner(city="London")
        with self.tx() as env:
            partner = env["res.partner"].browse(id_)
            partner.city = "Paris"
            with env.cr.savepoint():
                partner.write({"city": "Rome", "zip": "00100"})
            partner.street = "Via Appia"
        [row] = self.events()
        self.assertEqual((row["data"]["city"], row["data"]["street"]), ("Rome", "Via Appia"))
        self.assertEqual(row["old_values"], {"city": "London", "zip": False, "street": False})
        self.assertEqual(row["changed_fields"], ["city", "street", "zip"])

    def test_nothing_of_a_rollback(self):
        self.rule("res.partner")
        id_ = self.partner(city="London")
        with self.assertRaises(UserError), self.tx() as env:
            env["res.partner"].browse(id_).city = "Paris"
            env["res.partner"].create({"name": "Bob"})
            env.cr.flush()
            raise UserError("no")
        self.assertEqual(self.events(), [])

    def test_nothing_of_a_savepoint_that_is_rolled_back(self):
        self.rule("res.partner")
        id_, other = self.partner(city="London"), self.partner(city="London")
        with self.tx() as env:
            partner = env["res.partner"].browse(id_)
            partner.zip = "1"
            for late in (False, True):
                try:
                    with env.cr.savepoint():
                        partner.city = "Paris"
                        env["res.partner"].browse(other).unlink()
                        env["res.partner"].create({"name": "Bob"})
                        if late:
                            env.cr.flush()
                        raise UserError("no")
                except UserError:
                    pass
        [row] = self.events()
        self.assertEqual((row["event"], row["changed_fields"]), ("res.partner.updated", ["zip"]))
        self.assertEqual(row["data"]["city"], "London")

    def test_what_was_told_before_a_savepoint_that_is_rolled_back(self):
        self.rule("res.partner")
        id_ = self.partner(city="London")
        with self.assertNoLogs("odoo.addons.towpath_outbox", "WARNING"), self.tx() as env:
            partner = env["res.partner"].browse(id_)
            partner.zip = "1"
            made = env["res.partner"].create({"name": "Bob"})
            try:
                with env.cr.savepoint():
                    partner.city = "Paris"
                    raise UserError("no")
            except UserError:
                pass
            partner.city = "Rome"
            made.city = "Turin"
            made_id = made.id
        updated, created = sorted(self.events(), key=lambda row: row["res_id"])
        self.assertEqual((updated["res_id"], updated["event"], updated["thin"], updated["data"]["city"]),
                         (id_, "res.partner.updated", False, "Rome"))
        self.assertEqual(updated["old_values"], {"city": "London", "zip": False})
        self.assertEqual((created["res_id"], created["event"], created["data"]["city"]),
                         (made_id, "res.partner.created", "Turin"))

    def test_nothing_of_a_savepoint_that_is_rolled_back_behind_the_orm(self):
        """Without flush the ORM is left believing what is undone in the database."""
        self.rule("res.partner", named_events=False)
        id_, other = self.partner(city="London"), self.partner(city="London", ref="x")
        with self.tx() as env:
            both = env["res.partner"].browse([id_, other])
            both.read()
            with contextlib.suppress(KeyError), env.cr.savepoint(flush=False):
                both.city = "Paris"
                both.flush_recordset()
                raise KeyError
            both[1].ref = "y"
        [row] = self.events()
        self.assertEqual((row["res_id"], row["changed_fields"], row["old_values"], row["data"]["city"]),
                         (other, ["ref"], {"ref": "x"}, "London"))

    def test_old_values_after_such_a_savepoint(self):
        self.rule("res.partner", named_events=False)
        id_ = self.partner(city="London")
        with self.tx() as env:
            partner = env["res.partner"].browse(id_)
            partner.read()
            with contextlib.closing(env.cr.savepoint(flush=False)):
                partner.city = "Paris"
                partner.flush_recordset()
            partner.city = "Rome"
        with self.tx() as env:
            env["res.partner"].browse(id_).read()
            env["res.partner"].browse(id_).city = "Turin"
        self.assertEqual([r["old_values"] for r in self.events()], [{"city": "London"}, {"city": "Rome"}])

    def test_created_and_changed_is_created(self):
        self.rule("res.partner")
        with self.tx() as env:
            partner = env["res.partner"].create({"name": "Ada"})
            with env.cr.savepoint():
                partner.city = "Paris"
            partner.city = "Rome"
        [row] = self.events()
        self.assertEqual((row["event"], row["data"]["city"]), ("res.partner.created", "Rome"))

    def test_created_and_deleted_is_nothing(self):
        self.rule("res.partner")
        with self.tx() as env:
            env["res.partner"].create({"name": "Ada"}).unlink()
            partner = env["res.partner"].create({"name": "Bob"})
            with env.cr.savepoint():
                partner.city = "Paris"
            partner.unlink()
        self.assertEqual(self.events(), [])

    def test_changed_and_deleted_is_deleted(self):
        self.rule("res.partner")
        id_ = self.partner()
        with self.tx() as env:
            partner = env["res.partner"].browse(id_)
            with env.cr.savepoint():
                partner.city = "Paris"
            partner.zip = "75001"
            partner.unlink()
        [row] = self.events()
        self.assertEqual((row["event"], row["data"]["city"], row["data"]["zip"]),
                         ("res.partner.deleted", "Paris", "75001"))

    def test_a_refused_deletion_is_nothing(self):
        self.rule("res.partner")
        id_ = self.partner()
        with self.tx() as env:
            user = env["res.users"].with_context(no_reset_password=True).create(
                {"name": "U", "login": "refused-%s" % id_, "partner_id": id_})
            try:
                with env.cr.savepoint():
                    env["res.partner"].browse(id_).unlink()
            except (UserError, RedirectWarning):
                pass
            user.active = False
        self.assertNotIn("res.partner.deleted", self.names())

    def test_no_change_is_no_event(self):
        self.rule("res.partner")
        id_ = self.partner(city="London")
        with self.tx() as env:
            partner = env["res.partner"].browse(id_)
            partner.write({"city": "London"})
            partner.city = "Paris"
            env.flush_all()
            partner.city = "London"
        self.assertEqual(self.events(), [])

    def test_a_many2many_is_a_change(self):
        self.rule("res.partner", named_events=False)
        id_ = self.partner()
        with self.tx() as env:
            tag = env["res.partner.category"].create({"name": "VIP"})
            env["res.partner"].browse(id_).category_id = [(4, tag.id)]
            tag_id = tag.id
        [row] = self.events()
        self.assertEqual(row["data"]["category_id"], [tag_id])
        self.assertEqual(row["old_values"]["category_id"], [])
        with self.tx() as env:
            env["res.partner"].browse(id_).write({"category_id": [(6, 0, [tag_id])]})
        self.assertEqual(self.events(), [])

    def test_a_chosen_one2many_tells_of_its_records(self):
        with self.tx() as env:
            field = env["ir.model.fields"]._get("res.partner", "child_ids").id
        self.rule("res.partner", field_ids=[(6, 0, [field])], on_create=False, domain="[('is_company', '=', True)]")
        id_ = self.partner(is_company=True)
        with self.tx() as env:
            child = env["res.partner"].create({"name": "Child", "parent_id": id_, "type": "other"}).id
        rows = [r for r in self.events() if r["res_id"] == id_]
        self.assertEqual([(r["event"], r["data"]) for r in rows],
                         [("res.partner.updated", {"id": id_, "child_ids": [child]})])
        self.assertIn("child_ids", rows[0]["changed_fields"])

    def test_what_the_database_deletes_by_itself(self):
        self.need("sale.order")
        self.rule("sale.order.line")
        with self.tx() as env:
            order = env["sale.order"].create({
                "partner_id": env["res.partner"].create({"name": "Ada"}).id,
                "order_line": [(0, 0, {"name": "a", "display_type": "line_note"})],
            })
            line = order.order_line.id
        self.events()
        with self.tx() as env:
            env["sale.order"].browse(order.id).unlink()
        self.assertEqual([(r["event"], r["res_id"]) for r in self.events()], [("sale.order.line.deleted", line)])

    def test_user_and_company(self):
        self.rule("res.partner")
        manager = self.user("base.group_partner_manager")
        self.events()
        with self.tx(manager) as env:
            env["res.partner"].create({"name": "Ada"})
            company = env.company.id
        [row] = self.events()
        self.assertEqual((row["user_id"], row["company_id"]), (manager, company))

    def test_a_field_of_every_company(self):
        self.need("product.product")
        with self.tx() as env:
            dependent = getattr(env["product.product"]._fields["standard_price"], "column_type", None)
            if not dependent:
                self.skipTest("no column, before 18")
            other = env["res.company"].create({"name": "Two %s" % uuid.uuid4()}).id
            user = env["res.users"].browse(SUPERUSER_ID)
            user.company_ids = [(4, other)]
            first = user.company_id.id
            id_ = env["product.product"].create({"name": "Chair", "standard_price": 5}).id
            field = env["ir.model.fields"]._get("product.product", "standard_price").id
        self.rule("product.product", field_ids=[(6, 0, [field])])

        def change(of_company, acting, price):
            with self.tx() as env:
                env = env(context={"allowed_company_ids": [acting, *{first, other} - {acting}]})
                env["product.product"].browse(id_).with_company(of_company).standard_price = price
            return [(r["company_id"], r["changed_fields"], r["old_values"], r["data"]["standard_price"])
                    for r in self.events() if r["event"] == "product.product.updated"]

        self.assertEqual(change(other, other, 9), [(other, ["standard_price"], {"standard_price": 0.0}, 9.0)])
        self.assertEqual(change(other, other, 8), [(other, ["standard_price"], {"standard_price": 9.0}, 8.0)])
        self.assertEqual(change(first, first, 7), [(first, ["standard_price"], {"standard_price": 5.0}, 7.0)])
        self.assertEqual(change(other, first, 6), [(other, ["standard_price"], {"standard_price": 8.0}, 6.0)])
        # Not through write(), so nobody knows for which company: it is told without its value.
        with self.tx() as env:
            product = env["product.product"].browse(id_)
            watch = capture.watch_of(product)
            capture.before_update(watch, product, {"standard_price"})
            env.cr.execute("UPDATE product_product SET standard_price = standard_price || %s WHERE id = %s",
                           ['{"%d": 2}' % other, id_])
        self.assertEqual([(r["changed_fields"], r["old_values"]) for r in self.events()], [(["standard_price"], {})])
        with self.tx() as env:
            env["ir.default"].set("product.product", "standard_price", 3.0, company_id=other)
            id_ = env["product.product"].create({"name": "Table"}).id
        self.events()
        self.assertEqual(change(other, other, 4), [(other, ["standard_price"], {"standard_price": 3.0}, 4.0)])

    def test_what_a_user_may_not_see_is_told_as_it_is(self):
        self.need("calendar.event")
        user = self.user()
        with self.tx() as env:
            start = {"start": "2026-01-01 10:00:00", "stop": "2026-01-01 11:00:00"}
            owner = env["res.users"].browse(SUPERUSER_ID)
            id_ = env["calendar.event"].create({
                "name": "Secret", "privacy": "private", "user_id": owner.id, "location": "here",
                "partner_ids": [(6, 0, owner.partner_id.ids)], **start}).id
        self.rule("calendar.event", named_events=False)
        self.events()
        with self.tx(user) as env:
            event = env["calendar.event"].browse(id_)
            self.assertNotEqual(event.name, "Secret")
            event.sudo().write({"name": "New"})
            env.cr.flush()
            self.assertFalse(event.location, "what was told is not for the user")
        with self.tx(user) as env:
            event = env["calendar.event"].browse(id_)
            self.assertNotEqual(event.name, "New")
            event.sudo().unlink()
        updated, deleted = self.events()
        self.assertEqual((updated["old_values"], updated["data"]["location"]), ({"name": "Secret"}, "here"))
        self.assertEqual((deleted["data"]["name"], deleted["data"]["location"]), ("New", "here"))

    def test_what_is_remembered_ends_with_the_transaction(self):
        """Also in Odoo 16, where cr.cache does not."""
        self.rule("res.partner")
        for ending in ("postcommit", "postrollback"):
            with self.tx() as env:
                capture.watches_of(env)
                self.assertIn(compat.WATCHES, env.cr.cache)
                getattr(env.cr, ending).run()
                self.assertNotIn(compat.WATCHES, env.cr.cache)
        with self.tx() as env:
            env["res.partner"].create({"name": "Ada"})
            env.cr.cache[compat.WATCHES] = {}  # of a savepoint that was rolled back
        self.assertEqual(self.names(), ["res.partner.created"])

    def test_what_was_told_inside_a_savepoint_that_is_rolled_back_behind_the_orm(self):
        self.rule("res.partner", named_events=False)
        id_, gone = self.partner(city="London"), self.partner()
        with self.tx() as env:
            partner = env["res.partner"].browse(id_)
            partner.city = "Paris"
            partner.flush_recordset()
            env["res.partner"].browse(gone).unlink()
            made = env["res.partner"].create({"name": "Bob"}).id
            with contextlib.closing(env.cr.savepoint(flush=False)):
                partner.zip = "75001"
                env.cr.flush()  # and so the outbox is written to inside
        rows = {r["event"]: r for r in self.events()}
        self.assertEqual({event: r["res_id"] for event, r in rows.items()}, {
            "res.partner.updated": id_, "res.partner.deleted": gone, "res.partner.created": made})
        self.assertEqual((rows["res.partner.updated"]["old_values"], rows["res.partner.updated"]["data"]["zip"]),
                         ({"city": "London"}, False))

    def test_a_savepoint_of_odoos_own_tests(self):
        with self.tx() as env:
            with contextlib.closing(sql_db.Savepoint(env.cr._obj)) as point:
                env.cr.execute("CREATE TEMPORARY TABLE undone ()")
            self.assertTrue(point.closed)
            env.cr.execute("SELECT to_regclass('undone')")
            self.assertEqual(env.cr.fetchone(), (None,))

    # ---- what goes wrong costs details, never the operation nor the event ----------------------------

    def test_an_error_in_the_domain(self):
        rule = self.rule("res.partner")
        id_ = self.partner()
        with self.tx() as env:
            # As when a field disappears after the rule was checked.
            env.cr.execute("UPDATE towpath_rule SET domain = %s WHERE id = %s", ["[('gone', '=', 1)]", rule])
            env.registry.clear_cache()
        with mute_logger(*_LOGS):
            with self.tx() as env:
                env["res.partner"].browse(id_).city = "Paris"
            with self.tx() as env:
                env["res.partner"].browse(id_).unlink()
        self.assertEqual(
            [(r["event"], r["data"], r["thin"]) for r in self.events()],
            [("res.partner.updated", {"id": id_}, True), ("res.partner.deleted", {"id": id_}, True)])

    def test_an_error_in_the_payload(self):
        self.rule("res.partner")
        id_, other = self.partner(), self.partner()
        read = payload._data

        def fails_once(record, *args):
            if record.id == id_:
                raise ZeroDivisionError
            return read(record, *args)

        with mute_logger(*_LOGS), patch.object(payload, "_data", fails_once), self.tx() as env:
            env["res.partner"].browse([id_, other]).write({"city": "Paris"})
        rows = {r["res_id"]: r for r in self.events()}
        self.assertEqual((rows[id_]["data"], rows[id_]["thin"]), ({"id": id_}, True))
        self.assertEqual((rows[other]["data"]["city"], rows[other]["thin"]), ("Paris", False))

    def test_an_error_of_postgresql(self):
        self.rule("res.partner")
        id_ = self.partner()

        def breaks(record, *_):
            record.env.cr.execute("SELECT * FROM no_such_table")

        with mute_logger("odoo.sql_db", *_LOGS), patch.object(payload, "_data", breaks), self.tx() as env:
            env["res.partner"].browse(id_).city = "Paris"
        [row] = self.events()
        self.assertEqual((row["event"], row["data"], row["thin"]), ("res.partner.updated", {"id": id_}, True))
        with self.tx() as env:
            self.assertEqual(env["res.partner"].browse(id_).city, "Paris")

    def test_when_even_the_outbox_fails(self):
        self.rule("res.partner")
        id_ = self.partner()

        def breaks(env, *_):
            env.cr.execute("SELECT * FROM no_such_table")

        with mute_logger("odoo.sql_db"), patch.object(events, "store", breaks), \
                self.assertLogs("odoo.addons.towpath_outbox.events", "ERROR") as logs, self.tx() as env:
            env["res.partner"].browse(id_).city = "Paris"
        self.assertIn("lost events of res.partner: [%d]" % id_, logs.output[-1])
        with self.tx() as env:
            self.assertEqual(env["res.partner"].browse(id_).city, "Paris")
        self.assertEqual(self.events(), [])

    def test_an_error_in_the_tombstone(self):
        self.rule("res.partner")
        id_ = self.partner()

        def breaks(partner, _row):
            partner.env.cr.execute("SELECT * FROM no_such_table")

        broken = {**named._NAMED, "res.partner": named._NAMED["res.partner"]._replace(payload=breaks)}
        with mute_logger("odoo.sql_db", *_LOGS), patch.object(named, "_NAMED", broken), self.tx() as env:
            env["res.partner"].browse(id_).unlink()
        [row] = self.events()
        self.assertEqual((row["event"], row["data"], row["thin"]), ("res.partner.deleted", {"id": id_}, True))

    # ---- the user's own writes, in whose way nothing may come ------------------------------------------

    def test_a_collision_is_the_users_own_when_something_is_deleted(self):
        self.rule("res.partner", named_events=False)
        with self.tx() as env:
            env = env(context={"tracking_disable": True, "mail_create_nolog": True})
            tag = env["res.partner.category"].create({"name": "old"}).id
            id_ = env["res.partner"].create({"name": "Bob", "category_id": [(6, 0, [tag])]}).id
        self.events()
        with mute_logger("odoo.sql_db", *_LOGS), self.assertRaises(SerializationFailure), self.tx() as env:
            mine = env["res.partner.category"].browse(tag)
            mine.read(["name", "color"])
            with self.tx() as other:
                other.cr.execute("UPDATE res_partner_category SET color = 5 WHERE id = %s", [tag])
            mine.name = "mine"
            env["res.partner"].browse(id_).unlink()
        self.assertEqual(self.events(), [])

    def test_a_collision_while_an_order_is_deleted(self):
        self.need("sale.order")
        self.rule("sale.order")
        with self.tx() as env:
            partner = env["res.partner"].create({"name": "Ada"}).id
            product = env["product.product"].create({"name": "Table"}).id
            env = env(context={"tracking_disable": True, "mail_create_nolog": True})
            line = env["sale.order"].create({
                "partner_id": partner, "order_line": [(0, 0, {"product_id": product})]}).order_line.id
            gone = env["sale.order"].create({"partner_id": partner}).id
        with mute_logger("odoo.sql_db", *_LOGS), self.assertRaises(SerializationFailure), self.tx() as env:
            mine = env["sale.order.line"].browse(line)
            mine.read(["price_unit", "sequence"])
            with self.tx() as other:
                other.cr.execute("UPDATE sale_order_line SET sequence = sequence + 1 WHERE id = %s", [line])
            mine.price_unit += 1
            env["sale.order"].browse(gone).unlink()

    def test_what_is_still_to_be_computed_is_told_of_a_deletion(self):
        self.need("sale.order")
        self.rule("sale.order")
        with self.tx() as env:
            product = env["product.product"].create({"name": "Table", "list_price": 5, "taxes_id": False})
            order = env["sale.order"].create({
                "partner_id": env["res.partner"].create({"name": "Ada"}).id,
                "order_line": [(0, 0, {"product_id": product.id}), (0, 0, {"product_id": product.id})]})
            ids, id_ = order.order_line.ids, order.id
        self.events()
        with self.tx() as env:
            env["sale.order.line"].browse(ids[0]).unlink()
            order = env["sale.order"].browse(id_)
            waiting = order._fields["amount_total"]
            env.add_to_compute(waiting, order)
            watch = capture.watch_of(order)
            capture.before_unlink(watch, order)
            self.assertIn(order, env.records_to_compute(waiting), "a deletion that is refused loses nothing")
            order.unlink()
        [row] = self.events()
        self.assertEqual((row["event"], row["data"]["amount_total"], len(row["data"]["order_lines"])),
                         ("sale.order.deleted", 5.0, 1))
