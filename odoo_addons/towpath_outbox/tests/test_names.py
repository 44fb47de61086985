from odoo.tests import tagged
from odoo.tools import mute_logger

from .. import names
from .common import OutboxCase


@tagged("-at_install", "post_install")
class TestNames(OutboxCase):
    """Names are added when an event is claimed, and are those that its transaction saw."""

    def setUp(self):
        super().setUp()
        self.need("sale.order")
        self.rule("sale.order")
        with self.tx() as env:
            product = env["product.product"].create({"name": "Chair", "type": "service"})
            partner = env["res.partner"].create({"name": "Ada"})
            order = env["sale.order"].create({
                "partner_id": partner.id, "order_line": [(0, 0, {"product_id": product.id})]})
            self.order, self.product, self.partner = order.id, product.id, partner.id
        self.events()

    def change(self, env):
        order = env["sale.order"].browse(self.order)
        order.client_order_ref = (order.client_order_ref or "") + "x"

    def rename(self, env, suffix):
        env["product.product"].browse(self.product).name = "Chair" + suffix
        env["res.partner"].browse(self.partner).name = "Ada" + suffix

    def told(self):
        return [(row["data"]["partner_name"], *(line["product_name"] for line in row["data"]["order_lines"]))
                for row in self.events()]

    def test_renamed_before_it_is_claimed(self):
        with self.tx() as env:
            self.change(env)
        for suffix in (" 2", " 3"):
            with self.tx() as env:
                self.rename(env, suffix)
        self.assertEqual(self.told(), [("Ada", "Chair")])
        with self.tx() as env:
            self.change(env)
        self.assertEqual(self.told(), [("Ada 3", "Chair 3")])

    def test_renamed_between_two_events(self):
        for suffix in (" 2", " 3"):
            with self.tx() as env:
                self.change(env)
            with self.tx() as env:
                self.rename(env, suffix)
        self.assertEqual(self.told(), [("Ada", "Chair"), ("Ada 2", "Chair 2")])

    def test_renamed_meanwhile(self):
        with self.tx() as env:
            self.change(env)  # from here on it sees nothing of what others do
            with self.tx() as other:
                self.rename(other, " 2")
        self.assertEqual(self.told(), [("Ada", "Chair")])

    def test_not_renamed_yet_by_an_older_transaction(self):
        with self.tx() as older:
            self.rename(older, " 2")
            older.flush_all()
            with self.tx() as env:
                self.change(env)
        self.assertEqual(self.told(), [("Ada", "Chair")])

    def test_renamed_by_itself(self):
        with self.tx() as env:
            self.change(env)
            self.rename(env, " 2")
        self.assertEqual(self.told(), [("Ada 2", "Chair 2")])

    def test_a_name_that_is_rolled_back(self):
        with self.tx() as env:
            self.change(env)
        with self.assertRaises(ZeroDivisionError), self.tx() as env:
            self.rename(env, " 2")
            env.flush_all()
            raise ZeroDivisionError
        with self.tx() as env, self.assertRaises(ZeroDivisionError), env.cr.savepoint():
            self.rename(env, " 2")
            env.flush_all()
            raise ZeroDivisionError
        self.assertEqual(self.told(), [("Ada", "Chair")])

    def test_deleted_before_it_is_claimed(self):
        with self.tx() as env:
            self.change(env)
        with self.tx() as env:
            env["sale.order"].browse(self.order).unlink()
        with self.tx() as env:
            self.rename(env, " 2")
        with self.tx() as env:
            env["product.product"].browse(self.product).product_tmpl_id.unlink()
            env["res.partner"].browse(self.partner).unlink()
        self.assertEqual(self.told(), [("Ada", "Chair")] * 2, "and the tombstone, whose names were read before")

    def test_the_content_stays_when_it_is_claimed_again(self):
        with self.tx() as env:
            self.change(env)
        with self.tx() as env:
            [first] = env["towpath.outbox"].claim(lease=1, worker="a")
            self.rename(env, " 2")
        with self.tx() as env:
            [again] = env["towpath.outbox"].claim(worker="a")
        self.assertEqual(first, again)
        self.assertEqual(again["data"]["order_lines"][0]["product_name"], "Chair")
        self.assertLessEqual(set(again), {
            "id", "event_id", "event", "action", "model", "res_id", "company_id", "user_id", "occurred_at", "data",
            "old_values", "changed_fields", "thin"})

    def test_people_see_it_before_it_is_claimed(self):
        with self.tx() as env:
            self.change(env)
        with self.tx() as env:
            self.assertIn('"product_name": "Chair"', env["towpath.outbox"].search([]).details)

    def test_what_cannot_be_completed_is_thin(self):
        for _two in range(2):
            with self.tx() as env:
                self.change(env)
        with self.tx() as env:
            env.cr.execute("UPDATE towpath_outbox SET snapshot = 'x' WHERE id = (SELECT min(id) FROM towpath_outbox)")
        with mute_logger("odoo.addons.towpath_outbox.completion"):
            one, other = self.events()
        self.assertEqual((one["data"], one["thin"]), ({"id": self.order}, True))
        self.assertEqual((other["data"]["partner_name"], other["thin"]), ("Ada", False))

    def test_former_names_go(self):
        with self.tx() as env:
            self.change(env)
        with self.tx() as env:
            self.rename(env, " 2")

        def remove():
            with self.tx() as env:
                env["towpath.outbox"]._remove_old()
                env.cr.execute("SELECT count(*) FROM towpath_name WHERE res_id IN %s", [(self.partner,)])
                return env.cr.fetchone()[0]

        with self.tx() as env:
            for table, column in (("towpath_name", "changed_at"), ("towpath_outbox", "occurred_at")):
                env.cr.execute('UPDATE %s SET "%s" = "%s" - interval \'2 days\'' % (table, column, column))
        self.assertEqual(remove(), 1, "an event may still need it")
        self.assertEqual(self.told(), [("Ada", "Chair")])
        self.assertEqual(remove(), 0)

    def test_what_a_moment_sees(self):
        moment = names.Moment.read("10:14:11,13", 12)
        self.assertEqual([tx for tx in range(8, 17) if moment.sees(tx)], [8, 9, 10, 12])
        self.assertTrue(names.Moment.read("10:10:", 3).sees(9))
