"""A body on its way in: not too long, not too slow, and never more of all bodies together than there is room for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pipelines.serving.api.metrics import Metrics
from pipelines.serving.api.settings import Settings
from pipelines.serving.contract import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Held:
    """Bytes of all bodies that are here at once; many that are each allowed may still be too many."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0

    def check(self, more: int) -> None:
        """Raise Refused where they do not fit in beside the others."""
        if self.bytes + more > self.most:
            raise Refused(503, "overloaded", "the service holds as much as it can now; try again", 1.0)


class Body:
    """Hands a body on while it may go on."""

    def __init__(self, receive: Receive, scope: Scope, settings: Settings, held: Held, metrics: Metrics) -> None:
        self.receive, self.held, self.metrics = receive, held, metrics
        self.most, self.body_s = most_bytes(scope, settings), settings.body_s
        self.until = time.monotonic() + settings.body_s
        self.come, self.whole = 0, False
        told = dict(scope["headers"]).get(b"content-length", b"0")
        self.told = int(told) if told.isdigit() and len(told) < 20 else 0

    async def __call__(self) -> Message:
        """Return the next message; raises Refused."""
        if self.whole:
            return await self.receive()  # that the caller went away
        if not self.come:
            self._check(self.told)
        try:
            async with asyncio.timeout(max(0.0, self.until - time.monotonic())):
                message = await self.receive()
        except TimeoutError:
            said = f"the body was not whole after {self.body_s:g} s"
            raise Refused(408, "body_too_slow", said) from None
        self._take(len(message.get("body", b"")))
        self.whole = not message.get("more_body", False)
        return message

    def gone(self) -> None:
        """Let its bytes go."""
        self.held.bytes -= self.come
        self.come = 0

    def _take(self, size: int) -> None:
        self.metrics.bytes_in.inc(size)
        self._check(size)
        self.come += size
        self.held.bytes += size

    def _check(self, more: int) -> None:
        if self.come + more > self.most:
            raise Refused(413, "body_too_large", f"the body is larger than {self.most:,} bytes")
        self.held.check(more)


def most_bytes(scope: Scope, settings: Settings) -> int:
    """How long a body may be: a form goes to the disk, all else is held in memory."""
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    form = len(kinds) == 1 and kinds[0].split(b";")[0].strip().lower() == b"multipart/form-data"
    return settings.most_bytes if form else min(settings.most_bytes, settings.most_json_bytes)
