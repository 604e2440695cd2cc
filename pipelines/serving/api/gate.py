"""The gate before every route: who calls, whether there is room, how much comes in and how slowly; counts it all."""

from __future__ import annotations

import json
import logging
import math
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from pipelines.serving.api.body import Body, Held, Message, Receive, Scope
from pipelines.serving.api.keys import Buckets, Key, KeyFile
from pipelines.serving.api.metrics import Metrics
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import Refused
from pipelines.serving.spool import FULL

log = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NEEDS = {"check": "check", "moderations": "moderations", "videos": "videos", "models": "models"}  # /v1/... -> scope
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
CONTENT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
LOCAL = Key("local", "whoever reaches the address", "")
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_body(refused: Refused) -> dict[str, Any]:
    """In the shape that OpenAI's clients read."""
    kind = TYPES.get(refused.status, "invalid_request_error" if refused.status < 500 else "server_error")
    return {"error": {"code": refused.code, "message": str(refused), "type": kind, "param": None}}


class Gate:
    """An ASGI app around another. Nothing of a request is read before its caller is let in."""

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self.keys = KeyFile(settings.keys) if settings.keys else None
        self.buckets = Buckets(settings.shared)
        self.in_flight = 0
        self.held = Held(settings.most_held_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = scope["method"] in ("POST", "PUT", "PATCH")
        answer = _Answer(send, path_of(scope), self.metrics, lambda: not body)
        try:
            scope["caller"] = self._caller(scope)
            if body and self.in_flight >= self.settings.most_in_flight:
                raise Refused(503, "overloaded", "the service has no room now; try again", 1.0)
        except Refused as refused:
            await answer.refuse(refused)
            return
        if body:
            await self._with_body(scope, receive, answer)
        else:
            await self._answered(scope, receive, answer)

    async def _with_body(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        body = Body(receive, scope, self.settings, self.held, self.metrics)
        answer.read = lambda: body.whole
        self.in_flight += 1
        self.metrics.in_flight.set(self.in_flight)
        try:
            await self._answered(scope, body, answer)
        finally:
            body.gone()
            self.in_flight -= 1
            self.metrics.in_flight.set(self.in_flight)

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """What is no answer of the app's is one all the same, with the headers and in the counts of all others."""
        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            where = "".join(traceback.format_tb(error.__traceback__))
            # Never str(error): it may quote what a caller sent.
            log.error("a %s of %s failed: %s\n%s", scope["method"], answer.path, type(error).__name__, where)
            if answer.began_sending:
                raise
            await answer.refuse(_failed(error))

    def _caller(self, scope: Scope) -> Key:
        """The key that may call this, within its rate; raises Refused."""
        need = need_of(path_of(scope))
        if need is None or self.keys is None:
            return LOCAL
        headers = dict(scope["headers"])
        token = headers.get(b"x-api-key", b"").decode("latin-1").strip()
        kind, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        token = bearer.strip() if kind.lower() == "bearer" else token
        key = self.keys.find(token) if token else None
        if key is None:
            said = "the key is not known, or was revoked" if token else "give a key: Authorization: Bearer nj_..."
            raise Refused(401, "invalid_api_key", said)
        if need not in key.scopes:
            raise Refused(403, "scope_missing", f"the key {key.name!r} has not the scope {need}")
        if wait_s := self.buckets.wait_s(key, time.monotonic()):
            said = f"the key {key.name!r} may send {key.rate:g} requests a second"
            raise Refused(429, "rate_limited", said, wait_s)
        return key


def path_of(scope: Scope) -> str:
    """The path as the routes know it: without the prefix that the app is mounted at."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _failed(error: Exception) -> Refused:
    if isinstance(error, OSError) and error.errno in FULL:
        return Refused(507, "insufficient_storage", "the disk is full; try again later", 60.0)
    return Refused(500, "internal_error", "the service failed; it was logged")


def need_of(path: str) -> str | None:
    """The scope that a path needs; None for those that all may ask."""
    parts = path.strip("/").split("/")
    if parts[0] == "metrics":
        return "metrics"
    return NEEDS.get(parts[1], "check") if parts[0] == "v1" and len(parts) > 1 else None


class _Answer:
    """Sends on, with headers that every answer has; counts."""

    def __init__(self, send: Send, path: str, metrics: Metrics, read: Callable[[], bool]) -> None:
        self.send, self.path, self.metrics, self.read = send, path, metrics, read
        self.began = time.perf_counter()
        self.began_sending = False
        self.request_id = secrets.token_hex(8)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began_sending = True
            own = {name for name, _ in message["headers"]}
            added = [*HEADERS, CONTENT_POLICY, (b"x-request-id", self.request_id.encode())]
            if not self.read():  # the rest of the body is not wanted
                added.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in own)]
            self.metrics.answered(self.path, message["status"], time.perf_counter() - self.began)
        await self.send(message)

    async def refuse(self, refused: Refused) -> None:
        """Answer with an error."""
        body = json.dumps(error_body(refused)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += refusal_headers(refused)
        self.metrics.refused(refused.code)
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def refusal_headers(refused: Refused) -> list[tuple[bytes, bytes]]:
    """Retry-After in whole seconds, and what a 401 has to have."""
    found = [(b"www-authenticate", b"Bearer")] if refused.status == 401 else []
    if refused.retry_after_s is not None:
        found.append((b"retry-after", str(max(1, math.ceil(refused.retry_after_s))).encode()))
    return found
