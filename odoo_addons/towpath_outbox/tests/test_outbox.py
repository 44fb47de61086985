import contextlib
import re
import threading
import time
from datetime import timedelta

from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import OutboxCase


@tagged("-at_install", "post_install")
class TestOutbox(OutboxCase):

    def setUp(self):
        super().setUp()
        self.bot = self.user("towpath_outbox.group_bot")
        self.rule("res.partner")

    def make(self, count):
        with self.tx() as env:
            env["res.partner"].create([{"name": "P%d" % n} for n in range(count)])

    def call(self, method, *args, **kw):
        if method == "claim":
            kw.setdefault("lease", 86400)  # ends when a test says so, and not before it does
        with self.tx(self.bot) as env:
            return getattr(env["towpath.outbox"], method)(*args, **kw)

    def test_ack_as_a_method_of_the_rows(self):
        self.make(2)
        ids = [r["id"] for r in self.call("claim")]
        with self.tx(self.bot) as env:
            self.assertEqual(env["towpath.outbox"].browse(ids[:1]).release(), 1)
            self.assertEqual(env["towpath.outbox"].browse(ids).ack(), 2)

    def test_a_late_ack_meets_another_claim(self):
        self.make(1)
        with self.tx(self.bot) as env:
            env.cr.execute("SELECT 1")  # its snapshot is taken
            [row] = self.call("claim", worker="slow")
            self.expire()
            self.call("claim", worker="quick")
            self.assertEqual(env["towpath.outbox"].browse(row["id"]).ack(), 1)
        self.expire()
        self.assertEqual(self.call("claim"), [])

    def expire(self):
        with self.tx() as env:
            env.cr.execute("UPDATE towpath_outbox SET lease_until = lease_until - interval '2 days'")

    def test_claim_and_ack(self):
        self.make(3)
        rows = self.call("claim", limit=2, worker="w1")
        self.assertEqual([r["data"]["name"] for r in rows], ["P0", "P1"])
        row = rows[0]
        self.assertEqual(list(row), [
            "id", "event_id", "event", "action", "model", "res_id", "company_id", "user_id", "occurred_at", "data",
            "old_values", "changed_fields", "thin"])
        self.assertEqual((row["event"], row["action"], row["model"], row["old_values"], row["changed_fields"],
                          row["thin"]), ("res.partner.created", "create", "res.partner", False, False, False))
        self.assertTrue(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["occurred_at"]))
        self.assertTrue(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                                     row["event_id"]))
        self.assertEqual([r["data"]["name"] for r in self.call("claim")], ["P2"])
        self.assertEqual(self.call("claim"), [])
        ids = [r["id"] for r in rows]
        self.assertEqual(self.call("ack", ids), 2)
        self.assertEqual(self.call("ack", ids), 2, "saying it twice is the same")
        self.assertEqual(self.call("ack", []), 0)
        self.expire()
        again = self.call("claim")
        self.assertEqual([r["data"]["name"] for r in again], ["P2"])

    def test_the_lease(self):
        self.make(1)
        [first] = self.call("claim", worker="dies")
        self.assertEqual(self.call("claim"), [])
        self.expire()
        [second] = self.call("claim", worker="lives")
        self.assertEqual(first, second, "the same event, with the same id")
        # The first worker was only slow, and had committed.
        self.assertEqual(self.call("ack", [first["id"]]), 1)
        self.expire()
        self.assertEqual(self.call("claim"), [])

    def test_who_comes_after_a_worker_that_died(self):
        self.make(2)
        dead = self.call("claim", worker="towpath")
        self.make(1)
        self.assertEqual(len(self.call("claim", limit=1, worker="other")), 1, "only what nobody has")
        heir = self.call("claim", limit=10, worker="towpath")
        self.assertEqual(heir, dead, "the same rows again, at once, under the same ids")
        self.assertEqual(self.call("ack", [r["id"] for r in heir]), 2)
        self.assertEqual(self.call("claim", worker="towpath"), [])

    def test_release(self):
        self.make(2)
        ids = [r["id"] for r in self.call("claim", worker="w1")]
        self.assertEqual(self.call("release", ids, worker="w2"), 0)
        self.assertEqual(self.call("release", ids[:1], worker="w1"), 1)
        self.assertEqual([r["id"] for r in self.call("claim", worker="w2")], ids[:1])
        self.assertEqual(self.call("ack", ids[:1]), 1)
        self.assertEqual(self.call("release", ids), 1, "what is done stays done")

    def test_workers_at_once(self):
        self.make(300)
        taken, errors = {}, []
        start = threading.Barrier(4, timeout=600)
        with contextlib.ExitStack() as stack:
            # Made here: Odoo holds its registry's lock while it runs tests.
            envs = {"w%d" % n: stack.enter_context(self.tx(self.bot)) for n in range(4)}

            def work(name):
                try:
                    outbox, mine = envs[name]["towpath.outbox"], taken.setdefault(name, [])
                    start.wait()
                    while rows := outbox.claim(limit=7, lease=86400, worker=name):
                        mine.extend(r["id"] for r in rows)
                        outbox.ack([r["id"] for r in rows])
                except Exception as error:
                    errors.append(error)

            threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in envs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(600)
        self.assertEqual(errors, [])
        every = [i for mine in taken.values() for i in mine]
        self.assertEqual((len(every), len(set(every))), (300, 300))

    def test_a_claim_sees_what_was_taken_since_its_transaction_began(self):
        self.make(2)
        with self.tx(self.bot) as env:
            env.cr.execute("SELECT 1")  # its snapshot is taken
            first = self.call("claim", limit=1)
            second = env["towpath.outbox"].claim(limit=1)
        self.assertNotEqual(first[0]["id"], second[0]["id"])

    def test_a_row_that_is_being_taken_is_skipped(self):
        self.make(2)
        with self.tx() as env:
            env.cr.execute("SELECT id FROM towpath_outbox ORDER BY id LIMIT 1 FOR UPDATE")
            [locked] = env.cr.fetchone()
            rows = self.call("claim")
        self.assertEqual(len(rows), 1)
        self.assertNotEqual(rows[0]["id"], locked)

    def test_a_late_commit_of_an_earlier_id(self):
        with self.tx() as slow:
            slow["res.partner"].create({"name": "early"})
            slow.cr.flush()
            with self.tx() as quick:
                quick["res.partner"].create({"name": "late"})
            [row] = self.call("claim")
            self.assertEqual(row["data"]["name"], "late")
            self.call("ack", [row["id"]])
        [late] = self.call("claim")
        self.assertEqual(late["data"]["name"], "early")
        self.assertLess(late["id"], row["id"])

    def test_nothing_uncommitted_is_claimed(self):
        with self.registry.cursor() as cr:
            from odoo import SUPERUSER_ID, api
            env = api.Environment(cr, SUPERUSER_ID, {})
            env["res.partner"].create({"name": "never"})
            cr.flush()
            self.assertEqual(self.call("claim"), [])
            cr.rollback()
        self.assertEqual(self.call("claim"), [])

    def test_pending(self):
        began = time.monotonic()
        self.assertEqual(self.call("pending"), {"pending": 0, "oldest_seconds": 0, "claimed": 0})
        self.make(3)
        with self.tx() as env:
            env.cr.execute("UPDATE towpath_outbox SET occurred_at = occurred_at - interval '90 seconds'")
        self.call("claim", limit=1)
        found = self.call("pending")
        self.assertEqual((found["pending"], found["claimed"]), (2, 1))
        self.assertTrue(90 <= found["oldest_seconds"] <= 91 + time.monotonic() - began)
        self.expire()
        self.assertEqual(self.call("pending")["pending"], 3)

    def test_info(self):
        found = self.call("info")
        self.assertEqual(found["protocol"], 1)
        self.assertTrue(found["module"] and found["database_uuid"])

    def test_only_the_bot(self):
        nobody = self.user("towpath_outbox.group_user")
        with self.tx(nobody) as env:
            for method, args in (("claim", ()), ("ack", ([1],)), ("release", ([1],)), ("pending", ()), ("info", ())):
                with self.assertRaises(AccessError):
                    getattr(env["towpath.outbox"], method)(*args)

    def test_contents_are_for_managers(self):
        users = [(self.user("towpath_outbox.group_" + group), group == "manager") for group in ("user", "manager")]
        self.events()
        self.make(1)
        for user, allowed in users:
            with self.tx(user) as env:
                row = env["towpath.outbox"].search([], limit=1)
                self.assertTrue(row.event)
                if allowed:
                    self.assertIn("P0", row.details)
                else:
                    with self.assertRaises(AccessError):
                        row.read(["data"])

    def test_retention(self):
        self.make(4)
        ids = [r["id"] for r in self.call("claim", limit=3)]
        self.call("ack", ids[:2])
        with self.tx() as env:
            env.cr.execute("UPDATE towpath_outbox SET acked_at = acked_at - %s WHERE id = %s", [timedelta(days=8), ids[0]])
            env.cr.execute("UPDATE towpath_outbox SET occurred_at = occurred_at - interval '1 year'")
            self.assertTrue(env.ref("towpath_outbox.cron_remove_old").active)
        with self.tx() as env:
            env.ref("towpath_outbox.cron_remove_old").method_direct_trigger()
        with self.tx() as env:
            env.cr.execute("SELECT state, count(*) FROM towpath_outbox GROUP BY 1 ORDER BY 1")
            self.assertEqual(env.cr.fetchall(), [("claimed", 1), ("done", 1), ("pending", 1)])
