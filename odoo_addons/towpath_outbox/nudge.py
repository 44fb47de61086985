"""Rings at Towpath's door when there is something in the outbox.

A nudge carries no business data and no promise: Towpath also looks by itself.
So it never waits, and nobody hears of its failure.
"""
import base64
import hashlib
import hmac
import json
import logging
import threading
import time
import uuid
from collections import namedtuple
from datetime import datetime, timezone

import requests

_logger = logging.getLogger(__name__)

# Where to, signed with what, and which database speaks.
Target = namedtuple("Target", "url secret database_uuid")
TIMEOUT = 2  # seconds to connect, and to answer
PAUSE = 0.1  # seconds between nudges: each takes more of Odoo's process than an event does


def key_of(secret):
    """The bytes of a Standard Webhooks secret: base64, after ``whsec_``."""
    if secret.startswith("whsec_"):
        secret = secret[len("whsec_"):]
    return base64.b64decode(secret, validate=True)


def sign(secret, message_id, timestamp, body):
    """The ``webhook-signature`` of Standard Webhooks v1."""
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    digest = hmac.new(key_of(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class _Bell:
    """At most one nudge under way per process, and ten a second; what comes meanwhile is one more."""

    def __init__(self):
        self._lock = threading.Lock()
        self._waiting = {}
        self._ringing = False

    def ring(self, targets):
        with self._lock:
            self._waiting.update(dict.fromkeys(targets))
            if self._ringing or not self._waiting:
                return
            self._ringing = True
        try:
            threading.Thread(target=self._run, name="towpath.nudge", daemon=True).start()
        except Exception:  # no more threads: Towpath looks by itself
            with self._lock:
                self._ringing = False

    def _run(self):
        while True:
            with self._lock:
                targets, self._waiting = self._waiting, {}
                if not targets:
                    self._ringing = False
                    return
            for target in targets:
                _post(target)
            time.sleep(PAUSE)


def _post(target):
    now = datetime.now(timezone.utc)
    body = json.dumps({
        "event": "towpath.nudge",
        "timestamp": now.replace(tzinfo=None).isoformat() + "Z",
        "data": {"pending": True, "database_uuid": target.database_uuid},
    }).encode()
    message_id, timestamp = "msg_" + uuid.uuid4().hex, int(time.time())
    try:
        requests.post(target.url, data=body, timeout=TIMEOUT, allow_redirects=False, headers={
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(target.secret, message_id, timestamp, body),
        }).close()
    except Exception as error:
        _logger.debug("towpath: nobody heard the nudge: %s", type(error).__name__)


_bell = _Bell()


def ring(targets):
    """Nudge the targets soon, in a thread of its own."""
    _bell.ring(targets)
