"""Webhooks signed as Standard Webhooks (version 1.0.0, https://www.standardwebhooks.com) does it, and their check.

What is signed is `id.timestamp.body` with HMAC-SHA256 (RFC 2104). The id stays the same over all attempts at a message,
the timestamp is that of the attempt: a copy that somebody sends again is either too old or an id seen before.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections.abc import Mapping

from model_registry.errors import NightjarError, UsageError

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX, VERSION = "whsec_", "v1"
KEY_BYTES = (24, 64)  # as the specification has it
TOLERANCE_S = 300.0  # between the sender's clock and the receiver's, and on the way
REMEMBERED_S = 7 * 24 * 3600.0  # longer than anybody tries again
MOST_REMEMBERED = 100_000


class WebhookRefused(NightjarError):  # noqa: N818 what a receiver answers 400 to
    """A message that is not from whom it should be, or is damaged, or too old."""


class Replayed(WebhookRefused):
    """A message that was taken before; a receiver answers 2xx and does nothing, for the sender may not have heard."""


def digest(key: bytes, *parts: bytes) -> bytes:
    """Return HMAC-SHA256 of the parts with dots between them: the one signature of every webhook of the house."""
    return hmac.digest(key, b".".join(parts), "sha256")


def new_secret() -> str:
    """Make a key that nobody can guess, as a sender and a receiver share it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Return the key that a `whsec_...` stands for; raises UsageError, which does not quote it."""
    fewest, most = KEY_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not fewest <= len(key) <= most:
        raise UsageError(f"a webhook secret is {PREFIX} and {fewest} to {most} bytes in base64, this one is not")
    return key


def signed(message_id: str, body: bytes, secret: str, now: float | None = None) -> dict[str, str]:
    """Return the three headers of one attempt."""
    sent = str(int(time.time() if now is None else now))
    return {ID: message_id, TIMESTAMP: sent, SIGNATURE: _signature(key_of(secret), message_id, sent, body)}


def _signature(key: bytes, message_id: str, sent: str, body: bytes) -> str:
    made = digest(key, message_id.encode(), sent.encode(), body)
    return f"{VERSION},{base64.b64encode(made).decode()}"


class Seen:
    """The ids of messages that were taken. One process remembers here; several need a table of their own."""

    def __init__(self, remembered_s: float = REMEMBERED_S, most: int = MOST_REMEMBERED) -> None:
        self.remembered_s, self.most = remembered_s, most
        self._until: dict[str, float] = {}  # the oldest first
        self._turn = threading.Lock()

    def take(self, message_id: str, now: float) -> bool:
        """Remember an id; False where it is known."""
        with self._turn:
            while self._until and next(iter(self._until.values())) <= now:
                del self._until[next(iter(self._until))]
            if message_id in self._until:
                return False
            while len(self._until) >= self.most:
                del self._until[next(iter(self._until))]
            self._until[message_id] = now + self.remembered_s
        return True

    def forget(self, message_id: str) -> None:
        """Let the sender try again: the receiver could not keep what it took."""
        with self._turn:
            self._until.pop(message_id, None)


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    tolerance_s: float = TOLERANCE_S,
    seen: Seen | None = None,
    now: float | None = None,
) -> str:
    """Return the id of a message that is genuine, fresh and new; raises WebhookRefused, or Replayed.

    For receivers. `body` is what came, before any parser; of several signatures, as after a change of secrets, one is
    enough. Without `seen` a copy passes within `tolerance_s`.
    """
    now = time.time() if now is None else now
    given = {name.lower(): value for name, value in headers.items()}
    if missing := [name for name in (ID, TIMESTAMP, SIGNATURE) if not given.get(name)]:
        raise WebhookRefused(f"a webhook has no {', '.join(missing)}")
    message_id, sent = given[ID], given[TIMESTAMP]
    _check_signature(given[SIGNATURE], _signature(key_of(secret), message_id, sent, body))
    _check_time(sent, now, tolerance_s)
    if seen and not seen.take(message_id, now):
        raise Replayed(f"webhook {message_id} was taken before")
    return message_id


def _check_signature(given: str, wanted: str) -> None:
    """Every one is compared, in a time that says nothing about how much of it is right."""
    fits = [hmac.compare_digest(one.encode(), wanted.encode()) for one in given.split(" ")]
    if not any(fits):
        raise WebhookRefused(f"{SIGNATURE} does not fit the message and the secret")


def _check_time(sent: str, now: float, tolerance_s: float) -> None:
    aside_s = abs(now - int(sent)) if sent.isascii() and sent.isdigit() else float("inf")
    if aside_s > tolerance_s:
        raise WebhookRefused(f"{TIMESTAMP} is {aside_s:.0f} s from now, allowed are {tolerance_s:.0f}")
