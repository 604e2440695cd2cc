"""The gate before every route: who calls, whether there is room, how much comes in and how slowly; counts it all."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pipelines.serving.api.keys import Buckets, Key, KeyFile
from pipelines.serving.api.metrics import Metrics
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
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
        self.buckets = Buckets()
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, scope["path"], self.metrics)
        body = scope["method"] in ("POST", "PUT", "PATCH")
        try:
            scope["caller"] = self._caller(scope)
            if body and self.in_flight >= self.settings.most_in_flight:
                raise Refused(503, "overloaded", "the service has no room now; try again", 1.0)
        except Refused as refused:
            await answer.refuse(refused)
            return
        self.in_flight += body
        self.metrics.in_flight.set(self.in_flight)
        try:
            await self.app(scope, _Body(receive, scope, self.settings, self.metrics) if body else receive, answer)
        finally:
            self.in_flight -= body
            self.metrics.in_flight.set(self.in_flight)

    def _caller(self, scope: Scope) -> Key:
        """The key that may call this, within its rate; raises Refused."""
        need = need_of(scope["path"])
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


def need_of(path: str) -> str | None:
    """The scope that a path needs; None for those that all may ask."""
    parts = path.strip("/").split("/")
    if parts[0] == "metrics":
        return "metrics"
    return NEEDS.get(parts[1], "check") if parts[0] == "v1" and len(parts) > 1 else None


class _Body:
    """Hands a body on while it is neither too long nor too slow."""

    def __init__(self, receive: Receive, scope: Scope, settings: Settings, metrics: Metrics) -> None:
        self.receive, self.metrics = receive, metrics
        headers = dict(scope["headers"])
        self.most = settings.most_bytes
        if headers.get(b"content-type", b"").split(b";")[0].strip().lower() == b"application/json":
            self.most = min(self.most, settings.most_json_bytes)
        self.until = time.monotonic() + settings.body_s
        self.body_s, self.come, self.whole = settings.body_s, 0, False
        told = headers.get(b"content-length", b"0")
        self.told = int(told) if told.isdigit() else 0

    async def __call__(self) -> Message:
        if self.whole:
            return await self.receive()  # that the caller went away
        if self.told > self.most:
            raise self._too_large()
        try:
            message = await asyncio.wait_for(self.receive(), max(0.0, self.until - time.monotonic()))
        except TimeoutError:
            said = f"the body was not whole after {self.body_s:g} s"
            raise Refused(408, "body_too_slow", said) from None
        self.come += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        self.metrics.bytes_in.inc(len(message.get("body", b"")))
        if self.come > self.most:
            raise self._too_large()
        return message

    def _too_large(self) -> Refused:
        return Refused(413, "body_too_large", f"the body is larger than {self.most:,} bytes")


class _Answer:
    """Sends on, with headers that every answer has; counts."""

    def __init__(self, send: Send, path: str, metrics: Metrics) -> None:
        self.send, self.path, self.metrics = send, path, metrics
        self.began = time.perf_counter()
        self.request_id = secrets.token_hex(8)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            added = [*HEADERS, CONTENT_POLICY, (b"x-request-id", self.request_id.encode())]
            message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in own)]
            self.metrics.answered(self.path, message["status"], time.perf_counter() - self.began)
        await self.send(message)

    async def refuse(self, refused: Refused) -> None:
        """Answer without having read the body: the connection ends, or the rest would be taken for a request."""
        body = json.dumps(error_body(refused)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(b"connection", b"close"), *refusal_headers(refused)]
        self.metrics.refused(refused.code)
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def refusal_headers(refused: Refused) -> list[tuple[bytes, bytes]]:
    """Retry-After in whole seconds, what a 401 has to have, and an end where the rest of a body is not wanted."""
    found = [(b"www-authenticate", b"Bearer")] if refused.status == 401 else []
    if refused.status in (408, 413):
        found.append((b"connection", b"close"))
    if refused.retry_after_s is not None:
        found.append((b"retry-after", str(max(1, math.ceil(refused.retry_after_s))).encode()))
    return found
