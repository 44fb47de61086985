"""Receive Towpath's webhooks. Python 3.9+, no packages (standard-v1a: cryptography).

    PROFILE=standard SECRETS="whsec_..." PORT=8090 python3 receive.py
"""
import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE = 300  # seconds
MAX_BODY = 5 << 20


def genuine(profile, secrets, headers, body):
    """Whether the raw body (bytes) comes from Towpath. headers.get ignores case."""
    header = lambda name: headers.get(name) or ""
    if profile in ("standard", "standard-v1a"):
        sent_at = header("webhook-timestamp")
        if not fresh(sent_at):
            return False
        message = f"{header('webhook-id')}.{sent_at}.".encode() + body
        version = "v1" if profile == "standard" else "v1a"
        signatures = [s[len(version) + 1:] for s in header("webhook-signature").split(" ") if s.startswith(version + ",")]
        check = hmac_matches if profile == "standard" else ed25519_matches
        return any([check(secret, message, s) for secret in secrets for s in signatures])
    if profile == "odoo-s0":
        return any([same(hex_hmac(secret, body), header("x-odoo-webhook-signature")) for secret in secrets])
    if profile == "odoo-s1":
        sent_at = header("x-timestamp")
        return fresh(sent_at) and any(
            [same(hex_hmac(secret, sent_at.encode() + body), header("x-signature")) for secret in secrets])
    if profile == "odoo-s3":
        return any([same("Bearer " + secret, header("authorization")) for secret in secrets])
    raise ValueError(profile)


def fresh(sent_at):
    return sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 12 and abs(time.time() - int(sent_at)) <= TOLERANCE


def same(a, b):
    return hmac.compare_digest(a.encode(), b.encode())


def hex_hmac(secret, message):
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def hmac_matches(secret, message, signature):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return same(base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode(), signature)


def ed25519_matches(public, message, signature):
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
        return True
    except (InvalidSignature, ValueError):
        return False


class Receiver(BaseHTTPRequestHandler):
    timeout = 30

    def do_POST(self):
        length = self.headers.get("content-length") or ""
        if not length.isdecimal() or int(length) > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(int(length))  # check these bytes, not what a framework made of them
        if not genuine(os.environ["PROFILE"], os.environ["SECRETS"].split(), self.headers, body):
            return self.answer(401)
        # Keep the event and its webhook-id in one transaction, work on it later.
        # An id that is there already was delivered twice: answer 2xx, do nothing.
        print("received", self.headers["webhook-id"], len(json.loads(body)), flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8090"))), Receiver).serve_forever()
