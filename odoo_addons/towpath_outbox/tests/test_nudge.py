import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .. import nudge
from .common import OutboxCase

# Seconds; what they bound comes at once, but for a machine that stands still.
PATIENCE = 300
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"


class _Door:
    """A receiver that keeps what it hears, and answers when it is let."""

    def __init__(self, test):
        self.heard, self.came = [], threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                door.heard.append((dict(self.headers), body))
                door.came.release()
                door.open.wait(PATIENCE)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        test.addCleanup(self.open.set)
        self.url = "http://127.0.0.1:%d/webhooks/odoo/shop" % server.server_port

    def wait(self):
        return self.came.acquire(timeout=PATIENCE)


@tagged("-at_install", "post_install")
class TestNudge(OutboxCase):

    def setUp(self):
        super().setUp()
        self.door = _Door(self)
        self.startPatcher(patch.object(nudge, "TIMEOUT", PATIENCE))
        self.rule("res.partner")
        with self.tx() as env:
            env["towpath.connection"].create({"name": "Towpath", "url": self.door.url, "secret": SECRET})
        self.addCleanup(self.quiet)

    def quiet(self):
        """Wait until the last nudge is through, so that the next test hears only its own."""
        self.door.open.set()
        deadline = time.monotonic() + PATIENCE
        while nudge._bell._ringing:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_the_standard_signature(self):
        # The example of the Standard Webhooks specification.
        self.assertEqual(
            nudge.sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                       b'{"test": 2432232314}'),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_a_commit_nudges(self):
        began = int(time.time())
        with self.tx() as env:
            env["res.partner"].create({"name": "Ada"})
            env.cr.flush()
            self.assertEqual(self.door.heard, [], "not before the commit")
            uuid = env["ir.config_parameter"].get_param("database.uuid")
        self.assertTrue(self.door.wait())
        headers, body = self.door.heard[0]
        headers = {k.lower(): v for k, v in headers.items()}
        told = json.loads(body)
        self.assertEqual((told["event"], told["data"]), ("towpath.nudge", {"pending": True, "database_uuid": uuid}))
        self.assertRegex(told["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        key = base64.b64decode(SECRET[len("whsec_"):])
        signed = "{webhook-id}.{webhook-timestamp}.".format(**headers).encode() + body
        self.assertEqual(headers["webhook-signature"],
                         "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode())
        self.assertTrue(began <= int(headers["webhook-timestamp"]) <= time.time())

    def test_nothing_happened_nobody_rings(self):
        try:
            with self.tx() as env:
                env["res.partner"].create({"name": "Ada"})
                env.cr.flush()
                raise UserError("no")
        except UserError:
            pass
        with self.tx() as env:
            env["res.partner.category"].create({"name": "no rule for it"})
        with self.tx() as env:
            env["res.partner"].create({"name": "Bob"})
        self.assertTrue(self.door.wait())
        self.quiet()
        self.assertEqual(len(self.door.heard), 1)

    def test_a_hanging_receiver_delays_nobody(self):
        self.door.open.clear()
        for n in range(5):
            with self.tx() as env:
                env["res.partner"].create({"name": "P%d" % n})
            if n == 0:
                self.assertTrue(self.door.wait())
        # Nobody answered yet, so nobody waited for an answer, else there were more.
        self.assertEqual(len(self.door.heard), 1, "one under way")
        self.door.open.set()
        self.assertTrue(self.door.wait())
        self.quiet()
        self.assertEqual(len(self.door.heard), 2, "and one for all that came meanwhile")
        self.assertEqual(len(self.events()), 5)

    def test_many_commits_are_few_nudges(self):
        start = time.monotonic()
        for n in range(20):
            with self.tx() as env:
                env["res.partner"].create({"name": "P%d" % n})
        self.quiet()
        self.assertLessEqual(len(self.door.heard), 1 + (time.monotonic() - start) / nudge.PAUSE)
        self.assertEqual(len(self.events()), 20)

    def test_nobody_there(self):
        with self.tx() as env:
            env["towpath.connection"].search([]).url = "http://127.0.0.1:1/none"
        with self.tx() as env:
            env["res.partner"].create({"name": "Ada"})
        self.quiet()
        self.assertEqual(len(self.events()), 1)

    def test_what_a_connection_needs(self):
        for vals in ({"url": "ftp://x"}, {"secret": "whsec_short"}, {"secret": "whsec_" + "A" * 20}):
            with self.assertRaises(ValidationError), self.tx() as env:
                env["towpath.connection"].create({"name": "x", "url": self.door.url, "secret": SECRET, **vals})
        with self.tx() as env:
            made = env["towpath.connection"].create({"name": "x", "url": self.door.url})
            self.assertEqual(len(nudge.key_of(made.secret)), 32)
        with self.tx(self.user("towpath_outbox.group_bot")) as env:
            self.assertNotIn("secret", env["towpath.connection"].search([]).read()[0])
